// Random numbers, keys, values and names for the model test. Equal seeds give equal runs on every
// platform and standard library, hence no std:: distributions.
#pragma once

#include "model.hpp"

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

namespace snkv::model {

/// splitmix64.
class Rng {
 public:
  explicit Rng(std::uint64_t seed) noexcept : state_(seed) {}

  std::uint64_t next() noexcept {
    state_ += 0x9e3779b97f4a7c15u;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  /// 0 <= result < limit.
  std::uint64_t below(std::uint64_t limit) noexcept { return next() % limit; }
  std::uint64_t between(std::uint64_t low, std::uint64_t high) noexcept {
    return low + below(high - low + 1);
  }
  bool percent(std::uint64_t share) noexcept { return below(100) < share; }
  bool one_in(std::uint64_t n) noexcept { return below(n) == 0; }

 private:
  std::uint64_t state_;
};

/// The longest record that SQLite keeps inside a cell of a page of this size. The store spills a
/// large value somewhere near and below it.
inline constexpr std::size_t local_payload_limit(std::size_t page_size) {
  return (page_size - 12) * 64 / 255 - 23;
}

/// Keys from a small world, so that they meet again: most are plain, the others nasty.
class KeyGenerator {
 public:
  explicit KeyGenerator(std::uint64_t plain_keys) noexcept : plain_keys_(plain_keys) {}

  [[nodiscard]] std::string key(Rng& rng) const {
    const std::uint64_t kind = rng.below(100);
    if (kind < 55) return plain(rng);
    if (kind < 78) return edge_bytes(rng);
    if (kind < 92) return common_prefix(rng);
    if (kind < 98) return neighbour(rng);
    return overlong(rng);
  }

  /// A prefix or bound for a scan: often no key at all, sometimes empty.
  [[nodiscard]] std::string probe(Rng& rng) const {
    if (rng.one_in(30)) return {};
    std::string bound = key(rng);
    if (rng.percent(60)) bound.resize(rng.below(bound.size() + 1));
    return bound;
  }

 private:
  [[nodiscard]] std::string plain(Rng& rng) const {
    return "k" + std::to_string(rng.below(plain_keys_));
  }
  /// Up to four bytes out of those that a comparison gets wrong: NUL, sign bit, all ones.
  static std::string edge_bytes(Rng& rng) {
    static constexpr std::array<unsigned char, 4> alphabet = {0x00, 0x7f, 0x80, 0xff};
    std::string bytes(rng.between(1, 4), '\0');
    for (char& byte : bytes) byte = static_cast<char>(alphabet[rng.below(alphabet.size())]);
    return bytes;
  }
  static std::string common_prefix(Rng& rng) {
    std::string bytes(60, 'p');
    bytes += static_cast<char>(rng.below(12));
    if (rng.percent(50)) bytes += static_cast<char>('a' + rng.below(8));
    return bytes;
  }
  /// A key next to a plain one: one NUL longer, or one byte shorter.
  [[nodiscard]] std::string neighbour(Rng& rng) const {
    std::string bytes = plain(rng);
    if (rng.percent(50)) {
      bytes += '\0';
    } else {
      bytes.pop_back();
    }
    return bytes;
  }
  /// Longer than fits in a cell of a small page.
  static std::string overlong(Rng& rng) {
    static constexpr std::array<std::size_t, 6> sizes = {200, 240, 700, 1100, 2100, 3000};
    return std::string(sizes[rng.below(sizes.size())], 'L') + static_cast<char>(rng.below(3));
  }

  std::uint64_t plain_keys_;
};

/// Values that never repeat, so that a stale one is always noticed. `small_only` keeps the file
/// from growing without end.
class ValueGenerator {
 public:
  explicit ValueGenerator(std::size_t page_size) noexcept : page_size_(page_size) {}

  [[nodiscard]] Value value(Rng& rng, bool small_only) { return value_of(size(rng, small_only)); }
  [[nodiscard]] Value value_of(std::size_t size) {
    std::string bytes(size, '\0');
    Rng content(++serial_);
    std::size_t at = 0;
    for (; at + 8 <= bytes.size(); at += 8) {
      const std::uint64_t word = content.next();
      std::memcpy(bytes.data() + at, &word, 8);
    }
    for (; at < bytes.size(); ++at) bytes[at] = static_cast<char>(content.next());
    return std::make_shared<const std::string>(std::move(bytes));
  }

 private:
  [[nodiscard]] std::size_t size(Rng& rng, bool small_only) const {
    const std::uint64_t kind = rng.below(100);
    if (kind < 45 || small_only) return rng.below(40);
    if (kind < 75) return rng.below(200);
    if (kind < 85) {
      const std::size_t limit = local_payload_limit(page_size_);
      return rng.between(limit - 200, limit + 100);
    }
    if (kind < 93) return rng.between(200, 1500);
    if (kind < 97) return rng.between(page_size_ - 100, page_size_ + 100);
    if (kind < 99) return rng.between(1500, 8000);
    return rng.between(20'000, 100'000);
  }

  std::size_t page_size_;
  std::uint64_t serial_ = 0;
};

/// Few names, so that families are dropped and come back. Some need quoting in SQL.
inline constexpr std::array<std::string_view, 9> family_names = {
    "sessions",          "a",   "with space", "quote\"d", "it's", "select",
    "\xc3\xa9t\xc3\xa9", "key", "sqlite"};

/// Bytes for a failure report: short, printable, unambiguous.
inline std::string printable(std::string_view bytes) {
  static constexpr std::string_view digits = "0123456789abcdef";
  std::string text = "\"";
  for (const char byte : bytes.substr(0, 24)) {
    const auto code = static_cast<unsigned char>(byte);
    if (code >= 0x20 && code < 0x7f && byte != '"' && byte != '\\') {
      text += byte;
    } else {
      text += "\\x";
      text += digits[code >> 4];
      text += digits[code & 15];
    }
  }
  text += '"';
  if (bytes.size() > 24) text += "...(" + std::to_string(bytes.size()) + " bytes)";
  return text;
}

}  // namespace snkv::model
