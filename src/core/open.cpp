/// \file
/// Opening: connections and their pragmas, making a new store, recognising an existing one.
#include "core/database_header.hpp"
#include "core/family_seal.hpp"
#include "core/file_system.hpp"
#include "core/format.hpp"
#include "core/key_change.hpp"
#include "core/key_header.hpp"
#include "core/meta.hpp"
#include "core/schema.hpp"
#include "core/store_state.hpp"
#include "core/unfinished_file.hpp"

#include <fcntl.h>
#include <atomic>
#include <cerrno>
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
  if (!S_ISREG(info.st_mode)) {
    return Error(Errc::cant_open, operation, fmt::format("{} is no regular file", path));
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
  if (info.st_nlink > 1 && !options.allow_hard_links && !options.immutable) {
    return Error(Errc::invalid_argument, operation,
                 fmt::format("{} has {} names (hard links), and a log lies beside one of them only: see "
                             "allow_hard_links",
                             path, info.st_nlink));
  }
  return {};
}

}  // namespace

std::string StoreState::file_name() const { return in_memory ? "memory store" : path; }

int StoreState::connect(btree::Connection& connection, Role role) const {
  int flags = 0;
  if (in_memory) flags |= SNKV_BT_OPEN_MEMORY;
  if (options.read_only) flags |= SNKV_BT_OPEN_READONLY;
  if (options.immutable) flags |= SNKV_BT_OPEN_IMMUTABLE;
  if (role == Role::reader) flags |= SNKV_BT_OPEN_OWNED;
  // A reader of a file that vanished must fail, not make an empty one.
  if (role == Role::writer && (in_memory || options.create_if_missing)) {
    flags |= SNKV_BT_OPEN_CREATE;
  }
  if (role == Role::reader && reads_without_log()) {
    const int rc = connection.open(file, flags | SNKV_BT_OPEN_IMMUTABLE, timeout_ms(options));
    if (rc != SNKV_BT_OK || snkv_bt_watch(connection.get()) != 0) return rc;
  }
  return connection.open(file, flags, timeout_ms(options));
}

Error StoreState::open_connection(const char* caller, btree::Connection& connection, Role role) {
  int rc = connect(connection, role);
  if (rc != SNKV_BT_OK) {
    Error error = connection.sql_error(caller, rc);
    if (const snkv_bt_place place = place_of_names(); place != SNKV_BT_IN_PLACE) {
      return error_moved(caller, place);
    }
    return Error(error.code(), caller, fmt::format("{}: {}", file_name(), error.detail()), rc);
  }
  if (Error error = check_identity(caller, connection); error.failed()) return error;
  if (role == Role::writer) heal_log_files(connection);
  if (Error error = check_beside(caller, connection); error.failed()) return error;
  snkv_bt_walk(connection.get(), options.map_file ? 1 : 0);
  snkv_bt_configure_new(connection.get(), options.page_size);
  // After a snapshot made the log grow, the next writer that starts it anew gives the space back.
  snkv_bt_configure(connection.get(), static_cast<std::uint32_t>(options.cache_size / 1024),
                    options.wal_size_limit == 0 ? -1 : static_cast<std::int64_t>(options.wal_size_limit));
  // Making a store and changing its journal mode go through a rollback journal, with which NORMAL has a small
  // risk of damage; writes set their own level. With a rollback journal only EXTRA syncs the folder too,
  // without which a power cut can bring the journal back, and with it the state before the last commit.
  constexpr int full = 2;
  constexpr int full_with_folder = 3;
  const int level = options.sync == Sync::off             ? 0
                    : options.journal == Journal::rollback ? full_with_folder
                                                           : full;
  rc = snkv_bt_set_sync(connection.get(), level);
  if (rc == SNKV_BT_OK) return {};
  return explain(caller, btree::engine_error(caller, rc, file_name()));
}

