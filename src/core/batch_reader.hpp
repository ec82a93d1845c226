/// \file
/// The operations of a `WriteBatch`, taken from its bytes (see the grammar in write_batch.hpp).
#pragma once

#include <snkv/bytes.hpp>
#include <snkv/error.hpp>

#include <cstddef>
#include <cstdint>

namespace snkv::core {

/// One operation of a batch. The views point into the batch.
struct BatchStep {
  char tag = 0;
  BytesView first;
  BytesView second;
  std::int64_t number = 0;
};

/// Reads a batch from front to back.
class BatchReader {
 public:
  explicit BatchReader(BytesView data) noexcept : rest_(data) {}

  [[nodiscard]] bool at_end() const noexcept { return rest_.empty(); }

  [[nodiscard]] bool next(BatchStep& step) {
    step = {};
    step.tag = rest_.view()[0];
    rest_ = BytesView(rest_.data() + 1, rest_.size() - 1);
    switch (step.tag) {
      case 'P':
      case 'R':
        return string(step.first) && string(step.second);
      case 'T':
      case 'X':
        return string(step.first) && string(step.second) && number(step.number);
      case 'D':
      case 'F':
        return string(step.first);
      case 'C':
        return true;
      default:
        return false;
    }
  }

 private:
  bool unsigned_number(std::size_t bytes, std::uint64_t& out) {
    if (rest_.size() < bytes) return false;
    out = 0;
    for (std::size_t i = 0; i < bytes; ++i) {
      out |= static_cast<std::uint64_t>(rest_.data()[i]) << (8 * i);
    }
    rest_ = BytesView(rest_.data() + bytes, rest_.size() - bytes);
    return true;
  }
  bool number(std::int64_t& out) {
    std::uint64_t bits = 0;
    if (!unsigned_number(8, bits)) return false;
    out = static_cast<std::int64_t>(bits);
    return true;
  }
  bool string(BytesView& out) {
    std::uint64_t size = 0;
    if (!unsigned_number(4, size) || size > rest_.size()) return false;
    out = BytesView(rest_.data(), size);
    rest_ = BytesView(rest_.data() + size, rest_.size() - size);
    return true;
  }

  BytesView rest_;
};

[[nodiscard]] Error error_malformed_batch();

/// Everything that can be refused without looking at the store, so that a bad batch changes
/// nothing.
[[nodiscard]] Error check_batch(BytesView batch);

}  // namespace snkv::core
