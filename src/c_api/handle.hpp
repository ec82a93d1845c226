/// \file
/// What the handles of the C interface have in common. A program may pass anything: NULL, a handle of
/// another kind, one that was closed. Handles begin with a number that tells their kind, and their
/// memory is never given back, so that a look at a closed one finds it closed.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>

namespace snkv::c_api {

/// Arbitrary numbers that no text or small integer is.
enum class Kind : std::uint32_t {
  closed = 0,
  store = 0xb15e4a01,
  family = 0xb15e4a02,
  iterator = 0xb15e4a03,
  vectors = 0xb15e4a04,
};

struct Handle {
  std::atomic<Kind> kind = Kind::closed;
  /// Another number each time that it is opened.
  std::atomic<std::uint64_t> generation = 0;
  Handle* next_closed = nullptr;

  Handle() = default;
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
};

/// Whether `handle` is an open handle of type `T`.
template <class T>
[[nodiscard]] bool is_open(const T* handle) noexcept {
  const auto address = reinterpret_cast<std::uintptr_t>(handle);
  if (address == 0 || address % alignof(Handle) != 0) return false;
  return handle->kind.load(std::memory_order_acquire) == T::own_kind;
}

/// Where the handles of one type come from and go to. A closed handle is not used again before
/// `quarantine` others were closed after it, so that a stale pointer does not soon meet a new owner.
template <class T>
class HandlePool {
 public:
  static constexpr std::size_t quarantine = 256;

  /// A handle that is still `closed`, and empty. Throws `std::bad_alloc`.
  [[nodiscard]] T* take() {
    const std::lock_guard lock(mutex_);
    T* handle = nullptr;
    if (closed_ > quarantine) {
      handle = static_cast<T*>(first_closed_);
      first_closed_ = handle->next_closed;
      handle->next_closed = nullptr;
      --closed_;
    } else {
      handle = &all_.emplace_back();
    }
    handle->generation = ++generations_;
    return handle;
  }

  /// Takes back a handle that the caller has emptied.
  void give_back(T* handle) noexcept {
    handle->kind.store(Kind::closed, std::memory_order_release);
    const std::lock_guard lock(mutex_);
    if (closed_++ == 0) {
      first_closed_ = handle;
    } else {
      last_closed_->next_closed = handle;
    }
    last_closed_ = handle;
  }

 private:
  std::mutex mutex_;
  std::deque<T> all_;
  Handle* first_closed_ = nullptr;
  Handle* last_closed_ = nullptr;
  std::size_t closed_ = 0;
  std::uint64_t generations_ = 0;
};

/// The handles of one type. Never destroyed: exit handlers of the program may still close handles.
template <class T>
[[nodiscard]] HandlePool<T>& handles() {
  static auto* const pool = new HandlePool<T>;
  return *pool;
}

}  // namespace snkv::c_api
