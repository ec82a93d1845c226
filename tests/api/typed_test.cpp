// Families whose keys and values are C++ types.
#include "support/check.hpp"
#include "support/encrypted.hpp"
#include "support/fake_clock.hpp"
#include "support/store_kind.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>
#include <snkv/typed.hpp>
#include <snkv/write_buffer.hpp>

#include <chrono>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

using namespace snkv;
using namespace snkv::test;
using namespace std::chrono_literals;

namespace {

struct Point {
  int x = 0;
  int y = 0;
  friend bool operator==(const Point&, const Point&) = default;
};

using Numbers = TypedFamily<std::int64_t, std::string>;
using Samples = TypedFamily<std::tuple<std::string, std::int32_t>, double>;

template <class Range>
auto keys_in(Range&& range) {
  std::vector<std::remove_cvref_t<decltype(range.begin()->key)>> out;
  for (const auto& entry : range) out.push_back(entry.key);
  must(range.status());
  return out;
}

}  // namespace

/// As a user would.
template <>
struct snkv::Codec<Point> {
  [[nodiscard]] static std::string name() { return "test.Point"; }
  static constexpr bool ordered = false;
  static void encode(const Point& point, EncodeBuffer& out) {
    Codec<int>::encode(point.x, out);
    Codec<int>::encode(point.y, out);
  }
  [[nodiscard]] static Result<Point> decode(BytesView bytes) {
    if (bytes.size() != 8) return Unexpected(Error(Errc::corrupt, "decode", "no point"));
    SNKV_TRY(const int x, Codec<int>::decode({bytes.data(), 4}));
    SNKV_TRY(const int y, Codec<int>::decode({bytes.data() + 4, 4}));
    return Point{x, y};
  }
};

static_assert(facade::OrderedKey<std::int64_t> && !facade::OrderedKey<Point> &&
              facade::Encodable<Point>);

TEST_CASE("entries of types") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  const TempDir dir;
  FakeClock clock;
  Store store = open_kind(kind, dir, {.clock = clock.source()});
  auto numbers = must(Numbers::open(store, "numbers"));
  CHECK(numbers.name() == "numbers");
  for (const std::int64_t n : {5, -7, 0, 100, -1000}) REQUIRE_OK(numbers.put(n, std::to_string(n)));
  CHECK(must(numbers.get(-7)) == "-7");
  REQUIRE_ERROR(numbers.get(6), Errc::not_found, "get");
  CHECK(must(numbers.contains(100)));
  CHECK_FALSE(must(numbers.contains(6)));
  CHECK(must(numbers.count()) == 5);
  CHECK(keys_in(numbers.all()) == std::vector<std::int64_t>{-1000, -7, 0, 5, 100});
  CHECK(keys_in(numbers.all().reversed()) == std::vector<std::int64_t>{100, 5, 0, -7, -1000});
  CHECK(keys_in(numbers.range(-7, 100)) == std::vector<std::int64_t>{-7, 0, 5});
  CHECK(keys_in(numbers.range(-7, 100).reversed()) == std::vector<std::int64_t>{5, 0, -7});
  CHECK(keys_in(numbers.range(7, 5)).empty());
  CHECK(keys_in(numbers.from(0)) == std::vector<std::int64_t>{0, 5, 100});
  CHECK(keys_in(numbers.until(0)) == std::vector<std::int64_t>{-1000, -7});
  CHECK(must(numbers.count_range(-7, 100)) == 3);
  CHECK(must(numbers.first())->key == -1000);
  CHECK(must(numbers.last())->value == "100");
  const std::int64_t asked[] = {5, 6, -7};
  CHECK(must(numbers.multi_get(asked)) ==
        std::vector<std::optional<std::string>>{"5", std::nullopt, "-7"});

  CHECK(must(numbers.put_if_absent(6, "six")));
  CHECK_FALSE(must(numbers.put_if_absent(6, "seven")));
  CHECK(must(numbers.compare_and_swap(6, "six", "SIX")));
  CHECK_FALSE(must(numbers.compare_and_swap(6, std::nullopt, "x")));
  REQUIRE_OK(numbers.merge(
      6, [](std::optional<std::string> now) { return std::optional<std::string>(*now + "!"); }));
  CHECK(must(numbers.get(6)) == "SIX!");
  REQUIRE_OK(
      numbers.merge(6, [](std::optional<std::string>) { return std::optional<std::string>(); }));
  CHECK_FALSE(must(numbers.contains(6)));
  REQUIRE_ERROR(numbers.merge(5,
                              [](std::optional<std::string>) -> Result<std::optional<std::string>> {
                                return Unexpected(Error(Errc::aborted, "mine", ""));
                              }),
                Errc::aborted, "mine");

  CHECK(must(numbers.erase(5)));
  CHECK_FALSE(must(numbers.erase(5)));
  CHECK(must(numbers.erase_range(-10, 1)) == 2);
  CHECK(must(numbers.pop_first()) == TypedEntry<std::int64_t, std::string>{-1000, "-1000"});
  CHECK(must(numbers.pop_last())->key == 100);
  CHECK_FALSE(must(numbers.pop_last()).has_value());
  CHECK_FALSE(must(numbers.first()).has_value());

  REQUIRE_OK(numbers.put(1, "one", {.ttl = 1s}));
  CHECK(must(numbers.ttl(1)) == 1s);
  REQUIRE_OK(numbers.expire(1, 2s));
  clock.advance(1s);
  CHECK(must(numbers.get(1)) == "one");
  REQUIRE_OK(numbers.persist(1));
  clock.advance(10s);
  CHECK(must(numbers.get(1)) == "one");
  REQUIRE_OK(numbers.clear());
  CHECK(must(numbers.count()) == 0);
}

