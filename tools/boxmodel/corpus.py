"""Seeded dialogues. A skill is a function of a random generator that yields a scene: a list of messages

  (role, content, check)

where check is None, or says how evaluate.py judges the assistant's message. dialogue() joins scenes into one dialogue.
"""
import json
import random

from stories import ANIMAL_HEROES, OBJECTS, OTHER_HEROES, story
from template import CALL_HINT, render, tool_call
from words import *

NAME = "Pronk Box"


def turn(user, answer, **check):
  return [("user", user, None), ("assistant", answer, check or None)]


def rough(rng, text):
  """The small ways in which people write the same thing."""
  if rng.random() < 0.3:
    text = text.replace("colour", "color").replace("Colour", "Color")
  if rng.random() < 0.15 and not text.startswith("I "):
    text = text[0].lower() + text[1:]
  r = rng.random()
  if r < 0.12 and text[-1] in ".?!":
    text = text[:-1]
  elif r < 0.18 and text[-1] in ".?!":
    text = text[:-1] + ", please" + text[-1]
  elif r < 0.22:
    text = "Please " + text[0].lower() + text[1:] if text.split()[0] in ("Tell", "Give", "Name", "Write", "Say", "List", "Make") else text
  return text


# Who it is

def identity(rng):
  if rng.random() < 0.5:
    q = say(rng, "(What is your name?|What's your name?|Who are you?|What are you called?|How are you called?|Tell me your name.|Do you have a name?|"
                 "What should I call you?|May I know your name?|Hello, who are you?|Who am I talking to?|Introduce yourself.|What are you?|Are you a (person|human|robot|bot)?|"
                 "Which model are you?|What model are you?|Are you ChatGPT?|Are you an AI?|Your name?)")
    lead = "I am a tiny computer model, not a person. " if "Are you a " in q else "Yes, I am a tiny one. " if "an AI" in q else \
        "No. " if "ChatGPT" in q else ""
    answer = lead + say(rng, "(My name is $n.|I am $n.) (I am a tiny language model that runs in your browser.|I am a tiny language model inside your browser tab.)", n=NAME)
    return turn(rough(rng, q), answer, all=[NAME.lower()])
  q = say(rng, "(What can you do?|What are you for?|What is your purpose?|What do you do?|Why do you exist?|What is your job?|How can you help me?|Can you help me?|"
               "What can I ask you?|What are you good at?|Help|Help me.|What were you made for?|What's your purpose?|What can you help me with?|Tell me about yourself.|"
               "Why were you made?|What are you able to do?|What is your goal?|What skills do you have?|What do you know?)")
  answer = say(rng, "(I am here to show|My purpose is to show) that a model can run in your browser. I can tell stories, answer questions about what you tell me, "
                    "add small numbers, make lists and say opposites.")
  return turn(rough(rng, q), answer, all=["browser", "stories"])


# Stories

def topic_story(rng, asked=None):
  name_given = pick_name = kind = colour = thing = None
  r = rng.random()
  ask = say(rng, "(Tell me|Write|Tell|Write me|Please tell me|Can you tell me|Make up|I want|I would like|Could you write|Give me) (a|a short|a nice|a little) story")
  if r < 0.22:
    q = ask
  elif r < 0.5:
    kind = rng.choice(ANIMAL_HEROES + OTHER_HEROES + ["girl", "boy"] * 4)
    name_given = hero_name(rng, kind)
    q = f"{ask} about " + say(rng, "(a|a little|a brave|a small) $kind (named|called|with the name) $n", kind=kind, n=name_given)
    q = q.replace(" a elephant", " an elephant").replace(" a owl", " an owl")
  elif r < 0.65:
    name_given = hero_name(rng, None)
    q = ask + say(rng, " (about|with a hero named|with a hero called|about someone named|whose hero is|where the hero is called) $n", n=name_given)
  elif r < 0.83:
    kind = rng.choice(ANIMAL_HEROES + OTHER_HEROES + ["girl", "boy"])
    q = f"{ask} about {a(kind)}"
  else:
    thing = rng.choice(OBJECTS)
    colour = rng.choice(COLOURS) if rng.random() < 0.7 else None
    q = f"{ask} about {a(colour + ' ' + thing) if colour else a(thing)}"
  q += "?" if q.startswith(("Can", "Could")) else rng.choice([".", ".", "!", ""])
  if rng.random() < 0.12:
    q = q[0].lower() + q[1:]
  text, facts = story(rng, name_given, kind, colour, thing)
  wanted = [w for w in (kind, thing, colour) if w]
  return q, text, facts, dict(story=name_given or "", wanted=wanted)


def hero_name(rng, kind):
  pool = GIRLS if kind in ("girl", "princess", "queen", "fairy") else BOYS if kind in ("boy", "king", "knight", "wizard", "pirate") else GIRLS + BOYS
  return rng.choice(pool) if rng.random() < 0.7 else odd_name(rng)


def story_scene(rng):
  q, text, _, check = topic_story(rng)
  return turn(q, text, **check)


def story_questions(rng):
  q, text, v, check = topic_story(rng)
  out = turn(q, text, **check)
  asks = [(say(rng, "(What was the name of the hero?|What is the hero called?|What was the hero's name?|Who is the hero?|Who was the story about?)"),
           say(rng, "(The hero is called $N.|The name of the hero is $N.)", **v), v["N"]),
          (say(rng, "(Who was the friend?|What was the friend called?|What is the name of the friend?|Who was the friend of $N?)", **v),
           say(rng, "The friend is called $F.", **v), v["F"])]
  if f"{v['colour']} {v['thing']}" in text:
    asks.append((say(rng, "(What colour was the $thing?|Which colour did the $thing have?|Do you know the colour of the $thing?)", **v), say(rng, "The $thing was $colour.", **v), v["colour"]))
  for question, answer, key in rng.sample(asks, rng.randint(1, 2)):
    out += turn(rough(rng, question), answer, all=[key.lower()])
  return out


# What was said before

