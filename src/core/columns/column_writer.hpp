/// \file
/// The only code that changes columns: a part of the write path. Each function runs inside the open
/// transaction of a session, and either fails before it has changed anything or leaves the
/// transaction so that it must be rolled back.
#pragma once

#include "core/columns/column_reader.hpp"
#include "core/write_path.hpp"

#include <snkv/detail/core_abi.hpp>

#include <cstdint>
#include <deque>
#include <string_view>
#include <vector>

namespace snkv::core {

class ColumnWriter {
 public:
  /// `context` is that of the column's own family. Both must outlive it.
  ColumnWriter(const WriteContext& context, std::string_view column) noexcept
      : context_(context), column_(column) {}

  /// Reads the description; the first thing to do. Holds the session's lock from then on.
  [[nodiscard]] Error load();
  [[nodiscard]] ColumnState& state() noexcept { return state_; }
  [[nodiscard]] WriteSession& session() const noexcept { return context_.session; }

  /// Puts elements in the place of `erased` others from `first` on. Both lie inside the column.
  [[nodiscard]] Error splice(std::uint64_t first, std::uint64_t erased, const ColumnData& data);
  [[nodiscard]] Error append(const ColumnData& data) { return splice(state_.length, 0, data); }
  [[nodiscard]] Error clear();

 private:
  [[nodiscard]] Error check(std::uint64_t first, std::uint64_t erased,
                            const ColumnData& data) const;
  [[nodiscard]] Error save();

  // Elements of a fixed size; positions in bytes.
  [[nodiscard]] Error splice_fixed(std::uint64_t begin, std::uint64_t end, BytesView bytes);
  [[nodiscard]] Error append_fixed(BytesView bytes);
  [[nodiscard]] Error overwrite_fixed(std::uint64_t begin, BytesView bytes);
  [[nodiscard]] Error rewrite_tail(std::uint64_t begin, std::uint64_t end, BytesView bytes);
  [[nodiscard]] Error build_tree();
  [[nodiscard]] Error splice_in_tree(std::uint64_t begin, std::uint64_t end, BytesView bytes);

  // Elements that differ in size; positions in elements.
  [[nodiscard]] Error splice_variable(std::uint64_t begin, std::uint64_t end,
                                      const ColumnData& data);
  [[nodiscard]] Error take_items(std::uint64_t from, std::uint64_t to,
                                 std::vector<ColumnItem>& out);
  [[nodiscard]] Error erase_references(std::uint64_t from, std::uint64_t to);
  [[nodiscard]] Error store_item(BytesView content, std::byte (&reference)[ColumnReference::size],
                                 ColumnItem& out);

  /// What lies from `begin` to `end`, around which chunks are written anew.
  struct Span {
    std::uint64_t begin = 0;   // of the first chunk
    std::uint64_t end = 0;     // of the last one
    std::uint64_t chunks = 0;  // 0, 1, or more
    std::uint64_t row = 0;     // of the first chunk
  };
  [[nodiscard]] Error find_span(std::uint64_t begin, std::uint64_t end, Span& out);
  [[nodiscard]] Error put_in_tree(const Span& old, const std::vector<ColumnEntry>& fresh);
  [[nodiscard]] Error write_chunk(std::uint64_t row, BytesView content);
  [[nodiscard]] std::uint64_t new_row() noexcept { return state_.next_id++; }

  const WriteContext& context_;
  std::string_view column_;
  std::optional<btree::Lock> lock_;
  const FamilyEntry* tables_ = nullptr;
  ColumnState state_;
  std::optional<ColumnRows> rows_;
  std::optional<ColumnRows> others_;
  std::optional<ColumnRowWriter> writer_;
  std::optional<ColumnReader> reader_;
};

/// Elements that were appended one by one in a transaction, before they become chunks: one behind
/// the other, each behind its size (u32) if they differ in size. Belongs to the session of the
/// transaction.
class ColumnTailState final : public ColumnTail {
 public:
  std::shared_ptr<const Family> family;
  std::string column;
  Bytes buffer;
  ColumnKind kind = ColumnKind::fixed;
  std::uint32_t element_size = 0;
  bool detached = false;

  [[nodiscard]] bool pending() const noexcept { return next != nullptr && next != buffer.data(); }
  void reset() noexcept {
    next = buffer.data();
    end = next + buffer.size();
  }
  /// Forgets what is pending, and takes no more.
  void detach() noexcept {
    detached = true;
    next = end = nullptr;
  }
};

/// Writes what is pending in the tails of a session; `family_id` 0: of all columns.
[[nodiscard]] Error flush_column_tails(const char* operation, WriteSession& session,
                                       std::uint32_t family_id = 0);

}  // namespace snkv::core
