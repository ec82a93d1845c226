// How much of the true neighbours searches find among real vectors, the pictures of MNIST: for
// every type of elements, with filters of every selectivity, and after everything was replaced five
// times.
#include "support/sanitizer.hpp"
#include "vector/collections.hpp"

#include <datasets/mnist.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

using namespace snkv;
using namespace snkv::test;
using datasets::Pictures;

namespace {

constexpr std::size_t some_pictures = memory_is_sanitized ? 1500 : 10'000;
constexpr std::size_t all_pictures = 60'000;

Pictures load(const char* part, std::size_t most) {
  return must(datasets::load_mnist(SNKV_MNIST_DIR, part, most));
}

/// By other code than the index's. The dimensions are a multiple of 8.
float square_distance(std::span<const float> a, std::span<const float> b) {
  float sums[8] = {};
  for (std::size_t i = 0; i < a.size(); i += 8) {
    for (std::size_t k = 0; k < 8; ++k) sums[k] += (a[i + k] - b[i + k]) * (a[i + k] - b[i + k]);
  }
  return std::accumulate(sums, sums + 8, 0.0f);
}

/// What is in a collection, by key.
using Live = std::unordered_map<std::string, std::span<const float>>;

/// The k-th smallest distance, of those that `accepts` accepts; infinity if there are fewer.
template <class Accepts>
float true_radius(const Live& live, std::span<const float> query, std::size_t k,
                  std::size_t& matches, Accepts&& accepts) {
  std::vector<float> distances;
  for (const auto& [key, vector] : live) {
    if (accepts(key)) distances.push_back(square_distance(query, vector));
  }
  matches = distances.size();
  if (matches < k) return INFINITY;
  std::nth_element(distances.begin(), distances.begin() + static_cast<std::ptrdiff_t>(k - 1),
                   distances.end());
  return distances[k - 1];
}

/// Hits that are no farther than the k-th true neighbour are true ones. The last bits of a distance
/// depend on the order of its sum.
std::size_t good_hits(const Live& live, std::span<const float> query,
                      const std::vector<VectorKey>& hits, float radius) {
  return static_cast<std::size_t>(
      std::count_if(hits.begin(), hits.end(), [&](const VectorKey& hit) {
        return square_distance(query, live.at(hit.key)) <= radius * (1 + 1e-5f);
      }));
}

double recall(const VectorOperations& collection, const Live& live, const Pictures& queries,
              const VectorSearch& options = {}) {
  std::size_t good = 0;
  for (std::size_t i = 0; i < queries.size(); ++i) {
    std::size_t matches = 0;
    const float radius = true_radius(live, queries[i], 10, matches, [](auto&) { return true; });
    const auto hits = must(collection.search_keys(queries[i], 10, options));
    REQUIRE(hits.size() == 10);
    good += good_hits(live, queries[i], hits, radius);
  }
  return static_cast<double>(good) / static_cast<double>(10 * queries.size());
}

std::string key_of(std::size_t i) { return std::to_string(i); }

Live live_of(const Pictures& pictures) {
  Live live;
  for (std::size_t i = 0; i < pictures.size(); ++i) live[key_of(i)] = pictures[i];
  return live;
}

VectorStore<784, L2> stored(const Live& live, const VectorStoreOptions& options,
                            const std::vector<Json>& metadata = {}) {
  auto collection = must(VectorStore<784, L2>::open_in_memory(options));
  std::vector<VectorItem> items;
  for (const auto& [key, vector] : live) {
    items.push_back({.key = key,
                     .vector = vector,
                     .metadata = metadata.empty() ? Json() : metadata[std::stoul(key)]});
  }
  must(collection.put_batch(items));
  return collection;
}

void check_types(std::size_t pictures, std::size_t queries) {
  const Pictures train = load("train", pictures);
  const Pictures test = load("t10k", queries);
  const Live live = live_of(train);
  for (const ElementType type : {ElementType::f32, ElementType::f16, ElementType::i8}) {
    const auto collection = stored(live, {.dtype = type});
    CHECK(must(collection.stats()).unlinked == 0);
    const bool exact = type == ElementType::f32;
    const double found = recall(collection, live, test, {.rerank = exact});
    WARN(to_string(type) << ": recall@10 of " << pictures << " pictures " << found
                         << (exact ? "" : " without rerank"));
    CHECK(found >= (exact ? 0.99 : 0.97));
    if (!exact) CHECK(recall(collection, live, test) >= 0.99);
  }
}

}  // namespace

TEST_CASE("neighbours among pictures are found with the default options") {
  check_types(some_pictures, 300);
}

TEST_CASE("neighbours among all pictures", "[.][full]") { check_types(all_pictures, 2000); }

