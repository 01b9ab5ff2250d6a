"""Short stories with one named hero: five plots, each a chain of sentences with many wordings."""
from words import BOYS, COLOURS, GIRLS, a, odd_name, person, say

ANIMAL_HEROES = "fox rabbit bear mouse owl cat dog frog hedgehog squirrel penguin turtle llama duck wolf deer lion monkey elephant".split()
OTHER_HEROES = "robot dragon knight wizard pirate princess king queen giant fairy".split()
PLACES = ("a small village|a quiet forest|a house by the sea|a green valley|an old castle|a little town|a farm on a hill|"
          "a cottage near the river|a cave in the mountains|a garden full of flowers").split("|")
TRAITS = "brave kind curious clever cheerful shy gentle patient quiet funny".split()
OBJECTS = "kite ball hat lamp boat drum key scarf lantern ring map stone shell flute bell book umbrella balloon blanket cup".split()
SKILLS = ("swim|sing|dance|fly a kite|play the flute|climb trees|bake bread|paint pictures|ride a bike|whistle|read maps|"
          "juggle|tell jokes|skate on ice").split("|")


def make_hero(rng, name=None, kind=None):
  who, he, him, his = person(rng)
  if name:
    he, him, his = ("she", "her", "her") if name in GIRLS else ("he", "him", "his") if name in BOYS else (he, him, his)
  name = name or who
  if kind is None:
    kind = rng.choice(["child"] * 4 + ["animal"] * 5 + ["other"])
    kind = {"child": "girl" if he == "she" else "boy", "animal": rng.choice(ANIMAL_HEROES), "other": rng.choice(OTHER_HEROES)}[kind]
  if kind in ("girl", "princess", "queen", "fairy"):
    he, him, his = "she", "her", "her"
  if kind in ("boy", "king", "knight", "wizard", "pirate"):
    he, him, his = "he", "him", "his"
  return dict(N=name, kind=kind, akind=a(kind), he=he, He=he.capitalize(), him=him, his=his, His=his.capitalize())


