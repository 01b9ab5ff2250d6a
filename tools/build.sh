#!/usr/bin/env bash
# Builds parts of pronk; tools/setup.sh must have run.
#
# usage: tools/build.sh PART...      PART is one of native, asan, arm, wasm, web (web includes demo, and needs wasm)
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"

# build_cpp PRESET FOLDER
build_cpp() {
  (cd "$root" && timeout -k 10 600 cmake --preset "$1" >"$root/build/$2.configure.log" 2>&1) || {
    cat "$root/build/$2.configure.log" >&2
    die "cmake --preset $1 failed"
  }
  timeout -k 10 7200 ninja -C "$root/build/$2" -j "$(nproc)"
}

# build_npm FOLDER: its "build" script.
build_npm() {
  if [ ! -f "$root/$1/package.json" ]; then
    echo "note: no $1/package.json, not built"
    return
  fi
  (cd "$root/$1" && timeout -k 10 1800 npm run build)
}

[ $# -gt 0 ] || { sed -n '2,4s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2; exit 2; }
mkdir -p "$root/build"
for part in "$@"; do
  case "$part" in
    native) build_cpp native native ;;
    asan) build_cpp native-asan asan ;;
    arm) build_cpp arm arm ;;
    wasm) build_cpp wasm wasm ;;
    web) build_npm web; build_npm demo ;;
    *) die "unknown part '$part'" ;;
  esac
done
