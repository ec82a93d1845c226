/// \file
/// The one way in which entries are looked up and rows are understood. Nothing here writes.
#pragma once

#include "btree/connection.hpp"
#include "core/big_endian.hpp"
#include "core/catalog.hpp"

#include <snkv/bytes.hpp>
#include <snkv/detail/core_abi.hpp>
#include <snkv/error.hpp>

#include <cstdint>
#include <optional>

namespace snkv::core {

/// The time as of which something is read: known, or asked for when the first expiry is met, because
/// asking would be a good part of a `get`. It is read once at most.
class Moment {
 public:
  Moment(std::int64_t known) noexcept : now_(known) {}
  explicit Moment(const StoreState& clock) noexcept : clock_(&clock) {}
  [[nodiscard]] std::int64_t get() const;

 private:
  mutable const StoreState* clock_ = nullptr;
  mutable std::int64_t now_ = 0;
};

/// Where to read: a connection with an open transaction, the family in its catalog, and the time.
struct ReadView {
  snkv_bt* bt = nullptr;
  const FamilyEntry* family = nullptr;
  Moment now = 0;
  StoreState* store = nullptr;
  const KeyRing* keys = nullptr;  ///< of the catalog that has the family; null: nothing is sealed
};

/// An entry as its row has it. The views point into the page or the scratch buffer that it was read
/// with.
struct Row {
  BytesView key;
  BytesView value;  ///< as it is in the row, sealed or not; see `row_value`
  std::optional<std::int64_t> expires_at;
  std::int64_t large_id = 0;  ///< 0: the value is in the row
  std::uint64_t large_size = 0;

  /// Whether it says of itself that it has expired: ask `is_live`, which knows whether to believe it.
  [[nodiscard]] bool looks_expired(const Moment& now) const {
    return expires_at.has_value() && *expires_at <= now.get();
  }
};

/// A large value, as its row has it.
struct LargeValue {
  std::int64_t id = 0;           ///< 0: there is none
  std::uint64_t size = 0;
  std::uint32_t chunk_size = 0;  ///< bytes of it in all chunks but the last; 0: the first one tells
  LargeTag tag{};                ///< in an encrypted store
};

/// Takes a row apart that has a key, maybe a time, and a value of its own, as nearly all have; false for
/// any other, also for a malformed one, which `read_row` understands.
[[nodiscard]] inline bool plain_row(BytesView record, BytesView& key, BytesView& value,
                                    std::optional<std::int64_t>& expires_at) noexcept {
  const auto* const p = reinterpret_cast<const unsigned char*>(record.data());
  if (record.size() < 4) return false;
  const std::size_t header = p[0];
  std::size_t at = 1;
  const auto blob = [&](std::size_t& size) {
    std::size_t type = p[at++];
    if (type >= 0x80) {
      const std::size_t low = p[at++];
      if (low >= 0x80) return false;
      type = ((type & 0x7f) << 7) | low;
    }
    if (type < 12 || type % 2 != 0) return false;
    size = (type - 12) / 2;
    return true;
  };
  // The largest header of such a row: its own size, two types of two bytes, three of one.
  if (header < 4 || header > 8 || record.size() < 8) return false;
  std::size_t key_size = 0;
  std::size_t value_size = 0;
  if (!blob(key_size)) return false;
  const unsigned time = p[at++];
  if (!blob(value_size) || at > header) return false;
  for (; at < header; ++at) {
    if (p[at] != 0) return false;
  }
  // A time after 1970-01-25 and before the year 6429 takes 6 bytes.
  constexpr unsigned type_of_six_bytes = 5;
  if (time != 0 && time != type_of_six_bytes) return false;
  const std::size_t time_size = time == 0 ? 0 : 6;
  if (header + key_size + time_size + value_size > record.size()) return false;
  key = {p + header, key_size};
  value = {p + header + key_size + time_size, value_size};
  expires_at.reset();
  if (time == 0) return true;
  if (p[header + key_size] >= 0x80) return false;  // before 1970
  expires_at = static_cast<std::int64_t>(big_endian(record.data() + header + key_size, 6));
  return true;
}

/// Decodes the row under the cursor; `scratch` takes the record when it does not lie in one page.
[[nodiscard]] int read_row(snkv_bt_cursor* cursor, Bytes& scratch, Row& row);

/// Reads `size` bytes (not 0) at `offset` of the large value of `key`, all of which must lie inside it;
/// no other chunks than these bytes lie in, and the first if `value.chunk_size` has to be found out.
[[nodiscard]] Error read_large_part(const char* operation, const ReadView& view, BytesView key,
                                    LargeValue& value, std::uint64_t offset, std::byte* out,
                                    std::size_t size);

/// The large value of a row; its id is 0 if the row has none.
[[nodiscard]] Error large_of(const char* operation, const ReadView& view, const Row& row,
                             LargeValue& out);

/// What is sealed in the row of a large value.
[[nodiscard]] Bytes describe_large(const LargeValue& value);

/// A copy of the value of a row.
[[nodiscard]] Error copy_value(const char* operation, const ReadView& view, const Row& row, Bytes& out);

/// The value of a row: where it lies, or opened or put together in `buffer`.
[[nodiscard]] Error row_value(const char* operation, const ReadView& view, const Row& row,
                              Bytes& buffer, BytesView& out);

/// `tampered` if the row, or what it says of a large value, is not what was sealed under its key with its
/// expiry.
[[nodiscard]] Error authenticate(const char* operation, const ReadView& view, const Row& row);

/// Whether the entry of a row is there, or has expired. An encrypted store does not believe a row which
/// says that it has expired before it is authenticated: `tampered`. Nothing else decides this.
[[nodiscard]] inline Error is_live(const char* operation, const ReadView& view, const Row& row,
                                   bool& live) {
  live = !row.looks_expired(view.now);
  return live || view.keys == nullptr ? Error() : authenticate(operation, view, row);
}

/// Calls `use(cursor's row)` for the live entry of `key`; `found` tells whether there was one. The row's
/// views are good during the call only.
template <class Use>
[[nodiscard]] Error find_entry(const char* operation, const ReadView& view, snkv_bt_cursor* cursor,
                               BytesView key, bool& found, Use&& use);

/// Runs `body(view, cursor)` with a view of the target's family, as of the target's transaction or
/// snapshot, or of the latest commit.
template <class Body>
[[nodiscard]] Error with_view(const char* operation, const Target& target, Body&& body);

/// The same without a family, for what concerns the store as a whole: `body(bt, catalog)`.
template <class Body>
[[nodiscard]] Error with_catalog(const char* operation, const Target& target, Body&& body);

[[nodiscard]] Error check_key(const char* operation, BytesView key);

/// The entry of an index of expiries that the cursor is on.
[[nodiscard]] int read_expiry(snkv_bt_cursor* cursor, Bytes& scratch, std::int64_t& at, Bytes& key);

/// Counts the entries that have expired, up to `most`, by the index of expiries. In an encrypted store the
/// index is not authenticated: see `count_gone`.
[[nodiscard]] int count_expired(const ReadView& view, std::uint64_t most, std::uint64_t& entries);

/// Counts the entries that have expired. In an encrypted store each is authenticated: `tampered`. The
/// cursor of the rows loses its position.
[[nodiscard]] Error count_gone(const char* operation, const ReadView& view, snkv_bt_cursor* rows,
                               std::uint64_t& entries);

/// Counts the keys of a range, expired ones included. The cursor loses its position.
[[nodiscard]] int count_keys(snkv_bt_cursor* cursor, const KeyRange& range, std::uint64_t& entries);

}  // namespace snkv::core

#include "core/read_path_inl.hpp"
