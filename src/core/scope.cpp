#include "core/scope.hpp"

#include "core/columns/column_writer.hpp"
#include "core/store_state.hpp"
#include "core/user_code.hpp"
#include "core/write_path.hpp"
#include "core/write_session.hpp"

#include <chrono>
#include <thread>

namespace snkv::core {

// ---- Pins ----

Error Pin::add(const char* operation, StoreState& store, SnapshotState* owner) {
  since_ = Clock::now();
  owner_ = owner;
  if (!store.pins.add(*this)) return Error(Errc::closed, operation, "the store was closed");
  store_ = &store;
  return {};
}

void Pin::remove() noexcept {
  if (store_ == nullptr) return;
  // In a forked child another thread may have held the registry's lock at the fork.
  if (!store_->fork_guard.forked()) store_->pins.remove(*this);
  store_ = nullptr;
}

bool PinRegistry::add(Pin& pin) noexcept {
  const std::lock_guard lock(mutex_);
  if (closed_) return false;
  pin.previous_ = newest_;
  pin.next_ = nullptr;
  (newest_ == nullptr ? oldest_ : newest_->next_) = &pin;
  newest_ = &pin;
  ++count_;
  return true;
}

void PinRegistry::remove(Pin& pin) noexcept {
  const std::lock_guard lock(mutex_);
  (pin.previous_ == nullptr ? oldest_ : pin.previous_->next_) = pin.next_;
  (pin.next_ == nullptr ? newest_ : pin.next_->previous_) = pin.previous_;
  --count_;
}

std::uint64_t PinRegistry::count(std::chrono::milliseconds& oldest) const noexcept {
  const std::lock_guard lock(mutex_);
  oldest = oldest_ == nullptr ? std::chrono::milliseconds(0)
                              : std::chrono::duration_cast<std::chrono::milliseconds>(
                                    Pin::Clock::now() - oldest_->since_);
  return count_;
}

bool PinRegistry::expire_oldest() noexcept {
  const std::lock_guard lock(mutex_);
  for (Pin* pin = oldest_; pin != nullptr; pin = pin->next_) {
    if (pin->owner_ != nullptr && pin->owner_->expire()) return true;
  }
  return false;
}

bool PinRegistry::close_if_empty() noexcept {
  const std::lock_guard lock(mutex_);
  if (count_ > 0) return false;
  closed_ = true;
  return true;
}

void PinRegistry::reopen() noexcept {
  const std::lock_guard lock(mutex_);
  closed_ = false;
}

// ---- Snapshots ----

Error SnapshotState::open(const char* operation, const std::shared_ptr<StoreState>& owner) {
  store = owner;
  now = store->now();  // a function of the caller, so without any lock
  // Before the lock: who expires snapshots takes the registry's lock first and then this one.
  if (Error error = pin_.add(operation, *store, this); error.failed()) return error;
  const std::lock_guard guard(mutex);
  if (Error error = reader.acquire_kept(operation, *store); error.failed()) return error;
  const btree::Lock lock(reader->connection);
  if (Error error = reader.begin_read(operation); error.failed()) return error;
  reading_ = true;
  return {};
}

bool SnapshotState::expire() noexcept {
  std::unique_lock guard(mutex, std::try_to_lock);
  while (!guard.owns_lock()) {
    // A function that looks at a value may want what our caller holds.
    if (visitors.load() > 0) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(20));
    static_cast<void>(guard.try_lock());
  }
  if (!reading_ || visitors.load() > 0) return false;
  const btree::Lock lock(reader->connection);
  reader.drop_read();
  reading_ = false;
  return true;
}

Error SnapshotState::check(const char* operation) const {
  if (reading_) return {};
  return Error(Errc::expired, operation, "the snapshot held back the log for too long");
}

SnapshotState::~SnapshotState() {
  pin_.remove();  // from here on nobody else can end the read
  if (!reading_ || store->fork_guard.forked()) return;
  const btree::Lock lock(reader->connection);
  reader.end_read();
}

// ---- Transactions ----

WriteSession& TransactionState::session() const noexcept { return store_->session; }

