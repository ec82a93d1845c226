#!/usr/bin/env bash
# check_names.sh must notice what is missing or different in a header:
#   check_names_selftest.sh <list> <header> <include dir> <C compiler> <work dir>
set -euo pipefail

list=$1 header=$2 include=$3 compiler=$4 work=$5
check=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/check_names.sh

rm -rf "$work"
mkdir -p "$work"
cp -r "$include/snkv" "$work/snkv"
bash "$check" "$list" "$header" "$work" "$compiler"

# notices <sed command that spoils the header>
notices() {
  cp "$include/$header" "$work/$header"
  sed -i "$1" "$work/$header"
  if cmp -s "$include/$header" "$work/$header"; then
    echo "the selftest changes nothing: $1" >&2
    exit 1
  fi
  if bash "$check" "$list" "$header" "$work" "$compiler" >"$work/log" 2>&1; then
    echo "check_names does not notice: $1" >&2
    exit 1
  fi
}

notices 's/kvstore_exists/kvstore_is_there/'
notices 's/int kvstore_begin(/long kvstore_begin(/'
notices 's/void kvstore_cf_close(KVColumnFamily/void kvstore_cf_close(KVIterator/'
notices 's/^#define KVSTORE_LOCKED 6/#define KVSTORE_LOCKED 7/'
notices 's/^#define KVSTORE_LOCKED .*/enum { KVSTORE_LOCKED = 6 };/'
notices 's/^#define KVSTORE_SYNC_FULL.*//'
notices 's/uint64_t nGets;/uint32_t nGets;/'
notices 's/int cacheSize;/unsigned cacheSize;/'
notices 's/int fullMutex;.*/int full_mutex;/'
notices '/int readOnly;/d'
notices 's/^  int journalMode;/  int other; int journalMode;/'
notices '/^#define sqliteStrDup/d'
notices 's/^SNKV_C_API void snkv_free.*//'
