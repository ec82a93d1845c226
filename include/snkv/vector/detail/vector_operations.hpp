/// \file
/// Bodies of the members of store.hpp.
#pragma once

#include <snkv/vector/detail/collection_open.hpp>
#include <snkv/vector/detail/entry_scan.hpp>
#include <snkv/vector/store.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace snkv {

namespace vector_detail {

[[nodiscard]] inline bool is_nested_deeper(const Json& json, int levels) noexcept {
  if (!json.is_structured()) return false;
  if (levels == 0) return true;
  return std::any_of(json.begin(), json.end(),
                     [&](const Json& child) { return is_nested_deeper(child, levels - 1); });
}

/// The text of metadata as rows have it. Null: `out` stays empty.
[[nodiscard]] inline Error metadata_text(const char* operation, BytesView key, const Json& metadata,
                                         std::optional<std::string>& out) {
  constexpr int deepest = 64;
  const auto refuse = [&](const char* why) {
    return Error(Errc::invalid_argument, operation,
                 "the metadata of " + RowWriter::printable(key) + why);
  };
  out.reset();
  if (metadata.is_null()) return {};
  if (!metadata.is_object()) return refuse(" are no JSON object");
  if (metadata.empty()) {
    out.emplace();
    return {};
  }
  if (is_nested_deeper(metadata, deepest)) return refuse(" are nested too deeply");
  out = metadata.dump(-1, ' ', false, Json::error_handler_t::replace);
  // What is no UTF-8 was replaced by U+FFFD, which may have been there before, too.
  if (out->find("\xef\xbf\xbd") != std::string::npos &&
      metadata.dump(-1, ' ', false, Json::error_handler_t::ignore).size() != out->size()) {
    return refuse(" are not UTF-8");
  }
  return {};
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
[[nodiscard]] inline Error read_item(const char* operation, const core::Target& items,
                                     BytesView key, Bytes& row, ItemRow& item) {
  Error error = core::get(items, key, row);
  if (error.failed()) return as_error_of(operation, std::move(error));
  if (!decode(row, item)) return damaged(operation, "the row of an entry cannot be read");
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

[[nodiscard]] inline Error read_metadata(const char* operation, const ItemRow& item, Json& out) {
  out = parse_metadata(item.metadata);
  return out.is_discarded() ? damaged(operation, "metadata are no JSON") : Error();
}

}  // namespace vector_detail

inline namespace SNKV_EXPECTED_NAMESPACE {

namespace vector_facade {

using vector_detail::Collection;
using vector_detail::EntryChange;

[[nodiscard]] inline Error closed(const char* operation) {
  return Error(Errc::closed, operation, "the handle is empty");
}

[[nodiscard]] inline vector_detail::EntryCondition condition_of(const std::optional<Filter>& filter,
                                                                const VectorPredicate& predicate) {
  vector_detail::EntryCondition condition;
  if (filter && !filter->is_all()) condition.filter = &filter->node();
  if (predicate) condition.predicate = &predicate;
  return condition;
}

/// `no_memory` if the index had no room for `vectors` more, and for what was committed or written
/// in this transaction and is not in it yet.
[[nodiscard]] inline Error check_memory(const char* operation, const Collection& collection,
                                        const vector_detail::RowWriter& writer,
                                        std::uint64_t vectors) {
  if (collection.image().options().memory_limit == 0) return {};
  const std::uint64_t known =
      collection.image().read([](const auto& names, auto&) { return names.live(); });
  const std::uint64_t live = writer.state().live;
  return collection.image().check_memory(operation, vectors + (live > known ? live - known : 0));
}

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
        if (!failed.failed()) failed = check_memory(operation, *collection, writer, 1);
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
  const auto write = [&](vector_detail::RowWriter& writer, auto&) -> Error {
    if (Error error = check_memory(operation, *collection, writer, last.size()); error.failed()) {
      return error;
    }
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i % 256 == 0 && progress && !progress(i, 2 * count)) {
        return Error(Errc::aborted, operation, "");
      }
      const VectorItem& item = items[i];
      if (last.find(item.key.view())->second != i) continue;
      EntryChange change{.key = item.key, .vector = item.vector.data(), .wanted = wanted};
      Error error = change_of(operation, item, writer.now(), change);
      if (!error.failed()) error = writer.put(change);
      if (error.failed()) return error;
    }
    return {};
  };
  Progress linking;
  if (progress) {
    linking = [&](std::uint64_t done, std::uint64_t total) {
      return progress(count + count * done / std::max<std::uint64_t>(total, 1), 2 * count);
    };
  }
  return facade::as_result(collection->write(operation, scope, options, write, linking));
}

/// The entries of a search or a scan, with what was asked for. `current` becomes false if one of
/// those that were found is not as it was.
[[nodiscard]] inline Error fill(const char* operation, const Collection& collection,
                                std::vector<vector_detail::Found>& found,
                                const VectorSearch& options, std::vector<VectorHit>& hits,
                                bool& current) {
  hits.clear();
  hits.reserve(found.size());
  if (!options.values && !options.metadata && !options.vectors) {
    for (auto& one : found) hits.push_back({std::move(one.key), one.distance});
    return {};
  }
  return vector_detail::with_rows(
      operation, collection, nullptr, [&](const vector_detail::CollectionTables& tables) -> Error {
        std::vector<BytesView> keys;
        keys.reserve(found.size());
        for (const auto& one : found) keys.emplace_back(one.key);
        std::vector<std::optional<Bytes>> rows(keys.size());
        std::vector<std::optional<Bytes>> values(keys.size());
        Error error = core::multi_get(tables.items, keys.data(), keys.size(), rows.data());
        if (!error.failed() && options.values && tables.has_values()) {
          error = core::multi_get(tables.values, keys.data(), keys.size(), values.data());
          if (error == Errc::dropped) error = {};
        }
        if (error.failed()) return vector_detail::as_error_of(operation, std::move(error));
        for (std::size_t i = 0; i < found.size(); ++i) {
          vector_detail::ItemRow item;
          if (!rows[i] || !decode(*rows[i], item) || item.number != found[i].number) {
            current = false;
            continue;
          }
          current = current && item.changed == found[i].changed;
          VectorHit hit{found[i].key, found[i].distance, std::move(values[i])};
          if (options.metadata) error = vector_detail::read_metadata(operation, item, hit.metadata);
          if (!error.failed() && options.vectors) {
            hit.vector.resize(collection.config().dim);
            error = vector_detail::read_vector(operation, tables.vectors, item.number,
                                               hit.vector.size(), hit.vector.data());
          }
          if (error.failed()) return error;
          hits.push_back(std::move(hit));
        }
        return {};
      });
}

/// What a search asks the collection; refers to `options`.
[[nodiscard]] inline Error query_of(const char* operation, const Collection& collection,
                                    std::span<const float> query, std::size_t k,
                                    std::optional<float> radius, const VectorSearch& options,
                                    vector_detail::CollectionQuery& out) {
  if (Error error = collection.check_vector(operation, query, {}); error.failed()) return error;
  const auto refuse = [&](const char* why) {
    return Error(Errc::invalid_argument, operation, why);
  };
  if (k == 0) return refuse("k is 0");
  if (options.ef > 65536) return refuse("ef is more than 65536");
  if (options.oversample == 0) return refuse("oversample is 0");
  if (radius && *radius != *radius) return refuse("the radius is no number");
  if (options.max_distance && *options.max_distance != *options.max_distance) {
    return refuse("max_distance is no number");
  }
  out.condition = condition_of(options.filter, options.predicate);
  out.k = k;
  out.radius = radius;
  if (radius && options.max_distance) out.radius = std::min(*radius, *options.max_distance);
  out.ef = options.ef != 0 ? options.ef : collection.ef_search();
  out.exact = options.exact;
  out.rerank = options.rerank;
  out.oversample = options.oversample;
  out.max_distance = options.max_distance;
  return {};
}

/// `without`: keys that are not wanted, sorted.
[[nodiscard]] inline Error search_hits(const char* operation, const Collection& collection,
                                       std::span<const float> query, std::size_t k,
                                       std::optional<float> radius, const VectorSearch& options,
                                       std::vector<VectorHit>& hits,
                                       std::span<const std::string> without = {}) {
  vector_detail::CollectionQuery asked;
  // Those that are not wanted are found all the same, and left out.
  Error error = query_of(operation, collection, query, k + without.size(), radius, options, asked);
  if (error.failed()) return error;
  vector_detail::CollectionSearch search(operation, collection, asked);
  std::vector<vector_detail::Found> found;
  // What is changed between the search and the reading of its rows is searched for again.
  for (int attempt = 0; attempt < 4; ++attempt) {
    if (error = search.run(query.data(), found); error.failed()) return error;
    if (!without.empty()) {
      std::erase_if(found, [&](const vector_detail::Found& one) {
        return std::binary_search(without.begin(), without.end(), one.key);
      });
      if (found.size() > k) found.resize(k);
    }
    bool current = true;
    if (error = fill(operation, collection, found, options, hits, current); error.failed()) {
      return error;
    }
    if (current) break;
  }
  return {};
}

[[nodiscard]] inline Error search_keys(const char* operation, const Collection& collection,
                                       std::span<const float> query, std::size_t k,
                                       const VectorSearch& options, std::vector<VectorKey>& keys) {
  vector_detail::CollectionQuery asked;
  Error error = query_of(operation, collection, query, k, std::nullopt, options, asked);
  if (error.failed()) return error;
  std::vector<vector_detail::Found> found;
  error = vector_detail::CollectionSearch(operation, collection, asked).run(query.data(), found);
  if (error.failed()) return error;
  keys.clear();
  keys.reserve(found.size());
  for (auto& one : found) keys.push_back({std::move(one.key), one.distance});
  return {};
}

/// Runs `search(query, options, out)` for each of many queries, on all threads.
template <class Hit, class Search>
[[nodiscard]] Result<std::vector<std::vector<Hit>>> batch(const char* operation,
                                                          const Collection* collection,
                                                          std::span<const float> queries,
                                                          std::span<const VectorSearch> options,
                                                          Search&& search) {
  if (collection == nullptr) return Unexpected(closed(operation));
  const std::size_t dim = collection->config().dim;
  if (queries.size() % dim != 0) {
    return Unexpected(Error(
        Errc::dimension_mismatch, operation,
        std::to_string(queries.size()) + " numbers are not vectors of " + std::to_string(dim)));
  }
  const std::size_t count = queries.size() / dim;
  if (options.size() != 1 && options.size() != count) {
    return Unexpected(Error(
        Errc::invalid_argument, operation,
        std::to_string(options.size()) + " options for " + std::to_string(count) + " queries"));
  }
  std::vector<std::vector<Hit>> found(count);
  std::mutex error_mutex;
  Error error;
  std::atomic<std::size_t> next{0};
  collection->image().pool().run([&](std::size_t) {
    for (std::size_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) {
      const VectorSearch& chosen = options.size() == 1 ? options[0] : options[i];
      Error failed = search(queries.subspan(i * dim, dim), chosen, found[i]);
      if (!failed.failed()) continue;
      const std::lock_guard lock(error_mutex);
      error = std::move(failed);
    }
  });
  if (error.failed()) return Unexpected(std::move(error));
  return found;
}

}  // namespace vector_facade

