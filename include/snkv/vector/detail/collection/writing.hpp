/// \file
/// Writing entries.
#pragma once

#include <snkv/vector/detail/collection/entry_scan.hpp>
#include <snkv/vector/detail/collection/row_access.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace snkv {

namespace vector_detail {

/// An item of a batch as a change.
template <class Item>
[[nodiscard]] Error change_of(const char* operation, const Item& item, std::int64_t now,
                              EntryChange& change) {
  change.value = item.value;
  Error error = metadata_text(operation, change.key, item.metadata, change.metadata);
  if (error.failed()) return error;
  std::int64_t at = 0;
  error = expiry_of(operation, {.ttl = item.ttl, .expires_at = item.expires_at}, now, at);
  if (!error.failed()) change.expires_at = at;
  return error;
}

[[nodiscard]] inline EntryChange::Wanted wanted_by(vector_core::Put mode) noexcept {
  return mode == vector_core::Put::only_new ? EntryChange::Wanted::absent : EntryChange::Wanted::any;
}

/// A key that is greater than those that this process has made before, as long as the clock goes on, and that
/// no other process makes: in 26 characters (Crockford's base32, lower case) 48 bits of milliseconds since
/// 1970, 20 bits that count, 60 random bits.
[[nodiscard]] inline std::string time_ordered_key(std::int64_t now_ms) {
  static std::atomic<std::uint32_t> counter{0};
  std::random_device random;
  std::string key(26, '0');
  const auto write = [&](std::size_t first, std::size_t count, std::uint64_t bits) {
    constexpr std::string_view digits = "0123456789abcdefghjkmnpqrstvwxyz";
    for (std::size_t i = first + count; i-- > first; bits >>= 5) key[i] = digits[bits & 31];
  };
  write(0, 10, static_cast<std::uint64_t>(now_ms));
  write(10, 4, counter.fetch_add(1, std::memory_order_relaxed));
  write(14, 12, std::uint64_t{random()} << 32 | random());
  return key;
}

}  // namespace vector_detail

namespace vector_core {

using namespace vector_detail;  // NOLINT(google-build-using-namespace): the code behind these functions

SNKV_VECTOR_CODE Error put(const Target& at, BytesView key, std::span<const float> vector,
                           const VectorPut& options, Put mode) {
  const char* const operation = mode == Put::only_new ? "add" : "put";
  if (at.collection == nullptr) return closed(operation);
  if (Error error = at.collection->check_vector(operation, vector, key); error.failed()) return error;
  return at.collection->write(operation, at.scope, {options.sync}, [&](RowWriter& writer, auto&) {
    EntryChange change{.key = key, .vector = vector.data(), .wanted = wanted_by(mode)};
    Error failed = change_of(operation, options, writer.now(), change);
    if (!failed.failed()) failed = at.collection->check_memory(operation, writer, 1);
    return failed.failed() ? failed : writer.put(change);
  });
}

SNKV_VECTOR_CODE Error put_new(const Target& at, std::span<const float> vector, const VectorPut& options,
                               std::string& key) {
  constexpr const char* operation = "put_new";
  if (at.collection == nullptr) return closed(operation);
  std::string made = time_ordered_key(core::now(at.collection->store()));
  Error error = put(at, made, vector, options, Put::only_new);
  if (error.failed()) return Error(error.code(), operation, error.detail(), error.extended());
  key = std::move(made);
  return {};
}

SNKV_VECTOR_CODE Error update(const Target& at, BytesView key, const VectorUpdate& change) {
  constexpr const char* operation = "update";
  if (at.collection == nullptr) return closed(operation);
  if (!change.vector && !change.value && change.metadata.is_null() && !change.ttl && !change.expires_at) {
    return Error(Errc::invalid_argument, operation, "there is nothing to change");
  }
  if (change.vector) {
    Error error = at.collection->check_vector(operation, *change.vector, key);
    if (error.failed()) return error;
  }
  return at.collection->write(operation, at.scope, {change.sync}, [&](RowWriter& writer, auto&) {
    EntryChange asked{.key = key,
                      .vector = change.vector ? change.vector->data() : nullptr,
                      .wanted = EntryChange::Wanted::present};
    Error error = change_of(operation, change, writer.now(), asked);
    if (!change.ttl && !change.expires_at) asked.expires_at.reset();
    if (!error.failed() && change.vector) error = at.collection->check_memory(operation, writer, 1);
    return error.failed() ? error : writer.put(asked);
  });
}

SNKV_VECTOR_CODE Error put_batch(const Target& at, std::span<const VectorItem> items,
                                 const Progress& progress, const WriteOptions& options, Put mode) {
  const char* const operation = mode == Put::only_new ? "add_batch" : "put_batch";
  if (at.collection == nullptr) return closed(operation);
  std::unordered_map<std::string_view, std::size_t> last;
  last.reserve(items.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    Error error = at.collection->check_vector(operation, items[i].vector, items[i].key);
    if (error.failed()) return error;
    const auto [place, is_new] = last.insert_or_assign(items[i].key.view(), i);
    if (!is_new && mode == Put::only_new) {
      return Error(Errc::exists, operation, RowWriter::printable(items[i].key) + " comes twice");
    }
  }
  if (items.empty()) return {};
  const std::uint64_t count = items.size();
  CallerProgress told(progress, &at.collection->image());
  const auto write = [&](RowWriter& writer, auto&) -> Error {
    if (Error error = at.collection->check_memory(operation, writer, last.size()); error.failed()) {
      return error;
    }
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i % 256 == 0 && !told(i, 2 * count)) return told.error(operation);
      const VectorItem& item = items[i];
      if (last.find(item.key.view())->second != i) continue;
      EntryChange change{.key = item.key, .vector = item.vector.data(), .wanted = wanted_by(mode)};
      Error error = change_of(operation, item, writer.now(), change);
      if (!error.failed()) error = writer.put(change);
      if (error.failed()) return error;
    }
    return {};
  };
  return at.collection->write(operation, at.scope, options, write, linking_progress(told, count));
}

