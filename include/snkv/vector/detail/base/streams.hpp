/// \file
/// Streams of the caller, whatever they throw.
#pragma once

#include <array>
#include <cstddef>
#include <ios>
#include <istream>
#include <iterator>

namespace snkv::vector_detail {

/// As long as it lives the stream throws nothing, and tells by its state what went wrong. Then it gets
/// its mask back, and throws nothing for what has happened meanwhile: that is an error of the call.
class QuietStream {
 public:
  explicit QuietStream(std::ios& stream) : stream_(stream), mask_(stream.exceptions()) {
    stream_.exceptions(std::ios::goodbit);
  }
  QuietStream(const QuietStream&) = delete;
  QuietStream& operator=(const QuietStream&) = delete;
  ~QuietStream() {
    try {
      stream_.exceptions(mask_);  // which is in force also when this throws
    } catch (...) {
    }
  }

 private:
  std::ios& stream_;
  const std::ios::iostate mask_;
};

/// The characters of a quiet stream, block by block: what its buffer throws becomes a state of the
/// stream, which an iterator over the buffer itself would let through.
class StreamCharacters {
 public:
  explicit StreamCharacters(std::istream& in) : in_(in) {}
  StreamCharacters(const StreamCharacters&) = delete;
  StreamCharacters& operator=(const StreamCharacters&) = delete;

  [[nodiscard]] bool at_end() {
    if (at_ == size_) fill();
    return at_ == size_;
  }
  [[nodiscard]] char current() const noexcept { return block_[at_]; }
  void advance() noexcept { ++at_; }

  /// For an algorithm that takes a pair of iterators.
  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = char;
    using difference_type = std::ptrdiff_t;
    using pointer = const char*;
    using reference = char;

    Iterator() noexcept = default;
    explicit Iterator(StreamCharacters& characters) noexcept : characters_(&characters) {}
    char operator*() const noexcept { return characters_->current(); }
    Iterator& operator++() noexcept {
      characters_->advance();
      return *this;
    }
    void operator++(int) noexcept { ++*this; }
    /// An iterator without characters is the end.
    friend bool operator==(const Iterator& a, const Iterator& b) {
      return a.is_end() == b.is_end();
    }
    friend bool operator!=(const Iterator& a, const Iterator& b) { return !(a == b); }

   private:
    [[nodiscard]] bool is_end() const { return characters_ == nullptr || characters_->at_end(); }
    StreamCharacters* characters_ = nullptr;
  };

 private:
  void fill() {
    at_ = 0;
    size_ = 0;
    if (!in_.good()) return;
    in_.read(block_.data(), static_cast<std::streamsize>(block_.size()));
    size_ = static_cast<std::size_t>(in_.gcount());
    // The end of the text is no failure.
    if (in_.eof() && !in_.bad()) in_.clear(std::ios::eofbit);
  }

  std::istream& in_;
  std::array<char, 16384> block_;
  std::size_t at_ = 0;
  std::size_t size_ = 0;
};

}  // namespace snkv::vector_detail
