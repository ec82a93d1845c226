// A process that writes through a buffer with a journal is killed with SIGKILL at random moments,
// again and again on the same file. Nothing that was acknowledged may be lost, nothing may be done
// twice, and a batch happened completely or not at all.
//
//   buffer_kill9_test [--seed N] [--cycles N] [--lie]
//
// The writer puts batches of three: "last" = n, "k<n mod 1000>" = n, and the counter + 1; it
// reports n before, and again after it returned. `--lie` reports too early: a run that does not
// notice is worthless. SNKV_KILL_CYCLES, SNKV_SEED.
#include "../crash/process.hpp"

#include "support/encrypted.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>
#include <snkv/write_buffer.hpp>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <thread>

namespace {

using namespace snkv;
using namespace snkv::test;
using namespace std::chrono_literals;

constexpr std::uint64_t keys = 1000;

WriteBufferOptions options_of(std::uint64_t seed) {
  return {.flush_bytes = seed % 3 == 0 ? std::size_t{40'000} : std::size_t{4} << 20,
          .max_age = std::chrono::milliseconds(seed % 2 == 0 ? 5 : 0),
          .journal = true,
          .sync = seed % 5 == 0 ? Sync::full : Sync::normal};
}

int write_until_killed(const std::string& path, std::uint64_t seed, bool lie) {
  Random random(seed);
  auto store = open_store(path, {.busy_timeout = 20s});
  if (!store) return 3;
  auto buffer = WriteBuffer::open(*store, options_of(seed));
  if (!buffer) {
    std::fprintf(stderr, "%s\n", buffer.error().message().c_str());
    return 4;
  }
  std::uint64_t n = 0;
  if (auto last = buffer->get("last")) n = std::stoull(last->str());
  for (;;) {
    ++n;
    const std::uint64_t begun[2] = {1, n};
    if (!write_all(4, begun, sizeof begun)) return 0;
    const std::uint64_t done[2] = {2, n};
    if (lie && !write_all(4, done, sizeof done)) return 0;
    WriteBatch batch;
    const std::string text = std::to_string(n);
    // Of different sizes, so that records end everywhere.
    const std::string value = text + " " + std::string(random.below(300), 'v');
    batch.put("last", text)
        .put("k" + std::to_string(n % keys), value)
        .put("gone", "x")
        .erase("gone");
    if (n % 50 == 0) batch.erase_range("r", "s").put("r" + text, text);
    if (auto written = buffer->write(batch); !written) {
      std::fprintf(stderr, "%s\n", written.error().message().c_str());
      return 5;
    }
    if (!lie && !write_all(4, done, sizeof done)) return 0;
    if (random.below(400) == 0 && !buffer->flush()) return 6;
  }
}

int check(const std::string& path, std::uint64_t acknowledged, std::uint64_t begun,
          std::uint64_t& last) {
  auto store = open_store(path);
  if (!store) return std::printf("cannot open: %s\n", store.error().message().c_str()), 1;
  auto buffer = WriteBuffer::open(*store, options_of(begun));
  if (!buffer) return std::printf("no buffer: %s\n", buffer.error().message().c_str()), 1;
  last = 0;
  if (auto got = store->get("last")) last = std::stoull(got->str());
  if (last < acknowledged) {
    return std::printf("lost: %llu was acknowledged, %llu is there\n",
                       static_cast<unsigned long long>(acknowledged),
                       static_cast<unsigned long long>(last)),
           1;
  }
  if (last > begun)
    return std::printf("%llu was never written\n", static_cast<unsigned long long>(last)), 1;
  const std::uint64_t first = last > keys ? last - keys + 1 : 1;
  for (std::uint64_t n = first; n <= last; ++n) {
    auto got = buffer->get("k" + std::to_string(n % keys));
    if (!got || got->str().substr(0, got->str().find(' ')) != std::to_string(n)) {
      return std::printf("write %llu is not there, of %llu\n", static_cast<unsigned long long>(n),
                         static_cast<unsigned long long>(last)),
             1;
    }
  }
  auto extra = buffer->count_prefix("r");
  if (!extra || *extra != (last >= 50 ? 1u : 0u) || *buffer->contains("gone")) {
    return std::printf("an erasure is missing\n"), 1;
  }
  auto counted = store->count();
  const std::uint64_t expected = last == 0 ? 0 : 1 + std::min(last, keys) + (last >= 50 ? 1 : 0);
  if (!counted || *counted != expected) return std::printf("entries that nobody wrote\n"), 1;
  if (auto verified = store->verify(); !verified) {
    return std::printf("%s\n", verified.error().message().c_str()), 1;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  prefer_memory_for_temporary_files();
  std::uint64_t seed = environment_number("SNKV_SEED", 1);
  std::uint64_t cycles = environment_number("SNKV_KILL_CYCLES", 25);
  bool lie = false;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--writer")
      return write_until_killed(argv[i + 1], std::strtoull(argv[i + 2], nullptr, 10), false);
    if (argument == "--liar")
      return write_until_killed(argv[i + 1], std::strtoull(argv[i + 2], nullptr, 10), true);
    if (argument == "--seed") seed = std::strtoull(argv[++i], nullptr, 10);
    if (argument == "--cycles") cycles = std::strtoull(argv[++i], nullptr, 10);
    if (argument == "--lie") lie = true;
  }
  if (lie) cycles = std::max<std::uint64_t>(cycles, 200);
  std::printf("seed %llu, %llu cycles\n", static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(cycles));
  Random random(seed);
  TempDir folder;
  const std::string path = folder.file("db");
  std::uint64_t acknowledged = 0;
  std::uint64_t begun = 0;
  std::uint64_t total = 0;
  for (std::uint64_t cycle = 0; cycle < cycles; ++cycle) {
    Pipe pipe;
    Child child({lie ? "--liar" : "--writer", path, std::to_string(random.next() % 1000)}, -1,
                pipe.write_end());
    pipe.close_write();
    std::thread killer([&] {
      std::this_thread::sleep_for(std::chrono::microseconds(3000 + random.below(60'000)));
      child.send(SIGKILL);
    });
    const std::string messages = read_to_end(pipe.read_end());
    killer.join();
    const int status = child.wait();
    if (!WIFSIGNALED(status)) {
      std::printf("the writer ended with %s\n", describe_status(status).c_str());
      return 1;
    }
    for (std::size_t at = 0; at + 16 <= messages.size(); at += 16) {
      std::uint64_t message[2];
      std::memcpy(message, messages.data() + at, sizeof message);
      (message[0] == 1 ? begun : acknowledged) = message[1];
    }
    std::uint64_t last = 0;
    // Every other time the next writer finds the journal, not the check.
    if (cycle % 2 == 0 || cycle + 1 == cycles) {
      if (check(path, acknowledged, begun, last) != 0) {
        std::printf("FAILED: cycle %llu\n", static_cast<unsigned long long>(cycle));
        return 1;
      }
      acknowledged = begun = last;
    }
    total = begun;
  }
  std::printf("%llu writes\n", static_cast<unsigned long long>(total));
  return 0;
}
