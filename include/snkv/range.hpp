/// \file
/// `Range`, what range-based `for` runs over: all entries, those with a prefix, or those of a key
/// interval, in ascending or descending order.
///
///     auto scan = store.prefix("user:");
///     for (auto [key, value] : scan) use(key, value);
///     if (!scan.status()) report(scan.status().error());   // did it end, or did it break?
///
/// A range reads from a snapshot that it takes at each `begin()`, and gives back when the pass has reached
/// its end. Threads: as `Iterator`.
#pragma once

#include <snkv/iterator.hpp>

#include <cstddef>
#include <iterator>
#include <utility>

namespace snkv {
inline namespace SNKV_EXPECTED_NAMESPACE {

class Range {
 public:
  /// An input iterator: one pass; copies share the position.
  class iterator {
   public:
    using value_type = Entry;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::input_iterator_tag;

    iterator() noexcept = default;
    [[nodiscard]] Entry operator*() const noexcept { return range_->iterator_.entry(); }
    iterator& operator++() noexcept {
      range_->advance();
      return *this;
    }
    void operator++(int) noexcept { range_->advance(); }
    friend bool operator==(const iterator& it, std::default_sentinel_t) noexcept {
      return it.at_end();
    }

   private:
    [[nodiscard]] bool at_end() const noexcept { return !range_->iterator_.valid(); }

    friend class Range;
    explicit iterator(Range* range) noexcept : range_(range) {}
    Range* range_ = nullptr;
  };

  Range(core::Target target, core::KeyRange keys, ScanOptions options) noexcept
      : target_(std::move(target)), keys_(std::move(keys)), options_(options) {}

  /// The same entries in the opposite order.
  [[nodiscard]] Range reversed() const {
    Range copy(target_, keys_, options_);
    copy.reversed_ = !reversed_;
    return copy;
  }

  /// The same keys, without reading values.
  [[nodiscard]] Range keys_only() const {
    Range copy(target_, keys_, options_);
    copy.reversed_ = reversed_;
    copy.options_.keys_only = true;
    return copy;
  }

  /// Takes a snapshot and goes to the first entry. O(log n). Views taken from an earlier pass end.
  [[nodiscard]] iterator begin() {
    iterator_ = manual();
    if (reversed_) {
      iterator_.seek_last();
    } else {
      iterator_.seek_first();
    }
    settle();
    return iterator(this);
  }
  [[nodiscard]] static std::default_sentinel_t end() noexcept { return {}; }

  /// A manual iterator over the same keys (and no others: seeks are confined to them), not yet
  /// positioned.
  [[nodiscard]] Iterator manual() const {
    return Iterator(core::open_cursor(target_, keys_, options_));
  }

  /// How the last pass ended: ok, or the error that cut it short.
  [[nodiscard]] Result<void> status() const {
    return iterator_.valid() ? Result<void>() : facade::as_result(Error(status_));
  }

 private:
  void advance() noexcept {
    if (reversed_) {
      iterator_.prev();
    } else {
      iterator_.next();
    }
    settle();
  }
  /// At the end of a pass gives back what was read from: the snapshot holds back the log, and, with a
  /// rollback journal, writers.
  void settle() noexcept {
    if (iterator_.valid()) return;
    status_ = iterator_.error();
    iterator_ = Iterator();
  }

  core::Target target_;
  core::KeyRange keys_;
  ScanOptions options_;
  bool reversed_ = false;
  Iterator iterator_;
  Error status_;
};

}  // namespace SNKV_EXPECTED_NAMESPACE
}  // namespace snkv
