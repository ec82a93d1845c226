// Filters, predicates, pages and the rest of asking, through the public header: every way to ask
// must agree with `Filter::matches` and with a scan of our own.
#include "support/fake_clock.hpp"
#include "vector/collections.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <vector>

using namespace snkv;
using namespace snkv::test;
using namespace std::chrono_literals;

namespace {

/// Metadata of every kind, by key.
std::map<std::string, Json> documents() {
  std::map<std::string, Json> out{
      {"none", nullptr},
      {"ada",
       {{"author", {{"name", "Ada"}, {"born", 1815}}}, {"year", 1843}, {"tags", {"ai", "maths"}}}},
      {"alan", {{"author", {{"name", "Alan"}, {"born", 1912}}}, {"year", 1936}, {"tags", {"ai"}}}},
      {"grace",
       {{"author", {{"name", "Grace"}}}, {"year", 1952.5}, {"tags", "db"}, {"draft", false}}},
      {"text year", {{"year", "1936"}, {"tags", Json::array()}}},
      {"null year", {{"year", nullptr}, {"draft", true}}},
      {"dotted", {{"author.name", "Dot"}, {"author", {{"name", "Ada"}}}}},
      {"parts", {{"parts", {{{"n", 1}}, {{"n", 7}, {"m", 2}}}}, {"year", -3}}},
      {"big", {{"year", 18446744073709551615u}}},
      {"bool year", {{"year", true}}},
  };
  for (int i = 0; i < 60; ++i) {
    out["n" + std::to_string(i)] = {
        {"n", i}, {"third", i % 3}, {"word", std::string(1, static_cast<char>('a' + i % 26))}};
  }
  return out;
}

const char* const filters[] = {
    "{}",
    R"({"year":1936})",
    R"({"year":{"$eq":1952.5}})",
    R"({"year":null})",
    R"({"year":{"$ne":1936}})",
    R"({"year":{"$gt":1843}})",
    R"({"year":{"$gte":1843,"$lt":1952.5}})",
    R"({"year":{"$lte":1}})",
    R"({"year":{"$gt":"1"}})",
    R"({"year":{"$in":[1936,1843.0,"1936",true]}})",
    R"({"year":{"$in":[]}})",
    R"({"year":{"$nin":[1936,null]}})",
    R"({"year":{"$exists":true}})",
    R"({"year":{"$exists":false}})",
    R"({"year":{"$between":[-5,1936]}})",
    R"({"year":{"$not":{"$lt":1936}}})",
    R"({"author.name":"Ada"})",
    R"({"author.name":{"$prefix":"A"}})",
    R"({"author.name":{"$prefix":""}})",
    R"({"author":{"$exists":true}})",
    R"({"author":{"$eq":{"name":"Grace"}}})",
    R"({"author.born":{"$gte":1800,"$lte":1900}})",
    R"({"tags":"ai"})",
    R"({"tags":["ai"]})",
    R"({"tags":{"$contains":"ai"}})",
    R"({"tags":{"$contains":"d"}})",
    R"({"tags":{"$ne":"ai"}})",
    R"({"tags":{"$in":["db","maths"]}})",
    R"({"parts.n":7})",
    R"({"parts.n":{"$gt":1}})",
    R"({"parts.m":{"$exists":true}})",
    R"({"draft":{"$gt":false}})",
    R"({"n":{"$between":[10,19]},"third":1})",
    R"({"$or":[{"n":{"$lt":3}},{"year":1936},{"word":"z"}]})",
    R"({"$and":[{"third":{"$ne":0}},{"$not":{"n":{"$gt":30}}}]})",
    R"({"$not":{"$or":[{"n":{"$exists":true}},{"year":{"$exists":true}}]}})",
    R"({"word":{"$gte":"x"}})",
    R"({"missing":{"$ne":1}})",
    R"({"missing":1})",
};

template <class Found>
std::vector<std::string> sorted_keys(const std::vector<Found>& found) {
  std::vector<std::string> keys;
  for (const Found& one : found) keys.push_back(one.key);
  std::sort(keys.begin(), keys.end());
  return keys;
}

}  // namespace

