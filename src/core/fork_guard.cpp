#include "core/fork_guard.hpp"

#include <atomic>
#include <pthread.h>

namespace snkv::core {
namespace {

// Counting forks costs nothing per operation, where asking for the process id would be a system call.
std::atomic<unsigned> generation{0};

unsigned watch_forks() noexcept {
  static const int registered = pthread_atfork(
      nullptr, nullptr, [] { generation.fetch_add(1, std::memory_order_relaxed); });
  static_cast<void>(registered);
  return generation.load(std::memory_order_relaxed);
}

}  // namespace

ForkGuard::ForkGuard() noexcept : generation_(watch_forks()) {}

bool ForkGuard::forked() const noexcept {
  return generation_ != generation.load(std::memory_order_relaxed);
}

}  // namespace snkv::core
