#!/usr/bin/env bash
# Builds a client with pkg-config and the plain compiler, and runs it:
#   pkg_config.sh <prefix> <work dir> <package> <source> <compiler> <flag>...
set -euo pipefail

prefix=$1 work=$2 package=$3 source=$4
shift 4

file=$(find "$prefix" -name "$package.pc" -print -quit)
[[ -n $file ]] || { echo "no $package.pc below $prefix" >&2; exit 1; }
PKG_CONFIG_PATH=$(dirname "$file")
export PKG_CONFIG_PATH

rm -rf "$work"
mkdir -p "$work"
cd "$work"
read -ra flags <<<"$(pkg-config --cflags --libs "$package")"
"$@" "$source" -o client "${flags[@]}"

LD_LIBRARY_PATH=$(pkg-config --variable=libdir "$package") ./client
