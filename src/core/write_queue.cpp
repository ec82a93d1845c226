#include "core/write_queue.hpp"

#include "core/user_code.hpp"

#include <pthread.h>

#include <utility>

namespace snkv::core {

/// A thread that waits for its turn in a function of the caller, and so with the turn of another store: two
/// of them may wait for each other.
class WriteQueue::WaitInUserCode {
 public:
  WaitInUserCode() noexcept = default;
  WaitInUserCode(const WaitInUserCode&) = delete;
  WaitInUserCode& operator=(const WaitInUserCode&) = delete;
  ~WaitInUserCode() {
    if (queue_ == nullptr) return;
    const std::lock_guard lock(all().mutex);
    WaitInUserCode** at = &all().first;
    while (*at != this) at = &(*at)->next_;
    *at = next_;
  }

  /// False if the turn would never come.
  [[nodiscard]] bool begin(WriteQueue& queue, const void* thread) {
    const std::lock_guard lock(all().mutex);
    WriteQueue* at = &queue;
    for (int steps = 0; at != nullptr && steps < 1000; ++steps) {
      const void* const ahead = at->head_thread();
      if (ahead == thread) return false;
      const WaitInUserCode* const next = find(ahead);
      // Whoever has got the turn that it waited for goes on.
      at = next == nullptr || next->queue_ == at ? nullptr : next->queue_;
    }
    queue_ = &queue;
    thread_ = thread;
    next_ = std::exchange(all().first, this);
    return true;
  }

 private:
  struct All {
    std::mutex mutex;
    WaitInUserCode* first = nullptr;
  };
  static All& all() {
    static All* const instance = [] {
      static All* const made = new All;
      // The threads that wait do not exist in a forked child.
      ::pthread_atfork([] { made->mutex.lock(); }, [] { made->mutex.unlock(); },
                       [] {
                         made->first = nullptr;
                         made->mutex.unlock();
                       });
      return made;
    }();
    return *instance;
  }
  static const WaitInUserCode* find(const void* thread) {
    const WaitInUserCode* at = all().first;
    while (at != nullptr && at->thread_ != thread) at = at->next_;
    return at;
  }

  WriteQueue* queue_ = nullptr;  // null: it does not wait
  const void* thread_ = nullptr;
  WaitInUserCode* next_ = nullptr;
};

const void* WriteQueue::head_thread() noexcept {
  const std::lock_guard lock(mutex_);
  return head_ == nullptr ? nullptr : head_->thread;
}

const void* WriteQueue::this_thread() noexcept {
  thread_local const char mark = 0;
  return &mark;
}

Error WriteQueue::enter(const char* operation, Waiter& waiter, Clock::time_point deadline) {
  waiter.thread = this_thread();
  const bool in_user_code = UserCode::inside_any();
  WaitInUserCode wait;
  if (in_user_code && !wait.begin(*this, waiter.thread)) {
    return Error(Errc::locked, operation,
                 "the turn to write would never come: whoever has it waits for this thread");
  }
  std::unique_lock lock(mutex_);
  if (head_ == nullptr) {
    head_ = tail_ = &waiter;
    return {};
  }
  if (head_->thread == waiter.thread) {
    return Error(Errc::locked, operation,
                 "write through the transaction, or end it first");
  }
  tail_->next = &waiter;
  tail_ = &waiter;
  while (!waiter.done && head_ != &waiter) {
    if (waiter.wake.wait_until(lock, deadline) != std::cv_status::timeout) continue;
    if (waiter.done || head_ == &waiter) break;
    const bool transaction = blocked_by_transaction(waiter);
    if (transaction || in_user_code) {
      remove(waiter);
      return Error(Errc::busy, operation,
                   transaction ? "a transaction of another thread holds the write lock"
                               : "another thread holds the write lock, and this one others up");
    }
    // Only short operations are ahead: they end soon, and failing for them would be a surprise.
    deadline = Clock::now() + std::chrono::milliseconds(10);
  }
  return {};
}

bool WriteQueue::blocked_by_transaction(const Waiter& waiter) const noexcept {
  for (const Waiter* ahead = head_; ahead != &waiter; ahead = ahead->next) {
    if (ahead->operation == nullptr) return true;
  }
  return false;
}

void WriteQueue::remove(Waiter& waiter) noexcept {
  Waiter* before = nullptr;
  for (Waiter* at = head_; at != &waiter; at = at->next) before = at;
  before->next = waiter.next;  // the head is never removed here
  if (tail_ == &waiter) tail_ = before;
  waiter.next = nullptr;
}

std::vector<WriteQueue::Waiter*> WriteQueue::followers(const Waiter& head, std::size_t most) {
  std::vector<Waiter*> out;
  const std::lock_guard lock(mutex_);
  for (Waiter* at = head.next; at != nullptr && at->operation != nullptr && out.size() < most;
       at = at->next) {
    out.push_back(at);
  }
  return out;
}

void WriteQueue::leave(Waiter& head, const std::vector<Waiter*>& carried_out) noexcept {
  const std::lock_guard lock(mutex_);
  head_ = head.next;
  // Nobody can have left the queue from between: a waiter removes itself only when it times out
  // behind a transaction, and everything carried out here stood in front of any.
  for (Waiter* follower : carried_out) {
    head_ = follower->next;
    follower->done = true;
    // Woken under the lock: as soon as it is released the follower's stack frame may be gone.
    follower->wake.notify_one();
  }
  if (head_ == nullptr) {
    tail_ = nullptr;
  } else {
    head_->wake.notify_one();
  }
}

}  // namespace snkv::core
