// The two databases that SNKV's C library wrote, and what is in both of them.
#pragma once

#include "support/contents.hpp"

#include <map>
#include <string>

namespace snkv::test {

inline const std::string plain_sample = SNKV_COMPAT_DATA "/original-plain.db";
inline const std::string encrypted_sample = SNKV_COMPAT_DATA "/original-encrypted.db";
inline constexpr const char* sample_password = "hunter2";

/// 2100-01-01, in milliseconds since 1970.
inline constexpr std::int64_t sample_expiry = 4102444800000;

inline const std::string empty_family = "\xc3\xa9t\xc3\xa9 empty";

inline std::string digits(int number, std::size_t width) {
  const std::string text = std::to_string(number);
  return std::string(width - text.size(), '0') + text;
}

inline Everything sample_contents() {
  std::map<std::string, std::string> entries;
  for (int i = 0; i < 500; ++i) entries["user:" + digits(i, 4)] = "value of user " + std::to_string(i);
  entries[std::string("\0bin\xff", 5)] = std::string("\0\1\2\xff", 4);
  entries["big"] = std::string(4000, 'x');
  entries["empty"] = "";
  entries["otp"] = "123456";
  std::map<std::string, std::string> sessions;
  for (int i = 0; i < 50; ++i) sessions["s" + digits(i, 2)] = "token";
  for (int i = 0; i < 5; ++i) sessions["p" + digits(i, 2)] = "forever";
  return {{"default", Contents(entries.begin(), entries.end())},
          {"sessions", Contents(sessions.begin(), sessions.end())},
          {empty_family, {}}};
}

}  // namespace snkv::test
