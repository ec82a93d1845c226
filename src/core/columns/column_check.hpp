/// \file
/// Whether a column is what its description and its tree of counts say: for `verify`.
#pragma once

#include "core/read_path.hpp"

#include <snkv/error.hpp>

#include <cstdint>
#include <functional>
#include <string>

namespace snkv::core {

struct ColumnFindings {
  /// Something is wrong; `tampered` tells whether it is sealed content that was changed.
  std::function<void(std::string what, bool tampered)> found;
  /// So many bytes were read; false to stop.
  std::function<bool(std::uint64_t bytes)> read;
};

/// Reads all of the column `name` whose family `view` has: that each element can be read, and that
/// the table has no row that does not belong to one. Damage is a finding; `aborted` if `read` said
/// so; other failures are errors.
[[nodiscard]] Error check_column(const char* operation, const ReadView& view, std::string_view name,
                                 const ColumnFindings& findings);

/// The name of the column that a family is, for messages; that of the family if it has none.
[[nodiscard]] std::string column_of_family(const ReadView& names, std::string_view family);

}  // namespace snkv::core
