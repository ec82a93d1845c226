/// \file
/// Bodies of members of store.hpp: writing.
#pragma once

#include <snkv/vector/store.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace snkv {
inline namespace SNKV_EXPECTED_NAMESPACE {

namespace vector_facade {

/// An item of a batch as a change.
template <class Item>
[[nodiscard]] Error change_of(const char* operation, const Item& item, std::int64_t now,
                              EntryChange& change) {
  change.value = item.value;
  Error error = vector_detail::metadata_text(operation, change.key, item.metadata, change.metadata);
  if (error.failed()) return error;
  std::int64_t at = 0;
  error = vector_detail::expiry_of(operation, {.ttl = item.ttl, .expires_at = item.expires_at}, now,
                                   at);
  if (!error.failed()) change.expires_at = at;
  return error;
}

[[nodiscard]] inline Result<void> put(const char* operation, const Collection* collection,
                                      const std::shared_ptr<core::Scope>& scope, BytesView key,
                                      std::span<const float> vector, const VectorPut& options,
                                      EntryChange::Wanted wanted) {
  if (collection == nullptr) return Unexpected(closed(operation));
  Error error = collection->check_vector(operation, vector, key);
  if (error.failed()) return Unexpected(std::move(error));
  return facade::as_result(collection->write(
      operation, scope, {options.sync}, [&](vector_detail::RowWriter& writer, auto&) {
        EntryChange change{.key = key, .vector = vector.data(), .wanted = wanted};
        Error failed = change_of(operation, options, writer.now(), change);
        if (!failed.failed()) failed = collection->check_memory(operation, writer, 1);
        return failed.failed() ? failed : writer.put(change);
      }));
}

[[nodiscard]] inline Result<void> put_batch(const char* operation, const Collection* collection,
                                            const std::shared_ptr<core::Scope>& scope,
                                            std::span<const VectorItem> items,
                                            const Progress& progress, const WriteOptions& options,
                                            EntryChange::Wanted wanted) {
  if (collection == nullptr) return Unexpected(closed(operation));
  std::unordered_map<std::string_view, std::size_t> last;
  last.reserve(items.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    Error error = collection->check_vector(operation, items[i].vector, items[i].key);
    if (error.failed()) return Unexpected(std::move(error));
    const auto [at, is_new] = last.insert_or_assign(items[i].key.view(), i);
    if (!is_new && wanted == EntryChange::Wanted::absent) {
      return Unexpected(Error(Errc::exists, operation,
                              vector_detail::RowWriter::printable(items[i].key) + " comes twice"));
    }
  }
  if (items.empty()) return {};
  const std::uint64_t count = items.size();
  vector_detail::CallerProgress told(progress, &collection->image());
  const auto write = [&](vector_detail::RowWriter& writer, auto&) -> Error {
    if (Error error = collection->check_memory(operation, writer, last.size()); error.failed()) {
      return error;
    }
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i % 256 == 0 && !told(i, 2 * count)) return told.error(operation);
      const VectorItem& item = items[i];
      if (last.find(item.key.view())->second != i) continue;
      EntryChange change{.key = item.key, .vector = item.vector.data(), .wanted = wanted};
      Error error = change_of(operation, item, writer.now(), change);
      if (!error.failed()) error = writer.put(change);
      if (error.failed()) return error;
    }
    return {};
  };
  const Progress linking = [&](std::uint64_t done, std::uint64_t total) {
    return told(count + count * done / std::max<std::uint64_t>(total, 1), 2 * count);
  };
  return facade::as_result(collection->write(operation, scope, options, write, linking));
}

}  // namespace vector_facade

inline Result<void> VectorOperations::put(BytesView key, Vector vector, const VectorPut& options) {
  return vector_facade::put("put", collection_.get(), scope_, key, vector, options,
                            vector_detail::EntryChange::Wanted::any);
}
inline Result<void> VectorOperations::add(BytesView key, Vector vector, const VectorPut& options) {
  return vector_facade::put("add", collection_.get(), scope_, key, vector, options,
                            vector_detail::EntryChange::Wanted::absent);
}

inline Result<void> VectorOperations::update(BytesView key, const VectorUpdate& change) {
  constexpr const char* operation = "update";
  if (collection_ == nullptr) return Unexpected(vector_facade::closed(operation));
  if (!change.vector && !change.value && change.metadata.is_null() && !change.ttl &&
      !change.expires_at) {
    return Unexpected(Error(Errc::invalid_argument, operation, "there is nothing to change"));
  }
  if (change.vector) {
    Error error = collection_->check_vector(operation, *change.vector, key);
    if (error.failed()) return Unexpected(std::move(error));
  }
  return facade::as_result(collection_->write(
      operation, scope_, {change.sync}, [&](vector_detail::RowWriter& writer, auto&) {
        vector_detail::EntryChange asked{.key = key,
                                         .vector = change.vector ? change.vector->data() : nullptr,
                                         .wanted = vector_detail::EntryChange::Wanted::present};
        Error error = vector_facade::change_of(operation, change, writer.now(), asked);
        if (!change.ttl && !change.expires_at) asked.expires_at.reset();
        if (!error.failed() && change.vector) {
          error = collection_->check_memory(operation, writer, 1);
        }
        return error.failed() ? error : writer.put(asked);
      }));
}

