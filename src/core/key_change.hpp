/// \file
/// Writing another header into an encrypted store, with all that goes with it.
#pragma once

#include "core/key_header.hpp"

#include <snkv/bytes.hpp>
#include <snkv/error.hpp>

namespace snkv::core {

class StoreState;

/// Binds the names of a store that an older library made (family_seal.hpp), in one transaction; `stored` is
/// its header as it was read, and opened. When others are writing, or there is no room, it stays as it is
/// until it is opened another time. For a store that is being opened.
[[nodiscard]] Error bind_names(const char* operation, StoreState& store, BytesView stored,
                               KeyHeader& opened);

}  // namespace snkv::core
