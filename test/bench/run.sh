#!/bin/sh
# `npm run bench -- --cells 4096:10:keep --repeat 5`: measures us and the peers in turn, on the same servers.
set -u
cd "$(dirname "$0")/../.."
exec env NODE_NO_WARNINGS=1 sh gateway/node.sh test/bench/bench.ts "$@"
