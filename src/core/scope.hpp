/// \file
/// What a handle may be bound to: a transaction, a snapshot, or (overlay.hpp) a write buffer.
#pragma once

#include "core/reader_pool.hpp"
#include "core/write_queue.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace snkv::core {

class SnapshotState;
class StoreState;
class WriteSession;

class Scope {
 public:
  enum class Kind { transaction, snapshot, overlay };
  explicit Scope(Kind kind) noexcept : kind_(kind) {}
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  virtual ~Scope() = default;
  [[nodiscard]] Kind kind() const noexcept { return kind_; }

 private:
  Kind kind_;
};

/// The reads that hold back the log: snapshots, and iterators of no scope. Registered with the store
/// for the gauges, and so that closing can be refused.
class Pin {
 public:
  using Clock = std::chrono::steady_clock;
  Pin() noexcept = default;
  Pin(const Pin&) = delete;
  Pin& operator=(const Pin&) = delete;
  ~Pin() { remove(); }

  /// Fails with `closed` when the store is. `owner` is whose read it is; none: it is never ended early.
  [[nodiscard]] Error add(const char* operation, StoreState& store, SnapshotState* owner);
  void remove() noexcept;

 private:
  friend class PinRegistry;
  StoreState* store_ = nullptr;
  SnapshotState* owner_ = nullptr;
  Pin* next_ = nullptr;
  Pin* previous_ = nullptr;
  Clock::time_point since_{};
};

class PinRegistry {
 public:
  [[nodiscard]] bool add(Pin& pin) noexcept;
  void remove(Pin& pin) noexcept;
  /// Number of pins, and the age of the oldest.
  [[nodiscard]] std::uint64_t count(std::chrono::milliseconds& oldest) const noexcept;
  /// Ends the oldest read that has not been ended yet; false if there is none.
  [[nodiscard]] bool expire_oldest() noexcept;
  /// Refuses new pins from now on, unless there are any: then it changes nothing and returns false.
  [[nodiscard]] bool close_if_empty() noexcept;
  /// Undoes `close_if_empty`.
  void reopen() noexcept;

 private:
  mutable std::mutex mutex_;
  Pin* oldest_ = nullptr;  // guarded by mutex_: a list in order of age
  Pin* newest_ = nullptr;
  std::uint64_t count_ = 0;
  bool closed_ = false;
};

/// A raw read transaction kept open on a connection of its own.
class SnapshotState final : public Scope {
 public:
  SnapshotState() noexcept : Scope(Kind::snapshot) {}
  ~SnapshotState() override;

  [[nodiscard]] Error open(const char* operation, const std::shared_ptr<StoreState>& store);
  /// Ends the read before its time; false if it was ended already.
  [[nodiscard]] bool expire() noexcept;
  /// `expired` after that; asked with `mutex` held.
  [[nodiscard]] Error check(const char* operation) const;

  /// Held for every use of the connection; again by a function of the caller that reads during one.
  std::recursive_mutex mutex;
  /// How many functions of the caller look at a value meanwhile: for them nobody waits.
  std::atomic<int> visitors{0};
  std::shared_ptr<StoreState> store;
  ReaderLease reader;
  /// One reading of the clock: what has expired does not change during a snapshot.
  std::int64_t now = 0;

 private:
  Pin pin_;
  bool reading_ = false;
};

/// An open write transaction: the head of the write queue.
class TransactionState final : public Scope {
 public:
  TransactionState() noexcept : Scope(Kind::transaction) {}
  ~TransactionState() override;

  [[nodiscard]] Error open(const char* operation, const std::shared_ptr<StoreState>& store,
                           const WriteOptions& options);
  [[nodiscard]] Error commit();
  [[nodiscard]] Error rollback();
  void abandon() noexcept;

  [[nodiscard]] Error savepoint(std::uint64_t& id);
  [[nodiscard]] Error savepoint_rollback(std::uint64_t id);
  [[nodiscard]] Error savepoint_release(std::uint64_t id);
  void savepoint_abandon(std::uint64_t id) noexcept;

  /// `closed` after the end, `forked` in a child.
  [[nodiscard]] Error check(const char* operation) const;
  /// The same for what changes the transaction: `locked` in a function that one of its operations calls.
  [[nodiscard]] Error check_write(const char* operation) const;
  [[nodiscard]] bool is_open() const noexcept { return open_; }
  [[nodiscard]] WriteSession& session() const noexcept;

 private:
  void end() noexcept;
  [[nodiscard]] Error find_savepoint(const char* operation, std::uint64_t id,
                                     std::size_t& depth) const;

  std::shared_ptr<StoreState> store_;
  WriteQueue::Waiter place_;
  bool open_ = false;
  std::vector<std::uint64_t> savepoints_;  // ids, outermost first
  std::uint64_t last_savepoint_ = 0;
};

}  // namespace snkv::core
