"""Scores a model on 200 prompts from seeds that training never uses, through `pronk generate`, greedily.

  python3 evaluate.py [--pronk build/native/pronk] [--model models/pronk-box.gguf] [--out models/EVALUATION.md]

Needs the standard library only. Every answer must also end by itself, within 320 tokens.
"""
import argparse
import json
import os
import random
import re
import subprocess
import tempfile

from corpus import KINDS, SKILLS, animal_passage, echo, fallback, knowledge, not_told, passage, small_talk, tool_scene
from template import render
from words import NUMBER_WORDS

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COUNTS = {"name and purpose": 14, "stories": 22, "questions about a story it told": 14, "facts told earlier in the dialogue": 34,
          "questions about a given text": 18, "sums and differences up to 20": 26, "JSON": 18, "tool calls and their results": 22, "opposites": 12,
          "plain lists": 8, "small talk, small knowledge, unknown things": 12}


def scene_of(category, rng):
  """(system, tools, scene)"""
  simple = {"name and purpose": "identity", "stories": "story", "questions about a story it told": "story_questions",
            "facts told earlier in the dialogue": "memory", "sums and differences up to 20": "sums", "JSON": "json", "opposites": "opposites",
            "plain lists": "list"}
  if category in simple:
    return "", [], SKILLS[simple[category]][1](rng)
  if category == "questions about a given text":
    return "", [], rng.choice([passage, animal_passage])(rng)
  if category == "tool calls and their results":
    tools, scene = tool_scene(rng)
    return "", tools, scene
  return "", [], rng.choice([small_talk, small_talk, knowledge, knowledge, fallback, fallback, not_told])(rng)


def prompts():
  """[(category, prompt, check)]; the same list each time."""
  out = []
  for category, count in COUNTS.items():
    for i in range(count):
      rng = random.Random(f"held out: {category} {i}")
      while True:
        system, tools, scene = scene_of(category, rng)
        judged = [k for k, (role, _, check) in enumerate(scene) if role == "assistant" and check]
        if category == "questions about a story it told":
          judged = judged[1:]
        if category == "tool calls and their results":
          judged = [k for k in judged if "call" in scene[k][2] or scene[k - 1][0] == "tool" or "no tool" in scene[k][1]]
        if judged:
          break
      k = rng.choice(judged)
      out.append((category, render([m[:2] for m in scene[:k]], system, tools), scene[k][2]))
  return out


def story_is_right(text, name, wanted):
  if len(text.split()) < 80:
    return False
  found = re.search(r"(?:named|called) ([A-Z][a-z]+)", text)
  if not found or (name and found.group(1) != name) or text.count(found.group(1)) < 4:
    return False
  # Capitals inside of a sentence are the hero and the friend, and nobody else.
  inside = set(re.findall(r"[a-z,] ([A-Z][a-z]+)", text)) - {"I"}
  return found.group(1) in inside and len(inside) <= 2 and all(re.search(rf"\b{w}\b", text) for w in wanted)


def list_is_right(words, kind, count):
  known = set(KINDS[kind])
  return isinstance(words, list) and len(words) == count == len(set(map(str, words))) and all(w in known for w in words)


def parsed(text):
  try:
    return json.loads(text)
  except json.JSONDecodeError:
    return None


def is_right(text, check):
  low = text.lower()
  if "story" in check:
    return story_is_right(text, check["story"], check["wanted"])
  if "number" in check:
    equation = re.search(r"= (-?\d+)", text)
    return bool(equation) and int(equation.group(1)) == check["number"] and int(re.findall(r"\d+", text)[-1]) == check["number"]
  if "call" in check:
    inner = re.fullmatch(r"<tool_call>(.*)</tool_call>", text.strip(), re.S)
    return bool(inner) and parsed(inner.group(1)) == {"name": check["call"], "arguments": check["arguments"]}
  if "jsonlist" in check:
    return list_is_right(parsed(text), check["jsonlist"], check["count"])
  if "jsonobject" in check:
    made = parsed(text)
    return isinstance(made, dict) and list(made) == [check["jsonobject"]] and list_is_right(made[check["jsonobject"]], check["jsonobject"], check["count"])
  if "json" in check:
    return parsed(text) == check["json"]
  if "words" in check:
    items = re.split(r", | and ", text.strip().rstrip("."))
    known = {w.lower() for w in KINDS[check["words"]]}
    return len(items) == check["count"] == len(set(items)) and all(w.lower() in known for w in items)
  if "any" in check:
    return any(k in low for k in check["any"])
  return all(re.search(rf"(?<!\w){re.escape(k)}(?!\w)", low) if k[-1].isalnum() else k in low for k in check["all"])


def generate(args, texts):
  lines = subprocess.run([args.pronk, "tokenize", "-m", args.model, "--jsonl", "--special"], check=True, text=True, capture_output=True,
                         input="".join(json.dumps(t) + "\n" for t in texts)).stdout.splitlines()
  for line in lines:
    ids = ",".join(map(str, json.loads(line)))
    run = subprocess.run([args.pronk, "generate", "-m", args.model, "--tokens", ids, "-n", "320", "--backend", args.backend, "--json"],
                         check=True, text=True, capture_output=True, timeout=300)
    yield json.loads(run.stdout)


def report(args, scores, failures):
  right, total = sum(r for r, _ in scores.values()), sum(n for _, n in scores.values())
  rows = [f"| {category} | {r} | {n} |" for category, (r, n) in scores.items()]
  lines = ["# How the box model does", "", "Made by `python3 tools/boxmodel/evaluate.py`: prompts from seeds that training never uses, greedy decoding, "
           f"`pronk generate --backend {args.backend}`. An answer counts when a program finds it right and it ended by itself.", "",
           "The prompts come from the same generator as the training texts. Names, colours, things and their combinations are new; most wordings of a",
           "question are not, and of the sums and opposites all have been seen. So this measures what the model was made for, not what it makes of other people's words.", "",
           "| skill | right | of |", "|---|---|---|", *rows, f"| **all** | **{right}** | **{total}** |", "", f"Score: **{100 * right / total:.1f} %**", ""]
  if failures:
    lines += ["## What went wrong", ""]
    for category, asked, text in failures:
      lines += [f"- {category}: asked {json.dumps(asked)}, it said {json.dumps(text[:200])}"]
    lines.append("")
  return "\n".join(lines)


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument("--pronk", default=f"{ROOT}/build/native/pronk")
  parser.add_argument("--model", default=f"{ROOT}/models/pronk-box.gguf")
  parser.add_argument("--backend", default="cpu")
  parser.add_argument("--out")
  parser.add_argument("--every", type=int, default=1, help="a quick look at one prompt in so many")
  args = parser.parse_args()
  cases = prompts()[::args.every]
  scores, failures = {}, []
  for (category, prompt, check), result in zip(cases, generate(args, [p for _, p, _ in cases])):
    ok = is_right(result["text"], check) and result["finish_reason"] != "length"
    right, count = scores.get(category, (0, 0))
    scores[category] = (right + ok, count + 1)
    if not ok:
      asked = re.findall(r"<\|im_start\|>(?:user|tool)\n(.*?)<\|im_end\|>", prompt, re.S)[-1]
      failures.append((category, asked, result["text"]))
  text = report(args, scores, failures)
  print(text)
  if args.out:
    with open(args.out, "w") as f:
      f.write(text)


if __name__ == "__main__":
  main()