TEST_CASE("prefixes of tuples and of texts") {
  Store store = must(Store::open_in_memory());
  auto samples = must(Samples::open(store, "samples"));
  for (const char* room : {"bath", "kitchen", "kit"}) {
    for (const int time : {-5, 3, 1}) REQUIRE_OK(samples.put({room, time}, time * 1.5));
  }
  using Key = std::tuple<std::string, std::int32_t>;
  CHECK(keys_in(samples.prefix("kit")) == std::vector<Key>{{"kit", -5}, {"kit", 1}, {"kit", 3}});
  CHECK(keys_in(samples.prefix(std::string("kitchen")).reversed()) ==
        std::vector<Key>{{"kitchen", 3}, {"kitchen", 1}, {"kitchen", -5}});
  CHECK(keys_in(samples.prefix("kit", 1)) == std::vector<Key>{{"kit", 1}});
  CHECK(keys_in(samples.range({"bath", 2}, {"kit", 1})) ==
        std::vector<Key>{{"bath", 3}, {"kit", -5}});
  CHECK(keys_in(samples.prefix("k")).empty());
  CHECK(must(samples.get({"bath", 3})) == 4.5);

  auto texts = must(TypedFamily<std::string, Point>::open(store, "texts"));
  REQUIRE_OK(texts.put("ab", {1, -2}));
  REQUIRE_OK(texts.put("abc", {3, 4}));
  REQUIRE_OK(texts.put("b", {5, 6}));
  CHECK(keys_in(texts.prefix("ab")) == std::vector<std::string>{"ab", "abc"});
  CHECK(must(texts.get("ab")) == Point{1, -2});
  REQUIRE_ERROR(texts.put("", Point{}), Errc::invalid_argument, "put");
}

TEST_CASE("typed families in transactions, snapshots and write buffers") {
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir, {});
  auto numbers = must(Numbers::open(store, "numbers"));
  REQUIRE_OK(numbers.put(1, "one"));
  Snapshot snapshot = must(store.snapshot());
  {
    Transaction transaction = must(store.begin());
    auto inside = must(numbers.in(transaction));
    REQUIRE_OK(inside.put(2, "two"));
    CHECK(must(inside.pop_first())->value == "one");
    CHECK(keys_in(inside.all()) == std::vector<std::int64_t>{2});
    CHECK(keys_in(numbers.all()) == std::vector<std::int64_t>{1});
    auto made = must(Samples::open(transaction, "made here"));
    REQUIRE_OK(made.put({"a", 1}, 1));
    REQUIRE_OK(transaction.commit());
    REQUIRE_ERROR(inside.get(2), Errc::closed, "get");
  }
  CHECK(keys_in(numbers.all()) == std::vector<std::int64_t>{2});
  REQUIRE_ERROR(Numbers::open(store, "made here"), Errc::schema_mismatch, "open");
  auto then = must(numbers.in(snapshot));
  CHECK(keys_in(then.all()) == std::vector<std::int64_t>{1});
  REQUIRE_ERROR(then.put(3, "x"), Errc::read_only, "put");

  WriteBuffer buffer = must(WriteBuffer::open(store));
  auto buffered = must(numbers.in(buffer));
  REQUIRE_OK(buffered.put(3, "three"));
  CHECK(keys_in(buffered.all()) == std::vector<std::int64_t>{2, 3});
  CHECK(keys_in(numbers.all()) == std::vector<std::int64_t>{2});
  CHECK(must(buffered.pop_last())->key == 3);
  CHECK(must(Numbers::of(buffered.family())).name() == "numbers");
  REQUIRE_OK(buffered.put(4, "four"));
  REQUIRE_OK(buffer.close());
  CHECK(keys_in(numbers.all()) == std::vector<std::int64_t>{2, 4});

  Store elsewhere = must(Store::open_in_memory());
  REQUIRE_ERROR(numbers.in(elsewhere), Errc::invalid_argument, "column_family");
}

