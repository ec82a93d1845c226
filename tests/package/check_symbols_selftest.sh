#!/usr/bin/env bash
# check_symbols.sh must catch what it is there for:
#   check_symbols_selftest.sh <nm> <ar> <C compiler> <work dir>
set -euo pipefail

nm=$1 ar=$2 compiler=$3 work=$4
check=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/check_symbols.sh

rm -rf "$work"
mkdir -p "$work"
cd "$work"

# library <name> <C source>
library() {
  echo "$2" >"$1.c"
  "$compiler" -c "$1.c" -o "$1.o"
  "$ar" rcs "$1.a" "$1.o"
}
rejects() {
  if bash "$check" "$nm" "$1" >/dev/null 2>&1; then
    echo "check_symbols accepts $1" >&2
    exit 1
  fi
}

library good 'int snkv_open(void) { return 0; } static int sqlite3_open(void) { return 0; }
int snkv_use(void) { return sqlite3_open(); }'
library leak 'int snkv_open(void) { return 0; } int sqlite3_open(void) { return 0; }'
library data 'int snkv_open(void) { return 0; } int sqlite3one = 1;'
library none 'static int unused;'
"$ar" rcs empty.a
"$compiler" -shared -fPIC leak.c -o leak.so

bash "$check" "$nm" good.a
rejects leak.a
rejects leak.so
rejects data.a
rejects none.a
rejects empty.a
rejects missing.a
