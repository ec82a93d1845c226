/// \file
/// What the operations on collections share: rows by key, as of a transaction or a snapshot, and conditions.
#pragma once

#include <snkv/vector/detail/collection/collection_search.hpp>
#include <snkv/vector/detail/operations.hpp>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace snkv::vector_detail {

using vector_core::Target;

[[nodiscard]] inline Error closed(const char* operation) {
  return Error(Errc::closed, operation, "the handle is empty");
}

/// Refers to what the condition refers to.
[[nodiscard]] inline EntryCondition condition_of(const Collection& collection,
                                                 const vector_core::Condition& condition) {
  EntryCondition out;
  out.filter = condition.filter;
  if (condition.predicate != nullptr) {
    out.predicate = std::make_shared<CallerPredicate>(*condition.predicate, &collection.image());
  }
  return out;
}

/// For the linking of `written` entries, which comes after `told` was told of their writing: the second half of
/// the work. Refers to both.
[[nodiscard]] inline Progress linking_progress(CallerProgress& told, const std::uint64_t& written) {
  return [&told, &written](std::uint64_t done, std::uint64_t total) {
    return told(written + written * done / std::max<std::uint64_t>(total, 1), 2 * written);
  };
}

/// Runs `read(tables)` in the transaction `scope`, or in a snapshot of its own.
template <class Read>
[[nodiscard]] Error with_rows(const char* operation, const Collection& collection,
                              const std::shared_ptr<core::Scope>& scope, Read&& read) {
  if (scope != nullptr) return read(collection.tables().in(scope));
  core::Target snapshot;
  Error error = core::snapshot(collection.tables().meta, snapshot);
  if (error.failed()) return as_error_of(operation, std::move(error));
  return read(collection.tables().in(snapshot.scope));
}

/// The row of an entry that has not expired; `not_found`. `item` refers to `row`.
[[nodiscard]] inline Error read_item(const char* operation, const Collection& collection,
                                     const core::Target& items, BytesView key, Bytes& row,
                                     ItemRow& item) {
  Error error = core::get(items, key, row);
  if (error.failed()) return as_error_of(operation, std::move(error));
  if (!decode(row, item)) {
    return damaged(operation, "the row of " + RowWriter::printable(key) + " cannot be read");
  }
  if (collection.damage().shares_number(key.view())) {
    return damaged(operation, "the number of " + RowWriter::printable(key) +
                                  " is that of another entry too");
  }
  if (item.expired(core::now(items))) {
    return Error(Errc::not_found, operation, RowWriter::printable(key));
  }
  return {};
}

/// The same of a handle.
[[nodiscard]] inline Error find_item(const char* operation, const Target& at, BytesView key, Bytes& row,
                                     ItemRow& item) {
  core::Target items = at.collection->tables().items;
  items.scope = at.scope;
  return read_item(operation, *at.collection, items, key, row, item);
}

/// The value of an entry; empty if it has none.
[[nodiscard]] inline Error read_value(const char* operation, const CollectionTables& tables,
                                      BytesView key, std::optional<Bytes>& out) {
  out.reset();
  if (!tables.has_values()) return {};
  Bytes value;
  Error error = core::get(tables.values, key, value);
  if (error == Errc::not_found || error == Errc::dropped) return {};
  if (error.failed()) return as_error_of(operation, std::move(error));
  out = std::move(value);
  return {};
}

[[nodiscard]] inline Error read_metadata(const char* operation, BytesView key, const ItemRow& item,
                                         Json& out) {
  out = parse_metadata(item.metadata);
  if (!out.is_discarded()) return {};
  out = nullptr;
  return damaged(operation,
                 "the metadata of " + RowWriter::printable(key) + " are no JSON object");
}

/// `read_vector`, with the key in the error.
[[nodiscard]] inline Error read_vector_of(const char* operation, BytesView key,
                                          const CollectionTables& tables, const ItemRow& item,
                                          std::vector<float>& out) {
  Error error = read_vector(operation, tables.vectors, item.number, out.size(), out.data());
  if (!is_damage(error)) return error;
  return Error(error.code(), operation, RowWriter::printable(key) + ": " + error.detail(),
               error.extended());
}

}  // namespace snkv::vector_detail
