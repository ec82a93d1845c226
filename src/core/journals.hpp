/// \file
/// What the core knows of the journals of write buffers (docs/file-format.md): whether one has
/// writes that wait.
#pragma once

#include "core/catalog.hpp"

#include <snkv/error.hpp>

#include <cstdint>
#include <string_view>

namespace snkv::core {

class StoreState;

inline constexpr std::string_view journal_family_prefix = "snkv_journal_";

/// Counts the journals that have writes which were not flushed, in rows or in the file beside the
/// store.
[[nodiscard]] Error count_waiting_journals(const char* operation, snkv_bt* bt,
                                           const Catalog& catalog, StoreState& store,
                                           std::uint64_t& out);

}  // namespace snkv::core
