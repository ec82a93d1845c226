// Group commit and SIGKILL: threads of one process share commits, each is told of its own write,
// and the process is killed in the middle. What was acknowledged to any of them must be there.
//
//   group_kill9_test [--cycles N] [--seed N] [--lie]
//
// With --lie the threads acknowledge before they write, which the test must find out.
#include "process.hpp"
#include "shared_board.hpp"

#include "support/encrypted.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using namespace snkv;
using namespace snkv::test;

constexpr std::size_t thread_count = 8;
constexpr std::uint64_t cycles_per_file = 25;

std::string key_of(std::size_t thread, std::uint64_t number) {
  return std::to_string(thread) + "/" + std::to_string(number);
}

/// Some of the values go to the side table.
std::string value_of(std::size_t thread, std::uint64_t number) {
  return key_of(thread, number) + std::string(number % 37 == 0 ? 9000 : number % 50, '.');
}

Options durable() {
  Options options;
  options.sync = Sync::full;
  return options;
}

/// Writes until it is killed.
int writer(const std::string& path, const std::string& board_path, bool lie) {
  const SharedBoard board(board_path, SharedBoard::Mode::attach);
  auto store = open_store(path, durable());
  if (!store) {
    std::fprintf(stderr, "writer: %s\n", store.error().message().c_str());
    return 1;
  }
  std::vector<std::thread> threads;
  for (std::size_t thread = 0; thread < thread_count; ++thread) {
    threads.emplace_back([&, thread] {
      for (std::uint64_t number = board->acknowledged[thread].load() + 1;; ++number) {
        board->begun[thread].store(number);
        if (lie) board->acknowledged[thread].store(number);
        if (auto put = store->put(key_of(thread, number), value_of(thread, number)); !put) {
          std::fprintf(stderr, "writer: %s\n", put.error().message().c_str());
          std::_Exit(1);
        }
        board->acknowledged[thread].store(number);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return 0;
}

class GroupKill {
 public:
  GroupKill(std::uint64_t seed, bool lie) : random_(seed), lie_(lie) {}

  void run(std::uint64_t cycles) {
    for (std::uint64_t cycle = 0; cycle < cycles; ++cycle) {
      if (cycle % cycles_per_file == 0) new_file();
      kill_a_writer();
      verify(cycle);
    }
  }
  [[nodiscard]] std::uint64_t acknowledged() const noexcept { return acknowledged_; }
  [[nodiscard]] std::uint64_t in_flight() const noexcept { return in_flight_; }
  [[nodiscard]] std::uint64_t in_flight_kept() const noexcept { return in_flight_kept_; }

 private:
  void new_file() {
    board_ = nullptr;
    folder_ = std::make_unique<TempDir>();
    path_ = folder_->file("group.db");
    board_path_ = folder_->file("board");
    board_ = std::make_unique<SharedBoard>(board_path_, SharedBoard::Mode::create);
    if (auto store = open_store(path_, durable()); !store) {
      throw std::runtime_error(store.error().message());
    }
  }

  void kill_a_writer() {
    const std::uint64_t before = total();
    std::vector<std::string> words = {"--writer", path_, board_path_, lie_ ? "lie" : "honest"};
    Child child(std::move(words));
    // Let it begin, so that most kills hit it at work.
    for (int i = 0; i < 2000 && total() == before; ++i) {
      std::this_thread::sleep_for(std::chrono::microseconds{500});
    }
    std::this_thread::sleep_for(std::chrono::microseconds{random_.below(20'000)});
    child.send(SIGKILL);
    const int status = child.wait();
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
      throw std::runtime_error("the writer ended by itself: " + describe_status(status));
    }
  }

  [[nodiscard]] std::uint64_t total() const noexcept {
    std::uint64_t sum = 0;
    for (std::size_t thread = 0; thread < thread_count; ++thread) {
      sum += (*board_)->acknowledged[thread].load();
    }
    return sum;
  }

  void verify(std::uint64_t cycle) {
    auto store = open_store(path_, durable());
    if (!store) throw std::runtime_error(store.error().message());
    std::uint64_t entries = 0;
    for (std::size_t thread = 0; thread < thread_count; ++thread) {
      const std::uint64_t acknowledged = (*board_)->acknowledged[thread].load();
      const std::uint64_t begun = (*board_)->begun[thread].load();
      if (begun > acknowledged) {
        ++in_flight_;
        auto last = store->get(key_of(thread, begun));
        if (last) {
          // Committed but not told: it counts from now on.
          if (last->view() != value_of(thread, begun)) throw std::runtime_error("a torn value");
          (*board_)->acknowledged[thread].store(begun);
          ++in_flight_kept_;
          ++entries;
        } else if (last.error() != Errc::not_found) {
          throw std::runtime_error(last.error().message());
        }
      }
      entries += acknowledged;
      for (std::uint64_t number = 1; number <= acknowledged; ++number) {
        auto value = store->get(key_of(thread, number));
        if (!value) {
          throw std::runtime_error("acknowledged write " + key_of(thread, number) + " of " +
                                   std::to_string(acknowledged) +
                                   " is lost: " + value.error().message());
        }
        if (value->view() != value_of(thread, number)) throw std::runtime_error("another value");
      }
    }
    auto count = store->count();
    if (!count || *count != entries) throw std::runtime_error("entries that nobody has written");
    if (cycle % 5 == 0) {
      if (auto intact = store->integrity_check(); !intact) {
        throw std::runtime_error(intact.error().message());
      }
    }
    acknowledged_ = total();
  }

  Random random_;
  bool lie_;
  std::unique_ptr<TempDir> folder_;
  std::unique_ptr<SharedBoard> board_;
  std::string path_;
  std::string board_path_;
  std::uint64_t acknowledged_ = 0;  // on the last file
  std::uint64_t in_flight_ = 0;
  std::uint64_t in_flight_kept_ = 0;
};

}  // namespace

int main(int argc, char* argv[]) {
  const std::span<char*> words(argv, static_cast<std::size_t>(argc));
  if (argc == 5 && std::string_view(argv[1]) == "--writer") {
    return writer(argv[2], argv[3], std::string_view(argv[4]) == "lie");
  }
  std::uint64_t cycles = environment_number("SNKV_KILL_CYCLES", 200);
  std::uint64_t seed = environment_number("SNKV_SEED", 1);
  bool lie = false;
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (word == "--lie") {
      lie = true;
    } else if (word == "--cycles" && i + 1 < words.size()) {
      cycles = std::strtoull(words[++i], nullptr, 10);
    } else if (word == "--seed" && i + 1 < words.size()) {
      seed = std::strtoull(words[++i], nullptr, 10);
    } else {
      std::fputs("usage: group_kill9_test [--cycles N] [--seed N] [--lie]\n", stderr);
      return 2;
    }
  }
  prefer_memory_for_temporary_files();
  std::printf("seed %llu, %llu cycles\n", static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(cycles));
  std::fflush(stdout);
  GroupKill test(seed, lie);
  try {
    test.run(cycles);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "FAILED: %s\n", failure.what());
    return 1;
  }
  std::printf("%llu acknowledged writes on the last file; of %llu in flight %llu were committed\n",
              static_cast<unsigned long long>(test.acknowledged()),
              static_cast<unsigned long long>(test.in_flight()),
              static_cast<unsigned long long>(test.in_flight_kept()));
  return 0;
}
