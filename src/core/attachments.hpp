/// \file
/// Objects of layers above the core that live as long as the open store.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <string_view>
#include <utility>

namespace snkv::core {

class Attachments {
 public:
  /// The one of this name, made by `make` if there is none. Others wait meanwhile.
  template <class Make>
  [[nodiscard]] std::shared_ptr<void> get(std::string_view name, Make&& make) {
    const std::lock_guard lock(mutex_);
    const auto at = objects_.find(name);
    if (at != objects_.end()) return at->second;
    std::shared_ptr<void> made = make();
    if (made != nullptr) objects_.emplace(std::string(name), made);
    return made;
  }

  void detach(std::string_view name) noexcept {
    std::shared_ptr<void> gone;  // let go without the lock: its destructor may take its time
    const std::lock_guard lock(mutex_);
    const auto at = objects_.find(name);
    if (at == objects_.end()) return;
    gone = std::move(at->second);
    objects_.erase(at);
  }

  void clear() noexcept {
    Objects gone;
    const std::lock_guard lock(mutex_);
    gone.swap(objects_);
  }

  /// In a child after `fork`, where the threads are not that destructors would wait for.
  void leak() noexcept {
    for (auto& [name, object] : objects_) {
      static_cast<void>(new (std::nothrow) std::shared_ptr<void>(std::move(object)));
    }
  }

 private:
  using Objects = std::map<std::string, std::shared_ptr<void>, std::less<>>;
  std::mutex mutex_;
  Objects objects_;  // guarded by mutex_
};

}  // namespace snkv::core