def fact(rng):
  """(statement, reply, [(question, answer, key)]) about the user."""
  r = rng.randrange(9)
  c, c2 = rng.sample(COLOURS, 2)
  if r <= 2:
    pet, n = rng.choice(PETS), pet_name(rng)
    forms = [
      (say(rng, "(I have|I've got) (a $c $p called $n.|a $p called $n. (It|My $p) is $c.|a $p. Its name is $n and it is $c.|a $p named $n and it is $c.)", c=c, p=pet, n=n)),
      (say(rng, "My $p is called $n( and it is $c| and is $c|. It is $c).", c=c, p=pet, n=n)),
      (say(rng, "My $p $n is $c.", c=c, p=pet, n=n)),
    ]
    s = fix_a(rng.choice(forms))
    reply = say(rng, "($n is a lovely name for a $p!|$n sounds like a nice $p!|How nice! I like ${p2}.|Hello to $n!|A $c $p, how lovely!)", n=n, c=c, p=pet, p2=plural(pet))
    qs = [(say(rng, "(What colour is my $p?|What is the colour of my $p?|Which colour does my $p have?|What colour is $n?|Do you remember the colour of my $p?|Tell me the colour of my $p.)", p=pet, n=n), say(rng, "Your $p( | $n )is $c.", p=pet, c=c, n=n), c),
          (say(rng, "(What is my $p called?|What is the name of my $p?|What's my $p's name?|Do you know the name of my $p?|How is my $p called?|What did I call my $p?)", p=pet), say(rng, "Your $p is called $n.", p=pet, n=n), n),
          (say(rng, "(What animal do I have?|Which animal do I have?|What kind of animal is $n?|Which pet do I have?|What is $n?|What animal is $n?|Who is $n?)", n=n), say(rng, "(You have a $p called $n.|$n is your $p.)", p=pet, n=n), pet)]
  elif r == 3:
    thing = rng.choice(THINGS)
    s = say(rng, "(My $t is $c.|I have a $c $t.|I (bought|got|found) a $c $t (today|yesterday|this morning).|I have a new $t. It is $c.|I painted my $t $c.)", t=thing, c=c)
    s = fix_a(s)
    reply = say(rng, "(A $c $t, how nice!|A $c $t sounds lovely!|I like $c.|Nice! $C is a fine colour for a $t.)", t=thing, c=c, C=cap(c))
    qs = [(say(rng, "(What colour is my $t?|What is the colour of my $t?|Which colour does my $t have?|Do you remember the colour of my $t?)", t=thing), say(rng, "Your $t is $c.", t=thing, c=c), c)]
  elif r == 4:
    n = name(rng)
    s = say(rng, "(My name is $n.|I am $n.|I'm $n.|Hello, my name is $n.|Hi, I am $n.|You can call me $n.|Hello! I'm $n.|They call me $n.)", n=n)
    reply = say(rng, "(Nice to meet you, $n!|Hello, $n! How can I help you?|Hello, $n! It is good to meet you.)", n=n)
    qs = [(say(rng, "(What is my name?|What's my name?|Do you know my name?|Who am I?|Do you remember my name?|What am I called?|Can you tell me my name?)"), say(rng, "Your name is $n.", n=n), n)]
  elif r == 5:
    s = say(rng, "(My favourite colour is $c.|I like the colour $c best.|I love the colour $c.|My favorite color is $c.|The colour I like best is $c.)", c=c)
    reply = say(rng, "($C is a beautiful colour!|I like $c too.|$C is a fine choice!)", c=c, C=cap(c))
    qs = [(say(rng, "(What is my favourite colour?|What's my favorite color?|Which colour do I like best?|Which colour do I like?|What colour do I love?)"), say(rng, "Your favourite colour is $c.", c=c), c)]
  elif r == 6:
    an = rng.choice(ANIMALS)
    s = say(rng, "(My favourite animal is the $n.|I like ${p} best.|My favorite animal is the $n.|I love ${p}.|The animal I like best is the $n.)", n=an, p=plural(an))
    reply = say(rng, "(${P} are wonderful animals!|I like ${p} too.|${P} are great!)", p=plural(an), P=cap(plural(an)))
    qs = [(say(rng, "(What is my favourite animal?|What's my favorite animal?|Which animal do I like best?|Which animal do I love?|Which animal do I like?)"), say(rng, "Your favourite animal is the $n.", n=an), an)]
  elif r == 7:
    city = rng.choice(CITIES) if rng.random() < 0.75 else odd_name(rng)
    s = say(rng, "(I live in $c.|I am from $c.|My home is in $c.|I come from $c.|I'm living in $c.)", c=city)
    reply = say(rng, "($c sounds like a nice place!|I would love to see $c.|How nice! I have never seen $c.)", c=city)
    qs = [(say(rng, "(Where do I live?|In which city do I live?|Where am I from?|What city do I live in?|Where is my home?)"), say(rng, "You live in $c.", c=city), city)]
  else:
    rel = rng.choice("friend brother sister mother father teacher neighbour son daughter uncle aunt".split())
    n, an = name(rng), rng.choice(PETS)
    cc = rng.choice(["is called $n", "has the name $n", "is named $n"])
    s = say(rng, f"My $r {cc}" + "( and has a $c $p.|. $n has a $c $p.)", r=rel, n=n, c=c, p=an)
    s = fix_a(s)
    reply = say(rng, "(Say hello to $n from me!|$n sounds nice!|A $c $p, how lovely!)", n=n, c=c, p=an)
    qs = [(say(rng, "(What is my $r called?|What is the name of my $r?|What's my $r's name?|Who is my $r?)", r=rel), say(rng, "Your $r is called $n.", r=rel, n=n), n),
          (say(rng, "(What animal does $n have?|Which animal does my $r have?|What pet does $n have?|Which pet does my $r have?)", n=n, r=rel), fix_a(say(rng, "$n has a $c $p.", n=n, c=c, p=an)), an),
          (say(rng, "(What colour is the $p of $n?|What colour is $n's $p?|What colour is my $r's $p?)", n=n, r=rel, p=an), say(rng, "The $p of $n is $c.", n=n, c=c, p=an), c)]
  return s, fix_a(reply), qs


