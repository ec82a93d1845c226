/// \file
/// `WriteBatch`, a list of writes that is made without a store, can be kept or sent as bytes, and is
/// carried out as one transaction by `write` of a `Store`, `ColumnFamily` or `Transaction`.
///
/// Threads: a value like any other.
///
/// Bytes: one operation after the other, each a tag byte and its arguments. A string is its length (4
/// bytes, little-endian) and its bytes; a number is 8 bytes, little-endian:
///
///     'P' key value             put
///     'T' key value ttl         put, expiring `ttl` milliseconds after the batch is carried out
///     'X' key value moment      put, expiring at `moment`, milliseconds since the Unix epoch
///     'D' key                   erase
///     'R' low high              erase range
///     'C'                       clear
///     'F' name                  the operations that follow go to this family; empty: back to the first
#pragma once

#include <snkv/bytes.hpp>
#include <snkv/detail/export.hpp>
#include <snkv/options.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace snkv {

class WriteBatch {
 public:
  WriteBatch() = default;
  /// From bytes made by `data`. They are checked when the batch is carried out: `invalid_argument` then,
  /// and nothing is written.
  explicit WriteBatch(BytesView data) : data_(data.view()) {}

  /// Arguments are checked when the batch is carried out. `options.sync` is ignored here.
  SNKV_API WriteBatch& put(BytesView key, BytesView value, const PutOptions& options = {});
  SNKV_API WriteBatch& erase(BytesView key);
  SNKV_API WriteBatch& erase_range(BytesView low, BytesView high);
  SNKV_API WriteBatch& clear_family();
  /// The operations that follow go to the family `name`, which must exist when the batch is carried out;
  /// an empty name leads back to the family that `write` is called on.
  SNKV_API WriteBatch& in_family(std::string_view name);

  /// The operations as bytes. The view lives until the batch is changed.
  [[nodiscard]] BytesView data() const noexcept { return data_; }
  [[nodiscard]] bool empty() const noexcept { return data_.empty(); }
  /// Forgets all operations.
  void reset() noexcept { data_.clear(); }

 private:
  std::string data_;
};

}  // namespace snkv