/// Why a store cannot be opened where nothing can be written, of which the engine only says that a file is
/// missing.
Error StoreState::explain(const char* caller, const Error& error) const {
  if (in_memory || options.immutable) return error;
  if (!(error == Errc::cant_open || error == Errc::read_only)) return error;
  const std::string folder = file.substr(0, file.rfind('/') + 1);
  if (::access(folder.c_str(), W_OK) == 0) return error;
  const char* const why = std::strerror(errno);
  if (!options.read_only) {
    return Error(Errc::read_only, caller,
                 fmt::format("{}: nothing can be written in {} ({}): open it with read_only and immutable",
                             file, folder, why),
                 error.extended());
  }
  const bool has_log = exists(file + "-wal");
  return Error(Errc::cant_open, caller,
               fmt::format("{}: reading a store with a log needs {}-shm, and nothing can be written in {} "
                           "({}): {}",
                           file, file, folder, why,
                           has_log ? "its log has to be copied into the file first, by opening it for writing"
                                   : "if nobody changes the file, open it with immutable"),
               error.extended());
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
  Bytes header;
  KeyHeader opened;
  if (options.read_only) {
    if (Error error = roll_back_dead_writer(); error.failed()) return error;
    ReaderLease lease;
    if (Error error = lease.acquire(operation, *this); error.failed()) return error;
    if (Error error = check_format(lease->connection); error.failed()) return error;
    return unlock_keys(lease->connection, unlock, header, opened);
  }
  if (unlock != nullptr && !in_memory && options.create_if_missing) {
    if (Error error = make_private_file(); error.failed()) return error;
  }
  if (Error error = open_connection(operation, writer, Role::writer); error.failed()) return error;
  if (snkv_bt_is_readonly(writer.get()) != 0) {
    // It says so itself, or it could not be opened for writing just now.
    if (Error error = check_format(writer); error.failed()) return error;
    if (::access(file.c_str(), W_OK) == 0) {
      return Error(Errc::cant_open, operation, fmt::format("{} could not be opened for writing", file_name()));
    }
    return Error(Errc::read_only, operation,
                 fmt::format("{} cannot be written; open it with read_only", file_name()));
  }
  bool empty = false;
  if (Error error = check_empty(writer, empty); error.failed()) return error;
  if (empty) {
    if (Error error = create(writer, unlock); error.failed()) return error;
  }
  if (Error error = check_format(writer); error.failed()) return error;
  if (Error error = unlock_keys(writer, unlock, header, opened); error.failed()) return error;
  if (Error error = set_journal_mode(writer); error.failed()) return error;
  if (unlock != nullptr && !opened.binds_names()) {
    if (Error error = bind_names(operation, *this, header, opened); error.failed()) return error;
  }
  clear_up();
  if (snkv_bt_identity log{}; snkv_bt_identify_log(writer.get(), &log) != 0) log_identity_ = log;
  if (options.housekeeping_interval.count() > 0) {
    housekeeper_.start(*this, options.housekeeping_interval);
  }
  return {};
}

Error StoreState::roll_back_dead_writer() const {
  constexpr int hot_journal = SNKV_BT_READONLY | (3 << 8);  // SQLITE_READONLY_ROLLBACK
  const std::string journal = file + "-journal";
  if (in_memory || options.immutable || !exists(journal)) return {};
  const auto look = [&](int flags, btree::Connection& connection) {
    std::int64_t cookie = 0;
    const int rc = connection.open(file, flags, timeout_ms(options));
    return rc == SNKV_BT_OK ? connection.query_int64("PRAGMA schema_version", cookie) : rc;
  };
  {
    btree::Connection reader;
    // Anything else is told by who opens it. The journal of a writer that lives is no obstacle.
    if (look(SNKV_BT_OPEN_READONLY, reader) != hot_journal) return {};
  }
  btree::Connection connection;
  const int rc = look(0, connection);
  if (rc == SNKV_BT_OK) return check_path(path, options);  // there may be nothing left of it
  const Error error = connection.sql_error(operation, rc);
  const bool forbidden = error.code() == Errc::read_only || error.code() == Errc::cant_open;
  return Error(forbidden ? Errc::read_only : error.code(), operation,
               fmt::format("{}: a writer died in the middle of a commit, and {} has to be rolled back, which "
                           "takes the right to write both: open the store once for writing ({})",
                           file_name(), journal, error.detail()),
               rc);
}

Error StoreState::unreadable(int rc) const {
  return explain(operation, btree::engine_error(operation, rc, file_name()));
}

