#!/bin/sh
# `npm run chaos -- --seconds N --seed S --faults a,b,c`: breaks what can break under load, and counts the mail.
set -u
cd "$(dirname "$0")/../.."
exec env NODE_NO_WARNINGS=1 sh gateway/node.sh test/chaos/chaos.ts "$@"
