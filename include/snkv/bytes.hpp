/// \file
/// `BytesView`, a view of anything that can be seen as bytes, and `Bytes`, an owned byte string.
///
/// Threads: values; no shared state. A `BytesView` never owns: each function that returns one says
/// how long it lives.
#pragma once

#include <snkv/detail/export.hpp>

#include <compare>
#include <concepts>
#include <cstddef>
#include <cstring>
#include <functional>
#include <iterator>
#include <memory>
#include <new>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <version>
#if defined(__cpp_lib_format)
#include <format>
#endif

namespace snkv {

namespace detail {

template <class T>
concept ByteLike = std::same_as<T, char> || std::same_as<T, unsigned char> ||
                   std::same_as<T, signed char> || std::same_as<T, std::byte> ||
                   std::same_as<T, char8_t>;

template <class R>
concept ByteContainer = requires(const R& range) {
  { std::data(range) };
  { std::size(range) } -> std::convertible_to<std::size_t>;
  requires ByteLike<std::remove_cv_t<std::remove_pointer_t<decltype(std::data(range))>>>;
};

}  // namespace detail

/// A non-owning view of bytes: a pointer and a length. Converts from string literals and C strings
/// (up to the NUL), `std::string`, `std::string_view`, `std::span`, `std::vector`, `std::array` and
/// every other contiguous container of one-byte elements. Order is `memcmp`, shorter first.
class BytesView {
 public:
  constexpr BytesView() noexcept = default;
  BytesView(const void* data, std::size_t size) noexcept
      : data_(static_cast<const std::byte*>(data)), size_(size) {}
  BytesView(const char* c_string) noexcept : BytesView(c_string, std::strlen(c_string)) {}
  BytesView(std::nullptr_t) = delete;

  template <class R>
    requires(detail::ByteContainer<R> && !std::is_array_v<std::remove_cvref_t<R>> &&
             !std::same_as<std::remove_cvref_t<R>, BytesView>)
  BytesView(const R& container) noexcept : BytesView(std::data(container), std::size(container)) {}

  [[nodiscard]] constexpr const std::byte* data() const noexcept { return data_; }
  [[nodiscard]] constexpr std::size_t size() const noexcept { return size_; }
  [[nodiscard]] constexpr bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] constexpr const std::byte* begin() const noexcept { return data_; }
  [[nodiscard]] constexpr const std::byte* end() const noexcept { return data_ + size_; }
  /// Requires `i < size()`.
  [[nodiscard]] constexpr std::byte operator[](std::size_t i) const noexcept { return data_[i]; }

  /// The same bytes as text. Valid as long as the bytes this views.
  explicit operator std::string_view() const noexcept { return view(); }
  [[nodiscard]] std::string_view view() const noexcept {
    return {reinterpret_cast<const char*>(data_), size_};
  }
  [[nodiscard]] std::span<const std::byte> span() const noexcept { return {data_, size_}; }
  /// A copy as a string.
  [[nodiscard]] std::string str() const { return std::string(view()); }

  [[nodiscard]] bool starts_with(BytesView prefix) const noexcept {
    return size_ >= prefix.size_ &&
           (prefix.size_ == 0 || std::memcmp(data_, prefix.data_, prefix.size_) == 0);
  }

