/// \file
/// The one way in which the elements of a column are found.
#pragma once

#include "core/columns/column_items.hpp"
#include "core/columns/column_rows.hpp"
#include "core/columns/column_tree.hpp"
#include "core/read_path.hpp"

#include <cstdint>
#include <string_view>
#include <vector>

namespace snkv::core {

/// Reads and understands the row that describes a column.
[[nodiscard]] Error read_column_state(const char* operation, std::string_view column,
                                      const ReadView& view, snkv_bt_cursor* rows, ColumnState& out);

/// Walks through the chunks of a column, in a transaction that stays as it is meanwhile.
class ColumnReader {
 public:
  /// `rows` and `state` must outlive it.
  ColumnReader(ColumnRows& rows, const ColumnState& state) noexcept : rows_(rows), state_(state) {}

  /// Goes to the chunk that has the position, which is below the extent. O(log n); O(1) to the next
  /// one.
  [[nodiscard]] Error seek(std::uint64_t position);

  /// The current chunk: its first position, how many it has, and its content, which lives until the
  /// next call of `seek` or a write.
  [[nodiscard]] std::uint64_t begin() const noexcept { return begin_; }
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  [[nodiscard]] std::uint64_t end() const noexcept { return begin_ + count_; }
  [[nodiscard]] std::uint64_t row() const noexcept { return row_; }
  [[nodiscard]] BytesView chunk() const noexcept { return chunk_; }
  /// Of elements that differ in size.
  [[nodiscard]] const ItemChunk& items() const noexcept { return items_; }

  /// An element of the current chunk by its position; a large one is put together in `large`. The
  /// view lives as long as the chunk, or until `large` changes.
  [[nodiscard]] Error item(std::uint64_t position, ColumnRows& others, Bytes& large,
                           BytesView& out);
  /// The same, with a reference as it is.
  [[nodiscard]] Error raw_item(std::uint64_t position, ColumnItem& out) const;

  /// Whether the content of the chunk is not in the page, but in a buffer of the reader.
  [[nodiscard]] bool is_copy() const noexcept { return chunk_.data() == buffer_.data(); }
  /// Forgets where it is: after a write, or when the cursor was closed.
  void reset() noexcept {
    count_ = 0;
    levels_.clear();
    rows_.forget();
  }

 private:
  struct Level {
    std::uint64_t begin = 0;  // first position below the node
    std::uint64_t end = 0;
    std::vector<ColumnEntry> entries;
    std::size_t at = 0;          // the entry that was gone down
    std::uint64_t at_begin = 0;  // its first position
  };
  [[nodiscard]] Error find_in_tree(std::uint64_t position);
  [[nodiscard]] Error load_chunk();

  ColumnRows& rows_;
  const ColumnState& state_;
  std::vector<Level> levels_;  // from the root down
  std::uint64_t begin_ = 0;
  std::uint64_t count_ = 0;  // 0: nowhere
  std::uint64_t row_ = 0;
  BytesView chunk_;
  ItemChunk items_;
  Bytes buffer_;
  Bytes node_buffer_;
};

}  // namespace snkv::core
