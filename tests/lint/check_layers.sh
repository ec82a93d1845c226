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
    src/buffer/*) echo buffer ;;
    src/c_api/*) echo c_api ;;
    src/vector/*) echo vector_code ;;
    include/snkv/c/*) echo c_header ;;
    src/*) echo src ;;
    # The rooms of the vector layer, each of which stands on those that `allowed` names.
    include/snkv/vector/filter.hpp) echo vector_conditions ;;
    include/snkv/vector/store_types.hpp) echo vector_types ;;
    include/snkv/vector/metric.hpp | include/snkv/vector/thread_pool.hpp) echo vector_words ;;
    include/snkv/vector/detail/*.hpp)
      case ${1#include/snkv/vector/detail/} in
        */*) echo "vector_${1#include/snkv/vector/detail/}" | sed 's,/.*,,' ;;
        bodies.hpp) echo vector_bodies ;;
        store_members.hpp) echo vector ;;
        type.hpp) echo vector_words ;;
        *) echo vector_door ;;
      esac
      ;;
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
  # The write buffer stands on the whole core, which knows of it only what overlay.hpp says.
  [buffer]=' words base btree core facade detail buffer '
  [detail]=' words facade detail '
  [facade]=' words facade detail '
  [vector_words]=' words facade vector_words '
  [vector_base]=' words facade vector_base '
  [vector_codes]=' vector_words vector_base vector_codes '
  [vector_graph]=' words vector_words vector_base vector_codes vector_graph '
  [vector_index]=' words facade vector_words vector_base vector_codes vector_graph vector_index '
  [vector_conditions]=' words facade vector_base vector_filter '
  [vector_filter]=' words facade vector_base vector_conditions vector_filter '
  [vector_rows]=' words facade detail vector_words vector_base vector_filter vector_rows '
  [vector_image]=' words facade detail vector_words vector_base vector_filter vector_rows vector_index vector_image '
  [vector_types]=' words facade vector_words vector_conditions '
  [vector_door]=' words facade detail vector_base vector_filter vector_types vector_door '
  [vector_collection]=' words facade detail vector_base vector_graph vector_conditions vector_rows vector_image vector_door vector_collection '
  [vector_text]=' words facade detail vector_base vector_types vector_collection vector_text '
  [vector_bodies]=' vector_collection vector_text '
  [vector]=' words facade detail vector_words vector_base vector_conditions vector_types vector_index vector_door vector_bodies vector '
  [vector_code]=' vector_bodies '
  [c_header]=' c_header '
  [c_api]=' words facade vector vector_words vector_conditions vector_types c_header c_api '
  [edge]=' words facade vector vector_words vector_conditions vector_types c_header edge '
  [c_api_test]=' words facade vector vector_words vector_conditions vector_types c_header test c_api_test '
  [api_test]=' words facade vector vector_words vector_conditions vector_types test api_test '
)

# tidy <path>: sets `tidied` to it without `.` and `..`. A process for each include would take minutes.
tidy() {
  local part parts
  local -a kept=()
  IFS=/ read -ra parts <<<"$1"
  for part in "${parts[@]}"; do
    case $part in
      '' | .) ;;
      ..) if ((${#kept[@]} > 0)); then unset 'kept[-1]'; else tidied=..; return; fi ;;
      *) kept+=("$part") ;;
    esac
  done
  local IFS=/
  tidied="${kept[*]}"
}

# resolve <including file> <name> <quote or bracket>: sets `target` to the included file, when it is one of
# ours.
resolve() {
  local candidate places=("$2" "src/$2" "include/$2" "tests/$2")
  [[ $3 == '"' ]] && places=("${1%/*}/$2" "${places[@]}")
  target=''
  for candidate in "${places[@]}"; do
    tidy "$candidate"
    if [[ $tidied != .. && -f $tidied ]]; then
      target=$tidied
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

declare -A layer_of=()
while IFS= read -r file; do
  files=$((files + 1))
  layer_of[$file]=$(layer "$file")
done < <(find "${folders[@]}" -type f -regex '.*\.\(c\|cpp\|h\|hpp\|inc\)')

while IFS= read -r line; do
  [[ $line =~ ^([^:]+):([0-9]+):[[:space:]]*#[[:space:]]*include[[:space:]]*([\"\<])([^\"\>]+) ]] || continue
  file=${BASH_REMATCH[1]} number=${BASH_REMATCH[2]} quote=${BASH_REMATCH[3]} name=${BASH_REMATCH[4]}
  from=${layer_of[$file]:-}
  [[ -n $from && -n ${allowed[$from]:-} ]] || continue
  includes=$((includes + 1))

  # Not in the tree, but a layer all the same. The tools and benchmarks may use SQLite itself.
  if [[ $name == sqlite3.[ch] && $from != edge && $file != src/btree/*.c ]]; then
    complain "$file:$number: only the C files of src/btree include $name"
    continue
  fi

  resolve "$file" "$name" "$quote"
  if [[ -z $target ]]; then
    if [[ $name == snkv/* ]]; then
      complain "$file:$number: there is no $name"
    fi
    continue
  fi
  to=${layer_of[$target]-$(layer "$target")}
  if [[ ${allowed[$from]} != *" $to "* ]]; then
    complain "$file:$number: $from includes $name, which is ${to:-outside the layers}"
  fi
done < <(grep -rnE --include='*.c' --include='*.cpp' --include='*.h' --include='*.hpp' --include='*.inc' \
  '^[[:space:]]*#[[:space:]]*include' "${folders[@]}" | sort -t: -k1,1 -k2,2n)

if ((includes == 0)); then
  echo "check_layers: no includes found below $root: is this the repository?"
  exit 1
fi
if ((bad > 0)); then
  echo "check_layers: $bad of $includes includes go up"
  exit 1
fi
echo "check_layers: $includes includes in $files files"
