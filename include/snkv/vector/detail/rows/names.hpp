/// \file
/// Whose vector has which number, and when it expires.
#pragma once

#include <snkv/vector/detail/base/byte_stream.hpp>
#include <snkv/vector/detail/base/number_set.hpp>
#include <snkv/vector/detail/base/slots.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace snkv::vector_detail {

/// The keys of a collection by their numbers. Key bytes lie one after the other in blocks, which is
/// copied without those of the past when they have become the larger part.
///
/// Threads: changes exclusive, the rest beside each other; the caller sees to it.
class NameTable {
 public:
  /// One more than the largest number that there was.
  [[nodiscard]] std::uint32_t bound() const noexcept {
    return static_cast<std::uint32_t>(entries_.size());
  }
  [[nodiscard]] std::uint32_t live() const noexcept { return live_; }
  [[nodiscard]] bool contains(std::uint32_t number) const noexcept {
    return number < entries_.size() && entries_[number].place != nowhere;
  }
  /// Whether the vector with this label belongs to who has its number now.
  [[nodiscard]] bool is_current(Label label) const noexcept {
    return contains(number_of(label)) && entries_[number_of(label)].owner == label;
  }
  /// Whether the number is in the table, with this key, as of this change.
  [[nodiscard]] bool is(std::uint32_t number, std::string_view key,
                        std::uint64_t changed) const noexcept {
    return contains(number) && entries_[number].changed == changed && this->key(number) == key;
  }
  /// The number must be in the table. The view lives until the table is changed.
  [[nodiscard]] std::string_view key(std::uint32_t number) const noexcept {
    return key_at(entries_[number].place);
  }
  /// The label of its vectors.
  [[nodiscard]] Label owner(std::uint32_t number) const noexcept { return entries_[number].owner; }
  /// Number of the latest change to it; 0 if it is not in the table.
  [[nodiscard]] std::uint64_t changed(std::uint32_t number) const noexcept {
    return contains(number) ? entries_[number].changed : 0;
  }
  [[nodiscard]] std::int64_t expires_at(std::uint32_t number) const noexcept {
    return number < expiries_.size() ? expiries_[number] : 0;
  }

  /// Gives a number to a key, which may be the one that has it. Returns the label of its vectors.
  /// Throws std::bad_alloc, and has changed nothing then.
  Label assign(std::uint32_t number, std::string_view key, std::uint64_t changed,
               std::int64_t expires_at) {
    if (number >= entries_.size()) {
      const std::size_t size = std::size_t{number} + 1;
      if (entries_.capacity() < size) entries_.reserve(grown(size));
      for (std::size_t i = entries_.size(); i < size; ++i) entries_.push_back({i, 0, nowhere});
    }
    const bool same = contains(number) && this->key(number) == key;
    const std::uint64_t place = same ? entries_[number].place : store(key);
    set_expiry(number, expires_at);
    Entry& entry = entries_[number];
    if (!same) {
      release(entry);
      entry.owner = ((entry.owner >> 32) + 1) << 32 | number;
      entry.place = place;
      ++live_;
    }
    entry.changed = changed;
    return entry.owner;
  }
  void set_changed(std::uint32_t number, std::uint64_t changed) noexcept {
    entries_[number].changed = changed;
  }

  void clear() noexcept {
    entries_.clear();
    blocks_.clear();
    used_ = 0;
    wasted_ = 0;
    live_ = 0;
    expiries_.clear();
    by_expiry_.clear();
    expired_ = nullptr;
  }

  /// Takes the number away from who has it.
  void forget(std::uint32_t number) noexcept {
    if (!contains(number)) return;
    release(entries_[number]);
    drop_expiry(number);
  }

  /// Gives back the memory of keys that are gone when there is much of it. Throws std::bad_alloc.
  void tidy() {
    if (wasted_ < 65536 || wasted_ < used_ / 2) return;
    std::vector<Block> old;
    old.swap(blocks_);
    const std::uint64_t used = std::exchange(used_, 0);
    std::vector<std::uint64_t> places;
    try {
      places.reserve(entries_.size());
      for (const Entry& entry : entries_) {
        places.push_back(entry.place == nowhere ? nowhere : store(key_at(old, entry.place)));
      }
    } catch (const std::bad_alloc&) {
      blocks_.swap(old);
      used_ = used;
      throw;
    }
    for (std::size_t i = 0; i < entries_.size(); ++i) entries_[i].place = places[i];
    wasted_ = 0;
  }

