#!/bin/sh
# Runs its arguments under the Node.js pinned in package.json, or the host's own from version 24 on.
here=$(cd "$(dirname "$0")/.." && pwd)
case $(uname -m) in
  x86_64 | amd64) arch=x64 ;;
  aarch64 | arm64) arch=arm64 ;;
  *) arch=none ;;
esac
pinned="$here/node_modules/node-linux-$arch/bin"
if [ -x "$pinned/node" ]; then
  PATH="$pinned:$PATH"
  export PATH
elif ! command -v node >/dev/null ||
  [ "$(node -p 'process.versions.node.split(".")[0]')" -lt 24 ]; then
  echo "sallyport needs Node.js 24 or newer: run 'npm ci' in $here, or install Node.js 24" >&2
  exit 1
fi
exec node "$@"
