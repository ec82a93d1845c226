/// \file
/// How the tool is stopped: the first SIGINT, SIGTERM or SIGHUP asks it to end what it does cleanly, the
/// second one ends it at once.
#pragma once

#include <signal.h>

#include <array>
#include <string>

namespace snkv::tool {

/// Thrown when a command ends because it was asked to.
struct Stopped {
  int signal = 0;
  std::string left;  ///< what it leaves behind; for the user
};

/// The signal that asked to stop; 0: none did.
[[nodiscard]] int stop_signal() noexcept;

/// While it lives, signals only ask. One that was ignored when the tool was started stays so.
class Interruptible {
 public:
  Interruptible() noexcept;
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;
  ~Interruptible();

  /// Waits until there is something to read, or a signal asks to stop. Even if it comes just before.
  static void wait_for_input(int file) noexcept;

 private:
  std::array<struct ::sigaction, 3> before_{};
};

}  // namespace snkv::tool
