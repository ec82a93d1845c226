/// \file
/// Opening: connections and their pragmas, making a new store, recognising an existing one.
#include "core/file_system.hpp"
#include "core/format.hpp"
#include "core/key_header.hpp"
#include "core/store_state.hpp"

#include <atomic>
#include <cstring>
#include <fmt/format.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace snkv::core {
namespace {

constexpr const char* operation = "open";

int timeout_ms(const Options& options) { return static_cast<int>(options.busy_timeout.count()); }

Error check_options(const Options& options) {
  const auto refuse = [](std::string why) {
    return Error(Errc::invalid_argument, operation, std::move(why));
  };
  const std::uint32_t page = options.page_size;
  if (page < 4096 || page > 65536 || (page & (page - 1)) != 0) {
    return refuse(fmt::format("page_size {} is not a power of two from 4096 to 65536", page));
  }
  if (options.busy_timeout.count() < 0 || options.busy_timeout.count() > 0x7fffffff) {
    return refuse("busy_timeout is negative or longer than 24 days");
  }
  if (options.cache_size / 1024 > 0x7fffffff) return refuse("cache_size is too large");
  if (options.wal_size_limit > (std::uint64_t{1} << 62)) return refuse("wal_size_limit is too large");
  if (options.housekeeping_interval.count() < 0) return refuse("housekeeping_interval is negative");
  if (options.wal_autocheckpoint > 0x7fffffff) return refuse("wal_autocheckpoint is too large");
  if (options.immutable && !options.read_only) return refuse("immutable needs read_only");
  if (options.journal != Journal::wal && options.journal != Journal::rollback) {
    return refuse("journal is none of the enumerators");
  }
  if (options.sync != Sync::off && options.sync != Sync::normal && options.sync != Sync::full) {
    return refuse("sync is none of the enumerators");
  }
  return {};
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

/// What the engine would only call "unable to open" or "not a database".
Error check_path(const std::string& path, const Options& options) {
  if (path.empty()) return Error(Errc::invalid_argument, operation, "the path is empty");
  if (path.find('\0') != std::string::npos) {
    return Error(Errc::invalid_argument, operation, "the path contains a NUL");
  }
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT && (options.read_only || !options.create_if_missing)) {
      return Error(Errc::cant_open, operation, fmt::format("{}: there is no such file", path));
    }
    if (errno == ENOENT) return {};
    return Error(Errc::cant_open, operation, fmt::format("{}: {}", path, std::strerror(errno)));
  }
  if (S_ISDIR(info.st_mode)) {
    return Error(Errc::cant_open, operation, fmt::format("{} is a folder", path));
  }
  if (info.st_size == 0 && (options.read_only || !options.create_if_missing)) {
    return Error(Errc::not_a_store, operation, fmt::format("{} is empty", path));
  }
  // The engine takes less than a header for an empty file, and would write over it.
  constexpr ::off_t smallest_page = 512;
  if (info.st_size > 0 && info.st_size < smallest_page && !exists(path + "-journal")) {
    return Error(Errc::not_a_store, operation, fmt::format("{} is no database", path));
  }
  if (options.error_if_exists && info.st_size > 0) {
    return Error(Errc::exists, operation, path);
  }
  return {};
}

}  // namespace

std::string StoreState::file_name() const { return in_memory ? "memory store" : path; }

