#!/bin/sh
# `npm run chaos:power -- --cuts N --seed S`: cuts the power of the spool's disk under load, and counts the mail. As root.
set -u
cd "$(dirname "$0")/../.."
exec env NODE_NO_WARNINGS=1 sh gateway/node.sh test/chaos/power.ts "$@"
