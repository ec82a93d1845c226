/// \file
/// The functions of core_abi.hpp that write the whole store anew: `backup` into another file,
/// `compact` in place.
#include "core/file_copy.hpp"
#include "core/file_system.hpp"
#include "core/pinned_reader.hpp"
#include "core/progress.hpp"
#include "core/run.hpp"
#include "core/store_state.hpp"
#include "core/unfinished_file.hpp"

#include <snkv/detail/core_abi.hpp>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

namespace snkv::core {
namespace {

// ---- The place of the copy ----

/// The absolute path of something that need not exist, in a folder that must.
Error resolve_path(const char* operation, const std::string& path, std::string& out) {
  const std::size_t slash = path.rfind('/');
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  if (name.empty() || name == "." || name == "..") {
    return Error(Errc::cant_open, operation, fmt::format("{} names a folder", path));
  }
  struct Free {
    void operator()(char* text) const noexcept { std::free(text); }
  };
  const std::unique_ptr<char, Free> real(::realpath(folder.c_str(), nullptr));
  if (real == nullptr && errno == ENOMEM) return Error(Errc::no_memory, operation, "");
  if (real == nullptr) return system_error(Errc::cant_open, operation, folder);
  out = real.get();
  if (out != "/") out += '/';
  out += name;
  return {};
}

/// `exists` if there is anything of that name.
Error check_free(const char* operation, const StoreState& store, const std::string& path) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0) {
    return errno == ENOENT ? Error() : system_error(Errc::cant_open, operation, path);
  }
  struct stat own {};
  const bool followed = ::stat(path.c_str(), &found) == 0;
  if (followed && !store.in_memory && ::stat(store.file.c_str(), &own) == 0 &&
      own.st_dev == found.st_dev && own.st_ino == found.st_ino) {
    return Error(Errc::exists, operation, fmt::format("{} is the store itself", path));
  }
  return Error(Errc::exists, operation,
               followed && S_ISDIR(found.st_mode) ? fmt::format("{} is a folder", path) : path);
}

/// Where the copy goes, as an absolute path.
Error check_target(const char* operation, const StoreState& store, std::string_view target,
                   std::string& out) {
  const std::string path(target);
  if (path.empty()) return Error(Errc::invalid_argument, operation, "the path is empty");
  if (path.find('\0') != std::string::npos) {
    return Error(Errc::invalid_argument, operation, "the path contains a NUL");
  }
  if (Error error = check_free(operation, store, path); error.failed()) return error;
  if (Error error = resolve_path(operation, path, out); error.failed()) return error;
  if (Error error = check_length(operation, path, out, true); error.failed()) return error;
  for (const char* suffix : sidecars) {
    if (!store.in_memory && out == store.file + suffix) {
      return Error(Errc::invalid_argument, operation,
                   fmt::format("{} is a name that the store needs for itself", path));
    }
    // The engine would take it for the log of the copy.
    if (Error error = check_free(operation, store, out + suffix); error.failed()) return error;
  }
  return {};
}

// ---- Copying ----

/// Runs VACUUM. In place the last report comes before anything is changed; a copy can be given up
/// afterwards, too.
Error vacuum(const char* operation, btree::Connection& connection, const char* into,
             ProgressReport& progress) {
  struct Context {
    ProgressReport& progress;
    std::uint64_t total;
  } context{progress, 1};
  const auto report = [](void* argument, std::uint64_t done, std::uint64_t total) noexcept -> int {
    auto& at = *static_cast<Context*>(argument);
    if (total > 0) at.total = total;
    return at.progress.report(done, total) ? 0 : 1;
  };
  const int rc = snkv_bt_vacuum(connection.get(), into, report, &context);
  if (rc != SNKV_BT_OK && progress.stopped()) return progress.error(operation);
  if (rc == SNKV_BT_ERROR && into != nullptr) {
    // What the engine says of a file whose size it cannot learn: that it exists. It does, and is ours.
    return Error(Errc::io_error, operation, connection.sql_error(operation, rc).detail(), rc);
  }
  if (rc != SNKV_BT_OK) return connection.sql_error(operation, rc);
  const bool go_on = into == nullptr || progress.report(context.total, context.total);
  return go_on ? Error() : progress.error(operation);
}

}  // namespace

Error backup(const Target& target, std::string_view path, const BackupOptions& options,
             const Progress& progress) {
  constexpr const char* operation = "backup";
  return guarded(operation, target, [&]() -> Error {
    StoreState& store = *target.store;
    if (Error error = store.check(operation); error.failed()) return error;
    std::string place;
    if (Error error = check_target(operation, store, path, place); error.failed()) return error;
    PinnedReader reader;
    if (Error error = reader.open(operation, target.store); error.failed()) return error;
    UnfinishedFile file;
    if (Error error = file.create(operation, place, FileAccess::of(store)); error.failed()) return error;
    ProgressReport report(progress, store, kind_beside_read(store));
    Error error = options.compact
                      ? vacuum(operation, reader.connection(), file.path().c_str(), report)
                      : copy_pages(operation, reader.connection(), file.path(), report);
    if (!error.failed()) error = count_anew(operation, file.path());
    return error.failed() ? error : file.publish(operation);
  });
}

Error compact(const Target& target, const Progress& progress) {
  constexpr const char* operation = "compact";
  return guarded(operation, target, [&]() -> Error {
    return exclusively(operation, target, [&](StoreState& store) -> Error {
      ProgressReport report(progress, store, UserCode::Kind::reads);
      {
        int level = 0;
        int rc = store.promise({}, level);
        const btree::Lock lock(store.writer);
        if (rc == SNKV_BT_OK) rc = snkv_bt_set_sync(lock.get(), level);
        if (rc != SNKV_BT_OK) return store.writer.sql_error(operation, rc);
        if (Error error = vacuum(operation, store.writer, nullptr, report); error.failed()) {
          return error;
        }
      }
      // The file shrinks when the log, which now has all of it, is copied back. What stands in the
      // way of that is no failure: the next checkpoint does it.
      CheckpointResult result;
      Error error = store.checkpoint(operation, Checkpoint::passive, {}, result);
      if (!error.failed() && result.checkpointed == result.wal_frames) {
        error = store.checkpoint(operation, Checkpoint::truncate, {}, result);
      }
      return error == Errc::busy ? Error() : error;
    });
  });
}

}  // namespace snkv::core
