/// \file
/// The order in which writers of this process take turns, first come first served, and group commit:
/// the writer at the head of the queue carries out the operations of those waiting behind it in its own
/// transaction.
#pragma once

#include <snkv/error.hpp>
#include <snkv/options.hpp>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace snkv::core {

class WriteSession;

/// An operation to carry out inside a write transaction. It may be carried out more than once, when a
/// group has to be undone: only the last time counts. Refers to a callable of the caller.
class WriteOperation {
 public:
  template <class F>
  explicit WriteOperation(F& function, std::optional<Sync> wanted = {}) noexcept
      : sync(wanted),
        object_(const_cast<void*>(static_cast<const void*>(&function))),
        call_([](void* object, WriteSession& session) {
          return (*static_cast<F*>(object))(session);
        }) {}

  /// What the commit shall promise; empty: what the store's options say.
  const std::optional<Sync> sync;

  [[nodiscard]] Error operator()(WriteSession& session) const { return call_(object_, session); }

 private:
  void* object_;
  Error (*call_)(void*, WriteSession&);
};

class WriteQueue {
 public:
  /// A place in the queue. Lives on the stack of a waiting thread, or in an open transaction.
  struct Waiter {
    const WriteOperation* operation = nullptr;  ///< null: wants the lock for itself
    const void* thread = nullptr;
    Error result;
    bool done = false;  ///< somebody ahead carried the operation out
    Waiter* next = nullptr;
    std::condition_variable wake;
  };

  using Clock = std::chrono::steady_clock;

  /// Waits until `waiter` is at the head of the queue, or `done`. Fails with `locked` when this thread is at
  /// the head already, whatever it does there, or when the head waits for this thread, which has the turn of
  /// another store. Fails with `busy` when a transaction is at the head, or ahead, at `deadline`: short
  /// operations do not run into it, except those of threads that keep others waiting themselves.
  [[nodiscard]] Error enter(const char* operation, Waiter& waiter, Clock::time_point deadline);

  /// The operations waiting directly behind the head, which keep waiting until `leave` marks them done.
  /// Called by the head.
  [[nodiscard]] std::vector<Waiter*> followers(const Waiter& head, std::size_t most);

  /// Ends the turn of the head and of the followers it carried out, and wakes the next.
  void leave(Waiter& head, const std::vector<Waiter*>& carried_out = {}) noexcept;

  /// The mark of the calling thread in `Waiter::thread`.
  [[nodiscard]] static const void* this_thread() noexcept;

 private:
  class WaitInUserCode;
  [[nodiscard]] const void* head_thread() noexcept;
  void remove(Waiter& waiter) noexcept;
  [[nodiscard]] bool blocked_by_transaction(const Waiter& waiter) const noexcept;

  std::mutex mutex_;
  Waiter* head_ = nullptr;  // guarded by mutex_, as are the links
  Waiter* tail_ = nullptr;
};

}  // namespace snkv::core