Error StoreState::open_connection(const char* caller, btree::Connection& connection,
                                  Role role) const {
  int flags = 0;
  if (in_memory) flags |= SNKV_BT_OPEN_MEMORY;
  if (options.read_only) flags |= SNKV_BT_OPEN_READONLY;
  if (options.immutable) flags |= SNKV_BT_OPEN_IMMUTABLE;
  if (role == Role::reader) flags |= SNKV_BT_OPEN_OWNED;
  // A reader of a file that vanished must fail, not make an empty one.
  if (role == Role::writer && (in_memory || options.create_if_missing)) {
    flags |= SNKV_BT_OPEN_CREATE;
  }
  int rc = connection.open(file, flags, timeout_ms(options));
  if (rc != SNKV_BT_OK) {
    Error error = connection.sql_error(caller, rc);
    return Error(error.code(), caller, fmt::format("{}: {}", file_name(), error.detail()), rc);
  }
  snkv_bt_walk(connection.get(), options.map_file ? 1 : 0);
  snkv_bt_configure_new(connection.get(), options.page_size);
  // Making a store and changing its journal mode go through a rollback journal, with which NORMAL has a small
  // risk of damage; writes set their own level. With a rollback journal only EXTRA syncs the folder too,
  // without which a power cut can bring the journal back, and with it the state before the last commit.
  const char* const full = options.journal == Journal::rollback ? "EXTRA" : "FULL";
  const std::string pragmas[] = {
      fmt::format("PRAGMA cache_size=-{}", options.cache_size / 1024),
      fmt::format("PRAGMA synchronous={}", options.sync == Sync::off ? "OFF" : full),
      // After a snapshot made the log grow, the next writer that starts it anew gives the space back.
      fmt::format("PRAGMA journal_size_limit={}",
                  options.wal_size_limit == 0 ? -1 : static_cast<std::int64_t>(options.wal_size_limit)),
  };
  for (const std::string& pragma : pragmas) {
    rc = connection.execute(pragma);
    if (rc != SNKV_BT_OK) {
      const Error error = connection.sql_error(caller, rc);
      // There is nothing wrong with the statement: it is the schema that cannot be read, as that of
      // programs that keep something of their own in the header.
      const Errc code = error == Errc::internal ? Errc::not_a_store : error.code();
      return Error(code, caller, fmt::format("{}: {}", file_name(), error.detail()), rc);
    }
  }
  return {};
}

Error StoreState::open(const Unlock* unlock) {
  if (!sodium_ready()) return Error(Errc::internal, operation, "no source of random bytes");
  if (unlock != nullptr) {
    if (Error error = KeyHeader::check_secret(operation, unlock->secret); error.failed()) return error;
  }
  if (Error error = check_options(options); error.failed()) return error;
  if (!in_memory) {
    if (Error error = check_path(path, options); error.failed()) return error;
    Error error = check_length(operation, path, file, !options.read_only);
    if (error.failed()) return error;
  }
  if (options.read_only) {
    ReaderLease lease;
    if (Error error = lease.acquire(operation, *this); error.failed()) return error;
    if (Error error = check_format(lease->connection); error.failed()) return error;
    return unlock_keys(lease->connection, unlock);
  }
  if (Error error = open_connection(operation, writer, Role::writer); error.failed()) return error;
  if (snkv_bt_is_readonly(writer.get()) != 0) {
    return Error(Errc::read_only, operation,
                 fmt::format("{} cannot be written; open it with read_only", file_name()));
  }
  if (Error error = create_if_empty(writer, unlock); error.failed()) return error;
  if (Error error = check_format(writer); error.failed()) return error;
  if (Error error = unlock_keys(writer, unlock); error.failed()) return error;
  if (Error error = set_journal_mode(writer); error.failed()) return error;
  if (options.housekeeping_interval.count() > 0) {
    housekeeper_.start(*this, options.housekeeping_interval);
  }
  return {};
}

