// What threads gain by sharing commits: single puts at Sync::full, each of which returns only when
// it would survive a power cut, with 1, 2 and 8 threads on one store.
//
//     group_commit [folder] [rounds]     (., 9; not a folder in memory, where an fsync is free)
#include "measure.hpp"

#include <thread>

namespace {

using benchmark::must;

constexpr std::size_t puts_each_round = 800;

/// The puts of one round, by so many threads.
void put_all(snkv::Store& store, std::size_t threads) {
  static std::size_t round = 0;
  ++round;
  std::vector<std::thread> running;
  for (std::size_t t = 0; t < threads; ++t) {
    running.emplace_back([store, t, threads]() mutable {
      const std::string value(100, 'x');
      for (std::size_t i = t; i < puts_each_round; i += threads) {
        must(store.put(std::to_string(round * 7919 % 1000) + "/" + std::to_string(i), value));
      }
    });
  }
  for (std::thread& thread : running) thread.join();
}

}  // namespace

int main(int argc, char** argv) {
  const std::string place = argc > 1 ? argv[1] : ".";
  const int rounds = argc > 2 ? std::max(7, std::atoi(argv[2])) : 9;
  const benchmark::Folder folder(place);
  std::printf("durable puts of 100 bytes in %s, %d rounds of %zu puts, medians\n", place.c_str(),
              rounds, puts_each_round);

  std::vector<snkv::Store> stores;
  std::vector<benchmark::Candidate> candidates;
  const std::vector<std::size_t> thread_counts = {1, 2, 8};
  for (const std::size_t threads : thread_counts) {
    stores.push_back(must(snkv::Store::open(folder.file(std::to_string(threads) + ".db"),
                                            {.sync = snkv::Sync::full})));
    candidates.push_back({std::to_string(threads) + (threads == 1 ? " thread" : " threads"),
                          puts_each_round,
                          [store = stores.back(), threads]() mutable { put_all(store, threads); }});
  }
  benchmark::take_turns(candidates, rounds);
  benchmark::print(candidates, candidates.front());
  for (std::size_t i = 0; i < stores.size(); ++i) {
    const snkv::Stats stats = must(stores[i].stats());
    std::printf("%zu: %.2f puts in each commit\n", thread_counts[i],
                static_cast<double>(stats.puts) / static_cast<double>(stats.wal_commits));
  }
  const double ratio = candidates.back().rate() / candidates.front().rate();
  std::printf("8 threads are %.2f times as fast as one: %s\n", ratio,
              ratio >= 4 ? "the target of 4 is met" : "the target of 4 is missed");
}