  friend bool operator==(BytesView a, BytesView b) noexcept {
    return a.size_ == b.size_ && (a.size_ == 0 || std::memcmp(a.data_, b.data_, a.size_) == 0);
  }
  friend std::strong_ordering operator<=>(BytesView a, BytesView b) noexcept {
    const std::size_t common = a.size_ < b.size_ ? a.size_ : b.size_;
    const int order = common == 0 ? 0 : std::memcmp(a.data_, b.data_, common);
    if (order != 0) return order < 0 ? std::strong_ordering::less : std::strong_ordering::greater;
    return a.size_ <=> b.size_;
  }
  friend std::ostream& operator<<(std::ostream& out, BytesView bytes) { return out << bytes.view(); }

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// The bytes of one trivially copyable object, e.g. `store.put("pi", bytes_of(3.14))`.
/// The view lives as long as the object; the byte order is the machine's.
template <class T>
  requires std::is_trivially_copyable_v<T>
[[nodiscard]] BytesView bytes_of(const T& object) noexcept {
  return {std::addressof(object), sizeof(T)};
}

/// An owned byte string, moved rather than copied; what `get` returns. Unlike `std::vector` it can
/// be sized without being zero-filled first, which a read into a fresh buffer would pay for.
class Bytes {
 public:
  Bytes() noexcept = default;
  explicit Bytes(BytesView bytes) {
    resize_for_overwrite(bytes.size());
    if (!bytes.empty()) std::memcpy(data_, bytes.data(), bytes.size());
  }
  Bytes(const Bytes& other) : Bytes(BytesView(other)) {}
  Bytes(Bytes&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  Bytes& operator=(Bytes other) noexcept {
    swap(other);
    return *this;
  }
  ~Bytes() { ::operator delete(data_); }

  void swap(Bytes& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }

  /// Requires `i < size()`.
  [[nodiscard]] std::byte& operator[](std::size_t i) noexcept { return data_[i]; }
  [[nodiscard]] std::byte operator[](std::size_t i) const noexcept { return data_[i]; }
  [[nodiscard]] std::byte* data() noexcept { return data_; }
  [[nodiscard]] const std::byte* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
  [[nodiscard]] std::byte* begin() noexcept { return data_; }
  [[nodiscard]] std::byte* end() noexcept { return data_ + size_; }
  [[nodiscard]] const std::byte* begin() const noexcept { return data_; }
  [[nodiscard]] const std::byte* end() const noexcept { return data_ + size_; }

  /// The same bytes as text. Valid until this object is changed or destroyed.
  explicit operator std::string_view() const noexcept { return view(); }
  [[nodiscard]] std::string_view view() const noexcept {
    return {reinterpret_cast<const char*>(data_), size_};
  }
  [[nodiscard]] std::span<const std::byte> span() const noexcept { return {data_, size_}; }
  /// A copy as a string.
  [[nodiscard]] std::string str() const { return std::string(view()); }

  /// Adds bytes at the end, which may be some of its own. Takes room for twice as many when it has none left, so that
  /// many small ones cost O(1) each. Throws `std::bad_alloc`.
  void append(BytesView bytes) {
    if (bytes.empty()) return;
    if (bytes.size() > capacity_ - size_) {
      const std::size_t room = size_ + bytes.size() > 2 * capacity_ ? size_ + bytes.size() : 2 * capacity_;
      Bytes grown;
      grown.resize_for_overwrite(room);
      if (size_ > 0) std::memcpy(grown.data_, data_, size_);
      std::memcpy(grown.data_ + size_, bytes.data(), bytes.size());
      grown.size_ = size_ + bytes.size();
      swap(grown);
      return;
    }
    std::memmove(data_ + size_, bytes.data(), bytes.size());
    size_ += bytes.size();
  }
  /// Empties it, and keeps its room.
  void clear() noexcept { size_ = 0; }

  /// Sets the size, keeping what was there; bytes beyond the old size are indeterminate. Never gives
  /// capacity back. Throws `std::bad_alloc`.
  void resize_for_overwrite(std::size_t size) {
    if (size > capacity_) take_buffer(::operator new(size), size);
    size_ = size;
  }

  /// The same, but tells by its result whether there was memory.
  [[nodiscard]] bool try_resize_for_overwrite(std::size_t size) noexcept {
    if (size > capacity_) {
      void* grown = ::operator new(size, std::nothrow);
      if (grown == nullptr) return false;
      take_buffer(grown, size);
    }
    size_ = size;
    return true;
  }

  friend bool operator==(const Bytes& a, const Bytes& b) noexcept {
    return BytesView(a) == BytesView(b);
  }
  friend bool operator==(const Bytes& a, BytesView b) noexcept { return BytesView(a) == b; }
  friend std::strong_ordering operator<=>(const Bytes& a, const Bytes& b) noexcept {
    return BytesView(a) <=> BytesView(b);
  }
  friend std::strong_ordering operator<=>(const Bytes& a, BytesView b) noexcept { return BytesView(a) <=> b; }
  friend std::ostream& operator<<(std::ostream& out, const Bytes& bytes) {
    return out << bytes.view();
  }

 private:
  void take_buffer(void* buffer, std::size_t capacity) noexcept {
    if (size_ > 0) std::memcpy(buffer, data_, size_);
    ::operator delete(data_);
    data_ = static_cast<std::byte*>(buffer);
    capacity_ = capacity;
  }

  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

/// An entry that belongs to who has it.
struct OwnedEntry {
  Bytes key;
  Bytes value;

  friend bool operator==(const OwnedEntry&, const OwnedEntry&) noexcept = default;
};

}  // namespace snkv

template <>
struct std::hash<snkv::BytesView> {
  [[nodiscard]] std::size_t operator()(snkv::BytesView bytes) const noexcept {
    return std::hash<std::string_view>()(bytes.view());
  }
};
/// Equal to that of a `BytesView` of the same bytes.
template <>
struct std::hash<snkv::Bytes> {
  [[nodiscard]] std::size_t operator()(const snkv::Bytes& bytes) const noexcept {
    return std::hash<std::string_view>()(bytes.view());
  }
};

#if defined(__cpp_lib_format)
/// As `std::string_view`: the bytes as they are.
template <>
struct std::formatter<snkv::BytesView> : std::formatter<std::string_view> {
  auto format(snkv::BytesView bytes, auto& context) const {
    return std::formatter<std::string_view>::format(bytes.view(), context);
  }
};
template <>
struct std::formatter<snkv::Bytes> : std::formatter<std::string_view> {
  auto format(const snkv::Bytes& bytes, auto& context) const {
    return std::formatter<std::string_view>::format(bytes.view(), context);
  }
};
#endif
