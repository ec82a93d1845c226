#!/usr/bin/env bash
# Builds a client with pkg-config and the plain compiler, and runs it:
#   pkg_config.sh <prefix> <work dir> <main.cpp> <compiler>
set -euo pipefail

prefix=$1 work=$2 source=$3 compiler=$4

file=$(find "$prefix" -name snkv.pc -print -quit)
[[ -n $file ]] || { echo "no snkv.pc below $prefix" >&2; exit 1; }
PKG_CONFIG_PATH=$(dirname "$file")
export PKG_CONFIG_PATH

rm -rf "$work"
mkdir -p "$work"
cd "$work"
read -ra flags <<<"$(pkg-config --cflags --libs snkv)"
"$compiler" -std=c++20 "$source" -o client "${flags[@]}"

LD_LIBRARY_PATH=$(pkg-config --variable=libdir snkv) ./client
