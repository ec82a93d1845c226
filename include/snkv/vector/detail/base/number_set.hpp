/// \file
/// A set of numbers below some bound, which are dense or few.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <utility>
#include <vector>

namespace snkv::vector_detail {

/// Few numbers are kept as a list in order, many as one bit for each number below `bound()`.
///
/// Threads: a value like any other.
class NumberSet {
 public:
  /// Empty.
  NumberSet() noexcept = default;
  explicit NumberSet(std::uint32_t bound) noexcept : bound_(bound) {}
  /// Of numbers in any order, also several times, all below `bound`.
  [[nodiscard]] static NumberSet of(std::uint32_t bound, std::vector<std::uint32_t> numbers) {
    NumberSet set(bound);
    if (!std::is_sorted(numbers.begin(), numbers.end())) std::sort(numbers.begin(), numbers.end());
    numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
    set.list_ = std::move(numbers);
    if (!is_few(set.list_.size(), bound)) set.spread();
    return set;
  }
  /// Of bits, `words_for(bound)` of them, none set from `bound` on.
  [[nodiscard]] static NumberSet of_bits(std::uint32_t bound, std::vector<std::uint64_t> bits) {
    NumberSet set(bound);
    set.bits_ = std::move(bits);
    set.is_list_ = false;
    return set;
  }

  /// Whether a list of so many takes no more memory than bits, and is about as fast.
  [[nodiscard]] static bool is_few(std::uint64_t count, std::uint32_t bound) noexcept {
    return count <= 64 || count * 32 <= bound;
  }
  [[nodiscard]] static std::size_t words_for(std::uint32_t bound) noexcept {
    return (std::size_t{bound} + 63) / 64;
  }

  [[nodiscard]] std::uint32_t bound() const noexcept { return bound_; }
  /// O(1) for many, O(log n) for few.
  [[nodiscard]] bool contains(std::uint32_t number) const noexcept {
    if (is_list_) return std::binary_search(list_.begin(), list_.end(), number);
    return number < bound_ && (bits_[number / 64] >> (number % 64) & 1) != 0;
  }
  /// O(bound / 64) for many.
  [[nodiscard]] std::uint64_t count() const noexcept {
    if (is_list_) return list_.size();
    std::uint64_t sum = 0;
    for (const std::uint64_t word : bits_) sum += static_cast<unsigned>(std::popcount(word));
    return sum;
  }
  [[nodiscard]] bool empty() const noexcept {
    return is_list_ ? list_.empty()
                    : std::all_of(bits_.begin(), bits_.end(), [](auto word) { return word == 0; });
  }
  /// Calls `use(number)` for each, in order.
  template <class Use>
  void for_each(Use&& use) const {
    if (is_list_) {
      for (const std::uint32_t number : list_) use(number);
      return;
    }
    for (std::size_t w = 0; w < bits_.size(); ++w) {
      for (std::uint64_t word = bits_[w]; word != 0; word &= word - 1) {
        use(static_cast<std::uint32_t>(w * 64 + static_cast<unsigned>(std::countr_zero(word))));
      }
    }
  }

  /// The numbers one by one, in order. The set must not change meanwhile.
  class Cursor {
   public:
    explicit Cursor(const NumberSet& set) noexcept
        : set_(set), word_(set.is_list_ || set.bits_.empty() ? 0 : set.bits_[0]) {}
    /// Returns false at the end.
    [[nodiscard]] bool next(std::uint32_t& number) noexcept {
      if (set_.is_list_) {
        if (at_ == set_.list_.size()) return false;
        number = set_.list_[at_++];
        return true;
      }
      while (word_ == 0) {
        if (++at_ >= set_.bits_.size()) return false;
        word_ = set_.bits_[at_];
      }
      number =
          static_cast<std::uint32_t>(at_ * 64 + static_cast<unsigned>(std::countr_zero(word_)));
      word_ &= word_ - 1;
      return true;
    }

   private:
    const NumberSet& set_;
    std::size_t at_ = 0;  // in the list, or of the word
    std::uint64_t word_;
  };

  // All of the sets below have the same bound.

  void unite(const NumberSet& other) {
    if (other.is_list_ && other.list_.empty()) return;
    if (is_list_ && other.is_list_) {
      std::vector<std::uint32_t> both;
      both.reserve(list_.size() + other.list_.size());
      std::set_union(list_.begin(), list_.end(), other.list_.begin(), other.list_.end(),
                     std::back_inserter(both));
      list_ = std::move(both);
      if (!is_few(list_.size(), bound_)) spread();
      return;
    }
    if (is_list_) spread();
    if (other.is_list_) {
      for (const std::uint32_t number : other.list_) set(bits_, number);
    } else {
      for (std::size_t w = 0; w < bits_.size(); ++w) bits_[w] |= other.bits_[w];
    }
  }

  void intersect(const NumberSet& other) {
    if (!is_list_ && other.is_list_) {
      NumberSet narrowed = other;
      narrowed.keep_if([&](std::uint32_t number) { return contains(number); });
      *this = std::move(narrowed);
      return;
    }
    if (is_list_) {
      keep_if([&](std::uint32_t number) { return other.contains(number); });
    } else {
      for (std::size_t w = 0; w < bits_.size(); ++w) bits_[w] &= other.bits_[w];
    }
  }

  void subtract(const NumberSet& other) {
    if (is_list_) {
      keep_if([&](std::uint32_t number) { return !other.contains(number); });
    } else if (other.is_list_) {
      for (const std::uint32_t number : other.list_) {
        bits_[number / 64] &= ~(std::uint64_t{1} << (number % 64));
      }
    } else {
      for (std::size_t w = 0; w < bits_.size(); ++w) bits_[w] &= ~other.bits_[w];
    }
  }

  /// Adds a number to the bits of a set.
  static void set(std::vector<std::uint64_t>& bits, std::uint32_t number) noexcept {
    bits[number / 64] |= std::uint64_t{1} << (number % 64);
  }

 private:
  void spread() {
    bits_.assign(words_for(bound_), 0);
    for (const std::uint32_t number : list_) set(bits_, number);
    list_ = {};
    is_list_ = false;
  }
  template <class Keep>
  void keep_if(Keep&& keep) {
    list_.erase(std::remove_if(list_.begin(), list_.end(),
                               [&](std::uint32_t number) { return !keep(number); }),
                list_.end());
  }

  std::uint32_t bound_ = 0;
  bool is_list_ = true;
  std::vector<std::uint32_t> list_;
  std::vector<std::uint64_t> bits_;
};

}  // namespace snkv::vector_detail
