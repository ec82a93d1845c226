/// \file
/// Letters as SQLite compares names: without regard to the case of ASCII letters, and of no others.
#pragma once

namespace snkv::base {

[[nodiscard]] constexpr char lower_ascii(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

}  // namespace snkv::base
