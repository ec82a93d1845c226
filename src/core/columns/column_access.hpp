/// \file
/// How operations on columns begin: what is pending is written, the view is chosen, the description
/// read.
#pragma once

#include "base/printable.hpp"
#include "core/columns/column_reader.hpp"
#include "core/columns/column_writer.hpp"
#include "core/run.hpp"

#include <snkv/detail/core_abi.hpp>

#include <fmt/format.h>
#include <algorithm>
#include <cstdint>
#include <string>

namespace snkv::core {

/// `dropped` with the column's own name: its family has one that nobody has seen.
[[nodiscard]] inline Error about_column(const char* operation, std::string_view column,
                                        const Error& error) {
  if (!(error == Errc::dropped) && !(error == Errc::schema_mismatch)) return error;
  std::string detail = "column " + base::printable(column);
  if (error.detail().starts_with(detail)) return error;
  if (!(error == Errc::dropped)) detail += ": " + error.detail();
  return Error(error.code(), operation, std::move(detail), error.extended());
}

/// Before a transaction reads a column: makes chunks of what it has appended one by one.
[[nodiscard]] inline Error settle_column(const char* operation, const ColumnTarget& column) {
  const Target& target = column.target;
  if (target.scope == nullptr || target.scope->kind() != Scope::Kind::transaction) return {};
  auto& transaction = static_cast<TransactionState&>(*target.scope);
  if (Error error = transaction.check(operation); error.failed()) return error;
  WriteSession& session = transaction.session();
  for (const auto& tail : session.column_tails()) {
    if (tail->family->id != target.family->id || !tail->pending()) continue;
    if (Error error = transaction.check_write(operation); error.failed()) return error;
    if (snkv_bt_poisoned(session.bt()) != 0) return Error(Errc::rollback_required, operation, "");
    return flush_column_tails(operation, session, target.family->id);
  }
  return {};
}

/// Runs `body(view, state)` in the point of view of the column's target.
template <class Body>
[[nodiscard]] Error with_column(const char* operation, const ColumnTarget& column, Body&& body) {
  if (column.target.family == nullptr) return Error(Errc::closed, operation, "the handle is empty");
  if (Error error = settle_column(operation, column); error.failed()) {
    return about_column(operation, column.name, error);
  }
  Error error =
      with_view(operation, column.target, [&](const ReadView& view, snkv_bt_cursor* rows) -> Error {
        ColumnState state;
        Error failed = read_column_state(operation, column.name, view, rows, state);
        return failed.failed() ? failed : body(view, static_cast<const ColumnState&>(state));
      });
  return about_column(operation, column.name, error);
}

/// The rows of a column, as a view has them.
[[nodiscard]] inline ColumnRows rows_of(const char* operation, std::string_view column,
                                        const ReadView& view, const ColumnState& state) {
  return {operation, column, view.bt, *view.family, view.keys, state.tag};
}

/// The elements of a slice, in a column of `length` elements.
struct ColumnRun {
  std::uint64_t first = 0;  ///< the first one to be read
  std::uint64_t count = 0;
  std::uint64_t step = 1;
  bool backwards = false;
};

[[nodiscard]] inline std::string describe(ColumnIndex index) {
  return index.is_from_end() ? fmt::format("-{}", index.value()) : std::to_string(index.value());
}

/// The number of an index; false if it is before the beginning, or behind the end.
[[nodiscard]] inline bool resolve_index(ColumnIndex index, std::uint64_t length,
                                        std::uint64_t& out) noexcept {
  if (index.value() > length) return false;
  out = index.is_from_end() ? length - index.value() : index.value();
  return true;
}

[[nodiscard]] inline Error out_of_range(const char* operation, std::string_view column,
                                        ColumnIndex index, std::uint64_t length) {
  return Error(Errc::invalid_argument, operation,
               fmt::format("column {}: index {} is out of range, it has {} elements",
                           base::printable(column), describe(index), length));
}

[[nodiscard]] inline Error resolve_slice(const char* operation, std::string_view column,
                                         const ColumnSlice& slice, std::uint64_t length,
                                         ColumnRun& out) {
  if (slice.step == 0) {
    return Error(Errc::invalid_argument, operation,
                 fmt::format("column {}: a slice with step 0", base::printable(column)));
  }
  std::uint64_t first = 0;
  const bool inside = resolve_index(slice.first, length, first);
  if (slice.be != ColumnSlice::Must::nothing &&
      (!inside || (first == length && slice.be == ColumnSlice::Must::element))) {
    return out_of_range(operation, column, slice.first, length);
  }
  if (!inside) first = slice.first.is_from_end() ? 0 : length;
  std::uint64_t last = 0;
  if (!resolve_index(slice.last, length, last)) last = slice.last.is_from_end() ? 0 : length;
  out.backwards = slice.step < 0;
  out.step = out.backwards ? std::uint64_t{0} - static_cast<std::uint64_t>(slice.step)
                           : static_cast<std::uint64_t>(slice.step);
  out.count = first < last ? (last - first - 1) / out.step + 1 : 0;
  out.count = std::min(out.count, slice.most);
  out.first = out.backwards ? last - 1 : first;
  return {};
}

}  // namespace snkv::core
