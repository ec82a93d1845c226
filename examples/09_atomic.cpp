// A counter, a lock and a queue that many threads, and processes, share: operations that read and
// write in one step.
#include "expect.hpp"

#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;

/// Adds a job at the end of the queue. Its key has all digits, so that the order is that of
/// numbers.
void push(snkv::Store& store, const std::string& job) {
  const std::string digits = std::to_string(must(store.fetch_add("queue-end")));
  must(store.put("job:" + std::string(19 - digits.size(), '0') + digits, job));
}

/// Takes the first job, if there is one.
std::optional<std::string> pop(snkv::Store& store) {
  for (;;) {
    auto jobs = store.prefix("job:").keys_only();
    const auto first = jobs.begin();
    must(jobs.status());
    if (first == jobs.end()) return std::nullopt;
    // Of all that see the same first job, one gets it.
    if (auto job = must(store.get_and_erase((*first).key))) return job->str();
  }
}

}  // namespace

int main() {
  auto store = must(snkv::Store::open("atomic.db"));

  // A lock is a key that only one can make. If its owner dies, it expires.
  expect(must(store.put_if_absent("lock", "me", {.ttl = 30s})), "got the lock");
  expect(!must(store.put_if_absent("lock", "you", {.ttl = 30s})), "it is taken");
  // Only its owner may release it.
  const auto release = [&](std::string_view owner) {
    return store.merge(
        "lock",
        [&](std::optional<snkv::BytesView> current) -> snkv::Result<std::optional<snkv::Bytes>> {
          if (!current || *current != snkv::BytesView(owner)) {
            return snkv::Unexpected(snkv::Error(snkv::Errc::aborted, "release", "not the owner"));
          }
          return std::nullopt;  // erases it
        });
  };
  expect(!release("you"), "not yours");
  must(release("me"));

  // A queue, filled and emptied by several threads at once.
  std::atomic<int> done{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([store, &done]() mutable {
      for (int job = 0; job < 50; ++job) push(store, "work");
      while (pop(store)) {
        must(store.increment("done"));
        ++done;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  while (pop(store)) ++done;
  std::cout << done << " jobs done, the store counted " << must(store.get("done")) << '\n';
  expect(done == 4 * 50, "each job was done once");

  // Whoever knows the old value may replace it: the loser of a race reads again.
  must(store.put("config", "1"));
  expect(must(store.compare_and_swap("config", "1", "2")), "first");
  expect(!must(store.compare_and_swap("config", "1", "3")), "too late");
}
