/// \file
/// How bytes from outside appear in messages.
#pragma once

#include <snkv/bytes.hpp>

#include <string>

namespace snkv::base {

/// The bytes in quotes, unprintable ones escaped as \xNN, cut after 64 of them.
[[nodiscard]] std::string printable(BytesView bytes);

}  // namespace snkv::base
