/// \file
/// Tells whether this process is the one that made an object: locks and threads do not survive `fork`,
/// so a store must not be used, nor its files closed, in the child.
#pragma once

namespace snkv::core {

class ForkGuard {
 public:
  ForkGuard() noexcept;
  /// True in a child forked since the guard was made. One relaxed load; async-signal-safe.
  [[nodiscard]] bool forked() const noexcept;

 private:
  unsigned generation_;
};

}  // namespace snkv::core
