/// \file
/// Errors that are made without memory, and bytes in messages.
#include "base/printable.hpp"

#include <snkv/error.hpp>

#include <fmt/format.h>

namespace snkv {
Error::Error(Errc code, const char* operation, const char* detail, int extended) noexcept
    : code_(code), extended_(extended), operation_(operation) {
  try {
    detail_ = detail;
  } catch (const std::bad_alloc&) {
    // The code says enough.
  }
}

namespace base {

std::string printable(BytesView bytes) {
  constexpr std::size_t longest = 64;
  std::string out = "'";
  for (const char c : bytes.view().substr(0, longest)) {
    const auto code = static_cast<unsigned char>(c);
    if (code >= 0x20 && code < 0x7f && c != '\\' && c != '\'') {
      out += c;
    } else {
      out += fmt::format("\\x{:02x}", code);
    }
  }
  out += "'";
  if (bytes.size() > longest) out += fmt::format("... ({} bytes)", bytes.size());
  return out;
}

}  // namespace base
}  // namespace snkv
