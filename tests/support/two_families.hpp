// A store with something of everything, for tests that copy or rewrite it as a whole.
#pragma once

#include "support/check.hpp"
#include "support/patterned.hpp"

#include <snkv/store.hpp>

#include <chrono>
#include <string>

namespace snkv::test {

/// Two families, some large values, some expiries: about `entries` * 400 bytes.
inline void fill_two_families(Store& store, int entries = 1000) {
  ColumnFamily other = must(store.column_family("other"));
  Transaction transaction = must(store.begin());
  ColumnFamily inside = must(transaction.column_family("other"));
  for (int i = 0; i < entries; ++i) {
    const std::string key = "key" + std::to_string(i);
    must(transaction.put(key, patterned(i % 50 == 0 ? 20'000 : 300, i)));
    if (i % 10 == 0) must(inside.put(key, "value", {.ttl = std::chrono::hours{1}}));
  }
  must(transaction.commit());
}

}  // namespace snkv::test
