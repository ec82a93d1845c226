// Codecs: what is encoded comes back, and the bytes of ordered types have the order of the values.
//
//     SNKV_CODEC_PAIRS=1000000 test_codec    # random pairs of each type; the default is fewer
#include "support/check.hpp"

#include <snkv/codec.hpp>

#include <chrono>
#include <cmath>
#include <compare>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <optional>
#include <random>
#include <string>
#include <tuple>
#include <vector>

using namespace snkv;
using namespace snkv::test;
using std::chrono::milliseconds;

namespace {

enum class Colour : std::int16_t { red = -3, green = 0, blue = 1000 };

template <class T>
Bytes encoded(const T& value) {
  return Bytes(facade::Encoded<T>(value).view());
}

/// Values of a type, those at the edges often.
class Source {
 public:
  explicit Source(std::uint64_t seed) : random_(seed) {}

  template <class T>
  T next() {
    return make(static_cast<T*>(nullptr));
  }

 private:
  template <class T>
  requires(std::integral<T> && !std::same_as<T, bool>) T make(T*) {
    switch (random_() % 4) {
      case 0:
        return std::numeric_limits<T>::min();
      case 1:
        return static_cast<T>(random_() % 5) - static_cast<T>(2);
      case 2:
        return std::numeric_limits<T>::max();
      default:
        return static_cast<T>(random_());
    }
  }
  bool make(bool*) { return random_() % 2 == 0; }
  template <std::floating_point T>
  T make(T*) {
    constexpr T special[] = {0,
                             -T(0),
                             std::numeric_limits<T>::infinity(),
                             -std::numeric_limits<T>::infinity(),
                             std::numeric_limits<T>::quiet_NaN(),
                             std::numeric_limits<T>::denorm_min(),
                             -std::numeric_limits<T>::denorm_min(),
                             std::numeric_limits<T>::lowest(),
                             1,
                             -1};
    if (random_() % 2 == 0) return special[random_() % std::size(special)];
    if constexpr (sizeof(T) == 4)
      return std::bit_cast<float>(static_cast<std::uint32_t>(random_()));
    return static_cast<T>(std::bit_cast<double>(random_()));
  }
  Colour make(Colour*) {
    constexpr Colour all[] = {Colour::red, Colour::green, Colour::blue};
    return all[random_() % 3];
  }
  /// Few different bytes, NULs and FFs among them, so that one is often the beginning of another.
  std::string make(std::string*) {
    std::string out;
    for (std::size_t size = random_() % 6; size > 0; --size)
      out += std::string(
          "\x00\x01\xff"
          "ab",
          5)[random_() % 5];
    return out;
  }
  Bytes make(Bytes*) { return Bytes(BytesView(make(static_cast<std::string*>(nullptr)))); }
  template <class Count, class Period>
  std::chrono::duration<Count, Period> make(std::chrono::duration<Count, Period>*) {
    return std::chrono::duration<Count, Period>(next<Count>());
  }
  template <class D>
  std::chrono::time_point<std::chrono::system_clock, D> make(
      std::chrono::time_point<std::chrono::system_clock, D>*) {
    return std::chrono::time_point<std::chrono::system_clock, D>(next<D>());
  }
  template <class T>
  std::optional<T> make(std::optional<T>*) {
    if (random_() % 3 == 0) return {};
    return next<T>();
  }
  template <class... Ts>
  std::tuple<Ts...> make(std::tuple<Ts...>*) {
    return std::tuple<Ts...>{next<Ts>()...};
  }
  template <class T, class U>
  std::pair<T, U> make(std::pair<T, U>*) {
    return {next<T>(), next<U>()};
  }