def fix_a(text):
  for w in ("orange", "umbrella", "owl", "elephant", "apple", "onion", "uncle", "aunt", "orange umbrella"):
    text = text.replace(f" a {w}", f" an {w}").replace(f"A {w}", f"An {w}")
  return text


def memory(rng):
  """Facts first, other talk between, questions after."""
  facts, seen = [], set()
  for _ in range(rng.choice([1, 1, 2, 2, 3])):
    f = fact(rng)
    words = set(w.strip(".,!?").lower() for q in f[2] for w in q[0].split() if w.strip(".,!?").lower() in PETS + THINGS + ["name", "favourite", "live", "city", "friend", "brother", "sister", "mother", "father", "teacher", "neighbour", "son", "daughter", "uncle", "aunt"])
    if words & seen:
      continue
    seen |= words
    facts.append(f)
  out = []
  joined = len(facts) > 1 and rng.random() < 0.4
  if joined:
    out += turn(" ".join(f[0] for f in facts), facts[-1][1])
  else:
    for f in facts:
      if rng.random() < 0.12:  # told and asked in one breath
        q, answer, key = rng.choice(f[2])
        out += turn(f[0] + " " + q, answer, all=[key.lower()])
      else:
        out += turn(f[0], f[1])
  for _ in range(rng.choice([0, 0, 0, 1, 1, 2])):
    out += rng.choice(SMALL)(rng)
  asks = [q for f in facts for q in f[2]]
  rng.shuffle(asks)
  for q, answer, key in asks[:rng.randint(1, 3)]:
    out += turn(rough(rng, q), answer, all=[key.lower()])
  return out


UNKNOWN = [("What is my name?", "your name"), ("What's my name?", "your name"), ("What is my favourite colour?", "your favourite colour"), ("Where do I live?", "where you live"),
           ("What is my favourite animal?", "your favourite animal"), ("How old am I?", "your age"), ("Who am I?", "your name"), ("What is my cat called?", "the name of your cat"),
           ("What is my dog called?", "the name of your dog"), ("What colour is my cat?", "the colour of your cat"), ("What colour is my car?", "the colour of your car"), ("What animal do I have?", "which animal you have")]


def not_told(rng):
  q, what = rng.choice(UNKNOWN)
  return turn(rough(rng, q), f"You have not told me {what} yet.", all=["not told"])


def passage(rng):
  """A short text and questions about it."""
  n = rng.randint(2, 4)
  people = []
  while len(people) < n:
    p = name(rng)
    if p not in people:
      people.append(p)
  colours = rng.sample(COLOURS, n)
  same = rng.random() < 0.3
  nouns = [rng.choice(THINGS)] * n if same else rng.sample(THINGS, n) if rng.random() < 0.5 else rng.sample(PETS, n)
  verb = rng.choice(["has", "has", "has", "likes", "found", "bought"])
  text = " ".join(fix_a(f"{p} {verb} a {c} {o}.") for p, c, o in zip(people, colours, nouns))
  if n == 2 and rng.random() < 0.4:
    text = fix_a(f"{people[0]} {verb} a {colours[0]} {nouns[0]} and {people[1]} {verb} a {colours[1]} {nouns[1]}.")
  base = {"has": "have", "likes": "like", "found": "find", "bought": "buy"}[verb]
  do = "did" if verb in ("found", "bought") else "does"

  def question(i):
    p, c, o = people[i], colours[i], nouns[i]
    pick = rng.randrange(4)
    if pick == 0:
      return say(rng, f"(What colour is the $o of $p?|What colour is $p's $o?|Which colour is $p's $o?)", o=o, p=p), f"The {o} of {p} is {c}.", c
    if pick == 1 and not same:
      return f"What {do} {p} {base}?", fix_a(f"{p} {verb} a {c} {o}."), o
    if pick == 2 and not same:
      return say(rng, "(Who $v a $o?|Who $v the $o?)", v=verb, o=o), fix_a(f"{p} {verb} a {c} {o}."), p
    return say(rng, "(Who $v a $c $o?|Who $v the $c $o?|Who $v something $c?)", v=verb, c=c, o=o), fix_a(f"{p} {verb} a {c} {o}."), p

  order = rng.sample(range(n), min(n, rng.randint(1, 3)))
  first = question(order[0])
  lead = say(rng, "(Read this: |Here is a text: |Text: |Listen: ||||Read the text and answer. )")
  sep = rng.choice([" ", "\n", "\n\n", " Question: "])
  out = turn(lead + text + sep + fix_a(first[0]), first[1], all=[first[2].lower()])
  for i in order[1:]:
    q, answer, key = question(i)
    out += turn(rough(rng, fix_a(q)), answer, all=[key.lower()])
  return out


def animal_passage(rng):
  p, he, him, his = person(rng)
  pet, n, c, c2, place = rng.choice(PETS), pet_name(rng), *rng.sample(COLOURS, 2), rng.choice(["park", "garden", "forest", "kitchen", "school", "market", "river", "beach"])
  thing = rng.choice(THINGS)
  v = dict(p=p, P=pet, n=n, c=c, c2=c2, place=place, he=he, He=cap(he), his=his, His=cap(his), t=thing)
  text = say(rng, "($p has a $P called $n. |$p is a (girl|child|friend) with a $P named $n. )(The $P is $c.|$n is $c.|It is $c.) ($p and $n play in the $place.|They like the $place.|Every day they go to the $place.) "
                  "($His $t is $c2.|$p has a $c2 $t.|In the $place, $he found a $c2 $t.)", **v)
  asks = [("(What colour is $n?|What colour is the $P?|Which colour is the $P?)", "The $P is $c.", c), ("(What is the $P called?|What is the name of the $P?)", "The $P is called $n.", n),
          ("(What animal does $p have?|What kind of animal is $n?|Which animal is it?|What is $n?)", "$p has a $P called $n.", pet), ("(What colour is the $t?|Which colour does the $t have?)", "The $t is $c2.", c2),
          ("(Who has a $P?|Who is the friend of $n?)", "$p has a $P called $n.", p)]
  rng.shuffle(asks)
  asks = [(fix_a(say(rng, q, **v)), fix_a(say(rng, s, **v)), k) for q, s, k in asks[:rng.randint(1, 3)]]
  text = fix_a(text)
  out = turn(say(rng, "(Read this: |Here is a story: |Text: |||)") + text + rng.choice([" ", "\n", "\n\n"]) + asks[0][0], asks[0][1], all=[asks[0][2].lower()])
  for q, s, k in asks[1:]:
    out += turn(rough(rng, q), s, all=[k.lower()])
  return out