// ---- Handles ----

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

// ---- Writing ----

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
          error = vector_facade::check_memory(operation, *collection_, writer, 1);
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
  return vector_facade::erase_if(collection_.get(), scope_, {nullptr, &predicate}, options);
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

// ---- Reading by key ----

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
        Error failed = vector_detail::read_item(operation, tables.items, key, row, item);
        if (failed.failed()) return failed;
        return vector_detail::read_vector(operation, tables.vectors, item.number, vector.size(),
                                          vector.data());
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
  Error error = vector_detail::read_item(operation, items, key, row, item);
  if (!error.failed()) error = vector_detail::read_metadata(operation, item, metadata);
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
  Error error = vector_detail::read_item(operation, items, key, row, item);
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
  if (wanted.metadata) error = vector_detail::read_metadata(operation, item, out.metadata);
  if (!error.failed() && wanted.values) {
    error = vector_detail::read_value(operation, tables, key, out.value);
  }
  if (!error.failed() && wanted.vectors) {
    out.vector.resize(collection.config().dim);
    error = vector_detail::read_vector(operation, tables.vectors, item.number, out.vector.size(),
                                       out.vector.data());
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
        Error failed = vector_detail::read_item(operation, tables.items, key, row, item);
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
  const auto condition = vector_facade::condition_of(query.filter, query.predicate);
  Error error = vector_detail::with_rows(
      operation, *collection_, scope_, [&](const vector_detail::CollectionTables& tables) {
        vector_detail::EntryScan scan(operation, *collection_, tables, condition);
        return scan.run(query.after, [&](std::string_view key, const auto& item, bool& more) {
          more = records.size() + 1 != query.limit;
          return vector_facade::read_record(operation, *collection_, tables, key, item, query,
                                            records.emplace_back());
        });
      });
  return facade::as_result(std::move(error), std::move(records));
}

