/// \file
/// `PinnedValue`, a value that stays as it was for as long as the object lives, whatever others
/// write.
///
/// Like an iterator it reads from a snapshot of its own (or from the one, or the transaction, that
/// it is made from), keeps the store open, and holds back the recycling of the write-ahead log: do
/// not keep one longer than needed.
///
/// Threads: one at a time; the bytes of `view` may be read by any number.
#pragma once

#include <snkv/iterator.hpp>

#include <cstddef>
#include <utility>

namespace snkv {
inline namespace SNKV_EXPECTED_NAMESPACE {

class PinnedValue {
 public:
  /// Refers to nothing; its view is empty.
  PinnedValue() noexcept = default;
  /// Made by `get_pinned` of `Store`, `ColumnFamily`, `Transaction` and `Snapshot`.
  explicit PinnedValue(Iterator iterator) noexcept : iterator_(std::move(iterator)) {}

  /// The value: where it lies if that is in one page, a copy otherwise. The view lives as long as
  /// this object, or the one it is moved to.
  [[nodiscard]] BytesView view() const noexcept {
    return iterator_.valid() ? iterator_.value() : BytesView();
  }
  [[nodiscard]] std::size_t size() const noexcept { return view().size(); }

 private:
  Iterator iterator_;
};

}  // namespace SNKV_EXPECTED_NAMESPACE
}  // namespace snkv
