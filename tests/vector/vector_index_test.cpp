// VectorIndex against an exact answer of our own.
#include "support/catch.hpp"
#include "support/check.hpp"
#include "vectors.hpp"

#include <snkv/vector/index.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <set>
#include <span>
#include <utility>
#include <vector>

using namespace snkv;
using namespace snkv::test;

namespace {

using AnyIndex = VectorIndex<dynamic_extent, AnyMetric>;

AnyIndex make(VectorIndexOptions options) { return must(AnyIndex::create(options)); }

/// Fills an index and the model of it.
void fill(AnyIndex& index, VectorModel& model, ClusteredVectors& source, std::size_t count) {
  std::vector<std::uint64_t> labels;
  std::vector<float> vectors;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t label = 1000 + 3 * i;
    std::vector<float> vector = source.next();
    labels.push_back(label);
    vectors.insert(vectors.end(), vector.begin(), vector.end());
    model[label] = std::move(vector);
  }
  must(index.put_batch(labels, vectors));
}

double recall(const AnyIndex& index, const VectorModel& model, ClusteredVectors& source,
              const VectorIndexSearch& options, std::size_t queries = 50) {
  std::size_t found = 0;
  for (std::size_t i = 0; i < queries; ++i) {
    const std::vector<float> query = source.next();
    const auto hits = must(index.search(query, 10, options));
    REQUIRE(hits.size() == std::min<std::size_t>(10, model.size()));
    found += common(exact_search(model, index.metric(), query, 10), hits);
  }
  return static_cast<double>(found) / static_cast<double>(10 * queries);
}

}  // namespace

TEST_CASE("neighbours are found, for every metric and type") {
  const Metric metric = GENERATE(Metric::l2, Metric::cosine, Metric::inner_product, Metric::l1);
  const ElementType type = GENERATE(ElementType::f32, ElementType::f16, ElementType::i8);
  CAPTURE(to_string(metric), to_string(type));
  ClusteredVectors source(24, 20, 11);
  AnyIndex index = make({.dim = 24, .metric = metric, .dtype = type, .threads = 2});
  VectorModel model;
  fill(index, model, source, 3000);
  CHECK(index.size() == 3000);
  CHECK(index.stats().unlinked == 0);
  CHECK(index.stats().dtype == type);
  // Inner products favour the longest vectors, which a graph of neighbours finds less well.
  CHECK(recall(index, model, source, {}) >= (metric == Metric::inner_product ? 0.95 : 0.99));
  CHECK(recall(index, model, source, {.exact = true}) >= 0.999);
  if (type != ElementType::f32) {
    CHECK(recall(index, model, source, {.ef = 128, .rerank = false}) >= 0.9);
  }
}

TEST_CASE("distances are those of the formula, in order") {
  const Metric metric = GENERATE(Metric::l2, Metric::cosine, Metric::inner_product, Metric::l1);
  const ElementType type = GENERATE(ElementType::f32, ElementType::i8);
  ClusteredVectors source(12, 5, 12);
  AnyIndex index = make({.dim = 12, .metric = metric, .dtype = type});
  VectorModel model;
  fill(index, model, source, 1500);
  for (int i = 0; i < 20; ++i) {
    const std::vector<float> query = source.next();
    const auto hits = must(index.search(query, 20));
    REQUIRE(hits.size() == 20);
    for (std::size_t k = 0; k < hits.size(); ++k) {
      const double expected = exact_distance(metric, query, model.at(hits[k].label));
      CHECK(std::fabs(static_cast<double>(hits[k].distance) - expected) <=
            1e-4 * (1 + std::fabs(expected)));
      if (k > 0) CHECK(hits[k - 1].distance <= hits[k].distance);
    }
  }
}

TEST_CASE("equally far ones come in the order of their labels") {
  auto index = must(VectorIndex<2, L2>::create());
  const std::vector<float> same{1, 2};
  for (const std::uint64_t label : {9u, 4u, 7u, 1u, 8u, 3u}) must(index.put(label, same));
  const auto hits = must(index.search(same, 4));
  REQUIRE(hits.size() == 4);
  CHECK(hits[0].label == 1);
  CHECK(hits[1].label == 3);
  CHECK(hits[2].label == 4);
  CHECK(hits[3].label == 7);
}