// ---- Searching ----

inline Result<std::vector<VectorHit>> VectorOperations::search(Vector query, std::size_t k,
                                                               const VectorSearch& options) const {
  if (collection_ == nullptr) return Unexpected(vector_facade::closed("search"));
  std::vector<VectorHit> hits;
  Error error =
      vector_facade::search_hits("search", *collection_, query, k, std::nullopt, options, hits);
  return facade::as_result(std::move(error), std::move(hits));
}

inline Result<std::vector<VectorKey>> VectorOperations::search_keys(
    Vector query, std::size_t k, const VectorSearch& options) const {
  if (collection_ == nullptr) return Unexpected(vector_facade::closed("search_keys"));
  std::vector<VectorKey> keys;
  Error error = vector_facade::search_keys("search_keys", *collection_, query, k, options, keys);
  return facade::as_result(std::move(error), std::move(keys));
}

inline Result<std::vector<VectorHit>> VectorOperations::search_radius(
    Vector query, float radius, const VectorSearch& options) const {
  if (collection_ == nullptr) return Unexpected(vector_facade::closed("search_radius"));
  std::vector<VectorHit> hits;
  Error error =
      vector_facade::search_hits("search_radius", *collection_, query, 1, radius, options, hits);
  return facade::as_result(std::move(error), std::move(hits));
}

