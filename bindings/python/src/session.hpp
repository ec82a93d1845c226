/// \file
/// An open store as Python programs see it: with the transactions that threads have open on it, and
/// with everything that has to end before the store can close.
///
/// None of the locks here is waited for while the interpreter's lock is held; the other way round
/// is allowed, so they cannot block each other. With one of them held, no object is made that
/// Python's collector knows (only bytes are): the collector may run then, and let go of what wants
/// the same lock.
#pragma once

#include "errors.hpp"
#include "python.hpp"

#include <snkv/snkv.hpp>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <type_traits>
#include <utility>
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
  /// Of a transaction or snapshot that was opened, or why it was not.
  template <class View>
  [[nodiscard]] static snkv::Result<std::shared_ptr<Scope>> of(snkv::Result<View> opened) {
    if (!opened) return snkv::Unexpected(std::move(opened).error());
    return std::make_shared<Scope>(*std::move(opened));
  }

  std::mutex mutex;

  // ---- With `mutex` held ----

  [[nodiscard]] bool is_open() const noexcept {
    return !std::holds_alternative<std::monostate>(view_);
  }
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

  /// Savepoints that were not released. They are kept here, because a savepoint rolls back when it
  /// goes away, and when Python collects an object is nobody's decision.
  std::vector<std::shared_ptr<snkv::Savepoint>> savepoints;

  void end() noexcept override;

 private:
  void forget() noexcept;

  std::variant<std::monostate, snkv::Transaction, snkv::Snapshot> view_;
};

/// What an encrypted store was opened with.
struct Protection {
  Protection(std::string file, snkv::Options with, snkv::Secret by)
      : path(std::move(file)), options(std::move(with)), secret(std::move(by)) {}

  std::mutex mutex;  ///< for one call at a time that changes how the store is opened
  std::string path;  ///< absolute
  snkv::Options options;
  snkv::Secret secret;  // guarded by mutex
};

class Session : public std::enable_shared_from_this<Session> {
 public:
  [[nodiscard]] static std::shared_ptr<Session> make(snkv::Store opened,
                                                     std::unique_ptr<Protection> protection = {});
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session();

  [[nodiscard]] snkv::Store& store() noexcept { return store_; }
  /// Null if the store is not encrypted.
  [[nodiscard]] Protection* protection() noexcept { return protection_.get(); }

  // ---- Without the interpreter's lock ----

  /// The transaction that this thread has begun on the store; null if there is none.
  [[nodiscard]] std::shared_ptr<Scope> of_this_thread() const;
  /// The same where there has to be one.
  [[nodiscard]] snkv::Result<std::shared_ptr<Scope>> must_be_in(const char* operation) const;
  [[nodiscard]] snkv::Result<void> begin(bool for_writing);
  [[nodiscard]] snkv::Result<void> commit();
  [[nodiscard]] snkv::Result<void> rollback();

  /// Makes a guest, `make()` being a result of a shared pointer to one, and remembers that it has
  /// to end before the store closes; `closed` when it is too late. Closing waits for what is being
  /// made.
  template <class Make>
  [[nodiscard]] std::invoke_result_t<Make&> admit(Make make) {
    if (!begin_making()) return snkv::Unexpected(too_late());
    const Making making(*this);
    auto made = make();
    if (made && !keep(*made)) {
      (*made)->end();
      return snkv::Unexpected(too_late());
    }
    return made;
  }
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
  Session(snkv::Store opened, std::unique_ptr<Protection> protection)
      : store_(std::move(opened)), protection_(std::move(protection)) {}

  /// While it lives a guest is being made.
  struct Making {
    explicit Making(Session& session) noexcept : session_(session) {}
    Making(const Making&) = delete;
    Making& operator=(const Making&) = delete;
    ~Making() { session_.end_making(); }

   private:
    Session& session_;
  };
  [[nodiscard]] bool begin_making();
  void end_making();
  /// False if the store is closing.
  [[nodiscard]] bool keep(const std::shared_ptr<Guest>& guest);
  [[nodiscard]] static snkv::Error too_late();

  [[nodiscard]] snkv::Result<void> end_of_thread_scope(const char* operation,
                                                       snkv::Result<void> (Scope::*how)());

  snkv::Store store_;
  const std::unique_ptr<Protection> protection_;
  std::atomic<std::uint64_t> thread_scopes_ = 0;  ///< open transactions of threads
  std::atomic<bool> closed_ = false;
  std::string last_message_;  // guarded by the interpreter's lock

  std::mutex guests_mutex_;
  std::vector<std::weak_ptr<Guest>> guests_;  // guarded by guests_mutex_
  std::size_t sweep_at_ = 64;
  std::size_t making_ = 0;            // guarded by guests_mutex_
  std::condition_variable made_all_;  // making_ is 0
};

}  // namespace snkv_python
