#!/usr/bin/env bash
# expect_mutant_caught.sh <rule> <contract test program>: passes when the program's tests of the
# rule succeed on the library as it is, and fail on the library with that rule broken. A crash
# counts as noticed; a test that hangs does not.
set -u
rule=$1
program=$2
limit=120

run() { # run <value of SNKV_BREAK_RULE, or empty>
  if [ -n "$1" ]; then
    SNKV_BREAK_RULE=$1 timeout "$limit" "$program" "[$rule]" 2>&1
  else
    env -u SNKV_BREAK_RULE timeout "$limit" "$program" "[$rule]" 2>&1
  fi
}

output=$(run "")
code=$?
# Catch2 also exits with 0 when no test has the tag.
if [ "$code" -ne 0 ] || ! grep -q 'All tests passed' <<<"$output"; then
  printf '%s\n' "$output" | tail -n 30
  echo "rule $rule: its tests do not pass on the library as it is (exit code $code)"
  exit 1
fi

output=$(run "$rule")
code=$?
printf '%s\n' "$output" | grep -E '^[^ ]+:[0-9]+: FAILED|test cases:|SIG|Assertion' | head -n 20
case $code in
  0) echo "rule $rule: broken, and no test noticed" && exit 1 ;;
  124 | 125 | 126 | 127 | 137) echo "rule $rule: broken, and the tests hung ($code)" && exit 1 ;;
  *) echo "rule $rule: broken, and noticed (exit code $code)" ;;
esac
