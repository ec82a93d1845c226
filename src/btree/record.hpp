/// \file
/// The SQLite record format (sqlite.org/fileformat2.html, section 2.1) for the rows of our tables:
/// canonical encoding [K5] and bounds-checked decoding [M9].
#pragma once

#include <snkv/bytes.hpp>

#include <cstdint>
#include <optional>
#include <span>

namespace snkv::btree {

/// One column of a record: NULL, an integer, or bytes (blob or text).
struct Column {
  enum class Type : std::uint8_t { null, integer, blob, text, other };

  Type type = Type::null;
  std::int64_t integer = 0;
  BytesView bytes;

  static Column null() noexcept { return {}; }
  static Column of(std::int64_t value) noexcept { return {Type::integer, value, {}}; }
  static Column of(std::optional<std::int64_t> value) noexcept {
    return value ? of(*value) : null();
  }
  static Column of(BytesView value) noexcept { return {Type::blob, 0, value}; }
};

/// Size of the record of these columns, in bytes.
[[nodiscard]] std::uint64_t record_size(std::span<const Column> columns) noexcept;

/// Writes the record into `out`, which has room for `record_size(columns)` bytes.
void encode_record(std::span<const Column> columns, std::byte* out) noexcept;

/// Where a column's content lies in its record.
struct ColumnExtent {
  std::uint64_t serial_type = 0;  ///< 0 (NULL) for columns that the record does not have.
  std::uint32_t offset = 0;
  std::uint32_t size = 0;
};

/// Parses the header of a record of `total` bytes, of which the first `head.size()` are at hand, into
/// the extents of its first columns; the rest of `extents` becomes NULL. Returns false for a malformed
/// record or one whose header is not at hand as a whole.
[[nodiscard]] bool parse_record(BytesView head, std::uint32_t total,
                                std::span<ColumnExtent> extents) noexcept;

/// The column of an extent, from bytes that contain it.
[[nodiscard]] Column decode_column(const ColumnExtent& extent, const std::byte* record) noexcept;

}  // namespace snkv::btree
