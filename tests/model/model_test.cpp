// Random operations on snkv and on std::map, compared after every step.
//
//   model_test [--seed N|random] [--ops N] [--config NAME] [--cli-every N] [--list]
//              [--trace N] [--statistics]
//
// `--ops` (or the environment's SNKV_MODEL_OPS) is the total over all configurations. A difference
// prints what was done last (N lines of it) and the command that replays it, and ends with exit
// code 1. The same program linked to the library with one rule of the B-tree contract broken must
// find that.
#include "operations.hpp"

#include "support/sanitizer.hpp"

#include <unistd.h>
#include <csignal>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <string_view>

namespace {

using snkv::Journal;
using snkv::model::Config;

constexpr std::array configs = {
    Config{.name = "wal-4096", .page_size = 4096, .wal_autocheckpoint = 200},
    Config{.name = "wal-8192", .page_size = 8192},
    Config{.name = "wal-16384", .page_size = 16384},
    Config{.name = "wal-32768", .page_size = 32768, .plain_keys = 1500},
    Config{.name = "wal-65536", .page_size = 65536, .plain_keys = 800},
    // No view holds the log back, so its size can be checked.
    Config{.name = "wal-4096-checkpoints",
           .page_size = 4096,
           .views = false,
           .wal_autocheckpoint = 100},
    Config{.name = "wal-4096-no-thread",
           .page_size = 4096,
           .views = false,
           .wal_autocheckpoint = 100,
           .beside = false},
    // A cache so small that transactions spill into the log before they commit.
    Config{.name = "wal-8192-tiny-cache",
           .page_size = 8192,
           .plain_keys = 3000,
           .cache_size = 16u << 10,
           .wal_autocheckpoint = 50},
    Config{.name = "rollback-4096", .page_size = 4096, .journal = Journal::rollback},
    Config{.name = "rollback-8192-no-views",
           .page_size = 8192,
           .journal = Journal::rollback,
           .views = false},
    Config{.name = "convert-8192", .page_size = 8192, .convert = true},
    Config{.name = "memory-8192", .page_size = 8192, .memory = true},
    Config{.name = "memory-4096", .page_size = 4096, .memory = true, .plain_keys = 1500},
};

struct Arguments {
  std::uint64_t seed = 20261120;
  std::uint64_t operations = 200'000;
  std::uint64_t cli_every = 2000;
  std::string config;
  std::size_t trace = 60;
  bool statistics = false;
};

/// What a crash prints; filled before each configuration, because a signal handler cannot format.
std::array<char, 512> replay_line{};
volatile std::uint64_t operations_begun = 0;

extern "C" void on_crash(int signal_number) {
  // Only what is allowed in a signal handler.
  static constexpr std::string_view text = "\nmodel_test: killed by a signal; replay: ";
  [[maybe_unused]] auto ignored = ::write(2, text.data(), text.size());
  ignored = ::write(2, replay_line.data(), std::strlen(replay_line.data()));
  static constexpr std::string_view during = "\nduring operation ";
  ignored = ::write(2, during.data(), during.size());
  std::array<char, 24> digits{};
  std::size_t first = digits.size();
  digits[--first] = '\n';
  for (std::uint64_t number = operations_begun; number > 0; number /= 10) {
    digits[--first] = static_cast<char>('0' + number % 10);
  }
  ignored = ::write(2, digits.data() + first, digits.size() - first);
  std::signal(signal_number, SIG_DFL);
  std::raise(signal_number);
}

std::uint64_t to_number(std::string_view text) {
  return std::strtoull(std::string(text).c_str(), nullptr, 10);
}

[[noreturn]] void usage() {
  std::fputs(
      "usage: model_test [--seed N|random] [--ops N] [--config NAME] [--cli-every N] "
      "[--trace N] [--list] [--statistics]\n",
      stderr);
  std::exit(2);
}

Arguments parse(std::span<char*> words) {
  Arguments arguments;
  if (const char* size = std::getenv("SNKV_MODEL_OPS")) arguments.operations = to_number(size);
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (word == "--list") {
      for (const Config& config : configs) std::puts(std::string(config.name).c_str());
      std::exit(0);
    }
    if (word == "--statistics") {
      arguments.statistics = true;
      continue;
    }
    if (i + 1 == words.size()) usage();
    const std::string_view value = words[++i];
    if (word == "--seed") {
      arguments.seed = value == "random" ? std::random_device{}() : to_number(value);
    } else if (word == "--ops") {
      arguments.operations = to_number(value);
    } else if (word == "--cli-every") {
      arguments.cli_every = to_number(value);
    } else if (word == "--trace") {
      arguments.trace = to_number(value);
    } else if (word == "--config") {
      arguments.config = value;
    } else {
      usage();
    }
  }
  return arguments;
}

