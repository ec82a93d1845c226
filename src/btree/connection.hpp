/// \file
/// RAII over bt.h. The guards nest: a `Cursor` needs a transaction, a transaction needs a `Lock`, and
/// each is made from the one outside it, so that the order of the contract (mutex > transaction >
/// cursor) cannot be got wrong. Everything here is used by one thread at a time.
#pragma once

#include "btree/bt.h"
#include "btree/record.hpp"

#include <snkv/bytes.hpp>
#include <snkv/error.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace snkv::btree {

/// The `Errc` for an engine code.
[[nodiscard]] Errc errc_of(int rc) noexcept;

/// An error for an engine code, with the engine's description of it, unless there is no memory for that.
/// `rc` must be a failure.
[[nodiscard]] Error engine_error(const char* operation, int rc, std::string_view about = {}) noexcept;

/// One connection to the file.
class Connection {
 public:
  Connection() noexcept = default;
  Connection(Connection&& other) noexcept : bt_(std::exchange(other.bt_, nullptr)) {}
  Connection& operator=(Connection&& other) noexcept {
    std::swap(bt_, other.bt_);
    return *this;
  }
  ~Connection() { close(); }

  /// Opens; `flags` as in bt.h. On failure `system_errno` tells what the system said.
  [[nodiscard]] int open(const std::string& path, int flags, int busy_timeout_ms) noexcept {
    close();
    return snkv_bt_open(path.c_str(), flags, busy_timeout_ms, &bt_);
  }
  void close() noexcept { snkv_bt_close(std::exchange(bt_, nullptr)); }
  /// Forgets the connection without touching the file, its locks or its memory: in a forked child.
  void leak() noexcept { bt_ = nullptr; }

  [[nodiscard]] snkv_bt* get() const noexcept { return bt_; }
  [[nodiscard]] bool is_open() const noexcept { return bt_ != nullptr; }
  [[nodiscard]] int system_errno() const noexcept { return bt_ == nullptr ? 0 : snkv_bt_errno(bt_); }

  /// Runs one SQL statement that returns nothing of interest.
  [[nodiscard]] int execute(const std::string& sql) noexcept;
  /// Runs one SQL statement and gives the first column of its first row, `fallback` if there is none.
  [[nodiscard]] int query_int64(const std::string& sql, std::int64_t& out,
                                std::int64_t fallback = 0) noexcept;
  /// An error for a failed SQL call: with the statement's own message, unless there is no memory for it.
  [[nodiscard]] Error sql_error(const char* operation, int rc) const noexcept;

 private:
  snkv_bt* bt_ = nullptr;
};

/// Holds the connection's mutex [M1].
class Lock {
 public:
  explicit Lock(Connection& connection) noexcept : bt_(connection.get()) { snkv_bt_lock(bt_); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  ~Lock() { snkv_bt_unlock(bt_); }

  [[nodiscard]] snkv_bt* get() const noexcept { return bt_; }

 private:
  snkv_bt* bt_;
};

/// A statement of SQL.
class Statement {
 public:
  Statement() noexcept = default;
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;
  ~Statement() { snkv_bt_finalize(stmt_); }

  [[nodiscard]] int prepare(Connection& connection, const char* sql) noexcept {
    return snkv_bt_prepare(connection.get(), sql, &stmt_);
  }
  /// For SQL of users: one that changes anything is refused. A text without a statement leaves `get` null.
  [[nodiscard]] int prepare_reading(Connection& connection, std::string_view sql) noexcept {
    return snkv_bt_prepare_reading(connection.get(), sql.data(),
                                   static_cast<std::uint32_t>(sql.size()), &stmt_);
  }
  [[nodiscard]] int step() noexcept { return snkv_bt_step(stmt_); }
  [[nodiscard]] snkv_bt_stmt* get() const noexcept { return stmt_; }
  [[nodiscard]] std::int64_t int64(int column) const noexcept {
    return snkv_bt_column_int64(stmt_, column);
  }
  [[nodiscard]] BytesView bytes(int column) const noexcept {
    std::uint32_t size = 0;
    const void* data = snkv_bt_column_bytes(stmt_, column, &size);
    return {data, size};
  }

