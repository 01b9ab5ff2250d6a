#!/bin/sh
# Makes models/pronk-box.gguf from nothing: corpus, tokenizer, training, GGUF, score. Python 3.11 and network for PyPI.
#   tools/boxmodel/build.sh [WORK_FOLDER]        (default build/boxmodel; training goes on from a checkpoint there)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=${1:-$root/build/boxmodel}
mkdir -p "$work"
[ -x "$work/venv/bin/python" ] || python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet -r "$here/requirements.txt"
cd "$here"
[ -f "$work/tokenizer.json" ] || "$work/venv/bin/python" tokenizer.py "$work/tokenizer.json" 2048
nice -n 10 "$work/venv/bin/python" train.py --work "$work"
"$work/venv/bin/python" export.py --work "$work" --out "$root/models/pronk-box.gguf"
cp "$work/loss.csv" "$root/models/loss.csv"
python3 evaluate.py --out "$root/models/EVALUATION.md"
