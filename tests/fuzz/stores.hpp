// Small stores for targets that damage files, and calls on what has become of them.
#pragma once

#include "fuzz/fuzz.hpp"
#include "regress/hostile_pokes.hpp"

#include <snkv/snkv.hpp>

namespace snkv::fuzz {

/// The smallest pages that there are, so that few bytes make several levels of a tree.
inline Options small_options() { return {.page_size = 4096, .background_checkpoints = false}; }

inline void fill(Store& store) {
  must(store.create_column_family("users"));
  auto transaction = must(store.begin());
  for (int i = 0; i < 60; ++i) must(transaction.put("key" + std::to_string(i), std::string(100, 'v')));
  must(transaction.put("brief", "b", {.ttl = std::chrono::hours(9)}));
  must(transaction.put("large", std::string(6000, 'l')));
  must(transaction.commit());
  must(store.erase("key7"));
}

/// Everything that can be asked of the files at `path`.
inline void poke_files(const std::string& path, bool encrypted) {
  const std::string complaint = test::poke_entries(path, encrypted);
  if (!complaint.empty()) fail(complaint);
}

}  // namespace snkv::fuzz
