#!/usr/bin/env bash
# docs/parity.md names tests, as `program`: case; each of them must exist.
#   check_parity.sh <repository>
set -euo pipefail
cd "$1"

names=0
bad=0
while IFS= read -r entry; do
  [[ $entry =~ ^\`([a-z0-9_]+)\`:\ (.+)$ ]] || continue
  program=${BASH_REMATCH[1]} name=${BASH_REMATCH[2]}
  names=$((names + 1))
  file=$(find tests -name "$program.cpp" -print -quit)
  if [[ -z $file ]]; then
    echo "check_parity: there is no $program.cpp"
    bad=$((bad + 1))
  elif ! grep -qF "TEST_CASE(\"$name\"" "$file"; then
    echo "check_parity: $file has no case \"$name\""
    bad=$((bad + 1))
  fi
done < <(sed -n 's/^| .* | .* | \(`.*\) |$/\1/p' docs/parity.md | sed 's/; `/\n`/g')
if ((names == 0)); then
  echo "check_parity: docs/parity.md names no tests"
  exit 1
fi
echo "check_parity: $names names, $bad bad"
((bad == 0))