Error StoreState::check_empty(btree::Connection& connection, bool& empty) const {
  const btree::Lock lock(connection);
  const btree::ReadTransaction transaction(lock);
  if (transaction.rc() != SNKV_BT_OK) return unreadable(transaction.rc());
  std::uint32_t pages = 0;
  std::uint32_t free_pages = 0;
  snkv_bt_pages(lock.get(), &pages, &free_pages);
  empty = pages == 0;
  return {};
}

/// The file of a new encrypted store is for its owner only, from the first moment; so are the files beside it,
/// which the engine makes like this one. Others can be let in afterwards.
Error StoreState::make_private_file() const {
  // Without opening it: closing it would drop the locks of another thread that is just as fast.
  if (::mknod(file.c_str(), S_IFREG | 0600, 0) == 0 || errno == EEXIST) return {};
  // Not every system and file system makes files like that.
  const int made = ::open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (made >= 0) ::close(made);
  if (made >= 0 || errno == EEXIST) return {};
  return Error(errno == ENOSPC || errno == EDQUOT ? Errc::full : Errc::cant_open, operation,
               fmt::format("{}: {}", path, std::strerror(errno)));
}

/// Removes what processes that were killed have left beside the file. Once in a while is enough, so that the
/// folder is not searched to its end; who is at work there is left alone.
void StoreState::clear_up() const noexcept {
  if (in_memory) return;
  // As long as we have the log open nobody can begin a journal.
  if (options.journal == Journal::wal) remove_void_journal(file);
  const Contents contents = cipher != nullptr ? Contents::secret : Contents::any;
  const std::uint64_t removed = remove_leftovers(file, contents, Search::first_entries);
  if (removed > 0) log(LogLevel::info, "removed unfinished files of a process that was killed");
}

