// The entries of a scan as a plain vector, which Catch2 compares and prints.
#pragma once

#include "support/check.hpp"

#include <snkv/store.hpp>

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace snkv::test {

using Contents = std::vector<std::pair<std::string, std::string>>;

/// All entries of the range in its order; fails the test when the scan broke off with an error.
inline Contents contents(Range& range) {
  Contents entries;
  for (auto [key, value] : range) entries.emplace_back(key.str(), value.str());
  must(range.status());
  return entries;
}
inline Contents contents(Range&& range) { return contents(range); }

/// The keys alone.
inline std::vector<std::string> keys(Range& range) {
  std::vector<std::string> found;
  for (auto [key, value] : range) found.push_back(key.str());
  must(range.status());
  return found;
}
inline std::vector<std::string> keys(Range&& range) { return keys(range); }

/// All entries under a snapshot, transaction, store or family.
template <class Reader>
[[nodiscard]] Contents contents_of(const Reader& reader) {
  return contents(reader.all());
}

/// Everything in a store, by family.
using Everything = std::map<std::string, Contents>;

[[nodiscard]] inline Everything everything_of(const Snapshot& snapshot) {
  Everything all;
  for (const std::string& name : must(snapshot.list_column_families())) {
    all[name] = contents_of(must(snapshot.column_family(name)));
  }
  return all;
}
[[nodiscard]] inline Everything everything_of(const Store& store) {
  return everything_of(must(store.snapshot()));
}

}  // namespace snkv::test

/// How Catch2 prints an entry.
template <>
struct Catch::StringMaker<std::pair<std::string, std::string>> {
  static std::string convert(const std::pair<std::string, std::string>& entry) {
    return StringMaker<std::string>::convert(entry.first) + ": " +
           StringMaker<std::string>::convert(entry.second);
  }
};
