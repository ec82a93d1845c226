#include "core/database_header.hpp"

#include "core/format.hpp"

#include <fmt/format.h>

namespace snkv::core {
namespace {

// Offsets of what is looked at.
constexpr std::size_t write_version_at = 18;
constexpr std::size_t reserved_at = 20;
constexpr std::size_t free_list_at = 32;
constexpr std::size_t free_count_at = 36;
constexpr std::size_t schema_format_at = 44;
constexpr std::size_t largest_root_at = 52;
constexpr std::size_t encoding_at = 56;
constexpr std::size_t incremental_at = 64;
constexpr std::size_t application_id_at = 68;

constexpr std::uint32_t newest_write_version = 2;
constexpr std::uint32_t newest_schema_format = 4;
constexpr std::uint32_t utf8 = 1;

Error unknown_version(const char* operation, std::int64_t version) {
  return Error(Errc::unsupported_version, operation,
               fmt::format("has format version {}; this library knows {} at most", version,
                           format::newest_version));
}

}  // namespace

int DatabaseHeader::read(snkv_bt* bt) noexcept {
  std::uint32_t free_pages = 0;
  snkv_bt_pages(bt, &pages_, &free_pages);
  return snkv_bt_header(bt, bytes_.data());
}

std::uint32_t DatabaseHeader::number(std::size_t at) const noexcept {
  return byte(at) << 24 | byte(at + 1) << 16 | byte(at + 2) << 8 | byte(at + 3);
}

Error DatabaseHeader::check(const char* operation, bool read_only) const {
  const auto refuse = [&](Errc code, std::string why) { return Error(code, operation, std::move(why)); };
  if (number(application_id_at) != format::application_id) {
    return refuse(Errc::not_a_store, "is an SQLite database, but not a store of snkv");
  }
  if (user_version() > format::newest_version) return unknown_version(operation, user_version());
  if (number(schema_format_at) > newest_schema_format ||
      (!read_only && byte(write_version_at) > newest_write_version)) {
    return refuse(Errc::unsupported_version, "was written by a newer version of SQLite");
  }
  const auto corrupt = [&](std::string why) { return refuse(Errc::corrupt, std::move(why)); };
  if (byte(reserved_at) != 0) {
    return corrupt(fmt::format("reserves {} bytes in each page", byte(reserved_at)));
  }
  if (number(encoding_at) != utf8) return corrupt("has texts that are not UTF-8");
  if (number(free_list_at) > pages_ || number(free_count_at) >= pages_ ||
      (number(free_list_at) == 0) != (number(free_count_at) == 0)) {
    return corrupt("has a list of free pages that is none");
  }
  if (number(largest_root_at) > pages_ || (number(largest_root_at) == 0 && number(incremental_at) != 0)) {
    return corrupt(fmt::format("names page {} as the largest root", number(largest_root_at)));
  }
  return {};
}

Error DatabaseHeader::check_roots(const char* operation, const Schema& schema) const {
  const std::uint32_t largest = number(largest_root_at);
  if (largest == 0 || largest == schema.largest_root()) return {};
  return Error(Errc::corrupt, operation,
               fmt::format("names page {} as the largest root, which is {}", largest, schema.largest_root()));
}

Error check_version(const char* operation, const DatabaseHeader& header, const Meta& meta) {
  const auto corrupt = [&](const char* why) { return Error(Errc::corrupt, operation, why); };
  const std::int64_t version = meta.format_version.value_or(0);
  if (version > format::newest_version) return unknown_version(operation, version);
  if (version < 1 || header.user_version() < 1) return corrupt("has no format version");
  const bool has_key_header = meta.key_header.has_value() && !meta.key_header->empty();
  if ((header.user_version() >= format::encrypted_version) == has_key_header) return {};
  return corrupt(has_key_header ? "has a header of encryption and is not encrypted"
                                : "has lost the header of its encryption");
}

}  // namespace snkv::core
