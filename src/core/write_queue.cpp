#include "core/write_queue.hpp"

namespace snkv::core {

const void* WriteQueue::this_thread() noexcept {
  thread_local const char mark = 0;
  return &mark;
}

Error WriteQueue::enter(const char* operation, Waiter& waiter, Clock::time_point deadline) {
  waiter.thread = this_thread();
  std::unique_lock lock(mutex_);
  if (head_ == nullptr) {
    head_ = tail_ = &waiter;
    return {};
  }
  if (head_->operation == nullptr && head_->thread == waiter.thread) {
    return Error(Errc::locked, operation,
                 "write through the transaction, or end it first");
  }
  tail_->next = &waiter;
  tail_ = &waiter;
  while (!waiter.done && head_ != &waiter) {
    if (waiter.wake.wait_until(lock, deadline) != std::cv_status::timeout) continue;
    if (waiter.done || head_ == &waiter) break;
    if (blocked_by_transaction(waiter)) {
      remove(waiter);
      return Error(Errc::busy, operation, "a transaction of another thread holds the write lock");
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