Error TransactionState::open(const char* operation, const std::shared_ptr<StoreState>& store,
                             const WriteOptions& options) {
  store_ = store;
  if (Error error = store->enter_write_queue(operation, place_); error.failed()) return error;
  if (Error error = store->session.begin(operation, options.sync); error.failed()) {
    store->queue.leave(place_);
    return error;
  }
  open_ = true;
  return {};
}

TransactionState::~TransactionState() { abandon(); }

Error TransactionState::check(const char* operation) const {
  if (store_ != nullptr && store_->fork_guard.forked()) return Error(Errc::forked, operation, "");
  if (!open_) return Error(Errc::closed, operation, "the transaction has ended");
  return {};
}

Error TransactionState::check_write(const char* operation) const {
  if (Error error = check(operation); error.failed()) return error;
  return UserCode::check_write(operation, *store_);
}

void TransactionState::end() noexcept {
  open_ = false;
  savepoints_.clear();
  store_->queue.leave(place_);
}

Error TransactionState::commit() {
  if (Error error = check_write("commit"); error.failed()) return error;
  if (snkv_bt_poisoned(session().bt()) != 0) {
    return Error(Errc::rollback_required, "commit", "");
  }
  Error unfinished;
  try {
    unfinished = flush_column_tails("commit", session());
    if (!unfinished.failed()) unfinished = drop_unfinished_values("commit", session());
  } catch (const std::bad_alloc&) {
    unfinished = Error(Errc::no_memory, "commit", "");
  }
  if (unfinished.failed()) {
    abandon();
    return unfinished;
  }
  Error error = session().commit("commit");
  if (error == Errc::busy) return error;  // still open
  open_ = false;  // functions of the caller find nothing to use any more
  if (!error.failed()) store_->after_commit();
  end();
  store_->feed.deliver(*store_);
  return error;
}

Error TransactionState::rollback() {
  if (Error error = check_write("rollback"); error.failed()) return error;
  session().rollback();
  end();
  return {};
}

void TransactionState::abandon() noexcept {
  if (!open_ || store_->fork_guard.forked()) return;
  session().rollback();
  end();
}

Error TransactionState::savepoint(std::uint64_t& id) {
  if (Error error = check_write("savepoint"); error.failed()) return error;
  savepoints_.reserve(savepoints_.size() + 1);
  // So that all that is pending later came after it.
  if (Error error = flush_column_tails("savepoint", session()); error.failed()) return error;
  Error error = session().savepoint(static_cast<unsigned>(savepoints_.size()));
  if (error.failed()) return error;
  id = ++last_savepoint_;
  savepoints_.push_back(id);
  return {};
}

Error TransactionState::find_savepoint(const char* operation, std::uint64_t id,
                                       std::size_t& depth) const {
  if (Error error = check_write(operation); error.failed()) return error;
  for (depth = 0; depth < savepoints_.size(); ++depth) {
    if (savepoints_[depth] == id) return {};
  }
  return Error(Errc::closed, operation, "the savepoint has ended");
}

Error TransactionState::savepoint_rollback(std::uint64_t id) {
  std::size_t depth = 0;
  if (Error error = find_savepoint("savepoint rollback", id, depth); error.failed()) return error;
  savepoints_.resize(depth + 1);
  return session().savepoint_rollback(static_cast<unsigned>(depth));
}

Error TransactionState::savepoint_release(std::uint64_t id) {
  std::size_t depth = 0;
  if (Error error = find_savepoint("savepoint release", id, depth); error.failed()) return error;
  if (snkv_bt_poisoned(session().bt()) != 0) {
    return Error(Errc::rollback_required, "savepoint release", "");
  }
  Error error = session().savepoint_release(static_cast<unsigned>(depth));
  if (!error.failed()) savepoints_.resize(depth);
  return error;
}

void TransactionState::savepoint_abandon(std::uint64_t id) noexcept {
  std::size_t depth = 0;
  if (find_savepoint("savepoint", id, depth).failed()) return;
  savepoints_.resize(depth + 1);
  try {
    // A failure leaves the transaction such that it can only be rolled back: nobody can be told.
    if (session().savepoint_rollback(static_cast<unsigned>(depth)).failed()) return;
    if (session().savepoint_release(static_cast<unsigned>(depth)).failed()) return;
  } catch (const std::bad_alloc&) {
    return;
  }
  savepoints_.resize(depth);
}

}  // namespace snkv::core
