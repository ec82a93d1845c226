// Threads that add, replace, erase, search and compact at once.
#include "concurrency/threads.hpp"
#include "support/catch.hpp"
#include "support/check.hpp"
#include "vectors.hpp"

#include <snkv/vector/index.hpp>

#include <atomic>
#include <cmath>
#include <cstdint>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace snkv;
using namespace snkv::test;
using std::chrono::milliseconds;

namespace {

constexpr std::size_t dim = 8;

/// A vector that tells whose it is: the first two numbers are the label's.
std::vector<float> vector_of(std::uint64_t label, ThreadRandom& random) {
  std::vector<float> vector(dim);
  vector[0] = static_cast<float>(label % 100) * 10;
  vector[1] = static_cast<float>(label / 100) * 10;
  for (std::size_t d = 2; d < dim; ++d) vector[d] = static_cast<float>(random.below(100)) * 0.01f;
  return vector;
}

}  // namespace

TEST_CASE("a vector that is replaced by its like is found at any moment") {
  constexpr std::uint64_t labels = 300;
  VectorIndex<dim, L2> index =
      must(VectorIndex<dim, L2>::create({.m = 8, .ef_construction = 40, .threads = 1}));
  ThreadRandom random(2);
  std::vector<std::vector<float>> vectors;
  for (std::uint64_t label = 0; label < labels; ++label) {
    vectors.push_back(vector_of(label, random));
    must(index.put(label, vectors.back()));
  }
  Complaints complaints;
  std::atomic<bool> stop{false};
  std::thread changing([&] {
    for (std::uint64_t label = 0; !stop.load(); label = (label + 1) % labels) {
      complaints.check(index.put(label, vectors[label]), "put");
    }
  });
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t label = random.below(labels);
    const auto hits = must(index.search(vectors[label], 1));
    if (hits.size() != 1 || hits[0].label != label) complaints.add("label " + std::to_string(label) + " is not found");
  }
  stop = true;
  changing.join();
  CHECK(complaints.first() == "");
}

TEST_CASE("searches beside changes and compaction are right") {
  const ElementType type = GENERATE(ElementType::f32, ElementType::i8);
  CAPTURE(to_string(type));
  VectorIndex<dim, L2> index = must(
      VectorIndex<dim, L2>::create({.dtype = type, .m = 8, .ef_construction = 40, .threads = 2}));
  ThreadRandom random(1);
  for (std::uint64_t label = 0; label < 1000; ++label)
    must(index.put(label, vector_of(label, random)));
  Complaints complaints;
  std::atomic<bool> stop{false};
  {
    Threads threads;
    // Labels from 500 on come and go; those below are replaced, and always there.
    threads.once([&](ThreadRandom& mine) {
      while (!stop.load()) {
        const std::uint64_t label = mine.below(1000);
        if (label >= 500 && mine.percent(50)) {
          index.erase(label);
        } else {
          complaints.check(index.put(label, vector_of(label, mine)), "put");
        }
      }
    });
    threads.once([&](ThreadRandom& mine) {
      while (!stop.load()) {
        std::vector<std::uint64_t> labels;
        std::vector<float> vectors;
        for (int i = 0; i < 50; ++i) {
          labels.push_back(mine.below(500));
          const auto vector = vector_of(labels.back(), mine);
          vectors.insert(vectors.end(), vector.begin(), vector.end());
        }
        complaints.check(index.put_batch(labels, vectors), "put_batch");
        if (mine.percent(20)) index.compact();
      }
    });
    for (int searcher = 0; searcher < 2; ++searcher) {
      threads.once([&](ThreadRandom& mine) {
        while (!stop.load()) {
          const std::uint64_t label = mine.below(500);
          const auto query = vector_of(label, mine);
          const auto hits = index.search(query, 3, {.exact = mine.percent(10)});
          if (!complaints.check(hits, "search")) continue;
          complaints.require(hits->size() == 3, "three hits");
          for (const Neighbor& hit : *hits) {
            // The distance is that of some vector of the label that is told.
            const float x = static_cast<float>(hit.label % 100) * 10 - query[0];
            const float y = static_cast<float>(hit.label / 100) * 10 - query[1];
            complaints.require(hit.distance >= (x * x + y * y) * 0.98f - 1 &&
                                   hit.distance <= (x * x + y * y) * 1.02f + 8,
                               "the distance of another label");
          }
        }
      });
    }
    std::this_thread::sleep_for(test_duration(milliseconds(1500)));
    stop.store(true);
    threads.join();
  }
  REQUIRE_NO(complaints);
  for (std::uint64_t label = 0; label < 500; ++label) REQUIRE(index.contains(label));
  for (std::uint64_t label = 0; label < 500; label += 7) {
    const auto vector = vector_of(label, random);
    must(index.put(label, vector));
    CHECK(must(index.search(vector, 1))[0].label == label);
  }
}

