/// \file
/// Memory of a memtable: pieces that are handed out one after the other and given back all at once.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

namespace snkv::buffer {

/// One thread allocates at a time; `bytes` may be asked by any.
class Arena {
 public:
  explicit Arena(std::size_t block_size) noexcept : block_size_(block_size) {}

  /// Aligned for pointers. Throws `std::bad_alloc`.
  [[nodiscard]] std::byte* allocate(std::size_t size) {
    size = (size + alignof(void*) - 1) & ~(alignof(void*) - 1);
    if (size > left_) {
      // What is left of a block is given up, unless the piece is so large that it would be much.
      if (size > block_size_ / 4) return add_block(size);
      next_ = add_block(block_size_);
      left_ = block_size_;
    }
    std::byte* const piece = next_;
    next_ += size;
    left_ -= size;
    return piece;
  }

  /// Bytes of all blocks.
  [[nodiscard]] std::size_t bytes() const noexcept {
    return bytes_.load(std::memory_order_relaxed);
  }
  /// What `bytes` would be at most with a piece of `size` more.
  [[nodiscard]] std::size_t bytes_with(std::size_t size) const noexcept {
    return bytes() + (size + alignof(void*) <= left_ ? 0 : std::max(block_size_, size));
  }

 private:
  std::byte* add_block(std::size_t size) {
    blocks_.push_back(std::make_unique_for_overwrite<std::byte[]>(size));
    bytes_.fetch_add(size, std::memory_order_relaxed);
    return blocks_.back().get();
  }

  const std::size_t block_size_;
  std::vector<std::unique_ptr<std::byte[]>> blocks_;
  std::byte* next_ = nullptr;
  std::size_t left_ = 0;
  std::atomic<std::size_t> bytes_{0};
};

}  // namespace snkv::buffer
