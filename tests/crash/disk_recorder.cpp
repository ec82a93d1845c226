#include "disk_recorder.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <mutex>

namespace {

using snkv::test::DiskEvent;
using Kind = DiskEvent::Kind;

constexpr std::uint32_t no_file = 0;
constexpr std::uint32_t the_folder = 1;

struct Recorder {
  std::mutex mutex;
  std::vector<DiskEvent>* events = nullptr;
  std::string folder;
  std::map<std::string, std::uint32_t, std::less<>> names;
  std::uint32_t next_file = the_folder + 1;
  std::array<std::uint32_t, 1024> descriptors{};

  [[nodiscard]] bool concerns(std::string_view path) const {
    return events != nullptr && path.starts_with(folder) && !path.ends_with("-shm");
  }
  void add(DiskEvent event) { events->push_back(std::move(event)); }
  void opened(int descriptor, const char* path, int flags, bool was_there) {
    const std::lock_guard lock(mutex);
    if (descriptor < 0 || static_cast<std::size_t>(descriptor) >= descriptors.size()) return;
    auto& slot = descriptors[static_cast<std::size_t>(descriptor)];
    slot = no_file;
    if (!concerns(path)) return;
    struct stat info {};
    if (::fstat(descriptor, &info) == 0 && S_ISDIR(info.st_mode)) {
      slot = the_folder;
      return;
    }
    auto known = names.find(path);
    if (known == names.end() || ((flags & O_CREAT) != 0 && !was_there)) {
      known = names.insert_or_assign(path, next_file++).first;
      add({Kind::create, known->second, 0, path});
    }
    slot = known->second;
    if ((flags & O_TRUNC) != 0) add({Kind::truncate, slot, 0});
  }
  [[nodiscard]] std::uint32_t file_of(int descriptor) const {
    if (events == nullptr || descriptor < 0) return no_file;
    const auto at = static_cast<std::size_t>(descriptor);
    return at < descriptors.size() ? descriptors[at] : no_file;
  }
  void wrote(int descriptor, const void* data, ::ssize_t size, std::uint64_t offset) {
    const std::lock_guard lock(mutex);
    const std::uint32_t file = file_of(descriptor);
    if (file <= the_folder || size <= 0) return;
    add({Kind::write,
         file,
         offset,
         {},
         std::string(static_cast<const char*>(data), static_cast<std::size_t>(size))});
  }
  /// How much has happened. What a thread writes while another syncs need not be synced.
  [[nodiscard]] std::uint64_t now() {
    const std::lock_guard lock(mutex);
    return events == nullptr ? 0 : events->size();
  }
  void synced(int descriptor, std::uint64_t since) {
    const std::lock_guard lock(mutex);
    const std::uint32_t file = file_of(descriptor);
    if (file == no_file) return;
    add({file == the_folder ? Kind::sync_folder : Kind::sync, file, since});
  }
  void renamed(const char* from, const char* to, bool exchanged = false) {
    const std::lock_guard lock(mutex);
    if (!concerns(from)) return;
    const auto moved = names.find(from);
    if (moved == names.end()) return;
    if (const auto other = names.find(to); exchanged && other != names.end()) {
      std::swap(moved->second, other->second);
      add({Kind::exchange, no_file, 0, from, to});
      return;
    }
    names.insert_or_assign(to, moved->second);
    names.erase(names.find(from));
    add({Kind::rename, no_file, 0, from, to});
  }
  void removed(const char* path) {
    const std::lock_guard lock(mutex);
    if (!concerns(path)) return;
    const auto gone = names.find(path);
    if (gone != names.end()) names.erase(gone);
    add({Kind::unlink, no_file, 0, path});
  }
};

Recorder& recorder() {
  static Recorder instance;
  return instance;
}

::mode_t mode_argument(int flags, va_list arguments) {
  return (flags & O_CREAT) != 0 ? static_cast<::mode_t>(va_arg(arguments, unsigned)) : 0;
}

}  // namespace

