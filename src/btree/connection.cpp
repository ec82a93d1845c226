#include "btree/connection.hpp"

#include <cstring>
#include <fmt/format.h>

namespace snkv::btree {

Errc errc_of(int rc) noexcept {
  if (rc == SNKV_BT_POISONED) return Errc::rollback_required;
  if (rc == SNKV_BT_MOVED) return Errc::closed;
  if (rc == SNKV_BT_IOERR_NOMEM) return Errc::no_memory;
  // The index of the log cannot be made larger: there is no room for it.
  if (rc == SNKV_BT_IOERR_SHMSIZE) return Errc::full;
  // Who reads again finds the new state.
  if (rc == SNKV_BT_OUTDATED) return Errc::busy;
  if (rc == SNKV_BT_READONLY_DBMOVED) return Errc::moved;
  switch (rc & 0xff) {
    case SNKV_BT_OK:
      return Errc::ok;
    case SNKV_BT_BUSY:
      return Errc::busy;
    case SNKV_BT_NOMEM:
      return Errc::no_memory;
    case SNKV_BT_READONLY:
      return Errc::read_only;
    case SNKV_BT_CORRUPT:
      return Errc::corrupt;
    case SNKV_BT_NOTADB:
      return Errc::not_a_store;
    case SNKV_BT_FULL:
      return Errc::full;
    case SNKV_BT_IOERR:
      return Errc::io_error;
    case SNKV_BT_CANTOPEN:
    case SNKV_BT_PERM:
    case SNKV_BT_AUTH:
      return Errc::cant_open;
    case SNKV_BT_PROTOCOL:
    case SNKV_BT_NOLFS:
      return Errc::protocol;
    case SNKV_BT_TOOBIG:
      return Errc::too_large;
    default:
      // LOCKED included: within one connection it can only mean that we broke a rule.
      return Errc::internal;
  }
}

Error engine_error(const char* operation, int rc, std::string_view about) noexcept {
  const char* text = snkv_bt_errstr(rc);
  if (!about.empty()) {
    try {
      return Error(errc_of(rc), operation, fmt::format("{}: {}", about, text), rc);
    } catch (const std::bad_alloc&) {
      // Then without: what failed must be told all the same.
    }
  }
  return Error(errc_of(rc), operation, text, rc);
}

int Connection::execute(const std::string& sql) noexcept {
  Statement statement;
  int rc = statement.prepare(*this, sql.c_str());
  if (rc != SNKV_BT_OK) return rc;
  do {
    rc = statement.step();
  } while (rc == SNKV_BT_ROW);
  return rc == SNKV_BT_DONE ? SNKV_BT_OK : rc;
}

int Connection::query_int64(const std::string& sql, std::int64_t& out,
                            std::int64_t fallback) noexcept {
  out = fallback;
  Statement statement;
  int rc = statement.prepare(*this, sql.c_str());
  if (rc != SNKV_BT_OK) return rc;
  rc = statement.step();
  if (rc == SNKV_BT_ROW) out = statement.int64(0);
  return rc == SNKV_BT_ROW || rc == SNKV_BT_DONE ? SNKV_BT_OK : rc;
}

Error Connection::sql_error(const char* operation, int rc) const noexcept {
  try {
    const bool ours = bt_ == nullptr || rc == SNKV_BT_POISONED;
    std::string text = ours ? snkv_bt_errstr(rc) : snkv_bt_errmsg(bt_);
    if (const int system = system_errno(); system != 0 && (errc_of(rc) == Errc::cant_open ||
                                                           errc_of(rc) == Errc::io_error)) {
      text += fmt::format(" ({})", std::strerror(system));
    }
    return Error(errc_of(rc), operation, std::move(text), rc);
  } catch (const std::bad_alloc&) {
    return Error(errc_of(rc), operation, "", rc);
  }
}

}  // namespace snkv::btree
