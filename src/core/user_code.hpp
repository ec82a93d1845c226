/// \file
/// Functions of the caller that run in the middle of an operation: what they may do with the store, how long
/// it lives, and what becomes of their exceptions.
///
/// A thread that runs one holds something: its turn at writing, or a view of the file. What would wait for
/// that would wait for itself. So each such call stands in the scope of a `UserCode`, and what writes or
/// closes asks whether its thread is in one.
#pragma once

#include <snkv/error.hpp>

namespace snkv::core {

class StoreState;

/// The scope of one call of a function of the caller. Belongs to the thread.
class UserCode {
 public:
  enum class Kind {
    clock,
    log,
    reads,   ///< Another one that must not write to the store.
    writes,  ///< One that may: the operation holds nothing that a write would wait for.
  };

  UserCode(const StoreState& store, Kind kind) noexcept;
  UserCode(const UserCode&) = delete;
  UserCode& operator=(const UserCode&) = delete;
  ~UserCode();

  /// Whether this thread is in a function that an operation of `store` called.
  [[nodiscard]] static bool inside(const StoreState& store) noexcept;
  [[nodiscard]] static bool inside(const StoreState& store, Kind kind) noexcept;
  /// Whether it is in one of any store.
  [[nodiscard]] static bool inside_any() noexcept;
  /// `locked` if it is in one that must not write to `store`.
  [[nodiscard]] static Error check_write(const char* operation, const StoreState& store);
  /// The same for what must not happen in any of them, as closing the store.
  [[nodiscard]] static Error check_end(const char* operation, const StoreState& store);

 private:
  const StoreState& store_;
  const Kind kind_;
  UserCode* const outer_;
};

/// The scope of an operation on a store, or of the life of a thread of it. When the last handle goes away
/// meanwhile, in a function of the caller, the store is destroyed at the end of the outermost of them.
class Operation {
 public:
  /// `store` may be null: then it is of no effect.
  explicit Operation(StoreState* store) noexcept;
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;
  ~Operation();

  /// What the last handle on `store` does.
  static void destroy(StoreState* store) noexcept;
  /// Whether `store` waits for this thread's operation to end, to be destroyed.
  [[nodiscard]] static bool is_doomed(const StoreState& store) noexcept;

 private:
  StoreState* const store_;
  Operation* const outer_;
};

/// What a function may do that is called while a read of `store` is open: with a rollback journal, a commit
/// would wait for that.
[[nodiscard]] UserCode::Kind kind_beside_read(const StoreState& store) noexcept;

/// `aborted`, with what the exception that is being handled says; `no_memory` for `std::bad_alloc`.
[[nodiscard]] Error error_of_exception(const char* operation) noexcept;

}  // namespace snkv::core
