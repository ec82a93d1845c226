#include "session.hpp"

#include <algorithm>
#include <utility>

namespace snkv_python {

using snkv::Errc;
using snkv::Error;
using snkv::Result;
using snkv::Unexpected;

// ---- Scope ----

Result<snkv::ColumnFamily> Scope::bind(const snkv::ColumnFamily& family) {
  if (auto* open = transaction()) return open->column_family(family);
  if (auto* open = snapshot()) return open->column_family(family);
  return Unexpected(Error(Errc::closed, "use", "the transaction or snapshot has ended"));
}

Error Scope::no_transaction(const char* operation) const {
  if (!is_open()) return Error(Errc::closed, operation, "the transaction has ended");
  return Error(Errc::read_only, operation, "the transaction was begun for reading");
}

Result<void> Scope::commit() {
  if (transaction() != nullptr) {
    auto result = transaction()->commit();
    // With a rollback journal somebody may still be reading; it may be tried again.
    if (!result && result.error() == Errc::busy) return result;
    forget();
    return result;
  }
  if (!is_open()) return Unexpected(no_transaction("commit"));
  forget();
  return {};
}

Result<void> Scope::rollback() {
  Result<void> result;
  if (transaction() != nullptr) {
    result = transaction()->rollback();
  } else if (!is_open()) {
    return Unexpected(no_transaction("rollback"));
  }
  forget();
  return result;
}

void Scope::forget() noexcept {
  // The transaction first: savepoints of one that has ended do nothing when they go away.
  view_ = std::monostate();
  savepoints.clear();
}

void Scope::end() noexcept {
  const std::lock_guard lock(mutex);
  forget();
}

// ---- Transactions of threads ----

/// The transactions that a thread has begun, on any store. They are rolled back when the thread
/// ends.
class ThreadScopes {
 public:
  struct Entry {
    const Session* session;
    std::weak_ptr<Session> alive;  // tells a session from another one at the same address
    std::shared_ptr<Scope> scope;
  };

  ThreadScopes() = default;
  ThreadScopes(const ThreadScopes&) = delete;
  ThreadScopes& operator=(const ThreadScopes&) = delete;
  ~ThreadScopes() {
    // Moved away, because the last handle of a session may go here, and looks for its own.
    for (std::vector<Entry> entries = std::move(entries_); Entry & entry : entries) {
      if (auto session = entry.alive.lock()) --session->thread_scopes_;
      entry.scope->end();
    }
  }

  [[nodiscard]] Entry* find(const Session* session) noexcept {
    for (Entry& entry : entries_) {
      if (entry.session == session && !entry.alive.expired()) return &entry;
    }
    return nullptr;
  }
  void add(const std::shared_ptr<Session>& session, std::shared_ptr<Scope> scope) {
    std::erase_if(entries_, [](const Entry& entry) { return entry.alive.expired(); });
    entries_.push_back({session.get(), session, std::move(scope)});
    ++session->thread_scopes_;
  }
  void remove(Session* session) noexcept {
    const auto removed =
        std::erase_if(entries_, [&](const Entry& entry) { return entry.session == session; });
    session->thread_scopes_ -= removed;
  }

