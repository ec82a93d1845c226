// Short forms of the C interface for tests in C++.
#pragma once

#include "support/catch.hpp"

#include <snkv/c/kvstore.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace snkv::test {

inline int length(std::string_view text) { return static_cast<int>(text.size()); }

/// A store in memory, as a path.
inline constexpr const char* memory = nullptr;

/// A config of which fields may be named: those that are not are 0.
struct Config {
  int journalMode = 0;
  int syncLevel = 0;
  int pageSize = 0;
  int readOnly = 0;
  int busyTimeout = 0;
  int walSizeLimit = 0;
  int fullMutex = 0;
  int allowHardLinks = 0;
};

/// Opens a store with default options, or with these; fails the test if it cannot.
inline KVStore* open_kv(const char* path, const Config& fields = {}) {
  KVStoreConfig config{};
  config.journalMode = fields.journalMode;
  config.syncLevel = fields.syncLevel;
  config.pageSize = fields.pageSize;
  config.readOnly = fields.readOnly;
  config.busyTimeout = fields.busyTimeout;
  config.walSizeLimit = fields.walSizeLimit;
  config.fullMutex = fields.fullMutex;
  config.allowHardLinks = fields.allowHardLinks;
  KVStore* store = nullptr;
  const int code = kvstore_open_v2(path, &store, &config);
  if (code != KVSTORE_OK) FAIL(path << ": " << code << ": " << kvstore_errmsg(nullptr));
  return store;
}
inline KVStore* open_kv(const std::string& path, const Config& fields = {}) {
  return open_kv(path.c_str(), fields);
}

inline int put(KVStore* store, std::string_view key, std::string_view value) {
  return kvstore_put(store, key.data(), length(key), value.data(), length(value));
}
inline int put(KVColumnFamily* family, std::string_view key, std::string_view value) {
  return kvstore_cf_put(family, key.data(), length(key), value.data(), length(value));
}

/// The value; empty if there is none. Any other code fails the test.
template <class Owner>
std::optional<std::string> get(Owner* owner, std::string_view key) {
  void* value = nullptr;
  int size = 0;
  int code = KVSTORE_OK;
  if constexpr (std::is_same_v<Owner, KVStore>) {
    code = kvstore_get(owner, key.data(), length(key), &value, &size);
  } else {
    code = kvstore_cf_get(owner, key.data(), length(key), &value, &size);
  }
  if (code == KVSTORE_NOTFOUND) return std::nullopt;
  REQUIRE(code == KVSTORE_OK);
  std::string text(static_cast<const char*>(value), static_cast<std::size_t>(size));
  snkv_free(value);
  return text;
}

inline std::int64_t count(KVStore* store) {
  std::int64_t entries = -1;
  REQUIRE(kvstore_count(store, &entries) == KVSTORE_OK);
  return entries;
}

inline KVStoreStats stats(KVStore* store) {
  KVStoreStats out{};
  REQUIRE(kvstore_stats(store, &out) == KVSTORE_OK);
  return out;
}

inline std::string key_at(KVIterator* iterator) {
  void* data = nullptr;
  int size = 0;
  REQUIRE(kvstore_iterator_key(iterator, &data, &size) == KVSTORE_OK);
  return {static_cast<const char*>(data), static_cast<std::size_t>(size)};
}

/// The keys from where a forward iterator is.
inline std::vector<std::string> rest_of(KVIterator* iterator) {
  std::vector<std::string> keys;
  while (kvstore_iterator_eof(iterator) == 0) {
    keys.push_back(key_at(iterator));
    REQUIRE(kvstore_iterator_next(iterator) == KVSTORE_OK);
  }
  return keys;
}

}  // namespace snkv::test
