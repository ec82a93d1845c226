/// \file
/// The writes that a journal keeps, as bytes (docs/file-format.md).
///
///     record    = size u32, check of the size u32, check u64, last sequence u64, operations
///     operation = tag u8, family u32, and for
///         'P' put           key value
///         'X' put, expiring key value moment i64
///         'D' erase         key
///         'R' erase range   low high
///         'U' erase from    low
///     string    = length u32, bytes
///
/// Numbers are little-endian. `size` counts what follows the checks, the second of which covers
/// that. Both take in a number that the place of the record has.
#pragma once

#include "buffer/memtable.hpp"

#include <snkv/bytes.hpp>

#include <cstddef>
#include <cstdint>
#include <string>

namespace snkv::buffer {

/// One operation; the views point to where it was read from.
struct Operation {
  char tag = 0;
  std::uint32_t family = 0;
  BytesView first;
  BytesView second;
  std::int64_t expires_at = 0;
};

/// A number that changes with each bit of the bytes and of the seed.
[[nodiscard]] std::uint64_t checksum(BytesView bytes, std::uint64_t seed) noexcept;

inline constexpr std::size_t record_header = 24;

/// Begins a record at the end of `out`; `end_record` completes it, but for its checks.
[[nodiscard]] std::size_t begin_record(std::string& out);
void append_operation(std::string& out, const Operation& operation);
void end_record(std::string& out, std::size_t begin, Sequence last);
/// Makes the checks of complete records.
void check_records(std::string& records, std::uint64_t seed);

/// A record, taken from the front of bytes.
struct Record {
  Sequence last = 0;
  BytesView operations;
  BytesView all;  ///< with its header
};
enum class Take {
  ok,
  incomplete,  ///< The bytes end before the record does.
  damaged,     ///< It is not what was written.
};
/// Takes a record from the front of `rest`, which is cut short by it.
[[nodiscard]] Take take_record(BytesView& rest, std::uint64_t seed, Record& out);
/// The same for an operation of a record; false if it is none.
[[nodiscard]] bool take_operation(BytesView& rest, Operation& out);

}  // namespace snkv::buffer
