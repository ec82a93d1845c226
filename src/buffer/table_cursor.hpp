/// \file
/// A walk through the keys of one family in the tables of a buffer, as of a sequence number.
#pragma once

#include "buffer/memtable.hpp"

#include <array>
#include <memory>
#include <vector>

namespace snkv::buffer {

/// The tables of a buffer at one instant, the newer one first. Immutable; the tables are not.
struct Tables {
  std::shared_ptr<Memtable> active;
  std::shared_ptr<Memtable> frozen;  ///< being flushed; null: none

  [[nodiscard]] std::array<const Memtable*, 2> newest_first() const noexcept {
    return {active.get(), frozen.get()};
  }
};

/// The ranges of a family that are erased in the tables.
[[nodiscard]] std::vector<ErasedRange> erased_ranges(const Tables& tables, std::uint32_t family,
                                                     Sequence as_of);

/// Goes from key to key; of each it gives the newest visible version of all tables, erasures too.
/// The tables must outlive it.
class TableCursor {
 public:
  TableCursor(const Tables& tables, std::uint32_t family, Sequence as_of);

  /// Null at either end.
  [[nodiscard]] const Version* get() const noexcept { return current_; }
  /// Whether a range erased the current version.
  [[nodiscard]] bool is_erased() const noexcept;

  /// To the first key that is >= `key`.
  void seek(BytesView key) noexcept;
  /// To the last key that is < `key`; or <= with `inclusive`.
  void seek_before(BytesView key, bool inclusive) noexcept;
  void seek_last() noexcept;
  void next() noexcept;
  void prev() noexcept;

  [[nodiscard]] const std::vector<ErasedRange>& ranges() const noexcept { return ranges_; }
  /// The largest of the sequence numbers of ranges that cover a key; 0: none does.
  [[nodiscard]] const ErasedRange* range_over(BytesView key) const noexcept;

 private:
  struct Source {
    const Memtable* table = nullptr;
    const Version* at = nullptr;
  };
  [[nodiscard]] const Version* visible_from(const Version* at) const noexcept;
  [[nodiscard]] const Version* next_key(const Source& source) const noexcept;
  [[nodiscard]] const Version* key_before(const Memtable& table, const Version* at) const noexcept;
  void choose(bool forward) noexcept;

  std::array<Source, 2> sources_;
  std::uint32_t family_;
  Sequence as_of_;
  std::vector<ErasedRange> ranges_;
  const Version* current_ = nullptr;
  bool forward_ = true;
};

}  // namespace snkv::buffer