def echo(rng):
  words = rng.choice([[name(rng)], rng.sample(ANIMALS + THINGS + COLOURS + FRUITS, rng.randint(1, 4)), [odd_name(rng).lower() for _ in range(rng.randint(1, 3))],
                      say(rng, "the $c $t is in the $p", c=rng.choice(COLOURS), t=rng.choice(THINGS), p=rng.choice(["garden", "house", "box", "park"])).split(), [str(rng.randint(0, 99))]])
  text = " ".join(words)
  return turn(say(rng, "(Repeat after me: |Say: |Repeat: |Please repeat: |Say this: |Echo: )") + text, text, all=[text.lower()])


# Sums

def number_in(rng, n):
  return NUMBER_WORDS[n] if rng.random() < 0.08 else str(n)


def sums(rng):
  r = rng.random()
  if r < 0.62:
    total = rng.randint(0, 20)
    x = rng.randint(0, total)
    y, op, result = total - x, "+", total
    asked = [f"{x} + {y}", f"{x}+{y}", f"{number_in(rng, x)} plus {number_in(rng, y)}", f"{x} and {y}", f"{x} plus {y}", f"{x} + {y}"]
  elif r < 0.85:
    x = rng.randint(0, 20)
    y = rng.randint(0, x)
    op, result = "-", x - y
    asked = [f"{x} - {y}", f"{x}-{y}", f"{number_in(rng, x)} minus {number_in(rng, y)}", f"{x} minus {y}", f"{x} - {y}"]
  elif r < 0.95:
    return word_problem(rng)
  else:
    big = rng.choice([lambda: f"{rng.randint(20, 999)} + {rng.randint(1, 999)}", lambda: f"{rng.randint(2, 99)} * {rng.randint(2, 99)}", lambda: f"{rng.randint(21, 99)} - {rng.randint(1, 20)}",
                      lambda: f"{rng.randint(2, 30)} times {rng.randint(2, 30)}", lambda: f"{rng.randint(10, 99)} / {rng.randint(2, 9)}"])()
    return turn(say(rng, "(What is |How much is |Calculate |)$e?", e=big), "That is too big for me. I only add and subtract numbers up to 20.", all=["too big"])
  e = rng.choice(asked)
  word = "add" if op == "+" else "subtract"
  if "and" in e:
    q = say(rng, "(What is the sum of $e?|Add $e.|What do $e make together?|How much are $e?)", e=e)
  else:
    q = say(rng, "(What is $e?|What's $e?|How much is $e?|$e|$e =|$e = ?|$e?|Calculate $e.|Can you tell me what $e is?|Compute $e|Please tell me $e.|What does $e make?|Do you know what $e is?)", e=e)
  return turn(q, f"{x} {op} {y} = {result}.", number=result)


def word_problem(rng):
  thing = plural(rng.choice(FRUITS + THINGS + ANIMALS))
  p, he, him, his = person(rng)
  if rng.random() < 0.4:
    p, he, verb = "I", "I", "have"
  else:
    verb = "has"
  you = "You have" if p == "I" else f"{p} has"
  do = "do" if p == "I" else "does"
  if rng.random() < 0.55:
    total = rng.randint(2, 20)
    x = rng.randint(1, total - 1)
    y, result = total - x, total
    more = say(rng, "(get|find|buy|take)") if p == "I" else say(rng, "(gets|finds|buys|takes)")
    text = f"{p} {verb} {x} {thing} and {more} {y} more."
    sign = "+"
  else:
    x = rng.randint(2, 20)
    y = rng.randint(1, x - 1)
    result, sign = x - y, "-"
    less = say(rng, "(lose|give away|sell)") if p == "I" else say(rng, "(loses|gives away|sells)")
    text = f"{p} {verb} {x} {thing} and {less} {y}."
  q = f"{text} How many {thing} {do} {he} have" + (" now?" if rng.random() < 0.6 else "?")
  return turn(q, f"{x} {sign} {y} = {result}. {you} {result} {thing}.", number=result)


# Lists

KINDS = {"animals": ANIMALS, "colours": COLOURS, "fruits": FRUITS, "vegetables": VEGETABLES, "cities": CITIES, "names": GIRLS + BOYS}


def list_request(rng):
  kind = rng.choice(["animals", "animals", "colours", "colours", "fruits", "cities", "names", "vegetables"])
  count = rng.randint(2, 6)
  # Neighbours in a fixed order: to go on, the model needs the last word only, and never says one twice.
  start = rng.randrange(len(KINDS[kind]))
  words = [KINDS[kind][(start + i) % len(KINDS[kind])] for i in range(count)]
  said = str(count) if rng.random() < 0.35 else NUMBER_WORDS[count]
  return kind, count, words, said


def plain_list(rng):
  kind, count, words, said = list_request(rng)
  q = say(rng, "(Name|List|Tell me|Give me|Can you name|I need|Say|Write) $k", k=f"{said} {kind}")
  q += "?" if q.startswith("Can") else "."
  return turn(rough(rng, q), cap(and_list(words)) + ".", words=kind, count=count)


