/// \file
/// The function of core_abi.hpp that puts a backup in the place of a store.
#include "core/file_copy.hpp"
#include "core/format.hpp"
#include "core/old_files.hpp"
#include "core/page_check.hpp"
#include "core/pinned_reader.hpp"
#include "core/progress.hpp"
#include "core/run.hpp"
#include "core/schema.hpp"
#include "core/store_state.hpp"
#include "core/unfinished_file.hpp"

#include <snkv/detail/core_abi.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace snkv::core {
namespace {

constexpr const char* operation = "restore";

/// The store that is to be replaced, if there is one, for nobody else until the end of the scope.
class OldStore {
 public:
  explicit OldStore(std::string_view path) : store_(std::string(path), false, options()) {}
  OldStore(const OldStore&) = delete;
  OldStore& operator=(const OldStore&) = delete;
  ~OldStore() {
    if (store_.writer.is_open()) snkv_bt_rollback(store_.writer.get());
    store_.writer.close();
    if (file_ >= 0) ::close(file_);  // which drops all locks, hence last
  }

  [[nodiscard]] Error take() {
    if (store_.others_open()) return in_use();
    if (::stat(file().c_str(), &info_) != 0) {
      return errno == ENOENT ? Error() : system_error(Errc::cant_open, operation, file());
    }
    exists_ = true;
    if (!S_ISREG(info_.st_mode)) {
      return Error(Errc::cant_open, operation, fmt::format("{} is no file", file()));
    }
    Error error = bring_together();
    if (!error.failed()) return {};
    if (error == Errc::busy) return in_use();
    const bool other = error == Errc::not_a_store && info_.st_size > 0;
    if (other || error == Errc::cant_open || error == Errc::read_only || error == Errc::no_memory) {
      return Error(error.code(), operation,
                   other ? fmt::format("{} is not a store: move it away first", file()) : error.detail());
    }
    // It is damaged, or its log is not its own: then there is nothing to be kept of it.
    store_.writer.close();
    return lock_bytes();
  }

  [[nodiscard]] const std::string& file() const noexcept { return store_.file; }
  [[nodiscard]] bool exists() const noexcept { return exists_; }
  [[nodiscard]] const struct stat& info() const noexcept { return info_; }

  /// Of the old contents nothing may be found beside the new ones.
  [[nodiscard]] Error remove_beside() const {
    for (const char* suffix : sidecars) {
      const std::string name = file() + suffix;
      if (::unlink(name.c_str()) != 0 && errno != ENOENT) return system_error(operation, name);
    }
    return remove_side_files(operation, file(), Contents::any);
  }

 private:
  [[nodiscard]] static Options options() {
    Options options;
    options.create_if_missing = false;
    options.journal = Journal::rollback;
    options.keep_reads = false;
    options.allow_hard_links = true;
    options.busy_timeout = std::chrono::milliseconds(0);
    return options;
  }

  [[nodiscard]] Error in_use() const {
    return Error(Errc::busy, operation, fmt::format("{} is open", file()));
  }

  /// All of it in one file, which nobody else can open: so the old contents survive a crash that comes before
  /// the new ones are in place, though their log is removed by then.
  [[nodiscard]] Error bring_together() {
    Error error = store_.open_connection(operation, store_.writer, StoreState::Role::writer);
    std::int64_t id = 0;
    int rc = SNKV_BT_OK;
    if (!error.failed()) rc = store_.writer.query_int64("PRAGMA application_id", id);
    if (!error.failed() && rc == SNKV_BT_OK && id != static_cast<std::int64_t>(format::application_id)) {
      return Error(Errc::not_a_store, operation, file());
    }
    for (const char* sql : {"PRAGMA journal_mode=DELETE", "BEGIN EXCLUSIVE"}) {
      if (!error.failed() && rc == SNKV_BT_OK) rc = store_.writer.execute(sql);
    }
    if (rc != SNKV_BT_OK) return store_.writer.sql_error(operation, rc);
    struct stat log {};
    if (!error.failed() && ::stat((file() + "-wal").c_str(), &log) == 0 && log.st_size > 0) {
      return Error(Errc::busy, operation, file());  // begun anew by somebody in between
    }
    return error;
  }