  std::mt19937_64 random_;
};

/// The order that the bytes must have: `<=>`, but for floating point.
template <class T>
std::weak_ordering order(const T& a, const T& b) {
  return a <=> b;
}
/// `char` counts as unsigned, whatever it is here.
template <std::same_as<char> T>
std::weak_ordering order(const T& a, const T& b) {
  return static_cast<unsigned char>(a) <=> static_cast<unsigned char>(b);
}
template <std::floating_point T>
std::weak_ordering order(const T& a, const T& b) {
  return std::strong_order(a, b);
}
template <class Count, class Period>
std::weak_ordering order(const std::chrono::duration<Count, Period>& a,
                         const std::chrono::duration<Count, Period>& b) {
  return order(a.count(), b.count());
}
std::weak_ordering order(const std::string& a, const std::string& b) {
  return BytesView(a) <=> BytesView(b);
}
template <class T>
std::weak_ordering order(const std::optional<T>& a, const std::optional<T>& b) {
  if (!a || !b) return a.has_value() <=> b.has_value();
  return order(*a, *b);
}
template <class... Ts>
std::weak_ordering order(const std::tuple<Ts...>& a, const std::tuple<Ts...>& b) {
  std::weak_ordering out = std::weak_ordering::equivalent;
  [&]<std::size_t... i>(std::index_sequence<i...>) {
    ((out = std::is_neq(out) ? out : order(std::get<i>(a), std::get<i>(b))), ...);
  }
  (std::index_sequence_for<Ts...>());
  return out;
}
template <class T, class U>
std::weak_ordering order(const std::pair<T, U>& a, const std::pair<T, U>& b) {
  return order(std::tuple<T, U>(a.first, a.second), std::tuple<T, U>(b.first, b.second));
}

std::size_t pairs() {
  const char* asked = std::getenv("SNKV_CODEC_PAIRS");
  return asked == nullptr ? 20'000 : std::stoul(asked);
}

}  // namespace

TEMPLATE_TEST_CASE("bytes have the order of the values", "", std::uint8_t, std::uint16_t,
                   std::uint32_t, std::uint64_t, std::int8_t, std::int16_t, std::int32_t,
                   std::int64_t, long long, char, bool, float, double, Colour, std::string, Bytes,
                   milliseconds, std::chrono::duration<double>,
                   (std::chrono::time_point<std::chrono::system_clock, milliseconds>),
                   std::optional<std::int32_t>, std::optional<std::string>,
                   (std::tuple<std::int64_t, std::string>), (std::tuple<std::string, std::int64_t>),
                   (std::tuple<std::string, std::string, std::string>),
                   (std::tuple<std::optional<std::string>, double, bool>),
                   (std::pair<Bytes, std::uint16_t>),
                   (std::tuple<std::tuple<std::string, std::string>, std::string>),
                   (std::optional<std::tuple<std::string, std::int8_t>>)) {
  static_assert(facade::OrderedKey<TestType>);
  constexpr std::uint64_t seed = 7;
  CAPTURE(seed, Codec<TestType>::name());
  Source source(seed);
  std::size_t wrong = 0;
  const std::size_t count = pairs();
  for (std::size_t i = 0; i < count; ++i) {
    const auto a = source.next<TestType>();
    const auto b = source.next<TestType>();
    const Bytes of_a = encoded(a);
    const Bytes of_b = encoded(b);
    wrong += std::weak_ordering(of_a <=> of_b) != order(a, b);
    const auto back = Codec<TestType>::decode(of_a);
    wrong += !back || std::is_neq(order(*back, a));
    if constexpr (facade::HasFixedSize<TestType>)
      wrong += of_a.size() != Codec<TestType>::fixed_size;
  }
  CHECK(wrong == 0);
}

TEST_CASE("the first elements of a tuple are a prefix of it, and of no other") {
  using Key = std::tuple<std::string, std::int32_t, std::string>;
  Source source(8);
  for (int i = 0; i < 20'000; ++i) {
    const auto key = source.next<Key>();
    const auto first = source.next<std::string>();
    EncodeBuffer prefix;
    facade::encode_part(first, prefix);
    const bool is_prefix = BytesView(encoded(key)).starts_with(prefix.view());
    if (is_prefix != (std::get<0>(key) == first)) FAIL(BytesView(encoded(key)).str());
  }
}

