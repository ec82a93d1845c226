// Values that know their type, and JSON from anywhere.
#include "support/check.hpp"
#include "support/encrypted.hpp"
#include "support/temp_dir.hpp"

#include <snkv/column.hpp>
#include <snkv/packed.hpp>
#include <snkv/snkv.hpp>
#include <snkv/typed.hpp>

#include <cmath>
#include <limits>
#include <random>
#include <ranges>
#include <string>
#include <vector>

using namespace snkv;
using namespace snkv::test;

namespace {

using Values = TypedFamily<std::string, Packed>;

Bytes encoded(const Packed& value) { return Bytes(facade::Encoded<Packed>(value).view()); }

/// The detail of the error of a `Result`, or "ok".
template <class T>
std::string reason(const Result<T>& result) {
  return result ? "ok" : result.error().detail();
}

Json nested(std::size_t levels) {
  Json json = 1;
  for (std::size_t i = 0; i < levels; ++i) json = Json::array({std::move(json)});
  return json;
}

}  // namespace

TEST_CASE("what is packed comes back as what it was") {
  const TempDir dir;
  Store store = must(open_store(dir.file("a.db")));
  auto values = must(Values::open(store, "values"));
  const std::vector<float> numbers{1.5f, -0.0f, 3, 4, 5, 6};
  const Json json = {{"a", {1, 2.5, "x", nullptr, true}}, {"b", Json::object()}};
  const std::vector<std::pair<Packed, PackedType>> all{
      {Packed(), PackedType::nil},
      {nullptr, PackedType::nil},
      {true, PackedType::boolean},
      {5, PackedType::int64},
      {std::int64_t{1'700'000'000'000}, PackedType::int64},
      {std::numeric_limits<std::int64_t>::max(), PackedType::int64},
      {std::numeric_limits<std::uint64_t>::max(), PackedType::uint64},
      {0.0, PackedType::float64},
      {-0.0, PackedType::float64},
      {std::nan(""), PackedType::float64},
      {1.5f, PackedType::float64},
      {"text \xc3\xa4", PackedType::text},
      {std::string("nul \0 nul", 9), PackedType::text},
      {"", PackedType::text},
      {Bytes(BytesView("\x89K\x01\x02\x00\x00\x00\x00VK", 10)), PackedType::bytes},
      {Packed(BytesView("\x02\xff")), PackedType::bytes},
      {Packed(json), PackedType::msgpack},
      {Packed(json, JsonFormat::cbor), PackedType::cbor},
      {Packed(json, JsonFormat::text), PackedType::json},
      {NdArray::of<float>({2, 3}, numbers), PackedType::array},
      {NdArray::of<std::uint8_t>({0, 5}, {}), PackedType::array},
  };
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto& [value, type] = all[i];
    CAPTURE(i, to_string(type));
    CHECK(value.type() == type);
    CHECK(encoded(value)[0] == static_cast<std::byte>(type));
    REQUIRE_OK(values.put(std::to_string(i), value));
    const Packed back = must(values.get(std::to_string(i)));
    CHECK(back.type() == type);
    CHECK((back == value));
    for (std::size_t k = 0; k < all.size(); ++k) {
      if (k > 1 && i > 1 && k != i) CHECK_FALSE((all[k].first == value));
    }
  }
  CHECK(must(must(values.get("19")).as<NdArray>()).shape == std::vector<std::uint64_t>{2, 3});
  CHECK(must(must(must(values.get("19")).as<NdArray>()).view<float>())[0] == 1.5f);
  REQUIRE_ERROR((TypedFamily<std::string, std::string>::open(store, "values")),
                Errc::schema_mismatch, "open");
}

