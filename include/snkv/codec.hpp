/// \file
/// `Codec<T>`: how a C++ type becomes the bytes of a key or value, and back. Used by `TypedFamily`
/// (typed.hpp).
///
/// | type | name in the file | bytes | ordered |
/// |---|---|---|---|
/// | unsigned integers, `char` | `u8` to `u64` | most significant byte first | yes |
/// | signed integers | `i8` to `i64` | the same, the sign bit inverted | yes |
/// | `bool` | `bool` | 0 or 1 | yes |
/// | `float`, `double` | `f32`, `f64` | negative: all bits inverted; else the sign bit; then as
/// integers | yes | | enums | those of the underlying type | | yes | | `std::string` | `text` | as
/// they are | yes | | `Bytes` | `bytes` | as they are | yes | | `std::chrono::duration`,
/// `time_point` of the system clock | `time(1/1000)` and so on | the count as `i64` | yes | |
/// `std::optional<T>` | `T?` | 0, or 1 and `T` | if `T` is | | `std::tuple`, `std::pair` | `(T,U)`
/// | one behind the other, see below | if all are | | `std::array<T, N>`, `std::vector<T>` of
/// numbers | `f32[3]`, `f32[]` | least significant byte first | no |
///
/// "Ordered" means that `memcmp` of the bytes is the order of the values: for floating-point
/// numbers that of `std::strong_order` (IEEE 754 totalOrder: -0 before +0, NaNs at the ends), for
/// the rest that of `<=>`. Only such types are keys. In a tuple, what has a fixed size stands as it
/// is. Anything else has each byte 00 replaced by 00 FF and 00 01 behind it, so that nothing is a
/// prefix of another one, and the bytes of the first elements of a tuple are a prefix of those of
/// the whole.
///
/// Own types: specialise `Codec`. <snkv/json.hpp> has one for `Json`, <snkv/packed.hpp> one for
/// `Packed`.
#pragma once

#include <snkv/bytes.hpp>
#include <snkv/expected.hpp>

#include <array>
#include <bit>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace snkv {

/// Where encoders put bytes: in the object itself as long as there are few. Threads: a value like
/// any other.
class EncodeBuffer {
 public:
  /// Throws `std::bad_alloc`.
  void append(BytesView bytes) {
    if (large_.empty() && size_ + bytes.size() <= sizeof(small_)) {
      if (!bytes.empty()) std::memcpy(small_ + size_, bytes.data(), bytes.size());
      size_ += bytes.size();
      return;
    }
    if (large_.empty()) large_.append({small_, size_});
    large_.append(bytes);
  }
  void append(std::byte byte) { append(BytesView(&byte, 1)); }

  /// What was put there. The view lives until the buffer is changed or destroyed.
  [[nodiscard]] BytesView view() const noexcept {
    return large_.empty() ? BytesView(small_, size_) : BytesView(large_);
  }

 private:
  std::byte small_[112];
  std::size_t size_ = 0;  // of what is in `small_`
  Bytes large_;           // all of it, when it is not empty
};