TEST_CASE("bytes in the file are what the documentation says") {
  const auto hex = [](const auto& value) {
    std::string out;
    for (const std::byte byte : encoded(value)) {
      constexpr char digits[] = "0123456789abcdef";
      out += digits[static_cast<unsigned>(byte) >> 4];
      out += digits[static_cast<unsigned>(byte) & 15];
    }
    return out;
  };
  CHECK(hex(std::uint32_t{258}) == "00000102");
  CHECK(hex(std::int16_t{-1}) == "7fff");
  CHECK(hex(std::int16_t{1}) == "8001");
  CHECK(hex(1.0) == "bff0000000000000");
  CHECK(hex(-1.0) == "400fffffffffffff");
  CHECK(hex(true) == "01");
  CHECK(hex(Colour::blue) == "83e8");
  CHECK(hex(std::string("a\0b", 3)) == "610062");
  CHECK(hex(std::optional<std::uint8_t>()) == "00");
  CHECK(hex(std::optional<std::uint8_t>(7)) == "0107");
  CHECK(hex(std::tuple(std::uint8_t{1}, std::string("a\0b", 3), std::uint8_t{2})) ==
        "016100ff62000102");
  CHECK(hex(std::array<std::uint16_t, 2>{1, 2}) == "01000200");
  CHECK(hex(std::vector<float>{1.0f}) == "0000803f");
  CHECK(hex(milliseconds(-1)) == "7fffffffffffffff");

  CHECK(Codec<std::tuple<std::uint64_t, std::string>>::name() == "(u64,text)");
  CHECK(Codec<std::optional<double>>::name() == "f64?");
  CHECK(Codec<std::array<float, 3>>::name() == "f32[3]");
  CHECK(Codec<std::vector<std::int8_t>>::name() == "i8[]");
  CHECK(Codec<milliseconds>::name() == "time(1/1000)");
  CHECK(Codec<std::chrono::duration<double>>::name() == "ftime(1/1)");
  CHECK(Codec<Colour>::name() == "i16");
}

TEST_CASE("bytes that no encoder made are refused") {
  const auto refused = []<class T>(T*, BytesView bytes) {
    const auto decoded = Codec<T>::decode(bytes);
    return !decoded && decoded.error() == Errc::corrupt && !decoded.error().detail().empty();
  };
  CHECK(refused(static_cast<std::uint32_t*>(nullptr), "abc"));
  CHECK(refused(static_cast<std::int64_t*>(nullptr), ""));
  CHECK(refused(static_cast<double*>(nullptr), "123456789"));
  CHECK(refused(static_cast<bool*>(nullptr), "\x02"));
  CHECK(refused(static_cast<bool*>(nullptr), ""));
  CHECK(refused(static_cast<Colour*>(nullptr), "1"));
  CHECK(refused(static_cast<milliseconds*>(nullptr), "1234567"));
  CHECK(refused(static_cast<std::optional<bool>*>(nullptr), ""));
  CHECK(refused(static_cast<std::optional<bool>*>(nullptr), "\x02"));
  CHECK(refused(static_cast<std::optional<bool>*>(nullptr), "\x01\x02"));
  CHECK(refused(static_cast<std::array<float, 2>*>(nullptr), "1234567"));
  CHECK(refused(static_cast<std::vector<float>*>(nullptr), "123"));
  using Pair = std::tuple<std::string, std::uint8_t>;
  Pair* const pair = nullptr;
  CHECK(refused(pair, ""));
  CHECK(refused(pair, "abc"));
  CHECK(refused(pair, BytesView("a\0", 2)));
  CHECK(refused(pair, BytesView("a\0\x02", 3)));
  CHECK(refused(pair, BytesView("a\0\x01", 3)));
  CHECK(refused(pair, BytesView("a\0\x01"
                                "bc",
                                5)));
  CHECK_FALSE(refused(pair, BytesView("a\0\x01"
                                      "b",
                                      4)));
}

TEST_CASE("an encode buffer grows") {
  EncodeBuffer buffer;
  std::string expected;
  for (int i = 0; i < 1000; ++i) {
    const std::string piece(static_cast<std::size_t>(i % 7), static_cast<char>('a' + i % 26));
    buffer.append(piece);
    expected += piece;
    REQUIRE(buffer.view() == expected);
  }
}
