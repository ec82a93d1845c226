/// \file
/// Where the bytes of a snapshot go, and where they come from.
#pragma once

#include <snkv/error.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <new>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace snkv::vector_detail {

// Numbers go to the file as they lie in memory.
static_assert(std::endian::native == std::endian::little, "snapshots are little-endian");

/// Takes bytes in order. After a failure nothing more is written, and `error` says which it was.
class ByteSink {
 public:
  ByteSink() = default;
  ByteSink(const ByteSink&) = delete;
  ByteSink& operator=(const ByteSink&) = delete;
  virtual ~ByteSink() = default;

  void write(const void* data, std::size_t size) {
    if (size != 0 && !error_.failed()) error_ = append(static_cast<const std::byte*>(data), size);
  }
  template <class T>
  void number(T value) {
    static_assert(std::is_arithmetic_v<T>);
    write(&value, sizeof value);
  }
  /// A length of 8 bytes, then the elements.
  template <class T>
  void array(std::span<T> values) {
    static_assert(std::is_trivially_copyable_v<T>);
    number(std::uint64_t{values.size()});
    write(values.data(), values.size_bytes());
  }
  [[nodiscard]] const Error& error() const noexcept { return error_; }

 private:
  virtual Error append(const std::byte* data, std::size_t size) = 0;

  Error error_;
};

/// Gives bytes in order. After a failure, also one that the reader declares, everything reads as
/// zero or empty, so that it is enough to ask `error` where something would be done with it.
class ByteSource {
 public:
  ByteSource() = default;
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;
  virtual ~ByteSource() = default;

  /// Bytes that are left: bounds what has to be allocated for them.
  [[nodiscard]] virtual std::uint64_t remaining() const noexcept = 0;

  void read(void* out, std::size_t size) {
    if (size == 0) return;
    if (!error_.failed()) {
      if (size > remaining()) {
        refuse("ends too early");
      } else {
        error_ = take(static_cast<std::byte*>(out), size);
      }
    }
    if (error_.failed()) std::memset(out, 0, size);
  }
  template <class T>
  [[nodiscard]] T number() {
    static_assert(std::is_arithmetic_v<T>);
    T value{};
    read(&value, sizeof value);
    return value;
  }
  /// What `ByteSink::array` wrote. Throws std::bad_alloc.
  template <class T>
  [[nodiscard]] std::vector<T> array(
      std::uint64_t most = std::numeric_limits<std::uint64_t>::max()) {
    static_assert(std::is_trivially_copyable_v<T>);
    const auto size = number<std::uint64_t>();
    if (!require(size <= most && size <= remaining() / sizeof(T), "a length is too large"))
      return {};
    // A file may say that it is larger than it is: there is room for as much again as has been read.
    constexpr std::uint64_t least = (std::uint64_t{1} << 20) / sizeof(T);
    std::vector<T> values;
    while (values.size() < size && !error_.failed()) {
      const std::size_t done = values.size();
      const auto part = static_cast<std::size_t>(
          std::min<std::uint64_t>(size - done, std::max<std::uint64_t>(least, done)));
      values.resize(done + part);
      read(values.data() + done, part * sizeof(T));
    }
    if (error_.failed()) return {};
    return values;
  }

  /// Declares the content unusable unless `condition`; returns whether all is well so far.
  bool require(bool condition, const char* why) {
    if (!condition) refuse(why);
    return !error_.failed();
  }
  void refuse(const char* why) {
    if (!error_.failed()) error_ = Error(Errc::corrupt, "load", std::string(why));
  }
  [[nodiscard]] const Error& error() const noexcept { return error_; }

 private:
  /// `size` is at most `remaining()`.
  virtual Error take(std::byte* out, std::size_t size) = 0;

  Error error_;
};

/// Bytes in memory.
class MemorySink final : public ByteSink {
 public:
  [[nodiscard]] std::vector<std::byte>& bytes() noexcept { return bytes_; }
  [[nodiscard]] const std::vector<std::byte>& bytes() const noexcept { return bytes_; }

 private:
  Error append(const std::byte* data, std::size_t size) override {
    const std::size_t before = bytes_.size();
    bytes_.resize(before + size);
    std::memcpy(bytes_.data() + before, data, size);
    return {};
  }

  std::vector<std::byte> bytes_;
};

class MemorySource final : public ByteSource {
 public:
  /// The bytes stay where they are as long as the source is in use.
  explicit MemorySource(std::span<const std::byte> bytes) noexcept : bytes_(bytes) {}
  [[nodiscard]] std::uint64_t remaining() const noexcept override { return bytes_.size(); }

 private:
  Error take(std::byte* out, std::size_t size) override {
    std::memcpy(out, bytes_.data(), size);
    bytes_ = bytes_.subspan(size);
    return {};
  }

  std::span<const std::byte> bytes_;
};

}  // namespace snkv::vector_detail