 private:
  snkv_bt_stmt* stmt_ = nullptr;
};

/// A cursor on one tree. May outlive its transaction: it is dead then, and says `SNKV_BT_MOVED`.
class Cursor {
 public:
  Cursor() noexcept = default;
  Cursor(Cursor&& other) noexcept : cursor_(std::exchange(other.cursor_, nullptr)) {}
  Cursor& operator=(Cursor&& other) noexcept {
    std::swap(cursor_, other.cursor_);
    return *this;
  }
  ~Cursor() { close(); }

  [[nodiscard]] int open(snkv_bt* bt, std::uint32_t root, snkv_bt_kind kind, bool writable) noexcept {
    close();
    return snkv_bt_cursor_open(bt, root, kind, writable ? 1 : 0, &cursor_);
  }
  void close() noexcept { snkv_bt_cursor_close(std::exchange(cursor_, nullptr)); }
  /// Forgets the cursor without touching the file: in a forked child.
  void leak() noexcept { cursor_ = nullptr; }
  [[nodiscard]] bool is_open() const noexcept { return cursor_ != nullptr; }
  [[nodiscard]] snkv_bt_cursor* get() const noexcept { return cursor_; }

 private:
  snkv_bt_cursor* cursor_ = nullptr;
};

/// A raw read transaction for the length of a scope.
class ReadTransaction {
 public:
  explicit ReadTransaction(const Lock& lock) noexcept : bt_(lock.get()) {
    rc_ = snkv_bt_begin_read(bt_, &cookie_);
  }
  ReadTransaction(const ReadTransaction&) = delete;
  ReadTransaction& operator=(const ReadTransaction&) = delete;
  ~ReadTransaction() {
    if (rc_ == SNKV_BT_OK) snkv_bt_end_read(bt_);
  }

  /// SNKV_BT_OK if it was begun.
  [[nodiscard]] int rc() const noexcept { return rc_; }
  /// The schema cookie of its snapshot [S1].
  [[nodiscard]] std::uint32_t cookie() const noexcept { return cookie_; }

 private:
  snkv_bt* bt_;
  int rc_;
  std::uint32_t cookie_ = 0;
};

/// A transaction in which SQL and cursors see one snapshot, for the length of a scope.
class MixedReadTransaction {
 public:
  explicit MixedReadTransaction(const Lock& lock) noexcept : bt_(lock.get()) {
    rc_ = snkv_bt_begin_mixed_read(bt_, &cookie_);
  }
  MixedReadTransaction(const MixedReadTransaction&) = delete;
  MixedReadTransaction& operator=(const MixedReadTransaction&) = delete;
  ~MixedReadTransaction() {
    if (rc_ == SNKV_BT_OK) snkv_bt_rollback(bt_);
  }

  [[nodiscard]] int rc() const noexcept { return rc_; }
  [[nodiscard]] std::uint32_t cookie() const noexcept { return cookie_; }

 private:
  snkv_bt* bt_;
  int rc_;
  std::uint32_t cookie_ = 0;
};

/// A write transaction for the length of a scope: rolled back unless committed.
class WriteTransaction {
 public:
  explicit WriteTransaction(const Lock& lock) noexcept : bt_(lock.get()) {
    rc_ = snkv_bt_begin_write(bt_, &cookie_);
    open_ = rc_ == SNKV_BT_OK;
  }
  WriteTransaction(const WriteTransaction&) = delete;
  WriteTransaction& operator=(const WriteTransaction&) = delete;
  ~WriteTransaction() { rollback(); }

  [[nodiscard]] int rc() const noexcept { return rc_; }
  [[nodiscard]] std::uint32_t cookie() const noexcept { return cookie_; }

  [[nodiscard]] int commit() noexcept {
    const int rc = snkv_bt_commit(bt_);
    if (rc == SNKV_BT_OK) open_ = false;
    return rc;
  }
  void rollback() noexcept {
    if (std::exchange(open_, false)) snkv_bt_rollback(bt_);
  }

 private:
  snkv_bt* bt_;
  int rc_;
  bool open_ = false;
  std::uint32_t cookie_ = 0;
};

}  // namespace snkv::btree
