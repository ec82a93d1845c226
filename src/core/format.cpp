#include "core/format.hpp"

#include <charconv>
#include <fmt/format.h>

namespace snkv::core::format {
namespace {
constexpr std::string_view id_mark = "/* snkv:";
}

std::string quoted(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + "\"";
}

std::string blob_literal(BytesView bytes) {
  std::string out = "x'";
  for (const std::byte byte : bytes.span()) out += fmt::format("{:02x}", static_cast<unsigned>(byte));
  return out + "'";
}

std::string family_table_sql(std::string_view name, std::uint32_t id) {
  return fmt::format(
      "CREATE TABLE {}(key BLOB NOT NULL PRIMARY KEY, expires_at INTEGER, value BLOB, "
      "large_id INTEGER, large_size INTEGER {}{} */) STRICT, WITHOUT ROWID",
      quoted(name), id_mark, id);
}

std::uint32_t family_id_of(std::string_view sql) {
  const std::size_t at = sql.rfind(id_mark);
  if (at == std::string_view::npos) return 0;
  const std::string_view digits = sql.substr(at + id_mark.size());
  std::uint32_t id = 0;
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), id);
  return parsed.ec == std::errc() ? id : 0;
}

std::string large_table_name(std::uint32_t family_id) {
  return fmt::format("snkv_large_{}", family_id);
}

std::string large_table_sql(std::uint32_t family_id) {
  return fmt::format("CREATE TABLE {}(id INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT",
                     large_table_name(family_id));
}

std::string expiry_table_name(std::uint32_t family_id) {
  return fmt::format("snkv_expiry_{}", family_id);
}

std::string expiry_table_sql(std::uint32_t family_id) {
  return fmt::format(
      "CREATE TABLE {}(expires_at INTEGER NOT NULL, key BLOB NOT NULL, "
      "PRIMARY KEY(expires_at, key)) STRICT, WITHOUT ROWID",
      expiry_table_name(family_id));
}

}  // namespace snkv::core::format
