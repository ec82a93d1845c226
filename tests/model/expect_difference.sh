#!/usr/bin/env bash
# expect_difference.sh <rule> <model_test program> [arguments]: passes when the model test, with
# this rule of the B-tree contract broken, reports a difference, or dies of a signal or of a
# sanitizer. A hang, an unknown rule or a green run fail.
set -u

rule=$1
program=$2
shift 2
seconds=${SNKV_MUTANT_SECONDS:-120}

output=$(SNKV_BREAK_RULE=$rule timeout --signal=KILL "$seconds" "$program" "$@" 2>&1)
code=$?
printf '%s\n' "$output" | tail -n 20

# `timeout` reports its own KILL as 137 too, so look at the clock-free evidence first.
if [ "$code" -eq 1 ] && grep -q '^DIFFERENCE ' <<<"$output"; then
  echo "broken $rule: found"
elif grep -qE '^model_test: killed by a signal|ERROR: [A-Za-z]+Sanitizer|: runtime error: ' <<<"$output"; then
  echo "broken $rule: found, by a crash"
elif [ "$code" -eq 0 ]; then
  echo "broken $rule: NOT found, the test stayed green"
  exit 1
else
  echo "broken $rule: exit code $code without a difference (a hang?)"
  exit 1
fi
