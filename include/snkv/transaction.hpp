/// \file
/// `Transaction`, several operations that happen together or not at all, and `Savepoint`, a point
/// inside one to which it can go back.
///
/// A transaction holds the store's only write lock from `Store::begin` to its end: keep it short. It
/// reads its own writes. It is rolled back when it is destroyed without `commit`.
///
/// When a write fails half-way for want of disk or memory, or on damage, the transaction can only be
/// rolled back: everything else gives `Errc::rollback_required`. Going back to a savepoint may do, but
/// not when it was the disk that failed (`full`, `io_error`).
/// Errors that are found before anything is changed (an empty key, say) leave it as it was.
///
/// Threads: one at a time; it may be handed from one to another. Savepoints, families and iterators
/// obtained from a transaction belong to it.
#pragma once

#include <snkv/column_family.hpp>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace snkv {
inline namespace SNKV_EXPECTED_NAMESPACE {

/// Rolls the transaction back to where it was made when destroyed, unless it was released. Savepoints
/// nest: ending an outer one ends those made after it, which then give `Errc::closed`. While rolling
/// back to one fails, the transaction cannot be committed: try again, or roll it back as a whole.
class Savepoint {
 public:
  Savepoint(core::Target target, std::uint64_t id) noexcept : target_(std::move(target)), id_(id) {}
  Savepoint(Savepoint&&) noexcept = default;
  Savepoint& operator=(Savepoint&& other) noexcept {
    if (this != &other) {
      abandon();
      target_ = std::move(other.target_);
      id_ = other.id_;
    }
    return *this;
  }
  ~Savepoint() { abandon(); }

  /// Undoes everything since the savepoint, which stays and can be rolled back to again. After a failure
  /// of the disk it fails with the same error, and the whole transaction has to be rolled back.
  [[nodiscard]] Result<void> rollback() {
    return facade::as_result(core::savepoint_rollback(target_, id_));
  }
  /// Keeps everything since the savepoint as part of the transaction, and ends the savepoint.
  [[nodiscard]] Result<void> release() { return facade::as_result(core::savepoint_release(target_, id_)); }

 private:
  void abandon() noexcept {
    if (target_.scope != nullptr) core::savepoint_abandon(target_, id_);
  }

  core::Target target_;
  std::uint64_t id_ = 0;
};

class Transaction : public EntryWriter {
 public:
  /// Refers to nothing; every use gives `Errc::closed`.
  Transaction() noexcept = default;
  /// Made by `Store::begin`.
  explicit Transaction(core::Target target) noexcept : EntryWriter(std::move(target)) {}
  Transaction(Transaction&&) noexcept = default;
  Transaction& operator=(Transaction&& other) noexcept {
    if (this != &other) {
      abandon();
      target_ = std::move(other.target_);
    }
    return *this;
  }
  ~Transaction() { abandon(); }

  /// Makes everything permanent and visible to others, as durable as `Options::sync` says. After
  /// `busy` (possible with `Journal::rollback` only) the transaction is still open and `commit` may be
  /// tried again; after any other error it was rolled back.
  [[nodiscard]] Result<void> commit() { return facade::as_result(core::commit(target_)); }

  /// Undoes everything and ends the transaction.
  [[nodiscard]] Result<void> rollback() { return facade::as_result(core::rollback(target_)); }

  [[nodiscard]] Result<Savepoint> savepoint() {
    std::uint64_t id = 0;
    Error error = core::savepoint(target_, id);
    if (error.failed()) return Unexpected(std::move(error));
    return Savepoint(target_, id);
  }

  /// Column families inside the transaction: creating and dropping are part of it.
  [[nodiscard]] Result<ColumnFamily> column_family(std::string_view name) {
    return facade::open_family(target_, name, core::FamilyMode::open_or_create);
  }
  /// A family that was obtained elsewhere, now as a part of this transaction; `invalid_argument` if it
  /// is one of another store. It gives `dropped` if it is not there.
  [[nodiscard]] Result<ColumnFamily> column_family(const ColumnFamily& family) {
    return family.seen_from(target_);
  }
  /// The same, for writing `transaction[users].put(...)`; on an error a handle that gives `closed`.
  [[nodiscard]] ColumnFamily operator[](const ColumnFamily& family) {
    return column_family(family).value_or(ColumnFamily());
  }
  [[nodiscard]] Result<ColumnFamily> open_column_family(std::string_view name) {
    return facade::open_family(target_, name, core::FamilyMode::open);
  }
  [[nodiscard]] Result<ColumnFamily> create_column_family(std::string_view name) {
    return facade::open_family(target_, name, core::FamilyMode::create);
  }
  [[nodiscard]] Result<void> drop_column_family(std::string_view name) {
    return facade::as_result(core::drop_family(target_, name));
  }
  [[nodiscard]] Result<std::vector<std::string>> list_column_families() const {
    return facade::list_families(target_);
  }

 private:
  void abandon() noexcept {
    if (target_.scope != nullptr) core::abandon(target_);
  }
};

}  // namespace SNKV_EXPECTED_NAMESPACE
}  // namespace snkv