void set_replay_line(const Config& config, const Arguments& arguments, std::uint64_t operations) {
  std::snprintf(replay_line.data(), replay_line.size(),
                "model_test --config %s --seed %llu --ops %llu --cli-every %llu",
                std::string(config.name).c_str(), static_cast<unsigned long long>(arguments.seed),
                static_cast<unsigned long long>(operations),
                static_cast<unsigned long long>(arguments.cli_every));
}

/// False after a difference, which it prints.
bool run(const Config& config, const Arguments& arguments, std::uint64_t operations) {
  set_replay_line(config, arguments, operations);
  const auto start = std::chrono::steady_clock::now();
  snkv::model::World::Statistics statistics;
  try {
    snkv::model::World world(config, arguments.seed);
    if (arguments.statistics) world.statistics = &statistics;
    world.trace_length = arguments.trace;
    try {
      for (std::uint64_t done = 1; done <= operations; ++done) {
        operations_begun = done;
        snkv::model::run_one(world);
        if (done % arguments.cli_every == 0) compare_with_cli(world);
      }
      snkv::model::ops::compare_all(world);
      compare_with_cli(world);
    } catch (const snkv::model::Mismatch&) {
      set_replay_line(config, arguments, world.operations_done + 1);
      std::fputs("the last operations:\n", stderr);
      for (const std::string& line : world.traced()) {
        std::fprintf(stderr, "  %s\n", line.c_str());
      }
      throw;
    }
  } catch (const snkv::model::Mismatch& mismatch) {
    std::fprintf(stderr, "DIFFERENCE in %s: %s\nreplay: %s\n", std::string(config.name).c_str(),
                 mismatch.what.c_str(), replay_line.data());
    return false;
  } catch (const std::exception& caught) {
    std::fprintf(stderr, "DIFFERENCE in %s: exception: %s\nreplay: %s\n",
                 std::string(config.name).c_str(), caught.what(), replay_line.data());
    return false;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  std::printf("%-24s %9llu operations, %8.0f/s, no difference\n", std::string(config.name).c_str(),
              static_cast<unsigned long long>(operations),
              static_cast<double>(operations) / took.count());
  for (const auto& [call, times] : statistics) {
    std::printf("  %-40s %-20s %9llu\n", call.first.c_str(),
                std::string(snkv::to_string(call.second)).c_str(),
                static_cast<unsigned long long>(times));
  }
  std::fflush(stdout);
  return true;
}

}  // namespace

int main(int argc, char* argv[]) {
  const Arguments arguments = parse({argv, static_cast<std::size_t>(argc)});
  // The disk is not what is tested here; memory is faster.
  if (std::getenv("TMPDIR") == nullptr && ::access("/dev/shm", W_OK) == 0) {
    ::setenv("TMPDIR", "/dev/shm", 1);
  }
  // A sanitizer has a better report of its own.
  if (!snkv::test::memory_is_sanitized) {
    for (const int crash : {SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL}) std::signal(crash, on_crash);
  }

  std::size_t chosen = 0;
  for (const Config& config : configs) {
    chosen += arguments.config.empty() || arguments.config == config.name ? 1 : 0;
  }
  if (chosen == 0) usage();
  std::printf("seed %llu\n", static_cast<unsigned long long>(arguments.seed));
  std::fflush(stdout);
  bool all_well = true;
  for (const Config& config : configs) {
    if (!arguments.config.empty() && arguments.config != config.name) continue;
    all_well = run(config, arguments, arguments.operations / chosen) && all_well;
    // With a broken rule one difference is enough.
    if (!all_well && std::getenv("SNKV_BREAK_RULE") != nullptr) break;
  }
  return all_well ? 0 : 1;
}
