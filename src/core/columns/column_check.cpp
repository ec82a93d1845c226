#include "core/columns/column_check.hpp"

#include "base/printable.hpp"
#include "core/columns/column_reader.hpp"
#include "core/columns/little_endian.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <unordered_set>
#include <vector>

namespace snkv::core {
namespace {

class Check {
 public:
  Check(const char* operation, const ReadView& view, std::string_view name,
        const ColumnState& state, const ColumnFindings& findings)
      : operation_(operation),
        view_(view),
        state_(state),
        findings_(findings),
        rows_(operation, name, view.bt, *view.family, view.keys, state.tag) {}

  /// The first thing that is wrong.
  [[nodiscard]] Error run() {
    Error error = state_.height == 0 ? chunks_in_order()
                                     : node(state_.height, state_.root, state_.extent(), 0);
    if (!error.failed() && chunks_ != state_.chunks) {
      error = rows_.broken(
          fmt::format("it has {} chunks, its description says {}", chunks_, state_.chunks));
    }
    if (!error.failed() && bytes_ != state_.bytes) {
      error = rows_.broken(
          fmt::format("its elements have {} bytes, its description says {}", bytes_, state_.bytes));
    }
    return error.failed() ? error : nothing_else();
  }

 private:
  [[nodiscard]] Error chunks_in_order() {
    std::uint64_t row = 1;
    for (std::uint64_t at = 0; at < state_.extent(); ++row) {
      const std::uint64_t count = std::min<std::uint64_t>(state_.capacity, state_.extent() - at);
      if (Error error = chunk({row, count}, at); error.failed()) return error;
      at += count;
    }
    return {};
  }

  [[nodiscard]] Error node(unsigned level, std::uint64_t row, std::uint64_t count,
                           std::uint64_t at) {
    if (Error error = see(row); error.failed()) return error;
    std::vector<ColumnEntry> entries;
    Bytes buffer;
    if (Error error = read_column_node(rows_, row, count, buffer, entries); error.failed())
      return error;
    for (const ColumnEntry& entry : entries) {
      Error error = level == 1 ? chunk(entry, at) : node(level - 1, entry.row, entry.count, at);
      if (error.failed()) return error;
      at += entry.count;
    }
    return {};
  }

  [[nodiscard]] Error chunk(const ColumnEntry& entry, std::uint64_t at) {
    if (Error error = see(entry.row); error.failed()) return error;
    BytesView content;
    if (Error error = rows_.read(entry.row, buffer_, content); error.failed()) return error;
    ++chunks_;
    if (!findings_.read(content.size())) return Error(Errc::aborted, operation_, "");
    if (state_.kind == ColumnKind::fixed) {
      bytes_ += content.size();
      if (content.size() == entry.count && entry.count % state_.granule == 0) return {};
      return rows_.broken(
          entry.row, fmt::format("has {} bytes, it should have {}", content.size(), entry.count));
    }
    const Bytes copy(content);  // what has rows of its own takes the page away
    ItemChunk items;
    if (!items.parse(copy) || items.count() != entry.count) {
      return rows_.broken(entry.row, fmt::format("is not {} elements from {} on", entry.count, at));
    }
    for (std::size_t i = 0; i < items.count(); ++i) {
      ColumnItem item;
      if (!items.item(i, item))
        return rows_.broken(entry.row, fmt::format("has no usable element {}", at + i));
      std::uint64_t size = item.content.size();
      if (item.reference) {
        const ColumnReference reference = decode_reference(item.content);
        size = reference.bytes;
        if (Error error = pieces(reference, at + i); error.failed()) return error;
      }
      bytes_ += size;
    }
    return {};
  }

  [[nodiscard]] Error pieces(const ColumnReference& reference, std::uint64_t element) {
    std::uint64_t done = 0;
    for (std::uint64_t row = reference.first_row; done < reference.bytes; ++row) {
      if (Error error = see(row); error.failed()) return error;
      BytesView content;
      if (Error error = rows_.read(row, buffer_, content); error.failed()) return error;
      if (content.empty() || content.size() > reference.bytes - done) {
        return rows_.broken(row, fmt::format("is not a piece of element {}", element));
      }
      done += content.size();
      if (!findings_.read(content.size())) return Error(Errc::aborted, operation_, "");
    }
    return {};
  }

  /// A row that is met again would let a tree go on for ever.
  [[nodiscard]] Error see(std::uint64_t row) {
    if (row == 0 || row >= state_.next_id)
      return rows_.broken(row, "has a number that was never given");
    return seen_.insert(row).second ? Error() : rows_.broken(row, "is in two places");
  }

  [[nodiscard]] Error nothing_else() {
    btree::Cursor cursor;
    int valid = 0;
    int rc = SNKV_BT_OK;
    if (view_.family->large_root != 0) {
      rc = cursor.open(view_.bt, view_.family->large_root, SNKV_BT_ROWID, false);
      if (rc == SNKV_BT_OK) rc = snkv_bt_first(cursor.get(), &valid);
    }
    while (rc == SNKV_BT_OK && valid != 0) {
      const std::int64_t row = snkv_bt_rowid(cursor.get());
      if (row <= 0 || !seen_.contains(static_cast<std::uint64_t>(row))) {
        return rows_.broken(fmt::format("row {} belongs to no element", row));
      }
      rc = snkv_bt_next(cursor.get(), &valid);
    }
    return rc == SNKV_BT_OK ? Error() : btree::engine_error(operation_, rc, "the rows of a column");
  }

  const char* operation_;
  const ReadView& view_;
  const ColumnState& state_;
  const ColumnFindings& findings_;
  ColumnRows rows_;
  Bytes buffer_;
  std::unordered_set<std::uint64_t> seen_;
  std::uint64_t chunks_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace

Error check_column(const char* operation, const ReadView& view, std::string_view name,
                   const ColumnFindings& findings) {
  ColumnState state;
  btree::Cursor cursor;
  const int rc = cursor.open(view.bt, view.family->root, SNKV_BT_ROWS, false);
  if (rc != SNKV_BT_OK) return btree::engine_error(operation, rc, std::string_view(name));
  Error error = read_column_state(operation, name, view, cursor.get(), state);
  if (!error.failed()) error = Check(operation, view, name, state, findings).run();
  if (!(error == Errc::corrupt) && !(error == Errc::tampered) &&
      !(error == Errc::unsupported_version))
    return error;
  findings.found(error.detail(), error == Errc::tampered);
  return {};
}

std::string column_of_family(const ReadView& names, std::string_view family) {
  const std::string fallback(family);
  if (names.family == nullptr || !family.starts_with(column_family_prefix)) return fallback;
  btree::Cursor cursor;
  int valid = 0;
  int rc = cursor.open(names.bt, names.family->root, SNKV_BT_ROWS, false);
  if (rc == SNKV_BT_OK) rc = snkv_bt_first(cursor.get(), &valid);
  Bytes scratch;
  Bytes buffer;
  for (; rc == SNKV_BT_OK && valid != 0; rc = snkv_bt_next(cursor.get(), &valid)) {
    Row row;
    BytesView value;
    rc = read_row(cursor.get(), scratch, row);
    if (rc != SNKV_BT_OK) break;
    if (row_value("verify", names, row, buffer, value).failed() || value.size() != 4) continue;
    if (row.key.size() > 0 && row.key.data()[0] == std::byte{0}) continue;
    if (family.substr(column_family_prefix.size()) ==
        std::to_string(little_endian(value.data(), 4))) {
      return row.key.str();
    }
  }
  return fallback;
}

}  // namespace snkv::core