inline namespace SNKV_EXPECTED_NAMESPACE {

/// How a type becomes bytes. A specialisation has
///
///     static std::string name();                        // in the file: opening with another one
///     fails static constexpr bool ordered = ...;              // whether it can be a key static
///     constexpr std::size_t fixed_size = ...;    // if all values have as many bytes; else leave
///     it out static void encode(const T&, EncodeBuffer& out);  // appends static Result<T>
///     decode(BytesView bytes);         // `corrupt`, with the reason, for what `encode` never made
///     static Result<void> check(const T&);              // if some values are refused; asked before each writing
///     static BytesView view(const T&);                  // instead of `encode`, where the bytes
///     lie in the value already
template <class T>
struct Codec;

namespace facade {

template <class T>
concept Encodable = std::movable<T> && requires(BytesView bytes) {
  { Codec<T>::name() } -> std::convertible_to<std::string>;
  { Codec<T>::ordered } -> std::convertible_to<bool>;
  { Codec<T>::decode(bytes) } -> std::same_as<Result<T>>;
};
template <class T>
concept OrderedKey = Encodable<T> && Codec<T>::ordered;

template <class T>
concept HasView = requires(const T& value) {
  { Codec<T>::view(value) } -> std::same_as<BytesView>;
};
template <class T>
concept HasFixedSize = requires {
  { Codec<T>::fixed_size } -> std::convertible_to<std::size_t>;
};

/// The bytes of a value, for as long as this and the value live.
template <class T>
class Encoded {
 public:
  explicit Encoded(const T& value) { Codec<T>::encode(value, buffer_); }
  [[nodiscard]] BytesView view() const noexcept { return buffer_.view(); }

 private:
  EncodeBuffer buffer_;
};
template <HasView T>
class Encoded<T> {
 public:
  explicit Encoded(const T& value) noexcept : view_(Codec<T>::view(value)) {}
  [[nodiscard]] BytesView view() const noexcept { return view_; }

 private:
  BytesView view_;
};

[[nodiscard]] inline Error undecodable(const std::string& name, BytesView bytes) {
  return Error(Errc::corrupt, "decode", std::to_string(bytes.size()) + " bytes are no " + name);
}

template <class T>
concept CodecNumber = std::is_arithmetic_v<T> && !std::same_as<T, long double> &&
                      !std::same_as<T, bool> && !std::same_as<T, wchar_t> &&
                      !std::same_as<T, char16_t> && !std::same_as<T, char32_t> && sizeof(T) <= 8;

template <CodecNumber T>
[[nodiscard]] inline std::string codec_number_name() {
  constexpr char kind = std::floating_point<T>                          ? 'f'
                        : std::is_signed_v<T> && !std::same_as<T, char> ? 'i'
                                                                        : 'u';
  return kind + std::to_string(8 * sizeof(T));
}

/// Unsigned integers whose order is that of the numbers, and back.
template <std::size_t Size>
using BitsOf = std::conditional_t<
    Size == 1, std::uint8_t,
    std::conditional_t<Size == 2, std::uint16_t,
                       std::conditional_t<Size == 4, std::uint32_t, std::uint64_t>>>;
template <CodecNumber T>
[[nodiscard]] constexpr BitsOf<sizeof(T)> to_ordered(T value) noexcept {
  using Bits = BitsOf<sizeof(T)>;
  constexpr Bits sign = static_cast<Bits>(Bits{1} << (8 * sizeof(T) - 1));
  const Bits bits = std::bit_cast<Bits>(value);
  if constexpr (std::floating_point<T>) {
    return static_cast<Bits>((bits & sign) != 0 ? ~bits : bits ^ sign);
  } else if constexpr (std::is_signed_v<T> && !std::same_as<T, char>) {
    return static_cast<Bits>(bits ^ sign);
  } else {
    return bits;
  }
}
template <CodecNumber T>
[[nodiscard]] constexpr T from_ordered(BitsOf<sizeof(T)> bits) noexcept {
  using Bits = BitsOf<sizeof(T)>;
  constexpr Bits sign = static_cast<Bits>(Bits{1} << (8 * sizeof(T) - 1));
  if constexpr (std::floating_point<T>) {
    return std::bit_cast<T>(static_cast<Bits>((bits & sign) != 0 ? bits ^ sign : ~bits));
  } else if constexpr (std::is_signed_v<T> && !std::same_as<T, char>) {
    return std::bit_cast<T>(static_cast<Bits>(bits ^ sign));
  } else {
    return std::bit_cast<T>(bits);
  }
}

/// An element of a tuple.
template <class T>
void encode_part(const T& value, EncodeBuffer& out) {
  const Encoded<T> encoded(value);
  const BytesView bytes = encoded.view();
  if constexpr (HasFixedSize<T>) {
    out.append(bytes);
  } else {
    std::size_t done = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      if (bytes[i] != std::byte{0}) continue;
      out.append(BytesView(bytes.data() + done, i + 1 - done));
      out.append(std::byte{0xff});
      done = i + 1;
    }
    out.append(BytesView(bytes.data() + done, bytes.size() - done));
    out.append(BytesView("\x00\x01", 2));
  }
}
/// Takes one from the beginning of `rest`.
template <class T>
[[nodiscard]] Result<T> decode_part(BytesView& rest) {
  if constexpr (HasFixedSize<T>) {
    if (rest.size() < Codec<T>::fixed_size) return Unexpected(undecodable(Codec<T>::name(), rest));
    const BytesView bytes(rest.data(), Codec<T>::fixed_size);
    rest = BytesView(rest.data() + bytes.size(), rest.size() - bytes.size());
    return Codec<T>::decode(bytes);
  } else {
    Bytes plain;
    std::size_t done = 0;
    for (std::size_t i = 0; i + 1 < rest.size(); ++i) {
      if (rest[i] != std::byte{0}) continue;
      const std::byte next = rest[i + 1];
      if (next != std::byte{0xff} && next != std::byte{0x01}) break;
      plain.append(BytesView(rest.data() + done, i - done + (next == std::byte{0xff} ? 1 : 0)));
      done = i + 2;
      if (next == std::byte{0x01}) {
        rest = BytesView(rest.data() + done, rest.size() - done);
        return Codec<T>::decode(plain);
      }
      ++i;
    }
    return Unexpected(
        Error(Errc::corrupt, "decode", "a " + Codec<T>::name() + " in a tuple has no end"));
  }
}

}  // namespace facade