TEST_CASE("a family is opened with the codecs that it was made with") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  const TempDir dir;
  using Others = TypedFamily<std::uint64_t, std::string>;
  const auto message = [](const auto& result) {
    return result ? std::string() : result.error().message();
  };
  {
    Store store = open_kind(kind, dir);
    must(Numbers::open(store, "numbers"));
    REQUIRE_ERROR(Others::open(store, "numbers"), Errc::schema_mismatch, "open");
    CHECK(message(Others::open(store, "numbers"))
              .find("the family 'numbers' has keys i64 and values text, not u64 and text") !=
          std::string::npos);
    CHECK((message(TypedFamily<std::int64_t, std::vector<float>>::open(store, "numbers"))
               .find("f32[]") != std::string::npos));
    CHECK(must(store.list_column_families()) == std::vector<std::string>{"default", "numbers"});
    REQUIRE_OK(store.verify());
  }
  {
    Store store = open_kind(kind, dir);
    must(Numbers::open(store, "numbers"));
    REQUIRE_ERROR(Others::open(store, "numbers"), Errc::schema_mismatch, "open");
    // A new family of the name is another family.
    REQUIRE_OK(store.drop_column_family("numbers"));
    must(Others::open(store, "numbers"));
    REQUIRE_ERROR(Numbers::open(store, "numbers"), Errc::schema_mismatch, "open");
    // What is not recorded yet is taken as it is, and recorded.
    ColumnFamily plain = must(store.column_family("plain"));
    REQUIRE_OK(plain.put("x", "y"));
    must((TypedFamily<std::string, std::string>::of(plain)));
    REQUIRE_ERROR(Numbers::open(store, "plain"), Errc::schema_mismatch, "open");
  }
  Store reading = must(open_store(
      dir.file("test.db"),
      {.read_only = true, .journal = kind == StoreKind::wal ? Journal::wal : Journal::rollback}));
  CHECK(must(must(TypedFamily<std::string, std::string>::open(reading, "plain")).get("x")) == "y");
  REQUIRE_ERROR(Numbers::open(reading, "numbers"), Errc::schema_mismatch, "open");
  // Nothing is recorded for the default family, and nothing can be.
  must((TypedFamily<std::string, std::string>::of(reading.default_column_family())));
  REQUIRE_ERROR((TypedFamily<std::string, std::string>::of(ColumnFamily())), Errc::closed, "open");
}

TEST_CASE("the names of codecs survive copies of the store") {
  const TempDir dir;
  const std::string file = dir.file("test.db");
  {
    Store store = must(open_store(file));
    must(must(store.column_family("gone")).put("a", "1"));
    must(Numbers::open(store, "numbers"));
    REQUIRE_OK(store.drop_column_family("gone"));
    REQUIRE_OK(store.compact());
    REQUIRE_OK(store.backup(dir.file("copy.db"), BackupOptions{.compact = true}));
    Store copy = must(open_copy(dir.file("copy.db"), store));
    REQUIRE_ERROR(Samples::open(copy, "numbers"), Errc::schema_mismatch, "open");
    must(Numbers::open(copy, "numbers"));
  }
  if (!encrypting()) {
    REQUIRE_OK(Store::encrypt_existing(file, test_secret()));
    Store store = must(Store::open_encrypted(file, test_secret()));
    REQUIRE_ERROR(Samples::open(store, "numbers"), Errc::schema_mismatch, "open");
  }
}

