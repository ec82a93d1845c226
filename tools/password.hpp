/// \file
/// Where passwords come from: a file, the environment, or whoever sits at the terminal. Never an argument,
/// which every user of the machine can see.
#pragma once

#include "arguments.hpp"

#include <snkv/encryption.hpp>

#include <string>
#include <string_view>

namespace snkv::tool {

/// The names under which a password can be given.
struct PasswordSource {
  std::string_view option;  ///< of a file whose first line it is; "-": of standard input
  const char* variable;     ///< of the environment
};
inline constexpr PasswordSource old_password{"password-file", "SNKV_PASSWORD"};
inline constexpr PasswordSource new_password{"new-password-file", "SNKV_NEW_PASSWORD"};

/// A password that was given by the option or by the environment; empty if none was. Throws `Misuse` for a
/// file that cannot be read.
[[nodiscard]] std::string given_password(const Arguments& arguments, const PasswordSource& source);

/// The same, and asks for it at the terminal if none was given; a new one twice. Throws `Misuse` if there
/// is no terminal, or if it was not the same twice.
[[nodiscard]] Secret password(const Arguments& arguments, const PasswordSource& source);

}  // namespace snkv::tool