template <facade::CodecNumber T>
struct Codec<T> {
  [[nodiscard]] static std::string name() { return facade::codec_number_name<T>(); }
  static constexpr bool ordered = true;
  static constexpr std::size_t fixed_size = sizeof(T);
  static void encode(T value, EncodeBuffer& out) {
    auto bits = facade::to_ordered(value);
    std::byte bytes[sizeof(T)];
    for (std::size_t i = sizeof(T); i-- > 0;) {
      bytes[i] = static_cast<std::byte>(bits & 0xff);
      bits = static_cast<decltype(bits)>(std::uint64_t{bits} >> 8);
    }
    out.append(BytesView(bytes, sizeof(T)));
  }
  [[nodiscard]] static Result<T> decode(BytesView bytes) {
    if (bytes.size() != sizeof(T)) return Unexpected(facade::undecodable(name(), bytes));
    std::uint64_t bits = 0;
    for (const std::byte byte : bytes) bits = bits << 8 | static_cast<std::uint64_t>(byte);
    return facade::from_ordered<T>(static_cast<facade::BitsOf<sizeof(T)>>(bits));
  }
};

template <>
struct Codec<bool> {
  [[nodiscard]] static std::string name() { return "bool"; }
  static constexpr bool ordered = true;
  static constexpr std::size_t fixed_size = 1;
  static void encode(bool value, EncodeBuffer& out) {
    out.append(value ? std::byte{1} : std::byte{0});
  }
  [[nodiscard]] static Result<bool> decode(BytesView bytes) {
    if (bytes.size() != 1 || static_cast<unsigned>(bytes[0]) > 1) {
      return Unexpected(facade::undecodable(name(), bytes));
    }
    return bytes[0] == std::byte{1};
  }
};

template <class T>
requires std::is_enum_v<T>
struct Codec<T> {
  using Number = std::underlying_type_t<T>;
  [[nodiscard]] static std::string name() { return Codec<Number>::name(); }
  static constexpr bool ordered = true;
  static constexpr std::size_t fixed_size = Codec<Number>::fixed_size;
  static void encode(T value, EncodeBuffer& out) {
    Codec<Number>::encode(static_cast<Number>(value), out);
  }
  [[nodiscard]] static Result<T> decode(BytesView bytes) {
    auto number = Codec<Number>::decode(bytes);
    if (!number) return Unexpected(std::move(number).error());
    return static_cast<T>(*number);
  }
};

template <>
struct Codec<std::string> {
  [[nodiscard]] static std::string name() { return "text"; }
  static constexpr bool ordered = true;
  [[nodiscard]] static BytesView view(const std::string& value) noexcept { return value; }
  [[nodiscard]] static Result<std::string> decode(BytesView bytes) { return bytes.str(); }
};

template <>
struct Codec<Bytes> {
  [[nodiscard]] static std::string name() { return "bytes"; }
  static constexpr bool ordered = true;
  [[nodiscard]] static BytesView view(const Bytes& value) noexcept { return value; }
  [[nodiscard]] static Result<Bytes> decode(BytesView bytes) { return Bytes(bytes); }
};

template <class Count, class Period>
requires facade::CodecNumber<Count>
struct Codec<std::chrono::duration<Count, Period>> {
  using Duration = std::chrono::duration<Count, Period>;
  using Number = std::conditional_t<std::floating_point<Count>, double, std::int64_t>;
  [[nodiscard]] static std::string name() {
    const std::string unit = std::to_string(Period::num) + "/" + std::to_string(Period::den);
    return std::string(std::floating_point<Count> ? "ftime(" : "time(") + unit + ")";
  }
  static constexpr bool ordered = true;
  static constexpr std::size_t fixed_size = 8;
  static void encode(Duration value, EncodeBuffer& out) {
    Codec<Number>::encode(static_cast<Number>(value.count()), out);
  }
  [[nodiscard]] static Result<Duration> decode(BytesView bytes) {
    auto number = Codec<Number>::decode(bytes);
    if (!number) return Unexpected(facade::undecodable(name(), bytes));
    const auto count = static_cast<Count>(*number);
    if (static_cast<Number>(count) != *number && *number == *number) {
      return Unexpected(Error(Errc::corrupt, "decode", name() + " is out of range"));
    }
    return Duration(count);
  }
};

template <class Duration>
struct Codec<std::chrono::time_point<std::chrono::system_clock, Duration>> {
  using Moment = std::chrono::time_point<std::chrono::system_clock, Duration>;
  [[nodiscard]] static std::string name() { return Codec<Duration>::name(); }
  static constexpr bool ordered = true;
  static constexpr std::size_t fixed_size = 8;
  static void encode(Moment value, EncodeBuffer& out) {
    Codec<Duration>::encode(value.time_since_epoch(), out);
  }
  [[nodiscard]] static Result<Moment> decode(BytesView bytes) {
    auto since = Codec<Duration>::decode(bytes);
    if (!since) return Unexpected(std::move(since).error());
    return Moment(*since);
  }
};

