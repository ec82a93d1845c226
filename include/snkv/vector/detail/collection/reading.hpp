/// \file
/// Reading by key, and in the order of keys.
#pragma once

#include <snkv/vector/detail/collection/entry_scan.hpp>
#include <snkv/vector/detail/collection/row_access.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace snkv {

namespace vector_detail {

/// An entry with what was asked for.
[[nodiscard]] inline Error read_record(const char* operation, const Collection& collection,
                                       const CollectionTables& tables, std::string_view key,
                                       const ItemRow& item, const vector_core::Listing& wanted,
                                       VectorRecord& out) {
  out.key = key;
  if (item.expires_at != 0) out.expires_at = TimePoint(std::chrono::milliseconds(item.expires_at));
  Error error;
  if (wanted.metadata) error = read_metadata(operation, key, item, out.metadata);
  if (!error.failed() && wanted.values) error = read_value(operation, tables, key, out.value);
  if (!error.failed() && wanted.vectors) {
    out.vector.resize(collection.config().dim);
    error = read_vector_of(operation, key, tables, item, out.vector);
  }
  return error;
}

}  // namespace vector_detail

namespace vector_core {

using namespace vector_detail;  // NOLINT(google-build-using-namespace): the code behind these functions

SNKV_VECTOR_CODE Error get(const Target& at, BytesView key, Bytes& value) {
  constexpr const char* operation = "get";
  if (at.collection == nullptr) return closed(operation);
  core::Target target = at.collection->tables().values;
  target.scope = at.scope;
  if (target.family == nullptr) return Error(Errc::not_found, operation, at.collection->name());
  return core::get(target, key, value);
}

SNKV_VECTOR_CODE Error get_vector(const Target& at, BytesView key, std::vector<float>& vector) {
  constexpr const char* operation = "get_vector";
  if (at.collection == nullptr) return closed(operation);
  std::vector<float> found(at.collection->config().dim);
  Error error =
      with_rows(operation, *at.collection, at.scope, [&](const CollectionTables& tables) {
        Bytes row;
        ItemRow item;
        Error failed = read_item(operation, *at.collection, tables.items, key, row, item);
        return failed.failed() ? failed : read_vector_of(operation, key, tables, item, found);
      });
  if (!error.failed()) vector = std::move(found);
  return error;
}

SNKV_VECTOR_CODE Error get_metadata(const Target& at, BytesView key, Json& metadata) {
  constexpr const char* operation = "get_metadata";
  if (at.collection == nullptr) return closed(operation);
  Bytes row;
  ItemRow item;
  Error error = find_item(operation, at, key, row, item);
  return error.failed() ? error : read_metadata(operation, key, item, metadata);
}

SNKV_VECTOR_CODE Error get_item(const Target& at, BytesView key, VectorRecord& record) {
  constexpr const char* operation = "get_item";
  if (at.collection == nullptr) return closed(operation);
  const Listing all{.vectors = true};
  return with_rows(operation, *at.collection, at.scope, [&](const CollectionTables& tables) {
    Bytes row;
    ItemRow item;
    Error failed = read_item(operation, *at.collection, tables.items, key, row, item);
    if (failed.failed()) return failed;
    return read_record(operation, *at.collection, tables, key.view(), item, all, record);
  });
}

SNKV_VECTOR_CODE Error contains(const Target& at, BytesView key, bool& found) {
  constexpr const char* operation = "contains";
  if (at.collection == nullptr) return closed(operation);
  Bytes row;
  ItemRow item;
  Error error = find_item(operation, at, key, row, item);
  found = !error.failed();
  return error == Errc::not_found ? Error() : error;
}

SNKV_VECTOR_CODE Error size(const Target& at, std::uint64_t& entries) {
  constexpr const char* operation = "size";
  if (at.collection == nullptr) return closed(operation);
  return with_rows(
      operation, *at.collection, at.scope, [&](const CollectionTables& tables) -> Error {
        StateRow state;
        Error failed = read_state(operation, tables.meta, state);
        if (failed.failed()) return failed;
        const std::int64_t now = core::now(tables.meta);
        const core::KeyRange expired{Bytes(expiry_key(0, 0).view()), Bytes(expiry_key(now + 1, 0).view()),
                                     true};
        std::uint64_t gone = 0;
        failed = core::count_range(tables.meta, expired, gone);
        entries = state.live - std::min(state.live, gone);
        return as_error_of(operation, std::move(failed));
      });
}

SNKV_VECTOR_CODE Error count(const Target& at, const Condition& condition, std::uint64_t& entries) {
  constexpr const char* operation = "count";
  if (at.collection == nullptr) return closed(operation);
  const EntryCondition wanted = condition_of(*at.collection, condition);
  if (Error error = wanted.error(operation); error.failed()) return error;
  if (at.scope == nullptr) {
    const CollectionImage& image = at.collection->image();
    NumberCondition numbers(*at.collection, wanted);
    std::uint64_t epoch = 0;
    do {
      epoch = image.epoch();
      if (Error error = at.collection->catch_up(operation); error.failed()) return error;
      image.read([&](const auto& names, const auto& metadata) {
        numbers.resolve(names, metadata, core::now(at.collection->tables().meta));
      });
    } while (image.epoch() != epoch);
    if (!numbers.asks_rows()) {
      entries = numbers.most();
      return {};
    }
  }
  std::uint64_t counted = 0;
  Error error = with_rows(operation, *at.collection, at.scope, [&](const CollectionTables& tables) {
    return EntryScan(operation, *at.collection, tables, wanted).run({}, [&](auto, auto&, bool&) {
      ++counted;
      return Error();
    });
  });
  if (!error.failed()) entries = counted;
  return error;
}

SNKV_VECTOR_CODE Error ids(const Target& at, std::string_view after, std::size_t limit,
                           std::vector<std::string>& keys) {
  constexpr const char* operation = "ids";
  if (at.collection == nullptr) return closed(operation);
  return with_rows(operation, *at.collection, at.scope, [&](const CollectionTables& tables) {
    EntryScan scan(operation, *at.collection, tables, {});
    return scan.run(after, [&](std::string_view key, auto&, bool& more) {
      keys.emplace_back(key);
      more = keys.size() != limit;
      return Error();
    });
  });
}

SNKV_VECTOR_CODE Error items(const Target& at, const Listing& listing, std::vector<VectorRecord>& records) {
  constexpr const char* operation = "items";
  if (at.collection == nullptr) return closed(operation);
  if (at.scope == nullptr && listing.condition.filter != nullptr) {
    if (Error error = at.collection->catch_up(operation); error.failed()) return error;
  }
  const EntryCondition condition = condition_of(*at.collection, listing.condition);
  return with_rows(operation, *at.collection, at.scope, [&](const CollectionTables& tables) {
    EntryScan scan(operation, *at.collection, tables, condition);
    return scan.run(listing.after, [&](std::string_view key, const auto& item, bool& more) {
      VectorRecord record;
      Error failed = read_record(operation, *at.collection, tables, key, item, listing, record);
      if (failed.failed()) return failed;
      records.push_back(std::move(record));
      more = records.size() != listing.limit;
      return failed;
    });
  });
}

}  // namespace vector_core
}  // namespace snkv
