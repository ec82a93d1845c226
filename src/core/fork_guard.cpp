#include "core/fork_guard.hpp"

#include "btree/bt.h"

#include <atomic>
#include <pthread.h>

namespace snkv::core {
namespace {

// Counting forks costs nothing per operation, where asking for the process id would be a system call.
std::atomic<unsigned> generation{0};

unsigned watch_forks() noexcept {
  static const int registered =
      pthread_atfork(snkv_bt_before_fork, snkv_bt_after_fork_in_parent, [] {
        snkv_bt_after_fork_in_child();
        generation.fetch_add(1, std::memory_order_relaxed);
      });
  static_cast<void>(registered);
  return generation.load(std::memory_order_relaxed);
}

}  // namespace

ForkGuard::ForkGuard() noexcept : generation_(watch_forks()) {}

bool ForkGuard::forked() const noexcept {
  return generation_ != generation.load(std::memory_order_relaxed);
}

}  // namespace snkv::core
