/// \file
/// What an import has done, and what it has left out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace snkv {

/// What an import does with an entry that is refused here, and was accepted where it comes from: one with
/// an empty id, metadata that are no object, a vector with NaN, of another size, or without a direction.
enum class Refused {
  stop,        ///< Fails with the error of the entry, and changes nothing. The default.
  skip,        ///< Leaves the entry out, and reports it.
  keep_value,  ///< The same, but keeps its value, if it has one and nothing is there under its key, in
               ///< the family of the values, without a vector.
};

/// An entry that was left out.
struct SkippedEntry {
  std::string key;     ///< Empty if it has none, or none that could be read.
  std::string place;   ///< Where it stands, as "line 7" or "vectors[6]"; may be empty.
  std::string reason;  ///< Why it was refused.
  bool kept_value = false;
};
/// Called for each of them. What it throws is `aborted`.
using OnSkipped = std::function<void(const SkippedEntry&)>;

/// The entries that were left out.
struct SkippedEntries {
  static constexpr std::size_t most = 100;
  std::uint64_t count = 0;          ///< All of them.
  std::uint64_t kept_values = 0;    ///< Of these, those of which the value was kept.
  std::vector<SkippedEntry> first;  ///< The first ones, at most `most`.

  void add(SkippedEntry entry) {
    ++count;
    kept_values += entry.kept_value ? 1 : 0;
    if (first.size() < most) first.push_back(std::move(entry));
  }
};

/// What `import_original` has done.
struct ImportReport {
  std::uint64_t families = 0;  ///< "default" included.
  std::uint64_t entries = 0;
  std::uint64_t expiring = 0;  ///< Of these, entries that will expire.
  std::uint64_t expired = 0;   ///< Entries that had expired already, and were left out.
  std::uint64_t bytes = 0;     ///< Sum of the sizes of keys and values.
  /// Families whose names are none here, and what they are called now.
  std::vector<std::pair<std::string, std::string>> renamed;
  /// Families whose names the library keeps for itself, and of which nothing is known. They are taken over
  /// like others, and counted.
  std::vector<std::string> unknown;
  /// Families of vectors. `import_original` leaves them out, with what belongs to them, to
  /// `import_original_vectors` (vector/import.hpp).
  std::vector<std::string> vectors;
};

}  // namespace snkv
