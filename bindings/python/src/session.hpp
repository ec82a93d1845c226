/// \file
/// An open store as Python programs see it: with the transactions that threads have open on it, and with
/// everything that has to end before the store can close.
///
/// The interpreter's lock is never waited for while one of the locks here is held, and none of them is
/// waited for while the interpreter's lock is held. So they cannot block each other.
#pragma once

#include "errors.hpp"
#include "python.hpp"

#include <snkv/snkv.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <variant>
#include <vector>

namespace snkv_python {

class Session;

/// What keeps a store from closing: a transaction, a snapshot, an iterator.
class Guest {
 public:
  Guest() = default;
  Guest(const Guest&) = delete;
  Guest& operator=(const Guest&) = delete;
  virtual ~Guest() = default;

  /// Lets go of the store; what is used afterwards says `closed`.
  virtual void end() noexcept = 0;
};

/// A transaction or a snapshot. One call at a time: each holds the lock.
class Scope final : public Guest {
 public:
  explicit Scope(snkv::Transaction transaction) : view_(std::move(transaction)) {}
  explicit Scope(snkv::Snapshot snapshot) : view_(std::move(snapshot)) {}

  std::mutex mutex;

  // ---- With `mutex` held ----

  [[nodiscard]] bool is_open() const noexcept { return !std::holds_alternative<std::monostate>(view_); }
  /// The transaction; null for a snapshot, and after the end.
  [[nodiscard]] snkv::Transaction* transaction() noexcept {
    return std::get_if<snkv::Transaction>(&view_);
  }
  [[nodiscard]] snkv::Snapshot* snapshot() noexcept { return std::get_if<snkv::Snapshot>(&view_); }
  /// A family as it is seen from here.
  [[nodiscard]] snkv::Result<snkv::ColumnFamily> bind(const snkv::ColumnFamily& family);
  [[nodiscard]] snkv::Result<void> commit();
  [[nodiscard]] snkv::Result<void> rollback();
  /// Why a transaction is wanted but not there.
  [[nodiscard]] snkv::Error no_transaction(const char* operation) const;

  /// Savepoints that were not released. They are kept here, because a savepoint rolls back when it goes
  /// away, and when Python collects an object is nobody's decision.
  std::vector<std::shared_ptr<snkv::Savepoint>> savepoints;

  void end() noexcept override;

 private:
  void forget() noexcept;

  std::variant<std::monostate, snkv::Transaction, snkv::Snapshot> view_;
};

class Session : public std::enable_shared_from_this<Session> {
 public:
  [[nodiscard]] static std::shared_ptr<Session> make(snkv::Store opened);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session();

  [[nodiscard]] snkv::Store& store() noexcept { return store_; }

  // ---- Without the interpreter's lock ----

  /// The transaction that this thread has begun on the store; null if there is none.
  [[nodiscard]] std::shared_ptr<Scope> of_this_thread() const;
  /// The same where there has to be one.
  [[nodiscard]] snkv::Result<std::shared_ptr<Scope>> must_be_in(const char* operation) const;
  [[nodiscard]] snkv::Result<void> begin(bool for_writing);
  [[nodiscard]] snkv::Result<void> commit();
  [[nodiscard]] snkv::Result<void> rollback();

  /// Remembers what has to end before the store closes; `closed` when it is too late.
  [[nodiscard]] snkv::Result<void> admit(const std::shared_ptr<Guest>& guest);
  /// Ends all guests and closes. Doing it again changes nothing.
  [[nodiscard]] snkv::Result<void> close();
  [[nodiscard]] bool is_closed() const noexcept { return closed_; }

  // ---- With it ----

  /// Remembers the message of an error and raises it.
  [[noreturn]] void fail(const snkv::Error& error);
  template <class T>
  T value_of(snkv::Result<T>&& result) {
    if (!result) fail(result.error());
    if constexpr (!std::is_void_v<T>) return std::move(*result);
  }
  [[nodiscard]] const std::string& last_message() const noexcept { return last_message_; }

  /// Calls that the store counts as gets although they are none for Python programs.
  std::atomic<std::uint64_t> other_gets = 0;

 private:
  friend class ThreadScopes;
  explicit Session(snkv::Store opened) : store_(std::move(opened)) {}
  [[nodiscard]] snkv::Result<void> end_of_thread_scope(const char* operation,
                                                       snkv::Result<void> (Scope::*how)());

  snkv::Store store_;
  std::atomic<std::uint64_t> thread_scopes_ = 0;  ///< open transactions of threads
  std::atomic<bool> closed_ = false;
  std::string last_message_;  // guarded by the interpreter's lock

  std::mutex guests_mutex_;
  std::vector<std::weak_ptr<Guest>> guests_;  // guarded by guests_mutex_
  std::size_t sweep_at_ = 64;
};

}  // namespace snkv_python
