#!/usr/bin/env bash
# Sources are ASCII: an invisible or look-alike character in code is a trap.
#   check_ascii.sh <repository>
set -euo pipefail
cd "$1"

folders=()
for folder in CMakeLists.txt CMakePresets.json cmake datasets include src tests examples benchmarks tools \
  bindings scripts; do
  [[ -e $folder ]] && folders+=("$folder")
done

files=$(find "${folders[@]}" -name node_modules -prune -o -type f \( \
  -regex '.*\.\(c\|cc\|cpp\|h\|hpp\|inc\|cmake\|in\|json\|sh\|txt\)' -o -path 'scripts/*' \) -print)
if [[ -z $files ]]; then
  echo "check_ascii: no sources below $1"
  exit 1
fi
mapfile -t files <<<"$files"
if LC_ALL=C grep -nP '[^\x00-\x7F]' "${files[@]}"; then
  echo "check_ascii: not ASCII, see above"
  exit 1
fi
echo "check_ascii: ${#files[@]} files"
