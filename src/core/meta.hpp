/// \file
/// The rows of `snkv_meta`, read through a raw cursor, in a transaction.
#pragma once

#include "btree/connection.hpp"
#include "core/schema.hpp"

#include <snkv/bytes.hpp>
#include <snkv/error.hpp>

#include <cstdint>
#include <optional>

namespace snkv::core {

/// What is there; empty for what is missing or of another type.
struct Meta {
  std::optional<std::int64_t> format_version;
  std::optional<std::int64_t> next_family_id;
  std::optional<Bytes> store_id;
  std::optional<Bytes> key_header;
};

/// Reads it from the tree that `Schema::meta_root` has found, in the transaction that is open.
[[nodiscard]] Error read_meta(const char* operation, snkv_bt* bt, std::uint32_t root, Meta& out);

/// The same for the latest state, or that of the write transaction which is open: looks at the schema first.
[[nodiscard]] Error read_meta(const char* operation, btree::Connection& connection, Meta& out);

}  // namespace snkv::core
