/// \file
/// The names and numbers of the file format (docs/file-format.md).
#pragma once

#include <snkv/bytes.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace snkv::core::format {

/// "SNKV" in the application id of the database header.
inline constexpr std::uint32_t application_id = 0x534e4b56;
/// In `user_version`, and in `snkv_meta` under "format_version".
inline constexpr std::int64_t version = 1;

/// The version of encrypted stores whose names are not bound; a store that is not encrypted has the one
/// above. A library that knows no encryption must not take sealed values for values.
inline constexpr std::int64_t encrypted_version = 2;
/// The version of encrypted stores since names are bound (family_seal.hpp), which a library that does not
/// bind them must not write.
inline constexpr std::int64_t bound_version = 3;
inline constexpr std::int64_t newest_version = bound_version;
/// Keys of `snkv_meta`. The last two are those of encrypted stores: of their header (key_header.hpp), and of what
/// authenticates `next_family_id` (family_seal.hpp).
inline constexpr std::string_view format_version = "format_version";
inline constexpr std::string_view store_id = "store_id";
inline constexpr std::string_view next_family_id = "next_family_id";
inline constexpr std::string_view next_family_tag = "next_family_tag";
inline constexpr std::string_view key_header = "keys";

/// The table of what concerns the store as a whole, and the exact text of the statement that makes it.
inline constexpr std::string_view meta_table = "snkv_meta";
inline constexpr std::string_view meta_table_sql =
    "CREATE TABLE snkv_meta(key TEXT NOT NULL PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID";

inline constexpr std::string_view default_family = "default";
inline constexpr std::uint32_t default_family_id = 1;

/// Columns of a family table, in order. The last two are there only in rows of large values.
enum RowColumn : std::size_t { row_key, row_expires_at, row_value, row_large_id, row_large_size };
inline constexpr std::size_t row_columns = 5;
inline constexpr std::size_t small_row_columns = 3;

/// A value up to this size stays in its row even if the row, for its long key, does not fit its page.
inline constexpr std::size_t large_value_minimum = 64;

/// Chunks of a large value have the rowids `large_id << chunk_bits` onwards.
inline constexpr int chunk_bits = 20;

/// A name in double quotes, as SQL wants it.
[[nodiscard]] std::string quoted(std::string_view name);

/// The exact text of the statement that makes the table of a family. Its id stands in a comment: it
/// survives in the schema, and tells two families that had the same name one after the other apart.
[[nodiscard]] std::string family_table_sql(std::string_view name, std::uint32_t id);
/// The id in such a text, even when it was altered since; 0 if there is none.
[[nodiscard]] std::uint32_t family_id_of(std::string_view sql);

/// Whether rows are laid out as in such a table, though SQL may have renamed its columns or added some.
[[nodiscard]] bool has_family_rows(std::string_view sql, std::string_view name);
/// The same for a side table of large values.
[[nodiscard]] bool has_large_rows(std::string_view sql, std::string_view name);

/// Bytes as SQL has them: x'00ff'.
[[nodiscard]] std::string blob_literal(BytesView bytes);

/// The side table of a family's large values.
[[nodiscard]] std::string large_table_name(std::uint32_t family_id);
[[nodiscard]] std::string large_table_sql(std::uint32_t family_id);
/// The expiries of a family, in order of time.
[[nodiscard]] std::string expiry_table_name(std::uint32_t family_id);
[[nodiscard]] std::string expiry_table_sql(std::uint32_t family_id);

}  // namespace snkv::core::format
