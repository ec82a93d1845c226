/// \file
/// The write transaction that is open on the store's one write connection, whether it belongs to a
/// group of autocommit operations or to a `Transaction`. Used by the head of the write queue only.
#pragma once

#include "btree/connection.hpp"
#include "core/catalog.hpp"
#include "core/change_feed.hpp"

#include <snkv/bytes.hpp>
#include <snkv/error.hpp>
#include <snkv/options.hpp>
#include <snkv/watch.hpp>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace snkv::core {

class ColumnTailState;
class StoreState;
struct Family;

/// A large value that a blob writer of this transaction has begun. Its chunks must not stay in the file
/// unless the row under its key refers to them when the transaction commits.
struct BegunValue {
  std::uint32_t family_id = 0;
  Bytes key;
  std::int64_t id = 0;  ///< 0: nothing of it is in the file yet
  LargeTag tag{};       ///< once it has an id, in an encrypted store
  bool lost = false;    ///< no longer to be written: cancelled, or a part of it was undone or cleared
};

class WriteSession {
 public:
  explicit WriteSession(StoreState& store) noexcept : store_(store) {}

  /// `sync` is what the commit shall promise; empty: what the store's options say.
  [[nodiscard]] Error begin(const char* operation, std::optional<Sync> sync = {}) noexcept;
  /// After `busy` the transaction is still open; after any other error it was rolled back.
  [[nodiscard]] Error commit(const char* operation) noexcept;
  void rollback() noexcept;

  /// The family as this transaction sees it: `dropped`, `tampered`, or with `for_writing` `schema_mismatch`.
  [[nodiscard]] Error resolve(const char* operation, const Family& family, bool for_writing,
                              const FamilyEntry*& out) const;

  /// The one cursor that writes to a tree, kept until the transaction, or the tree's schema, changes.
  [[nodiscard]] int cursor(std::uint32_t root, snkv_bt_kind kind, snkv_bt_cursor*& out) noexcept;
  void close_cursors() noexcept { cursors_.clear(); }

  /// Runs statements that change the schema, and reads the catalog again.
  [[nodiscard]] Error change_schema(const char* operation, const std::vector<std::string>& statements);
  /// Runs one that makes a table of the family `id`, or one beside it: it knows what that changes.
  [[nodiscard]] Error create_table(const char* operation, const std::string& sql, std::uint32_t id);
  /// Reads the catalog again if the schema is not what it was loaded from.
  [[nodiscard]] Error refresh_catalog(const char* operation);

  [[nodiscard]] Error savepoint(unsigned number);
  [[nodiscard]] Error savepoint_rollback(unsigned number);
  [[nodiscard]] Error savepoint_release(unsigned number);

  [[nodiscard]] btree::Connection& connection() const noexcept;
  [[nodiscard]] snkv_bt* bt() const noexcept { return connection().get(); }
  [[nodiscard]] const Catalog& catalog() const noexcept { return *catalog_; }
  /// What values are sealed with; null in a store that is not encrypted.
  [[nodiscard]] const KeyRing* keys() const noexcept { return catalog_->keys(); }
  [[nodiscard]] StoreState& store() const noexcept { return store_; }
  /// One reading of the clock per transaction.
  [[nodiscard]] std::int64_t now() const noexcept { return now_; }

  /// Largest record that stays inside its cell of a family's tree [K7].
  [[nodiscard]] std::uint32_t max_local() const noexcept { return max_local_; }

  /// Keeps a change for the feed, if anybody wants to know.
  void note(Change::Kind kind, const Family& family, BytesView key, BytesView high = {});
  /// Whether anybody wants to know the changes.
  [[nodiscard]] bool noting() const noexcept { return noting_; }

  // ---- Large values ----

  /// An id that no other large value of this transaction has or had; `last` is the largest in use.
  [[nodiscard]] std::int64_t new_large_id(std::int64_t last) noexcept {
    return last_large_id_ = std::max(last, last_large_id_) + 1;
  }
  /// Of a large value that is about to be erased, so that no other gets its id: going back to a
  /// savepoint may bring it back, and who reads it in pieces knows it by its id.
  void retire_large_id(std::int64_t id) noexcept { last_large_id_ = std::max(id, last_large_id_); }
  [[nodiscard]] std::shared_ptr<BegunValue> begin_value(std::uint32_t family_id, BytesView key);
  /// Forgets a value that was finished or erased, unless going back to a savepoint could undo that.
  void end_value(const std::shared_ptr<BegunValue>& value) noexcept;
  [[nodiscard]] const std::vector<std::shared_ptr<BegunValue>>& begun_values() const noexcept {
    return begun_values_;
  }
  /// Marks the values of a family as lost; 0: of all families.
  void lose_values(std::uint32_t family_id) noexcept;

  // ---- Columns ----

  /// What was appended to columns one by one and is no chunk yet (columns/column_writer.hpp).
  [[nodiscard]] std::vector<std::shared_ptr<ColumnTailState>>& column_tails() noexcept {
    return column_tails_;
  }
  /// Forgets what is pending for a column; 0: for all.
  void drop_column_tails(std::uint32_t family_id) noexcept;

  /// Scratch space for records, so that a put need not allocate.
  Bytes record;
  Bytes payload;
  Bytes sealed;

 private:
  struct CachedCursor {
    std::uint32_t root;
    btree::Cursor cursor;
  };
  void end() noexcept;

  StoreState& store_;
  std::shared_ptr<const Catalog> catalog_;
  bool schema_changed_ = false;  // catalog_ is good for this transaction only [S2]
  std::vector<CachedCursor> cursors_;
  bool safe_ = false;  // the commit promises to survive a power cut
  bool noting_ = false;
  Changes changes_;
  std::vector<std::size_t> change_marks_;  // by savepoint number: how many changes there were
  std::vector<std::shared_ptr<BegunValue>> begun_values_;
  std::vector<std::shared_ptr<ColumnTailState>> column_tails_;
  std::int64_t last_large_id_ = 0;
  unsigned open_savepoints_ = 0;
  std::int64_t now_ = 0;
  std::uint32_t max_local_ = 0;
};

}  // namespace snkv::core
