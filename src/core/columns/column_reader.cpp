#include "core/columns/column_reader.hpp"

#include "base/printable.hpp"

#include <fmt/format.h>
#include <algorithm>

namespace snkv::core {

Error read_column_state(const char* operation, std::string_view column, const ReadView& view,
                        snkv_bt_cursor* rows, ColumnState& out) {
  bool found = false;
  Error error =
      find_entry(operation, view, rows, BytesView(column_state_key), found, [&](const Row& row) {
        Bytes buffer;
        BytesView value;
        Error unreadable = row_value(operation, view, row, buffer, value);
        return unreadable.failed() ? unreadable
                                   : ColumnState::decode(operation, column, value, out);
      });
  if (error.failed() || found) return error;
  return Error(view.keys == nullptr ? Errc::corrupt : Errc::tampered, operation,
               fmt::format("column {}: its description is missing", base::printable(column)));
}

Error ColumnReader::seek(std::uint64_t position) {
  if (count_ != 0 && position >= begin_ && position < begin_ + count_) return {};
  count_ = 0;
  if (state_.height == 0) {
    const std::uint64_t index = position / state_.capacity;
    begin_ = index * state_.capacity;
    row_ = index + 1;
    count_ = std::min<std::uint64_t>(state_.capacity, state_.extent() - begin_);
  } else if (Error error = find_in_tree(position); error.failed()) {
    return error;
  }
  Error error = load_chunk();
  if (error.failed()) count_ = 0;
  return error;
}

Error ColumnReader::load_chunk() {
  if (Error error = rows_.read(row_, buffer_, chunk_); error.failed()) return error;
  if (state_.kind == ColumnKind::fixed) {
    if (chunk_.size() == count_) return {};
    return rows_.broken(row_, fmt::format("has {} bytes of elements {} to {}, which take {}",
                                          chunk_.size(), begin_ / state_.element_size,
                                          (begin_ + count_ - 1) / state_.element_size, count_));
  }
  if (!items_.parse(chunk_) || items_.count() != count_) {
    return rows_.broken(row_,
                        fmt::format("is not the elements {} to {}", begin_, begin_ + count_ - 1));
  }
  return {};
}

Error ColumnReader::find_in_tree(std::uint64_t position) {
  // Up to the first node that the position lies below, and down from there.
  while (!levels_.empty() && (position < levels_.back().begin || position >= levels_.back().end)) {
    levels_.pop_back();
  }
  ColumnEntry node{state_.root, state_.extent()};
  std::uint64_t begin = 0;
  bool loaded = !levels_.empty();
  for (;;) {
    if (!loaded) {
      levels_.emplace_back();
      Level& level = levels_.back();
      level.begin = begin;
      level.end = begin + node.count;
      level.at_begin = begin;
      Error error = read_column_node(rows_, node.row, node.count, node_buffer_, level.entries);
      if (error.failed()) {
        levels_.clear();
        return error;
      }
    }
    loaded = false;
    Level& level = levels_.back();
    if (position < level.at_begin) {
      level.at = 0;
      level.at_begin = level.begin;
    }
    while (position >= level.at_begin + level.entries[level.at].count) {
      level.at_begin += level.entries[level.at++].count;
    }
    node = level.entries[level.at];
    begin = level.at_begin;
    if (levels_.size() == state_.height) break;
  }
  row_ = node.row;
  begin_ = begin;
  count_ = node.count;
  return {};
}

Error ColumnReader::raw_item(std::uint64_t position, ColumnItem& out) const {
  if (items_.item(static_cast<std::size_t>(position - begin_), out)) return {};
  return rows_.broken(row_, fmt::format("has no usable element {}", position));
}

Error ColumnReader::item(std::uint64_t position, ColumnRows& others, Bytes& large, BytesView& out) {
  ColumnItem item;
  if (Error error = raw_item(position, item); error.failed()) return error;
  out = item.content;
  if (!item.reference) return {};
  const ColumnReference reference = decode_reference(item.content);
  // What is damaged must not make us take memory for what the column cannot have.
  if (reference.bytes > state_.bytes || reference.first_row >= state_.next_id) {
    return rows_.broken(row_, fmt::format("has no usable element {}", position));
  }
  if (!large.try_resize_for_overwrite(static_cast<std::size_t>(reference.bytes))) {
    return Error(Errc::no_memory, rows_.operation(), fmt::format("{} bytes", reference.bytes));
  }
  Bytes buffer;
  std::uint64_t done = 0;
  for (std::uint64_t row = reference.first_row; done < reference.bytes; ++row) {
    BytesView piece;
    if (Error error = others.read(row, buffer, piece); error.failed()) return error;
    if (piece.empty() || piece.size() > reference.bytes - done) {
      return rows_.broken(row, fmt::format("is not a piece of element {}", position));
    }
    std::memcpy(large.data() + done, piece.data(), piece.size());
    done += piece.size();
  }
  out = large;
  return {};
}

}  // namespace snkv::core
