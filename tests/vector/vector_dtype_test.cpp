// The type of the codes is changed while a collection is in use.
#include "concurrency/threads.hpp"
#include "support/catch.hpp"
#include "support/check.hpp"
#include "support/temp_dir.hpp"
#include "vectors.hpp"

#include <snkv/snkv.hpp>
#include <snkv/vector.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <vector>

using namespace snkv;
using namespace snkv::test;

namespace {

constexpr std::size_t dim = 24;
constexpr std::size_t size = 900;
using Points = VectorStore<>;

/// A collection and what is in it.
struct Filled {
  std::vector<std::vector<float>> vectors;
  Points points;

  explicit Filled(Points opened) : points(std::move(opened)) {
    ClusteredVectors source(dim, 12, 5);
    std::vector<std::string> keys;
    for (std::size_t i = 0; i < size; ++i) {
      vectors.push_back(source.next());
      keys.push_back("k" + std::to_string(i));
    }
    std::vector<VectorItem> items;
    for (std::size_t i = 0; i < size; ++i) items.push_back({.key = keys[i], .vector = vectors[i]});
    must(points.put_batch(items));
  }

  /// Each of some vectors is the nearest to itself, and the one at distance 0.
  void check(const Points& from) const {
    CHECK(must(from.size()) == size);
    for (std::size_t i = 0; i < size; i += 50) {
      const std::string key = "k" + std::to_string(i);
      const auto hits = must(from.search_keys(vectors[i], 5));
      REQUIRE(hits.size() == 5);
      CHECK(hits.front().key == key);
      CHECK(hits.front().distance == Approx(0.0f).margin(1e-4));
      CHECK(must(from.search_keys(vectors[i], 5, {.exact = true})).front().key == key);
      CHECK(must(from.get_vector(key)) == vectors[i]);
    }
  }
};

}  // namespace

TEST_CASE("the codes are changed to any type, and the collection remembers it") {
  const bool keep = GENERATE(true, false);
  const auto from = GENERATE(ElementType::f32, ElementType::f16, ElementType::i8);
  const auto to = GENERATE(ElementType::f32, ElementType::f16, ElementType::i8);
  CAPTURE(keep, to_string(from), to_string(to));
  const TempDir dir;
  const VectorStoreOptions options{.name = "p", .keep_vectors = keep, .threads = 2};
  VectorStoreOptions created = options;
  created.dim = dim;
  created.metric = Metric::l2;
  created.dtype = from;
  std::optional<Filled> filled;
  filled.emplace(must(Points::open(dir.file("a.db"), created)));
  Points& points = filled->points;
  must(points.set_dtype(to));
  CHECK(points.dtype() == to);
  const VectorStats stats = must(points.stats());
  CHECK(stats.info.dtype == to);
  CHECK(stats.quantized == (to == ElementType::i8));
  CHECK(stats.unlinked == 0);
  CHECK((stats.code_bytes == 0) == (to == ElementType::f32));
  filled->check(points);
  must(points.put("new", filled->vectors[3]));
  CHECK(must(points.erase("new")));
  const Points again = must(Points::open(points.store(), options));
  CHECK(again.dtype() == to);
  points = Points();
  const Points reopened = must(Points::open(dir.file("a.db"), options));
  CHECK(reopened.dtype() == to);
  filled->check(reopened);
  if (from != to) REQUIRE_ERRC(Points::open(dir.file("a.db"), created), Errc::dtype_mismatch);
}

TEST_CASE("another store of the process follows when it opens the collection anew") {
  const TempDir dir;
  const VectorStoreOptions options{.name = "p", .threads = 1};
  VectorStoreOptions created = options;
  created.dim = dim;
  created.metric = Metric::l2;
  Filled filled(must(Points::open(dir.file("a.db"), created)));
  const Store other = must(Store::open(dir.file("a.db")));
  const Points before = must(Points::open(other, options));
  must(filled.points.set_dtype(ElementType::i8));
  CHECK(before.dtype() == ElementType::f32);
  filled.check(before);
  must(filled.points.put("k0", filled.vectors[0]));  // replaced by the same
  filled.check(before);
  const Points after = must(Points::open(other, options));
  CHECK(after.dtype() == ElementType::i8);
  CHECK(before.dtype() == ElementType::i8);  // they share the index
  filled.check(before);
}

