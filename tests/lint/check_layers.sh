#!/usr/bin/env bash
# The include direction of docs/design.md: an include goes down a layer, never up.
#   check_layers.sh <repository>
set -euo pipefail

root=$(realpath "$1")
cd "$root"

# layer <path below the root>: the layer a file belongs to, or nothing.
layer() {
  case $1 in
    src/base/*) echo base ;;
    src/btree/*) echo btree ;;
    src/core/*) echo core ;;
    src/c_api/*) echo c_api ;;
    include/snkv/c/*) echo c_header ;;
    src/*) echo src ;;
    include/snkv/vector.hpp | include/snkv/vector/*) echo vector ;;
    # "Bytes, error codes" of the base layer: they are part of the API, and stand on nothing.
    include/snkv/bytes.hpp | include/snkv/error.hpp | include/snkv/detail/export.hpp) echo words ;;
    include/snkv/detail/*) echo detail ;;
    include/snkv/*) echo facade ;;
    datasets/* | examples/* | benchmarks/* | tools/* | bindings/*) echo edge ;;
    tests/api/*) echo api_test ;;
    tests/c_api/*) echo c_api_test ;;
    tests/*) echo test ;;
  esac
}

# What each layer may include. detail is the door between facade and core.
declare -A allowed=(
  [words]=' words '
  [base]=' words base '
  [btree]=' words base btree '
  [core]=' words base btree core facade detail '
  [detail]=' words facade detail '
  [facade]=' words facade detail '
  [vector]=' words facade detail vector '
  [c_header]=' c_header '
  [c_api]=' words facade vector c_header c_api '
  [edge]=' words facade vector c_header edge '
  [c_api_test]=' words facade vector c_header test c_api_test '
  [api_test]=' words facade vector test api_test '
)

# resolve <including file> <name> <quote or bracket>: the included file, when it is one of ours.
resolve() {
  local candidate places=("$2" "src/$2" "include/$2" "tests/$2")
  [[ $3 == '"' ]] && places=("$(dirname "$1")/$2" "${places[@]}")
  for candidate in "${places[@]}"; do
    candidate=$(realpath -m --relative-to=. "$candidate")
    if [[ $candidate != ../* && -f $candidate ]]; then
      echo "$candidate"
      return
    fi
  done
}

files=0
includes=0
bad=0
complain() {
  echo "check_layers: $1"
  bad=$((bad + 1))
}

folders=()
for folder in src include datasets examples benchmarks tools bindings tests/api tests/c_api; do
  [[ -d $folder ]] && folders+=("$folder")
done

while IFS= read -r file; do
  files=$((files + 1))
  from=$(layer "$file")
  [[ -n ${allowed[$from]:-} ]] || continue

  while IFS= read -r line; do
    [[ $line =~ ^([0-9]+):[[:space:]]*#[[:space:]]*include[[:space:]]*([\"\<])([^\"\>]+) ]] ||
      continue
    number=${BASH_REMATCH[1]} quote=${BASH_REMATCH[2]} name=${BASH_REMATCH[3]}
    includes=$((includes + 1))

    # Not in the tree, but a layer all the same. The tools and benchmarks may use SQLite itself.
    if [[ $name == sqlite3.[ch] && $from != edge && $file != src/btree/*.c ]]; then
      complain "$file:$number: only the C files of src/btree include $name"
      continue
    fi

    target=$(resolve "$file" "$name" "$quote")
    if [[ -z $target ]]; then
      if [[ $name == snkv/* ]]; then
        complain "$file:$number: there is no $name"
      fi
      continue
    fi
    to=$(layer "$target")
    if [[ ${allowed[$from]} != *" $to "* ]]; then
      complain "$file:$number: $from includes $name, which is ${to:-outside the layers}"
    fi
  done < <(grep -nE '^[[:space:]]*#[[:space:]]*include' "$file" || true)
done < <(find "${folders[@]}" -type f -regex '.*\.\(c\|cpp\|h\|hpp\|inc\)' | sort)

if ((includes == 0)); then
  echo "check_layers: no includes found below $root: is this the repository?"
  exit 1
fi
if ((bad > 0)); then
  echo "check_layers: $bad of $includes includes go up"
  exit 1
fi
echo "check_layers: $includes includes in $files files"
