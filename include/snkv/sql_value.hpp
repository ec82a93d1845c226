/// \file
/// `SqlValue`, one value of SQL: a parameter of `Store::sql`, or a column of a row that it gave.
///
/// Threads: a value like any other. Text and blobs are views: see who made the value for how long
/// they live.
#pragma once

#include <snkv/bytes.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>
#include <type_traits>

namespace snkv {

/// What a `SqlValue` is: the five storage classes of SQLite.
enum class SqlType { null, integer, real, text, blob };

class SqlValue {
 public:
  /// NULL.
  constexpr SqlValue() noexcept = default;
  constexpr SqlValue(std::nullptr_t) noexcept {}

  /// Integers up to 64 bits with sign; cast unsigned 64-bit ones, which may not fit.
  template <std::integral T>
    requires(std::signed_integral<T> || sizeof(T) < sizeof(std::int64_t))
  constexpr SqlValue(T value) noexcept : type_(SqlType::integer), integer_(value) {}

  template <std::floating_point T>
  constexpr SqlValue(T value) noexcept : type_(SqlType::real), real_(static_cast<double>(value)) {}

  /// Text, UTF-8: string literals, `std::string`, `std::string_view`.
  template <class T>
    requires std::convertible_to<const T&, std::string_view>
  SqlValue(const T& text) noexcept
      : type_(SqlType::text),
        bytes_(std::string_view(text).data(), std::string_view(text).size()) {}

  /// A blob: `BytesView`, `Bytes` and every other view or container of bytes that is no text.
  template <class T>
    requires(!std::convertible_to<const T&, std::string_view> &&
             std::convertible_to<const T&, BytesView>)
  SqlValue(const T& blob) noexcept : type_(SqlType::blob), bytes_(blob) {}

  /// NULL, or what is in it.
  template <class T>
    requires std::constructible_from<SqlValue, const T&>
  SqlValue(const std::optional<T>& value) noexcept {
    if (value.has_value()) *this = SqlValue(*value);
  }

  [[nodiscard]] constexpr SqlType type() const noexcept { return type_; }
  [[nodiscard]] constexpr bool is_null() const noexcept { return type_ == SqlType::null; }

  /// The number as an integer, a real one cut towards zero and to the range; 0 if it is no number.
  [[nodiscard]] std::int64_t int64() const noexcept {
    if (type_ != SqlType::real) return integer_;
    constexpr double limit = 9223372036854775808.0;  // 2^63
    if (real_ >= limit) return std::numeric_limits<std::int64_t>::max();
    if (real_ < -limit) return std::numeric_limits<std::int64_t>::min();
    return real_ == real_ ? static_cast<std::int64_t>(real_) : 0;
  }
  /// The number as a floating-point one; 0 if it is no number.
  [[nodiscard]] double real() const noexcept {
    return type_ == SqlType::integer ? static_cast<double>(integer_) : real_;
  }
  /// The bytes of a text or a blob as text; empty if it is neither.
  [[nodiscard]] std::string_view text() const noexcept { return bytes_.view(); }
  /// The bytes of a text or a blob; empty if it is neither.
  [[nodiscard]] BytesView blob() const noexcept { return bytes_; }

 private:
  SqlType type_ = SqlType::null;
  std::int64_t integer_ = 0;
  double real_ = 0;
  BytesView bytes_;
};

}  // namespace snkv
