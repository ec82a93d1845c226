#!/usr/bin/env bash
# Fails when a library defines a global symbol of SQLite, or any other unmangled name that is not
# ours: an application may link its own SQLite beside snkv.
#   check_symbols.sh <nm> <library> [<beginnings of names that are ours>]
set -euo pipefail

nm=$1 library=$2
# Mangled names and those of the toolchain start with an underscore or "DW.ref.".
ours=${3:-snkv_|_|DW\.ref\.}

options=(--defined-only --extern-only)
[[ $library =~ \.so(\.[0-9.]+)?$ ]] && options+=(--dynamic)

# "<value> <type> <name>" lines; the rest are archive member names and blank lines.
symbols=$("$nm" "${options[@]}" "$library" | awk 'NF == 3 { print $3 }')
if [[ -z $symbols ]]; then
  echo "check_symbols: $nm finds no symbols at all in $library" >&2
  exit 1
fi

foreign=$(grep -Ev "^($ours)" <<<"$symbols" || true)
if [[ -n $foreign ]]; then
  echo "check_symbols: $library exports $(wc -l <<<"$foreign") foreign symbols:" >&2
  head -20 <<<"$foreign" >&2
  exit 1
fi
echo "check_symbols: $(wc -l <<<"$symbols") symbols, all ours"
