/// \file
/// The rows of a column: chunks of elements, nodes of the tree of counts, pieces of elements that
/// are larger than a chunk. Each is a row of the side table of the column's family, sealed in an
/// encrypted store with its column and its number, so that no row can stand for another.
#pragma once

#include "core/columns/column_state.hpp"
#include "core/read_path.hpp"
#include "core/write_path.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace snkv::core {

/// Most bytes of a row: what fills a page, sealed or not, so that a column keeps its layout when
/// its store is encrypted or decrypted.
[[nodiscard]] std::uint32_t largest_column_row(snkv_bt* bt) noexcept;

/// Reads rows.
class ColumnRows {
 public:
  /// `column` must outlive it. The cursor is opened with the first row that is read.
  ColumnRows(const char* operation, std::string_view column, snkv_bt* bt, const FamilyEntry& tables,
             const KeyRing* keys, const LargeTag& tag) noexcept
      : operation_(operation),
        column_(column),
        bt_(bt),
        root_(tables.large_root),
        family_(tables.family->id),
        keys_(keys),
        tag_(tag) {}

  /// The content of a row: where it lies, or in `buffer`. Lives until the next call, or the next
  /// write. `corrupt`, or `tampered` in an encrypted store, if there is no such row or it is not
  /// what was written.
  [[nodiscard]] Error read(std::uint64_t id, Bytes& buffer, BytesView& out);
  /// Makes the next `read` look for its row from the top: after a write, or the end of a cursor.
  void forget() noexcept { last_ = 0; }

  /// What is wrong with a row, as an error with the name of the column.
  [[nodiscard]] Error broken(std::uint64_t id, std::string_view why) const;
  [[nodiscard]] Error broken(std::string_view why) const;

  [[nodiscard]] const char* operation() const noexcept { return operation_; }
  [[nodiscard]] std::string_view column() const noexcept { return column_; }
  [[nodiscard]] bool sealed() const noexcept { return keys_ != nullptr; }
  /// For a cursor that outlives the call it was made in.
  void rename_operation(const char* operation) noexcept { operation_ = operation; }
  void leak() noexcept { cursor_.leak(); }
  void close() noexcept {
    cursor_.close();
    last_ = 0;
  }

 private:
  [[nodiscard]] Error engine(int rc) const;

  const char* operation_;
  std::string_view column_;
  snkv_bt* bt_;
  std::uint32_t root_;
  std::uint32_t family_;
  const KeyRing* keys_;
  LargeTag tag_;
  btree::Cursor cursor_;
  std::uint64_t last_ = 0;  // the row that the cursor is on; 0: none
};

/// Changes rows, in the open transaction of a session, with its lock held.
class ColumnRowWriter {
 public:
  ColumnRowWriter(const WriteContext& context, std::string_view column, const FamilyEntry& tables)
      : context_(context), column_(column), tables_(tables) {}

  [[nodiscard]] Error write(const LargeTag& tag, std::uint64_t id, BytesView content);
  /// A row that is not there is no failure.
  [[nodiscard]] Error erase(std::uint64_t id);
  /// Erases the rows from `id` on.
  [[nodiscard]] Error erase_from(std::uint64_t id);
  /// Erases all rows, in O(pages).
  [[nodiscard]] Error clear();

 private:
  [[nodiscard]] Error engine(int rc) const;

  const WriteContext& context_;
  std::string_view column_;
  const FamilyEntry& tables_;
};

/// What a row of a column is sealed with.
[[nodiscard]] inline SealPlace column_seal_place(std::uint32_t family, const LargeTag& tag,
                                                 std::uint64_t id) noexcept {
  return {family, BytesView(column_state_key), {}, SealPlace::Kind::chunk, tag, id};
}

}  // namespace snkv::core
