/// \file
/// Bodies of members of store.hpp: reading by key, and in the order of keys.
#pragma once

#include <snkv/vector/detail/entry_scan.hpp>
#include <snkv/vector/store.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace snkv {
inline namespace SNKV_EXPECTED_NAMESPACE {

inline Result<Bytes> VectorOperations::get(BytesView key) const {
  constexpr const char* operation = "get";
  if (collection_ == nullptr) return Unexpected(vector_facade::closed(operation));
  core::Target target = collection_->tables().values;
  target.scope = scope_;
  Bytes value;
  Error error = target.family == nullptr ? Error(Errc::not_found, operation, collection_->name())
                                         : core::get(target, key, value);
  return facade::as_result(std::move(error), std::move(value));
}

inline Result<std::vector<float>> VectorOperations::get_vector(BytesView key) const {
  constexpr const char* operation = "get_vector";
  if (collection_ == nullptr) return Unexpected(vector_facade::closed(operation));
  std::vector<float> vector(dim());
  Error error = vector_detail::with_rows(
      operation, *collection_, scope_, [&](const vector_detail::CollectionTables& tables) {
        Bytes row;
        vector_detail::ItemRow item;
        Error failed = vector_detail::read_item(operation, *collection_, tables.items, key, row, item);
        if (failed.failed()) return failed;
        return vector_detail::read_vector_of(operation, key, tables, item, vector);
      });
  return facade::as_result(std::move(error), std::move(vector));
}

inline Result<Json> VectorOperations::get_metadata(BytesView key) const {
  constexpr const char* operation = "get_metadata";
  if (collection_ == nullptr) return Unexpected(vector_facade::closed(operation));
  core::Target items = collection_->tables().items;
  items.scope = scope_;
  Bytes row;
  vector_detail::ItemRow item;
  Json metadata;
  Error error = vector_detail::read_item(operation, *collection_, items, key, row, item);
  if (!error.failed()) error = vector_detail::read_metadata(operation, key, item, metadata);
  if (error.failed()) return Unexpected(std::move(error));
  return metadata;
}

inline Result<bool> VectorOperations::contains(BytesView key) const {
  constexpr const char* operation = "contains";
  if (collection_ == nullptr) return Unexpected(vector_facade::closed(operation));
  core::Target items = collection_->tables().items;
  items.scope = scope_;
  Bytes row;
  vector_detail::ItemRow item;
  Error error = vector_detail::read_item(operation, *collection_, items, key, row, item);
  bool found = !error.failed();
  if (error == Errc::not_found) error = {};
  return facade::as_result(std::move(error), std::move(found));
}

namespace vector_facade {

/// An entry with what was asked for.
[[nodiscard]] inline Error read_record(const char* operation, const Collection& collection,
                                       const vector_detail::CollectionTables& tables,
                                       std::string_view key, const vector_detail::ItemRow& item,
                                       const VectorQuery& wanted, VectorRecord& out) {
  out.key = key;
  if (item.expires_at != 0) out.expires_at = TimePoint(std::chrono::milliseconds(item.expires_at));
  Error error;
  if (wanted.metadata) error = vector_detail::read_metadata(operation, key, item, out.metadata);
  if (!error.failed() && wanted.values) {
    error = vector_detail::read_value(operation, tables, key, out.value);
  }
  if (!error.failed() && wanted.vectors) {
    out.vector.resize(collection.config().dim);
    error = vector_detail::read_vector_of(operation, key, tables, item, out.vector);
  }
  return error;
}

}  // namespace vector_facade

inline Result<VectorRecord> VectorOperations::get_item(BytesView key) const {
  constexpr const char* operation = "get_item";
  if (collection_ == nullptr) return Unexpected(vector_facade::closed(operation));
  VectorRecord record;
  Error error = vector_detail::with_rows(
      operation, *collection_, scope_, [&](const vector_detail::CollectionTables& tables) {
        Bytes row;
        vector_detail::ItemRow item;
        Error failed = vector_detail::read_item(operation, *collection_, tables.items, key, row, item);
        if (failed.failed()) return failed;
        return vector_facade::read_record(operation, *collection_, tables, key.view(), item,
                                          {.vectors = true}, record);
      });
  return facade::as_result(std::move(error), std::move(record));
}

inline Result<std::uint64_t> VectorOperations::size() const {
  constexpr const char* operation = "size";
  if (collection_ == nullptr) return Unexpected(vector_facade::closed(operation));
  std::uint64_t entries = 0;
  Error error = vector_detail::with_rows(
      operation, *collection_, scope_, [&](const vector_detail::CollectionTables& tables) -> Error {
        vector_detail::StateRow state;
        Error failed = vector_detail::read_state(operation, tables.meta, state);
        if (failed.failed()) return failed;
        const std::int64_t now = core::now(tables.meta);
        const core::KeyRange expired{Bytes(vector_detail::expiry_key(0, 0).view()),
                                     Bytes(vector_detail::expiry_key(now + 1, 0).view()), true};
        std::uint64_t gone = 0;
        failed = core::count_range(tables.meta, expired, gone);
        entries = state.live - std::min(state.live, gone);
        return vector_detail::as_error_of(operation, std::move(failed));
      });
  return facade::as_result(std::move(error), std::move(entries));
}

inline Result<std::uint64_t> VectorOperations::count(const Filter& filter) const {
  constexpr const char* operation = "count";
  if (collection_ == nullptr) return Unexpected(vector_facade::closed(operation));
  std::uint64_t entries = 0;
  const vector_detail::EntryCondition condition{&filter.node(), nullptr};
  if (Error error = condition.error(operation); error.failed()) return Unexpected(std::move(error));
  if (scope_ == nullptr) {
    Error error = collection_->catch_up(operation);
    if (error.failed()) return Unexpected(std::move(error));
    vector_detail::NumberCondition numbers(*collection_, condition);
    collection_->image().read([&](const auto& names, const auto& metadata) {
      numbers.resolve(names, metadata, core::now(collection_->tables().meta));
    });
    if (!numbers.asks_rows()) return numbers.most();
  }
  Error error = vector_detail::with_rows(
      operation, *collection_, scope_, [&](const vector_detail::CollectionTables& tables) {
        vector_detail::EntryScan scan(operation, *collection_, tables, condition);
        return scan.run({}, [&](auto, auto&, bool&) {
          ++entries;
          return Error();
        });
      });
  return facade::as_result(std::move(error), std::move(entries));
}

inline Result<std::vector<std::string>> VectorOperations::ids(std::string_view after,
                                                              std::size_t limit) const {
  constexpr const char* operation = "ids";
  if (collection_ == nullptr) return Unexpected(vector_facade::closed(operation));
  std::vector<std::string> keys;
  Error error = vector_detail::with_rows(
      operation, *collection_, scope_, [&](const vector_detail::CollectionTables& tables) {
        vector_detail::EntryScan scan(operation, *collection_, tables, {});
        return scan.run(after, [&](std::string_view key, auto&, bool& more) {
          keys.emplace_back(key);
          more = keys.size() != limit;
          return Error();
        });
      });
  return facade::as_result(std::move(error), std::move(keys));
}

inline Result<std::vector<VectorRecord>> VectorOperations::items(const VectorQuery& query) const {
  constexpr const char* operation = "items";
  if (collection_ == nullptr) return Unexpected(vector_facade::closed(operation));
  std::vector<VectorRecord> records;
  if (scope_ == nullptr && query.filter) {
    Error error = collection_->catch_up(operation);
    if (error.failed()) return Unexpected(std::move(error));
  }
  const auto condition = vector_facade::condition_of(*collection_, query.filter, query.predicate);
  Error error = vector_detail::with_rows(
      operation, *collection_, scope_, [&](const vector_detail::CollectionTables& tables) {
        vector_detail::EntryScan scan(operation, *collection_, tables, condition);
        return scan.run(query.after, [&](std::string_view key, const auto& item, bool& more) {
          VectorRecord record;
          Error failed = vector_facade::read_record(operation, *collection_, tables, key, item,
                                                    query, record);
          if (failed.failed()) return failed;
          records.push_back(std::move(record));
          more = records.size() != query.limit;
          return failed;
        });
      });
  return facade::as_result(std::move(error), std::move(records));
}

}  // namespace SNKV_EXPECTED_NAMESPACE
}  // namespace snkv
