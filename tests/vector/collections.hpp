// Small collections for tests through the public header alone.
#pragma once

#include "support/check.hpp"
#include "support/temp_dir.hpp"
#include "vector/vectors.hpp"

#include <snkv/vector/store.hpp>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace snkv::test {

/// Of two dimensions and L2, in a store in memory: distances can be told by looking.
inline VectorStore<2, L2> plane(VectorStoreOptions options = {}) {
  return must(VectorStore<2, L2>::open_in_memory(options));
}

/// A vector in a plane.
inline std::vector<float> at(float x, float y) { return {x, y}; }

/// All of a collection, without hits, ranks or pages in between.
inline std::vector<VectorRecord> everything(const VectorOperations& collection) {
  return must(collection.items({.vectors = true}));
}

/// What is in a record, for comparing and printing.
inline std::string shown(const VectorRecord& record) {
  std::string out = record.key + " (";
  for (const float x : record.vector) out += std::to_string(x) + ' ';
  out += ") " + record.metadata.dump(-1, ' ', true, Json::error_handler_t::replace) + ' ';
  out += record.value ? '=' + record.value->str() : std::string("-");
  if (record.expires_at) {
    out += " @" + std::to_string(record.expires_at->time_since_epoch().count());
  }
  return out;
}
inline std::vector<std::string> shown(const std::vector<VectorRecord>& records) {
  std::vector<std::string> out;
  for (const VectorRecord& record : records) out.push_back(shown(record));
  return out;
}

/// The keys of hits or records, in their order.
template <class Found>
[[nodiscard]] std::string keys_of(const std::vector<Found>& found) {
  std::string out;
  for (const Found& one : found) out += (out.empty() ? "" : " ") + one.key;
  return out;
}

}  // namespace snkv::test
