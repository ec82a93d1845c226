#include "buffer/table_cursor.hpp"

namespace snkv::buffer {

std::vector<ErasedRange> erased_ranges(const Tables& tables, std::uint32_t family, Sequence as_of) {
  std::vector<ErasedRange> out;
  for (const Memtable* table : tables.newest_first()) {
    if (table == nullptr || table->range_count() == 0) continue;
    const std::shared_ptr<const ErasedRanges> all = table->ranges();
    if (all == nullptr) continue;
    for (const ErasedRange& range : *all) {
      if (range.family == family && range.sequence <= as_of) out.push_back(range);
    }
  }
  return out;
}

TableCursor::TableCursor(const Tables& tables, std::uint32_t family, Sequence as_of)
    : family_(family), as_of_(as_of), ranges_(erased_ranges(tables, family, as_of)) {
  const auto all = tables.newest_first();
  for (std::size_t i = 0; i < sources_.size(); ++i) sources_[i].table = all[i];
}

const ErasedRange* TableCursor::range_over(BytesView key) const noexcept {
  const ErasedRange* newest_one = nullptr;
  for (const ErasedRange& range : ranges_) {
    if (range.covers(key) && (newest_one == nullptr || range.sequence > newest_one->sequence)) {
      newest_one = &range;
    }
  }
  return newest_one;
}

bool TableCursor::is_erased() const noexcept {
  if (ranges_.empty()) return false;
  const ErasedRange* const range = range_over(current_->key());
  return range != nullptr && range->sequence > current_->sequence();
}

/// The version itself, or the first behind it that can be seen; null at the end of the family.
const Version* TableCursor::visible_from(const Version* at) const noexcept {
  while (at != nullptr && at->family() == family_) {
    if (at->sequence() <= as_of_ && at->kind() != Version::Kind::undone) return at;
    at = Memtable::next(at);
  }
  return nullptr;
}

const Version* TableCursor::next_key(const Source& source) const noexcept {
  const BytesView key = source.at->key();
  const Version* at = Memtable::next(source.at);
  // A key that was written again and again has many versions: past a few they are leapt over.
  constexpr int few = 4;
  for (int step = 0; at != nullptr && at->family() == family_ && at->key() == key; ++step) {
    at = step < few ? Memtable::next(at) : source.table->seek(family_, key, 0);
  }
  return visible_from(at);
}

/// The newest visible version of the last key up to that of `at`, which may be null.
const Version* TableCursor::key_before(const Memtable& table, const Version* at) const noexcept {
  while (at != nullptr && at->family() == family_) {
    const BytesView key = at->key();
    const Version* const found = visible_from(table.seek(family_, key, as_of_));
    if (found != nullptr && found->key() == key) return found;
    at = table.before(family_, key);
  }
  return nullptr;
}

void TableCursor::choose(bool forward) noexcept {
  forward_ = forward;
  current_ = nullptr;
  for (const Source& source : sources_) {
    if (source.at == nullptr) continue;
    if (current_ == nullptr ||
        (forward ? source.at->key() < current_->key() : source.at->key() > current_->key())) {
      current_ = source.at;
    }
  }
}

void TableCursor::seek(BytesView key) noexcept {
  for (Source& source : sources_) {
    source.at =
        source.table == nullptr ? nullptr : visible_from(source.table->seek(family_, key, as_of_));
  }
  choose(true);
}

void TableCursor::seek_before(BytesView key, bool inclusive) noexcept {
  for (Source& source : sources_) {
    source.at = nullptr;
    if (source.table == nullptr) continue;
    if (inclusive) {
      const Version* const same = visible_from(source.table->seek(family_, key, as_of_));
      if (same != nullptr && same->key() == key) {
        source.at = same;
        continue;
      }
    }
    source.at = key_before(*source.table, source.table->before(family_, key));
  }
  choose(false);
}

void TableCursor::seek_last() noexcept {
  for (Source& source : sources_) {
    if (source.table == nullptr) continue;
    // What stands before the first place of the next family.
    source.at = key_before(*source.table, source.table->last_of(family_));
  }
  choose(false);
}

void TableCursor::next() noexcept {
  if (current_ == nullptr) return;
  const BytesView key = current_->key();  // lives as long as the table
  if (!forward_) {
    for (Source& source : sources_) {
      if (source.table == nullptr) continue;
      source.at = visible_from(source.table->seek(family_, key, as_of_));
    }
  }
  for (Source& source : sources_) {
    if (source.at != nullptr && source.at->key() == key) source.at = next_key(source);
  }
  choose(true);
}

void TableCursor::prev() noexcept {
  if (current_ == nullptr) return;
  const BytesView key = current_->key();
  for (Source& source : sources_) {
    if (source.table == nullptr) continue;
    if (!forward_ && (source.at == nullptr || source.at->key() < key)) continue;
    source.at = key_before(*source.table, source.table->before(family_, key));
  }
  choose(false);
}

}  // namespace snkv::buffer
