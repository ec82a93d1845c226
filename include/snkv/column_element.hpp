/// \file
/// What can be an element of a column. Part of <snkv/column.hpp>.
///
/// | type | name in the file | layout |
/// |---|---|---|
/// | integers, `float`, `double`, enums | `i8` to `u64`, `f32`, `f64` | little-endian |
/// | `bool` | `bool` | a byte, 0 or 1 |
/// | `std::array<T, N>` of these | `f32[768]` | one element behind the other |
/// | `Fixed<N>` | `bytes[N]` | N bytes |
/// | `std::string` | `string` | its bytes, of any length and content |
/// | `Bytes` | `bytes` | the same |
/// | `std::vector<T>` of numbers | `f32[]` | one element behind the other |
/// | `Json`, `Packed` | `json`, `packed` | see json.hpp and packed.hpp, which have to be included |
///
/// Other types: specialise `ColumnElementTraits`.
#pragma once

#include <snkv/bytes.hpp>
#include <snkv/expected.hpp>

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace snkv {

static_assert(std::endian::native == std::endian::little,
              "columns have their numbers as they lie in memory, least significant byte first");

/// N bytes, as an element of a column.
template <std::size_t N>
struct Fixed {
  std::array<std::byte, N> bytes{};

  [[nodiscard]] BytesView view() const noexcept { return {bytes.data(), N}; }
  friend bool operator==(const Fixed&, const Fixed&) noexcept = default;
};

inline namespace SNKV_EXPECTED_NAMESPACE {

/// How a type is an element of a column. A specialisation has
///
///     static std::string name();                           // in the file; opening with another
///     one fails static constexpr std::uint32_t size, granule;        // bytes; of a divisor of it
///     that may stand alone
///
/// for trivially copyable types, which are stored as they lie in memory, or, for others, `size` 0
/// and
///
///     static BytesView encode(const T&, Bytes& scratch);   // the bytes, in `scratch` or in the
///     element static Result<T> decode(BytesView); static Result<void> check(const T&); // if some
///     elements are refused; asked before writing
///
/// which must not use the store that the column is in.
template <class T>
struct ColumnElementTraits;

namespace facade {

template <class T>
concept ColumnNumber = (std::is_arithmetic_v<T> ||
                        std::is_enum_v<T>)&&!std::same_as<T, long double> &&
                       sizeof(T) <= 8;

template <ColumnNumber T>
[[nodiscard]] inline std::string number_name() {
  if constexpr (std::same_as<T, bool>) {
    return "bool";
  } else if constexpr (std::is_enum_v<T>) {
    return number_name<std::underlying_type_t<T>>();
  } else {
    const char kind = std::floating_point<T>                          ? 'f'
                      : std::is_signed_v<T> && !std::same_as<T, char> ? 'i'
                                                                      : 'u';
    return kind + std::to_string(8 * sizeof(T));
  }
}

}  // namespace facade

template <facade::ColumnNumber T>
struct ColumnElementTraits<T> {
  [[nodiscard]] static std::string name() { return facade::number_name<T>(); }
  static constexpr std::uint32_t size = sizeof(T);
  static constexpr std::uint32_t granule = sizeof(T);
};

template <class T, std::size_t N>
requires(N > 0 && ColumnElementTraits<T>::size > 0 && !std::same_as<T, bool> &&
         N <= 0xffffffff / sizeof(T)) struct ColumnElementTraits<std::array<T, N>> {
  static_assert(sizeof(std::array<T, N>) == N * sizeof(T));
  [[nodiscard]] static std::string name() {
    return ColumnElementTraits<T>::name() + "[" + std::to_string(N) + "]";
  }
  static constexpr std::uint32_t size = sizeof(T) * N;
  static constexpr std::uint32_t granule = ColumnElementTraits<T>::granule;
};

template <std::size_t N>
requires(N > 0 && N <= 0xffffffff) struct ColumnElementTraits<Fixed<N>> {
  static_assert(sizeof(Fixed<N>) == N);
  [[nodiscard]] static std::string name() { return "bytes[" + std::to_string(N) + "]"; }
  static constexpr std::uint32_t size = N;
  static constexpr std::uint32_t granule = 1;
};

template <>
struct ColumnElementTraits<std::string> {
  using View = std::string_view;
  [[nodiscard]] static std::string name() { return "string"; }
  static constexpr std::uint32_t size = 0;
  [[nodiscard]] static BytesView encode(const std::string& element, Bytes&) noexcept {
    return element;
  }
  [[nodiscard]] static Result<std::string> decode(BytesView bytes) { return bytes.str(); }
  [[nodiscard]] static View view(BytesView bytes) noexcept { return bytes.view(); }
};

template <>
struct ColumnElementTraits<Bytes> {
  using View = BytesView;
  [[nodiscard]] static std::string name() { return "bytes"; }
  static constexpr std::uint32_t size = 0;
  [[nodiscard]] static BytesView encode(const Bytes& element, Bytes&) noexcept { return element; }
  [[nodiscard]] static Result<Bytes> decode(BytesView bytes) { return Bytes(bytes); }
  [[nodiscard]] static View view(BytesView bytes) noexcept { return bytes; }
};

template <facade::ColumnNumber T>
requires(!std::same_as<T, bool>) struct ColumnElementTraits<std::vector<T>> {
  [[nodiscard]] static std::string name() { return ColumnElementTraits<T>::name() + "[]"; }
  static constexpr std::uint32_t size = 0;
  [[nodiscard]] static BytesView encode(const std::vector<T>& element, Bytes&) noexcept {
    return {element.data(), element.size() * sizeof(T)};
  }
  [[nodiscard]] static Result<std::vector<T>> decode(BytesView bytes) {
    if (bytes.size() % sizeof(T) != 0) {
      return Unexpected(Error(Errc::corrupt, "column decode",
                              std::to_string(bytes.size()) + " bytes are no array of " + name()));
    }
    std::vector<T> out(bytes.size() / sizeof(T));
    if (!bytes.empty()) std::memcpy(out.data(), bytes.data(), bytes.size());
    return out;
  }
};

namespace facade {

template <class T>
concept ColumnElement = std::default_initializable<T> && requires {
  { ColumnElementTraits<T>::name() } -> std::convertible_to<std::string>;
  { ColumnElementTraits<T>::size } -> std::convertible_to<std::uint32_t>;
};

/// Stored as it lies in memory.
template <class T>
concept FixedElement =
    ColumnElement<T> &&(ColumnElementTraits<T>::size != 0) && std::is_trivially_copyable_v<T>;

/// What iteration gives: a view for what has one, else a value.
template <class T>
struct ElementView {
  using Type = T;
};
template <class T>
requires requires { typename ColumnElementTraits<T>::View; }
struct ElementView<T> {
  using Type = typename ColumnElementTraits<T>::View;
};

}  // namespace facade
}  // namespace SNKV_EXPECTED_NAMESPACE
}  // namespace snkv