inline Result<void> VectorOperations::put_batch(std::span<const VectorItem> items,
                                                const Progress& progress,
                                                const WriteOptions& options) {
  return vector_facade::put_batch("put_batch", collection_.get(), scope_, items, progress, options,
                                  vector_detail::EntryChange::Wanted::any);
}
inline Result<void> VectorOperations::add_batch(std::span<const VectorItem> items,
                                                const Progress& progress,
                                                const WriteOptions& options) {
  return vector_facade::put_batch("add_batch", collection_.get(), scope_, items, progress, options,
                                  vector_detail::EntryChange::Wanted::absent);
}

inline Result<bool> VectorOperations::erase(BytesView key, const WriteOptions& options) {
  constexpr const char* operation = "erase";
  if (collection_ == nullptr) return Unexpected(vector_facade::closed(operation));
  bool existed = false;
  Error error = collection_->write(
      operation, scope_, options,
      [&](vector_detail::RowWriter& writer, auto&) { return writer.erase(key, existed); });
  if (error == Errc::index_dropped) {
    core::Target target = collection_->tables().values;
    if (target.family == nullptr) return Unexpected(std::move(error));
    target.scope = scope_;
    error = core::erase(target, key, options, existed);
  }
  return facade::as_result(std::move(error), std::move(existed));
}

inline Result<std::uint64_t> VectorOperations::erase_many(std::span<const BytesView> keys,
                                                          const WriteOptions& options) {
  constexpr const char* operation = "erase_many";
  if (collection_ == nullptr) return Unexpected(vector_facade::closed(operation));
  std::uint64_t erased = 0;
  Error error = collection_->write(
      operation, scope_, options, [&](vector_detail::RowWriter& writer, auto&) -> Error {
        for (const BytesView key : keys) {
          bool existed = false;
          if (Error failed = writer.erase(key, existed); failed.failed()) return failed;
          erased += existed ? 1 : 0;
        }
        return {};
      });
  return facade::as_result(std::move(error), std::move(erased));
}

namespace vector_facade {

[[nodiscard]] inline Result<std::uint64_t> erase_if(const Collection* collection,
                                                    const std::shared_ptr<core::Scope>& scope,
                                                    const vector_detail::EntryCondition& condition,
                                                    const WriteOptions& options) {
  constexpr const char* operation = "erase_if";
  if (collection == nullptr) return Unexpected(closed(operation));
  std::uint64_t erased = 0;
  Error error =
      collection->write(operation, scope, options,
                        [&](vector_detail::RowWriter& writer,
                            const vector_detail::CollectionTables& tables) -> Error {
                          // In a transaction of our own nobody commits any more, so what is in
                          // memory is up to date.
                          if (scope == nullptr) {
                            if (Error failed = collection->catch_up(operation); failed.failed())
                              return failed;
                          }
                          std::vector<std::string> keys;
                          vector_detail::EntryScan scan(operation, *collection, tables, condition);
                          Error failed = scan.run({}, [&](std::string_view key, auto&, bool&) {
                            keys.emplace_back(key);
                            return Error();
                          });
                          for (const std::string& key : keys) {
                            bool existed = false;
                            if (failed.failed()) break;
                            failed = writer.erase(key, existed);
                            ++erased;
                          }
                          return failed;
                        });
  return facade::as_result(std::move(error), std::move(erased));
}

}  // namespace vector_facade

inline Result<std::uint64_t> VectorOperations::erase_if(const Filter& filter,
                                                        const WriteOptions& options) {
  return vector_facade::erase_if(collection_.get(), scope_, {&filter.node(), nullptr}, options);
}
inline Result<std::uint64_t> VectorOperations::erase_if(const VectorPredicate& predicate,
                                                        const WriteOptions& options) {
  if (!predicate) {
    return Unexpected(Error(Errc::invalid_argument, "erase_if", "the predicate is empty"));
  }
  if (collection_ == nullptr) return Unexpected(vector_facade::closed("erase_if"));
  return vector_facade::erase_if(collection_.get(), scope_,
                                 vector_facade::condition_of(*collection_, {}, predicate), options);
}

inline Result<void> VectorOperations::clear(const WriteOptions& options) {
  constexpr const char* operation = "clear";
  if (collection_ == nullptr) return Unexpected(vector_facade::closed(operation));
  return facade::as_result(collection_->write(
      operation, scope_, options,
      [&](vector_detail::RowWriter& writer,
          const vector_detail::CollectionTables& tables) -> Error {
        vector_detail::RowCursor cursor(tables.items, {});
        for (; cursor.valid(); cursor.next()) {
          Error error = writer.erase_value(cursor.key());
          if (error.failed()) return vector_detail::as_error_of(operation, std::move(error));
        }
        Error error = cursor.status();
        return error.failed() ? vector_detail::as_error_of(operation, std::move(error))
                              : writer.clear();
      }));
}

}  // namespace SNKV_EXPECTED_NAMESPACE
}  // namespace snkv
