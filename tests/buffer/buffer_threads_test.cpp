// Many threads on one buffer. SNKV_CONCURRENCY_MS makes it longer.
#include "support/catch.hpp"
#include "support/check.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>
#include <snkv/write_buffer.hpp>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace snkv;
using namespace snkv::test;
using namespace std::chrono_literals;

std::chrono::milliseconds duration() {
  const char* text = std::getenv("SNKV_CONCURRENCY_MS");
  return std::chrono::milliseconds(text == nullptr ? 700 : std::atoi(text));
}

/// Complaints of threads; the main thread checks.
class Complaints {
 public:
  void add(const std::string& what) {
    const std::lock_guard lock(mutex_);
    if (first_.empty()) first_ = what;
  }
  template <class R>
  bool ok(const R& result, const char* what) {
    if (!result) add(std::string(what) + ": " + result.error().message());
    return static_cast<bool>(result);
  }
  [[nodiscard]] std::string first() const {
    const std::lock_guard lock(mutex_);
    return first_;
  }

 private:
  mutable std::mutex mutex_;
  std::string first_;
};

/// Pairs "a<i>" and "b<i>" are written together with equal values, so that who sees different ones
/// saw half of a batch; counters grow by one at a time; iterators count on both.
void run(bool journal, std::optional<Sync> sync) {
  TempDir folder;
  Store store = must(Store::open(folder.file("db"), {.sync = Sync::normal}));
  WriteBuffer buffer = must(WriteBuffer::open(
      store, {.flush_bytes = 60'000, .max_age = 5ms, .journal = journal, .sync = sync}));
  constexpr unsigned pairs = 50;
  WriteBatch all;
  for (unsigned i = 0; i < pairs; ++i) {
    all.put("a" + std::to_string(i), "0").put("b" + std::to_string(i), "0");
  }
  REQUIRE_OK(buffer.write(all));
  std::atomic<bool> stop{false};
  Complaints complaints;
  std::atomic<std::int64_t> increments{0};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(t);
      std::uint64_t n = 0;
      while (!stop) {
        const std::string i = std::to_string(random() % pairs);
        WriteBatch batch;
        const std::string value = std::to_string(++n) + std::string(random() % 200, 'x');
        batch.put("a" + i, value).put("b" + i, value);
        complaints.ok(buffer.write(batch), "write");
        if (complaints.ok(buffer.increment("counter"), "increment")) increments.fetch_add(1);
        complaints.ok(buffer.put("own" + std::to_string(t), std::to_string(n)), "put");
        auto own = buffer.get("own" + std::to_string(t));
        if (complaints.ok(own, "get") && own->view() != std::to_string(n))
          complaints.add("its own write is lost");
      }
    });
  }
  for (unsigned t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(100 + t);
      std::int64_t last_counter = 0;
      while (!stop) {
        std::string values[2][pairs];
        unsigned seen = 0;
        Range range = t == 0 ? buffer.all() : buffer.all().reversed();
        for (auto [key, value] : range) {
          const std::string name = key.str();
          if (name[0] != 'a' && name[0] != 'b') continue;
          values[name[0] - 'a'][std::stoul(name.substr(1))] = value.str();
          ++seen;
        }
        complaints.ok(range.status(), "scan");
        if (seen != 2 * pairs) complaints.add("a scan saw " + std::to_string(seen) + " entries");
        for (unsigned i = 0; i < pairs; ++i) {
          if (values[0][i] != values[1][i]) complaints.add("half of a batch");
        }
        const std::string i = std::to_string(random() % pairs);
        const std::string first = "a" + i;
        const std::string second = "b" + i;
        auto both = buffer.multi_get({BytesView(first), BytesView(second)});
        if (complaints.ok(both, "multi_get") &&
            (!(*both)[0] || !((*both)[0]->view() == (*both)[1]->view()))) {
          complaints.add("half of a batch, by multi_get");
        }
        auto counter = buffer.get("counter");
        if (counter) {
          const std::int64_t now = std::stoll(counter->str());
          if (now < last_counter) complaints.add("the counter went back");
          last_counter = now;
        }
        complaints.ok(buffer.count(), "count");
      }
    });
  }
  threads.emplace_back([&] {
    std::mt19937 random(7);
    while (!stop) {
      if (random() % 4 == 0) complaints.ok(buffer.flush(), "flush");
      complaints.ok(store.put("direct" + std::to_string(random() % 10), "v"), "direct");
      complaints.ok(buffer.stats(), "stats");
      std::this_thread::sleep_for(1ms);
    }
  });
  std::this_thread::sleep_for(duration());
  stop = true;
  for (std::thread& thread : threads) thread.join();
  CHECK(complaints.first().empty());
  if (!complaints.first().empty()) FAIL(complaints.first());
  REQUIRE_OK(buffer.close());
  CHECK(must(store.get("counter")).view() == std::to_string(increments.load()));
  REQUIRE_OK(store.verify());
}

TEST_CASE("threads on a buffer without a journal") { run(false, {}); }
TEST_CASE("threads on a buffer with a journal") { run(true, {}); }
TEST_CASE("threads on a buffer with a journal that survives power cuts") { run(true, Sync::full); }

}  // namespace
