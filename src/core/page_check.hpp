/// \file
/// The engine's own check of pages, cells and column types.
#pragma once

#include "btree/connection.hpp"

#include <snkv/error.hpp>

#include <string>
#include <vector>

namespace snkv::core {

/// What it finds wrong, at most 20 lines of it; an error if something could not be read, which is
/// no damage.
[[nodiscard]] Error check_pages(const char* operation, btree::Connection& connection,
                                std::vector<std::string>& findings);

}  // namespace snkv::core
