/// \file
/// What one search or insertion needs while it runs.
#pragma once

#include <snkv/vector/detail/base/slots.hpp>
#include <snkv/vector/detail/codes/codec.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace snkv::vector_detail {

/// The nearest so far, in order. Insertion moves memory, which for the sizes in use is faster than
/// a heap and gives the next candidate for free.
class Pool {
 public:
  void reset(std::size_t capacity) {
    capacity_ = capacity;
    next_ = 0;
    entries_.clear();
  }
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  [[nodiscard]] bool full() const noexcept { return entries_.size() >= capacity_; }
  [[nodiscard]] float worst() const noexcept {
    return full() ? entries_.back().distance : std::numeric_limits<float>::infinity();
  }
  [[nodiscard]] Scored operator[](std::size_t i) const noexcept {
    return {entries_[i].distance, entries_[i].slot & ~expanded};
  }

  void insert(Scored entry) {
    const auto at = std::upper_bound(
        entries_.begin(), entries_.end(), entry.distance,
        [](float distance, const Scored& other) { return distance < other.distance; });
    const auto index = static_cast<std::size_t>(at - entries_.begin());
    if (full()) {
      if (index == entries_.size()) return;
      entries_.pop_back();
    }
    entries_.insert(entries_.begin() + static_cast<std::ptrdiff_t>(index), entry);
    next_ = std::min(next_, index);
  }

  /// The nearest that was not taken yet, or no_slot.
  [[nodiscard]] Scored take() noexcept {
    while (next_ < entries_.size() && (entries_[next_].slot & expanded) != 0) ++next_;
    if (next_ == entries_.size()) return {};
    const Scored entry = entries_[next_];
    entries_[next_].slot |= expanded;
    ++next_;
    return entry;
  }
  /// What `take` would give next, for prefetching; no_slot if unknown.
  [[nodiscard]] Scored peek() const noexcept {
    return next_ < entries_.size() && (entries_[next_].slot & expanded) == 0 ? entries_[next_]
                                                                             : Scored{};
  }
  void drop_beyond(float distance) noexcept {
    while (!entries_.empty() && entries_.back().distance > distance) entries_.pop_back();
    next_ = std::min(next_, entries_.size());
  }

 private:
  static constexpr Slot expanded = 0x80000000u;
  std::vector<Scored> entries_;
  std::size_t capacity_ = 0;
  std::size_t next_ = 0;
};

/// What one search or insertion needs while it runs. Used again by the next one.
class Scratch {
 public:
  explicit Scratch(const Codec& codec)
      : query(codec.make_query()), other(codec.make_query()), numbers(codec.dim()) {}

  /// 1 the first time, 0 after that. Nobody can foretell which, so nothing is made to depend on it.
  std::size_t visit(Slot slot) {
    const std::size_t word = slot / 64;
    if (word >= bits_.size()) {
      bits_.resize(word + word / 2 + 16);
      touched_.resize(bits_.size() + 1);
    }
    const std::uint64_t old = bits_[word];
    touched_[touched_count_] = static_cast<std::uint32_t>(word);
    touched_count_ += old == 0 ? 1 : 0;
    bits_[word] = old | std::uint64_t{1} << (slot % 64);
    return (old >> (slot % 64) & 1) ^ 1;
  }
  void forget_visits() noexcept {
    for (std::size_t i = 0; i < touched_count_; ++i) bits_[touched_[i]] = 0;
    touched_count_ = 0;
  }

  Pool pool;
  Pool accepted;
  Codec::Query query;
  Codec::Query other;
  std::vector<float> numbers;
  std::vector<Scored> candidates;
  std::vector<Scored> chosen;
  std::vector<Scored> found;  // with copies
  std::vector<std::vector<Scored>> levels;  // what an insertion found on each
  std::vector<Slot> batch;
  std::vector<Slot> suspects;  // that an insertion has left few links

 private:
  std::vector<std::uint64_t> bits_;
  std::vector<std::uint32_t> touched_;  // words of `bits_`; room for all, and one
  std::size_t touched_count_ = 0;
};

}  // namespace snkv::vector_detail
