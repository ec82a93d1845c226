// A collection in a store: what is kept where, what comes of errors, and what a handle is worth
// after its collection is gone.
#include "support/check.hpp"
#include "support/fake_clock.hpp"
#include "support/store_kind.hpp"
#include "support/temp_dir.hpp"
#include "vector/open_vectors.hpp"
#include "vector/vectors.hpp"

#include <snkv/vector/store.hpp>

#include <algorithm>
#include <array>
#include <limits>
#include <string>
#include <vector>

namespace snkv::test {
namespace {

using namespace std::chrono_literals;
using Point = std::array<float, 2>;

VectorStore<2, L2> open_points(const Store& store, VectorStoreOptions options = {}) {
  return must(VectorStore<2, L2>::open(store, options));
}

std::vector<std::string> found_keys(const VectorOperations& handle, Point at, std::size_t k = 10) {
  std::vector<std::string> keys;
  for (const VectorKey& hit : must(handle.search_keys(at, k))) keys.push_back(hit.key);
  return keys;
}

TEST_CASE("a collection is fixed to its dimensions, metric and dtype", "[vector][store]") {
  const Store store = must(Store::open_in_memory());
  const auto made = must(VectorStore<>::create(
      store, {.name = "c", .dim = 3, .metric = Metric::l2, .dtype = ElementType::f16, .m = 8}));
  REQUIRE_ERRC(VectorStore<>::create(store, {.name = "c", .dim = 3}), Errc::exists);
  REQUIRE_ERRC(VectorStore<4>::open(store, {.name = "c"}), Errc::dimension_mismatch);
  REQUIRE_ERRC((VectorStore<3, Cosine>::open(store, {.name = "c"})), Errc::metric_mismatch);
  REQUIRE_ERRC(VectorStore<>::open(store, {.name = "c", .dtype = ElementType::i8}),
               Errc::dtype_mismatch);
  // Options that contradict the type.
  REQUIRE_ERRC(VectorStore<3>::open(store, {.name = "c", .dim = 4}), Errc::dimension_mismatch);
  REQUIRE_ERRC((VectorStore<3, L2>::open(store, {.name = "c", .metric = Metric::cosine})),
               Errc::metric_mismatch);
  REQUIRE_ERRC((VectorStore<3, L2>::check({.metric = Metric::cosine})), Errc::metric_mismatch);
  const VectorInfo info = must(must(VectorStore<>::open(store, {.name = "c", .m = 32})).info());
  CHECK(info.dim == 3);
  CHECK(info.metric == Metric::l2);
  CHECK(info.dtype == ElementType::f16);
  CHECK(info.m == 8);
  CHECK(info.ef_construction == 128);
  CHECK(info.ef_search == 64);
  CHECK(must(must(VectorStore<>::open(store, {.name = "c", .ef_search = 9})).info()).ef_search ==
        9);
}

TEST_CASE("options out of their range make no collection", "[vector][store]") {
  const Store store = must(Store::open_in_memory());
  const VectorStoreOptions bad[] = {
      {.dim = 0},
      {.dim = max_dimension + 1},
      {.dim = 2, .m = 1},
      {.dim = 2, .m = 65},
      {.dim = 2, .ef_construction = 3},
      {.dim = 2, .ef_search = 0},
      {.dim = 2, .metric = static_cast<Metric>(9)},
      {.dim = 2, .dtype = static_cast<ElementType>(9)},
      {.name = "", .dim = 2},
      {.name = "snkv_mine", .dim = 2},
      {.name = std::string_view("a\0b", 3), .dim = 2},
  };
  for (const VectorStoreOptions& options : bad) {
    REQUIRE_ERROR(VectorStore<>::open(store, options), Errc::invalid_argument, "open");
  }
  REQUIRE_ERRC(VectorStore<>::open(store, {.dim = 2, .create_if_missing = false}), Errc::not_found);
  CHECK(must(VectorCollections(store).list()).empty());
  CHECK(must(store.list_column_families()) == std::vector<std::string>{"default"});
}

TEST_CASE("the tables of a collection are hidden, and belong to a sound store", "[vector][store]") {
  const TempDir dir;
  Store store = must(open_store(dir.file("a.db")));
  auto points = open_points(store, {.name = "p"});
  must(points.put("a", Point{1, 2}, {.value = "v", .metadata = {{"x", 1}}, .ttl = 1h}));
  must(points.put("b", Point{3, 4}));
  must(points.erase("b"));
  CHECK(must(store.list_column_families()) == std::vector<std::string>{"default", "p"});
  REQUIRE_ERRC(store.open_column_family("snkv_vectors"), Errc::invalid_argument);
  REQUIRE_ERRC(store.drop_column_family("snkv_vector_1_items"), Errc::invalid_argument);
  REQUIRE_ERRC(store.write(WriteBatch().in_family("snkv_vector_1_items").put("k", "v")),
               Errc::not_found);
  must(store.verify());
  must(store.compact());
  CHECK(found_keys(points, {1, 2}) == std::vector<std::string>{"a"});
  must(store.backup(dir.file("b.db")));
  const auto copy = must(open_vectors<VectorStore<2, L2>>(
      dir.file("b.db"), {.name = "p", .create_if_missing = false}));
  CHECK(found_keys(copy, {1, 2}) == std::vector<std::string>{"a"});
  CHECK(must(copy.get("a")).view() == "v");
  must(copy.store().verify());
}

TEST_CASE("changes to the tables of a collection are told to nobody", "[vector][store]") {
  Store store = must(Store::open_in_memory({.change_history = 100}));
  auto points = open_points(store, {.name = "p"});
  const std::uint64_t before = must(store.sequence());
  must(points.put("a", Point{1, 2}, {.value = "v"}));
  const auto changes = must(store.changes_since(before));
  REQUIRE(changes.size() == 1);
  CHECK(changes[0].family == "p");
}

TEST_CASE("metadata and value that are not given stay", "[vector][store]") {
  const Store store = must(Store::open_in_memory());
  auto points = open_points(store);
  must(points.put("a", Point{1, 2}, {.value = "v", .metadata = {{"x", 1}}}));
  must(points.put("a", Point{5, 6}));
  CHECK(must(points.get_metadata("a")) == Json{{"x", 1}});
  CHECK(must(points.get("a")).view() == "v");
  must(points.put("a", Point{5, 6}, {.metadata = Json::object()}));
  CHECK(must(points.get_metadata("a")).is_null());
  CHECK(must(points.stats()).with_metadata == 0);

  must(points.update("a", {.metadata = {{"y", 2}}}));
  CHECK(must(points.get_vector("a")) == std::vector<float>{5, 6});
  must(points.update("a", {.value = "w", .ttl = 1h}));
  CHECK(must(points.get_item("a")).expires_at.has_value());
  must(points.update("a", {.vector = Point{7, 8}}));
  const VectorRecord record = must(points.get_item("a"));
  CHECK(record.expires_at.has_value());  // an update of the vector leaves it alone
  CHECK(record.value->view() == "w");
  CHECK(record.metadata == Json{{"y", 2}});
  must(points.put("a", Point{7, 8}));  // a put does not
  CHECK_FALSE(must(points.get_item("a")).expires_at.has_value());
  CHECK_FALSE(must(must(points.values()).ttl("a")).has_value());

  REQUIRE_ERRC(points.update("b", {.value = "w"}), Errc::not_found);
  REQUIRE_ERRC(points.update("a", {}), Errc::invalid_argument);
  // An entry without a value.
  must(points.put("c", Point{1, 1}));
  REQUIRE_ERRC(points.get("c"), Errc::not_found);
  CHECK_FALSE(must(points.search(Point{1, 1}, 1))[0].value.has_value());
}

TEST_CASE("what cannot be stored is refused and changes nothing", "[vector][store]") {
  Store store = must(Store::open_in_memory());
  auto points = must(VectorStore<2, Cosine>::open(store));
  must(points.put("a", Point{1, 2}, {.metadata = {{"x", 1}}}));
  const std::uint64_t sequence = must(points.stats()).sequence;
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  constexpr float infinity = std::numeric_limits<float>::infinity();
  REQUIRE_ERRC(points.put("a", std::array<float, 3>{1, 2, 3}), Errc::dimension_mismatch);
  REQUIRE_ERRC(points.put("a", Point{nan, 1}), Errc::bad_vector);
  REQUIRE_ERRC(points.put("a", Point{1, infinity}), Errc::bad_vector);
  REQUIRE_ERRC(points.put("a", Point{0, 0}), Errc::bad_vector);
  REQUIRE_ERRC(points.put("", Point{1, 1}), Errc::invalid_argument);
  REQUIRE_ERRC(points.put(std::string(max_key_size + 1, 'k'), Point{1, 1}), Errc::too_large);
  REQUIRE_ERRC(points.put("a", Point{1, 1}, {.metadata = Json::array({1})}),
               Errc::invalid_argument);
  REQUIRE_ERRC(points.put("a", Point{1, 1}, {.metadata = {{"t", "\xff"}}}), Errc::invalid_argument);
  must(points.put("fffd", Point{1, 1}, {.metadata = {{"t", "\xef\xbf\xbd"}}}));
  must(points.erase("fffd"));
  Json deep;
  for (int i = 0; i < 100; ++i) deep = Json{{"d", deep}};
  REQUIRE_ERRC(points.put("a", Point{1, 1}, {.metadata = deep}), Errc::invalid_argument);
  REQUIRE_ERRC(points.put("a", Point{1, 1}, {.ttl = 0ms}), Errc::invalid_argument);
  REQUIRE_ERRC(points.put("a", Point{1, 1}, {.ttl = 1ms, .expires_at = TimePoint(1ms)}),
               Errc::invalid_argument);
  REQUIRE_ERRC(points.search(Point{1, 1}, 0), Errc::invalid_argument);
  REQUIRE_ERRC(points.search(Point{1, 1}, 1, {.ef = 65537}), Errc::invalid_argument);
  REQUIRE_ERRC(points.search(Point{1, 1}, 1, {.oversample = 0}), Errc::invalid_argument);
  REQUIRE_ERRC(points.search(Point{1, 1}, 1, {.max_distance = nan}), Errc::invalid_argument);
  REQUIRE_ERRC(points.search(Point{nan, 1}), Errc::bad_vector);
  REQUIRE_ERRC(points.search_radius(Point{1, 1}, nan), Errc::invalid_argument);
  REQUIRE_ERRC(points.erase_if(VectorPredicate()), Errc::invalid_argument);
  CHECK(must(points.stats()).sequence == sequence + 2);  // those of "fffd"
  CHECK(must(points.get_vector("a")) == std::vector<float>{1, 2});
  CHECK(must(points.get_metadata("a")) == Json{{"x", 1}});

  const VectorOperations nothing;
  REQUIRE_ERRC(nothing.size(), Errc::closed);
  REQUIRE_ERRC(nothing.search(Point{1, 1}), Errc::closed);
}

TEST_CASE("keys that the store makes are new, and in the order of time", "[vector][store]") {
  FakeClock clock;
  auto points = must(
      VectorStore<2, L2>::open_in_memory({.name = "made", .store = {.clock = clock.source()}}));
  std::vector<std::string> keys;
  for (int i = 0; i < 200; ++i) {
    const std::vector<float> vector{static_cast<float>(i), 1};
    keys.push_back(must(points.put_new(vector, {.metadata = {{"i", i}}})));
    if (i % 50 == 49) clock.advance(std::chrono::milliseconds(1));
  }
  CHECK(std::is_sorted(keys.begin(), keys.end()));
  CHECK(must(points.ids()) == keys);
  CHECK(keys.front().size() == 26);
  CHECK(must(points.get_metadata(keys[7]))["i"] == 7);
  const std::vector<float> wrong{1, 2, 3};
  REQUIRE_ERRC(points.put_new(wrong), Errc::dimension_mismatch);
  REQUIRE_ERRC(VectorStore<>().put_new(wrong), Errc::closed);
  CHECK(must(points.size()) == 200);
}

TEST_CASE("a batch is all or nothing", "[vector][store]") {
  Store store = must(Store::open_in_memory());
  auto points = open_points(store);
  const Point one{1, 1};
  const Point two{2, 2};
  const std::array<float, 3> three{3, 3, 3};
  const std::array<VectorItem, 2> bad_dimension{VectorItem{"a", one}, VectorItem{"b", three}};
  REQUIRE_ERRC(points.put_batch(bad_dimension), Errc::dimension_mismatch);
  const std::array<VectorItem, 2> bad_metadata{
      VectorItem{"a", one}, VectorItem{.key = "b", .vector = two, .metadata = 7}};
  REQUIRE_ERRC(points.put_batch(bad_metadata), Errc::invalid_argument);
  const std::array<VectorItem, 2> twice{VectorItem{.key = "a", .vector = one, .value = "1"},
                                        VectorItem{.key = "a", .vector = two, .value = "2"}};
  REQUIRE_ERRC(points.add_batch(twice), Errc::exists);
  REQUIRE_ERRC(points.put_batch(twice, [](std::uint64_t, std::uint64_t) { return false; }),
               Errc::aborted);
  CHECK(must(points.size()) == 0);
  CHECK(must(must(points.values()).count()) == 0);

  std::uint64_t last = 0;
  must(points.put_batch(twice, [&](std::uint64_t done, std::uint64_t total) {
    CHECK(total == 4);
    CHECK(done >= last);
    last = done;
    return true;
  }));
  CHECK(last == 4);
  CHECK(must(points.size()) == 1);
  CHECK(must(points.get("a")).view() == "2");
  CHECK(must(points.get_vector("a")) == std::vector<float>{2, 2});
  const std::array<VectorItem, 2> again{VectorItem{"b", one}, VectorItem{"a", one}};
  REQUIRE_ERRC(points.add_batch(again), Errc::exists);
  CHECK(must(points.size()) == 1);
  must(points.put_batch({}));
}

TEST_CASE("a transaction takes vectors and plain writes along, or leaves no trace of them",
          "[vector][store]") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  const TempDir dir;
  Store store = open_kind(kind, dir);
  auto points = open_points(store, {.name = "p"});
  must(points.put("a", Point{1, 1}));
  const VectorStats before = must(points.stats());
  {
    Transaction transaction = must(store.begin());
    auto inside = must(points.in(transaction));
    must(inside.put("b", Point{2, 2}));
    must(inside.erase("a"));
    must(transaction.put("plain", "row"));
    CHECK(must(inside.contains("b")));
    CHECK(must(inside.size()) == 1);
    if (kind != StoreKind::rollback) {
      CHECK(found_keys(inside, {2, 2}) == std::vector<std::string>{"a"});  // what is committed
    }
    // A part that fails takes nothing else with it.
    REQUIRE_ERRC(
        inside.add_batch(std::array{VectorItem{"c", Point{3, 3}}, VectorItem{"b", Point{3, 3}}}),
        Errc::exists);
    CHECK_FALSE(must(inside.contains("c")));
    CHECK(must(inside.size()) == 1);
    must(transaction.rollback());
    REQUIRE_ERRC(inside.contains("b"), Errc::closed);
    REQUIRE_ERRC(points.in(Transaction()), Errc::closed);
  }
  const VectorStats after = must(points.stats());
  CHECK(after.sequence == before.sequence);
  CHECK(after.slots == before.slots);
  CHECK(found_keys(points, {1, 1}) == std::vector<std::string>{"a"});
  REQUIRE_ERRC(store.get("plain"), Errc::not_found);