template <class T>
requires facade::Encodable<T>
struct Codec<std::optional<T>> {
  [[nodiscard]] static std::string name() { return Codec<T>::name() + "?"; }
  static constexpr bool ordered = Codec<T>::ordered;
  static void encode(const std::optional<T>& value, EncodeBuffer& out) {
    out.append(value ? std::byte{1} : std::byte{0});
    if (value) out.append(facade::Encoded<T>(*value).view());
  }
  [[nodiscard]] static Result<std::optional<T>> decode(BytesView bytes) {
    if (bytes.size() == 1 && bytes[0] == std::byte{0}) return std::optional<T>();
    if (bytes.empty() || bytes[0] != std::byte{1})
      return Unexpected(facade::undecodable(name(), bytes));
    auto value = Codec<T>::decode(BytesView(bytes.data() + 1, bytes.size() - 1));
    if (!value) return Unexpected(std::move(value).error());
    return std::optional<T>(*std::move(value));
  }
};

namespace facade {

/// Of `std::tuple` and `std::pair`.
template <class Tuple, class... Ts>
struct TupleCodec {
  [[nodiscard]] static std::string name() {
    std::string out;
    ((out += (out.empty() ? "(" : ",") + Codec<Ts>::name()), ...);
    return out + ")";
  }
  static constexpr bool ordered = (Codec<Ts>::ordered && ...);
  static void encode(const Tuple& value, EncodeBuffer& out) {
    std::apply([&](const Ts&... parts) { (encode_part(parts, out), ...); }, value);
  }
  [[nodiscard]] static Result<Tuple> decode(BytesView bytes) {
    std::tuple<std::optional<Ts>...> parts;
    Error error;
    BytesView rest = bytes;
    const auto take = [&]<class T>(std::optional<T>& out) {
      if (error.failed()) return;
      Result<T> part = decode_part<T>(rest);
      if (part) {
        out = *std::move(part);
      } else {
        error = std::move(part).error();
      }
    };
    std::apply([&](std::optional<Ts>&... out) { (take(out), ...); }, parts);
    if (!error.failed() && !rest.empty()) error = undecodable(name(), bytes);
    if (error.failed()) return Unexpected(std::move(error));
    return std::apply([](std::optional<Ts>&... out) { return Tuple(*std::move(out)...); }, parts);
  }
};

}  // namespace facade

template <class... Ts>
requires(sizeof...(Ts) > 0 && (facade::Encodable<Ts> && ...)) struct Codec<std::tuple<Ts...>>
    : facade::TupleCodec<std::tuple<Ts...>, Ts...> {
};
template <class T, class U>
requires(facade::Encodable<T>&& facade::Encodable<U>) struct Codec<std::pair<T, U>>
    : facade::TupleCodec<std::pair<T, U>, T, U> {
};

static_assert(std::endian::native == std::endian::little,
              "arrays have their numbers as they lie in memory");

template <facade::CodecNumber T, std::size_t N>
struct Codec<std::array<T, N>> {
  [[nodiscard]] static std::string name() {
    return Codec<T>::name() + "[" + std::to_string(N) + "]";
  }
  static constexpr bool ordered = false;
  static constexpr std::size_t fixed_size = N * sizeof(T);
  [[nodiscard]] static BytesView view(const std::array<T, N>& value) noexcept {
    return {value.data(), fixed_size};
  }
  [[nodiscard]] static Result<std::array<T, N>> decode(BytesView bytes) {
    if (bytes.size() != fixed_size) return Unexpected(facade::undecodable(name(), bytes));
    std::array<T, N> out;
    if constexpr (N > 0) std::memcpy(out.data(), bytes.data(), fixed_size);
    return out;
  }
};

template <facade::CodecNumber T>
struct Codec<std::vector<T>> {
  [[nodiscard]] static std::string name() { return Codec<T>::name() + "[]"; }
  static constexpr bool ordered = false;
  [[nodiscard]] static BytesView view(const std::vector<T>& value) noexcept {
    return {value.data(), value.size() * sizeof(T)};
  }
  [[nodiscard]] static Result<std::vector<T>> decode(BytesView bytes) {
    if (bytes.size() % sizeof(T) != 0) return Unexpected(facade::undecodable(name(), bytes));
    std::vector<T> out(bytes.size() / sizeof(T));
    if (!bytes.empty()) std::memcpy(out.data(), bytes.data(), bytes.size());
    return out;
  }
};

}  // namespace SNKV_EXPECTED_NAMESPACE
}  // namespace snkv
