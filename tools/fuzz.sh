#!/usr/bin/env bash
# A bounded run of a fuzz target, from its seeds in tests/fuzz/corpus and what earlier runs here have found.
# usage: fuzz.sh TARGET SECONDS LOGS
#   TARGET: a program, such as build/asan/fuzz/gguf_fuzz; LOGS: a folder for its log, what it finds and what stops it
set -euo pipefail
[ $# = 3 ] || { sed -n '3,4s/^# \{0,1\}//p' "$0"; exit 2; }
name="$(basename "$1")" seconds="$2" logs="$3"
corpus=("$logs/corpus/$name")
mkdir -p "${corpus[0]}"
seeds="$(dirname "${BASH_SOURCE[0]}")/../tests/fuzz/corpus/$name"
[ -d "$seeds" ] && corpus+=("$seeds")
if timeout -k 15 $((seconds + 90)) "$1" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1536 \
  -artifact_prefix="$logs/$name-" "${corpus[@]}" >"$logs/$name.log" 2>&1 </dev/null; then
  echo "$name passed"
else
  tail -n 80 "$logs/$name.log"
  echo "$name failed"
  exit 1
fi
