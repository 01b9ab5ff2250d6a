#!/usr/bin/env python3
"""Writes tests/golden/box.json: what models/pronk-box.gguf answers, greedily, to six chat prompts.

  python3 tools/golden_box.py [--pronk build/native/pronk] [--model models/pronk-box.gguf] [--out tests/golden/box.json]

The tests compare every build and back end with it. The answers come from the CPU. Where two tokens are nearly as
likely, rounding decides, and back ends may differ with no fault in either: a case ends before the first such place. A
prompt whose answer comes there too soon gives way to the next one; when all do, as with stories, a case is the longest
stretch between two such places, and what comes before it is part of the prompt ("begun").
"""
import argparse
import array
import hashlib
import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, f"{ROOT}/tools/boxmodel")
from template import render, tool_call  # noqa: E402  (standard library only)

MARGIN = 0.15  # least distance of the two largest logits
FEWEST = 5  # tokens of a case


def tool(name, text):
  return {"name": name, "description": text,
          "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}


TOOLS = [tool("get_weather", "Get the weather in a city"), tool("get_time", "Get the time in a city")]
PARIS = [("user", "What is the weather in Paris?"), ("assistant", tool_call("get_weather", {"city": "Paris"}))]
CAT = [("user", "I have a grey cat called Luna."), ("assistant", "Luna is a lovely name for a cat!")]

# A case is the first of a row that serves: (messages, tools, most tokens). Few tokens: a CPU that plays a GPU is slow.
CASES = [
  [([("user", words)], [], 16) for words in ("What is your name?", "Who are you?", "What can you do?")],
  [([("user", f"Tell me a story about a brave {hero}.")], [], 12)
   for hero in ("rabbit named Milo", "fox named Anna", "bear named Tom", "mouse named Lily", "dog named Max")],
  [(CAT + [("user", "What is my cat called?")], [], 24), (CAT + [("user", "What colour is my cat?")], [], 24)],
  [([("user", f"What is {sum}?")], [], 24) for sum in ("7 + 8", "4 + 5", "9 + 3", "2 + 2")],
  [([("user", f"Give me a JSON list of {words}.")], [], 24)
   for words in ("three colours", "two fruits", "four animals", "five animals")],
  [(PARIS[:1], TOOLS, 40), ([("user", "What time is it in Tokyo?")], TOOLS, 40),
   (PARIS + [("tool", '{"city": "Paris", "weather": "sunny", "temperature": 21}')], TOOLS, 24)],
]


def run(command, **more):
  return subprocess.run(command, check=True, capture_output=True, text=True, timeout=300, **more).stdout


def tokenize(args, text):
  return json.loads(run([args.pronk, "tokenize", "-m", args.model, "--special"], input=text))


def detokenize(args, tokens):
  return run([args.pronk, "detokenize", "-m", args.model], input=json.dumps(tokens))


def generate(args, tokens, count):
  ids = ",".join(map(str, tokens))
  return json.loads(run([args.pronk, "generate", "-m", args.model, "--tokens", ids, "-n", str(count), "--json",
                         "--backend", "cpu"]))


def margins(args, prompt, tokens):
  """For each of tokens: the distance of the two largest logits where it was chosen."""
  ids = ",".join(map(str, prompt + tokens))
  with tempfile.NamedTemporaryFile() as out:
    run([args.pronk, "logits", "-m", args.model, "--tokens", ids, "--out", out.name, "--backend", "cpu"])
    logits = array.array("f", out.read())
  vocabulary = len(logits) // len(prompt + tokens)
  result = []
  for i, token in enumerate(tokens):
    at = (len(prompt) - 1 + i) * vocabulary
    second, first = sorted(logits[at:at + vocabulary])[-2:]
    if logits[at + token] != first and first - logits[at + token] > MARGIN:
      raise SystemExit("golden_box: `pronk logits` and `pronk generate` do not agree")
    result.append(first - second)
  return result


def make_case(args, messages, tools, most, anywhere=False):
  """anywhere: the longest stretch of the answer, else its beginning; None when that is too short."""
  asked = render(messages, "", tools)
  asked_tokens = tokenize(args, asked)
  answer = generate(args, asked_tokens, 80 if anywhere else most)["tokens"]
  ties = [i for i, margin in enumerate(margins(args, asked_tokens, answer)) if margin < MARGIN] + [len(answer)]
  starts = [0] + [i + 1 for i in ties[:-1]] if anywhere else [0]
  for count, start in sorted(((min(end - start, most), start) for start, end in zip(starts, ties)), reverse=True):
    if count < FEWEST:
      return None
    begun = detokenize(args, answer[:start])
    prompt_tokens = asked_tokens + answer[:start]
    if tokenize(args, asked + begun) != prompt_tokens:
      continue
    made = generate(args, prompt_tokens, most if start + count == len(answer) else count)
    if made["tokens"] != answer[start:start + count]:
      raise SystemExit("golden_box: the same prompt got two answers")
    return {"messages": [{"role": role, "content": content} for role, content in messages], "tools": tools, "begun": begun,
            "prompt": asked + begun, "prompt_tokens": prompt_tokens, "most": most if made["finish_reason"] == "stop" else count,
            "tokens": made["tokens"], "text": made["text"]}
  return None


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument("--pronk", default=f"{ROOT}/build/native/pronk")
  parser.add_argument("--model", default=f"{ROOT}/models/pronk-box.gguf")
  parser.add_argument("--out", default=f"{ROOT}/tests/golden/box.json")
  args = parser.parse_args()
  with open(args.model, "rb") as f:
    sha256 = hashlib.sha256(f.read()).hexdigest()
  cases = []
  for row in CASES:
    case = next(filter(None, [*(make_case(args, *given) for given in row), make_case(args, *row[0], anywhere=True)]), None)
    if case is None:
      asked = json.dumps(row[0][0][-1][1])
      raise SystemExit(f"golden_box: no prompt like {asked} has an answer that rounding leaves alone")
    print(f"{len(case['prompt_tokens'])} + {len(case['tokens'])} tokens: {case['begun'][-40:]!r} {case['text']!r}")
    cases.append(case)
  with open(args.out, "w") as f:
    json.dump({"sha256": sha256, "cases": cases}, f, indent=1)
    f.write("\n")


if __name__ == "__main__":
  main()
