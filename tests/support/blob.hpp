// Whole values through the piecewise interface, for tests that compare it with put and get.
#pragma once

#include "support/check.hpp"

#include <snkv/blob.hpp>
#include <snkv/entries.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace snkv::test {

/// Appends `value` in pieces of this size.
inline void write_pieces(BlobWriter& writer, std::string_view value, std::size_t piece) {
  for (std::size_t at = 0; at < value.size(); at += piece) {
    must(writer.write(value.substr(at, piece)));
  }
}

/// The part of the value from `offset` on, at most `size` bytes.
inline std::string read_part(BlobReader& reader, std::uint64_t offset, std::size_t size) {
  std::string out(size, '\0');
  out.resize(must(reader.read_at(offset, std::as_writable_bytes(std::span(out)))));
  return out;
}

/// The value, read in sequence in pieces of this size.
inline std::string read_all(BlobReader& reader, std::size_t piece) {
  std::string out;
  std::string buffer(piece, '\0');
  for (;;) {
    const std::size_t got = must(reader.read(std::as_writable_bytes(std::span(buffer))));
    if (got == 0) return out;
    out.append(buffer, 0, got);
  }
}

}  // namespace snkv::test
