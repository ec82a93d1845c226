/// \file
/// Memory for keys: locked, guarded, left out of core dumps, and overwritten when it goes away.
#pragma once

#include "core/sodium.hpp"

#include <snkv/bytes.hpp>

#include <cstddef>
#include <new>
#include <utility>

#include <sodium.h>

namespace snkv::core {

class SecureBytes {
 public:
  SecureBytes() noexcept = default;
  /// Throws `std::bad_alloc`. libsodium must be ready.
  explicit SecureBytes(std::size_t size) : size_(size), data_(sodium_malloc(size)) {
    if (data_ == nullptr) throw std::bad_alloc();
  }
  SecureBytes(SecureBytes&& other) noexcept
      : size_(std::exchange(other.size_, 0)), data_(std::exchange(other.data_, nullptr)) {}
  SecureBytes& operator=(SecureBytes&& other) noexcept {
    std::swap(size_, other.size_);
    std::swap(data_, other.data_);
    return *this;
  }
  ~SecureBytes() { sodium_free(data_); }

  [[nodiscard]] unsigned char* data() noexcept { return static_cast<unsigned char*>(data_); }
  [[nodiscard]] const unsigned char* data() const noexcept {
    return static_cast<const unsigned char*>(data_);
  }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  std::size_t size_ = 0;
  void* data_ = nullptr;
};

}  // namespace snkv::core
