/// \file
/// Bodies of the templates of read_path.hpp.
#pragma once

#include "base/printable.hpp"
#include "core/overlay.hpp"
#include "core/read_path.hpp"
#include "core/store_state.hpp"

#include <utility>

namespace snkv::core {

inline std::int64_t Moment::get() const {
  if (clock_ != nullptr) now_ = std::exchange(clock_, nullptr)->now();
  return now_;
}

namespace detail {

/// The family of the target in a catalog.
[[nodiscard]] Error resolve(const char* operation, const Catalog& catalog, const Target& target,
                            const FamilyEntry*& out);

template <class Body>
[[nodiscard]] Error in_transaction(const char* operation, const Target& target, Body&& body) {
  auto& transaction = static_cast<TransactionState&>(*target.scope);
  if (Error error = transaction.check(operation); error.failed()) return error;
  WriteSession& session = transaction.session();
  if (snkv_bt_poisoned(session.bt()) != 0) return Error(Errc::rollback_required, operation, "");
  const btree::Lock lock(session.connection());
  return body(session.bt(), session.catalog(), session.now());
}

template <class Body>
[[nodiscard]] Error in_snapshot(const char* operation, const Target& target, Body&& body) {
  if (Error error = target.store->check(operation); error.failed()) return error;
  auto& snapshot = static_cast<SnapshotState&>(*target.scope);
  const std::lock_guard guard(snapshot.mutex);
  if (Error error = snapshot.check(operation); error.failed()) return error;
  const btree::Lock lock(snapshot.reader->connection);
  return body(lock.get(), *snapshot.reader->catalog, snapshot.now);
}

template <class Body>
[[nodiscard]] Error in_latest(const char* operation, const Target& target, Body&& body) {
  if (Error error = target.store->check(operation); error.failed()) return error;
  ReaderLease reader;
  if (Error error = reader.acquire_kept(operation, *target.store); error.failed()) return error;
  const btree::Lock lock(reader->connection);
  if (Error error = reader.begin_read(operation); error.failed()) return error;
  struct End {
    ReaderLease& reader;
    ~End() { reader.end_read(); }
  } const end{reader};
  return body(lock.get(), *reader->catalog, Moment(*target.store));
}

/// Runs `body(bt, catalog, now)` in the point of view of the target.
template <class Body>
[[nodiscard]] Error in_scope(const char* operation, const Target& target, Body&& body) {
  if (target.store == nullptr) return Error(Errc::closed, operation, "the handle is empty");
  if (target.scope == nullptr) return in_latest(operation, target, body);
  if (target.scope->kind() == Scope::Kind::snapshot) return in_snapshot(operation, target, body);
  if (target.scope->kind() == Scope::Kind::overlay) return error_not_buffered(operation);
  return in_transaction(operation, target, body);
}

}  // namespace detail

template <class Body>
Error with_view(const char* operation, const Target& target, Body&& body) {
  return detail::in_scope(
      operation, target, [&](snkv_bt* bt, const Catalog& catalog, const Moment& now) -> Error {
        ReadView view{bt, nullptr, now, target.store.get(), catalog.keys()};
        if (Error error = detail::resolve(operation, catalog, target, view.family); error.failed()) {
          return error;
        }
        btree::Cursor cursor;
        const int rc = cursor.open(bt, view.family->root, SNKV_BT_ROWS, false);
        if (rc != SNKV_BT_OK) return btree::engine_error(operation, rc);
        return body(view, cursor.get());
      });
}

template <class Body>
Error with_catalog(const char* operation, const Target& target, Body&& body) {
  return detail::in_scope(operation, target,
                          [&](snkv_bt* bt, const Catalog& catalog, const Moment&) -> Error {
                            return body(bt, catalog);
                          });
}

template <class Use>
Error find_entry(const char* operation, const ReadView& view, snkv_bt_cursor* cursor, BytesView key,
                 bool& found, Use&& use) {
  found = false;
  int order = 0;
  int rc = snkv_bt_seek(cursor, key.data(), static_cast<std::uint32_t>(key.size()), &order);
  if (rc != SNKV_BT_OK) return btree::engine_error(operation, rc, base::printable(key));
  if (order != 0 || snkv_bt_valid(cursor) == 0) return {};
  Bytes scratch;
  Row row;
  rc = read_row(cursor, scratch, row);
  if (rc != SNKV_BT_OK) return btree::engine_error(operation, rc, base::printable(key));
  if (Error error = is_live(operation, view, row, found); error.failed()) return error;
  if (!found) {
    view.store->counters.add(Counters::ttl_expired);
    return {};
  }
  return use(row);
}

}  // namespace snkv::core
