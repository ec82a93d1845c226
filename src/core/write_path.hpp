/// \file
/// The only code that changes entries. Each function runs inside the open transaction of a session, with
/// the session's lock held.
///
/// A function either fails before it has changed anything, or leaves the transaction poisoned so that
/// it must be rolled back: there is no half-written entry.
#pragma once

#include "core/read_path.hpp"
#include "core/write_session.hpp"

#include <snkv/bytes.hpp>
#include <snkv/detail/core_abi.hpp>
#include <snkv/error.hpp>

#include <cstdint>
#include <optional>

namespace snkv::core {

/// An operation on one family, as far as it goes.
struct WriteContext {
  const char* operation;
  WriteSession& session;
  const Family& family;
};

struct NewEntry {
  BytesView key;
  BytesView value;
  std::optional<std::int64_t> expires_at;
  /// With an id: the value has been written in chunks already, and `value` is empty. If it is the id that the
  /// entry has, its chunks were changed where they are, and stay.
  LargeValue large = {};
};

[[nodiscard]] Error put_entry(const WriteContext& context, const NewEntry& entry);
/// `existed` tells whether a live entry was there; one that says it has expired, and cannot be believed, was.
[[nodiscard]] Error erase_entry(const WriteContext& context, BytesView key, bool& existed);
[[nodiscard]] Error clear_family(const WriteContext& context);
/// Erases the entries of a range; `erased` is their number, expired ones included.
[[nodiscard]] Error erase_entries(const WriteContext& context, const KeyRange& range,
                                  std::uint64_t& erased);
/// Changes when a live entry expires; `found` tells whether there is one.
[[nodiscard]] Error set_entry_expiry(const WriteContext& context, BytesView key,
                                     std::optional<std::int64_t> expires_at, bool& found);
/// How far a family has been purged.
struct PurgeProgress {
  /// `tampered`, for the first entry that stays because it only looks expired; such entries are passed over.
  Error refused;
  std::int64_t refused_at = 0;  ///< expiry and key of the last of them
  Bytes refused_key;
};

/// Erases at most `limit` expired entries, those first that expired first. What cannot be purged is no
/// failure, which would undo the rest: `progress` tells it.
[[nodiscard]] Error purge_entries(const WriteContext& context, std::uint64_t limit,
                                  PurgeProgress& progress, std::uint64_t& purged);

// ---- Large values in pieces ----
// What `put_entry` writes a large value with, for those who do not have all of it at once. A value that
// was begun must end as the `large` of an entry, or be erased.

/// Bytes of a large value in each of its chunks but the last.
[[nodiscard]] std::uint32_t largest_chunk(const WriteSession& session) noexcept;
/// Gives a large value an id, and in an encrypted store a tag.
[[nodiscard]] Error begin_large_value(const WriteContext& context, BytesView key, LargeValue& large);
/// Writes a chunk, over an older version of it that may be there. New ones must come in order.
[[nodiscard]] Error write_chunk(const WriteContext& context, BytesView key, const LargeValue& large,
                                std::uint64_t index, BytesView chunk);
[[nodiscard]] Error erase_chunks(const WriteContext& context, BytesView key, std::int64_t id);
/// The same for the chunks from number `first` on, of a value that becomes shorter.
[[nodiscard]] Error erase_chunks_from(const WriteContext& context, BytesView key, std::int64_t id,
                                      std::uint64_t first);
/// Erases the chunks of the begun values of a session that no row refers to: what follows is the commit.
[[nodiscard]] Error drop_unfinished_values(const char* operation, WriteSession& session);

}  // namespace snkv::core
