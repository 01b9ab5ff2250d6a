"""Measures a class of adapters for src/kernels/defaults.json and writes its choices there.

usage: tune_defaults.py --class NAME [--adapters WORD,WORD] [--kernels NAME,NAME] [--seconds N] [--pronk PATH] MODEL... | --times FILE...
  --class     as the file names it; one that is not there yet is added
  --adapters  words by which its adapters' names are known; of a class that is there those stay
  --kernels   only these; lines for others stay
  --times     uses files of earlier runs of `pronk tune --times`, so that several machines can speak for a class

Each model is measured on the GPU that pronk finds. For a kernel that candidate is taken with which all shapes together are
fastest (the mean of its time's ratio to the best of each shape); a shape whose own best is a fifth faster still gets a line.
Activations stay as they are: a default does not round. In the file a line may also have a list: the first candidate that the
device runs holds. What needs a feature that the native library does not offer has to be measured elsewhere and written by hand.
"""
import argparse
import datetime
import json
import math
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

root = Path(__file__).resolve().parent.parent
defaults = root / "src/kernels/defaults.json"
worth_a_line = 1.2


def measure(arguments, folder):
    for n, model in enumerate(arguments.from_):
        times = Path(folder, f"{n}.tsv")
        subprocess.run([arguments.pronk, "tune", "-m", model, "--cache", folder, "--activations", "f32",
                        "--seconds", str(arguments.seconds), "--times", times], check=True)
        yield times


def read(files):
    """{kernel: {shape: {candidate: microseconds}}}; of a shape measured twice the mean of the logarithms."""
    found = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for file in files:
        for line in Path(file).read_text(encoding="utf-8").splitlines()[1:]:
            key, candidate, us = line.split("\t")
            found[key.split(" ")[0]][key][candidate].append(float(us))
    mean = lambda times: math.exp(sum(map(math.log, times)) / len(times))
    return {kernel: {key: {c: mean(t) for c, t in times.items()} for key, times in shapes.items()}
            for kernel, shapes in found.items()}


def choices_of(shapes, kernel):
    everywhere = set.intersection(*(set(times) for times in shapes.values()))
    if not everywhere:
        return {}
    cost = lambda candidate: sum(math.log(times[candidate] / min(times.values())) for times in shapes.values())
    best = min(sorted(everywhere), key=cost)
    lines = {key: min(times, key=times.get) for key, times in sorted(shapes.items())
             if times[best] > worth_a_line * min(times.values())}
    return lines | {f"{kernel} *": best}


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--class", dest="name", required=True)
    parser.add_argument("--adapters", default="")
    parser.add_argument("--kernels", default="")
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--pronk", default=str(root / "build/native/pronk"))
    parser.add_argument("--times", action="store_true")
    parser.add_argument("from_", nargs="+", metavar="MODEL|FILE")
    arguments = parser.parse_args()
    classes = json.loads(defaults.read_text(encoding="utf-8"))
    own = next((each for each in classes if each["class"] == arguments.name), None)
    if own is None:
        if not arguments.adapters:
            sys.exit(f"there is no class {arguments.name}: --adapters says what adapters are of it")
        classes.append(own := {"class": arguments.name, "adapters": arguments.adapters.split(",")})
    with tempfile.TemporaryDirectory() as folder:
        shapes = read(arguments.from_ if arguments.times else measure(arguments, folder))
    shapes = {kernel: found for kernel, found in shapes.items() if kernel in (arguments.kernels.split(",") if arguments.kernels else shapes)}
    own["measured"] = f"{datetime.date.today()}, {sum(map(len, shapes.values()))} shapes"
    own["choices"] = {key: c for key, c in own.get("choices", {}).items() if key.split(" ")[0] not in shapes}
    for kernel in shapes:
        own["choices"] |= choices_of(shapes[kernel], kernel)
    defaults.write_text(json.dumps(classes, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
