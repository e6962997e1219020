#!/bin/sh
# Installs what the demo needs and is missing, then runs it.
set -eu
cd "$(dirname "$0")/../.."
sh deploy/install-packages.sh redis-server clamav-daemon rspamd slapd openssl
sh deploy/install-modules.sh
exec sh gateway/node.sh deploy/demo/demo.ts "$@"
