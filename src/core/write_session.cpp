#include "core/write_session.hpp"

#include "core/families.hpp"

#include "base/printable.hpp"
#include "core/columns/column_writer.hpp"
#include "core/run.hpp"
#include "core/store_state.hpp"
#include "core/user_code.hpp"

namespace snkv::core {

btree::Connection& WriteSession::connection() const noexcept { return store_.writer; }

Error WriteSession::begin(const char* operation, std::optional<Sync> sync) noexcept {
  int level = 0;
  int rc = store_.promise(sync, level);
  if (rc != SNKV_BT_OK) return btree::engine_error(operation, rc, "syncing what was not");
  const btree::Lock lock(connection());
  std::uint32_t cookie = 0;
  rc = snkv_bt_set_sync(bt(), level);
  if (rc == SNKV_BT_OK) rc = snkv_bt_begin_write(bt(), &cookie);
  if (rc != SNKV_BT_OK) return btree::engine_error(operation, rc, "beginning a write transaction");
  safe_ = level >= static_cast<int>(Sync::full);
  schema_changed_ = false;
  noting_ = store_.feed.wanted();
  max_local_ = snkv_bt_max_local(bt());
  Error error;
  try {
    now_ = store_.now();
    if (catalog_ != nullptr && (catalog_->cookie() == cookie || snkv_bt_breaks("S1"))) return {};
    catalog_ = store_.shared_catalog.find(cookie);
    if (catalog_ != nullptr) return {};
    error = Catalog::load(operation, bt(), cookie, store_.cipher.get(), catalog_);
  } catch (...) {
    error = error_of_exception(operation);
  }
  if (error.failed()) {
    catalog_ = nullptr;
    snkv_bt_rollback(bt());
  }
  return error;
}

Error WriteSession::commit(const char* operation) noexcept {
  const btree::Lock lock(connection());
  const Stopwatch stopwatch(store_.latencies, TimedOperation::commit);
  cursors_.clear();
  Changes kept;
  Error refused;
  try {
    kept = store_.feed.for_history(changes_);
    if (safe_) refused = store_.check_place(operation, bt());
  } catch (const std::bad_alloc&) {
    refused = Error(Errc::no_memory, operation, "");
  }
  if (refused.failed()) {
    rollback();
    return refused;
  }
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
  store_.feed.publish(changes_, kept);
  if (schema_changed_) store_.shared_catalog.publish(catalog_);
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

void WriteSession::end() noexcept {
  schema_changed_ = false;
  begun_values_.clear();
  drop_column_tails(0);
  last_large_id_ = 0;
  open_savepoints_ = 0;
  changes_.clear();
  change_marks_.clear();
}

void WriteSession::note(Change::Kind kind, const Family& family, BytesView key, BytesView high) {
  if (!noting_ || is_internal_family(family.name)) return;
  changes_.push_back(Change{0, family.name, kind, Bytes(key), Bytes(high)});
}

Error WriteSession::resolve(const char* operation, const Family& family, bool for_writing,
                            const FamilyEntry*& out) const {
  out = catalog_->find(family.id);
  if (out == nullptr) return Error(Errc::dropped, operation, base::printable(family.name));
  if (Error error = check_name(operation, *out); error.failed()) return error;
  if (!out->altered.empty() && (for_writing || !out->is_readable)) {
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

Error WriteSession::change_schema(const char* operation, const std::vector<std::string>& statements) {
  cursors_.clear();
  schema_changed_ = true;
  for (const std::string& statement : statements) {
    const int rc = connection().execute(statement);
    if (rc != SNKV_BT_OK) return connection().sql_error(operation, rc);
  }
  return refresh_catalog(operation);
}

Error WriteSession::create_table(const char* operation, const std::string& sql, std::uint32_t id) {
  cursors_.clear();
  schema_changed_ = true;
  const int rc = connection().execute(sql);
  if (rc != SNKV_BT_OK) return connection().sql_error(operation, rc);
  std::shared_ptr<const Catalog> next;
  Error error = Catalog::after_creation(operation, bt(), *catalog_, sql, id, next);
  if (error.failed()) return error;
  if (next == nullptr) return refresh_catalog(operation);
  catalog_ = std::move(next);
  return {};
}

Error WriteSession::refresh_catalog(const char* operation) {
  const std::uint32_t cookie = snkv_bt_cookie(bt());
  std::shared_ptr<const Catalog> loaded;
  Error error = Catalog::load(operation, bt(), cookie, store_.cipher.get(), loaded);
  if (!error.failed()) catalog_ = std::move(loaded);
  return error;
}

Error WriteSession::savepoint(unsigned number) {
  const btree::Lock lock(connection());
  cursors_.clear();
  change_marks_.resize(number);
  change_marks_.push_back(changes_.size());
  const int rc = snkv_bt_savepoint(bt(), number);
  if (rc != SNKV_BT_OK) return connection().sql_error("savepoint", rc);
  open_savepoints_ = number + 1;
  return {};
}

Error WriteSession::savepoint_rollback(unsigned number) {
  const btree::Lock lock(connection());
  // Half gone back, or with the catalog of what is undone, the transaction must not be committed. When
  // it is tried again and succeeds, the engine lifts the ban.
  return change(*this, [&]() -> Error {
    cursors_.clear();
    const int rc = snkv_bt_savepoint_rollback(bt(), number);
    if (rc != SNKV_BT_OK) return connection().sql_error("savepoint rollback", rc);
    open_savepoints_ = number + 1;
    lose_values(0);
    drop_column_tails(0);  // what is in them came after the savepoint
    changes_.resize(change_marks_[number]);
    return schema_changed_ ? refresh_catalog("savepoint rollback") : Error();
  });
}

Error WriteSession::savepoint_release(unsigned number) {
  const btree::Lock lock(connection());
  cursors_.clear();
  const int rc = snkv_bt_savepoint_release(bt(), number);
  if (rc != SNKV_BT_OK) return connection().sql_error("savepoint release", rc);
  open_savepoints_ = number;
  return {};
}

std::shared_ptr<BegunValue> WriteSession::begin_value(std::uint32_t family_id, BytesView key) {
  auto value = std::make_shared<BegunValue>();
  value->family_id = family_id;
  value->key = Bytes(key);
  begun_values_.push_back(value);
  return value;
}

void WriteSession::end_value(const std::shared_ptr<BegunValue>& value) noexcept {
  if (value->id == 0 || open_savepoints_ == 0) std::erase(begun_values_, value);
}

void WriteSession::drop_column_tails(std::uint32_t family_id) noexcept {
  std::erase_if(column_tails_, [&](const std::shared_ptr<ColumnTailState>& tail) {
    if (family_id != 0 && tail->family->id != family_id) return false;
    tail->detach();
    return true;
  });
}

void WriteSession::lose_values(std::uint32_t family_id) noexcept {
  for (const auto& value : begun_values_) {
    if (family_id == 0 || value->family_id == family_id) value->lost = true;
  }
}

}  // namespace snkv::core