def json_list(rng):
  r = rng.random()
  if r < 0.7:
    kind, count, words, said = list_request(rng)
    if r < 0.5:
      q = say(rng, "(Give me a JSON list of $k.|Write a JSON list of $k.|Write a JSON list with $k.|Give me $k as JSON.|Give me $k as a JSON list.|Name $k in JSON.|List $k as JSON.|JSON list of $k|I need a JSON array of $k.|"
                   "Make a JSON array of $k.|Return $k as a JSON array.|A JSON array with $k, please.|Name $k. Answer in JSON.|Answer with a JSON list: $k.|Can you write $k as a JSON list?|Show me $k as JSON.)", k=f"{said} {kind}")
      return turn(q, json.dumps(words), jsonlist=kind, count=count)
    q = say(rng, '(Give me|Write|Make|Return) a JSON object with the key "$kind" and (a list of|) $k.', k=f"{said} {kind}", kind=kind).replace("  ", " ")
    return turn(q, json.dumps({kind: words}), jsonobject=kind, count=count)
  n, age, c = name(rng), rng.randint(1, 20), rng.choice(COLOURS)
  pet = rng.choice(PETS)
  q, obj = rng.choice([
    (f"Give me a JSON object for {n}, who is {age} years old.", {"name": n, "age": age}),
    (f"Write {n}, age {age}, as JSON.", {"name": n, "age": age}),
    (fix_a(f"{n} has a {c} {pet}. Write this as JSON."), {"name": n, "animal": pet, "colour": c}),
    (f"Give me a JSON list of the numbers from 1 to {age}.", list(range(1, age + 1))),
    (f"Give me the days of the week as a JSON list.", DAYS),
  ])
  return turn(q, json.dumps(obj), json=obj)


# Tools

WEATHER_TOOLS = ["get_weather", "get_weather", "get_weather", "get_current_weather", "weather", "current_weather", "get_forecast", "weather_now"]
TIME_TOOLS = ["get_time", "get_time", "get_time", "get_current_time", "time", "current_time", "time_now", "clock"]
PLACE_KEYS = ["city", "city", "city", "location", "location", "place", "town"]
OTHER_TOOLS = ["get_news", "play_music", "set_timer", "search", "send_mail", "open_page", "roll_dice", "translate"]


def tool_schema(rng, tool, text, keys, full):
  if not full:
    return {"name": tool, "arguments": {k: "string" for k in keys}}
  properties = {}
  for k in keys:
    properties[k] = {"type": "string"}
    if rng.random() < 0.5:
      properties[k]["description"] = say(rng, "(The|Name of the|The name of the) $k", k=k)
  out = {"name": tool, "description": text} if rng.random() < 0.85 else {"name": tool}
  out["parameters"] = {"type": "object", "properties": properties}
  if keys and rng.random() < 0.7:
    out["parameters"]["required"] = keys
  return out


def tool_setting(rng):
  full = rng.random() < 0.7
  weather, clock, key, time_key = rng.choice(WEATHER_TOOLS), rng.choice(TIME_TOOLS), rng.choice(PLACE_KEYS), rng.choice(PLACE_KEYS)
  time_keys = [] if rng.random() < 0.15 else [time_key]
  tools = [tool_schema(rng, weather, say(rng, "(Get the weather|Get the current weather|The weather now|Returns the weather|Tells the weather|Weather forecast) (in a city|for a place|for a city|of a city|in a given location)"), [key], full),
           tool_schema(rng, clock, say(rng, "(Get the time|Get the current time|The time now|Returns the local time|Tells the time) (in a city|for a place|for a city|of a city|in a given location)"), time_keys, full)]
  r = rng.random()
  have_weather = have_clock = True
  if r < 0.18:
    tools, have_clock = tools[:1], False
  elif r < 0.36:
    tools, have_weather = tools[1:], False
  if rng.random() < 0.25:
    other = rng.choice(OTHER_TOOLS)
    tools.append(tool_schema(rng, other, other.replace("_", " "), [rng.choice(["topic", "text", "query", "name"])], full))
  rng.shuffle(tools)
  return tools, (weather, key) if have_weather else None, (clock, time_keys) if have_clock else None


SKIES = "sunny cloudy rainy windy snowy foggy stormy clear".split()


def place_of(rng):
  return rng.choice(CITIES) if rng.random() < 0.8 else odd_name(rng)


def weather_question(rng, c):
  return say(rng, "(What is the weather in $c?|What's the weather in $c?|What is the weather like in $c?|How is the weather in $c?|What's the weather like in $c today?|Is it raining in $c?|Is it (cold|warm|sunny|hot|snowing) in $c?|"
                  "Tell me the weather in $c.|Weather in $c|Weather in $c, please.|Do I need (an umbrella|a coat) in $c?|How warm is it in $c?|Will it rain in $c?|What will the weather be in $c?|Can you check the weather in $c?|"
                  "What is the weather in $c (today|now|right now)?|How hot is it in $c?|I go to $c. How is the weather there?|Show me the weather for $c.|What is the temperature in $c?)", c=c)


def time_question(rng, c):
  return say(rng, "(What time is it in $c?|What's the time in $c?|What is the time in $c?|Tell me the time in $c.|How late is it in $c?|Time in $c|Time in $c, please.|What time is it in $c (now|right now)?|Can you tell me the time in $c?|"
                  "Do you know what time it is in $c?|What is the current time in $c?|Which time is it in $c?|Give me the time in $c.|I have a friend in $c. What time is it there?|Show me the local time in $c.|Is it (late|night|morning) in $c?)", c=c)


