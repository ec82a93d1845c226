// Rewriting everything again and again, as programs do that build an index anew, must not make the
// file grow: what is replaced is used again.
//
//     reindex_test [rounds] [--lie leak|pin]
//
// SNKV_REINDEX_ROUNDS in the environment counts instead of the argument, SNKV_SEED sets the seed.
//
// 100 000 entries with values of many sizes, some of them large, some that expire, each of them
// another one in each round (the engine does not write a page that has not changed). After every
// round the file is within 1.2 times of its size after the first, and the log within its limit;
// after the last, and a vacuum, within 1.05 times.
//
// A lie is the proof that the test can fail: replaced large values that are not deleted, or a
// snapshot that holds the log back.
#include "slow/require.hpp"
#include "support/files.hpp"
#include "support/patterned.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <numeric>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace snkv;
using test::must;
using test::require;
using test::TempDir;

constexpr int entry_count = 100'000;
constexpr int entries_per_commit = 5000;
constexpr std::uint64_t log_limit = 16u << 20;

std::string key_of(int number) { return "entry/" + std::to_string(1'000'000 + number); }

/// The value of an entry in a round: 20 to 180 bytes, 20 000 to 30 000 for every thousandth.
std::string value_of(int number, int round, std::uint64_t seed) {
  const std::uint64_t mix = (seed + static_cast<std::uint64_t>(round)) * 0x9e3779b97f4a7c15u +
                            static_cast<std::uint64_t>(number) * 0xd1342543de82ef95u;
  const std::size_t spread = (mix >> 32) % 161;
  const std::size_t size = number % 1000 == 0 ? 20'000 + spread * 62 : 20 + spread;
  return test::patterned(size, mix);
}

/// Writes every entry anew, in an order of its own.
void rewrite(Store& store, int round, std::uint64_t seed) {
  std::vector<int> order(entry_count);
  std::iota(order.begin(), order.end(), 0);
  std::mt19937_64 random(seed + static_cast<std::uint64_t>(round));
  // Sorted batches in a random order, and every fifth round all entries in a random order.
  const std::size_t batch = round % 5 == 0 ? 1 : entries_per_commit;
  const std::size_t batches = entry_count / batch;
  std::vector<std::size_t> starts(batches);
  std::iota(starts.begin(), starts.end(), std::size_t{0});
  std::shuffle(starts.begin(), starts.end(), random);
  for (std::size_t i = 0; i < batches; ++i) {
    for (std::size_t j = 0; j < batch; ++j) {
      order[i * batch + j] = static_cast<int>(starts[i] * batch + j);
    }
  }
  for (int at = 0; at < entry_count;) {
    Transaction transaction = must(store.begin());
    for (int i = 0; i < entries_per_commit; ++i, ++at) {
      const int number = order[static_cast<std::size_t>(at)];
      PutOptions options;
      // An hour later in each round, so that the index of expiries is rewritten as well.
      if (number % 10 == 3) options.ttl = std::chrono::hours(1000 + round);
      must(transaction.put(key_of(number), value_of(number, round, seed), options));
    }
    must(transaction.commit());
  }
}

/// That the entries are those of the round.
void check_contents(const Store& store, int round, std::uint64_t seed) {
  int number = 0;
  for (auto scan = store.all(); auto [key, value] : scan) {
    require(number < entry_count && key == key_of(number), "entry " + key.str() + " is wrong");
    require(value == BytesView(value_of(number, round, seed)), "the value of " + key.str());
    ++number;
  }
  require(number == entry_count, "entries are missing");
}

void run(int rounds, std::uint64_t seed, std::string_view lie) {
  const TempDir dir;
  const std::string path = dir.file("reindex.db");
  const Options options{.sync = Sync::off, .wal_size_limit = log_limit};
  Store store = must(Store::open(path, options));
  std::uint64_t first = 0;
  std::uint64_t largest = 0;
  std::uint64_t largest_log = 0;
  std::optional<Snapshot> pin;
  for (int round = 0; round < rounds; ++round) {
    rewrite(store, round, seed);
    if (lie == "leak")
      must(store.put("leaked/" + std::to_string(round), std::string(1 << 21, 'x')));
    if (lie == "pin" && round == 1) pin = must(store.snapshot());

    const std::uint64_t log = test::size_of(path + "-wal");
    largest_log = std::max(largest_log, log);
    require(log <= log_limit, "after round " + std::to_string(round) + " the log has " +
                                  std::to_string(log) + " bytes");
    must(store.checkpoint(Checkpoint::full));
    const std::uint64_t size = test::size_of(path);
    if (round == 0) first = size;
    largest = std::max(largest, size);
    std::cout << "round " << round << ": file " << size << ", log " << log << ", ratio "
              << static_cast<double>(size) / static_cast<double>(first) << std::endl;
    require(size * 10 <= first * 12, "the file has grown from " + std::to_string(first) + " to " +
                                         std::to_string(size) + " bytes");
  }
  check_contents(store, rounds - 1, seed);
  must(store.verify());
  must(store.vacuum());
  must(store.checkpoint(Checkpoint::truncate));
  const std::uint64_t vacuumed = test::size_of(path);
  std::cout << "after one round " << first << ", at most " << largest << ", vacuumed " << vacuumed
            << " bytes; the log had at most " << largest_log << "\n";
  require(vacuumed * 100 <= first * 105, "vacuum left " + std::to_string(vacuumed) + " bytes");
}

}  // namespace

int main(int argc, char** argv) {
  try {
    int rounds = 50;
    std::string_view lie;
    const std::vector<std::string_view> arguments(argv + 1, argv + argc);
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      if (arguments[i] == "--lie" && i + 1 < arguments.size()) {
        lie = arguments[++i];
      } else {
        rounds = std::atoi(arguments[i].data());
      }
    }
    if (const char* wanted = std::getenv("SNKV_REINDEX_ROUNDS"); wanted != nullptr && lie.empty()) {
      rounds = std::atoi(wanted);
    }
    const char* wanted = std::getenv("SNKV_SEED");
    const std::uint64_t seed = wanted == nullptr ? 1 : std::strtoull(wanted, nullptr, 10);
    require(rounds > 1, "usage: reindex_test [rounds] [--lie leak|pin]");
    std::cout << "seed " << seed << ", " << rounds << " rounds\n";
    run(rounds, seed, lie);
  } catch (const std::exception& caught) {
    std::cout << "FAILED: " << caught.what() << std::endl;
    return 1;
  }
}
