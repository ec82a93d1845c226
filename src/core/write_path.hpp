/// \file
/// The only code that changes entries. Each function runs inside the open transaction of a session.
///
/// A function either fails before it has changed anything, or leaves the transaction poisoned so that
/// it must be rolled back: there is no half-written entry.
#pragma once

#include "core/write_session.hpp"

#include <snkv/bytes.hpp>
#include <snkv/error.hpp>

#include <cstdint>
#include <optional>

namespace snkv::core {

struct NewEntry {
  BytesView key;
  BytesView value;
  std::optional<std::int64_t> expires_at;
};

[[nodiscard]] Error put_entry(const char* operation, WriteSession& session, const Family& family,
                              const NewEntry& entry);
/// `existed` tells whether a live entry was there.
[[nodiscard]] Error erase_entry(const char* operation, WriteSession& session, const Family& family,
                                BytesView key, bool& existed);
[[nodiscard]] Error clear_family(const char* operation, WriteSession& session, const Family& family);

}  // namespace snkv::core
