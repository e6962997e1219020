#!/bin/sh
# `npm run bench -- --cells 4096:10:keep --repeat 5`: measures us and the peers in turn, on the same servers.
# `npm run bench -- --memory` and `-- --flat 1000000`: what our processes hold, under large messages and after many.
# `npm run bench -- --battery`: what we and others catch (`--names`: and what not).
set -u
cd "$(dirname "$0")/../.."
case " $* " in
  *' --memory '* | *' --flat'*) program=memory.ts ;;
  *' --battery '*) program=battery.ts ;;
  *) program=bench.ts ;;
esac
exec env NODE_NO_WARNINGS=1 sh gateway/node.sh "test/bench/$program" "$@"