Error StoreState::create(btree::Connection& connection, const Unlock* unlock) {
  KeyRing::StoreId id{};
  randombytes_buf(id.data(), id.size());
  KeyHeader made;
  if (unlock != nullptr) {
    // Before the lock, because making a key of a password takes its time.
    Error refused = made.make(operation, unlock->secret, unlock->options, id);
    if (refused.failed()) return refused;
  }
  int rc = connection.execute("BEGIN IMMEDIATE");
  if (rc != SNKV_BT_OK) return connection.sql_error(operation, rc);
  Error error;
  // Asked again under the write lock, because another process may have made the file meanwhile; by its
  // contents, because the lock alone gives an empty file its first page.
  std::int64_t application_id = 0;
  rc = connection.query_int64("PRAGMA application_id", application_id);
  if (rc != SNKV_BT_OK) {
    error = connection.sql_error(operation, rc);
  } else if (application_id == 0) {
    error = initialise(connection, id, unlock == nullptr ? nullptr : &made);
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
                             const KeyHeader* keys) {
  const std::int64_t version = keys == nullptr ? format::version : format::bound_version;
  // Everything that makes the file a store is one transaction: nobody sees half a store. The journal
  // mode, which lives outside transactions, follows afterwards.
  const std::string statements[] = {
      fmt::format("PRAGMA application_id={}", format::application_id),
      fmt::format("PRAGMA user_version={}", version),
      std::string(format::meta_table_sql),
      fmt::format("INSERT INTO snkv_meta VALUES('format_version', {}), "
                  "('store_id', {}), ('next_family_id', {})",
                  version, format::blob_literal(id), format::default_family_id + 1),
      format::family_table_sql(format::default_family, format::default_family_id),
  };
  for (const std::string& statement : statements) {
    const int rc = connection.execute(statement);
    if (rc != SNKV_BT_OK) return connection.sql_error(operation, rc);
  }
  if (const int rc = snkv_bt_new_counter(connection.get(), ::randombytes_random()); rc != SNKV_BT_OK) {
    return btree::engine_error(operation, rc, file_name());
  }
  if (keys == nullptr) return {};
  const auto ring = keys->ring();
  const Family family{std::string(format::default_family), format::default_family_id};
  Error error = write_key_header(operation, connection, keys->encode());
  if (!error.failed()) error = write_name_tag(operation, connection, *ring, family);
  if (!error.failed()) {
    error = write_next_family_id(operation, connection, ring.get(), format::default_family_id + 1);
  }
  return error;
}

Error StoreState::unlock_keys(btree::Connection& connection, const Unlock* unlock, Bytes& header,
                              KeyHeader& opened) {
  Meta found;
  if (Error error = read_meta(operation, connection, found); error.failed()) return error;
  header = std::move(found.key_header).value_or(Bytes());
  if (header.empty()) {
    if (unlock == nullptr) return {};
    return Error(Errc::invalid_argument, operation,
                 fmt::format("{} is a store that is not encrypted", file_name()));
  }
  if (unlock == nullptr) {
    return Error(Errc::auth_failed, operation, fmt::format("{} is encrypted", file_name()));
  }
  Error error = opened.open(operation, header, unlock->secret, unlock->options);
  if (!error.failed() && found.store_id.value_or(Bytes()) != BytesView(opened.store())) {
    error = Error(Errc::tampered, operation, "the header of the encryption is that of another store");
  }
  if (!error.failed()) error = check_bound_version(connection, opened);
  if (error.failed()) {
    const std::string detail =
        error.detail().empty() ? file_name() : fmt::format("{}: {}", file_name(), error.detail());
    return Error(error.code(), operation, detail);
  }
  cipher = std::make_unique<Cipher>(opened.ring());
  // Whoever opens it for writing binds the names: this handle is to go on.
  if (!opened.binds_names()) cipher->expect(opened.ring_with_names());
  return {};
}

/// The version of the file is not authenticated, and decides who may write it.
Error StoreState::check_bound_version(btree::Connection& connection, const KeyHeader& opened) const {
  std::int64_t version = 0;
  const int rc = connection.query_int64("PRAGMA user_version", version);
  if (rc != SNKV_BT_OK) return connection.sql_error(operation, rc);
  if (opened.binds_names() == (version >= format::bound_version)) return {};
  return Error(Errc::tampered, operation, "the format version was changed");
}

Error StoreState::check_format(btree::Connection& connection) const {
  const btree::Lock lock(connection);
  Error error;
  {
    const btree::ReadTransaction transaction(lock);
    if (transaction.rc() != SNKV_BT_OK) return unreadable(transaction.rc());
    DatabaseHeader header;
    if (const int rc = header.read(lock.get()); rc != SNKV_BT_OK) return unreadable(rc);
    Schema schema;
    Meta meta;
    std::uint32_t meta_root = 0;
    error = header.check(operation, options.read_only);
    if (!error.failed()) error = schema.load(operation, lock.get());
    if (!error.failed()) error = header.check_roots(operation, schema);
    if (!error.failed()) error = schema.meta_root(operation, meta_root);
    if (!error.failed()) error = read_meta(operation, lock.get(), meta_root, meta);
    if (!error.failed()) error = check_version(operation, header, meta);
  }
  if (!error.failed()) error = check_size(connection);
  if (!error.failed()) error = check_sql(connection);
  if (!error.failed()) return {};
  return Error(error.code(), operation, fmt::format("{}: {}", file_name(), error.detail()), error.extended());
}

/// The engine must be able to take the definitions in, too, of which it evaluates none.
Error StoreState::check_sql(btree::Connection& connection) const {
  const int rc = connection.execute("SELECT 1 FROM sqlite_schema LIMIT 0");
  if (rc == SNKV_BT_OK) return {};
  const Error error = connection.sql_error(operation, rc);
  return error == Errc::internal ? Error(Errc::corrupt, operation, error.detail(), rc) : error;
}

Error StoreState::check_size(btree::Connection& connection) const {
  struct stat info {};
  if (in_memory || ::stat(file.c_str(), &info) != 0) return {};
  if (static_cast<std::uint64_t>(info.st_size) % snkv_bt_page_size(connection.get()) == 0) return {};
  // A log may hold the page whose copying was interrupted. Without one, bytes are missing, which the
  // engine would read as zeros.
  struct stat log {};
  if (::stat((file + "-wal").c_str(), &log) == 0 && log.st_size > 0) return {};
  return Error(Errc::corrupt, operation, "it ends in the middle of a page");
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
