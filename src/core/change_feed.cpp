#include "core/change_feed.hpp"

#include "core/user_code.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace snkv::core {

bool ChangeFeed::Subscriber::concerns(const Change& change) const noexcept {
  if (change.family != family) return false;
  switch (change.kind) {
    case Change::Kind::clear:
      return true;
    case Change::Kind::range:
      // The range and the keys with the prefix overlap: neither ends before the other begins.
      return (change.high.empty() || BytesView(prefix) < BytesView(change.high)) &&
             (BytesView(change.key) <= BytesView(prefix) ||
              BytesView(change.key).starts_with(prefix));
    default:
      return BytesView(change.key).starts_with(prefix);
  }
}

void ChangeFeed::publish(Changes& changes, Changes& kept) noexcept {
  const std::uint64_t number = sequence_.fetch_add(1) + 1;
  if (waiting_.load() > 0) {
    // With the mutex, so that nobody is between looking at the number and waiting.
    const std::lock_guard lock(mutex_);
    published_.notify_all();
  }
  if (changes.empty()) return;
  for (Change& change : changes) change.sequence = number;
  for (Change& change : kept) change.sequence = number;
  const std::lock_guard lock(mutex_);
  history_.splice(history_.end(), kept);
  if (subscribers_wanted_.load() > 0) pending_.splice(pending_.end(), changes);
  while (history_.size() > history_size_) {
    forgotten_ = std::max(forgotten_, history_.front().sequence);
    history_.pop_front();
  }
}

void ChangeFeed::deliver(const StoreState& store) noexcept {
  std::unique_lock lock(mutex_);
  if (delivering_) return;
  delivering_ = true;
  while (!pending_.empty()) {
    const Change change = std::move(pending_.front());
    pending_.pop_front();
    // Subscriptions that ended meanwhile are dropped on the way.
    std::erase_if(subscribers_, [](const auto& subscriber) { return subscriber.expired(); });
    for (std::size_t i = 0; i < subscribers_.size(); ++i) {
      std::shared_ptr<Subscriber> subscriber = subscribers_[i].lock();
      if (subscriber == nullptr || !subscriber->concerns(change)) continue;
      lock.unlock();
      {
        const UserCode user_code(store, UserCode::Kind::writes);
        try {
          subscriber->callback(change);
        } catch (...) {
          // The caller's own affair; the next subscriber and the next change are not to suffer.
        }
        subscriber.reset();  // it may have the last handle on the store
      }
      lock.lock();
    }
  }
  delivering_ = false;
}

void ChangeFeed::wait_beyond(std::uint64_t sequence, std::chrono::milliseconds most) {
  std::unique_lock lock(mutex_);
  waiting_.fetch_add(1);
  published_.wait_for(lock, most, [&] { return sequence_.load() > sequence; });
  waiting_.fetch_sub(1);
}

std::shared_ptr<void> ChangeFeed::subscribe(std::string family, BytesView prefix,
                                            WatchCallback callback) {
  auto subscriber = std::make_shared<Subscriber>();
  subscriber->family = std::move(family);
  subscriber->prefix = Bytes(prefix);
  subscriber->callback = std::move(callback);
  const std::lock_guard lock(mutex_);
  subscribers_.push_back(subscriber);
  subscriber->wanted = &subscribers_wanted_;
  subscribers_wanted_.fetch_add(1);
  return subscriber;
}

Error ChangeFeed::since(const char* operation, std::uint64_t sequence,
                        std::vector<Change>& out) const {
  const std::lock_guard lock(mutex_);
  if (history_size_ == 0) {
    return Error(Errc::invalid_argument, operation, "Options::change_history is 0");
  }
  if (sequence < forgotten_) {
    return Error(Errc::expired, operation,
                 fmt::format("changes are kept from commit {} on", forgotten_ + 1));
  }
  std::vector<Change> found;
  for (const Change& change : history_) {
    if (change.sequence > sequence) found.push_back(change);
  }
  out = std::move(found);
  return {};
}

}  // namespace snkv::core