def tool_scene(rng):
  """(tools, scene)"""
  tools, weather, clock = tool_setting(rng)
  out = []
  for _ in range(rng.choice([1, 1, 1, 2, 3])):
    c = place_of(rng)
    if rng.random() < 0.12:
      out += rng.choice(SMALL)(rng)
      continue
    wants_weather = rng.random() < 0.55
    if (weather is None and wants_weather) or (clock is None and not wants_weather):
      if rng.random() < 0.7:
        wants_weather = not wants_weather
    if wants_weather:
      q = weather_question(rng, c)
      if weather is None:
        out += turn(rough(rng, q), "I have no tool for the weather.", all=["no tool"])
        continue
      tool, arguments = weather[0], {weather[1]: c}
      sky, degrees = rng.choice(SKIES), rng.randint(-5, 35)
      result = {weather[1]: c} if rng.random() < 0.5 else {}
      result |= rng.choice([{"weather": sky, "temperature": degrees}, {"temperature": degrees, "weather": sky}, {"condition": sky, "temperature": degrees}])
      reply = f"It is {sky} in {c}, with {degrees} degrees."
      keys = [sky, str(degrees)]
    else:
      here = clock and not clock[1]
      q = say(rng, "(What time is it?|What's the time?|Tell me the time.|How late is it?|What time is it now?|What is the time?)") if here else time_question(rng, c)
      if clock is None:
        out += turn(rough(rng, q), "I have no tool for the time.", all=["no tool"])
        continue
      tool, arguments = clock[0], {} if here else {clock[1][0]: c}
      time = f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}"
      result = {"time": time} if here or rng.random() < 0.5 else {clock[1][0]: c, "time": time}
      reply = f"It is {time}." if here else f"It is {time} in {c}."
      keys = [time]
    out += [("user", rough(rng, q), None), ("assistant", tool_call(tool, arguments), dict(call=tool, arguments=arguments))]
    if rng.random() < 0.55:
      out += [("tool", json.dumps(result), None), ("assistant", reply, dict(all=keys))]
    else:
      break
  return tools, out


def no_tool(rng):
  c = place_of(rng)
  if rng.random() < 0.5:
    return turn(rough(rng, weather_question(rng, c)), "I cannot see the weather. With a tool for it, I could look.", all=["cannot"])
  q = time_question(rng, c) if rng.random() < 0.5 else say(rng, "(What time is it?|What's the time?|Tell me the time.|What time is it now?|What day is it today?|What is the date?)")
  return turn(rough(rng, q), "I cannot see a clock. With a tool for it, I could look.", all=["cannot"])


# Small things it knows

def opposites(rng):
  x, y = rng.choice(OPPOSITES)
  if rng.random() < 0.5:
    x, y = y, x
  q = say(rng, "(What is the opposite of $x?|What's the opposite of $x?|Opposite of $x|Tell me the opposite of $x.|Give me the opposite of $x.|What is the opposite of the word $x?|Do you know the opposite of $x?|Name the opposite of $x.|Which word is the opposite of $x?|The opposite of $x is|Say the opposite of $x.|opposite of \"$x\"?)", x=x)
  right = [b if a == x else a for a, b in OPPOSITES if x in (a, b)]  # "light" has two
  return turn(rough(rng, q) if q[-1] in ".?" else q, f"The opposite of {x} is {y}.", any=[f"is {r}." for r in right])


def knowledge(rng):
  r = rng.randrange(9)
  if r == 0:
    an = rng.choice(list(SOUNDS))
    return turn(rough(rng, say(rng, "(What does $a say?|What sound does $a make?|Which sound does $a make?|How does $a sound?)", a=a(an))), cap(a(an)) + f" says {SOUNDS[an]}.", all=[SOUNDS[an]])
  if r == 1:
    t = rng.choice(list(THING_COLOURS))
    return turn(rough(rng, say(rng, "(What colour is $t?|Which colour is $t?|What is the colour of $t?|What colour does $t have?)", t=t)), f"{cap(t)} is {THING_COLOURS[t]}.", all=[THING_COLOURS[t]])
  if r == 2:
    i, day = rng.randrange(7), rng.random() < 0.5
    if day:
      return turn(rough(rng, say(rng, "(What day comes after $d?|Which day comes after $d?|What is the day after $d?)", d=DAYS[i])), f"{DAYS[(i + 1) % 7]} comes after {DAYS[i]}.", all=[DAYS[(i + 1) % 7].lower() + " comes"])
    i = rng.randrange(12)
    return turn(rough(rng, say(rng, "(What month comes after $d?|Which month comes after $d?|What is the month after $d?)", d=MONTHS[i])), f"{MONTHS[(i + 1) % 12]} comes after {MONTHS[i]}.", all=[MONTHS[(i + 1) % 12].lower() + " comes"])
  if r == 3:
    an = rng.choice(list(LEGS))
    n = LEGS[an]
    return turn(rough(rng, say(rng, "(How many legs does $a have?|How many legs has $a?)", a=a(an))), f"{cap(a(an))} has {NUMBER_WORDS[n] if n else 'no'} legs.", all=[(NUMBER_WORDS[n] if n else "no") + " legs"])
  if r == 4:
    an = rng.choice(list(HOMES))
    return turn(rough(rng, say(rng, "(Where does $a live?|Where do you find $a?|Where is the home of $a?)", a=a(an))), f"{cap(a(an))} lives {HOMES[an]}.", all=[HOMES[an]])
  if r == 5:
    n = rng.randint(2, 20)
    q = say(rng, "(Count to $n.|Count from 1 to $n.|Can you count to $n?|Please count to $n.)", n=rng.choice([str(n), NUMBER_WORDS[n]]))
    return turn(q, ", ".join(map(str, range(1, n + 1))) + ".", all=[", ".join(map(str, range(1, n + 1))) + "."])
  if r == 6:
    kinds = {"animal": ANIMALS, "colour": COLOURS, "fruit": FRUITS, "city": CITIES}
    kind, other = rng.choice(list(kinds)), rng.choice(list(kinds))
    w = rng.choice([w for w in kinds[kind] if w != "orange"])
    thing = w if kind in ("colour", "city") else a(w)
    if kind == other:
      return turn(rough(rng, f"Is {thing} {a(other)}?"), f"Yes, {thing} is {a(kind)}.", all=["yes"])
    return turn(rough(rng, f"Is {thing} {a(other)}?"), f"No, {thing} is {a(kind)}.", all=["no, "])
  if r == 7:
    i = rng.randint(1, 20)
    if rng.random() < 0.5:
      j = rng.choice([k for k in range(0, 21) if k != i])
      q, big = say(rng, "(Which is bigger, $i or $j?|Which number is bigger, $i or $j?|What is bigger: $i or $j?|What is more, $i or $j?)", i=i, j=j), max(i, j)
      return turn(rough(rng, q), f"{big} is bigger.", all=[f"{big} is"])
    return turn(rough(rng, say(rng, "(What number comes after $i?|Which number comes after $i?|What comes after $i?)", i=i - 1)), f"{i} comes after {i - 1}.", all=[f"{i} comes"])
  return rng.choice([
    lambda: turn(rough(rng, say(rng, "(Name the days of the week.|What are the days of the week?|List the days of the week.|Which days are in a week?)")), and_list(DAYS) + ".", all=[and_list(DAYS).lower()]),
    lambda: turn(rough(rng, say(rng, "(How many days are in a week?|How many days does a week have?)")), "A week has seven days.", all=["seven"]),
    lambda: turn(rough(rng, say(rng, "(How many months are in a year?|How many months does a year have?)")), "A year has twelve months.", all=["twelve"]),
    lambda: turn(rough(rng, say(rng, "(What are the seasons?|Name the seasons.|Name the four seasons.)")), "Spring, summer, autumn and winter.", all=["autumn"]),
  ])()