inline Result<std::vector<std::vector<VectorHit>>> VectorOperations::search_batch(
    Vector queries, std::size_t k, std::span<const VectorSearch> options) const {
  constexpr const char* operation = "search_batch";
  return vector_facade::batch<VectorHit>(
      operation, collection_.get(), queries, options,
      [&](Vector query, const VectorSearch& chosen, std::vector<VectorHit>& hits) {
        return vector_facade::search_hits(operation, *collection_, query, k, std::nullopt, chosen,
                                          hits);
      });
}
inline Result<std::vector<std::vector<VectorHit>>> VectorOperations::search_batch(
    Vector queries, std::size_t k, const VectorSearch& options) const {
  return search_batch(queries, k, std::span<const VectorSearch>(&options, 1));
}

inline Result<std::vector<std::vector<VectorKey>>> VectorOperations::search_keys_batch(
    Vector queries, std::size_t k, std::span<const VectorSearch> options) const {
  constexpr const char* operation = "search_keys_batch";
  return vector_facade::batch<VectorKey>(
      operation, collection_.get(), queries, options,
      [&](Vector query, const VectorSearch& chosen, std::vector<VectorKey>& keys) {
        return vector_facade::search_keys(operation, *collection_, query, k, chosen, keys);
      });
}
inline Result<std::vector<std::vector<VectorKey>>> VectorOperations::search_keys_batch(
    Vector queries, std::size_t k, const VectorSearch& options) const {
  return search_keys_batch(queries, k, std::span<const VectorSearch>(&options, 1));
}

inline Result<VectorCursor> VectorOperations::cursor(Vector query, VectorSearch options) const {
  constexpr const char* operation = "cursor";
  if (collection_ == nullptr) return Unexpected(vector_facade::closed(operation));
  vector_detail::CollectionQuery asked;
  Error error =
      vector_facade::query_of(operation, *collection_, query, 1, std::nullopt, options, asked);
  if (error.failed()) return Unexpected(std::move(error));
  return VectorCursor(*this, query, std::move(options));
}

inline Result<std::vector<VectorHit>> VectorCursor::next(std::size_t k) {
  constexpr const char* operation = "next";
  if (from_.collection_ == nullptr) return Unexpected(vector_facade::closed(operation));
  if (k == 0) return Unexpected(Error(Errc::invalid_argument, operation, "k is 0"));
  std::vector<VectorHit> hits;
  Error error = vector_facade::search_hits(operation, *from_.collection_, query_, k, std::nullopt,
                                           options_, hits, given_);
  if (error.failed()) return Unexpected(std::move(error));
  for (const VectorHit& hit : hits) {
    given_.insert(std::lower_bound(given_.begin(), given_.end(), hit.key), hit.key);
  }
  return hits;
}

}  // namespace SNKV_EXPECTED_NAMESPACE
}  // namespace snkv

#include <snkv/vector/detail/vector_exchange.hpp>
#include <snkv/vector/detail/vector_maintenance.hpp>
