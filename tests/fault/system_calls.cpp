// What the library itself, beside the engine, asks of the system: files that it imports, exports
// and backs up. The linker sends these calls here (--wrap), so that they count and fail with the
// engine's.
#include "fault/faults.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstddef>

namespace {

/// Opened by the library itself. The engine, which has the fault VFS, opens by another name
/// (open64).
std::array<std::atomic<bool>, 1024> ours{};

bool is_ours(int file) {
  return file >= 0 && static_cast<std::size_t>(file) < ours.size() &&
         ours[static_cast<std::size_t>(file)].load();
}

bool fails(snkv_fault_kind kind) { return !snkv::test::is_paused() && snkv_fault_call(kind) != 0; }

int failure(int number) {
  errno = number;
  return -1;
}

}  // namespace

extern "C" {

int __real_open(const char* path, int flags, ...);
int __real_close(int file);
::ssize_t __real_read(int file, void* buffer, std::size_t size);
::ssize_t __real_write(int file, const void* buffer, std::size_t size);
int __real_fsync(int file);
int __real_rename(const char* from, const char* to);
int __real_renameat2(int from_folder, const char* from, int to_folder, const char* to,
                     unsigned flags);

int __wrap_open(const char* path, int flags, ...) {
  if (fails(SNKV_FAULT_IO)) return failure(EIO);
  if (fails(SNKV_FAULT_OPEN)) return failure(EMFILE);
  ::mode_t mode = 0;
  if ((flags & O_CREAT) != 0) {
    va_list arguments;
    va_start(arguments, flags);
    mode = static_cast<::mode_t>(va_arg(arguments, unsigned));
    va_end(arguments);
  }
  const int file = __real_open(path, flags, mode);
  if (file >= 0 && static_cast<std::size_t>(file) < ours.size()) {
    ours[static_cast<std::size_t>(file)] = true;
  }
  return file;
}

int __wrap_close(int file) {
  if (is_ours(file)) ours[static_cast<std::size_t>(file)] = false;
  return __real_close(file);
}

::ssize_t __wrap_read(int file, void* buffer, std::size_t size) {
  if (!is_ours(file)) return __real_read(file, buffer, size);
  if (fails(SNKV_FAULT_IO)) return failure(EIO);
  // Not the end, and no error either: whoever reads has to read on.
  if (size > 1 && fails(SNKV_FAULT_SHORT_READ)) size /= 2;
  return __real_read(file, buffer, size);
}

::ssize_t __wrap_write(int file, const void* buffer, std::size_t size) {
  if (!is_ours(file)) return __real_write(file, buffer, size);
  if (fails(SNKV_FAULT_IO)) return failure(EIO);
  if (fails(SNKV_FAULT_FULL)) {
    // The disk takes a half, and nothing at all of the rest.
    if (snkv_fault_calls() % 2 == 0 && size > 1) return __real_write(file, buffer, size / 2);
    return failure(ENOSPC);
  }
  return __real_write(file, buffer, size);
}

int __wrap_fsync(int file) {
  if (!is_ours(file)) return __real_fsync(file);
  if (fails(SNKV_FAULT_IO) || fails(SNKV_FAULT_SYNC)) return failure(EIO);
  return __real_fsync(file);
}

int __wrap_rename(const char* from, const char* to) {
  return fails(SNKV_FAULT_IO) ? failure(EIO) : __real_rename(from, to);
}

int __wrap_renameat2(int from_folder, const char* from, int to_folder, const char* to,
                     unsigned flags) {
  if (fails(SNKV_FAULT_IO)) return failure(EIO);
  return __real_renameat2(from_folder, from, to_folder, to, flags);
}

}  // extern "C"
