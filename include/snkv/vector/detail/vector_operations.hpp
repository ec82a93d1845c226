/// \file
/// Bodies of members of store.hpp: what the others share, and what handles say of themselves.
#pragma once

#include <snkv/vector/detail/collection_open.hpp>
#include <snkv/vector/detail/entry_scan.hpp>
#include <snkv/vector/store.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace snkv {

namespace vector_detail {

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

}  // namespace vector_detail

inline namespace SNKV_EXPECTED_NAMESPACE {

namespace vector_facade {

using vector_detail::Collection;
using vector_detail::EntryChange;

[[nodiscard]] inline Error closed(const char* operation) {
  return Error(Errc::closed, operation, "the handle is empty");
}

/// Refers to both.
[[nodiscard]] inline vector_detail::EntryCondition condition_of(const Collection& collection,
                                                                const std::optional<Filter>& filter,
                                                                const VectorPredicate& predicate) {
  vector_detail::EntryCondition condition;
  if (filter && !filter->is_all()) condition.filter = &filter->node();
  if (predicate) {
    condition.predicate =
        std::make_shared<vector_detail::CallerPredicate>(predicate, &collection.image());
  }
  return condition;
}

}  // namespace vector_facade

inline std::size_t VectorOperations::dim() const noexcept {
  return collection_ == nullptr ? 0 : collection_->config().dim;
}
inline Metric VectorOperations::metric() const noexcept {
  return collection_ == nullptr ? Metric::cosine : collection_->config().metric;
}
inline ElementType VectorOperations::dtype() const noexcept {
  return collection_ == nullptr ? ElementType::f32 : collection_->config().type;
}
inline std::string_view VectorOperations::name() const noexcept {
  return collection_ == nullptr ? std::string_view() : std::string_view(collection_->name());
}
inline Store VectorOperations::store() const {
  return collection_ == nullptr ? Store() : facade::Door::store(collection_->store());
}
inline Result<ColumnFamily> VectorOperations::values() const {
  if (collection_ == nullptr) return Unexpected(vector_facade::closed("values"));
  core::Target target = collection_->tables().values;
  if (target.family == nullptr) {
    return Unexpected(Error(Errc::not_found, "values", collection_->name()));
  }
  target.scope = scope_;
  return ColumnFamily(std::move(target));
}
inline Result<VectorOperations> VectorOperations::bound_to(const Transaction& transaction) const {
  if (collection_ == nullptr) return Unexpected(vector_facade::closed("in"));
  const core::Target& target = facade::Door::target(transaction);
  if (target.scope == nullptr) {
    return Unexpected(Error(Errc::closed, "in", "the transaction has ended"));
  }
  if (target.store != collection_->store().store) {
    return Unexpected(
        Error(Errc::invalid_argument, "in", "the transaction is one of another store"));
  }
  return VectorOperations(collection_, target.scope);
}

}  // namespace SNKV_EXPECTED_NAMESPACE
}  // namespace snkv

#include <snkv/vector/detail/vector_exchange.hpp>
#include <snkv/vector/detail/vector_maintenance.hpp>
#include <snkv/vector/detail/vector_reads.hpp>
#include <snkv/vector/detail/vector_repair.hpp>
#include <snkv/vector/detail/vector_searches.hpp>
#include <snkv/vector/detail/vector_writes.hpp>