TEST_CASE("what cannot be decoded is an error that names it") {
  Store store = must(Store::open_in_memory());
  auto numbers = must(TypedFamily<std::int32_t, bool>::open(store, "flags"));
  REQUIRE_OK(numbers.put(1, true));
  REQUIRE_OK(numbers.put(3, true));
  EncodeBuffer two;
  Codec<std::int32_t>::encode(2, two);
  REQUIRE_OK(numbers.family().put(two.view(), "maybe"));
  const auto message = [](const auto& result) { return result.error().message(); };
  CHECK(message(numbers.get(2)) ==
        "get: the file is damaged: the value of '\\x80\\x00\\x00\\x02' in the family 'flags': 5 "
        "bytes are no bool");
  const std::int32_t both[] = {1, 2};
  REQUIRE_ERROR(numbers.multi_get(both), Errc::corrupt, "multi_get");
  REQUIRE_ERROR(numbers.merge(2, [](std::optional<bool>) { return std::optional<bool>(true); }),
                Errc::corrupt, "merge");
  auto range = numbers.all();
  std::vector<std::int32_t> seen;
  for (const auto& [key, value] : range) seen.push_back(key);
  CHECK(seen == std::vector<std::int32_t>{1});
  REQUIRE_ERROR(range.status(), Errc::corrupt, "iterate");
  CHECK(must(numbers.pop_first())->key == 1);
  REQUIRE_ERROR(numbers.pop_first(), Errc::corrupt, "pop_first");
  CHECK(must(numbers.contains(2)));
  CHECK(must(numbers.erase(2)));
  REQUIRE_OK(numbers.family().put("\xff no number", "x"));
  REQUIRE_ERROR(numbers.last(), Errc::corrupt, "last");
  REQUIRE_ERROR(numbers.pop_last(), Errc::corrupt, "pop_last");
  for (const auto& entry : range.reversed()) FAIL(entry.key);
  CHECK(keys_in(numbers.until(100)) == std::vector<std::int32_t>{3});
}

TEST_CASE("a typed family against a map") {
  const std::uint64_t seed = 11;
  CAPTURE(seed);
  using Key = std::tuple<std::optional<std::int16_t>, std::string>;
  std::mt19937_64 random(seed);
  Store store = must(Store::open_in_memory());
  auto family = must(TypedFamily<Key, std::int64_t>::open(store, "model"));
  std::map<Key, std::int64_t> model;
  const auto key = [&] {
    std::optional<std::int16_t> number;
    if (random() % 4 != 0) number = static_cast<std::int16_t>(random() % 7) - 3;
    return Key(number, std::string(random() % 3, static_cast<char>(random() % 2)));
  };
  for (int i = 0; i < 5000; ++i) {
    const Key k = key();
    const auto v = static_cast<std::int64_t>(random());
    switch (random() % 8) {
      case 0:
        CHECK(must(family.erase(k)) == (model.erase(k) > 0));
        break;
      case 1: {
        const Key high = key();
        std::vector<TypedEntry<Key, std::int64_t>> expected;
        if (k < high) {
          for (auto it = model.lower_bound(k); it != model.lower_bound(high); ++it)
            expected.push_back({it->first, it->second});
        }
        std::vector<TypedEntry<Key, std::int64_t>> found;
        for (const auto& entry : family.range(k, high)) found.push_back(entry);
        REQUIRE((found == expected));
        break;
      }
      case 2: {
        std::vector<std::int64_t> expected;
        for (const auto& [mk, mv] : model) {
          if (std::get<0>(mk) == std::get<0>(k)) expected.push_back(mv);
        }
        std::vector<std::int64_t> found;
        for (const auto& entry : family.prefix(std::get<0>(k))) found.push_back(entry.value);
        REQUIRE(found == expected);
        break;
      }
      case 3: {
        const auto first = must(family.first());
        REQUIRE(first.has_value() == !model.empty());
        if (first) REQUIRE((first->key == model.begin()->first));
        break;
      }
      case 4:
        if (random() % 4 == 0) {
          const auto popped = must(family.pop_last());
          REQUIRE(popped.has_value() == !model.empty());
          if (popped) {
            REQUIRE((popped->key == std::prev(model.end())->first &&
                     popped->value == std::prev(model.end())->second));
            model.erase(popped->key);
          }
        }
        break;
      default:
        REQUIRE_OK(family.put(k, v));
        model[k] = v;
    }
  }
  CHECK(must(family.count()) == model.size());
}
