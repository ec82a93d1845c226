// A small collection for targets that damage one, and calls on what has become of it.
#pragma once

#include "fuzz/fuzz.hpp"

#include <snkv/vector/store.hpp>

#include <sstream>

namespace snkv::fuzz {

inline VectorStoreOptions collection_options() {
  return {.name = "c", .dim = 3, .metric = Metric::l2, .m = 4, .ef_construction = 16, .threads = 1,
          .store = {.page_size = 4096, .background_checkpoints = false}};
}

inline std::vector<float> vector_of(int i) {
  return {static_cast<float>(i % 17), static_cast<float>(i % 5), static_cast<float>(i)};
}

/// With a saved graph, changes since, entries with metadata, and one that expires.
inline void make_collection(const std::string& path) {
  auto collection = must(VectorStore<>::open(path, collection_options()));
  for (int i = 0; i < 40; ++i) {
    VectorPut options;
    if (i % 3 == 0) options.metadata = {{"n", i}, {"t", "x" + std::to_string(i % 7)}};
    if (i == 5) options.ttl = std::chrono::hours(1);
    must(collection.put("k" + std::to_string(i), vector_of(i), options));
  }
  must(collection.erase("k9"));
  must(collection.save());
  must(collection.put("k3", vector_of(77)));
  must(collection.erase("k8"));
}

inline void poke_collection(const std::string& path) {
  auto opened = VectorStore<>::open(path, collection_options());
  judge("open", opened);
  if (!opened) return;
  const std::vector<float> query = vector_of(4);
  judge("search", opened->search(query, 50, {.vectors = true}));
  judge("exact", opened->search(query, 5, {.exact = true}));
  judge("filter", opened->search(query, 5, {.filter = field("n") < 20 || field("t") == "x1"}));
  judge("count", opened->count(field("t") == "x2"));
  judge("items", opened->items({.vectors = true}));
  judge("put", opened->put("new", vector_of(500), {.metadata = {{"n", 500}}}));
  judge("erase", opened->erase("k6"));
  judge("purge", opened->purge_expired());
  judge("compact", opened->compact());
  judge("save", opened->save());
  judge("search again", opened->search(query, 50));
  std::ostringstream text;
  judge("export", opened->export_json(text));
}

}  // namespace snkv::fuzz
