#include "interruption.hpp"

#include <sys/select.h>

#include <cerrno>
#include <csignal>
#include <cstddef>

namespace snkv::tool {
namespace {

constexpr std::array<int, 3> signals{SIGINT, SIGTERM, SIGHUP};

volatile std::sig_atomic_t asked = 0;

extern "C" void on_signal(int number) {
  asked = number;
  for (const int each : signals) std::signal(each, SIG_DFL);
}

}  // namespace

int stop_signal() noexcept { return asked; }

Interruptible::Interruptible() noexcept {
  struct ::sigaction ask {};
  ask.sa_handler = on_signal;
  ::sigemptyset(&ask.sa_mask);
  for (std::size_t i = 0; i < signals.size(); ++i) {
    ::sigaction(signals[i], nullptr, &before_[i]);
    // Once asked is enough: the next one ends it.
    if (before_[i].sa_handler == SIG_DFL && asked == 0) ::sigaction(signals[i], &ask, nullptr);
  }
}

Interruptible::~Interruptible() {
  if (asked != 0) return;
  for (std::size_t i = 0; i < signals.size(); ++i) ::sigaction(signals[i], &before_[i], nullptr);
}

void Interruptible::wait_for_input(int file) noexcept {
  ::sigset_t blocked;
  ::sigset_t open;
  ::sigemptyset(&blocked);
  for (const int each : signals) ::sigaddset(&blocked, each);
  ::sigprocmask(SIG_BLOCK, &blocked, &open);
  while (asked == 0) {
    ::fd_set files;
    FD_ZERO(&files);
    FD_SET(file, &files);
    if (::pselect(file + 1, &files, nullptr, nullptr, nullptr, &open) >= 0 || errno != EINTR) break;
  }
  ::sigprocmask(SIG_SETMASK, &open, nullptr);
}

}  // namespace snkv::tool