TEST_CASE("a packed value is read as what fits it") {
  CHECK(must(Packed(5).as<int>()) == 5);
  CHECK(must(Packed(5).as<std::uint8_t>()) == 5);
  CHECK(must(Packed(5u).as<std::int64_t>()) == 5);
  CHECK(must(Packed(5).as<double>()) == 5.0);
  CHECK(must(Packed(1.5).as<float>()) == 1.5f);
  CHECK(std::isnan(must(Packed(std::nan("")).as<float>())));
  CHECK(std::isinf(must(Packed(std::numeric_limits<double>::infinity()).as<float>())));
  CHECK(must(Packed(std::numeric_limits<std::int64_t>::min()).as<double>()) == -0x1p63);
  CHECK(must(Packed("x").as<std::string>()) == "x");
  CHECK(must(Packed(true).as<bool>()));
  CHECK(must(Packed(Json{{"a", 1}}, JsonFormat::text).as<Json>()) == Json{{"a", 1}});
  const std::vector<double> three{1, 2, 3};
  CHECK(must(Packed(NdArray::of<double>({3}, three)).as<std::vector<double>>()) == three);

  CHECK(reason(Packed(300).as<std::uint8_t>()) == "the value is int64 300, which is no u8");
  CHECK(reason(Packed(-1).as<unsigned>()) == "the value is int64 -1, which is no u32");
  CHECK(
      reason(Packed(std::numeric_limits<std::uint64_t>::max()).as<std::int64_t>()).find("no i64") !=
      std::string::npos);
  CHECK(reason(Packed((std::int64_t{1} << 53) + 1).as<double>()).find("no f64") !=
        std::string::npos);
  CHECK(reason(Packed(0.1).as<float>()).find("no f32") != std::string::npos);
  CHECK(reason(Packed(1e300).as<float>()).find("no f32") != std::string::npos);
  CHECK(reason(Packed(1.0).as<int>()).find("no i32") != std::string::npos);
  CHECK(reason(Packed(true).as<int>()) == "the value is boolean, which is no i32");
  CHECK(reason(Packed(1).as<bool>()).find("no boolean") != std::string::npos);
  CHECK(reason(Packed("5").as<int>()) == "the value is text, which is no i32");
  CHECK(reason(Packed("x").as<Bytes>()) == "the value is text, which is no bytes");
  CHECK(reason(Packed(Bytes(BytesView("x"))).as<std::string>()) ==
        "the value is bytes, which is no text");
  CHECK(reason(Packed("{}").as<Json>()) == "the value is text, which is no document");
  CHECK(reason(Packed().as<NdArray>()) == "the value is nil, which is no array");
  CHECK(reason(Packed(NdArray::of<double>({3, 1}, three)).as<std::vector<double>>()) ==
        "the value is array of f64 in 2 dimensions, which is no array of one dimension of f64");
  CHECK(reason(Packed(NdArray::of<double>({3}, three)).as<std::vector<float>>()).find("of f32") !=
        std::string::npos);
  CHECK(reason(NdArray::of<double>({3}, three).view<float>()) == "an array of f64, not of f32");
  CHECK(Packed(7).visit([](const auto& value) {
    using T = std::remove_cvref_t<decltype(value)>;
    return std::is_same_v<T, std::int64_t>;
  }));
}

TEST_CASE("what cannot be packed is refused and changes nothing") {
  Store store = must(Store::open_in_memory());
  auto values = must(Values::open(store, "values"));
  REQUIRE_OK(values.put("a", 1));
  const std::vector<float> five(5);
  const Packed bad[] = {
      Packed("\xff"),
      Packed(Json("\xc0\x80")),
      Packed(Json{{"\xff", 1}}),
      Packed(nested(max_json_depth + 1)),
      Packed(nested(max_json_depth + 1), JsonFormat::text),
      Packed(NdArray::of<float>({2, 3}, five)),
      Packed(NdArray::of<float>({std::uint64_t{1} << 62, 4}, five)),
      Packed(NdArray{static_cast<ElementKind>(10), {1}, Bytes(BytesView("x"))}),
      Packed(NdArray::of<float>(std::vector<std::uint64_t>(33, 1), std::span(five).first(1))),
  };
  for (const Packed& value : bad) {
    CAPTURE(&value - bad);
    REQUIRE_ERROR(values.put("a", value), Errc::invalid_argument, "put");
    REQUIRE_ERROR(values.put_if_absent("b", value), Errc::invalid_argument, "put_if_absent");
    REQUIRE_ERROR(values.compare_and_swap("a", Packed(1), value), Errc::invalid_argument,
                  "compare_and_swap");
    REQUIRE_ERROR(
        values.merge("a", [&](std::optional<Packed>) { return std::optional<Packed>(value); }),
        Errc::invalid_argument, "merge");
  }
  CHECK(reason(values.put("a", bad[3])) ==
        "the value of 'a' in the family 'values': is nested too deeply: more than 64 levels");
  CHECK(reason(values.put("a", bad[5])) ==
        "the value of 'a' in the family 'values': 20 bytes are no f32[2,3]");
  CHECK((must(values.get("a")) == Packed(1)));
  CHECK_FALSE(must(values.contains("b")));
  REQUIRE_OK(values.put("deep", Packed(nested(max_json_depth))));
  CHECK((must(values.get("deep")) == Packed(nested(max_json_depth))));
}

