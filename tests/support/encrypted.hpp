// Stores for suites that run twice: as they are, and with SNKV_TEST_ENCRYPTED in the environment on
// encrypted stores. Stores in memory are the same both times.
#pragma once

#include <snkv/store.hpp>

#include <cstdlib>
#include <string>
#include <string_view>

namespace snkv::test {

/// Whether this run is the one with encryption.
inline bool encrypting() {
  const char* value = std::getenv("SNKV_TEST_ENCRYPTED");
  return value != nullptr && *value != '\0';
}

/// What opens the stores of such a run: a raw key, which takes no time.
inline Secret test_secret() { return Secret::key(std::string(Secret::key_size, 's')); }

/// `Store::open`, or in such a run `Store::open_encrypted`.
inline Result<Store> open_store(std::string_view path, const Options& options = {}) {
  if (!encrypting()) return Store::open(path, options);
  return Store::open_encrypted(path, test_secret(), options);
}

/// A copy of a store, which is encrypted if the store is.
inline Result<Store> open_copy(std::string_view path, const Store& of, const Options& options = {}) {
  if (!of.is_encrypted()) return Store::open(path, options);
  return Store::open_encrypted(path, test_secret(), options);
}

}  // namespace snkv::test
