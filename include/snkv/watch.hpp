/// \file
/// The change feed: `Change`, what happened to an entry, and `Watch`, which keeps a callback subscribed.
///
/// Changes are those made through this `Store` in this process; those of other processes and of SQL are
/// not seen. They carry the sequence number of their commit: 1, 2, 3, ... since the store was opened.
///
/// Threads: a callback is called after the commit, by a thread that committed, one call at a time and in
/// the order of the commits. It may use the store, writing included; only `close` gives `locked`. What it
/// throws is ignored. A change that it makes to what it watches it is told as well.
#pragma once

#include <snkv/bytes.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace snkv {

struct Change {
  enum class Kind {
    put,    ///< `key` got a value, or another expiry.
    erase,  ///< `key` was removed, or purged.
    range,  ///< All keys from `key` up to, not including, `high` (empty: to the end) were removed.
    clear,  ///< All keys of the family were removed, or the family was dropped.
  };

  std::uint64_t sequence = 0;
  std::string family;
  Kind kind = Kind::put;
  Bytes key;
  Bytes high;
};

using WatchCallback = std::function<void(const Change&)>;

/// A subscription; it ends when this goes away. A callback that is running then is not waited for.
class Watch {
 public:
  Watch() noexcept = default;
  /// Made by `watch` of `Store` and `ColumnFamily`.
  explicit Watch(std::shared_ptr<void> subscription) noexcept
      : subscription_(std::move(subscription)) {}
  /// Ends the subscription.
  void stop() noexcept { subscription_.reset(); }

 private:
  std::shared_ptr<void> subscription_;
};

}  // namespace snkv
