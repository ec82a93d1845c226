/// \file
/// The engine's own check of pages, cells and column types.
#pragma once

#include "btree/connection.hpp"
#include "core/schema.hpp"

#include <snkv/error.hpp>

#include <string>
#include <vector>

namespace snkv::core {

/// What it finds wrong, at most 20 lines of it; an error if something could not be read, which is no damage.
/// In a transaction for reading through SQL and cursors alike, whose schema this is. Of tables and indexes that
/// are not the library's it checks the pages, but no rows: that would evaluate what their definitions say.
[[nodiscard]] Error check_pages(const char* operation, btree::Connection& connection, const Schema& schema,
                                std::vector<std::string>& findings);

}  // namespace snkv::core
