/// \file
/// `Packed`, a value that knows its type, and `NdArray`, an n-dimensional array of numbers.
///
///     auto settings = TypedFamily<std::string, Packed>::open(store, "settings");
///     settings->put("retries", 5);
///     settings->put("weights", NdArray::of<float>({2, 3}, weights));
///     int retries = *settings->get("retries")->as<int>();
///
/// Each is one byte that says what follows, and that:
///
/// | byte | type | follows |
/// |---|---|---|
/// | 0 | nil | |
/// | 1 | boolean | 0 or 1 |
/// | 2, 3, 4 | int64, uint64, float64 | 8 bytes, least significant first |
/// | 5, 6 | text (UTF-8), bytes | as they are |
/// | 7, 8, 9 | MessagePack, CBOR, JSON | one document |
/// | 10 | array | kind, number of dimensions, each of them (8 bytes); zeros up to a multiple of 64;
/// the numbers |
///
/// Nothing is ever guessed: what was put as an integer is one, whatever its bytes look like. Needs
/// nlohmann/json. Threads: values like any other.
#pragma once

#include <snkv/json.hpp>

#include <bit>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace snkv {

/// The numbers are those in the file.
enum class PackedType : std::uint8_t {
  nil,
  boolean,
  int64,
  uint64,
  float64,
  text,
  bytes,
  msgpack,
  cbor,
  json,
  array
};

/// "int64" and so on.
[[nodiscard]] constexpr std::string_view to_string(PackedType type) noexcept {
  constexpr std::string_view names[] = {"nil",   "boolean", "int64", "uint64", "float64", "text",
                                        "bytes", "msgpack", "cbor",  "json",   "array"};
  return static_cast<std::size_t>(type) < std::size(names) ? names[static_cast<std::size_t>(type)]
                                                           : "unknown";
}

/// What the numbers of an array are. The values are those in the file.
enum class ElementKind : std::uint8_t { i8, i16, i32, i64, u8, u16, u32, u64, f32, f64 };

[[nodiscard]] constexpr std::size_t size_of(ElementKind kind) noexcept {
  constexpr std::uint8_t sizes[] = {1, 2, 4, 8, 1, 2, 4, 8, 4, 8};
  return static_cast<std::size_t>(kind) < std::size(sizes) ? sizes[static_cast<std::size_t>(kind)]
                                                           : 0;
}
[[nodiscard]] constexpr std::string_view to_string(ElementKind kind) noexcept {
  constexpr std::string_view names[] = {"i8",  "i16", "i32", "i64", "u8",
                                        "u16", "u32", "u64", "f32", "f64"};
  return static_cast<std::size_t>(kind) < std::size(names) ? names[static_cast<std::size_t>(kind)]
                                                           : "unknown";
}

namespace facade {

template <class T>
concept ArrayNumber =
    std::is_arithmetic_v<T> && !std::same_as<T, bool> && !std::same_as<T, char> &&
    !std::same_as<T, long double> && !std::same_as<T, wchar_t> && !std::same_as<T, char8_t> &&
    !std::same_as<T, char16_t> && !std::same_as<T, char32_t>;

template <ArrayNumber T>
[[nodiscard]] constexpr ElementKind kind_of() noexcept {
  if constexpr (std::floating_point<T>) return sizeof(T) == 4 ? ElementKind::f32 : ElementKind::f64;
  const int log = std::countr_zero(sizeof(T));
  return static_cast<ElementKind>(log + (std::is_signed_v<T> ? 0 : 4));
}

}  // namespace facade

