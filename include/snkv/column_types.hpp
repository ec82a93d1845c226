/// \file
/// What is told about columns, and the places in them. Part of <snkv/column.hpp>.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>

namespace snkv {

/// A place in a column: a number from its beginning, or from its end. Which element that is, or
/// whether there is one, is decided when it is used, by the length that the handle sees then.
class ColumnIndex {
 public:
  constexpr ColumnIndex() noexcept = default;
  /// From the beginning. A negative number counts from the end, as in Python: -1 is the last
  /// element.
  template <std::integral I>
  constexpr ColumnIndex(I index) noexcept {
    if constexpr (std::signed_integral<I>) {
      from_end_ = index < 0;
      // Not -index, which the least number does not have.
      value_ = from_end_ ? std::uint64_t{0} - static_cast<std::uint64_t>(index)
                         : static_cast<std::uint64_t>(index);
    } else {
      value_ = static_cast<std::uint64_t>(index);
    }
  }
  /// From the end: 1 is the last element, 0 is the end.
  [[nodiscard]] static constexpr ColumnIndex from_end(std::uint64_t distance) noexcept {
    ColumnIndex out;
    out.value_ = distance;
    out.from_end_ = true;
    return out;
  }
  [[nodiscard]] constexpr std::uint64_t value() const noexcept { return value_; }
  [[nodiscard]] constexpr bool is_from_end() const noexcept { return from_end_; }

 private:
  std::uint64_t value_ = 0;
  bool from_end_ = false;
};

/// `from_end(1)` is the last element of a column, `from_end(0)` its end.
[[nodiscard]] constexpr ColumnIndex from_end(std::uint64_t distance) noexcept {
  return ColumnIndex::from_end(distance);
}

/// A column as the list of them has it.
struct ColumnInfo {
  std::string name;
  std::string type;                ///< "f64", "i32", "f32[768]", "string", ...
  std::uint32_t element_size = 0;  ///< bytes; 0 if elements differ in size
  std::uint64_t length = 0;        ///< elements
  std::uint64_t bytes = 0;         ///< of all elements together
};

struct ColumnStats {
  std::uint64_t length = 0;       ///< elements
  std::uint64_t bytes = 0;        ///< of all elements together
  std::uint64_t chunks = 0;       ///< pieces that they lie in, most of them a page each
  std::uint32_t chunk_bytes = 0;  ///< most bytes of a chunk
  /// Levels of the tree of counts; 0 while the place of an element is calculated (see column.hpp).
  std::uint32_t tree_height = 0;
};

}  // namespace snkv