LOST = [
  "(One|One sunny|One windy|One cold) morning, $N (could not find|lost) $his $colour $thing.|$N had $acolour $thing, and $he loved it more than anything. One day the $thing was gone.",
  "$N looked under the bed, behind the door and in the garden, but the $thing was not there.|$He looked (everywhere|high and low|in every room), but $he could not find it.",
  "$N felt (sad|very sad) and sat down (under a tree|on a stone|on the grass).",
  "Just then (a friend|an old friend) named $F came (by|along|down the road). \"Why are you sad, $N?\" asked $F.",
  "\"I lost my $colour $thing,\" said $N. \"(Can|Could|Will) you help me?\"",
  "\"Of course I will,\" said $F. \"(Two can look better than one|Let us look together|Let us think where you were yesterday).\"",
  "They walked (to the river|to the old bridge|into the woods|over the hill|down to the lake) and looked (behind every stone|in the tall grass|under every leaf).",
  "(At last|Suddenly|After a while), $N saw something $colour (high in a tree|between two stones|near the water|in a bush). It was the $thing!",
  "$N (laughed|smiled|jumped for joy) and thanked $F (with a big hug|again and again|with all $his heart).",
]
LEARN = [
  "More than anything, $N wanted to learn to $skill.|$N had one big dream: $he wanted to $skill.",
  "The first time $he tried, (it went wrong|nothing worked|it did not go well), and (everyone laughed|$he fell over|$he almost gave up).",
  "$N went home and (thought for a long time|did not say a word|looked out of the window).",
  "The next day $he met (a friend|an old teacher|a kind neighbour) named $F.",
  "\"(Please teach me|Can you show me how) to $skill,\" said $N.",
  "\"(Gladly|I will|With pleasure),\" said $F. \"But you must (practise every day|be patient|try again and again).\"",
  "So $N practised in the morning and in the evening, (in sun and in rain|day after day|week after week).",
  "$F gave $him $acolour $thing for good luck, and $N kept it close.",
  "(At last|One fine day|After many days), $N could $skill (better than anyone|very well|without any help).",
  "(Everyone in the village clapped|All the neighbours cheered|Even the birds stopped to watch), and $F was very proud of $N.",
]
STORM = [
  "One evening (dark clouds came|the wind grew strong|the sky turned grey), and a big storm began.",
  "$N was (safe at home|warm in bed|sitting by the fire) when $he heard (a small cry|someone calling|a soft knock) outside.",
  "$He took $his $colour $thing and went out into the rain.",
  "Under a fallen tree $he found $F, who was (cold and wet|too tired to walk|very frightened).",
  "\"Do not be afraid,\" said $N. \"I (will help you|am here now|know the way home).\"",
  "$N (pulled and pulled|pushed with all $his strength|worked hard) until the tree moved and $F was free.",
  "Together they (ran|walked|hurried) home, and $N made (hot soup|a warm bed|a big fire|sweet tea) for $F.",
  "In the morning the sun was shining, and (a rainbow stood over the hills|the birds were singing|the whole world looked new).",
  "\"You are very brave, $N,\" said $F. \"(Thank you for helping me|I will never forget this|You are a true friend).\"",
]
GIFT = [
  "Tomorrow was the birthday of $his best friend, who was called $F.|$N had a good friend called $F, and $F had a birthday soon.",
  "$N wanted to give $F $acolour $thing, but $he had no money.",
  "\"What can I do?\" thought $N. \"I (will make it myself|must find a way|will work for it).\"",
  "(So|That day) $N (helped the baker carry bread|picked apples for the farmer|swept the floor of the shop|carried water for the neighbours) from morning until evening.",
  "In return $he got (a piece of wood and some paint|some cloth and a needle|two shiny coins|a bag of good things).",
  "All night long $N worked, and when the sun came up, the $colour $thing was ready.",
  "$N ran to the house of $F and knocked on the door.",
  "\"(Happy birthday|This is for you|I made this for you), $F!\" said $N.",
  "$F (opened the box|looked at the $thing|took the $thing) and (smiled|began to laugh|had tears of joy). \"It is the best $thing in the world,\" said $F.",
  "They (danced|sang songs|ate cake|played) until the moon was high in the sky.",
]
SOUND = [
  "One night $N heard a strange sound. (Tap, tap, tap|Boom, boom, boom|Ding, ding, ding), it went.",
  "$N was a little afraid, but $he (was also curious|wanted to know what it was|could not sleep).",
  "So $he lit a lamp and followed the sound (into the woods|down the stairs|over the hill|along the river).",
  "(There|Behind an old wall|Under a tall tree|In a dark corner), $he found $acolour $thing and someone small sitting next to it.",
  "\"Who are you?\" asked $N.",
  "\"My name is $F,\" said the (little one|stranger), \"and I (am lost|have no friends|cannot find my way home).\"",
  "\"Then come with me,\" said $N. \"(I will be your friend|I know the way|We will find it together).\"",
  "They (shared some bread|drank warm milk|talked all night|looked at the stars), and $F told $N about (the far mountains|the wide sea|a city of lights).",
  "Before $F went home, $he2 gave the $colour $thing to $N.",
  "Since that night $N (was never afraid of the dark again|had a friend far away|always listened to small sounds).",
]
OPENINGS = [
  "(Once upon a time|Long ago|Once), there was (a|a little|a young) $kind named $N, who lived in $place.",
  "(Once upon a time|Long ago), in $place, there lived $akind called $N.",
  "(In|Far away, in) $place lived $akind named $N.",
]
TRAIT = ["$N was $trait and $trait2, and everybody liked $him.", "Everyone knew that $N was $trait and $trait2.",
         "$N was (always|very) $trait, and $he loved (the sun|the stars|long walks|good stories|music|warm days)."]
ENDINGS = [
  "From that day on, $N and $F were (the best of friends|always together|good friends).",
  "And so $N learned that (a good friend is worth more than gold|being kind is the best gift|it is good to ask for help|you should never give up).",
  "That night $N went to bed happy and dreamed of (new adventures|the stars|tomorrow).",
]


def story(rng, name=None, kind=None, colour=None, thing=None):
  """(text, facts): facts has N, F, kind, colour, thing."""
  v = make_hero(rng, name, kind)
  friend, he2, _, _ = person(rng)
  while friend == v["N"]:
    friend, he2, _, _ = person(rng)
  trait, trait2 = rng.sample(TRAITS, 2)
  colour = colour or rng.choice(COLOURS)
  v.update(F=friend, he2=he2, trait=trait, trait2=trait2, colour=colour, acolour=a(colour), thing=thing or rng.choice(OBJECTS),
           skill=rng.choice(SKILLS), place=rng.choice(PLACES))
  plot = rng.choice([LOST, LEARN, STORM, GIFT, SOUND])
  sentences = [rng.choice(OPENINGS), rng.choice(TRAIT)]
  for step in plot:
    # "|" outside of brackets parts whole sentences that stand for one another.
    sentences.append(rng.choice(split_top(step)))
  sentences.append(rng.choice(ENDINGS))
  if rng.random() < 0.25:
    sentences.append("The end.")
  text = " ".join(say(rng, s, **v) for s in sentences)
  for noun in ("animal", "elephant", "owl"):
    text = text.replace(f" a {noun}", f" an {noun}")
  return text, v


def split_top(text):
  parts, depth = [""], 0
  for c in text:
    depth += (c == "(") - (c == ")")
    if c == "|" and depth == 0:
      parts.append("")
    else:
      parts[-1] += c
  return parts