inline namespace SNKV_EXPECTED_NAMESPACE {

/// Numbers in row-major order, the last dimension varying fastest. No dimensions: one number.
struct NdArray {
  static constexpr std::size_t max_dimensions = 32;

  ElementKind kind = ElementKind::f64;
  std::vector<std::uint64_t> shape;
  Bytes data;  ///< The numbers, least significant byte first.

  /// `check` tells whether there are as many numbers as the shape wants.
  template <facade::ArrayNumber T>
  [[nodiscard]] static NdArray of(std::vector<std::uint64_t> shape, std::span<const T> numbers) {
    return {facade::kind_of<T>(), std::move(shape),
            Bytes(BytesView(numbers.data(), numbers.size_bytes()))};
  }

  /// `invalid_argument` for an unknown kind, more than 32 dimensions, or a shape that does not fit
  /// the data.
  [[nodiscard]] Result<void> check() const {
    const auto refuse = [](std::string why) {
      return Unexpected(Error(Errc::invalid_argument, "array", std::move(why)));
    };
    const std::size_t element = size_of(kind);
    if (element == 0)
      return refuse("the kind " + std::to_string(static_cast<unsigned>(kind)) + " is unknown");
    if (shape.size() > max_dimensions) return refuse("there are more than 32 dimensions");
    // Not beyond the data, so that nothing overflows; a dimension of 0 makes all of it empty.
    std::uint64_t numbers = 1;
    for (const std::uint64_t size : shape) {
      if (size != 0 && numbers > std::numeric_limits<std::uint64_t>::max() / size)
        return refuse(misfit());
      numbers *= size;
    }
    if (data.size() % element != 0 || data.size() / element != numbers) return refuse(misfit());
    return {};
  }

  /// The numbers as they are: `invalid_argument` if they are of another kind. The view lives as
  /// long as `data` is not changed.
  template <facade::ArrayNumber T>
  [[nodiscard]] Result<std::span<const T>> view() const {
    if (kind != facade::kind_of<T>()) {
      return Unexpected(Error(Errc::invalid_argument, "array",
                              "an array of " + std::string(to_string(kind)) + ", not of " +
                                  std::string(to_string(facade::kind_of<T>()))));
    }
    return std::span<const T>(reinterpret_cast<const T*>(data.data()), data.size() / sizeof(T));
  }

  friend bool operator==(const NdArray&, const NdArray&) noexcept = default;

 private:
  [[nodiscard]] std::string misfit() const {
    std::string out =
        std::to_string(data.size()) + " bytes are no " + std::string(to_string(kind)) + "[";
    for (std::size_t i = 0; i < shape.size(); ++i)
      out += (i == 0 ? "" : ",") + std::to_string(shape[i]);
    return out + "]";
  }
};

/// A value and its type.
class Packed {
 public:
  /// A document, and what it is written as.
  struct Document {
    Json json;
    JsonFormat format = JsonFormat::msgpack;
    friend bool operator==(const Document&, const Document&) = default;
  };
  using Value = std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double, std::string,
                             Bytes, Document, NdArray>;

  Packed() noexcept = default;
  Packed(std::nullptr_t) noexcept {}
  Packed(std::same_as<bool> auto value) noexcept : value_(value) {}
  /// Signed integers become int64, unsigned ones uint64.
  template <class T>
  requires(std::integral<T>&& facade::ArrayNumber<T>) Packed(T value)
  noexcept {
    if constexpr (std::is_signed_v<T>) {
      value_ = static_cast<std::int64_t>(value);
    } else {
      value_ = static_cast<std::uint64_t>(value);
    }
  }
  template <class T>
  requires(std::same_as<T, float> || std::same_as<T, double>) Packed(T value)
  noexcept : value_(static_cast<double>(value)) {}
  /// Text, in UTF-8.
  Packed(std::string value) noexcept : value_(std::move(value)) {}
  Packed(std::string_view value) : value_(std::string(value)) {}
  Packed(const char* value) : value_(std::string(value)) {}
  Packed(Bytes value) noexcept : value_(std::move(value)) {}
  explicit Packed(BytesView value) : value_(Bytes(value)) {}
  Packed(NdArray value) noexcept : value_(std::move(value)) {}
  /// Written as MessagePack, unless another format is named.
  explicit Packed(Json value, JsonFormat format = JsonFormat::msgpack)
      : value_(Document{std::move(value), format}) {}

  [[nodiscard]] PackedType type() const noexcept {
    if (const auto* document = std::get_if<Document>(&value_)) {
      return document->format == JsonFormat::msgpack ? PackedType::msgpack
             : document->format == JsonFormat::cbor  ? PackedType::cbor
                                                     : PackedType::json;
    }
    constexpr PackedType types[] = {PackedType::nil,    PackedType::boolean, PackedType::int64,
                                    PackedType::uint64, PackedType::float64, PackedType::text,
                                    PackedType::bytes,  PackedType::msgpack, PackedType::array};
    return types[value_.index()];
  }
  [[nodiscard]] bool is_nil() const noexcept { return value_.index() == 0; }

  /// The value as a `T`: `invalid_argument` if it is of another type, or does not fit. Integers fit
  /// each other by value, and floating-point types if they are exact there; floating-point numbers
  /// fit each other if they are exact, and no integers. `std::string` is text, `Json` a document of
  /// any format, `std::vector<T>` an array of one dimension.
  template <class T>
  [[nodiscard]] Result<T> as() const {
    if constexpr (std::same_as<T, bool> || std::same_as<T, std::string> || std::same_as<T, Bytes> ||
                  std::same_as<T, NdArray>) {
      if (const T* value = std::get_if<T>(&value_)) return *value;
      return Unexpected(misfit<T>());
    } else if constexpr (std::same_as<T, Json>) {
      if (const auto* document = std::get_if<Document>(&value_)) return document->json;
      return Unexpected(misfit<T>());
    } else if constexpr (facade::ArrayNumber<T>) {
      T out{};
      const bool fits = std::visit([&](const auto& value) { return convert(value, out); }, value_);
      if (!fits) return Unexpected(misfit<T>());
      return out;
    } else {
      using Number = typename T::value_type;
      static_assert(std::same_as<T, std::vector<Number>>, "not a type that a Packed can be");
      const auto* array = std::get_if<NdArray>(&value_);
      if (array == nullptr || array->shape.size() != 1 ||
          array->kind != facade::kind_of<Number>()) {
        return Unexpected(misfit<T>());
      }
      T out(array->data.size() / sizeof(Number));
      if (!out.empty()) std::memcpy(out.data(), array->data.data(), array->data.size());
      return out;
    }
  }
  /// Calls `function` with the value as it is held: `std::monostate`, `bool`, `std::int64_t`,
  /// `std::uint64_t`, `double`, `std::string`, `Bytes`, `Document` or `NdArray`.
  template <class Function>
  decltype(auto) visit(Function&& function) const {
    return std::visit(std::forward<Function>(function), value_);
  }

  /// Equal types and equal values; floating-point numbers by their bits, so that each equals what
  /// comes back for it.
  friend bool operator==(const Packed& a, const Packed& b) {
    if (a.value_.index() == 4 && b.value_.index() == 4) {
      return std::bit_cast<std::uint64_t>(std::get<double>(a.value_)) ==
             std::bit_cast<std::uint64_t>(std::get<double>(b.value_));
    }
    return a.value_ == b.value_;
  }

 private:
  friend struct Codec<Packed>;

  template <class T>
  [[nodiscard]] Error misfit() const {
    std::string wanted;
    if constexpr (std::same_as<T, bool>) {
      wanted = "boolean";
    } else if constexpr (std::same_as<T, std::string>) {
      wanted = "text";
    } else if constexpr (std::same_as<T, Bytes>) {
      wanted = "bytes";
    } else if constexpr (std::same_as<T, Json>) {
      wanted = "document";
    } else if constexpr (std::same_as<T, NdArray>) {
      wanted = "array";
    } else if constexpr (facade::ArrayNumber<T>) {
      wanted = to_string(facade::kind_of<T>());
    } else {
      wanted = "array of one dimension of " +
               std::string(to_string(facade::kind_of<typename T::value_type>()));
    }
    std::string value(to_string(type()));
    if (const auto* number = std::get_if<std::int64_t>(&value_))
      value += " " + std::to_string(*number);
    if (const auto* number = std::get_if<std::uint64_t>(&value_))
      value += " " + std::to_string(*number);
    if (const auto* number = std::get_if<double>(&value_)) value += " " + std::to_string(*number);
    if (const auto* array = std::get_if<NdArray>(&value_)) {
      value += " of " + std::string(to_string(array->kind)) + " in " +
               std::to_string(array->shape.size()) + " dimensions";
    }
    return Error(Errc::invalid_argument, "as", "the value is " + value + ", which is no " + wanted);
  }

  template <class From, class To>
  static bool convert(const From& from, To& to) noexcept {
    if constexpr (std::same_as<From, std::int64_t> || std::same_as<From, std::uint64_t>) {
      if constexpr (std::integral<To>) {
        if (!std::in_range<To>(from)) return false;
        to = static_cast<To>(from);
        return true;
      } else {
        // Exact if the bits between the highest and the lowest that are set fit into the fraction.
        const std::uint64_t magnitude = from < From{0}
                                            ? std::uint64_t{0} - static_cast<std::uint64_t>(from)
                                            : static_cast<std::uint64_t>(from);
        if (magnitude != 0 &&
            static_cast<int>(std::bit_width(magnitude)) - std::countr_zero(magnitude) >
                std::numeric_limits<To>::digits) {
          return false;
        }
        to = static_cast<To>(from);
        return true;
      }
    } else if constexpr (std::same_as<From, double> && std::floating_point<To>) {
      if constexpr (sizeof(To) < sizeof(double)) {
        const bool in_range = std::abs(from) <= static_cast<double>(std::numeric_limits<To>::max());
        if (std::isfinite(from) &&
            (!in_range || static_cast<double>(static_cast<To>(from)) != from))
          return false;
      }
      to = static_cast<To>(from);
      return true;
    } else {
      return false;
    }
  }

  Value value_;
};

template <>
struct Codec<Packed> {
  [[nodiscard]] static std::string name() { return "packed"; }
  static constexpr bool ordered = false;

  /// `invalid_argument` for a text that is not UTF-8, a document that cannot be read again, an
  /// array whose shape does not fit its data.
  [[nodiscard]] static Result<void> check(const Packed& value) {
    if (const auto* text = std::get_if<std::string>(&value.value_);
        text != nullptr && !core::is_utf8(*text)) {
      return Unexpected(Error(Errc::invalid_argument, "encode", "a text is not UTF-8"));
    }
    if (const auto* document = std::get_if<Packed::Document>(&value.value_))
      return Codec<Json>::check(document->json);
    if (const auto* array = std::get_if<NdArray>(&value.value_)) return array->check();
    return {};
  }

  static void encode(const Packed& packed, EncodeBuffer& out) {
    out.append(static_cast<std::byte>(packed.type()));
    packed.visit([&](const auto& value) {
      using T = std::remove_cvref_t<decltype(value)>;
      if constexpr (std::same_as<T, bool>) {
        out.append(value ? std::byte{1} : std::byte{0});
      } else if constexpr (std::is_arithmetic_v<T>) {
        append_number(std::bit_cast<std::uint64_t>(value), out);
      } else if constexpr (std::same_as<T, std::string> || std::same_as<T, Bytes>) {
        out.append(value);
      } else if constexpr (std::same_as<T, Packed::Document>) {
        if (const auto bytes = write_json(value.format, value.json)) out.append(*bytes);
      } else if constexpr (std::same_as<T, NdArray>) {
        out.append(static_cast<std::byte>(value.kind));
        out.append(static_cast<std::byte>(value.shape.size()));
        for (const std::uint64_t size : value.shape) append_number(size, out);
        static constexpr std::byte zeros[alignment] = {};
        out.append(BytesView(zeros, padding(value.shape.size())));
        out.append(value.data);
      }
    });
  }

  /// `corrupt` for what no `Packed` is written as.
  [[nodiscard]] static Result<Packed> decode(BytesView bytes) {
    if (bytes.empty()) return refuse("no bytes are no packed value");
    const BytesView rest(bytes.data() + 1, bytes.size() - 1);
    const auto type = static_cast<PackedType>(bytes[0]);
    const auto wrong_size = [&] {
      return refuse(std::to_string(rest.size()) + " bytes are no " + std::string(to_string(type)));
    };
    switch (type) {
      case PackedType::nil:
        return rest.empty() ? Result<Packed>(Packed()) : Result<Packed>(wrong_size());
      case PackedType::boolean:
        if (rest.size() != 1 || static_cast<unsigned>(rest[0]) > 1) return wrong_size();
        return Packed(rest[0] == std::byte{1});
      case PackedType::int64:
        return rest.size() == 8 ? Result<Packed>(Packed(static_cast<std::int64_t>(number(rest))))
                                : Result<Packed>(wrong_size());
      case PackedType::uint64:
        return rest.size() == 8 ? Result<Packed>(Packed(number(rest)))
                                : Result<Packed>(wrong_size());
      case PackedType::float64:
        return rest.size() == 8 ? Result<Packed>(Packed(std::bit_cast<double>(number(rest))))
                                : Result<Packed>(wrong_size());
      case PackedType::text:
        if (!core::is_utf8(rest.view())) return refuse("a text is not UTF-8");
        return Packed(rest.str());
      case PackedType::bytes:
        return Packed(Bytes(rest));
      case PackedType::msgpack:
        return document(JsonFormat::msgpack, rest);
      case PackedType::cbor:
        return document(JsonFormat::cbor, rest);
      case PackedType::json:
        return document(JsonFormat::text, rest);
      case PackedType::array:
        return array(rest);
    }
    return refuse("the type " + std::to_string(static_cast<unsigned>(bytes[0])) +
                  " of a packed value is unknown");
  }

 private:
  static constexpr std::size_t alignment = 64;

  [[nodiscard]] static Unexpected refuse(std::string why) {
    return Unexpected(Error(Errc::corrupt, "decode", std::move(why)));
  }
  static void append_number(std::uint64_t number, EncodeBuffer& out) {
    out.append(BytesView(&number, sizeof(number)));
  }
  [[nodiscard]] static std::uint64_t number(BytesView bytes) noexcept {
    std::uint64_t out = 0;
    std::memcpy(&out, bytes.data(), sizeof(out));
    return out;
  }
  /// Zeros behind the shape.
  [[nodiscard]] static constexpr std::size_t padding(std::size_t dimensions) noexcept {
    return (alignment - (3 + 8 * dimensions) % alignment) % alignment;
  }
  [[nodiscard]] static Result<Packed> document(JsonFormat format, BytesView bytes) {
    Result<Json> json = read_json(format, bytes);
    if (!json) return refuse(json.error().detail());
    return Packed(*std::move(json), format);
  }
  [[nodiscard]] static Result<Packed> array(BytesView bytes) {
    if (bytes.size() < 2) return refuse("the beginning of an array is missing");
    NdArray out;
    out.kind = static_cast<ElementKind>(bytes[0]);
    const auto dimensions = static_cast<std::size_t>(bytes[1]);
    const std::size_t head = 2 + 8 * dimensions + padding(dimensions);
    if (dimensions > NdArray::max_dimensions || bytes.size() < head)
      return refuse("the shape of an array is damaged");
    for (std::size_t i = 0; i < dimensions; ++i)
      out.shape.push_back(number({bytes.data() + 2 + 8 * i, 8}));
    for (std::size_t i = 2 + 8 * dimensions; i < head; ++i) {
      if (bytes[i] != std::byte{0})
        return refuse("there is something between the shape of an array and its numbers");
    }
    out.data = Bytes(BytesView(bytes.data() + head, bytes.size() - head));
    if (auto fits = out.check(); !fits) return refuse(fits.error().detail());
    return Packed(std::move(out));
  }
};

template <>
struct ColumnElementTraits<Packed> : facade::CodecElement<Packed> {};

}  // namespace SNKV_EXPECTED_NAMESPACE
}  // namespace snkv