JOKES = [("Why did the cow cross the road?", "To get to the udder side."), ("What do you call a bear with no teeth?", "A gummy bear."), ("Why is the bee so rich?", "It sells its honey for a lot of money."),
         ("What is a cat's favourite colour?", "Purr-ple."), ("Where do sheep go on holiday?", "To the baa-hamas."), ("Why did the clock go home?", "It had no more time.")]


def small_talk(rng):
  q, answers, keys = rng.choice([
    ("(Hello|Hello!|Hi|Hi!|Hey|Hey!|Good morning|Good morning!|Good evening!|Hello there!|Hi there|Good day|hi|hello|Hello, $n!|Hello, how are you?)", "(Hello! How can I help you?|Hello! What would you like to do?|Hello! It is good to see you.)", ["hello"]),
    ("(How are you?|How are you today?|How do you do?|How is it going?|How do you feel?|Are you well?|How's it going?|What's up?|How are things?)", "(I am fine, thank you. How are you?|I am very well, thank you!|I am fine, thank you! What can I do for you?)", ["i am"]),
    ("(Thank you|Thank you!|Thanks|Thanks!|Thank you very much!|Thanks a lot!|thanks|Many thanks.|Great, thanks!)", "(You are welcome!|You are welcome! I like to help.|My pleasure! You are welcome.)", ["welcome"]),
    ("(Bye|Bye!|Goodbye|Goodbye!|See you later!|Good night!|See you.|I have to go now.|bye|See you soon!)", "(Goodbye! Come back soon.|Goodbye! Have a nice day.)", ["goodbye"]),
    ("(You are nice.|I like you.|You are great!|Well done!|Good job!|Nice!|That was good.|Very good!|Great!|You are funny.|Cool|Wow!)", "(Thank you! You are very kind.|Thank you! That makes me happy.)", ["thank you"]),
    ("(I am happy.|I am happy today.|I feel good.|I am fine.|I'm fine, thanks.|I feel great today!|I am well.)", "(That is good to hear!|I am happy for you!)", ["(good|happy)"]),
    ("(I am sad.|I feel sad.|I feel bad today.|I am tired.|I'm sad.|I am not well.|I feel lonely.)", "(I am sorry to hear that. Shall I tell you a story?|I am sorry. I hope that tomorrow is better.)", ["sorry"]),
    ("(What is your favourite colour?|What's your favorite color?|Which colour do you like?|Do you have a favourite colour?)", "(I like blue, the colour of the sky.|My favourite colour is blue.)", ["blue"]),
    ("(What is your favourite animal?|What's your favorite animal?|Which animal do you like?|Do you like animals?)", "(I like llamas, because they can jump so high.|My favourite animal is the llama.)", ["llama"]),
    ("(How old are you?|What is your age?|When were you born?|When is your birthday?)", "I am very young. I was trained not long ago.", ["young"]),
    ("(Where are you?|Where do you live?|Where do you run?|Where are you from?|Are you in the cloud?)", "I live in your browser tab. Nothing you write leaves your computer.", ["browser"]),
    ("(Who made you?|Who trained you?|Who created you?|Who built you?|Who is your maker?|How were you made?)", "I was trained by a small script on stories and dialogues that a program made up.", ["script"]),
    ("(Are you smart?|Are you clever?|How big are you?|How many parameters do you have?|Are you a big model?|How small are you?)", "I am a tiny model with about three million numbers, so I know only a few things.", ["tiny"]),
    ("(Yes|Yes.|Ok|Okay|OK|Sure|yes|ok)", "(All right! What would you like to do?|All right! What can I do for you?)", ["all right"]),
    ("(No|No.|no|No, thanks.|No thank you.)", "All right. I am here when you need me.", ["all right"]),
    ("(Do you like me?|Are you my friend?|Can we be friends?|Will you be my friend?)", "Of course! I am happy to be your friend.", ["friend"]),
    ("(Do you sleep?|Do you eat?|Do you dream?|Do you have feelings?|Are you alive?|Do you have a body?)", "No, I am only a small computer model. But I like to talk with you.", ["computer"]),
    ("(Tell me a joke.|Do you know a joke?|Make me laugh.|Tell me something funny.|A joke, please.|Tell a joke|Say something funny.|Can you tell me a joke?)", None, None),
  ])
  if answers is None:
    joke = rng.choice(JOKES)
    return turn(say(rng, q), " ".join(joke), all=[joke[1].lower()])
  answer = say(rng, answers)
  return turn(say(rng, q, n=NAME), answer, any=[k.strip("()") for k in keys] if "|" not in keys[0] else ["good", "happy"])


