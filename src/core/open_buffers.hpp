/// \file
/// The write buffers in front of an open store, by name. While there is one the store cannot be
/// closed.
#pragma once

#include <mutex>
#include <set>
#include <string>
#include <string_view>

namespace snkv::core {

class OpenBuffers {
 public:
  /// False if there is one of this name, or the store was closed.
  [[nodiscard]] bool add(std::string_view name) {
    const std::lock_guard lock(mutex_);
    return !closed_ && names_.insert(std::string(name)).second;
  }
  void remove(std::string_view name) noexcept {
    const std::lock_guard lock(mutex_);
    const auto at = names_.find(name);
    if (at != names_.end()) names_.erase(at);
  }
  /// Refuses new ones from now on, unless there are any: then it changes nothing and returns false.
  [[nodiscard]] bool close_if_empty() noexcept {
    const std::lock_guard lock(mutex_);
    closed_ = names_.empty();
    return closed_;
  }
  /// Undoes `close_if_empty`.
  void reopen() noexcept {
    const std::lock_guard lock(mutex_);
    closed_ = false;
  }

 private:
  std::mutex mutex_;
  std::set<std::string, std::less<>> names_;  // guarded by mutex_
  bool closed_ = false;
};

}  // namespace snkv::core
