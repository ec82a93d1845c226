/// \file
/// Sequence numbers of commits, the subscribers that hear of changes, and the changes that are kept.
#pragma once

#include <snkv/error.hpp>
#include <snkv/watch.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <vector>

namespace snkv::core {

class StoreState;

/// Of one transaction. A list, because its parts can be handed on without an allocation.
using Changes = std::list<Change>;

class ChangeFeed {
 public:
  explicit ChangeFeed(std::size_t history) : history_size_(history) {}

  /// Whether anybody wants to know: asked at the beginning of each write transaction.
  [[nodiscard]] bool wanted() const noexcept {
    return history_size_ > 0 || subscribers_wanted_.load(std::memory_order_acquire) > 0;
  }
  [[nodiscard]] std::uint64_t sequence() const noexcept {
    return sequence_.load(std::memory_order_acquire);
  }

  /// What `publish` needs for the changes that are kept. Made before the commit, after which nothing may
  /// fail: what it cannot tell would be lost.
  [[nodiscard]] Changes for_history(const Changes& changes) const {
    return history_size_ > 0 ? changes : Changes();
  }
  /// Numbers a commit. Called by the head of the write queue. Takes both lists.
  void publish(Changes& changes, Changes& kept) noexcept;
  /// Calls the subscribers for what was published, unless another thread is doing so: it then does this
  /// too. Called outside the queue, so that a callback may write.
  void deliver(const StoreState& store) noexcept;

  /// Returns when a commit after number `sequence` was published, or `most` has passed.
  void wait_beyond(std::uint64_t sequence, std::chrono::milliseconds most);

  [[nodiscard]] std::shared_ptr<void> subscribe(std::string family, BytesView prefix,
                                                WatchCallback callback);
  [[nodiscard]] Error since(const char* operation, std::uint64_t sequence,
                            std::vector<Change>& out) const;

 private:
  struct Subscriber {
    std::string family;
    Bytes prefix;
    WatchCallback callback;
    std::atomic<int>* wanted = nullptr;
    ~Subscriber() {
      if (wanted != nullptr) wanted->fetch_sub(1);
    }
    [[nodiscard]] bool concerns(const Change& change) const noexcept;
  };

  const std::size_t history_size_;
  std::atomic<std::uint64_t> sequence_{0};
  std::atomic<int> subscribers_wanted_{0};
  std::atomic<int> waiting_{0};
  std::condition_variable published_;

  mutable std::mutex mutex_;  // guards all below
  std::vector<std::weak_ptr<Subscriber>> subscribers_;
  Changes pending_;
  bool delivering_ = false;
  Changes history_;
  std::uint64_t forgotten_ = 0;  // history_ lacks changes of commits up to this one
};

}  // namespace snkv::core
