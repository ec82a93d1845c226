/// \file
/// `Iterator`, a manual cursor over the entries of a column family in key order.
///
/// An iterator reads from a snapshot taken when it is made (inside a write transaction: from the
/// transaction, its own writes included). It stays valid while others write, clear or drop, and it
/// keeps the store open. It holds back the recycling of the write-ahead log, so do not keep one
/// longer than needed.
///
/// Threads: one iterator belongs to one thread at a time; different iterators are independent.
#pragma once

#include <snkv/detail/core_abi.hpp>
#include <snkv/expected.hpp>

#include <memory>
#include <utility>

namespace snkv {

/// One entry of a scan, for structured bindings: `for (auto [key, value] : store.all())`. The views
/// are valid until the iterator that gave them moves or goes away.
struct Entry {
  BytesView key;
  BytesView value;
};

inline namespace SNKV_EXPECTED_NAMESPACE {

class Iterator {
 public:
  /// Not positioned on anything, over nothing.
  Iterator() noexcept = default;

  /// Whether the iterator is on an entry. False before the first seek, past either end, and after
  /// an error, which `status` tells from an end.
  [[nodiscard]] bool valid() const noexcept { return cursor_ != nullptr && cursor_->valid; }

  /// The current key. Requires `valid()`. The view lives until the iterator moves or is destroyed.
  [[nodiscard]] BytesView key() const noexcept { return cursor_->key; }
  /// The current value; empty with `ScanOptions::keys_only`. Same requirement and lifetime as `key`.
  [[nodiscard]] BytesView value() const noexcept { return cursor_->value; }
  [[nodiscard]] Entry entry() const noexcept { return {cursor_->key, cursor_->value}; }

  /// Moves to the smallest key of the range. O(log n).
  void seek_first() noexcept { move<core::cursor_first>(); }
  /// Moves to the largest key of the range. O(log n).
  void seek_last() noexcept { move<core::cursor_last>(); }
  /// Moves to the smallest key of the range that is >= `key`. O(log n).
  void seek(BytesView key) noexcept { move<core::cursor_seek>(key); }
  /// Moves to the largest key of the range that is <= `key`. O(log n).
  void seek_for_prev(BytesView key) noexcept { move<core::cursor_seek_for_prev>(key); }
  /// Moves to the next larger key. Does nothing unless `valid()`. O(1) amortised.
  void next() noexcept { move<core::cursor_next>(); }
  /// Moves to the next smaller key. Does nothing unless `valid()`. O(1) amortised.
  void prev() noexcept { move<core::cursor_prev>(); }

  /// Ok after reaching an end; the error when the iterator stopped because of one (it stays invalid
  /// until the next seek).
  [[nodiscard]] Result<void> status() const {
    return facade::as_result(error());
  }

  /// Made by `iterator()` of `Store`, `ColumnFamily`, `Transaction`, `Snapshot` and `Range`.
  explicit Iterator(core::Cursor* cursor) noexcept : cursor_(cursor) {}

 private:
  friend class Range;
  [[nodiscard]] Error error() const {
    return cursor_ == nullptr ? Error() : core::cursor_status(*cursor_);
  }

  struct Close {
    void operator()(core::Cursor* cursor) const noexcept { core::close_cursor(cursor); }
  };

  template <auto function, class... Args>
  void move(Args... args) noexcept {
    if (cursor_ != nullptr) function(*cursor_, args...);
  }

  std::unique_ptr<core::Cursor, Close> cursor_;
};

}  // namespace SNKV_EXPECTED_NAMESPACE
}  // namespace snkv