TEST_CASE("every way to ask gives what the filter says") {
  const auto entries = documents();
  const auto fill = [&](VectorOperations& into) {
    float x = 0;
    for (const auto& [key, metadata] : entries) {
      must(into.put(key, at(x++, 1), {.metadata = metadata}));
    }
  };
  auto store = must(Store::open_in_memory());
  auto collection = must(VectorStore<2, L2>::open(store, {.name = "c"}));
  fill(collection);
  std::size_t some = 0;
  for (const char* text : filters) {
    INFO(text);
    const Filter filter = must(Filter::parse(text));
    std::vector<std::string> truth;
    for (const auto& [key, metadata] : entries) {
      if (filter.matches(metadata)) truth.push_back(key);
    }
    some += !truth.empty();
    const VectorPredicate predicate = [&](std::string_view, const Json& metadata) {
      return filter.matches(metadata);
    };
    CHECK(must(collection.count(filter)) == truth.size());
    CHECK(sorted_keys(must(collection.items({.filter = filter}))) == truth);
    CHECK(sorted_keys(must(collection.items({.predicate = predicate}))) == truth);
    CHECK(sorted_keys(must(collection.search(at(3, 1), 1000, {.filter = filter}))) == truth);
    CHECK(sorted_keys(must(collection.search_keys(at(3, 1), 1000, {.filter = filter}))) == truth);
    CHECK(sorted_keys(must(collection.search(at(3, 1), 1000, {.predicate = predicate}))) == truth);
    CHECK(sorted_keys(must(collection.search(at(3, 1), 1000, {.filter = filter, .exact = true}))) ==
          truth);
    CHECK(must(collection.search(at(3, 1), 2, {.filter = filter})).size() ==
          std::min<std::size_t>(2, truth.size()));
    CHECK(sorted_keys(must(collection.search_radius(at(3, 1), 1e9f, {.filter = filter}))) == truth);

    // Inside a transaction, where rows are read, not the index.
    auto transaction = must(store.begin());
    auto bound = must(collection.in(transaction));
    CHECK(must(bound.count(filter)) == truth.size());
    CHECK(sorted_keys(must(bound.items({.filter = filter}))) == truth);
    CHECK(must(bound.erase_if(filter)) == truth.size());
    CHECK(must(bound.size()) == entries.size() - truth.size());
    CHECK(must(bound.count(filter)) == 0);
    must(transaction.rollback());
  }
  CHECK(some == std::size(filters) - 2);  // $in of nothing, and what is missing
  CHECK(must(collection.size()) == entries.size());
}

TEST_CASE("filters in C++ are those of JSON") {
  const std::pair<Filter, const char*> pairs[] = {
      {field("year") == 1936, R"({"year":1936})"},
      {field("year") != 1936, R"({"year":{"$ne":1936}})"},
      {field("year") > 1843, R"({"year":{"$gt":1843}})"},
      {field("year") >= 1843 && field("year") < 1952.5, R"({"year":{"$gte":1843,"$lt":1952.5}})"},
      {field("year") <= 1, R"({"year":{"$lte":1}})"},
      {field("year").in({1936, "1936"}), R"({"year":{"$in":[1936,"1936"]}})"},
      {!field("year").in({1936, "1936"}), R"({"year":{"$nin":[1936,"1936"]}})"},
      {field("year").between(-5, 1936), R"({"year":{"$between":[-5,1936]}})"},
      {field("year").exists(), R"({"year":{"$exists":true}})"},
      {!field("year").exists(), R"({"year":{"$exists":false}})"},
      {field("tags").contains("ai"), R"({"tags":{"$contains":"ai"}})"},
      {field("author.name").starts_with("A"), R"({"author.name":{"$prefix":"A"}})"},
      {field("n") < 3 || !(field("third") != 1), R"({"$or":[{"n":{"$lt":3}},{"third":1}]})"},
  };
  auto collection = plane();
  for (const auto& [key, metadata] : documents()) {
    must(collection.put(key, at(1, 1), {.metadata = metadata}));
  }
  for (const auto& [filter, text] : pairs) {
    INFO(text);
    const auto expected =
        sorted_keys(must(collection.items({.filter = must(Filter::parse(text))})));
    CHECK(!expected.empty());
    CHECK(sorted_keys(must(collection.items({.filter = filter}))) == expected);
  }
}

TEST_CASE("filter and predicate must both hold, and a predicate sees the key") {
  auto collection = plane();
  for (const auto& [key, metadata] : documents()) {
    must(collection.put(key, at(1, 1), {.metadata = metadata}));
  }
  const VectorPredicate short_key = [](std::string_view key, const Json&) {
    return key.size() < 3;
  };
  CHECK(must(collection.search(at(1, 1), 100, {.filter = field("n") < 20, .predicate = short_key}))
            .size() == 10);
  CHECK(must(collection.items({.filter = field("n") < 20, .predicate = short_key})).size() == 10);
  CHECK(must(collection.erase_if(short_key)) == 10);
  CHECK(must(collection.count(field("n") < 20)) == 10);
}

