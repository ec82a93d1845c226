// A piece of a test in a forked child that must not take more than a second of the processor and 64 MiB more
// than it is given, and must not wait for ever.
#pragma once

#include "support/child_process.hpp"
#include "support/sanitizer.hpp"

#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <string>

namespace snkv::test {

struct Bounds {
  std::uint64_t file_bytes = 0;           ///< what may be held beside the 64 MiB
  std::uint64_t memory = 64u << 20;       ///< exceeded, allocations fail (not under sanitizers)
  unsigned seconds = 1;                   ///< of processor time; more under sanitizers
};

namespace bounded_detail {

/// Bytes of the writable memory of this process.
inline std::uint64_t data_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    std::uint64_t kib = 0;
    if (word == "VmData:" && status >> kib) return kib * 1024;
  }
  return 0;
}

inline std::uint64_t resident_peak() {
  ::rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace bounded_detail

/// Runs `body`, which returns what it found wrong, and returns that; a child that took too much dies, or says
/// so.
template <class Body>
[[nodiscard]] std::string in_bounds(const Bounds& bounds, Body&& body) {
  return in_child([&]() -> std::string {
    const unsigned scale = memory_is_sanitized ? 10 : 1;
    ::itimerval cpu{};
    cpu.it_value.tv_sec = static_cast<::time_t>(bounds.seconds * scale);
    ::setitimer(ITIMER_PROF, &cpu, nullptr);  // SIGPROF ends it
    ::alarm(scale * (60 + 5 * bounds.seconds));  // and SIGALRM what waits
    const std::uint64_t allowed = bounds.memory + bounds.file_bytes;
    if (!memory_is_sanitized) {
      ::rlimit data{};
      data.rlim_cur = data.rlim_max = bounded_detail::data_bytes() + allowed;
      ::setrlimit(RLIMIT_DATA, &data);
    }
    const std::uint64_t before = bounded_detail::resident_peak();
    std::string complaint = body();
    // Mappings of the file count here, and under sanitizers what they keep of freed memory.
    const std::uint64_t grown = bounded_detail::resident_peak() - before;
    if (grown > (allowed + bounds.file_bytes) * (memory_is_sanitized ? 6 : 1)) {
      complaint += " took " + std::to_string(grown >> 20) + " MiB";
    }
    return complaint;
  });
}

}  // namespace snkv::test