extern "C" {

int __real_open(const char* path, int flags, ...);
int __real_open64(const char* path, int flags, ...);
::ssize_t __real_write(int file, const void* buffer, std::size_t size);
::ssize_t __real_pwrite(int file, const void* buffer, std::size_t size, ::off_t offset);
::ssize_t __real_pwrite64(int file, const void* buffer, std::size_t size, ::off64_t offset);
int __real_ftruncate64(int file, ::off64_t size);
int __real_fsync(int file);
int __real_fdatasync(int file);
int __real_rename(const char* from, const char* to);
int __real_renameat2(int from_folder, const char* from, int to_folder, const char* to,
                     unsigned flags);
int __real_unlink(const char* path);

int __wrap_open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const ::mode_t mode = mode_argument(flags, arguments);
  va_end(arguments);
  const bool was_there = ::access(path, F_OK) == 0;
  const int file = __real_open(path, flags, mode);
  recorder().opened(file, path, flags, was_there);
  return file;
}

int __wrap_open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const ::mode_t mode = mode_argument(flags, arguments);
  va_end(arguments);
  const bool was_there = ::access(path, F_OK) == 0;
  const int file = __real_open64(path, flags, mode);
  recorder().opened(file, path, flags, was_there);
  return file;
}

::ssize_t __wrap_write(int file, const void* buffer, std::size_t size) {
  const ::off_t at = ::lseek(file, 0, SEEK_CUR);
  const ::ssize_t written = __real_write(file, buffer, size);
  if (at >= 0) recorder().wrote(file, buffer, written, static_cast<std::uint64_t>(at));
  return written;
}

::ssize_t __wrap_pwrite(int file, const void* buffer, std::size_t size, ::off_t offset) {
  const ::ssize_t written = __real_pwrite(file, buffer, size, offset);
  recorder().wrote(file, buffer, written, static_cast<std::uint64_t>(offset));
  return written;
}

::ssize_t __wrap_pwrite64(int file, const void* buffer, std::size_t size, ::off64_t offset) {
  const ::ssize_t written = __real_pwrite64(file, buffer, size, offset);
  recorder().wrote(file, buffer, written, static_cast<std::uint64_t>(offset));
  return written;
}

int __wrap_ftruncate64(int file, ::off64_t size) {
  const int rc = __real_ftruncate64(file, size);
  const std::lock_guard lock(recorder().mutex);
  const std::uint32_t id = recorder().file_of(file);
  if (rc == 0 && id > the_folder) {
    recorder().add({Kind::truncate, id, static_cast<std::uint64_t>(size)});
  }
  return rc;
}

int __wrap_fsync(int file) {
  const std::uint64_t since = recorder().now();
  const int rc = __real_fsync(file);
  if (rc == 0) recorder().synced(file, since);
  return rc;
}

int __wrap_fdatasync(int file) {
  const std::uint64_t since = recorder().now();
  const int rc = __real_fdatasync(file);
  if (rc == 0) recorder().synced(file, since);
  return rc;
}

int __wrap_rename(const char* from, const char* to) {
  const int rc = __real_rename(from, to);
  if (rc == 0) recorder().renamed(from, to);
  return rc;
}

int __wrap_renameat2(int from_folder, const char* from, int to_folder, const char* to,
                     unsigned flags) {
  const int rc = __real_renameat2(from_folder, from, to_folder, to, flags);
  if (rc == 0) recorder().renamed(from, to, (flags & RENAME_EXCHANGE) != 0);
  return rc;
}

int __wrap_unlink(const char* path) {
  const int rc = __real_unlink(path);
  if (rc == 0) recorder().removed(path);
  return rc;
}

}  // extern "C"