TEST_CASE("bytes that are no packed value are refused") {
  const auto refused = [](const std::string& bytes) {
    return reason(Codec<Packed>::decode(bytes));
  };
  CHECK(refused("") == "no bytes are no packed value");
  CHECK(refused(std::string("\x00x", 2)) == "1 bytes are no nil");
  CHECK(refused("\x01\x02") == "1 bytes are no boolean");
  CHECK(refused("\x02"
                "1234567") == "7 bytes are no int64");
  CHECK(refused("\x03") == "0 bytes are no uint64");
  CHECK(refused("\x04"
                "123456789") == "9 bytes are no float64");
  CHECK(refused("\x05\xed\xa0\x80") == "a text is not UTF-8");
  CHECK(refused("\x07\xa1\xff") == "a text is not UTF-8");
  CHECK(refused("\x08\xa1\x61\xff\x01") == "a text is not UTF-8");
  CHECK(refused("\x0b") == "the type 11 of a packed value is unknown");
  CHECK(refused("\x07\x93\x01\x02") == "not valid MessagePack at byte 4");
  CHECK(refused("\x08\x83") == "not valid CBOR at byte 2");
  CHECK(refused("\x09{\"a\":1,}") == "not valid JSON at byte 8");
  CHECK(refused("\x09{} {}").find("not valid JSON") == 0);
  CHECK(refused("\x07" + std::string(100'000, '\x91')) == "nested too deeply: more than 64 levels");
  CHECK(refused("\x08" + std::string(100'000, '\x81')) == "nested too deeply: more than 64 levels");
  CHECK(refused("\x09" + std::string(100'000, '[')) == "nested too deeply: more than 64 levels");
  // A length that is not there takes no memory.
  CHECK(refused("\x07\xdd\xff\xff\xff\xff").find("not valid MessagePack") == 0);

  const std::vector<std::uint16_t> numbers{1, 2, 3, 4};
  const std::string array = encoded(Packed(NdArray::of<std::uint16_t>({2, 2}, numbers))).str();
  CHECK(array.size() == 64 + 8);
  CHECK(refused(array) == "ok");
  CHECK(refused(array.substr(0, 1)) == "the beginning of an array is missing");
  CHECK(refused(array.substr(0, 60)) == "the shape of an array is damaged");
  CHECK(refused(array.substr(0, 70)) == "6 bytes are no u16[2,2]");
  for (const auto& [at, byte, why] :
       {std::tuple<std::size_t, char, const char*>{1, 12, "the kind 12 is unknown"},
        {2, 33, "the shape of an array is damaged"},
        {3, 3, "8 bytes are no u16[3,2]"},
        {40, 1, "there is something between the shape of an array and its numbers"}}) {
    std::string damaged = array;
    damaged[at] = byte;
    CHECK(refused(damaged) == why);
  }
}

TEST_CASE("any bytes are a packed value or an error") {
  const std::uint64_t seed = 3;
  CAPTURE(seed);
  std::mt19937_64 random(seed);
  std::size_t accepted = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes(random() % 90, '\0');
    for (char& c : bytes) c = random() % 3 == 0 ? '\0' : static_cast<char>(random());
    if (!bytes.empty()) bytes[0] = static_cast<char>(random() % 12);
    const auto decoded = Codec<Packed>::decode(bytes);
    if (!decoded) continue;
    ++accepted;
    // What was read can be written, and read again.
    REQUIRE_OK(Codec<Packed>::check(*decoded));
    const auto again = Codec<Packed>::decode(encoded(*decoded));
    REQUIRE(again.has_value());
    REQUIRE((*again == *decoded));
  }
  CHECK(accepted > 1000);
}

TEST_CASE("documents of any format") {
  for (const JsonFormat format : {JsonFormat::text, JsonFormat::msgpack, JsonFormat::cbor}) {
    const Json json = {{"numbers", {1, -1, 0.5, std::numeric_limits<std::uint64_t>::max()}},
                       {"nested", {{"a", Json::array()}, {"b", Json::object()}}},
                       {"text", "\xc3\xa4\n"},
                       {"nothing", nullptr}};
    CHECK(must(read_json(format, must(write_json(format, json)))) == json);
    REQUIRE_ERROR(write_json(format, Json("\xff")), Errc::invalid_argument, "write_json");
    REQUIRE_ERROR(read_json(format, ""), Errc::invalid_argument, "read_json");
  }
  CHECK(reason(read_json(JsonFormat::text, "[1, 2")) == "not valid JSON at byte 6");
  CHECK(must(read_json(JsonFormat::text, R"({"a":1,"a":2})")) == Json{{"a", 2}});
  Store store = must(Store::open_in_memory());
  auto documents = must(TypedFamily<std::int32_t, Json>::open(store, "documents"));
  REQUIRE_OK(documents.put(1, {{"title", "Trees"}}));
  CHECK(must(documents.get(1))["title"] == "Trees");
  REQUIRE_ERROR(documents.put(1, Json("\xff")), Errc::invalid_argument, "put");
  REQUIRE_OK(documents.family().put(BytesView("\x80\x00\x00\x02", 4), "\xc1"));
  REQUIRE_ERROR(documents.get(2), Errc::corrupt, "get");
}

TEST_CASE("columns of documents and of packed values") {
  const TempDir dir;
  Store store = must(open_store(dir.file("a.db")));
  auto documents = must(Column<Json>::open(store, "documents"));
  REQUIRE_OK(documents.append({{"n", 1}}));
  REQUIRE_OK(documents.extend(std::vector<Json>{2, "three", nullptr}));
  CHECK(must(documents.at(0))["n"] == 1);
  CHECK(must(documents.slice(1)) == std::vector<Json>{2, "three", nullptr});
  auto values = must(Column<Packed>::open(store, "values"));
  REQUIRE_OK(values.extend(std::vector<Packed>{1, "two", 3.0, Packed(Json{{"four", 4}})}));
  CHECK((must(values.at(1)) == Packed("two")));
  CHECK((must(values.at(-1)) == Packed(Json{{"four", 4}})));
  REQUIRE_ERROR(Column<Packed>::open(store, "documents"), Errc::schema_mismatch, "column");

  const Packed bad("\xff");
  const Packed some[] = {5, bad};
  REQUIRE_ERROR(values.append(bad), Errc::invalid_argument, "column append");
  REQUIRE_ERROR(values.extend(some), Errc::invalid_argument, "column extend");
  REQUIRE_ERROR(
      values.extend(some | std::views::transform([](const Packed& value) { return value; })),
      Errc::invalid_argument, "column extend");
  REQUIRE_ERROR(values.set(0, bad), Errc::invalid_argument, "column set");
  REQUIRE_ERROR(values.replace(0, some), Errc::invalid_argument, "column replace");
  REQUIRE_ERROR(values.splice(0, 1, some), Errc::invalid_argument, "column splice");
  REQUIRE_ERROR(values.insert(0, some), Errc::invalid_argument, "column insert");
  REQUIRE_ERROR(values.resize(10, bad), Errc::invalid_argument, "column resize");
  CHECK(reason(values.append(bad)) == "values: a text is not UTF-8");
  CHECK(must(values.size()) == 4);
  REQUIRE_ERROR(documents.append(nested(max_json_depth + 1)), Errc::invalid_argument,
                "column append");
  REQUIRE_OK(store.verify());
}
