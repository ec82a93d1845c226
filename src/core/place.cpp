/// \file
/// Whether the files of an open store are where they were opened.
#include "core/store_state.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <string>
#include <string_view>

namespace snkv::core {

namespace {

std::string_view what_moved(snkv_bt_place place) {
  switch (place) {
    case SNKV_BT_FILE_EMPTIED:
      return " was emptied";
    case SNKV_BT_LOG_ELSEWHERE:
      return "-wal was renamed, replaced or removed";
    case SNKV_BT_INDEX_ELSEWHERE:
      return "-shm was renamed, replaced or removed";
    default:
      return " was renamed, replaced or removed";
  }
}

}  // namespace

Error StoreState::error_moved(const char* operation, snkv_bt_place place) const noexcept {
  try {
    return Error(Errc::moved, operation,
                 fmt::format("{}{} while the store was open: what was committed since may be in no file of "
                             "that name",
                             file_name(), what_moved(place)));
  } catch (const std::bad_alloc&) {
    return Error(Errc::moved, operation, "");
  }
}

Error StoreState::check_place(const char* operation, snkv_bt* bt) noexcept {
  // Who only reads has committed nothing.
  if (in_memory || options.read_only) return {};
  const snkv_bt_place now = snkv_bt_find(bt);
  snkv_bt_place known = SNKV_BT_IN_PLACE;
  if (now != SNKV_BT_IN_PLACE) place_.compare_exchange_strong(known, now);
  known = place_.load();
  return known == SNKV_BT_IN_PLACE ? Error() : error_moved(operation, known);
}

/// The same for who has nothing open yet, and must not open, or make, another file of the name.
snkv_bt_place StoreState::place_of_names() const noexcept {
  struct stat info {};
  const auto is_lost = [&](const std::string& name, const snkv_bt_identity& identity) {
    if (::stat(name.c_str(), &info) != 0) return errno == ENOENT || errno == ENOTDIR || errno == ELOOP;
    return info.st_dev != identity.device || info.st_ino != identity.inode;
  };
  if (!identity_) return SNKV_BT_IN_PLACE;
  if (is_lost(file, *identity_)) return SNKV_BT_FILE_ELSEWHERE;
  // The engine would take an empty file for a new one, and remove the log.
  if (info.st_size == 0) return SNKV_BT_FILE_EMPTIED;
  if (log_identity_ && is_lost(log_name_, *log_identity_)) return SNKV_BT_LOG_ELSEWHERE;
  return SNKV_BT_IN_PLACE;
}

Error StoreState::last_look(const char* operation) noexcept {
  if (!writer.is_open() || !identity_) return {};  // it was never opened
  Error error = check_place(operation, writer.get());
  // Somebody else may have the file by now, and a log of their own.
  if (error.failed()) snkv_bt_leave_log(writer.get(), 1);
  return error;
}

Error StoreState::check_identity(const char* operation, btree::Connection& connection) noexcept {
  snkv_bt_identity found{};
  if (in_memory || snkv_bt_identify(connection.get(), &found) == 0) return {};
  if (!identity_) {
    identity_ = found;
    return {};
  }
  const bool other = identity_->device != found.device || identity_->inode != found.inode;
  const snkv_bt_place place = other ? SNKV_BT_FILE_ELSEWHERE : place_of_names();
  return place == SNKV_BT_IN_PLACE ? Error() : error_moved(operation, place);
}

/// Where a log would be made that the owner cannot write. Where none can be made the caller has to say that nobody
/// changes the file.
bool StoreState::reads_without_log() const {
  if (!options.read_only || options.immutable || in_memory || ::geteuid() == 0) return false;
  struct stat info {};
  if (::stat(file.c_str(), &info) != 0) return false;
  return info.st_uid != ::geteuid() && ::access(file.substr(0, file.rfind('/') + 1).c_str(), W_OK) == 0;
}

/// What a reader who is not the owner has left behind: the engine would open it for reading only, and then
/// refuse every write.
void StoreState::heal_log_files(btree::Connection& connection) const noexcept {
  if (in_memory) return;
  try {
    const auto in_the_way = [&](const char* suffix) {
      const std::string name = file + suffix;
      struct stat info {};
      // A log with commits in it is more than a leftover. The index is made anew from it.
      return ::lstat(name.c_str(), &info) == 0 && S_ISREG(info.st_mode) && info.st_uid != ::geteuid() &&
             (info.st_size == 0 || std::string_view(suffix) == "-shm") && ::access(name.c_str(), W_OK) != 0;
    };
    if (!in_the_way("-wal") && !in_the_way("-shm")) return;
    if (snkv_bt_lock_file(connection.get()) != SNKV_BT_OK) return;  // somebody is using it
    for (const char* suffix : {"-wal", "-shm"}) {
      if (in_the_way(suffix)) ::unlink((file + suffix).c_str());
    }
    snkv_bt_unlock_file(connection.get());
  } catch (const std::bad_alloc&) {
    // It is tried again with the next opening.
  }
}

}  // namespace snkv::core