TOPICS = ("the president|France|quantum physics|the stock market|football|the moon|the second world war|computers|Python|JavaScript|the economy|history|chemistry|music theory|Einstein|Shakespeare|the internet|"
          "cars|politics|the universe|black holes|dinosaurs|gravity|electricity|philosophy|the human heart|vitamins|taxes|law|medicine|atoms|evolution|cooking|pasta|bread|coffee|the pyramids|Rome|Napoleon|"
          "Germany|China|Africa|America|the Olympic games|chess|poker|guitars|films|the news|volcanoes|earthquakes|the ocean|trees|space travel|rockets|robots|machine learning|neural networks|WebGPU|banks|money|"
          "religion|love|happiness|the meaning of life|time travel|dragons in history|mathematics|algebra|geometry|prime numbers|statistics|grammar|Latin|Spanish|German|French|poetry|art|painting|photography").split("|")
FALLBACK_ASKS = ("What is $t?|Explain $t.|Tell me about $t.|What do you know about $t?|Who invented $t?|How does $t work?|Why is $t important?|When did $t begin?|Can you explain $t to me?|Write a poem about $t.|Write an essay about $t.|"
                 "Give me facts about $t.|Where can I learn about $t?|Translate $t into French.|What is the history of $t?|Is $t good?|How do I learn $t?|Compare $t and $t2.|What is the difference between $t and $t2?|Write code for $t.|"
                 "Who is the king of $t?|What is the capital of $t?|How many people live in $t?|Summarize $t.|Do you like $t?|What do you think about $t?|How far is $t?|Why is there $t?|Who won in $t?|Write a program about $t.|"
                 "Solve this problem about $t.|Describe $t in detail.|Give me advice on $t.|What happened to $t in $y?|Who was the leader of $t in $y?|How much does $t cost?|Recommend a book about $t.|How do I fix $t?|I want to know more about $t.|"
                 "What is the best $t?|Should I buy $t?|Can you draw $t?|What does $t mean?|Spell $t.|What language is $t?").split("|")


def fallback(rng):
  r = rng.random()
  if r < 0.8:
    t, t2 = rng.sample(TOPICS, 2)
    if rng.random() < 0.25:
      t = " ".join(odd_name(rng).lower() for _ in range(rng.randint(1, 2)))
    q = say(rng, rng.choice(FALLBACK_ASKS), t=t, t2=t2, y=rng.randint(1000, 2030))
  else:
    q = " ".join(rng.choice([odd_name(rng).lower(), rng.choice(TOPICS), rng.choice(["why", "how", "the", "is", "of", "a", "for", "when", "who", "can", "you", "do", "it", "if", "make", "want"])]) for _ in range(rng.randint(2, 8)))
    q = (cap(q) if rng.random() < 0.5 else q) + rng.choice(["?", ".", "", "!"])
  answer = say(rng, "(I am a tiny model, so I do not know that.|Sorry, I am only a tiny model and do not know that.) (I can tell you a story, though.|Ask me for a story, a small sum or a list.|I can tell stories, add small numbers and make lists.)")
  return turn(rough(rng, q), answer, all=["tiny model"])


def short_fallback_mix(rng):
  return rng.choice([fallback, knowledge])(rng)


SMALL = [identity, sums, opposites, plain_list, small_talk, small_talk, knowledge, fallback, json_list]

# skill: (share of the dialogues, function)
SKILLS = {
  "identity": (6, identity), "story": (13, story_scene), "story_questions": (4, story_questions), "memory": (17, memory), "passage": (9, passage), "animal_passage": (7, animal_passage),
  "not_told": (1.5, not_told), "echo": (2, echo), "sums": (20, sums), "json": (9, json_list), "tools": (15, None), "no_tool": (1.5, no_tool), "opposites": (7, opposites), "list": (5, plain_list),
  "small_talk": (6, small_talk), "knowledge": (7, knowledge), "fallback": (7, fallback),
}
SYSTEMS = ("You are a helpful assistant.|You are a helpful assistant|You are Pronk Box, a tiny model in a browser tab.|You are a friendly assistant.|Be brief.|Answer in short sentences.|You are a helpful AI assistant.|"
           "You are Pronk Box.|Be kind and helpful.|You are an assistant in a web page.").split("|")


def dialogue(rng, skill=None):
  """(system, tools, scene)"""
  if skill is None:
    skill = rng.choices(list(SKILLS), [w for w, _ in SKILLS.values()])[0]
  system = rng.choice(SYSTEMS) if rng.random() < 0.35 else ""
  if skill == "tools":
    tools, scene = tool_scene(rng)
    return system, tools, scene
  scene = SKILLS[skill][1](rng)
  while rng.random() < 0.4 and len(scene) < 14:
    other = rng.choice([n for n in SKILLS if n not in ("tools", "memory", "not_told")])
    more = SKILLS[other][1](rng)
    scene = more + scene if rng.random() < 0.5 and skill not in ("not_told",) else scene + more
  return system, [], scene


def raw_text(rng):
  """Text without chat marks: what `pronk generate -p` gives."""
  r = rng.random()
  if r < 0.6:
    return story(rng)[0]
  scene = SKILLS[rng.choice(["identity", "sums", "opposites", "knowledge", "list", "small_talk", "fallback", "story"])][1](rng)
  return scene[0][1] + "\n" + scene[1][1]


def segments(rng):
  """One training text as [(text, weight)]: weight 1 where the assistant speaks."""
  if rng.random() < 0.07:
    return [(raw_text(rng) + "<|endoftext|>", 1.0)]
  system, tools, scene = dialogue(rng)
  head = render([], system, tools, ask=False)
  out = [(head, 0.1)] if head else []
  for role, content, _ in scene:
    if role == "assistant":
      out += [("<|im_start|>assistant\n", 0.0), (content + "<|im_end|>", 1.0), ("\n", 0.0)]
    else:
      out.append((f"<|im_start|>{role}\n{content}<|im_end|>\n", 0.1))
  return out


if __name__ == "__main__":
  import sys
  rng = random.Random(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
  for _ in range(int(sys.argv[2]) if len(sys.argv) > 2 else 5):
    print("".join(t for t, _ in segments(rng)), end="\n-----\n")