TEST_CASE("put replaces, add does not, erase forgets") {
  auto index = must(VectorIndex<2, L2>::create());
  const std::vector<float> here{0, 0};
  const std::vector<float> there{10, 0};
  must(index.add(5, here));
  CHECK(says(index.add(5, there), Errc::exists, "add"));
  CHECK(must(index.search(there, 1))[0].distance == 100.0f);
  must(index.put(5, there));
  CHECK(must(index.search(there, 1))[0].distance == 0.0f);
  CHECK(index.size() == 1);
  CHECK(index.contains(5));
  CHECK(index.erase(5));
  CHECK_FALSE(index.erase(5));
  CHECK_FALSE(index.contains(5));
  CHECK(must(index.search(there, 1)).empty());
  // The number of a label that is gone goes to another one.
  must(index.put(6, here));
  CHECK(must(index.search(there, 3)) == std::vector<Neighbor>{{6, 100.0f}});
}

TEST_CASE("a batch is taken as a whole, the last vector of a label counts") {
  auto index = must(VectorIndex<2, L2>::create());
  const std::vector<std::uint64_t> labels{1, 2, 1};
  must(index.put_batch(labels, std::vector<float>{0, 0, 5, 5, 9, 9}));
  CHECK(index.size() == 2);
  CHECK(must(index.search(std::vector<float>{9, 9}, 1)) == std::vector<Neighbor>{{1, 0.0f}});

  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK(says(index.put_batch(labels, std::vector<float>{1, 1, 2, 2, 3, nan}), Errc::bad_vector,
             "label 1"));
  CHECK(says(index.put_batch(labels, std::vector<float>{1, 1, 2}), Errc::dimension_mismatch,
             "put_batch"));
  CHECK(must(index.search(std::vector<float>{9, 9}, 1)) == std::vector<Neighbor>{{1, 0.0f}});
  must(index.put_batch({}, {}));

  int calls = 0;
  std::vector<std::uint64_t> many(3000);
  std::vector<float> vectors;
  for (std::size_t i = 0; i < many.size(); ++i) {
    many[i] = i;
    vectors.push_back(static_cast<float>(i % 55));
    vectors.push_back(static_cast<float>(i / 55));
  }
  must(index.put_batch(many, vectors, [&](std::uint64_t done, std::uint64_t total) {
    CHECK(done <= total);
    return ++calls < 2;
  }));
  CHECK(calls == 2);
  // Stopped: what is not linked is found nevertheless, and linked by the next change.
  CHECK(index.stats().unlinked > 0);
  for (std::size_t i = 0; i < many.size(); i += 97) {
    const auto hits = must(index.search(std::span<const float>(vectors).subspan(2 * i, 2), 1));
    REQUIRE(hits == std::vector<Neighbor>{{i, 0.0f}});
  }
  CHECK(index.erase(0));
  CHECK(index.stats().unlinked == 0);
}

