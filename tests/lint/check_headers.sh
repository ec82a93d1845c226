#!/usr/bin/env bash
# Each public header compiles alone, twice in a row, and without a warning.
#   check_headers.sh <repository> <compiler> <flag>...
# The vector headers use exceptions; they are checked only with VECTOR=yes in the environment.
set -euo pipefail

include=$(realpath "$1")/include
shift

mapfile -t headers < <(cd "$include" && find snkv -name '*.h*' | sort)
checked=0
bad=0
for header in "${headers[@]}"; do
  if [[ $header == snkv/vector* && ${VECTOR:-no} != yes ]]; then
    continue
  fi
  checked=$((checked + 1))
  printf '#include <%s>\n#include <%s>\n' "$header" "$header" |
    "$@" -x c++ -fsyntax-only -Wall -Wextra -Wpedantic -Wshadow -Werror -I "$include" - || {
    echo "check_headers: <$header> does not compile on its own"
    bad=$((bad + 1))
  }
done
if ((checked == 0)); then
  echo "check_headers: no headers in $include"
  exit 1
fi
echo "check_headers: $checked headers, $bad bad"
((bad == 0))
