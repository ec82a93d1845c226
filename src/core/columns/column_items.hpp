/// \file
/// A chunk of elements that differ in size:
///
///     elements u16, references u16, end of each element u16 each, numbers of the references u16
///     each, contents
///
/// A reference is an element that is too large for a chunk: its content is the number of the first
/// of its rows and its size, u64 each.
#pragma once

#include "core/columns/little_endian.hpp"

#include <snkv/bytes.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace snkv::core {

/// An element as its chunk has it.
struct ColumnItem {
  BytesView content;
  bool reference = false;
};

struct ColumnReference {
  static constexpr std::size_t size = 16;
  std::uint64_t first_row = 0;
  std::uint64_t bytes = 0;
};

class ItemChunk {
 public:
  static constexpr std::size_t head_size = 4;

  /// False if it is malformed, as far as that shows without looking at each element.
  [[nodiscard]] bool parse(BytesView chunk) noexcept {
    if (chunk.size() < head_size) return false;
    chunk_ = chunk;
    count_ = u16(0);
    references_ = u16(2);
    body_ = head_size + 2 * (count_ + references_);
    return references_ <= count_ && body_ <= chunk.size();
  }

  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  [[nodiscard]] std::size_t references() const noexcept { return references_; }

  /// False if it is malformed.
  [[nodiscard]] bool item(std::size_t index, ColumnItem& out) const noexcept {
    const std::size_t begin = index == 0 ? 0 : u16(head_size + 2 * (index - 1));
    const std::size_t end = u16(head_size + 2 * index);
    if (begin > end || end > chunk_.size() - body_) return false;
    out.content = {chunk_.data() + body_ + begin, end - begin};
    out.reference = references_ != 0 && is_reference(index);
    return !out.reference || out.content.size() == ColumnReference::size;
  }

 private:
  [[nodiscard]] std::size_t u16(std::size_t at) const noexcept {
    return static_cast<std::size_t>(little_endian(chunk_.data() + at, 2));
  }
  [[nodiscard]] bool is_reference(std::size_t index) const noexcept {
    std::size_t low = 0;
    std::size_t high = references_;
    while (low < high) {
      const std::size_t middle = (low + high) / 2;
      const std::size_t here = u16(head_size + 2 * (count_ + middle));
      if (here == index) return true;
      (here < index ? low : high) = here < index ? middle + 1 : middle;
    }
    return false;
  }

  BytesView chunk_;
  std::size_t count_ = 0;
  std::size_t references_ = 0;
  std::size_t body_ = 0;
};

[[nodiscard]] inline ColumnReference decode_reference(BytesView content) noexcept {
  return {little_endian(content.data(), 8), little_endian(content.data() + 8, 8)};
}

/// Puts a chunk together, element by element.
class ItemPacker {
 public:
  explicit ItemPacker(std::size_t capacity) noexcept : capacity_(capacity) {}

  /// What an element takes in a chunk.
  [[nodiscard]] static std::size_t cost(const ColumnItem& item) noexcept {
    return 2 + item.content.size() + (item.reference ? 2 : 0);
  }
  [[nodiscard]] bool empty() const noexcept { return ends_.empty(); }
  [[nodiscard]] std::size_t count() const noexcept { return ends_.size(); }
  /// Size of the chunk as it is.
  [[nodiscard]] std::size_t size() const noexcept {
    return ItemChunk::head_size + 2 * (ends_.size() + references_.size()) + body_size_;
  }
  [[nodiscard]] bool fits(const ColumnItem& item) const noexcept {
    return size() + cost(item) <= capacity_ && ends_.size() < 0xffff;
  }
  void add(const ColumnItem& item) {
    if (item.reference) references_.push_back(static_cast<std::uint16_t>(ends_.size()));
    if (body_.size() < body_size_ + item.content.size()) body_.resize_for_overwrite(capacity_);
    if (!item.content.empty()) {
      std::memcpy(body_.data() + body_size_, item.content.data(), item.content.size());
    }
    body_size_ += item.content.size();
    ends_.push_back(static_cast<std::uint16_t>(body_size_));
  }
  /// The chunk; lives until the next call. The next one begins empty.
  [[nodiscard]] BytesView finish() {
    chunk_.resize_for_overwrite(size());
    std::byte* at = chunk_.data();
    put_little_endian(at, ends_.size(), 2);
    put_little_endian(at + 2, references_.size(), 2);
    at += ItemChunk::head_size;
    for (const auto* numbers : {&ends_, &references_}) {
      for (const std::uint16_t number : *numbers) {
        put_little_endian(at, number, 2);
        at += 2;
      }
    }
    if (body_size_ > 0) std::memcpy(at, body_.data(), body_size_);
    ends_.clear();
    references_.clear();
    body_size_ = 0;
    return chunk_;
  }

 private:
  std::size_t capacity_;
  std::vector<std::uint16_t> ends_;
  std::vector<std::uint16_t> references_;
  Bytes body_;
  std::size_t body_size_ = 0;
  Bytes chunk_;
};

}  // namespace snkv::core
