"""The closed word lists that the corpus is made of, and the small text grammar that combines them."""
import re
from string import Template

GIRLS = ("Mia Anna Lily Emma Zoe Nora Ella Ruby Ivy Lucy Clara Maya Rosa Alice Hanna Eva Lena Sara Tina Julia "
         "Olivia Sophie Grace Nina Amy Kate Laura Maria Jane Lisa Mary Holly Daisy Molly Chloe").split()
BOYS = ("Tom Ben Max Leo Sam Finn Oscar Jack Noah Theo Hugo Felix Adam Paul Luke Oliver Henry Peter Tim David Daniel "
        "Liam Otto Emil Jonas Mark John Alex Simon Nick Charlie Toby Jake Harry Bob").split()
PET_NAMES = "Rex Luna Bella Milo Pip Coco Fluffy Spot Shadow Ginger Biscuit Pepper Snowy Rusty Tiger Buddy Cookie Misty".split()
COLOURS = "red blue green yellow orange purple pink brown black white grey golden silver".split()
ANIMALS = ("cat dog fox owl bear rabbit mouse horse cow pig sheep duck goat lion tiger elephant monkey frog wolf deer "
           "hedgehog squirrel penguin turtle parrot llama fish bird zebra giraffe snake whale dolphin bee").split()
PETS = "cat dog rabbit mouse horse parrot turtle goat duck fish hamster llama pony frog snake bird".split()
FRUITS = "apple banana cherry pear plum grape lemon orange peach mango strawberry melon".split()
VEGETABLES = "carrot potato onion tomato pea bean pumpkin cabbage".split()
THINGS = ("ball kite hat book lamp cup box bag car boat bike drum key coat scarf chair door house umbrella balloon "
          "lantern ring map stone shell flute clock blanket button bell spoon").split()
CITIES = ("Paris London Berlin Rome Madrid Tokyo Oslo Vienna Prague Lisbon Dublin Athens Cairo Boston Chicago Sydney "
          "Toronto Moscow Delhi Lima Helsinki Warsaw Budapest Zurich Munich Hamburg Milan Seattle Denver Dallas Seoul "
          "Beijing Mumbai Nairobi Stockholm Copenhagen Brussels Amsterdam Geneva Venice Naples Kyoto Miami "
          "San@Francisco New@York Los@Angeles Cape@Town Hong@Kong").replace("@", "_").split()
CITIES = [c.replace("_", " ") for c in CITIES]
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()
NUMBER_WORDS = ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
                "seventeen eighteen nineteen twenty").split()
OPPOSITES = [tuple(p.split("-")) for p in (
    "hot-cold big-small up-down left-right day-night black-white fast-slow old-young happy-sad open-closed full-empty "
    "light-dark high-low long-short hard-soft good-bad rich-poor strong-weak loud-quiet wet-dry early-late easy-difficult "
    "near-far clean-dirty thick-thin heavy-light first-last inside-outside above-below before-after new-old true-false "
    "win-lose start-stop begin-end push-pull give-take love-hate in-out on-off yes-no summer-winter sweet-sour deep-shallow "
    "wide-narrow front-back top-bottom brave-afraid awake-asleep tall-short always-never more-less many-few").split()]
SOUNDS = dict(cow="moo", cat="meow", dog="woof", duck="quack", sheep="baa", pig="oink", lion="roar", frog="ribbit",
              owl="hoot", bee="buzz", snake="hiss", mouse="squeak", horse="neigh", wolf="howl", bird="tweet")
THING_COLOURS = {"the sky": "blue", "grass": "green", "snow": "white", "the sun": "yellow", "a banana": "yellow",
                 "a strawberry": "red", "the sea": "blue", "coal": "black", "an orange": "orange", "milk": "white",
                 "a carrot": "orange", "a frog": "green", "blood": "red", "chocolate": "brown", "a lemon": "yellow",
                 "a leaf": "green", "the night": "black", "a tomato": "red", "a polar bear": "white", "a crow": "black"}
LEGS = dict(cat=4, dog=4, horse=4, cow=4, bird=2, duck=2, spider=8, bee=6, ant=6, snake=0, fish=0, person=2, lion=4,
            sheep=4, elephant=4, owl=2, penguin=2, fox=4)
HOMES = dict(fish="in the water", bird="in a nest", bee="in a hive", bear="in a cave", penguin="in the cold south",
             whale="in the sea", lion="in the wild grass", rabbit="in a burrow", cow="on a farm", frog="near a pond",
             squirrel="in a tree", dolphin="in the sea", pig="on a farm", owl="in the forest")


def a(noun):
  return ("an " if noun[0] in "aeiou" else "a ") + noun


def plural(noun):
  special = dict(mouse="mice", sheep="sheep", fish="fish", wolf="wolves", deer="deer", cherry="cherries", scarf="scarves",
                 strawberry="strawberries", potato="potatoes", tomato="tomatoes", pony="ponies", goose="geese")
  if noun in special:
    return special[noun]
  return noun + ("es" if noun.endswith(("x", "ch", "s")) else "s")


def cap(text):
  return text[:1].upper() + text[1:]


CHOICE = re.compile(r"\(([^()]*)\)")


def say(rng, text, **values):
  """Chooses among (one|two|three), innermost first, then fills in $values."""
  while match := CHOICE.search(text):
    text = text[:match.start()] + rng.choice(match.group(1).split("|")) + text[match.end():]
  return Template(text).substitute(values) if "$" in text else text


def and_list(words):
  return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


SYLLABLES = "ba be bi bo da de di do ka ke ki ko la le li lo ma me mi mo na ne ni no ra re ri ro sa se si so ta te ti to va vi wo za zi zu pa pe pu fa fi gu go ha hu ja jo".split()


def odd_name(rng):
  """A name that is in no list, so that copying is learned and not a table of names."""
  return cap("".join(rng.choice(SYLLABLES) for _ in range(rng.randint(2, 3))) + rng.choice(["", "", "n", "s", "x", "l", "r", "k"]))


def person(rng):
  """(name, he, him, his)"""
  if rng.random() < 0.5:
    return (rng.choice(GIRLS) if rng.random() < 0.8 else odd_name(rng)), "she", "her", "her"
  return (rng.choice(BOYS) if rng.random() < 0.8 else odd_name(rng)), "he", "him", "his"


def name(rng):
  return person(rng)[0]


def pet_name(rng):
  r = rng.random()
  return rng.choice(PET_NAMES) if r < 0.55 else rng.choice(GIRLS + BOYS) if r < 0.75 else odd_name(rng)
