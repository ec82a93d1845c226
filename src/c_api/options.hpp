/// \file
/// What a config means, and opening with a password.
#pragma once

#include <snkv/c/kvstore.h>
#include <snkv/error.hpp>
#include <snkv/options.hpp>
#include <snkv/store.hpp>

namespace snkv::c_api {

/// The options of the fields of a config, of which 0 means the documented default.
[[nodiscard]] Error options_of(const KVStoreConfig& config, Options& out);

/// Whether a file name means a store in memory.
[[nodiscard]] bool in_memory(const char* filename) noexcept;

/// Opens an encrypted store, as `kvstore_open_encrypted` says: makes one if there is none, and encrypts
/// one that is not.
[[nodiscard]] Result<Store> open_encrypted(const char* filename, const Secret& secret,
                                           const Options& options);

}  // namespace snkv::c_api
