/// \file
/// Copies of a whole store, for backups and what is made of them.
#pragma once

#include "btree/connection.hpp"
#include "core/progress.hpp"

#include <snkv/error.hpp>

#include <string>

namespace snkv::core {

/// Copies all pages of the latest commit into the empty file `path`. `progress` counts pages.
[[nodiscard]] Error copy_pages(const char* operation, btree::Connection& source, const std::string& path,
                               ProgressReport& progress);

/// Lets the finished copy `path`, which nobody else knows yet, count its commits from a number of its own: so
/// no log of the original is ever taken for one of the copy.
[[nodiscard]] Error count_anew(const char* operation, const std::string& path);

}  // namespace snkv::core