  /// Those of which the time has come; null if there are none.
  [[nodiscard]] std::shared_ptr<const NumberSet> expired(std::int64_t now) const {
    if (by_expiry_.empty() || by_expiry_.begin()->first > now) return nullptr;
    const std::lock_guard lock(expired_mutex_);
    if (expired_ != nullptr && now >= expired_from_ && now < expired_until_) return expired_;
    std::vector<std::uint32_t> numbers;
    auto at = by_expiry_.begin();
    for (; at != by_expiry_.end() && at->first <= now; ++at) numbers.push_back(at->second);
    expired_ = std::make_shared<const NumberSet>(NumberSet::of(bound(), std::move(numbers)));
    expired_from_ = now;
    expired_until_ = at == by_expiry_.end() ? std::numeric_limits<std::int64_t>::max() : at->first;
    return expired_;
  }

  void write(ByteSink& sink) const {
    constexpr std::uint32_t none = ~std::uint32_t{0};
    std::vector<Label> owners;
    std::vector<std::uint64_t> changes;
    std::vector<std::uint32_t> lengths;
    std::string keys;
    for (std::uint32_t number = 0; number < bound(); ++number) {
      owners.push_back(entries_[number].owner);
      changes.push_back(entries_[number].changed);
      lengths.push_back(none);
      if (!contains(number)) continue;
      lengths.back() = static_cast<std::uint32_t>(key(number).size());
      keys += key(number);
    }
    sink.array(std::span<const Label>(owners));
    sink.array(std::span<const std::uint64_t>(changes));
    sink.array(std::span<const std::uint32_t>(lengths));
    sink.array(std::span<const std::int64_t>(expiries_));
    sink.array(std::span<const char>(keys));
  }
  /// Fills an empty table. What cannot have been written by `write` is refused. Throws
  /// std::bad_alloc.
  void read(ByteSource& source) {
    constexpr std::uint32_t none = ~std::uint32_t{0};
    const auto owners = source.array<Label>(none);
    const auto changes = source.array<std::uint64_t>(owners.size());
    const auto lengths = source.array<std::uint32_t>(owners.size());
    const auto expiries = source.array<std::int64_t>(owners.size());
    const auto keys = source.array<char>();
    if (!source.require(changes.size() == owners.size() && lengths.size() == owners.size() &&
                            expiries.size() <= owners.size(),
                        "names are missing")) {
      return;
    }
    std::size_t at = 0;
    entries_.reserve(owners.size());
    for (std::uint32_t number = 0; number < owners.size(); ++number) {
      entries_.push_back({owners[number], changes[number], nowhere});
      const bool has_key = lengths[number] != none;
      if (!source.require(
              number_of(owners[number]) == number &&
                  (!has_key || (lengths[number] != 0 && lengths[number] <= keys.size() - at)),
                          "names are damaged")) {
        return;
      }
      if (!has_key) continue;
      entries_[number].place = store(std::string_view(keys.data() + at, lengths[number]));
      at += lengths[number];
      ++live_;
      if (number < expiries.size()) set_expiry(number, expiries[number]);
    }
    source.require(at == keys.size(), "there are too many names");
  }

  [[nodiscard]] std::uint64_t memory() const noexcept {
    std::uint64_t bytes =
        entries_.capacity() * sizeof(Entry) + expiries_.capacity() * 8 + by_expiry_.size() * 64;
    for (const Block& block : blocks_) bytes += block.capacity;
    return bytes;
  }
  /// What it is going to be at most when so many have come, with keys of a usual length.
  [[nodiscard]] std::uint64_t memory_with(std::uint64_t more) const noexcept {
    constexpr std::uint64_t usual_key = 24;
    std::uint64_t bytes = memory();
    const std::uint64_t entries = entries_.size() + more;
    // One by one they make it grow by a quarter at a time.
    if (entries > entries_.capacity()) bytes += (entries * 5 / 4 - entries_.capacity()) * sizeof(Entry);
    const std::uint64_t room = blocks_.empty() ? 0 : blocks_.back().capacity - blocks_.back().size;
    const std::uint64_t text = more * (usual_key + 4);
    // At the end of each block there may be no room for one more key.
    const std::uint64_t blocks = text / next_block() + 1;
    if (text > room) bytes += text - room + next_block() + blocks * (usual_key + 4);
    return bytes;
  }

