/// \file
/// The only code that changes entries. Each function runs inside the open transaction of a session, with
/// the session's lock held.
///
/// A function either fails before it has changed anything, or leaves the transaction poisoned so that
/// it must be rolled back: there is no half-written entry.
#pragma once

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
};

[[nodiscard]] Error put_entry(const WriteContext& context, const NewEntry& entry);
/// `existed` tells whether a live entry was there.
[[nodiscard]] Error erase_entry(const WriteContext& context, BytesView key, bool& existed);
[[nodiscard]] Error clear_family(const WriteContext& context);
/// Erases the entries of a range; `erased` is their number, expired ones included.
[[nodiscard]] Error erase_entries(const WriteContext& context, const KeyRange& range,
                                  std::uint64_t& erased);
/// Changes when a live entry expires; `found` tells whether there is one.
[[nodiscard]] Error set_entry_expiry(const WriteContext& context, BytesView key,
                                     std::optional<std::int64_t> expires_at, bool& found);
/// Erases at most `limit` expired entries, those first that expired first.
[[nodiscard]] Error purge_entries(const WriteContext& context, std::uint64_t limit,
                                  std::uint64_t& purged);

}  // namespace snkv::core
