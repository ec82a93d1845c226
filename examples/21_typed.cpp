// Keys and values of C++ types: numbers in their order, tuples as an index, own types.
#include "expect.hpp"

#include <snkv/typed.hpp>

#include <cstdint>
#include <string>
#include <tuple>

struct Reading {
  double celsius = 0;
  double humidity = 0;
};

// How a Reading becomes bytes. Another form of it would get another name.
template <>
struct snkv::Codec<Reading> {
  static std::string name() { return "example.Reading"; }
  static constexpr bool ordered = false;
  static void encode(const Reading& reading, EncodeBuffer& out) {
    Codec<double>::encode(reading.celsius, out);
    Codec<double>::encode(reading.humidity, out);
  }
  static Result<Reading> decode(BytesView bytes) {
    if (bytes.size() != 16) return Unexpected(Error(Errc::corrupt, "decode", "no reading"));
    SNKV_TRY(const double celsius, Codec<double>::decode({bytes.data(), 8}));
    SNKV_TRY(const double humidity, Codec<double>::decode({bytes.data() + 8, 8}));
    return Reading{celsius, humidity};
  }
};

int main() {
  auto store = must(snkv::Store::open("typed.db"));

  auto floors = must(snkv::TypedFamily<std::int32_t, std::string>::open(store, "floors"));
  for (const int floor : {10, -2, 0, 9}) must(floors.put(floor, "floor " + std::to_string(floor)));
  auto from_the_ground = floors.from(0);
  for (const auto& [floor, name] : from_the_ground) std::cout << floor << ": " << name << '\n';
  must(from_the_ground.status());
  expect(must(floors.first())->key == -2, "negative numbers come first");

  // Room and time: the readings of one room are together, in the order of time.
  using Readings = snkv::TypedFamily<std::tuple<std::string, std::int64_t>, Reading>;
  auto readings = must(Readings::open(store, "readings"));
  for (const int second : {30, 10, 20}) {
    must(readings.put({"kitchen", second}, {20.0 + second, 40}));
    must(readings.put({"bath", second}, {25, 60.0 + second}));
  }
  auto latest_first = readings.prefix("kitchen").reversed();
  for (const auto& [key, reading] : latest_first) {
    std::cout << std::get<1>(key) << " s: " << reading.celsius << " degrees\n";
  }
  must(latest_first.status());

  // Within a transaction, and for nobody else until it is committed.
  auto transaction = must(store.begin());
  auto inside = must(readings.in(transaction));
  must(inside.merge({"bath", 10}, [](std::optional<Reading> now) {
    now->celsius += 1;
    return now;
  }));
  expect(must(readings.get({"bath", 10})).celsius == 25, "not yet");
  must(transaction.commit());
  expect(must(readings.get({"bath", 10})).celsius == 26, "now");

  // The file knows what its keys and values are.
  auto wrong = snkv::TypedFamily<std::string, std::string>::open(store, "floors");
  expect(!wrong && wrong.error() == snkv::Errc::schema_mismatch,
         "the codecs are those of the file");
  std::cout << wrong.error().message() << '\n';
}
