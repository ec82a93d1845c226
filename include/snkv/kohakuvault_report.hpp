/// \file
/// What an import of a file of KohakuVault has done. Part of <snkv/import_kohakuvault.hpp>.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace snkv {

struct KohakuVaultReport {
  std::uint64_t entries = 0;  ///< of all dictionaries
  std::uint64_t columns = 0;
  std::uint64_t elements = 0;  ///< of all columns
  /// Entries by what their header said: 0 none, 1 pickle, 2 DataPacker, 3 JSON, 4 MessagePack, 5
  /// CBOR, 6 text.
  std::array<std::uint64_t, 7> encodings{};
  /// Tables that are neither dictionaries nor columns, and were left out: vectors, documents, and
  /// others.
  std::vector<std::string> skipped;
};

}  // namespace snkv
