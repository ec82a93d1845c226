/// \file
/// An array that grows without moving what is in it.
#pragma once

#include <snkv/vector/detail/codes/kernels.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace snkv::vector_detail {

/// Rows of `stride` bytes in segments that double in size: 32 rows, 32, 64, 128, ... Rows keep
/// their address, so that one thread may add rows while others read older ones. Rows are not
/// initialised.
class Segments {
 public:
  explicit Segments(std::size_t stride) noexcept : stride_(stride) {}
  Segments(const Segments&) = delete;
  Segments& operator=(const Segments&) = delete;
  ~Segments() {
    for (auto& segment : segments_) {
      ::operator delete(segment.load(std::memory_order_relaxed), alignment);
    }
  }

  [[nodiscard]] std::size_t stride() const noexcept { return stride_; }

  [[nodiscard]] std::byte* at(std::uint32_t row) const noexcept {
    const unsigned segment = segment_of(row);
    const std::size_t offset = row - first_row(segment);
    return segments_[segment].load(std::memory_order_acquire) + offset * stride_;
  }

  /// Calls `use(memory, bytes)` for the first `rows` rows, which must have been reserved, in order,
  /// in pieces that lie together.
  template <class Use>
  void for_each_piece(std::uint64_t rows, Use&& use) const {
    for (std::uint64_t row = 0; row < rows;) {
      const unsigned segment = segment_of(static_cast<std::uint32_t>(row));
      const std::uint64_t count = std::min<std::uint64_t>(rows - row, rows_in(segment));
      use(at(static_cast<std::uint32_t>(row)), static_cast<std::size_t>(count) * stride_);
      row += count;
    }
  }

  /// Makes room for the first `rows` rows and fills them by `fill(memory, bytes)`, in order and in
  /// pieces that lie together. There is room for the next piece only when the one before is filled:
  /// stops when `fill` returns false. Throws std::bad_alloc.
  template <class Fill>
  bool fill_pieces(std::uint64_t rows, Fill&& fill) {
    for (std::uint64_t row = 0; row < rows;) {
      const unsigned segment = segment_of(static_cast<std::uint32_t>(row));
      const std::uint64_t count = std::min<std::uint64_t>(rows - row, rows_in(segment));
      reserve(row + count);
      if (!fill(at(static_cast<std::uint32_t>(row)), static_cast<std::size_t>(count) * stride_)) {
        return false;
      }
      row += count;
    }
    return true;
  }

  /// Makes room for rows 0 to `rows` - 1. Throws std::bad_alloc, and is as before then. One thread
  /// at a time.
  void reserve(std::uint64_t rows) {
    while (capacity_ < rows) {
      const unsigned segment = segment_of(static_cast<std::uint32_t>(capacity_));
      const std::size_t size = rows_in(segment) * stride_;
      auto* memory = static_cast<std::byte*>(::operator new(size, alignment));
#if defined(__linux__)
      // Random reads of a large array spend as long on the page table as on the data otherwise.
      constexpr std::size_t huge = std::size_t{1} << 21;
      if (size >= 2 * huge) {
        auto* first = reinterpret_cast<std::byte*>(
            (reinterpret_cast<std::uintptr_t>(memory) + huge - 1) / huge * huge);
        const std::size_t inside = size - static_cast<std::size_t>(first - memory);
        static_cast<void>(::madvise(first, inside / huge * huge, MADV_HUGEPAGE));
      }
#endif
      segments_[segment].store(memory, std::memory_order_release);
      capacity_ += rows_in(segment);
    }
  }

 private:
  static constexpr std::align_val_t alignment{block_size};
  static constexpr unsigned first_bits = 5;  // the first segment has 32 rows

  static unsigned segment_of(std::uint32_t row) noexcept {
    // To a type that is none of those it is declared to return, by one standard or another.
    return static_cast<std::uint8_t>(std::bit_width(row >> first_bits));
  }
  static std::uint64_t first_row(unsigned segment) noexcept {
    return segment == 0 ? 0 : std::uint64_t{1} << (segment + first_bits - 1);
  }
  static std::size_t rows_in(unsigned segment) noexcept {
    return std::size_t{1} << (segment == 0 ? first_bits : segment + first_bits - 1);
  }

  const std::size_t stride_;
  std::uint64_t capacity_ = 0;  // of the thread that reserves
  std::array<std::atomic<std::byte*>, 33 - first_bits> segments_{};
};

}  // namespace snkv::vector_detail
