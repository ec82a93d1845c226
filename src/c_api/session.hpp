/// \file
/// An open store as the C interface sees it: with the transaction that may be open on its handle, and
/// with the families and iterators that were made from it.
#pragma once

#include "c_api/gate.hpp"
#include "c_api/handle.hpp"
#include "c_api/outcome.hpp"

#include <snkv/snkv.hpp>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace snkv::c_api {

/// What an operation does to the store.
enum class Access {
  read,
  write,
  alone,  ///< needs the handle to itself
};

struct Session;

/// A column family by name, and handles to it: outside of transactions, and in the one that is open.
class FamilyRef {
 public:
  /// The default family.
  FamilyRef() = default;
  explicit FamilyRef(std::string name) : name_(std::move(name)) {}
  FamilyRef(std::string name, ColumnFamily family)
      : name_(std::move(name)), family_(std::move(family)) {}

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] bool is_default() const noexcept { return name_.empty(); }

  /// The entries to read, or to write (`read_only` in a transaction for reading), as of the session's
  /// transaction.
  [[nodiscard]] Result<const EntryReader*> reader(Session& session);
  [[nodiscard]] Result<EntryWriter*> writer(Session& session);

  /// Called at the end of a transaction: one that was made in it gets a handle of its own.
  void settle(Session& session);
  /// Called when the session has another store, with the same families.
  void rebind(Session& session);

  bool dropped = false;
  /// By the transaction that is open, which may be rolled back.
  bool dropped_in_transaction = false;

 private:
  [[nodiscard]] Result<ColumnFamily*> resolve(Session& session);

  std::string name_;
  std::optional<ColumnFamily> family_;
  std::optional<ColumnFamily> bound_;
  std::uint64_t bound_to_ = 0;
};

struct Session {
  Session(Store opened, Options how) : store(std::move(opened)), options(std::move(how)) {}

  Store store;
  /// What opens the store; none if it is not encrypted. The C interface does not ask for it again.
  std::optional<Secret> secret;
  /// How it was opened.
  Options options;
  bool rollback_journal = false;
  bool serialised = false;
  std::uint64_t commits_per_checkpoint = 0;

  // ---- The transaction; changed by whoever is alone ----
  std::optional<Transaction> transaction;
  std::optional<Snapshot> snapshot;
  std::uint64_t transaction_number = 0;

  // ---- What was made from the handle ----
  std::mutex children_mutex;
  std::set<KVColumnFamily*> families;
  std::set<KVIterator*> iterators;

  // ---- Counts that the store does not have as they are documented ----
  std::atomic<std::uint64_t> commits = 0;
  std::atomic<std::uint64_t> iterations = 0;
  std::atomic<std::uint64_t> refusals = 0;    ///< arguments that were refused
  std::atomic<std::uint64_t> other_gets = 0;  ///< what the store counts as gets besides

  [[nodiscard]] bool in_transaction() const noexcept { return transaction || snapshot; }

  /// Gives the code of an error; its message becomes that of the handle, unless it only says that
  /// something was not found.
  int fail(const Error& error);
  /// Refuses the arguments of a call.
  int refuse(const char* operation, const char* why);
  /// The code of a result.
  template <class T>
  int done(const Result<T>& result) {
    return result ? KVSTORE_OK : fail(result.error());
  }
  [[nodiscard]] std::string message();

  /// To be called after each write that succeeded.
  void wrote();
  /// Lets go of what iterators read from, so that they do not keep anybody waiting; they go on with
  /// what they find then. All of them, or those of the transaction.
  void suspend_iterators(bool all);
  void end_transaction(bool rolled_back);
  /// Takes another store in the place of the one that was closed.
  void replace_store(Store opened);

 private:
  std::mutex message_mutex_;
  std::string message_;
};

}  // namespace snkv::c_api

struct KVStore : snkv::c_api::Handle {
  static constexpr auto own_kind = snkv::c_api::Kind::store;
  snkv::c_api::Gate gate;
  std::optional<snkv::c_api::Session> session;
};

struct KVColumnFamily : snkv::c_api::Handle {
  static constexpr auto own_kind = snkv::c_api::Kind::family;
  KVStore* store = nullptr;
  std::uint64_t store_generation = 0;
  snkv::c_api::FamilyRef family;
};

namespace snkv::c_api {

/// Runs `body(Session&)` on the open store of a handle; `KVSTORE_ERROR` if it is none, or another
/// than `generation` (0: any).
template <class Body>
int with_session(KVStore* handle, std::uint64_t generation, Access access, Body&& body) noexcept {
  if (!is_open(handle)) return KVSTORE_ERROR;
  const auto is_there = [&] {
    return is_open(handle) && handle->session &&
           (generation == 0 || handle->generation == generation);
  };
  handle->gate.enter();
  if (!is_there()) {
    handle->gate.leave();
    return KVSTORE_ERROR;
  }
  const Session& session = *handle->session;
  const bool shared = access != Access::alone && !session.serialised && !session.in_transaction() &&
                      !(access == Access::write && session.rollback_journal);
  if (shared) {
    const int code = guarded([&] { return body(*handle->session); });
    handle->gate.leave();
    return code;
  }
  handle->gate.leave();
  handle->gate.enter_alone();
  int code = KVSTORE_ERROR;
  if (is_there()) {
    code = guarded([&] {
      // With a rollback journal a reader would make the write fail.
      if (access == Access::write && handle->session->rollback_journal) {
        handle->session->suspend_iterators(true);
      }
      return body(*handle->session);
    });
  }
  handle->gate.leave_alone();
  return code;
}

template <class Body>
int with_session(KVStore* handle, Access access, Body&& body) noexcept {
  return with_session(handle, 0, access, body);
}

/// Runs `body(Session&, FamilyRef&)` for the default family of a store, or for a family.
template <class Body>
int with_family(KVStore* handle, Access access, Body&& body) noexcept {
  return with_session(handle, access, [&](Session& session) {
    FamilyRef family;
    return body(session, family);
  });
}
template <class Body>
int with_family(KVColumnFamily* handle, Access access, Body&& body) noexcept {
  if (!is_open(handle)) return KVSTORE_ERROR;
  return with_session(handle->store, handle->store_generation, access, [&](Session& session) {
    return is_open(handle) ? body(session, handle->family) : KVSTORE_ERROR;
  });
}

}  // namespace snkv::c_api
