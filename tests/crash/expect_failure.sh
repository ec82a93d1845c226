#!/usr/bin/env bash
# expect_failure.sh <program> [arguments]: passes when the program ends with exit code 1 and says
# what FAILED, or when the asserts of the engine or a sanitizer notice first. Anything else, a crash or
# a hang included, is not the failure that was asked for.
set -u

output=$("$@" 2>&1)
code=$?
printf '%s\n' "$output" | tail -n 5
if [ "$code" -eq 1 ] && grep -q '^FAILED: ' <<<"$output"; then
  exit 0
fi
if [ "$code" -ne 0 ] && grep -qE 'sqlite3\.c:[0-9]+: .*Assertion|ERROR: [A-Za-z]+Sanitizer' <<<"$output"; then
  echo "noticed by the engine's own checks"
  exit 0
fi
echo "expected a failure that was found; exit code $code"
exit 1
