// A thread that is stopped while it links a vector, for as long as others take to link all of
// theirs.
#include "support/catch.hpp"
#include "vectors.hpp"

#include <snkv/vector/index.hpp>

#include <atomic>
#include <cstddef>
#include <limits>
#include <optional>
#include <semaphore>
#include <thread>
#include <vector>

using namespace snkv;
using namespace snkv::vector_detail;

namespace {

constexpr std::size_t dim = 16;

/// Stops the thread that it belongs to at one of its distance computations.
struct Stop {
  explicit Stop(std::size_t computation) : left(computation) {}
  std::size_t left;
  std::binary_semaphore reached{0};
  std::binary_semaphore go_on{0};
};
thread_local Stop* stop_of_this_thread = nullptr;

void squares_with_stop(const float* query, const std::byte* const* codes, std::size_t count,
                       std::size_t blocks, std::size_t ahead, float* out) noexcept {
  if (Stop* const stop = stop_of_this_thread; stop != nullptr && stop->left-- == 0) {
    stop->reached.release();
    stop->go_on.acquire();
  }
  best_kernels<dim>().f32.squares(query, codes, count, blocks, ahead, out);
}

Kernels kernels_with_stop() {
  Kernels kernels = best_kernels<dim>();
  kernels.f32.squares = squares_with_stop;
  return kernels;
}

/// Vectors around one point, all about equally far from each other.
class Around {
 public:
  Around(float center, std::uint64_t seed) : center_(center), random_(seed) {}
  std::vector<float> next() {
    std::normal_distribution<float> noise(center_, 1);
    std::vector<float> vector(dim);
    for (float& x : vector) x = noise(random_);
    return vector;
  }

 private:
  float center_;
  std::mt19937_64 random_;
};

struct Outcome {
  bool stopped = false;  ///< Whether the linking came so far that the thread was stopped.
  bool found = false;
};

/// Some vectors in one place are linked, then one in another place, by a thread that is stopped at
/// a distance computation while `others` around it are linked.
Outcome link_with_stop(std::size_t computation, Slot others) {
  static const Kernels kernels = kernels_with_stop();
  constexpr Slot first = 40;
  Graph graph(Codec(Metric::l2, ElementType::f32, dim, kernels), 8, 40);
  Around far_away(100, 1);
  Around near(0, 2);
  std::vector<float> wanted;
  std::size_t clamped = 0;
  for (Slot slot = 0; slot < first + 1 + others; ++slot) {
    const std::vector<float> vector = slot < first ? far_away.next() : near.next();
    if (slot == first) wanted = vector;
    graph.append(vector.data(), slot, clamped);
  }
  Scratch scratch(graph.codec());
  for (Slot slot = 0; slot < first; ++slot) graph.link(slot, scratch);

  Outcome outcome;
  Stop stop(computation);
  std::atomic<bool> done{false};
  std::thread stopped([&] {
    stop_of_this_thread = &stop;
    Scratch its_own(graph.codec());
    graph.link(first, its_own);
    stop_of_this_thread = nullptr;
    done.store(true);
    stop.reached.release();
  });
  stop.reached.acquire();
  outcome.stopped = !done.load();
  for (Slot slot = first + 1; slot < graph.size(); ++slot) graph.link(slot, scratch);
  stop.go_on.release();
  stopped.join();

  graph.codec().prepare(wanted.data(), scratch.query);
  graph.search(scratch, 32);
  for (std::size_t i = 0; i < scratch.pool.size(); ++i)
    outcome.found |= scratch.pool[i].slot == first;
  return outcome;
}

}  // namespace

TEST_CASE("a vector whose thread was stopped while it was linked is found") {
  const Slot others = GENERATE(Slot{20}, Slot{200}, Slot{2000});
  std::size_t stops = 0;
  for (std::size_t computation = 0;; ++computation) {
    CAPTURE(others, computation);
    const Outcome outcome = link_with_stop(computation, others);
    CHECK(outcome.found);
    if (!outcome.stopped) break;
    ++stops;
  }
  CHECK(stops > 40);
}