  /// The bytes that whoever has a database open holds a lock on (sqlite.org/src/file/src/os.h).
  [[nodiscard]] Error lock_bytes() {
    constexpr ::off_t pending_byte = 0x40000000;
    file_ = ::open(file().c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (file_ < 0) return system_error(Errc::cant_open, operation, file());
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = pending_byte;
    lock.l_len = 512;
    if (::fcntl(file_, F_SETLK, &lock) == 0) return {};
    return errno == EACCES || errno == EAGAIN ? in_use() : system_error(operation, file());
  }

  StoreState store_;
  struct stat info_ {};
  bool exists_ = false;
  int file_ = -1;
};

Error look_at_pages(btree::Connection& connection, std::vector<std::string>& findings) {
  const btree::Lock lock(connection);
  const btree::MixedReadTransaction transaction(lock);
  if (transaction.rc() != SNKV_BT_OK) {
    return btree::engine_error(operation, transaction.rc(), "beginning a read transaction");
  }
  Schema schema;
  Error error = schema.load(operation, lock.get());
  return error.failed() ? error : check_pages(operation, connection, schema, findings);
}

/// Opens the backup, encrypted or not, and reads all of it.
Error open_backup(std::string_view path, PinnedReader& reader) {
  Options options;
  options.read_only = true;
  auto store = std::make_shared<StoreState>(std::string(path), false, std::move(options));
  Error error = store->open();
  if (error == Errc::auth_failed) error = {};  // pages are copied as they are
  if (!error.failed()) error = reader.open(operation, store);
  std::vector<std::string> findings;
  if (!error.failed()) error = look_at_pages(reader.connection(), findings);
  if (!error.failed() && !findings.empty()) {
    error = Error(Errc::corrupt, operation, fmt::format("{}: {}", path, findings.front()));
  }
  return error;
}

/// Who could read the old store can read the new one, and nobody else.
Error create_beside(UnfinishedFile& file, const OldStore& old, const StoreState& backup) {
  const FileAccess access = FileAccess::of(backup);
  return file.create(operation, old.file(), old.exists() ? FileAccess::of_file(old.file(), access) : access);
}

Error restore_file(std::string_view backup, std::string_view path, const Progress& progress) {
  if (path.empty() || path.find('\0') != std::string_view::npos) {
    return Error(Errc::invalid_argument, operation, "the path is empty, or contains a NUL");
  }
  PinnedReader reader;
  if (Error error = open_backup(backup, reader); error.failed()) return error;
  OldStore old(path);
  if (old.file() == reader.store().file) {
    return Error(Errc::invalid_argument, operation, fmt::format("{} is the backup itself", old.file()));
  }
  if (Error error = old.take(); error.failed()) return error;
  UnfinishedFile file;
  if (Error error = create_beside(file, old, reader.store()); error.failed()) return error;
  ProgressReport report(progress);
  Error error = copy_pages(operation, reader.connection(), file.path(), report);
  if (!error.failed() && report.stopped()) error = report.error(operation);
  if (!error.failed()) error = count_anew(operation, file.path());
  if (!error.failed()) error = old.remove_beside();
  if (error.failed()) return error;
  return old.exists() ? file.replace(operation) : file.publish(operation);
}

}  // namespace

Error restore(std::string_view backup, std::string_view path, const Progress& progress) {
  try {
    Error error = restore_file(backup, path, progress);
    if (!error.failed()) return error;
    return Error(error.code(), operation, error.detail(), error.extended());
  } catch (const std::bad_alloc&) {
    return Error(Errc::no_memory, operation, "");
  } catch (const std::system_error&) {
    return Error(Errc::no_memory, operation, "");
  }
}

}  // namespace snkv::core
