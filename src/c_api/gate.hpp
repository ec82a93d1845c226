/// \file
/// `Gate`, a lock that many share or one has to itself. Whoever wants it for itself goes first, so a
/// stream of others cannot keep him out for ever.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>

namespace snkv::c_api {

class Gate {
 public:
  void enter() noexcept {
    for (;;) {
      users_.fetch_add(1);
      if (!wanted_) return;
      leave();
      const std::lock_guard wait(turn_);
    }
  }
  void leave() noexcept {
    if (users_.fetch_sub(1) == 1 && wanted_) users_.notify_all();
  }

  void enter_alone() noexcept {
    turn_.lock();
    wanted_ = true;
    for (std::uint32_t users = users_; users != 0; users = users_) users_.wait(users);
  }
  void leave_alone() noexcept {
    wanted_ = false;
    turn_.unlock();
  }

 private:
  std::atomic<std::uint32_t> users_ = 0;
  std::atomic<bool> wanted_ = false;
  std::mutex turn_;
};

}  // namespace snkv::c_api
