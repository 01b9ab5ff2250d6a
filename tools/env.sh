# Sourced by ./check, ./serve and tools/setup.sh: the repository's root, the pinned versions and the search path.
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
. "$root/versions.env"

deps="$root/build/deps"
[ -x "$deps/node/bin/node" ] && PATH="$deps/node/bin:$PATH"
export PATH
export PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1  # tests use Debian's chromium

die() {
  echo "$(basename "$0"): $*" >&2
  exit 1
}

# node_is_enough: there is a node of at least NODE_MINIMUM, with npm.
node_is_enough() {
  local version
  version="$(timeout 20 node --version 2>/dev/null)" || return 1
  version="${version#v}"
  [ "${version%%.*}" -ge "$NODE_MINIMUM" ] && command -v npm >/dev/null
}