 private:
  std::vector<Entry> entries_;
};

namespace {

thread_local ThreadScopes thread_scopes;

}  // namespace

// ---- Session ----

std::shared_ptr<Session> Session::make(snkv::Store opened, std::unique_ptr<Protection> protection) {
  return {new Session(std::move(opened), std::move(protection)), [](Session* session) {
            // Closing may take a while. A thread that ends has no interpreter to let go of.
            if (Py_IsInitialized() != 0 && PyGILState_Check() != 0) {
              const WithoutGil released;
              delete session;
            } else {
              delete session;
            }
          }};
}

Session::~Session() {
  // Handles went away without `close`; the same happens, but nobody is told.
  if (!closed_) (void)close();
}

std::shared_ptr<Scope> Session::of_this_thread() const {
  if (thread_scopes_.load(std::memory_order_relaxed) == 0) return nullptr;
  const ThreadScopes::Entry* entry = thread_scopes.find(this);
  return entry == nullptr ? nullptr : entry->scope;
}

Result<std::shared_ptr<Scope>> Session::must_be_in(const char* operation) const {
  if (auto scope = of_this_thread()) return scope;
  const Errc code = closed_ ? Errc::closed : Errc::invalid_argument;
  return Unexpected(Error(code, operation, "this thread has no transaction open"));
}

Result<void> Session::begin(bool for_writing) {
  if (auto open = of_this_thread()) {
    const std::lock_guard lock(open->mutex);
    // One for reading goes on, or gives way to one for writing.
    if (open->snapshot() != nullptr && !for_writing) return {};
    if (open->transaction() != nullptr) {
      return Unexpected(Error(Errc::locked, "begin", "this thread has a transaction open"));
    }
  }
  auto begun = admit([&]() -> Result<std::shared_ptr<Scope>> {
    if (for_writing) return Scope::of(store_.begin());
    return Scope::of(store_.snapshot());
  });
  if (!begun) return Unexpected(std::move(begun).error());
  if (auto before = of_this_thread()) {
    before->end();
    thread_scopes.remove(this);
  }
  thread_scopes.add(shared_from_this(), *std::move(begun));
  return {};
}

Result<void> Session::end_of_thread_scope(const char* operation, Result<void> (Scope::*how)()) {
  if (of_this_thread() == nullptr && !closed_) {
    // Programs end what was not begun, and nothing is lost by it; unless they mean the transaction of
    // another thread, which goes on.
    if (thread_scopes_.load() == 0) return {};
    return Unexpected(Error(Errc::invalid_argument, operation,
                            "this thread has no transaction open, but another one has"));
  }
  const auto found = must_be_in(operation);
  if (!found) return Unexpected(found.error());
  const std::shared_ptr<Scope>& scope = *found;
  Result<void> result;
  bool ended = false;
  {
    const std::lock_guard lock(scope->mutex);
    result = ((*scope).*how)();
    ended = !scope->is_open();
  }
  if (ended) thread_scopes.remove(this);
  return result;
}

Result<void> Session::commit() { return end_of_thread_scope("commit", &Scope::commit); }
Result<void> Session::rollback() { return end_of_thread_scope("rollback", &Scope::rollback); }

bool Session::begin_making() {
  const std::lock_guard lock(guests_mutex_);
  if (closed_) return false;
  ++making_;
  return true;
}

void Session::end_making() {
  const std::lock_guard lock(guests_mutex_);
  if (--making_ == 0) made_all_.notify_all();
}

bool Session::keep(const std::shared_ptr<Guest>& guest) {
  const std::lock_guard lock(guests_mutex_);
  if (closed_) return false;
  if (guests_.size() >= sweep_at_) {
    std::erase_if(guests_, [](const auto& weak) { return weak.expired(); });
    sweep_at_ = std::max<std::size_t>(64, 2 * guests_.size());
  }
  guests_.push_back(guest);
  return true;
}

Error Session::too_late() { return Error(Errc::closed, "open", "the store is closed"); }

Result<void> Session::close() {
  std::vector<std::weak_ptr<Guest>> guests;
  {
    const std::lock_guard lock(guests_mutex_);
    if (closed_) return {};
    closed_ = true;
    guests.swap(guests_);
  }
  // Newest first: what was made from a transaction ends before it.
  for (auto weak = guests.rbegin(); weak != guests.rend(); ++weak) {
    if (auto guest = weak->lock()) guest->end();
  }
  {
    std::unique_lock lock(guests_mutex_);
    made_all_.wait(lock, [&] { return making_ == 0; });
  }
  thread_scopes.remove(this);
  auto result = store_.close();
  if (!result && result.error() == Errc::closed) return {};
  return result;
}

void Session::fail(const Error& error) {
  if (!(error == Errc::not_found)) last_message_ = error.message();
  raise(error);
}

}  // namespace snkv_python