TEST_CASE("what is found on an upper level leads on to the lower ones") {
  using namespace snkv::vector_detail;
  // An insertion that meets another one before that has neighbours below takes it for the only
  // neighbour, and is hardly ever found then.
  constexpr std::uint32_t count = 4000;
  ClusteredVectors points(64, 16, 3);
  Generation generation(Codec(Metric::l2, ElementType::f32, 64, best_kernels<0>()), 4, 100, false);
  for (std::uint32_t label = 0; label < count; ++label) generation.put(label, points.next().data());
  const Graph& graph = generation.graph;
  std::atomic<bool> done{false};
  std::atomic<std::uint64_t> looks{0};
  std::size_t dead_ends = 0;
  {
    Threads threads;
    threads.once([&](ThreadRandom&) {
      std::vector<Slot> links(graph.capacity(0));
      while (!done.load()) {
        // In the order of the insertions, always a little behind them.
        for (Slot slot = 0; slot < count && !done.load(); ++slot) {
          for (unsigned level = graph.level(slot); level > 0; --level) {
            if (graph.links_of(slot, level, links.data()) == 0) continue;
            dead_ends += graph.links_of(slot, level - 1, links.data()) == 0;
          }
        }
        looks.fetch_add(1);
      }
    });
    ThreadPool pool(2);
    while (looks.load() == 0) std::this_thread::yield();
    generation.link_all(pool, [](std::uint64_t, std::uint64_t) { return true; });
    done.store(true);
  }
  CHECK(dead_ends == 0);
}

TEST_CASE("a label is not mistaken for the one whose number it got during a search") {
  auto index = must(VectorIndex<2, L2>::create());
  const std::vector<float> here{0, 0};
  const std::vector<float> there{10, 0};
  must(index.put(1, here));
  bool replaced = false;
  // The filter is asked in the middle of the search: there another thread takes label 1 away, and
  // label 3 gets its number.
  const auto filter = [&](std::uint64_t label) {
    if (!std::exchange(replaced, true)) {
      std::thread([&] {
        index.erase(1);
        static_cast<void>(index.put(3, there));
      }).join();
    }
    return label == 1;
  };
  CHECK(must(index.search(here, 1, {.filter = filter})).empty());
  CHECK(replaced);
}

TEST_CASE("a pool runs every piece once, also from within itself") {
  ThreadPool pool(3);
  for (int round = 0; round < 200; ++round) {
    std::atomic<int> next{0};
    std::atomic<int> sum{0};
    pool.run([&](std::size_t) {
      for (int i = next.fetch_add(1); i < 10; i = next.fetch_add(1)) {
        std::atomic<int> inner{0};
        pool.run([&](std::size_t) { inner.fetch_add(1); });
        sum.fetch_add(inner.load() >= 1 ? i : 1000);
      }
    });
    REQUIRE(sum.load() == 45);
  }
  REQUIRE_THROWS_AS(pool.run([](std::size_t) { throw std::bad_alloc(); }), std::bad_alloc);
  std::atomic<int> posted{0};
  {
    ThreadPool other(1);
    for (int i = 0; i < 10; ++i) other.post([&] { posted.fetch_add(1); });
  }
  CHECK(posted.load() == 10);
}
