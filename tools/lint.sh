#!/usr/bin/env bash
# Formatting and lint of everything: clang-format over C++, Biome over TypeScript, JavaScript, CSS and JSON.
#
# usage: tools/lint.sh [--fix]      --fix rewrites what can be mended without judgement
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
cd "$root"

clang_format=(--dry-run --Werror) biome=(check --error-on-warnings)
case "${1:-}" in
  "") ;;
  --fix) clang_format=(-i) biome+=(--write) ;;
  *) sed -n '2,4s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2 ;;
esac
git ls-files -z --cached --others --exclude-standard '*.cpp' '*.h' |
  xargs -0 "clang-format-$LLVM_VERSION" "${clang_format[@]}"
web/node_modules/.bin/biome "${biome[@]}" .
