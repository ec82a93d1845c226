#!/usr/bin/env bash
# check_layers.sh must accept a good tree, and find one bad include of every kind:
#   check_layers_selftest.sh <work dir>
set -euo pipefail

check=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/check_layers.sh
rm -rf "$1"
mkdir -p "$1"
cd "$1"

put() {
  mkdir -p "$(dirname "$1")"
  printf '%s\n' "${@:2}" >"$1"
}

good_tree() {
  rm -rf tree
  mkdir tree
  cd tree
  put src/base/endian.hpp '#include <cstdint>'
  put include/snkv/error.hpp '#include <string>'
  put src/base/error.cpp '#include <snkv/error.hpp>'
  put src/btree/engine.h '#include <stdint.h>'
  put src/btree/engine.c '#include "sqlite3.c"' '#include "btree/engine.h"'
  put src/btree/cursor.cpp '#include "btree/engine.h"' '#include "base/endian.hpp"'
  put src/core/state.hpp '#include "btree/engine.h"'
  put src/core/store.cpp '#include "core/state.hpp"' '#include <snkv/detail/core_abi.hpp>' \
    '#include <snkv/options.hpp>'
  put include/snkv/options.hpp '#include <string>'
  put include/snkv/detail/core_abi.hpp '#include <snkv/options.hpp>'
  put include/snkv/store.hpp '#include <snkv/detail/core_abi.hpp>'
  put include/snkv/vector/detail/graph/graph.hpp '#include <hnswlib/hnswlib.h>'
  put include/snkv/vector/detail/index/core.hpp '#include <snkv/vector/detail/graph/graph.hpp>'
  put include/snkv/vector/detail/rows/rows.hpp '#include <snkv/detail/core_abi.hpp>'
  put include/snkv/vector/detail/collection/collection.hpp '#include <snkv/vector/detail/rows/rows.hpp>'
  put include/snkv/vector/detail/bodies.hpp '#include <snkv/vector/detail/collection/collection.hpp>'
  put src/vector/collections.cpp '#include <snkv/vector/detail/bodies.hpp>'
  put include/snkv/vector/index.hpp '#include <snkv/store.hpp>' '#include <snkv/vector/detail/index/core.hpp>'
  put include/snkv/vector.hpp '#include <snkv/vector/index.hpp>'
  put include/snkv/c/kvstore.h '#include <stdint.h>'
  put src/c_api/handle.hpp '#include <snkv/c/kvstore.h>'
  put src/c_api/entries.cpp '#include "c_api/handle.hpp"' '#include <snkv/store.hpp>'
  put tests/c_api/calls.c '#include <snkv/c/kvstore.h>'
  put examples/01_hello.cpp '#include <snkv/store.hpp>'
  put benchmarks/main.cpp '#include <sqlite3.h>' '#include <snkv/vector.hpp>'
  put tests/support/catch.hpp '#include <vector>'
  put tests/api/store.cpp '#include "support/catch.hpp"' '#include <snkv/store.hpp>'
  cd ..
}

good_tree
bash "$check" tree

# rejects <file> <line> <part of the complaint>
rejects() {
  good_tree
  put "tree/$1" '// a comment' "$2"
  local output
  if output=$(bash "$check" tree); then
    echo "check_layers accepts $2 in $1" >&2
    exit 1
  fi
  if [[ $output != *"$1:2:"*"$3"* ]]; then
    echo "check_layers on $2 in $1 says: $output" >&2
    exit 1
  fi
}

rejects src/base/bad.cpp '#include "btree/engine.h"' 'base includes'
rejects src/base/bad.cpp '#include <snkv/options.hpp>' 'base includes'
rejects src/btree/bad.cpp '#include "core/state.hpp"' 'btree includes'
rejects src/btree/bad.cpp '#include "../core/state.hpp"' 'btree includes'
rejects src/btree/bad.cpp '#  include <snkv/options.hpp>' 'btree includes'
rejects src/btree/bad.cpp '#include "sqlite3.h"' 'only the C files'
rejects include/snkv/bytes.hpp '#include <snkv/options.hpp>' 'words includes'
rejects src/core/bad.cpp '#include <snkv/vector.hpp>' 'core includes'
rejects src/core/bad.cpp '#include "sqlite3.h"' 'only the C files'
rejects include/snkv/bad.hpp '#include "../../src/core/state.hpp"' 'facade includes'
rejects include/snkv/bad.hpp '#include "core/state.hpp"' 'facade includes'
rejects include/snkv/bad.hpp '#include <snkv/vector/index.hpp>' 'facade includes'
rejects include/snkv/bad.hpp '#include <snkv/missing.hpp>' 'there is no'
rejects include/snkv/detail/bad.hpp '#include "core/state.hpp"' 'detail includes'
rejects include/snkv/vector/bad.hpp '#include "core/state.hpp"' 'vector includes'
for up in base/index graph/index index/rows rows/index filter/rows image/collection; do
  room=${up%/*} other=${up#*/}
  [[ $other == index ]] && header=index/core || header=$other/$other
  rejects "include/snkv/vector/detail/$room/bad.hpp" "#include <snkv/vector/detail/$header.hpp>" \
    "vector_$room includes"
done
rejects src/vector/bad.cpp '#include "core/state.hpp"' 'vector_code includes'
rejects include/snkv/bad.hpp '#include <snkv/c/kvstore.h>' 'facade includes'
rejects src/core/bad.cpp '#include "c_api/handle.hpp"' 'core includes'
rejects src/c_api/bad.cpp '#include "core/state.hpp"' 'c_api includes'
rejects src/c_api/bad.cpp '#include <snkv/detail/core_abi.hpp>' 'c_api includes'
rejects include/snkv/c/bad.h '#include "../../../src/c_api/handle.hpp"' 'c_header includes'
rejects include/snkv/c/bad.h '#include <snkv/options.hpp>' 'c_header includes'
rejects tests/c_api/bad.cpp '#include "c_api/handle.hpp"' 'c_api_test includes'
rejects examples/bad.cpp '#include <snkv/detail/core_abi.hpp>' 'edge includes'
rejects benchmarks/bad.cpp '#include "../src/core/state.hpp"' 'edge includes'
rejects tools/bad.cpp ' #include "core/state.hpp"' 'edge includes'
rejects tests/api/bad.cpp '#include "core/state.hpp"' 'api_test includes'
rejects tests/api/bad.cpp '#include <snkv/detail/core_abi.hpp>' 'api_test includes'

mkdir nothing
if bash "$check" nothing >/dev/null 2>&1; then
  echo "check_layers accepts an empty tree" >&2
  exit 1
fi
