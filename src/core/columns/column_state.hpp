/// \file
/// What describes a column: one row of its family, changed in the same transaction as its elements.
/// docs/file-format.md has the bytes.
#pragma once

#include "core/cipher.hpp"

#include <snkv/bytes.hpp>
#include <snkv/error.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace snkv::core {

/// The internal family with the names of columns, and the beginning of the names of their own
/// families.
inline constexpr std::string_view columns_family = "snkv_columns";
inline constexpr std::string_view column_family_prefix = "snkv_column_";
/// The key of the row that describes a column.
inline constexpr std::string_view column_state_key = "state";

/// Whether a family is that of a column: then its side table has the column's rows, not large
/// values.
[[nodiscard]] inline bool is_column_family(std::string_view name) noexcept {
  return name.starts_with(column_family_prefix);
}

enum class ColumnKind : std::uint8_t { fixed = 1, variable = 2 };

/// Positions in a column (`extent`) are counted in bytes if its elements have a fixed size, else in
/// elements.
struct ColumnState {
  ColumnKind kind = ColumnKind::fixed;
  /// 0: chunk number k is the row 1 + k, and all but the last are full (`kind` is fixed), or there
  /// is nothing. Else the number of levels of the tree of counts above the chunks.
  std::uint8_t height = 0;
  std::uint32_t element_size = 0;  ///< bytes; 0 if elements differ in size
  std::uint32_t granule = 1;   ///< what no two chunks share a part of: a divisor of element_size
  std::uint32_t capacity = 0;  ///< most bytes of a row
  std::uint64_t length = 0;    ///< elements
  std::uint64_t bytes = 0;     ///< of all elements
  std::uint64_t next_id = 1;   ///< of the row that is written next
  std::uint64_t root = 0;      ///< row of the top of the tree of counts
  std::uint64_t chunks = 0;
  LargeTag tag{};    ///< what rows are sealed with in an encrypted store
  std::string type;  ///< name of the element type

  [[nodiscard]] std::uint64_t extent() const noexcept {
    return kind == ColumnKind::fixed ? bytes : length;
  }
  /// What one element counts in positions.
  [[nodiscard]] std::uint64_t unit() const noexcept {
    return kind == ColumnKind::fixed ? element_size : 1;
  }

  [[nodiscard]] Bytes encode() const;
  /// `corrupt` for what no library writes, `unsupported_version` for what a newer one may.
  [[nodiscard]] static Error decode(const char* operation, std::string_view column, BytesView bytes,
                                    ColumnState& out);
};

/// More than any column can have, and less than what would overflow in calculations.
inline constexpr std::uint64_t max_column_extent = std::uint64_t{1} << 60;

}  // namespace snkv::core
