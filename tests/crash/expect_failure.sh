#!/usr/bin/env bash
# expect_failure.sh <program> [arguments]: passes when the program ends with exit code 1 and says
# what FAILED. Anything else, a crash or a hang included, is not the failure that was asked for.
set -u

output=$("$@" 2>&1)
code=$?
printf '%s\n' "$output" | tail -n 5
if [ "$code" -ne 1 ] || ! grep -q '^FAILED: ' <<<"$output"; then
  echo "expected a failure that was found; exit code $code"
  exit 1
fi