 private:
  static constexpr std::uint64_t nowhere = ~std::uint64_t{0};

  struct Entry {
    Label owner = 0;
    std::uint64_t changed = 0;
    std::uint64_t place = nowhere;  // block in the high half, offset in the low one
  };
  /// Keys, each after its length in 4 bytes.
  struct Block {
    std::unique_ptr<char[]> bytes;
    std::uint32_t size = 0;
    std::uint32_t capacity = 0;
  };

  [[nodiscard]] static std::string_view key_at(const std::vector<Block>& blocks,
                                               std::uint64_t place) noexcept {
    const char* at = blocks[place >> 32].bytes.get() + static_cast<std::uint32_t>(place);
    std::uint32_t size = 0;
    std::memcpy(&size, at, sizeof size);
    return {at + sizeof size, size};
  }
  [[nodiscard]] std::string_view key_at(std::uint64_t place) const noexcept {
    return key_at(blocks_, place);
  }

  /// For how many entries there is going to be room when there have to be `wanted`.
  [[nodiscard]] std::uint64_t grown(std::uint64_t wanted) const noexcept {
    return std::max<std::uint64_t>(wanted, entries_.size() * 5 / 4);
  }
  /// Bytes of the next block of keys.
  [[nodiscard]] std::uint64_t next_block() const noexcept {
    constexpr std::uint64_t smallest = 1024;
    constexpr std::uint64_t largest = 1u << 20;
    return std::clamp(std::uint64_t{used_} / 4, smallest, largest);
  }

  /// Throws std::bad_alloc.
  std::uint64_t store(std::string_view key) {
    const auto length = static_cast<std::uint32_t>(key.size());
    const std::uint32_t size = length + 4;
    if (blocks_.empty() || blocks_.back().capacity - blocks_.back().size < size) {
      const auto capacity = static_cast<std::uint32_t>(std::max<std::uint64_t>(size, next_block()));
      Block block{std::make_unique_for_overwrite<char[]>(capacity), 0, capacity};
      blocks_.push_back(std::move(block));
    }
    Block& block = blocks_.back();
    char* at = block.bytes.get() + block.size;
    std::memcpy(at, &length, sizeof length);
    if (!key.empty()) std::memcpy(at + sizeof length, key.data(), key.size());
    const std::uint64_t place = std::uint64_t{blocks_.size() - 1} << 32 | block.size;
    block.size += size;
    used_ += size;
    return place;
  }
  void release(Entry& entry) noexcept {
    if (entry.place == nowhere) return;
    wasted_ += key_at(entry.place).size() + 4;
    entry.place = nowhere;
    --live_;
  }

  void set_expiry(std::uint32_t number, std::int64_t expires_at) {
    if (this->expires_at(number) == expires_at) return;
    if (expires_at != 0) {
      if (expiries_.size() <= number) {
        expiries_.resize(std::max<std::size_t>(std::size_t{number} + 1, entries_.size()));
      }
      by_expiry_.emplace(expires_at, number);
    }
    drop_expiry(number);
    if (expires_at != 0) expiries_[number] = expires_at;
    expired_ = nullptr;
  }
  void drop_expiry(std::uint32_t number) noexcept {
    if (this->expires_at(number) == 0) return;
    by_expiry_.erase({expiries_[number], number});
    expiries_[number] = 0;
    expired_ = nullptr;
  }

  std::vector<Entry> entries_;
  std::vector<Block> blocks_;
  std::uint64_t used_ = 0;    // bytes of keys, those of the past included
  std::uint64_t wasted_ = 0;  // those of the past
  std::uint32_t live_ = 0;
  std::vector<std::int64_t> expiries_;  // empty as long as nothing expires
  std::set<std::pair<std::int64_t, std::uint32_t>> by_expiry_;

  mutable std::mutex expired_mutex_;
  mutable std::shared_ptr<const NumberSet> expired_;
  mutable std::int64_t expired_from_ = 0;   // `expired_` is right from then ...
  mutable std::int64_t expired_until_ = 0;  // ... until then
};

}  // namespace snkv::vector_detail