TEST_CASE("pages go through all, in the order of the keys, and nothing twice") {
  FakeClock clock;
  auto collection = plane({.store = {.clock = clock.source()}});
  for (int i = 0; i < 25; ++i) {
    must(collection.put("k" + std::to_string(100 + i), at(static_cast<float>(i), 0),
                        {.value = "v" + std::to_string(i), .metadata = {{"n", i}}}));
  }
  must(collection.put("k1055", at(0, 0), {.metadata = {{"n", 5}}, .ttl = 1s}));
  clock.advance(2s);
  std::vector<std::string> ids;
  std::string after;
  for (;;) {
    const auto page = must(collection.ids(after, 7));
    ids.insert(ids.end(), page.begin(), page.end());
    if (page.size() < 7) break;
    after = page.back();
  }
  CHECK(ids == must(collection.ids()));
  CHECK(ids.size() == 25);
  CHECK(std::is_sorted(ids.begin(), ids.end()));

  std::vector<std::string> keys;
  after.clear();
  for (;;) {
    const auto page =
        must(collection.items({.filter = field("n") >= 4, .after = after, .limit = 4}));
    for (const VectorRecord& record : page) {
      CHECK(record.value->str() == "v" + std::to_string(record.metadata["n"].get<int>()));
      CHECK(record.vector.empty());
      keys.push_back(record.key);
    }
    if (page.size() < 4) break;
    after = page.back().key;
  }
  CHECK(keys == std::vector<std::string>(ids.begin() + 4, ids.end()));
  CHECK(must(collection.ids("k124")).empty());
  CHECK(must(collection.ids("zzz")).empty());
  const auto bare =
      must(collection.items({.limit = 1, .values = false, .metadata = false, .vectors = true}));
  CHECK(shown(bare) == std::vector<std::string>{"k100 (0.000000 0.000000 ) null -"});
}

TEST_CASE("hits have what was asked for") {
  auto collection = plane();
  must(collection.put("a", at(1, 1), {.value = "v", .metadata = {{"n", 1}}}));
  const auto all = must(collection.search(at(1, 1), 1, {.vectors = true}));
  CHECK(all[0].value->str() == "v");
  CHECK(all[0].metadata == Json{{"n", 1}});
  CHECK(all[0].vector == at(1, 1));
  const auto none = must(collection.search(at(1, 1), 1, {.values = false, .metadata = false}));
  CHECK_FALSE(none[0].value);
  CHECK(none[0].metadata.is_null());
  CHECK(none[0].vector.empty());
  CHECK(none[0].key == "a");
}

TEST_CASE("equally far ones come in the order of their keys; max_distance comes last") {
  const auto type = GENERATE(ElementType::f32, ElementType::f16, ElementType::i8);
  auto collection = plane({.dtype = type});
  for (const char* key : {"m", "c", "x", "a", "t"}) must(collection.put(key, at(3, 4)));
  must(collection.put("far", at(30, 40)));
  CHECK(keys_of(must(collection.search(at(0, 0), 3))) == "a c m");
  CHECK(keys_of(must(collection.search_keys(at(0, 0), 6))) == "a c m t x far");
  CHECK(keys_of(must(collection.search(at(0, 0), 6, {.max_distance = 25.0f}))) == "a c m t x");
  CHECK(must(collection.search(at(0, 0), 6, {.max_distance = 24.9f})).empty());
  CHECK(keys_of(must(collection.search(at(0, 0), 2, {.max_distance = 25.0f}))) == "a c");
  CHECK(keys_of(must(collection.search_radius(at(0, 0), 25.0f))) == "a c m t x");
  CHECK(must(collection.search(at(0, 0), 1'000'000)).size() == 6);
  for (const VectorHit& hit : must(collection.search(at(0, 0), 5))) CHECK(hit.distance == 25.0f);
}

TEST_CASE("distances are those of the metric, whatever the type of the elements") {
  const auto metric = GENERATE(Metric::l2, Metric::cosine, Metric::inner_product, Metric::l1);
  const auto type = GENERATE(ElementType::f32, ElementType::f16, ElementType::i8);
  CAPTURE(to_string(metric), to_string(type));
  ClusteredVectors source(12, 6, 51);
  auto collection =
      must(VectorStore<>::open_in_memory({.dim = 12, .metric = metric, .dtype = type}));
  std::map<std::string, std::vector<float>> model;
  for (int i = 0; i < 400; ++i) {
    const std::string key = std::to_string(i);
    model[key] = source.next();
    must(collection.put(key, model[key]));
  }
  for (int i = 0; i < 10; ++i) {
    const std::vector<float> query = source.next();
    for (const VectorHit& hit : must(collection.search(query, 10, {.vectors = true}))) {
      CHECK(hit.vector == model[hit.key]);
      CHECK(static_cast<double>(hit.distance) ==
            Approx(exact_distance(metric, query, model[hit.key])).epsilon(1e-4).margin(1e-5));
    }
  }
}

