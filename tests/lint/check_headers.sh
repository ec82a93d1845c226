#!/usr/bin/env bash
# Each public header compiles alone, twice in a row, and without a warning.
#   check_headers.sh <repository> <compiler> <flag>...
# VECTOR in the environment says which of the vector headers: none, all (yes), the public ones (public), or those
# that need no exceptions (handles), which the code behind the handles and the index in memory do.
set -euo pipefail

include=$(realpath "$1")/include
shift

# Of the warnings that clients may have on, the strict ones of g++.
strict=()
if [[ $("$1" --version) == *'Free Software Foundation'* ]]; then
  strict=(-Wconversion -Wsign-conversion -Wuseless-cast)
fi

mapfile -t headers < <(cd "$include" && find snkv -name '*.h*' | sort)
checked=0
bad=0
for header in "${headers[@]}"; do
  case ${VECTOR:-no}:$header in
    no:snkv/json.hpp | no:snkv/packed.hpp) continue ;;  # which need nlohmann/json, as the vectors do
    yes:* | *:snkv/[^v]* | *:snkv/version.hpp) ;;
    public:snkv/vector/detail/*) continue ;;
    public:*) ;;
    handles:snkv/vector/detail/*/* | handles:snkv/vector/detail/bodies.hpp) continue ;;
    handles:snkv/vector/async.hpp | handles:snkv/vector/import.hpp) continue ;;
    handles:snkv/vector/index.hpp | handles:snkv/vector/thread_pool.hpp) continue ;;
    handles:*) ;;
    *) continue ;;
  esac
  checked=$((checked + 1))
  printf '#include <%s>\n#include <%s>\n' "$header" "$header" |
    "$@" -x c++ -fsyntax-only -Wall -Wextra -Wpedantic -Wshadow "${strict[@]}" -Werror -I "$include" - || {
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
