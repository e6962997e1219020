#!/bin/sh
# The gate: type check, lint and every test on real servers, all of them even if one fails; the last line counts.
set -u
cd "$(dirname "$0")/.."

passed=0
failed=0
count() {
  case $1 in
    0) passed=$((passed + 1)) ;;
    *) failed=$((failed + 1)) ;;
  esac
}
finish() {
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
  exit
}

echo "== what the tests need"
if ! sh deploy/install-packages.sh redis-server clamav clamav-daemon \
  c-icap libc-icap-mod-virus-scan rspamd slapd ldap-utils \
  spamassassin spamd postfix prometheus openssl strace ||
  ! sh deploy/install-modules.sh; then
  count 1
  finish
fi

# Everything the tests start carries this mark, and keeps its files below this folder. Servers change their user.
SALLYPORT_TEST_RUN=$$-$(date +%s)
TMPDIR=$(mktemp -d /tmp/sp.XXXXXX)
chmod 755 "$TMPDIR"
transcript=$TMPDIR/transcript
# Interrupted, nothing is waited for: what carries the mark is ended at once.
leave() {
  sh test/leftovers.sh "$SALLYPORT_TEST_RUN" "$TMPDIR" 1 >/dev/null
  rm -rf "$TMPDIR"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
in_run() {
  env SALLYPORT_TEST_RUN="$SALLYPORT_TEST_RUN" TMPDIR="$TMPDIR" NODE_NO_WARNINGS=1 "$@"
}

echo "== type check"
in_run sh gateway/node.sh node_modules/typescript/bin/tsc --noEmit
count $?

echo "== lint and format"
in_run sh gateway/node.sh node_modules/@biomejs/biome/bin/biome check --no-errors-on-unmatched .
count $?

# tests SECONDS FILES-AT-ONCE NAME FOLDER: a group of test files; a hang costs its test, at worst its group.
tests() {
  echo "== $3"
  if [ -z "$(find "$4" -name '*.test.ts' 2>/dev/null | head -n 1)" ]; then
    echo "not ok  there are none in $4"
    count 1
    return
  fi
  # In the background, so that a signal to us is heeded at once.
  in_run timeout --kill-after=10 "$1" sh gateway/node.sh --test \
    --test-timeout=120000 --test-concurrency="$2" --test-reporter=./test/reporter.ts \
    "$4/**/*.test.ts" 2>&1 | tee "$transcript" &
  wait $!
  last=$(tail -n 1 "$transcript")
  group_passed=$(expr "$last" : '\([0-9][0-9]*\) passed, [0-9][0-9]* failed$')
  group_failed=$(expr "$last" : '[0-9][0-9]* passed, \([0-9][0-9]*\) failed$')
  if [ -z "$group_passed" ]; then
    echo "not ok  $3 ended without a count, or took longer than $1 s"
    count 1
  else
    passed=$((passed + group_passed))
    failed=$((failed + group_failed))
  fi
}
tests 480 2 'unit tests' test/unit
tests 120 2 'dialogs' test/dialogs
tests 900 1 'journeys' test/journeys
[ -z "$(ls test/chaos/*.test.ts 2>/dev/null)" ] || tests 300 1 'chaos' test/chaos

echo "== nothing is left running"
sh test/leftovers.sh "$SALLYPORT_TEST_RUN" "$TMPDIR"
count $?

finish
