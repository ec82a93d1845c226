#include "core/write_session.hpp"

#include "base/printable.hpp"
#include "core/store_state.hpp"

namespace snkv::core {

btree::Connection& WriteSession::connection() const noexcept { return store_.writer; }

Error WriteSession::begin(const char* operation, std::optional<Sync> sync) {
  const btree::Lock lock(connection());
  std::uint32_t cookie = 0;
  int rc = snkv_bt_set_sync(bt(), static_cast<int>(sync.value_or(store_.options.sync)));
  if (rc == SNKV_BT_OK) rc = snkv_bt_begin_write(bt(), &cookie);
  if (rc != SNKV_BT_OK) return btree::engine_error(operation, rc, "beginning a write transaction");
  schema_changed_ = false;
  now_ = store_.now();
  max_local_ = snkv_bt_max_local(bt());
  if (catalog_ != nullptr && (catalog_->cookie() == cookie || snkv_bt_breaks("S1"))) return {};
  Error error = Catalog::load(operation, bt(), cookie, catalog_);
  if (error.failed()) {
    catalog_ = nullptr;
    snkv_bt_rollback(bt());
  }
  return error;
}

Error WriteSession::commit(const char* operation) {
  const btree::Lock lock(connection());
  cursors_.clear();
  const int rc = snkv_bt_commit(bt());
  if (rc != SNKV_BT_OK && snkv_bt_in_write(bt()) != 0 && rc != SNKV_BT_POISONED) {
    return btree::engine_error(operation, rc, "committing");  // busy: still open
  }
  if (rc != SNKV_BT_OK) {
    if (rc == SNKV_BT_POISONED) snkv_bt_rollback(bt());
    if (schema_changed_) catalog_ = nullptr;
    end();
    return btree::engine_error(operation, rc, "committing");
  }
  end();
  store_.counters.add(Counters::wal_commits);
  return {};
}

void WriteSession::rollback() noexcept {
  const btree::Lock lock(connection());
  cursors_.clear();
  snkv_bt_rollback(bt());
  if (schema_changed_) catalog_ = nullptr;
  end();
}

void WriteSession::end() noexcept { schema_changed_ = false; }

Error WriteSession::resolve(const char* operation, const Family& family, bool for_writing,
                            const FamilyEntry*& out) const {
  out = catalog_->find(family.id);
  if (out == nullptr) return Error(Errc::dropped, operation, base::printable(family.name));
  if (for_writing && !out->altered.empty()) {
    return Error(Errc::schema_mismatch, operation, out->altered);
  }
  return {};
}

int WriteSession::cursor(std::uint32_t root, snkv_bt_kind kind, snkv_bt_cursor*& out) noexcept {
  for (CachedCursor& cached : cursors_) {
    if (cached.root == root) {
      out = cached.cursor.get();
      return SNKV_BT_OK;
    }
  }
  CachedCursor fresh{root, {}};
  const int rc = fresh.cursor.open(bt(), root, kind, true);
  if (rc != SNKV_BT_OK) return rc;
  out = fresh.cursor.get();
  try {
    cursors_.push_back(std::move(fresh));
  } catch (const std::bad_alloc&) {
    return SNKV_BT_NOMEM;
  }
  return SNKV_BT_OK;
}

Error WriteSession::change_schema(const char* operation, const std::string& sql) {
  cursors_.clear();
  schema_changed_ = true;
  const int rc = connection().execute(sql);
  if (rc != SNKV_BT_OK) return connection().sql_error(operation, rc);
  return refresh_catalog(operation);
}

Error WriteSession::refresh_catalog(const char* operation) {
  const std::uint32_t cookie = snkv_bt_cookie(bt());
  std::shared_ptr<const Catalog> loaded;
  Error error = Catalog::load(operation, bt(), cookie, loaded);
  if (!error.failed()) catalog_ = std::move(loaded);
  return error;
}

Error WriteSession::savepoint(unsigned number) {
  const btree::Lock lock(connection());
  cursors_.clear();
  const int rc = snkv_bt_savepoint(bt(), number);
  return rc == SNKV_BT_OK ? Error() : connection().sql_error("savepoint", rc);
}

Error WriteSession::savepoint_rollback(unsigned number) {
  const btree::Lock lock(connection());
  cursors_.clear();
  const int rc = snkv_bt_savepoint_rollback(bt(), number);
  if (rc != SNKV_BT_OK) return connection().sql_error("savepoint rollback", rc);
  return schema_changed_ ? refresh_catalog("savepoint rollback") : Error();
}

Error WriteSession::savepoint_release(unsigned number) {
  const btree::Lock lock(connection());
  cursors_.clear();
  const int rc = snkv_bt_savepoint_release(bt(), number);
  return rc == SNKV_BT_OK ? Error() : connection().sql_error("savepoint release", rc);
}

}  // namespace snkv::core
