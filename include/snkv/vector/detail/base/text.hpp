/// \file
/// Bytes and numbers as text that comes back exactly: base64, UTF-8, the shortest form of a float.
#pragma once

#include <snkv/bytes.hpp>

#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace snkv::vector_detail {

/// Whether these bytes are UTF-8: no overlong forms, no surrogates, nothing beyond U+10FFFF.
[[nodiscard]] inline bool is_utf8(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  for (std::size_t i = 0; i < text.size();) {
    const unsigned char first = byte(i);
    const std::size_t size = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (size == 1) {
      ++i;
      continue;
    }
    if (first < 0xc2 || first > 0xf4 || text.size() - i < size) return false;
    // The second byte decides between what is overlong, too large or half of a pair, and the rest.
    const unsigned char least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    const unsigned char most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    if (byte(i + 1) < least || byte(i + 1) > most) return false;
    for (std::size_t k = 2; k < size; ++k) {
      if ((byte(i + k) & 0xc0) != 0x80) return false;
    }
    i += size;
  }
  return true;
}

inline constexpr std::string_view base64_digits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

inline void append_base64(std::string& out, std::string_view bytes) {
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t here = bytes.size() - i < 3 ? bytes.size() - i : 3;
    std::uint32_t bits = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      bits = bits << 8 | (k < here ? static_cast<unsigned char>(bytes[i + k]) : 0u);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out += k <= here ? base64_digits[bits >> (18 - 6 * k) & 63] : '=';
    }
  }
}

/// Empty if it is no base64, with its padding, and with nothing in the bits that have no meaning.
[[nodiscard]] inline std::optional<std::string> decode_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::string out;
  out.reserve(text.size() / 4 * 3);
  for (std::size_t i = 0; i < text.size(); i += 4) {
    std::uint32_t bits = 0;
    std::size_t digits = 4;
    if (i + 4 == text.size()) {
      while (digits > 2 && text[i + digits - 1] == '=') --digits;
    }
    for (std::size_t k = 0; k < 4; ++k) {
      const std::size_t digit = k < digits ? base64_digits.find(text[i + k]) : 0;
      if (digit == base64_digits.npos) return std::nullopt;
      bits = bits << 6 | static_cast<std::uint32_t>(digit);
    }
    if (digits < 4 && (bits & (digits == 3 ? 0xffu : 0xffffu)) != 0) return std::nullopt;
    for (std::size_t k = 0; k + 1 < digits; ++k) {
      out += static_cast<char>(bits >> (16 - 8 * k) & 0xff);
    }
  }
  return out;
}

/// A finite number in as few digits as give it back when they are read as a double and made a
/// float.
inline void append_float(std::string& out, float value) {
  if (value == 0 && std::signbit(value)) {
    out += "-0.0";  // "-0" is an integer, which has no sign when it is zero
    return;
  }
  char text[32];
  char* end = std::to_chars(text, text + sizeof(text), value).ptr;
  double read = 0;
  std::from_chars(text, end, read);
  // Rounding twice may end beside the number; all digits of it cannot.
  if (static_cast<float>(read) != value) {
    end = std::to_chars(text, text + sizeof(text), static_cast<double>(value)).ptr;
  }
  out.append(text, end);
}

}  // namespace snkv::vector_detail