namespace {

struct Filtered {
  const char* name;
  std::string field;
  std::vector<std::size_t> queries;
};

void check_filters(std::size_t pictures, std::size_t queries) {
  const Pictures train = load("train", pictures);
  const Pictures test = load("t10k", some_pictures);
  const Live live = live_of(train);

  // Two ranks for each picture, from 0 to 1: by chance, and by the distance from one of them.
  std::vector<std::size_t> chance(train.size());
  std::iota(chance.begin(), chance.end(), std::size_t{0});
  std::vector<std::size_t> near = chance;
  std::shuffle(chance.begin(), chance.end(), std::mt19937_64(31));
  const auto nearer = [&](const Pictures& of) {
    return [&](std::size_t a, std::size_t b) {
      return square_distance(of[a], test[0]) < square_distance(of[b], test[0]);
    };
  };
  std::sort(near.begin(), near.end(), nearer(train));
  std::vector<Json> metadata(train.size());
  for (std::size_t rank = 0; rank < train.size(); ++rank) {
    const double at = static_cast<double>(rank) / static_cast<double>(train.size());
    metadata[chance[rank]]["chance"] = at;
    metadata[near[rank]]["near"] = at;
  }
  std::vector<std::size_t> order(test.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), nearer(test));
  const std::vector<std::size_t> nearest(order.begin(),
                                         order.begin() + static_cast<std::ptrdiff_t>(queries));
  const std::vector<std::size_t> farthest(order.end() - static_cast<std::ptrdiff_t>(queries),
                                          order.end());
  const Filtered kinds[] = {{"uncorrelated", "chance", nearest},
                            {"correlated", "near", nearest},
                            {"anti-correlated", "near", farthest}};

  const ElementType type = GENERATE(ElementType::f32, ElementType::i8);
  const auto collection = stored(live, {.dtype = type}, metadata);
  for (const Filtered& kind : kinds) {
    for (const double share : {1.0, 0.5, 0.1, 0.01, 0.001, 0.0001}) {
      const Filter filter = field(kind.field) < share;
      std::size_t good = 0;
      std::size_t all = 0;
      std::size_t matches = 0;
      for (const std::size_t query : kind.queries) {
        const auto accepts = [&](const std::string& key) {
          return filter.matches(metadata[std::stoul(key)]);
        };
        const float radius = true_radius(live, test[query], 10, matches, accepts);
        const auto hits = must(collection.search_keys(test[query], 10, {.filter = filter}));
        REQUIRE(hits.size() == std::min<std::size_t>(10, matches));
        REQUIRE(std::all_of(hits.begin(), hits.end(),
                            [&](const VectorKey& hit) { return accepts(hit.key); }));
        good += good_hits(live, test[query], hits, radius);
        all += hits.size();
      }
      CAPTURE(to_string(type), kind.name, share, good, all);
      CHECK(must(collection.count(filter)) == matches);
      CHECK(static_cast<double>(good) >= 0.95 * static_cast<double>(all));
    }
  }
}

}  // namespace

TEST_CASE("filters get all of the k that there are, whatever they have to do with the query") {
  check_filters(some_pictures, 20);
}

TEST_CASE("filters on all pictures", "[.][full]") { check_filters(all_pictures, 200); }

namespace {

/// Replaces and erases at random until as many were put as there are, five times.
void check_turnovers(std::size_t size, ElementType type) {
  const Pictures pool = load("train", 6 * size);
  const Pictures test = load("t10k", 200);
  std::mt19937_64 random(41);
  Live live;
  for (std::size_t i = 0; i < size; ++i) live[key_of(i)] = pool[i];
  auto collection = stored(live, {.dtype = type});

  std::size_t next_picture = size;
  std::size_t next_key = size;
  std::vector<std::string> keys;
  for (const auto& [key, vector] : live) keys.push_back(key);
  std::sort(keys.begin(), keys.end());  // the order of a hash table is nobody's business
  for (int turnover = 0; turnover < 5; ++turnover) {
    for (std::size_t done = 0; done < size;) {
      // A batch of some that replace and some that are new, for which others go.
      std::vector<VectorItem> items;
      std::vector<std::string> names;
      std::vector<std::string> erased;
      for (std::size_t i = 0; i < 100; ++i) {
        const std::size_t which = random() % keys.size();
        if (i % 4 == 0) {
          if (std::find(names.begin(), names.end(), keys[which]) != names.end()) continue;
          erased.push_back(keys[which]);
          live.erase(keys[which]);
          keys[which] = key_of(next_key++);
        }
        names.push_back(keys[which]);
        live[keys[which]] = pool[next_picture++ % pool.size()];
      }
      for (const std::string& name : names) items.push_back({.key = name, .vector = live.at(name)});
      std::vector<BytesView> gone(erased.begin(), erased.end());
      REQUIRE(must(collection.erase_many(gone)) == gone.size());
      must(collection.put_batch(items));
      done += items.size();
    }
  }
  REQUIRE(must(collection.size()) == live.size());

  const auto fresh = stored(live, {.dtype = type});
  const double recall_before = recall(fresh, live, test);
  const double recall_after = recall(collection, live, test);
  const VectorStats stats_before = must(fresh.stats());
  const VectorStats stats_after = must(collection.stats());
  WARN(to_string(type) << ": recall@10 after five turnovers " << recall_after << ", fresh "
                       << recall_before << "; memory " << stats_after.memory_bytes << " and "
                       << stats_before.memory_bytes);
  CHECK(recall_after >= recall_before - 0.01);
  CHECK(static_cast<double>(stats_after.memory_bytes) <=
        1.3 * static_cast<double>(stats_before.memory_bytes));
  std::size_t lost = 0;
  for (const auto& [key, vector] : live) {
    const auto hits = must(collection.search_keys(vector, 1));
    lost += hits.size() != 1 || square_distance(vector, live.at(hits[0].key)) != 0;
  }
  CHECK(lost == 0);
}

}  // namespace

TEST_CASE("five turnovers cost neither neighbours nor memory") {
  check_turnovers(some_pictures / 4, GENERATE(ElementType::f32, ElementType::i8));
}

TEST_CASE("five turnovers of many pictures", "[.][full]") {
  check_turnovers(10'000, GENERATE(ElementType::f32, ElementType::i8));
}
