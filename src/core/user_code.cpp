#include "core/user_code.hpp"

#include "core/store_state.hpp"

#include <exception>
#include <new>
#include <string>
#include <utility>

namespace snkv::core {
namespace {

thread_local UserCode* innermost = nullptr;
thread_local Operation* innermost_operation = nullptr;
thread_local StoreState* doomed = nullptr;  // a list

}  // namespace

UserCode::UserCode(const StoreState& store, Kind kind) noexcept
    : store_(store), kind_(kind), outer_(std::exchange(innermost, this)) {}

UserCode::~UserCode() { innermost = outer_; }

bool UserCode::inside(const StoreState& store) noexcept {
  for (const UserCode* at = innermost; at != nullptr; at = at->outer_) {
    if (&at->store_ == &store) return true;
  }
  return false;
}

bool UserCode::inside(const StoreState& store, Kind kind) noexcept {
  for (const UserCode* at = innermost; at != nullptr; at = at->outer_) {
    if (&at->store_ == &store && at->kind_ == kind) return true;
  }
  return false;
}

bool UserCode::inside_any() noexcept { return innermost != nullptr; }

Error UserCode::check_write(const char* operation, const StoreState& store) {
  for (const UserCode* at = innermost; at != nullptr; at = at->outer_) {
    if (&at->store_ != &store || at->kind_ == Kind::writes) continue;
    return Error(Errc::locked, operation,
                 "this function was called by an operation of the store, which has to end first");
  }
  return {};
}

Error UserCode::check_end(const char* operation, const StoreState& store) {
  if (!inside(store)) return {};
  return Error(Errc::locked, operation,
               "this function was called by an operation of the store, which has to end first");
}

Operation::Operation(StoreState* store) noexcept
    : store_(store), outer_(std::exchange(innermost_operation, this)) {}

Operation::~Operation() {
  innermost_operation = outer_;
  if (doomed == nullptr || store_ == nullptr || !is_doomed(*store_)) return;
  for (const Operation* at = outer_; at != nullptr; at = at->outer_) {
    if (at->store_ == store_) return;
  }
  StoreState** at = &doomed;
  while (*at != store_) at = &(*at)->next_doomed;
  *at = store_->next_doomed;
  delete store_;
}

void Operation::destroy(StoreState* store) noexcept {
  for (const Operation* at = innermost_operation; at != nullptr; at = at->outer_) {
    if (at->store_ != store) continue;
    store->next_doomed = std::exchange(doomed, store);
    return;
  }
  delete store;
}

bool Operation::is_doomed(const StoreState& store) noexcept {
  for (const StoreState* at = doomed; at != nullptr; at = at->next_doomed) {
    if (at == &store) return true;
  }
  return false;
}

UserCode::Kind kind_beside_read(const StoreState& store) noexcept {
  return store.options.journal == Journal::wal ? UserCode::Kind::writes : UserCode::Kind::reads;
}

Error error_of_exception(const char* operation) noexcept {
  constexpr const char* plain = "the function that was called threw an exception";
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return Error(Errc::no_memory, operation, "");
  } catch (const std::exception& caught) {
    try {
      return Error(Errc::aborted, operation, std::string(plain) + ": " + caught.what());
    } catch (...) {
      // Then without: that it threw is what matters.
    }
  } catch (...) {
    // There is nothing that it says.
  }
  return Error(Errc::aborted, operation, plain);
}

}  // namespace snkv::core
