/// \file
/// The tree of counts: which chunk has the element at a position, in O(log n), whatever was
/// inserted and erased before it. A node is a row with up to `capacity / 16` entries in the order
/// of the column; an entry is the number of a row, a chunk or a node of the level below, and how
/// many positions lie in or below it.
///
/// A column of fixed size has none until something is inserted or erased far from its end: until
/// then a chunk's number follows from the position.
#pragma once

#include "core/columns/column_rows.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace snkv::core {

struct ColumnEntry {
  std::uint64_t row = 0;
  std::uint64_t count = 0;

  static constexpr std::size_t size = 16;
};

/// The entries of a node; `corrupt` if it is not one, or counts anything but `expected` positions.
[[nodiscard]] Error read_column_node(ColumnRows& rows, std::uint64_t id, std::uint64_t expected,
                                     Bytes& buffer, std::vector<ColumnEntry>& out);

/// Changes the tree of a column. Keeps `state` up to date: root, height, next_id; not the counts of
/// it.
class ColumnTree {
 public:
  ColumnTree(ColumnRows& rows, ColumnRowWriter& writer, ColumnState& state)
      : rows_(rows), writer_(writer), state_(state), most_(state.capacity / ColumnEntry::size) {}

  /// Puts `fresh` in the place of the chunks from position `begin` to `end`, which both lie between
  /// chunks; `extent` is that of the column before. `erased` is called with the number of each
  /// chunk that is no longer in the tree.
  [[nodiscard]] Error replace(std::uint64_t extent, std::uint64_t begin, std::uint64_t end,
                              std::span<const ColumnEntry> fresh,
                              const std::function<Error(std::uint64_t)>& erased);

 private:
  /// A node that was written, and how many entries it has.
  struct Written {
    ColumnEntry entry;
    std::size_t entries = 0;
  };
  using Children = std::vector<ColumnEntry>;

  [[nodiscard]] Error replace_in(unsigned level, const ColumnEntry& node, std::uint64_t begin,
                                 std::uint64_t end, std::span<const ColumnEntry> fresh,
                                 std::vector<Written>& out);
  [[nodiscard]] Error replace_chunks(Children& entries, std::uint64_t begin, std::uint64_t end,
                                     std::span<const ColumnEntry> fresh);
  [[nodiscard]] Error replace_nodes(unsigned level, Children& entries, std::uint64_t begin,
                                    std::uint64_t end, std::span<const ColumnEntry> fresh);
  /// Joins nodes that were written with few entries to their neighbours.
  [[nodiscard]] Error join_small(Children& entries, std::size_t first,
                                 std::vector<Written>& written);
  /// Writes entries as nodes, the first of them over the row `reuse` (0: all are new).
  [[nodiscard]] Error write_nodes(const Children& entries, std::uint64_t reuse,
                                  std::vector<Written>& out);
  [[nodiscard]] Error load(const ColumnEntry& node, Children& out);

  ColumnRows& rows_;
  ColumnRowWriter& writer_;
  ColumnState& state_;
  std::size_t most_;  // entries of a node
  const std::function<Error(std::uint64_t)>* erased_ = nullptr;
  Bytes buffer_;
};

}  // namespace snkv::core
