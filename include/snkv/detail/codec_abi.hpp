/// \file
/// The door from <snkv/typed.hpp> to the compiled core. Not part of the public interface.
#pragma once

#include <snkv/detail/core_abi.hpp>

#include <string>
#include <string_view>

namespace snkv::core {

/// Compares the names of the codecs of keys and values with those that are recorded for the
/// target's family, or records them if there are none and it can be written. `schema_mismatch`,
/// with both, if they are others.
SNKV_API Error bind_codecs(const Target& family, std::string_view key_codec,
                           std::string_view value_codec);

/// Whether a text is UTF-8: no overlong forms, no surrogates, nothing beyond U+10FFFF (Unicode 15, table 3-7).
[[nodiscard]] SNKV_API bool is_utf8(std::string_view text) noexcept;

/// Bytes as they appear in messages.
[[nodiscard]] SNKV_API std::string printable(BytesView bytes);

}  // namespace snkv::core