SNKV_VECTOR_CODE Error erase(const Target& at, BytesView key, const WriteOptions& options, bool& existed) {
  constexpr const char* operation = "erase";
  if (at.collection == nullptr) return closed(operation);
  Error error = at.collection->write(
      operation, at.scope, options,
      [&](RowWriter& writer, auto&) { return writer.erase(key, existed); });
  if (!(error == Errc::index_dropped)) return error;
  core::Target target = at.collection->tables().values;
  if (target.family == nullptr) return error;
  target.scope = at.scope;
  return core::erase(target, key, options, existed);
}

SNKV_VECTOR_CODE Error erase_many(const Target& at, std::span<const BytesView> keys,
                                  const WriteOptions& options, std::uint64_t& erased) {
  constexpr const char* operation = "erase_many";
  if (at.collection == nullptr) return closed(operation);
  return at.collection->write(operation, at.scope, options, [&](RowWriter& writer, auto&) -> Error {
    for (const BytesView key : keys) {
      bool existed = false;
      if (Error failed = writer.erase(key, existed); failed.failed()) return failed;
      erased += existed ? 1 : 0;
    }
    return {};
  });
}

SNKV_VECTOR_CODE Error erase_if(const Target& at, const Condition& condition, const WriteOptions& options,
                                std::uint64_t& erased) {
  constexpr const char* operation = "erase_if";
  if (at.collection == nullptr) return closed(operation);
  const EntryCondition wanted = condition_of(*at.collection, condition);
  const auto work = [&](RowWriter& writer, const CollectionTables& tables) -> Error {
    // In a transaction of our own nobody commits any more, so what is in memory is up to date.
    if (at.scope == nullptr) {
      if (Error failed = at.collection->catch_up(operation); failed.failed()) return failed;
    }
    std::vector<std::string> keys;
    EntryScan scan(operation, *at.collection, tables, wanted);
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
  };
  return at.collection->write(operation, at.scope, options, work);
}

SNKV_VECTOR_CODE Error clear(const Target& at, const WriteOptions& options) {
  constexpr const char* operation = "clear";
  if (at.collection == nullptr) return closed(operation);
  const auto work = [&](RowWriter& writer, const CollectionTables& tables) -> Error {
    RowCursor cursor(tables.items, {});
    for (; cursor.valid(); cursor.next()) {
      Error error = writer.erase_value(cursor.key());
      if (error.failed()) return as_error_of(operation, std::move(error));
    }
    Error error = cursor.status();
    return error.failed() ? as_error_of(operation, std::move(error)) : writer.clear();
  };
  return at.collection->write(operation, at.scope, options, work);
}

}  // namespace vector_core
}  // namespace snkv