TEST_CASE("a filter gets exactly what matches, however little it is") {
  const ElementType type = GENERATE(ElementType::f32, ElementType::i8);
  ClusteredVectors source(16, 10, 13);
  AnyIndex index = make({.dim = 16, .metric = Metric::l2, .dtype = type});
  VectorModel model;
  fill(index, model, source, 4000);
  for (const std::uint64_t one_in : {1u, 2u, 10u, 100u, 1000u, 10'000u}) {
    const auto accepts = [&](std::uint64_t label) {
      return (label * 2654435761u >> 8) % one_in == 0;
    };
    std::size_t good = 0;
    std::size_t all = 0;
    for (int i = 0; i < 20; ++i) {
      const std::vector<float> query = source.next();
      const auto truth = exact_search(model, Metric::l2, query, 10, accepts);
      const auto hits = must(index.search(query, 10, {.filter = accepts}));
      REQUIRE(hits.size() == truth.size());
      for (const Neighbor& hit : hits) REQUIRE(accepts(hit.label));
      good += common(truth, hits);
      all += truth.size();
    }
    CAPTURE(one_in, good, all);
    CHECK(static_cast<double>(good) >= 0.95 * static_cast<double>(all));
  }
}

TEST_CASE("search_if asks a function of any type, and the filter besides") {
  ClusteredVectors source(16, 10, 5);
  AnyIndex index = make({.dim = 16, .metric = Metric::l2, .threads = 1});
  VectorModel model;
  fill(index, model, source, 2000);
  const auto even = [](std::uint64_t label) { return label % 2 == 0; };
  const auto of_three = [](std::uint64_t label) { return label % 9 == 1; };
  for (int q = 0; q < 20; ++q) {
    const std::vector<float> query = source.next();
    const auto hits = must(index.search_if(query, 10, even, {.ef = 400}));
    const auto expected = exact_search(model, Metric::l2, query, 10, even);
    CHECK(common(expected, hits) >= 9);
    const auto both = must(index.search_if(query, 10, even, {.exact = true, .filter = of_three}));
    const auto exactly = exact_search(model, Metric::l2, query, 10, [&](std::uint64_t label) {
      return even(label) && of_three(label);
    });
    CHECK(common(exactly, both) == 10);
  }
  const std::vector<float> query = source.next();
  REQUIRE_ERRC(index.search_if(query, 0, even), Errc::invalid_argument);
  REQUIRE_ERRC(index.search_if(std::span(query).first(3), 5, even), Errc::dimension_mismatch);
  CHECK(must(index.search_if(query, 5, [](std::uint64_t) { return false; })).empty());
}

TEST_CASE("an ef that is given is kept to, and only what it keeps is reranked") {
  ClusteredVectors source(32, 40, 9);
  AnyIndex index = make({.dim = 32, .metric = Metric::l2, .dtype = ElementType::i8, .threads = 1});
  VectorModel model;
  fill(index, model, source, 4000);
  // The same queries for each.
  const auto found_with = [&](const VectorIndexSearch& options) {
    ClusteredVectors queries = source;
    return recall(index, model, queries, options, 200);
  };
  CHECK(found_with({.ef = 10}) < found_with({.ef = 30}));  // before, 30 were kept for either
  CHECK(found_with({.ef = 10}) == found_with({.ef = 10, .oversample = 1}));
  CHECK(found_with({}) > 0.99);
}

TEST_CASE("a filter that is against the query gets its k too") {
  ClusteredVectors source(8, 12, 14);
  AnyIndex index = make({.dim = 8, .metric = Metric::l2});
  VectorModel model;
  fill(index, model, source, 4000);
  for (int i = 0; i < 20; ++i) {
    const std::vector<float> query = source.next();
    // Only the farther half matches.
    auto order = exact_search(model, Metric::l2, query, model.size());
    std::set<std::uint64_t> far;
    for (std::size_t k = order.size() / 2; k < order.size(); ++k) far.insert(order[k].label);
    const auto accepts = [&](std::uint64_t label) { return far.contains(label); };
    const auto hits = must(index.search(query, 10, {.filter = accepts}));
    REQUIRE(hits.size() == 10);
    CHECK(common(exact_search(model, Metric::l2, query, 10, accepts), hits) >= 9);
  }
}

TEST_CASE("k is not limited, and max_distance comes last") {
  ClusteredVectors source(6, 3, 15);
  AnyIndex index = make({.dim = 6, .metric = Metric::l2});
  VectorModel model;
  fill(index, model, source, 700);
  const std::vector<float> query = source.next();
  const auto all = must(index.search(query, 100'000));
  REQUIRE(all.size() == 700);
  const float limit = all[123].distance;
  const auto near = must(index.search(query, 300, {.max_distance = limit}));
  CHECK(near == std::vector<Neighbor>(all.begin(), all.begin() + 124));
  CHECK(must(index.search_radius(query, limit)) == near);
  CHECK(must(index.search_radius(query, -1)).empty());
  CHECK(must(index.search_radius(query, 1e9f)).size() == 700);
}

TEST_CASE("search_batch answers as search does") {
  ClusteredVectors source(10, 6, 16);
  AnyIndex index = make({.dim = 10, .metric = Metric::cosine, .threads = 3});
  VectorModel model;
  fill(index, model, source, 1000);
  std::vector<float> queries;
  for (int i = 0; i < 40; ++i) {
    const auto query = source.next();
    queries.insert(queries.end(), query.begin(), query.end());
  }
  const auto found = must(index.search_batch(queries, 5));
  REQUIRE(found.size() == 40);
  for (std::size_t i = 0; i < 40; ++i) {
    CHECK(found[i] == must(index.search(std::span<const float>(queries).subspan(10 * i, 10), 5)));
  }
  queries.pop_back();
  CHECK(says(index.search_batch(queries, 5), Errc::dimension_mismatch, "search_batch"));
  queries.resize(10, 0.0f);
  std::fill(queries.begin(), queries.end(), 0.0f);
  CHECK(says(index.search_batch(queries, 5), Errc::bad_vector, "length zero"));
}

TEST_CASE("what a filter throws comes out of the search, and the index is whole") {
  struct Mine {};
  const ElementType type = GENERATE(ElementType::f32, ElementType::i8);
  ClusteredVectors source(16, 10, 17);
  AnyIndex index = make({.dim = 16, .metric = Metric::l2, .dtype = type, .threads = 2});
  VectorModel model;
  fill(index, model, source, 3000);
  const std::vector<float> query = source.next();
  const auto before = must(index.search(query, 20));
  // At once, in the middle of a walk, and late in a scan.
  const std::pair<bool, int> moments[] = {{false, 0}, {false, 40}, {true, 0}, {true, 2000}};
  for (const auto& [exact, calls] : moments) {
    CAPTURE(exact, calls);
    VectorIndexSearch failing;
    failing.exact = exact;
    int asked = 0;
    failing.filter = [&asked, calls = calls](std::uint64_t) {
      if (asked++ == calls) throw Mine();
      return true;
    };
    CHECK_THROWS_AS(index.search(query, 20, failing), Mine);
    asked = 0;
    CHECK_THROWS_AS(index.search_radius(query, 1e9f, failing), Mine);
    CHECK(must(index.search(query, 20)) == before);
  }
  // Of the threads of a batch one is enough.
  std::vector<float> queries;
  for (int i = 0; i < 8; ++i) queries.insert(queries.end(), query.begin(), query.end());
  VectorIndexSearch failing;
  failing.filter = [](std::uint64_t) -> bool { throw Mine(); };
  CHECK_THROWS_AS(index.search_batch(queries, 20, failing), Mine);
  for (const auto& hits : must(index.search_batch(queries, 20))) CHECK(hits == before);
  must(index.put(7, query));
  CHECK(must(index.search(query, 1))[0].label == 7);
}

TEST_CASE("a progress function that throws stops the work as one that asks for it") {
  struct Mine {};
  const auto failing = [](std::uint64_t, std::uint64_t) -> bool { throw Mine(); };
  ClusteredVectors source(16, 10, 18);
  AnyIndex index = make({.dim = 16, .metric = Metric::l2, .threads = 2});
  VectorModel model;
  fill(index, model, source, 1000);
  std::vector<std::uint64_t> labels;
  std::vector<float> vectors;
  for (std::uint64_t label = 100000; label < 103000; ++label) {
    std::vector<float> vector = source.next();
    labels.push_back(label);
    vectors.insert(vectors.end(), vector.begin(), vector.end());
    model[label] = std::move(vector);
  }
  // All of the batch is there and is found, and a later change links the rest.
  CHECK_THROWS_AS(index.put_batch(labels, vectors, failing), Mine);
  CHECK(index.size() == model.size());
  CHECK(index.stats().unlinked > 0);
  CHECK(recall(index, model, source, {}) >= 0.99);
  for (const std::uint64_t label : std::span(labels).first(40)) {
    CHECK(index.erase(label));
    model.erase(label);
  }
  CHECK(index.stats().unlinked == 0);
  CHECK(recall(index, model, source, {}) >= 0.99);
  // Nothing of a compaction is there, and the next one is not in its way.
  CHECK_THROWS_AS(index.compact(failing), Mine);
  CHECK(index.stats().dead == 40);
  CHECK(recall(index, model, source, {}) >= 0.99);
  index.compact();
  CHECK(index.stats().dead == 0);
  CHECK(index.size() == model.size());
  CHECK(recall(index, model, source, {}) >= 0.99);
}

TEST_CASE(
    "options that contradict the type are refused; without a metric of the type they decide") {
  CHECK(says(VectorIndex<3>::create({.dim = 4}), Errc::dimension_mismatch,
             "the type has 3 dimensions, the options 4"));
  CHECK(says(VectorIndex<3, Cosine>::create({.metric = Metric::l2}), Errc::metric_mismatch,
             "cosine"));
  CHECK(must(VectorIndex<3, L2>::create({.dim = 3, .metric = Metric::l2})).metric() == Metric::l2);
  CHECK(must(VectorIndex<>::create({.dim = 3, .metric = Metric::l2})).metric() == Metric::l2);
  CHECK(must(VectorIndex<3>::create()).metric() == Metric::cosine);
}

TEST_CASE("bad vectors and options are refused by name") {
  auto index = must(VectorIndex<3, Cosine>::create());
  const float inf = std::numeric_limits<float>::infinity();
  CHECK(says(index.put(1, std::vector<float>{1, 2}), Errc::dimension_mismatch,
             "label 1 has 2 dimensions"));
  CHECK(says(index.put(1, std::vector<float>{1, 2, inf}), Errc::bad_vector, "not finite"));
  CHECK(says(index.put(1, std::vector<float>{0, 0, 0}), Errc::bad_vector, "length zero"));
  CHECK(says(index.search(std::vector<float>{1, 2, 3}, 0), Errc::invalid_argument, "k is 0"));
  CHECK(says(index.search(std::vector<float>{1, 2, -inf}, 1), Errc::bad_vector, "the query"));
  CHECK(index.size() == 0);
  CHECK(must(index.search(std::vector<float>{1, 2, 3}, 1)).empty());
  const auto refused = [](VectorIndexOptions options, const char* what) {
    CHECK(says(AnyIndex::create(options), Errc::invalid_argument, what));
  };
  refused({}, "dim");
  refused({.dim = 65537}, "dim");
  refused({.dim = 3, .m = 1}, "m is");
  refused({.dim = 3, .m = 65}, "m is");
  refused({.dim = 3, .ef_construction = 3}, "ef_construction");
  refused({.dim = 3, .ef_search = 0}, "ef_search");
  refused({.dim = 3, .metric = static_cast<Metric>(9)}, "metric");
  refused({.dim = 3, .dtype = static_cast<ElementType>(9)}, "dtype");
}

TEST_CASE("queries longer than the data do not spoil inner products of i8") {
  ClusteredVectors source(32, 8, 17);
  AnyIndex index = make({.dim = 32, .metric = Metric::inner_product, .dtype = ElementType::i8});
  VectorModel model;
  fill(index, model, source, 2000);
  std::size_t found = 0;
  for (int i = 0; i < 30; ++i) {
    std::vector<float> query = source.next();
    for (float& x : query) x *= 1000;
    found += common(exact_search(model, Metric::inner_product, query, 10),
                    must(index.search(query, 10)));
  }
  CHECK(found >= 285);
}

TEST_CASE("i8 begins when there is enough to learn from, and learns again") {
  ClusteredVectors source(8, 4, 18);
  AnyIndex index = make({.dim = 8, .metric = Metric::l2, .dtype = ElementType::i8});
  VectorModel model;
  for (std::uint64_t label = 0; label < 255; ++label) {
    model[label] = source.next();
    must(index.put(label, model[label]));
  }
  CHECK(index.stats().dtype == ElementType::f32);
  model[255] = source.next();
  must(index.put(255, model[255]));
  CHECK(index.stats().dtype == ElementType::i8);
  // The data moves to where the quantizer has never been.
  for (std::uint64_t label = 256; label < 1024; ++label) {
    model[label] = source.next();
    for (float& x : model[label]) x = 100 + 20 * x;
    must(index.put(label, model[label]));
  }
  std::size_t found = 0;
  for (std::uint64_t label = 300; label < 1024; label += 31) {
    found += common(exact_search(model, Metric::l2, model[label], 10),
                    must(index.search(model[label], 10)));
  }
  CHECK(found >= 230);  // of 240
}

namespace {

vector_detail::IndexConfig plane() {
  vector_detail::IndexConfig config;
  config.dim = 2;
  config.metric = Metric::l2;
  return config;
}

/// 80 x 80 points, row by row.
void put_grid(vector_detail::IndexCore& core) {
  for (std::uint32_t i = 0; i < 6400; ++i) {
    const float at[] = {static_cast<float>(i % 80), static_cast<float>(i / 80)};
    core.put(i, at);
  }
}

}  // namespace

TEST_CASE("a walk that finds nothing near gives up for the scan of what matches") {
  using namespace snkv::vector_detail;
  IndexCore core(plane(), best_kernels<0>());
  put_grid(core);
  ThreadPool pool(1);
  core.maintain(pool, [](std::uint64_t, std::uint64_t) { return true; });
  // The farthest quarter of a grid, seen from its corner.
  std::vector<std::uint32_t> numbers;
  for (std::uint32_t i = 4800; i < 6400; ++i) numbers.push_back(i);
  const NumberSet far = NumberSet::of(6400, numbers);
  const auto accepts = [](std::uint32_t number) { return number >= 4800; };
  SearchRequest request;
  request.k = 3;
  request.ef = 8;
  request.filter = LabelFilter(accepts).among(far, LabelFilter::Asked::yes);
  const float corner[] = {0, 0};
  const auto hits = core.search(corner, request);
  REQUIRE(hits.size() == 3);
  CHECK(hits[0].label == 4800);
  CHECK(hits[1].label == 4801);
  CHECK(hits[2].label == 4802);
}

TEST_CASE("a scan looks at what can match only, and asks only where it has to") {
  using namespace snkv::vector_detail;
  IndexCore core(plane(), best_kernels<0>());
  put_grid(core);
  std::size_t asked = 0;
  const auto accepts = [&](std::uint32_t number) {
    ++asked;
    return number % 3 == 0;
  };
  // As a list, and as bits.
  for (const std::uint32_t step : {640U, 10U}) {
    CAPTURE(step);
    std::vector<std::uint32_t> numbers;
    for (std::uint32_t i = 5; i < 6400; i += step / 2) numbers.push_back(i);
    const NumberSet possible = NumberSet::of(6400, numbers);
    SearchRequest request;
    request.k = 3;
    const float corner[] = {0, 0};
    asked = 0;
    request.filter = LabelFilter(accepts).among(possible, LabelFilter::Asked::yes);
    const auto some = core.search(corner, request);
    CHECK(asked == numbers.size());
    REQUIRE(some.size() == 3);
    CHECK(std::all_of(some.begin(), some.end(), [](const Hit& hit) { return hit.label % 3 == 0; }));
    asked = 0;
    request.filter = LabelFilter(accepts).among(possible, LabelFilter::Asked::no);
    const auto all = core.search(corner, request);
    CHECK(asked == 0);
    REQUIRE(all.size() == 3);
    CHECK(all[0].label == (step == 640 ? 5 : 80));
  }
}

TEST_CASE("what is put in bulk gets its codes before its links") {
  using namespace snkv::vector_detail;
  IndexConfig config;
  config.dim = 16;
  config.metric = Metric::l2;
  config.type = ElementType::i8;
  IndexCore core(config, best_kernels<0>());
  ClusteredVectors source(16, 8, 3);
  VectorModel model;
  for (std::uint32_t i = 0; i < 3000; ++i) {
    model[i] = source.next();
    core.put(i, model[i].data());
  }
  core.erase(2999);
  model.erase(2999);
  ThreadPool pool(2);
  core.maintain(pool, [](std::uint64_t, std::uint64_t) { return false; });
  const auto now = core.generation();
  CHECK(now->graph.codec().type() == ElementType::i8);
  CHECK(now->live() == model.size());
  CHECK(now->first_unlinked() < 2000);
  const auto find_all = [&] {
    std::size_t found = 0;
    for (std::uint32_t i = 0; i < 2999; i += 37) {
      SearchRequest request;
      request.k = 10;
      request.rerank = true;
      std::vector<Neighbor> hits;
      for (const Hit& hit : core.search(model[i].data(), request)) {
        hits.push_back({hit.label, hit.distance});
      }
      found += common(exact_search(model, Metric::l2, model[i], 10), hits);
    }
    return found;
  };
  CHECK(find_all() >= 790);  // of 820
  core.maintain(pool, [](std::uint64_t, std::uint64_t) { return true; });
  CHECK(core.generation() == now);
  CHECK(now->first_unlinked() == now->graph.size());
  CHECK(find_all() >= 790);
}

TEST_CASE("slots are linked in an order that leaves none out and goes everywhere at once") {
  using vector_detail::LinkOrder;
  std::vector<vector_detail::Slot> counts{65536, 99991, 100000, 390000};
  for (vector_detail::Slot count = 0; count < 1500; ++count) counts.push_back(count);
  for (const vector_detail::Slot count : counts) {
    const LinkOrder order(count);
    std::vector<bool> seen(count);
    for (vector_detail::Slot i = 0; i < count; ++i) {
      REQUIRE(order[i] < count);
      REQUIRE_FALSE(seen[order[i]]);
      seen[order[i]] = true;
    }
  }
  // However far it has got, no part was left out for long.
  const vector_detail::Slot count = 10'000;
  const LinkOrder order(count);
  for (const vector_detail::Slot done : {10u, 100u, 1000u}) {
    std::vector<vector_detail::Slot> places;
    for (vector_detail::Slot i = 0; i < done; ++i) places.push_back(order[i]);
    std::sort(places.begin(), places.end());
    places.push_back(count);
    for (std::size_t i = 1; i < places.size(); ++i) {
      CHECK(places[i] - places[i - 1] <= 3 * count / done);
    }
  }
}

TEST_CASE("an index that is told what comes has its codes from the first vector on") {
  using namespace snkv::vector_detail;
  IndexConfig config;
  config.dim = 16;
  config.metric = Metric::l2;
  config.type = ElementType::i8;
  ThreadPool pool(2);
  ClusteredVectors source(16, 8, 5);
  std::vector<std::vector<float>> vectors(1000);
  for (auto& vector : vectors) vector = source.next();
  const auto expect = [&](IndexCore& core, std::size_t count) {
    core.expect(
        count, [&](std::size_t i) { return vectors[i].data(); }, pool);
  };
  IndexCore told(config, best_kernels<0>());
  expect(told, vectors.size());
  CHECK(told.generation()->graph.codec().type() == ElementType::i8);
  IndexCore same(config, best_kernels<0>());
  for (std::uint32_t i = 0; i < vectors.size(); ++i) {
    told.put(i, vectors[i].data());
    same.put(i, vectors[i].data());
  }
  const auto go_on = [](std::uint64_t, std::uint64_t) { return true; };
  const auto generation = told.generation();
  told.maintain(pool, go_on);
  CHECK(told.generation() == generation);  // it need not be made a second time
  same.maintain(pool, go_on);
  // The same codes as if it had not been told.
  const Codec& mine = told.generation()->graph.codec();
  const Codec& other = same.generation()->graph.codec();
  CHECK(mine.quantizer().scale == other.quantizer().scale);
  CHECK(mine.quantizer().offset == other.quantizer().offset);
  // What is too little to learn from, or comes later, changes nothing.
  IndexCore little(config, best_kernels<0>());
  expect(little, 255);
  CHECK(little.generation()->graph.codec().type() == ElementType::f32);
  expect(told, 300);
  CHECK(told.generation() == generation);
}
