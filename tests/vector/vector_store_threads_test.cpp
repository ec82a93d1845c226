// Threads that put, replace, erase, search, compact and save at once; then everything that is there
// is found, and nothing else.
#include "support/check.hpp"
#include "support/temp_dir.hpp"
#include "vector/open_vectors.hpp"
#include "vector/vectors.hpp"

#include <snkv/vector/store.hpp>

#include <array>
#include <atomic>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace snkv::test {
namespace {

constexpr std::size_t dim = 12;

/// What went wrong in a thread; the main thread tells.
struct Complaints {
  void add(const std::string& what) {
    const std::lock_guard lock(mutex);
    if (first.empty()) first = what;
  }
  template <class R>
  bool expect(const R& result) {
    if (!result) add(result.error().message());
    return result.has_value();
  }
  std::mutex mutex;
  std::string first;
};

/// Puts, replaces and erases keys of its own; what it leaves there it returns.
std::set<std::string> churn(VectorStore<>& handle, int thread, int steps, Complaints& complaints) {
  ClusteredVectors vectors(dim, 6, static_cast<std::uint64_t>(100 + thread));
  std::set<std::string> mine;
  for (int i = 0; i < steps; ++i) {
    const std::string key = std::to_string(thread) + ":" + std::to_string(vectors.random() % 60);
    if (vectors.random() % 4 == 0) {
      const auto existed = handle.erase(key);
      if (!complaints.expect(existed)) break;
      if (*existed != (mine.erase(key) == 1)) complaints.add("erase of " + key);
      continue;
    }
    const std::vector<float> vector = vectors.next();
    const auto put = handle.put(key, vector, {.value = key, .metadata = {{"thread", thread}}});
    if (!complaints.expect(put)) break;
    mine.insert(key);
    // What this thread has committed, it finds at once, whatever the others do.
    const auto found = handle.search_keys(vector, 1, {.filter = field("thread") == thread});
    if (complaints.expect(found) && (found->empty() || (*found)[0].key != key)) {
      complaints.add("not found: " + key);
    }
  }
  return mine;
}

TEST_CASE("threads that write, search, compact and save", "[vector][store][tsan]") {
  const bool one_store = GENERATE(true, false);
  const auto dtype = one_store ? ElementType::f32 : ElementType::i8;
  const TempDir dir;
  constexpr int writers = 2;
  std::vector<VectorStore<>> handles;
  const VectorStoreOptions options{.name = "v",
                                   .dim = dim,
                                   .metric = Metric::l2,
                                   .dtype = dtype,
                                   .threads = 2,
                                   .store = {.sync = Sync::off}};
  for (int i = 0; i < writers + 2; ++i) {
    // Two stores on one file are as two processes.
    handles.push_back(i > 0 && (one_store || i > 1)
                          ? handles[static_cast<std::size_t>(i % (one_store ? 1 : 2))]
                          : must(open_vectors<VectorStore<>>(dir.file("a.db"), options)));
  }
  Complaints complaints;
  std::atomic<bool> stop{false};
  std::array<std::set<std::string>, writers> left;
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < writers; ++i) {
    threads.emplace_back(
        [&, i] { left[i] = churn(handles[i], static_cast<int>(i), 300, complaints); });
  }
  std::thread searcher([&] {
    ClusteredVectors vectors(dim, 6, 7);
    while (!stop) {
      const auto hits = handles[writers].search(vectors.next(), 5);
      if (!complaints.expect(hits)) return;
      for (const VectorHit& hit : *hits) {
        if (hit.value && hit.value->view() != hit.key) complaints.add("the value of another");
        if (hit.metadata["thread"] != hit.key[0] - '0') complaints.add("metadata of another");
      }
    }
  });
  std::thread keeper([&] {
    while (!stop) {
      if (!complaints.expect(handles[writers + 1].compact())) return;
      if (!complaints.expect(handles[writers + 1].save())) return;
    }
  });
  for (std::thread& thread : threads) thread.join();
  stop = true;
  searcher.join();
  keeper.join();
  REQUIRE(complaints.first.empty());

  for (VectorStore<>& handle : handles) {
    std::set<std::string> all;
    for (const auto& mine : left) all.insert(mine.begin(), mine.end());
    CHECK(must(handle.size()) == all.size());
    for (const std::string& key : all) {
      const auto vector = must(handle.get_vector(key));
      CHECK(must(handle.search_keys(vector, 1))[0].key == key);
    }
    const auto everything = must(handle.search_keys(std::vector<float>(dim, 0.5f), 1000));
    std::set<std::string> found;
    for (const VectorKey& hit : everything) found.insert(hit.key);
    CHECK(found == all);
  }
}

}  // namespace
}  // namespace snkv::test
