/// \file
/// The first 100 bytes of the file (sqlite.org/fileformat2.html, section 1.3), in which the engine takes
/// several values on trust.
#pragma once

#include "btree/bt.h"
#include "core/meta.hpp"

#include <snkv/error.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace snkv::core {

class DatabaseHeader {
 public:
  /// Reads it, and the number of pages, as the open transaction sees them.
  [[nodiscard]] int read(snkv_bt* bt) noexcept;

  /// `not_a_store` for a database that is none, `unsupported_version` for what newer programs wrote, `corrupt`
  /// for what no store has.
  [[nodiscard]] Error check(const char* operation, bool read_only) const;

  /// `corrupt` if the file, where trees are to be found by the engine, has their last root elsewhere.
  [[nodiscard]] Error check_roots(const char* operation, const Schema& schema) const;

  [[nodiscard]] std::int64_t user_version() const noexcept { return static_cast<std::int32_t>(number(60)); }

 private:
  [[nodiscard]] std::uint32_t number(std::size_t at) const noexcept;
  [[nodiscard]] std::uint32_t byte(std::size_t at) const noexcept { return bytes_[at]; }

  std::array<unsigned char, SNKV_BT_HEADER_SIZE> bytes_{};
  std::uint32_t pages_ = 0;
};

/// Whether header and `snkv_meta` name one version of the format, which this library knows.
[[nodiscard]] Error check_version(const char* operation, const DatabaseHeader& header, const Meta& meta);

}  // namespace snkv::core
