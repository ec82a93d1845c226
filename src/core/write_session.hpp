/// \file
/// The write transaction that is open on the store's one write connection, whether it belongs to a
/// group of autocommit operations or to a `Transaction`. Used by the head of the write queue only.
#pragma once

#include "btree/connection.hpp"
#include "core/catalog.hpp"

#include <snkv/bytes.hpp>
#include <snkv/error.hpp>
#include <snkv/options.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace snkv::core {

class StoreState;
struct Family;

class WriteSession {
 public:
  explicit WriteSession(StoreState& store) noexcept : store_(store) {}

  /// `sync` is what the commit shall promise; empty: what the store's options say.
  [[nodiscard]] Error begin(const char* operation, std::optional<Sync> sync = {});
  /// After `busy` the transaction is still open; after any other error it was rolled back.
  [[nodiscard]] Error commit(const char* operation);
  void rollback() noexcept;

  /// The family as this transaction sees it: `dropped`, or with `for_writing` `schema_mismatch`.
  [[nodiscard]] Error resolve(const char* operation, const Family& family, bool for_writing,
                              const FamilyEntry*& out) const;

  /// The one cursor that writes to a tree, kept until the transaction, or the tree's schema, changes.
  [[nodiscard]] int cursor(std::uint32_t root, snkv_bt_kind kind, snkv_bt_cursor*& out) noexcept;
  void close_cursors() noexcept { cursors_.clear(); }

  /// Runs SQL that changes the schema, and reads the catalog again.
  [[nodiscard]] Error change_schema(const char* operation, const std::string& sql);
  /// Reads the catalog again if the schema is not what it was loaded from.
  [[nodiscard]] Error refresh_catalog(const char* operation);

  [[nodiscard]] Error savepoint(unsigned number);
  [[nodiscard]] Error savepoint_rollback(unsigned number);
  [[nodiscard]] Error savepoint_release(unsigned number);

  [[nodiscard]] btree::Connection& connection() const noexcept;
  [[nodiscard]] snkv_bt* bt() const noexcept { return connection().get(); }
  [[nodiscard]] const Catalog& catalog() const noexcept { return *catalog_; }
  [[nodiscard]] StoreState& store() const noexcept { return store_; }
  /// One reading of the clock per transaction.
  [[nodiscard]] std::int64_t now() const noexcept { return now_; }

  /// Largest record that stays inside its cell of a family's tree [K7].
  [[nodiscard]] std::uint32_t max_local() const noexcept { return max_local_; }

  /// Scratch space for records, so that a put need not allocate.
  Bytes record;
  Bytes payload;

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
  std::int64_t now_ = 0;
  std::uint32_t max_local_ = 0;
};

}  // namespace snkv::core