  Transaction transaction = must(store.begin());
  auto inside = must(points.in(transaction));
  must(inside.put("b", Point{2, 2}));
  must(transaction.put("plain", "row"));
  must(transaction.commit());
  CHECK(found_keys(points, {2, 2}) == std::vector<std::string>{"b", "a"});
  CHECK(must(store.get("plain")).view() == "row");

  Store other = must(Store::open_in_memory());
  const Transaction foreign = must(other.begin());
  REQUIRE_ERRC(points.in(foreign), Errc::invalid_argument);
  // Beside an open transaction of the same thread nothing is written.
  const Transaction mine = must(store.begin());
  REQUIRE_ERRC(points.put("c", Point{3, 3}), Errc::locked);
}

TEST_CASE("an expired entry is absent everywhere", "[vector][store]") {
  FakeClock clock;
  Store store = must(Store::open_in_memory({.clock = clock.source()}));
  auto points = open_points(store);
  must(points.put("a", Point{1, 1}, {.value = "v", .metadata = {{"x", 1}}, .ttl = 10s}));
  must(points.put("b", Point{2, 2}, {.metadata = {{"x", 1}}, .ttl = 20s}));
  must(points.put("c", Point{3, 3}, {.metadata = {{"x", 2}}}));
  clock.advance(10s);
  CHECK(found_keys(points, {1, 1}) == std::vector<std::string>{"b", "c"});
  CHECK(must(points.search(Point{1, 1}, 5, {.filter = field("x") == 1})).size() == 1);
  CHECK(must(points.search(Point{1, 1}, 5,
                           {.predicate = [](auto, const Json& json) { return json["x"] == 1; }}))
            .size() == 1);
  CHECK(must(points.count(field("x") == 1)) == 1);
  CHECK(must(points.size()) == 2);
  CHECK(must(points.ids()) == std::vector<std::string>{"b", "c"});
  CHECK_FALSE(must(points.contains("a")));
  REQUIRE_ERRC(points.get("a"), Errc::not_found);
  REQUIRE_ERRC(points.get_vector("a"), Errc::not_found);
  REQUIRE_ERRC(points.update("a", {.value = "w"}), Errc::not_found);
  CHECK(must(points.stats()).live == 3);
  CHECK_FALSE(must(points.erase("a")));  // it was not there, and is removed all the same
  CHECK(must(points.stats()).live == 2);
  clock.advance(10s);
  CHECK(must(points.purge_expired()) == 1);
  CHECK(must(points.purge_expired()) == 0);
  CHECK(must(points.stats()).entries == 1);
  // A key whose entry has expired is new.
  must(points.put("c", Point{3, 3}, {.value = "old", .metadata = {{"x", 2}}, .ttl = 1s}));
  clock.advance(1s);
  must(points.add("c", Point{4, 4}));
  CHECK(must(points.get_metadata("c")).is_null());
  REQUIRE_ERRC(points.get("c"), Errc::not_found);
}

TEST_CASE("after the index is dropped the values can still be read", "[vector][store]") {
  Store store = must(Store::open_in_memory());
  auto points = open_points(store, {.name = "p"});
  auto other = open_points(store, {.name = "p"});
  must(points.put("a", Point{1, 1}, {.value = "v"}));
  must(points.put("b", Point{1, 1}, {.value = "w"}));
  must(points.drop_index());
  for (VectorStore<2, L2>* handle : {&points, &other}) {
    REQUIRE_ERROR(handle->put("a", Point{1, 1}), Errc::index_dropped, "put");
    REQUIRE_ERROR(handle->search(Point{1, 1}), Errc::index_dropped, "search");
    REQUIRE_ERRC(handle->get_vector("a"), Errc::index_dropped);
    REQUIRE_ERRC(handle->size(), Errc::index_dropped);
    REQUIRE_ERRC(handle->stats(), Errc::index_dropped);
    REQUIRE_ERRC(handle->compact(), Errc::index_dropped);
    REQUIRE_ERRC(handle->purge_expired(), Errc::index_dropped);
    REQUIRE_ERRC(handle->drop_index(), Errc::index_dropped);
    CHECK(must(handle->get("b")).view() == "w");
  }
  CHECK(must(points.erase("a")));
  REQUIRE_ERRC(points.get("a"), Errc::not_found);
  VectorCollections collections(store);
  CHECK(must(collections.list()).empty());
  REQUIRE_ERRC(collections.open("p"), Errc::index_dropped);
  must(store.verify());
  // A new one is none of the old handles' business.
  auto fresh = must(collections.create("p", {.dim = 5}));
  CHECK(must(fresh.size()) == 0);
  REQUIRE_ERRC(points.size(), Errc::index_dropped);
  CHECK(must(fresh.get("b")).view() == "w");
}

TEST_CASE("the collections of a store", "[vector][store]") {
  Store store = must(Store::open_in_memory());
  VectorCollections collections(store);
  CHECK_FALSE(must(collections.drop("a")));
  REQUIRE_ERRC(collections.open("a"), Errc::not_found);
  auto b = must(collections.create("b", {.dim = 2}));
  auto a = must(collections.get_or_create("a", {.dim = 3}));
  auto d = must(collections.create("default", {.dim = 2}));
  REQUIRE_ERRC(collections.create("b", {.dim = 2}), Errc::exists);
  CHECK(must(collections.list()) == std::vector<std::string>{"a", "b", "default"});
  must(store.put("plain", "row"));
  must(d.put("a", Point{1, 2}, {.value = "v"}));
  CHECK(must(store.get("a")).view() == "v");
  CHECK(must(collections.drop("default")));
  CHECK(must(store.get("plain")).view() == "row");
  REQUIRE_ERRC(store.get("a"), Errc::not_found);
  CHECK(must(collections.drop("b")));
  REQUIRE_ERRC(b.put("k", Point{1, 2}), Errc::index_dropped);
  REQUIRE_ERRC(store.open_column_family("b"), Errc::not_found);
  CHECK(must(collections.list()) == std::vector<std::string>{"a"});
  must(store.verify());
}

TEST_CASE("a read-only store is searched and not written", "[vector][store]") {
  const TempDir dir;
  {
    auto points = must(open_vectors<VectorStore<2, L2>>(dir.file("a.db"), {.name = "p"}));
    must(points.put("a", Point{1, 1}, {.value = "v"}));
  }
  auto points = must(open_vectors<VectorStore<2, L2>>(dir.file("a.db"),
                                                      {.name = "p", .store = {.read_only = true}}));
  CHECK(found_keys(points, {1, 1}) == std::vector<std::string>{"a"});
  CHECK(must(points.get("a")).view() == "v");
  REQUIRE_ERRC(points.put("b", Point{1, 1}), Errc::read_only);
  REQUIRE_ERRC(points.erase("a"), Errc::read_only);
  REQUIRE_ERRC(points.save(), Errc::read_only);
  REQUIRE_ERRC(VectorStore<>::open(points.store(), {.name = "q", .dim = 2}), Errc::read_only);
}

TEST_CASE("the memory limit is an error, not a surprise", "[vector][store]") {
  // Of which each is met at another moment of the growth of what holds the names.
  const std::uint64_t limit =
      GENERATE(100'000, 150'000, 200'000, 250'000, 300'000, 400'000, 500'000, 1'000'000);
  CAPTURE(limit);
  Store store = must(Store::open_in_memory());
  auto points = must(
      VectorStore<>::open(store, {.name = "p", .dim = 64, .threads = 1, .memory_limit = limit}));
  ClusteredVectors vectors(64, 4, 11);
  Result<void> result;
  int stored = 0;
  for (; stored < 10'000; ++stored) {
    result = points.put("key " + std::to_string(stored), vectors.next());
    if (!result) break;
  }
  REQUIRE_ERRC(result, Errc::no_memory);
  CHECK(stored > 50);
  CHECK(must(points.size()) == static_cast<std::uint64_t>(stored));
  const VectorStats stats = must(points.stats());
  CHECK(stats.memory_bytes <= limit);
  CHECK(stats.memory_bytes > limit / 2);
  CHECK(stats.live == static_cast<std::uint64_t>(stored));
  // Many in one transaction count as well, though none of them is in the index yet.
  Transaction transaction = must(store.begin());
  auto inside = must(points.in(transaction));
  must(inside.clear());
  int more = 0;
  while (more < 10'000 && inside.put("key " + std::to_string(more), vectors.next())) ++more;
  CHECK(more < 10'000);
  must(transaction.rollback());
  // Opening needs room as well.
  CHECK(must(points.size()) == static_cast<std::uint64_t>(stored));
}

TEST_CASE("a cursor goes through all, and gives nothing twice", "[vector][store]") {
  const auto dtype = GENERATE(ElementType::f32, ElementType::i8);
  Store store = must(Store::open_in_memory());
  auto points = must(VectorStore<>::open(store, {.dim = 8, .metric = Metric::l2, .dtype = dtype}));
  ClusteredVectors vectors(8, 5, 3);
  for (int i = 0; i < 400; ++i) {
    must(points.put("k" + std::to_string(i), vectors.next(), {.metadata = {{"even", i % 2 == 0}}}));
  }
  auto cursor = must(points.cursor(vectors.next(), {.filter = field("even") == true}));
  std::vector<std::string> keys;
  for (;;) {
    const auto hits = must(cursor.next(17));
    for (const VectorHit& hit : hits) keys.push_back(hit.key);
    if (hits.size() < 17) break;
  }
  CHECK(keys.size() == 200);
  std::sort(keys.begin(), keys.end());
  CHECK(std::unique(keys.begin(), keys.end()) == keys.end());
  CHECK(must(cursor.next()).empty());
  REQUIRE_ERRC(cursor.next(0), Errc::invalid_argument);
}

TEST_CASE("vectors that are only in the file rank and are compared exactly", "[vector][store]") {
  Store store = must(Store::open_in_memory());
  auto points = must(VectorStore<>::open(
      store, {.dim = 16, .metric = Metric::l2, .dtype = ElementType::i8, .keep_vectors = false}));
  ClusteredVectors vectors(16, 10, 7);
  VectorModel model;
  std::vector<std::string> keys;
  std::vector<VectorItem> items;
  for (std::uint64_t i = 0; i < 2000; ++i) {
    model[i] = vectors.next();
    keys.push_back(std::to_string(i));
  }
  for (std::uint64_t i = 0; i < 2000; ++i) items.push_back({.key = keys[i], .vector = model[i]});
  must(points.put_batch(items));
  const VectorStats stats = must(points.stats());
  CHECK(stats.quantized);
  CHECK(stats.vector_bytes == 0);
  int reranked_right = 0;
  for (int q = 0; q < 50; ++q) {
    const std::vector<float> query = vectors.next();
    const auto expected = exact_search(model, Metric::l2, query, 10, [](auto) { return true; });
    const auto exact = must(points.search_keys(query, 10, {.exact = true}));
    const auto reranked = must(points.search_keys(query, 10));
    REQUIRE(exact.size() == 10);
    REQUIRE(reranked.size() == 10);
    for (std::size_t i = 0; i < 10; ++i) {
      CHECK(exact[i].key == std::to_string(expected[i].label));
      CHECK(exact[i].distance == Approx(expected[i].distance).epsilon(1e-4));
      reranked_right += reranked[i] == exact[i] ? 1 : 0;
    }
    const float radius = expected[4].distance * 1.0001f;
    CHECK(must(points.search_radius(query, radius, {.exact = true})).size() >= 5);
  }
  CHECK(reranked_right > 450);
}

TEST_CASE("search_batch takes a filter for each query", "[vector][store]") {
  Store store = must(Store::open_in_memory());
  auto points = open_points(store);
  for (int i = 0; i < 100; ++i) {
    must(points.put("k" + std::to_string(i), Point{static_cast<float>(i), 0},
                    {.metadata = {{"n", i}}}));
  }
  const std::array<float, 4> queries{10, 0, 20, 0};
  const std::array<VectorSearch, 2> each{VectorSearch{.filter = field("n") > 50},
                                         VectorSearch{.filter = field("n") < 5}};
  const auto hits = must(points.search_batch(queries, 1, each));
  REQUIRE(hits.size() == 2);
  CHECK(hits[0][0].key == "k51");
  CHECK(hits[1][0].key == "k4");
  const auto keys = must(points.search_keys_batch(queries, 1));
  CHECK(keys[1][0].key == "k20");
  REQUIRE_ERRC(points.search_batch(queries, 1, std::span(each).first(0)), Errc::invalid_argument);
  REQUIRE_ERRC(points.search_batch(std::array<float, 3>{1, 2, 3}, 1), Errc::dimension_mismatch);
  REQUIRE_ERRC(points.search_batch(queries, 0), Errc::invalid_argument);
}

}  // namespace
}  // namespace snkv::test
