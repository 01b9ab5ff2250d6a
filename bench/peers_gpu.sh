#!/usr/bin/env bash
# Figures are ratios within a run: the machine ought to be idle otherwise.
# pronk and wllama on the GPU of the same Chromium, decode and prefill of 256, then load to first token: a JSON line each.
# usage: peers_gpu.sh PEERBENCH CHROMIUM MESA MODEL...
#   PEERBENCH, CHROMIUM, MESA: folders as `../shared/tools` makes them; PRONK_DIST names pronk's web/dist
set -euo pipefail
[ $# -ge 4 ] || { sed -n '3,5s/^# \{0,1\}//p' "$0"; exit 2; }
here=$(cd "$(dirname "$0")" && pwd) peerbench=$1 chromium=$2/chromium mesa=$3
shift 3
export PRONK_DIST=${PRONK_DIST:-$here/../web/dist}
. "$mesa/env-lavapipe"
for model in "$@"; do
  (cd "$peerbench" && node bench.mjs --engine "${ENGINES:-wllama,pronk}" --gpu 1 --chromium "$chromium" --chrome-flag=--ignore-gpu-blocklist --model "$model" \
    --prompt-tokens 256 --gen "${GEN:-16}" --runs "${RUNS:-1}" --no-reload --json) || true
  [ "${FIRST:-1}" = 0 ] || node "$here/first_token.mjs" "$peerbench" "${ENGINES:-wllama,pronk}" "$model" "$chromium"
done
