/// \file
/// How the functions of the ABI run: counting errors, turning memory exhaustion into one, and sending
/// writes either to the target's transaction or to the write queue.
#pragma once

#include "core/overlay.hpp"
#include "core/read_path.hpp"
#include "core/store_state.hpp"
#include "core/user_code.hpp"
#include "core/write_session.hpp"

#include <snkv/detail/core_abi.hpp>

namespace snkv::core {

/// Runs `body`, which returns an `Error`. No exception gets out.
template <class Body>
[[nodiscard]] Error guarded(const char* operation, const Target& target, Body&& body) noexcept {
  Error error;
  // A function of the caller may end the handle that `target` belongs to, but not the store.
  StoreState* const store = target.store.get();
  const Operation store_lives(store);
  if (store == nullptr) return Error(Errc::closed, operation, "");
  try {
    error = body();
  } catch (...) {
    error = error_of_exception(operation);
  }
  if (error.failed() && !(error == Errc::not_found)) store->counters.add(Counters::errors);
  return error;
}

/// Runs a change that consists of several steps; if one fails the transaction must be rolled back.
template <class Steps>
[[nodiscard]] Error change(WriteSession& session, Steps&& steps) {
  snkv_bt* bt = session.bt();
  struct Guard {
    snkv_bt* bt;
    ~Guard() {
      if (bt != nullptr) snkv_bt_poison(bt);
    }
  } guard{bt};
  Error error = steps();
  if (!error.failed()) guard.bt = nullptr;
  return error;
}

/// Runs `work(session)` in the target's transaction, or in one of its own, which promises `sync`.
template <class Work>
[[nodiscard]] Error write_in_scope(const char* operation, const Target& target, Work&& work,
                                   std::optional<Sync> sync = {}) {
  if (target.scope == nullptr) {
    const WriteOperation step(work, sync);
    return target.store->write(operation, step);
  }
  if (target.scope->kind() == Scope::Kind::snapshot) {
    return Error(Errc::read_only, operation, "a snapshot cannot be written");
  }
  if (target.scope->kind() == Scope::Kind::overlay) return error_not_buffered(operation);
  auto& transaction = static_cast<TransactionState&>(*target.scope);
  if (Error error = transaction.check_write(operation); error.failed()) return error;
  WriteSession& session = transaction.session();
  if (snkv_bt_poisoned(session.bt()) != 0) return Error(Errc::rollback_required, operation, "");
  return work(session);
}

/// Runs `work` as the head of the write queue, outside a transaction.
template <class Work>
[[nodiscard]] Error exclusively(const char* operation, const Target& target, Work&& work) {
  if (target.scope != nullptr) {
    return Error(Errc::invalid_argument, operation, "not inside a transaction or snapshot");
  }
  struct Place {
    StoreState& store;
    WriteQueue::Waiter waiter{};
    bool entered = false;
    ~Place() {
      if (entered) store.queue.leave(waiter);
    }
  } place{*target.store};
  Error error = place.store.enter_write_queue(operation, place.waiter);
  if (error.failed()) return error;
  place.entered = true;
  return work(place.store);
}

}  // namespace snkv::core
