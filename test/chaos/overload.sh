#!/bin/sh
# `npm run chaos:overload -- --clients N --seconds N --idle N --slow N`, with as many open files as we may have.
set -u
cd "$(dirname "$0")/../.."
ulimit -n "$(ulimit -Hn)" 2>/dev/null
exec env NODE_NO_WARNINGS=1 sh gateway/node.sh test/chaos/overload.ts "$@"
