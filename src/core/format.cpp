#include "core/format.hpp"

#include <charconv>
#include <fmt/format.h>

namespace snkv::core::format {
namespace {
constexpr std::string_view id_mark = "/* snkv:";

/// Takes a name of SQL from the front, in double quotes or plain; false if there is none.
bool take_name(std::string_view& text) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  std::size_t size = 0;
  if (text.starts_with('"')) {
    const std::size_t end = text.find('"', 1);
    size = end == std::string_view::npos ? 0 : end + 1;
  } else {
    while (size < text.size() && plain(text[size])) ++size;
  }
  text.remove_prefix(size);
  return size > 0;
}

bool take(std::string_view& text, std::string_view word) {
  if (!text.starts_with(word)) return false;
  text.remove_prefix(word.size());
  return true;
}

/// Whether the columns begin with some of these types, and the table ends as `tail` says.
template <std::size_t N>
bool has_columns(std::string_view sql, std::string_view name, const std::string_view (&types)[N],
                 std::string_view tail) {
  if (!sql.ends_with(tail)) return false;
  if (!take(sql, "CREATE TABLE ")) return false;
  if (!take(sql, quoted(name)) && !take(sql, name)) return false;
  if (!take(sql, "(")) return false;
  for (std::size_t i = 0; i < N; ++i) {
    if (i > 0 && !take(sql, ", ")) return false;
    if (!take_name(sql) || !take(sql, types[i])) return false;
  }
  // Whatever else there is belongs to further columns.
  return sql.starts_with(", ") || sql.starts_with(" /*") || sql == tail;
}
}  // namespace

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

bool has_family_rows(std::string_view sql, std::string_view name) {
  constexpr std::string_view types[] = {" BLOB NOT NULL PRIMARY KEY", " INTEGER", " BLOB", " INTEGER",
                                        " INTEGER"};
  return has_columns(sql, name, types, ") STRICT, WITHOUT ROWID");
}

bool has_large_rows(std::string_view sql, std::string_view name) {
  constexpr std::string_view types[] = {" INTEGER PRIMARY KEY", " BLOB NOT NULL"};
  return has_columns(sql, name, types, ") STRICT");
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
