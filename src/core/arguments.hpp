/// \file
/// What the functions of the ABI check about their arguments before they touch the store.
#pragma once

#include <snkv/bytes.hpp>
#include <snkv/error.hpp>
#include <snkv/options.hpp>

#include <cstdint>
#include <optional>

namespace snkv::core {

/// Absolute expiry of a write, from its options and one reading of the clock.
[[nodiscard]] Error expiry(const char* operation, const PutOptions& options, std::int64_t now,
                           std::optional<std::int64_t>& out);

[[nodiscard]] Error check_value_size(const char* operation, BytesView key, std::uint64_t size);
[[nodiscard]] Error check_value(const char* operation, BytesView key, BytesView value);

}  // namespace snkv::core