TEST_CASE("what cannot be changed stays as it is") {
  const bool keep = GENERATE(true, false);
  CAPTURE(keep);
  const TempDir dir;
  const VectorStoreOptions options{.name = "p", .dim = dim, .metric = Metric::l2, .dtype = ElementType::f16,
                                   .keep_vectors = keep, .threads = 1};
  Filled filled(must(Points::open(dir.file("a.db"), options)));
  Points& points = filled.points;
  REQUIRE_ERRC(Points().set_dtype(ElementType::i8), Errc::closed);
  REQUIRE_ERRC(points.set_dtype(static_cast<ElementType>(9)), Errc::invalid_argument);
  const auto stop = [](std::uint64_t, std::uint64_t) { return false; };
  REQUIRE_ERRC(points.set_dtype(ElementType::i8, stop), Errc::aborted);
  CHECK(points.dtype() == ElementType::f16);
  filled.check(points);
  must(points.set_dtype(ElementType::f16, stop));  // that is what it is
  {
    Transaction transaction = must(points.store().begin());
    Points inside = must(points.in(transaction));
    REQUIRE_ERRC(inside.set_dtype(ElementType::i8), Errc::invalid_argument);
  }
  {
    // Another writer: the record cannot be changed, and so the codes are not.
    Options impatient;
    impatient.busy_timeout = std::chrono::milliseconds(0);
    Store other = must(Store::open(dir.file("a.db"), impatient));
    const Points theirs = must(Points::open(other, {.name = "p"}));
    Transaction transaction = must(points.store().begin());
    Points handle = theirs;
    REQUIRE_ERRC(handle.set_dtype(ElementType::i8), Errc::busy);
    CHECK(handle.dtype() == ElementType::f16);
    filled.check(handle);
  }
  points = Points();
  Points reading = must(Points::open(dir.file("a.db"), {.name = "p", .store = {.read_only = true}}));
  REQUIRE_ERRC(reading.set_dtype(ElementType::i8), Errc::read_only);
  must(VectorCollections(must(Store::open(dir.file("a.db")))).drop("p"));
  REQUIRE_ERRC(reading.set_dtype(ElementType::i8), Errc::read_only);
}

TEST_CASE("searches and writes go on while the codes are changed") {
  const bool keep = GENERATE(true, false);
  CAPTURE(keep);
  Store store = must(Store::open_in_memory());
  Filled filled(must(Points::open(
      store, {.name = "p", .dim = dim, .metric = Metric::l2, .dtype = ElementType::i8, .keep_vectors = keep, .threads = 2})));
  std::atomic<bool> stop{false};
  Complaints complaints;
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    for (std::size_t i = 0; !stop; i = (i + 7) % size) {
      const auto hits = filled.points.search_keys(filled.vectors[i], 1);
      const std::string key = "k" + std::to_string(i);
      if (!hits) complaints.add("search: " + hits.error().message());
      if (hits && hits->size() != 1) complaints.add(key + ": " + std::to_string(hits->size()) + " hits");
      if (hits && hits->size() == 1 && hits->front().key != key) {
        complaints.add(key + ": found " + hits->front().key + " at " + std::to_string(hits->front().distance));
      }
    }
  });
  threads.emplace_back([&] {
    for (std::size_t i = 0; !stop; i = (i + 1) % size) {
      const auto put = filled.points.put("k" + std::to_string(i), filled.vectors[i]);
      if (!put) complaints.add("put: " + put.error().message());
    }
  });
  for (const ElementType type : {ElementType::f32, ElementType::f16, ElementType::i8, ElementType::f16}) {
    must(filled.points.set_dtype(type));
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(complaints.first() == "");
  filled.check(filled.points);
}
