#!/usr/bin/env bash
# The C headers have every function, constant, struct and macro of a list, with the same types, values
# and fields in the same order:
#   check_names.sh <list> <header> <include dir> <C compiler>
set -euo pipefail

list=$1 header=$2 include=$3 compiler=$4
source=$(mktemp --suffix=.c)
trap 'rm -f "$source"' EXIT

number=0 checked=0
# check <C code>: a line of the program, which the compiler's messages lead back to the list.
check() {
  printf '#line %d "%s"\n%s\n' "$number" "$list" "$1" >>"$source"
  checked=$((checked + 1))
}

printf '#include <%s>\n' "$header" >"$source"
while IFS= read -r line; do
  number=$((number + 1))
  case $line in
    '' | '#'*) continue ;;
    'function '*)
      [[ $line =~ ^function\ (.+)\ ([a-z_0-9]+)\((.*)\)$ ]]
      check "${BASH_REMATCH[1]} (*const check_$number)(${BASH_REMATCH[3]}) = ${BASH_REMATCH[2]};"
      ;;
    'constant '*)
      [[ $line =~ ^constant\ ([A-Z_0-9a-z]+)\ (-?[0-9]+)$ ]]
      check "_Static_assert(${BASH_REMATCH[1]} == ${BASH_REMATCH[2]}, \"another value\");"
      # Programs use them in the preprocessor too.
      check "
#ifndef ${BASH_REMATCH[1]}
#error ${BASH_REMATCH[1]} is not a macro
#endif"
      ;;
    'struct '*)
      # A struct of our own, whose fields must lie in the same places and have the same types.
      [[ $line =~ ^struct\ ([A-Za-z]+)\ \{\ (.*)\ \}$ ]]
      name=${BASH_REMATCH[1]} fields=${BASH_REMATCH[2]}
      check "typedef struct { $fields } wanted_$number;"
      check "_Static_assert(sizeof($name) == sizeof(wanted_$number), \"another size\");"
      while IFS= read -r field; do
        [[ $field =~ ^\ *(.*[\ *])([A-Za-z_]+)$ ]]
        type=${BASH_REMATCH[1]} member=${BASH_REMATCH[2]}
        check "_Static_assert(offsetof($name, $member) == offsetof(wanted_$number, $member), \"$member: place\");"
        check "_Static_assert(_Generic(&(($name *)0)->$member, ${type} *: 1, default: 0), \"$member: type\");"
      done < <(tr ';' '\n' <<<"$fields" | grep '[a-z]')
      ;;
    'macro '*)
      [[ $line =~ ^macro\ ([A-Za-z_]+)\((.*)\)\ (.+)$ ]]
      name=${BASH_REMATCH[1]} arguments=${BASH_REMATCH[2]} type=${BASH_REMATCH[3]}
      if [[ $type == void ]]; then
        check "static inline void use_$number(void) { $name($arguments); }"
      else
        check "static inline $type use_$number(void) { return $name($arguments); }"
      fi
      ;;
    *)
      echo "check_names: $list:$number: what is this?" >&2
      exit 1
      ;;
  esac
done <"$list"

if ((checked == 0)); then
  echo "check_names: nothing in $list" >&2
  exit 1
fi
"$compiler" -std=c11 -Wall -Wextra -Werror -Wno-unused-variable -Wno-unused-function \
  -Wno-unused-const-variable -fsyntax-only -I "$include" "$source"
echo "check_names: $checked checks of $list"