Error StoreState::create_if_empty(btree::Connection& connection, const Unlock* unlock) {
  std::int64_t pages = 0;
  int rc = connection.query_int64("PRAGMA page_count", pages);
  if (rc == SNKV_BT_OK && pages > 0) return {};
  KeyRing::StoreId id{};
  randombytes_buf(id.data(), id.size());
  Bytes key_header;
  if (unlock != nullptr && rc == SNKV_BT_OK) {
    // Before the lock, because making a key of a password takes its time.
    KeyHeader made;
    Error refused = made.make(operation, unlock->secret, unlock->options, id);
    if (refused.failed()) return refused;
    key_header = made.encode();
  }
  if (rc == SNKV_BT_OK) rc = connection.execute("BEGIN IMMEDIATE");
  if (rc != SNKV_BT_OK) return connection.sql_error(operation, rc);
  Error error;
  // Asked again under the write lock, because another process may have made the file meanwhile; by its
  // contents, because the lock alone gives an empty file its first page.
  std::int64_t application_id = 0;
  rc = connection.query_int64("PRAGMA application_id", application_id);
  if (rc != SNKV_BT_OK) {
    error = connection.sql_error(operation, rc);
  } else if (application_id == 0) {
    error = initialise(connection, id, key_header);
  }
  if (!error.failed()) {
    rc = connection.execute("COMMIT");
    if (rc == SNKV_BT_OK) return {};
    error = connection.sql_error(operation, rc);
  }
  snkv_bt_rollback(connection.get());
  return error;
}

Error StoreState::initialise(btree::Connection& connection, const KeyRing::StoreId& id,
                             BytesView key_header) {
  const std::int64_t version = key_header.empty() ? format::version : format::encrypted_version;
  // Everything that makes the file a store is one transaction: nobody sees half a store. The journal
  // mode, which lives outside transactions, follows afterwards.
  const std::string statements[] = {
      fmt::format("PRAGMA application_id={}", format::application_id),
      fmt::format("PRAGMA user_version={}", version),
      "CREATE TABLE snkv_meta(key TEXT NOT NULL PRIMARY KEY, value ANY NOT NULL) STRICT, "
      "WITHOUT ROWID",
      fmt::format("INSERT INTO snkv_meta VALUES('format_version', {}), "
                  "('store_id', {}), ('next_family_id', {})",
                  version, format::blob_literal(id), format::default_family_id + 1),
      format::family_table_sql(format::default_family, format::default_family_id),
  };
  for (const std::string& statement : statements) {
    const int rc = connection.execute(statement);
    if (rc != SNKV_BT_OK) return connection.sql_error(operation, rc);
  }
  return key_header.empty() ? Error() : write_key_header(operation, connection, key_header);
}

Error StoreState::unlock_keys(btree::Connection& connection, const Unlock* unlock) {
  Bytes header;
  if (Error error = read_key_header(operation, connection, header); error.failed()) return error;
  if (header.empty()) {
    if (unlock == nullptr) return {};
    return Error(Errc::invalid_argument, operation,
                 fmt::format("{} is a store that is not encrypted", file_name()));
  }
  if (unlock == nullptr) {
    return Error(Errc::auth_failed, operation, fmt::format("{} is encrypted", file_name()));
  }
  KeyHeader opened;
  Error error = opened.open(operation, header, unlock->secret, unlock->options);
  if (!error.failed()) error = check_store_id(operation, connection, opened.store());
  if (error.failed()) {
    const std::string detail =
        error.detail().empty() ? file_name() : fmt::format("{}: {}", file_name(), error.detail());
    return Error(error.code(), operation, detail);
  }
  cipher = std::make_unique<Cipher>(opened.ring());
  return {};
}

