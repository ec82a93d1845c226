// Many cases in children, of which none may die, take long, or take much memory.
#pragma once

#include "regress/counted_memory.hpp"
#include "support/sanitizer.hpp"

#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <new>
#include <stdexcept>
#include <string>

namespace snkv::test {

/// What each of the cases may take.
struct CaseLimits {
  std::int64_t memory = std::int64_t{64}
                        << 20;  ///< bytes more than before, beyond those of its files
  int seconds = memory_is_sanitized ? 10 : 1;  ///< of the processor
};

/// Runs `run(i)` for each i below `count`, one after the other in a child; the next child goes on
/// after one that died. `run` returns the bytes of the case's files. Returns what was wrong, a line
/// for each case.
template <class Run>
[[nodiscard]] std::string watch_cases(std::size_t count, Run&& run, CaseLimits limits = {}) {
  struct Shared {
    std::size_t next;
    char why[256];
  };
  void* const memory =
      ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::runtime_error("no shared memory");
  auto* const shared = new (memory) Shared{};
  const auto work = [&] {
    for (; shared->next < count; ++shared->next) {
      // A processor that is busy with others does not count, a lock that never comes does.
      const ::itimerval processor{{0, 0}, {limits.seconds, 0}};
      const ::itimerval clock{{0, 0}, {60 * limits.seconds, 0}};
      ::setitimer(ITIMER_PROF, &processor, nullptr);
      ::setitimer(ITIMER_REAL, &clock, nullptr);
      forget_peak();
      const std::int64_t before = memory_in_use();
      std::string why;
      std::int64_t files = 0;
      try {
        files = run(shared->next);
      } catch (const std::exception& caught) {
        why = std::string("threw: ") + caught.what();
      }
      const std::int64_t more = memory_peak() - before;
      if (why.empty() && more > files + limits.memory) {
        why = std::to_string(more >> 20) + " MiB of memory for " + std::to_string(files >> 10) +
              " KiB";
      }
      if (why.empty()) continue;
      std::strncpy(shared->why, why.c_str(), sizeof(shared->why) - 1);
      ::_exit(3);
    }
    ::_exit(0);
  };
  std::string report;
  for (int failures = 0; shared->next < count && failures < 20;) {
    std::memset(shared->why, 0, sizeof(shared->why));
    const ::pid_t child = ::fork();
    if (child < 0) throw std::runtime_error("cannot fork");
    if (child == 0) work();
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) break;
    report += "case " + std::to_string(shared->next) + ": ";
    if (shared->why[0] != 0) {
      report += shared->why;
    } else if (WIFSIGNALED(status) &&
               (WTERMSIG(status) == SIGPROF || WTERMSIG(status) == SIGALRM)) {
      report += "took too long";
    } else {
      report += "died, status " + std::to_string(status);
    }
    report += '\n';
    ++shared->next;
    ++failures;
  }
  ::munmap(memory, sizeof(Shared));
  return report;
}

}  // namespace snkv::test
