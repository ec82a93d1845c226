/// \file
/// What an import has done.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace snkv {

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