Error StoreState::check_format(btree::Connection& connection) const {
  const auto refuse = [this](Errc code, std::string why) {
    return Error(code, operation, fmt::format("{} {}", file_name(), why));
  };
  const auto failed = [&](int rc) {
    Error error = connection.sql_error(operation, rc);
    return Error(error.code(), operation, fmt::format("{}: {}", file_name(), error.detail()), rc);
  };
  std::int64_t application_id = 0;
  std::int64_t user_version = 0;
  int rc = connection.query_int64("PRAGMA application_id", application_id);
  if (rc == SNKV_BT_OK) rc = connection.query_int64("PRAGMA user_version", user_version);
  if (rc != SNKV_BT_OK) return failed(rc);
  if (application_id != static_cast<std::int64_t>(format::application_id)) {
    return refuse(Errc::not_a_store, "is an SQLite database, but not a store of snkv");
  }
  if (user_version > format::newest_version) {
    return refuse(Errc::unsupported_version,
                  fmt::format("has format version {}; this library knows {} at most", user_version,
                              format::newest_version));
  }
  std::int64_t version = 0;
  rc = connection.query_int64("SELECT value FROM snkv_meta WHERE key='format_version'", version, -1);
  if (rc != SNKV_BT_OK) {
    if (btree::errc_of(rc) != Errc::internal) return failed(rc);
    return refuse(Errc::corrupt, fmt::format("has no usable table snkv_meta: {}",
                                             connection.sql_error(operation, rc).detail()));
  }
  if (version > format::newest_version) {
    return refuse(Errc::unsupported_version,
                  fmt::format("has format version {}; this library knows {} at most", version,
                              format::newest_version));
  }
  if (version < 1 || user_version < 1) return refuse(Errc::corrupt, "has no format version");
  Bytes header;
  if (Error error = read_key_header(operation, connection, header); error.failed()) return error;
  if ((user_version == format::encrypted_version) == header.empty()) {
    return refuse(Errc::corrupt, header.empty() ? "has lost the header of its encryption"
                                                : "has a header of encryption and is not encrypted");
  }
  return check_size(connection);
}

Error StoreState::check_size(btree::Connection& connection) const {
  struct stat info {};
  if (in_memory || ::stat(file.c_str(), &info) != 0) return {};
  if (static_cast<std::uint64_t>(info.st_size) % snkv_bt_page_size(connection.get()) == 0) return {};
  // A log may hold the page whose copying was interrupted. Without one, bytes are missing, which the
  // engine would read as zeros.
  struct stat log {};
  if (::stat((file + "-wal").c_str(), &log) == 0 && log.st_size > 0) return {};
  return Error(Errc::corrupt, operation, fmt::format("{} ends in the middle of a page", file_name()));
}

Error StoreState::set_journal_mode(btree::Connection& connection) const {
  const bool wal = options.journal == Journal::wal;
  const std::string pragma = wal ? "PRAGMA journal_mode=WAL" : "PRAGMA journal_mode=DELETE";
  // The engine does not call its busy handler for every lock that a change of mode takes, so several
  // first opens at once would fail for each other.
  const auto deadline = WriteQueue::Clock::now() + options.busy_timeout;
  for (unsigned attempt = 0;; ++attempt) {
    int rc = SNKV_BT_OK;
    std::string mode;
    {
      btree::Statement statement;
      rc = statement.prepare(connection, pragma.c_str());
      if (rc == SNKV_BT_OK) rc = statement.step();
      if (rc == SNKV_BT_ROW) mode = statement.bytes(0).str();
    }
    if (rc == SNKV_BT_ROW && mode == "wal") {
      // The engine takes up a log with the first read. Until then an open store would keep nobody from
      // taking the file to itself, to encrypt it for example.
      std::int64_t cookie = 0;
      const int read = connection.query_int64("PRAGMA schema_version", cookie);
      if (read != SNKV_BT_OK) rc = read;
    }
    if (rc == SNKV_BT_ROW) {
      if (mode == (wal ? "wal" : "delete")) return {};
      return Error(Errc::protocol, operation,
                   fmt::format("{}: the file system cannot do journal mode {}", file_name(),
                               wal ? "wal" : "rollback"));
    }
    if (btree::errc_of(rc) != Errc::busy || WriteQueue::Clock::now() >= deadline) {
      Error error = connection.sql_error(operation, rc);
      return Error(error.code(), operation,
                   fmt::format("{}: setting the journal mode: {}", file_name(), error.detail()), rc);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1 + attempt % 8));
  }
}

}  // namespace snkv::core
