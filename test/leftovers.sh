#!/bin/sh
# Names and ends every process that a test run (its mark, its folder) left behind; fails if there was one.
set -u
mark=$1
folder=$2
looks=${3:-6}

# Servers that rename themselves overwrite their environment, so the folder is a second mark.
belongs() {
  {
    tr '\0' '\n' <"$1/environ" | grep -qxF "SALLYPORT_TEST_RUN=$mark" ||
      tr '\0' ' ' <"$1/cmdline" | grep -qF "$folder/" ||
      ls -l "$1/cwd" "$1/fd/" | grep -qF -- "-> $folder"
  } 2>/dev/null
}
look() {
  for process in /proc/[0-9]*; do
    pid=${process#/proc/}
    [ "$pid" -ne $$ ] && belongs "$process" && echo "$pid"
  done
  return 0
}

# What was told to stop a moment ago may still be about it.
for try in 6 5 4 3 2 1; do
  [ "$try" -gt "$looks" ] && continue
  left=$(look)
  [ -z "$left" ] && exit 0
  [ "$try" -gt 1 ] && sleep 0.3
done
for pid in $left; do
  echo "not ok  left behind: $pid $({ tr '\0' ' ' <"/proc/$pid/cmdline"; } 2>/dev/null)"
done
# What starts others may start one more while we look.
for _ in 1 2 3 4 5; do
  for pid in $left; do kill -9 "$pid" 2>/dev/null; done
  left=$(look)
  [ -z "$left" ] && break
done
exit 1
