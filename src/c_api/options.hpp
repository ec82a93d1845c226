/// \file
/// What a config means.
#pragma once

#include <snkv/c/kvstore.h>
#include <snkv/error.hpp>
#include <snkv/options.hpp>

namespace snkv::c_api {

/// The options of the fields of a config, of which 0 means the documented default.
[[nodiscard]] Error options_of(const KVStoreConfig& config, Options& out);

/// Whether a file name means a store in memory.
[[nodiscard]] bool in_memory(const char* filename) noexcept;

}  // namespace snkv::c_api
