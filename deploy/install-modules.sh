#!/bin/sh
# Installs the Node.js modules of package-lock.json, unless those in node_modules already are the ones.
set -eu
cd "$(dirname "$0")/.."

stamp=node_modules/.sallyport-lock
current() { cmp -s package-lock.json "$stamp"; }
if current; then exit 0; fi

command -v npm >/dev/null || {
  echo "install-modules: npm is missing; please install it (Debian: apt-get install npm)" >&2
  exit 1
}

# Two at once would empty the folder below each other.
exec 9<package-lock.json
flock 9
if current; then exit 0; fi

# npm insists on a cache it may write to.
if [ ! -w "${HOME:-/nonexistent}" ]; then
  npm_config_cache=$(mktemp -d)
  export npm_config_cache
  trap 'rm -rf "$npm_config_cache"' EXIT
fi

echo "Installing node modules ..."
# Run by whatever Node.js the host has, npm would warn that the modules want the one among them.
npm ci --ignore-scripts --loglevel=error --no-audit --no-fund --no-progress 9<&- || {
  echo "install-modules: npm ci failed (its words are above)" >&2
  exit 1
}
cp package-lock.json "$stamp"