namespace snkv::test {

DiskRecording::DiskRecording(const std::filesystem::path& folder) {
  Recorder& all = recorder();
  const std::lock_guard lock(all.mutex);
  all.events = &events_;
  all.folder = folder.string();
  all.names.clear();
  all.descriptors.fill(no_file);
}

void DiskRecording::stop() noexcept {
  const std::lock_guard lock(recorder().mutex);
  recorder().events = nullptr;
}

void DiskRecording::begun(std::uint64_t unit) {
  const std::lock_guard lock(recorder().mutex);
  recorder().add({Kind::begun, no_file, unit});
}

void DiskRecording::durable(std::uint64_t unit) {
  const std::lock_guard lock(recorder().mutex);
  recorder().add({Kind::durable, no_file, unit});
}

void Disk::apply_name(const DiskEvent& event, Names& names) {
  switch (event.kind) {
    case Kind::create:
      names.insert_or_assign(event.path, event.file);
      break;
    case Kind::unlink:
      names.erase(event.path);
      break;
    case Kind::exchange: {
      const auto one = names.find(event.path);
      const auto other = names.find(event.data);
      if (one != names.end() && other != names.end()) std::swap(one->second, other->second);
      break;
    }
    default:
      if (const auto moved = names.find(event.path); moved != names.end()) {
        names.insert_or_assign(event.data, moved->second);
        names.erase(event.path);
      }
      break;
  }
}

void Disk::apply(const DiskEvent& event, std::string& content) {
  const auto offset = static_cast<std::size_t>(event.offset);
  if (event.kind == Kind::truncate) {
    content.resize(offset);
    return;
  }
  if (content.size() < offset + event.data.size()) content.resize(offset + event.data.size());
  content.replace(offset, event.data.size(), event.data);
}

void Disk::play(const DiskEvent& event) {
  const std::uint64_t number = played_++;
  switch (event.kind) {
    case Kind::begun:
      begun_ = event.offset;
      break;
    case Kind::durable:
      durable_ = event.offset;
      break;
    case Kind::sync: {
      if (lie_) break;
      File& file = files_[event.file];
      const auto end = std::find_if(file.pending.begin(), file.pending.end(),
                                    [&](const Pending& one) { return one.number >= event.offset; });
      for (auto one = file.pending.begin(); one != end; ++one) apply(one->event, file.synced);
      file.pending.erase(file.pending.begin(), end);
      break;
    }
    case Kind::sync_folder:
      if (lie_) break;
      for (const DiskEvent& pending : pending_names_) apply_name(pending, synced_names_);
      pending_names_.clear();
      break;
    case Kind::create:
    case Kind::rename:
    case Kind::exchange:
    case Kind::unlink:
      pending_names_.push_back(event);
      break;
    default:
      files_[event.file].pending.push_back({event, number});
      break;
  }
}

bool Disk::is_renaming() const noexcept {
  return std::any_of(pending_names_.begin(), pending_names_.end(),
                     [](const DiskEvent& event) {
                       return event.kind == Kind::rename || event.kind == Kind::exchange;
                     });
}

std::string Disk::content(const File& file, Random& random) {
  std::string content = file.synced;
  // What happens to the rest: nothing of it, all of it, a beginning of it, or each by itself.
  const std::uint64_t fate = random.below(8);
  const std::uint64_t kept_from_start = fate == 0   ? 0
                                        : fate == 1 ? file.pending.size()
                                                    : random.below(file.pending.size() + 1);
  const std::size_t sector = random.percent(50) ? 512 : 4096;
  for (std::size_t i = 0; i < file.pending.size(); ++i) {
    const DiskEvent& event = file.pending[i].event;
    if (fate <= 3) {
      if (i < kept_from_start) apply(event, content);
      continue;
    }
    const std::uint64_t dice = random.below(4);
    if (dice == 0) continue;
    if (dice < 3 || event.kind == Kind::truncate) {
      apply(event, content);
      continue;
    }
    // In part. Sectors lie on the disk, not in the write.
    for (std::size_t at = 0; at < event.data.size();) {
      const std::size_t to_edge = sector - (event.offset + at) % sector;
      const std::size_t size = std::min(to_edge, event.data.size() - at);
      if (random.percent(50)) {
        apply({Kind::write, event.file, event.offset + at, {}, event.data.substr(at, size)},
              content);
      }
      at += size;
    }
  }
  return content;
}

void Disk::leave_image(Random& random, const std::filesystem::path& folder) const {
  Names names = synced_names_;
  const bool in_order = random.percent(50);
  const std::uint64_t kept = random.below(pending_names_.size() + 1);
  for (std::size_t i = 0; i < pending_names_.size(); ++i) {
    if (in_order ? i < kept : random.percent(50)) apply_name(pending_names_[i], names);
  }
  for (const auto& [path, id] : names) {
    const auto file = files_.find(id);
    const std::string bytes = file == files_.end() ? std::string() : content(file->second, random);
    std::ofstream out(folder / std::filesystem::path(path).filename(), std::ios::binary);
    out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }
}

}  // namespace snkv::test