TEST_CASE("an empty collection has no neighbours, and says so without an error") {
  auto collection = plane();
  CHECK(must(collection.search(at(0, 0), 5)).empty());
  CHECK(must(collection.search_keys(at(0, 0), 5)).empty());
  CHECK(must(collection.search_radius(at(0, 0), 5)).empty());
  CHECK(must(collection.search_batch({}, 5)).empty());
  auto cursor = must(collection.cursor(at(0, 0)));
  CHECK(must(cursor.next()).empty());
  CHECK(must(collection.ids()).empty());
  CHECK(must(collection.count()) == 0);
  CHECK(must(collection.purge_expired()) == 0);
  CHECK_FALSE(must(collection.erase("a")));
  CHECK(must(collection.erase_if(Filter())) == 0);
  must(collection.clear());
  must(collection.compact());
}

TEST_CASE("upsert, add_batch and erase_many") {
  auto collection = plane();
  must(collection.upsert("a", at(1, 1), {.metadata = {{"n", 1}}}));
  must(collection.upsert("a", at(2, 2)));
  CHECK(shown(everything(collection)) ==
        std::vector<std::string>{"a (2.000000 2.000000 ) {\"n\":1} -"});
  const auto one = at(1, 1);
  must(collection.add_batch(
      std::vector<VectorItem>{{.key = "b", .vector = one}, {.key = "c", .vector = one}}));
  CHECK(must(collection.erase_many(std::vector<BytesView>{"a", "none", "c", "c"})) == 2);
  CHECK(keys_of(everything(collection)) == "b");
  CHECK(must(collection.erase_many({})) == 0);
}

TEST_CASE("info and stats tell all that there is") {
  FakeClock clock;
  auto collection = plane({.name = "s",
                           .m = 8,
                           .ef_construction = 50,
                           .ef_search = 20,
                           .store = {.clock = clock.source()}});
  for (int i = 0; i < 300; ++i) {
    must(collection.put("k" + std::to_string(i), at(static_cast<float>(i), 1),
                        {.metadata = i % 2 == 0 ? Json{{"n", i}} : Json()}));
  }
  must(collection.put("x", at(1, 1), {.ttl = 1s}));
  must(collection.erase("k1"));
  must(collection.put("k2", at(5, 5)));
  clock.advance(2s);
  const VectorInfo info = must(collection.info());
  CHECK(info.name == "s");
  CHECK(info.dim == 2);
  CHECK(info.metric == Metric::l2);
  CHECK(info.dtype == ElementType::f32);
  CHECK(info.m == 8);
  CHECK(info.ef_construction == 50);
  CHECK(info.ef_search == 20);
  CHECK(info.count == 299);
  VectorStats stats = must(collection.stats());
  CHECK(stats.info.count == 299);
  CHECK(stats.live == 300);
  CHECK(stats.entries == 300);
  CHECK(stats.dead == 2);
  CHECK(stats.slots == 302);
  CHECK(stats.unlinked == 0);
  CHECK(stats.levels >= 1);
  CHECK(stats.average_degree > 1.5);  // most of them lie on a line
  CHECK(static_cast<double>(stats.least_degree) <= stats.average_degree);
  CHECK(static_cast<double>(stats.largest_degree) >= stats.average_degree);
  CHECK(stats.largest_degree <= 16);
  CHECK_FALSE(stats.quantized);
  CHECK_FALSE(std::string_view(stats.kernels).empty());
  CHECK(stats.with_metadata == 150);
  CHECK(stats.sequence == 303);
  CHECK_FALSE(stats.can_save);
  CHECK_FALSE(stats.loaded);
  CHECK(stats.code_bytes == 0);  // of f32, which is exact
  CHECK(stats.vector_bytes >= 302 * 4 * must(collection.info()).dim);
  CHECK(stats.link_bytes > 0);
  CHECK(stats.name_bytes > 0);
  CHECK(stats.metadata_bytes > 0);
  CHECK(stats.memory_bytes >= stats.vector_bytes + stats.link_bytes + stats.name_bytes);
  must(collection.compact());
  stats = must(collection.stats());
  CHECK(stats.dead == 0);
  CHECK(stats.slots == stats.live);
  CHECK(must(collection.purge_expired()) == 1);
  CHECK(must(collection.stats()).entries == 299);
}

TEST_CASE("malformed filters name the operator and its path") {
  auto collection = plane();
  const auto bad = Filter::parse(R"({"$or":[{"a":1},{"price":{"$foo":1}}]})");
  CHECK(says(bad, Errc::invalid_argument, "unknown operator $foo (at $or[1].price.$foo)"));
  CHECK(says(Filter::parse("{"), Errc::invalid_argument, "no JSON"));
}
