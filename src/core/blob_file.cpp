/// \file
/// Values from and to files. No file of the store itself may be opened here: closing it would drop
/// the locks that the process holds on it.
#include "base/printable.hpp"
#include "core/arguments.hpp"
#include "core/blob.hpp"
#include "core/progress.hpp"
#include "core/run.hpp"
#include "core/store_state.hpp"
#include "core/system_error.hpp"
#include "core/unfinished_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

namespace snkv::core {
namespace {

constexpr std::size_t piece_size = 256 * 1024;

/// What a message is about: an operation on a key and a file.
struct Subject {
  const char* operation;
  BytesView key;
  const std::string& path;

  [[nodiscard]] Error error(Errc code, std::string_view why) const {
    return Error(code, operation, fmt::format("{}, file {}: {}", base::printable(key), path, why));
  }
  [[nodiscard]] Error system_error(int number) const {
    return error(errc_of_errno(number), std::strerror(number));
  }
  [[nodiscard]] Error stopped(const ProgressReport& report) const {
    const Error why = report.error(operation);
    return error(why.code(), why.detail());
  }
};

class File {
 public:
  File() noexcept = default;
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() { static_cast<void>(close()); }

  /// False on failure, as of the others; errno tells why.
  [[nodiscard]] bool open(const std::string& path, int flags, ::mode_t mode = 0) noexcept {
    do {
      descriptor_ = ::open(path.c_str(), flags | O_CLOEXEC, mode);
    } while (descriptor_ < 0 && errno == EINTR);
    return descriptor_ >= 0;
  }
  [[nodiscard]] bool read(Bytes& buffer, std::size_t& got) const noexcept {
    for (;;) {
      const ::ssize_t amount = ::read(descriptor_, buffer.data(), buffer.size());
      if (amount < 0 && errno == EINTR) continue;
      got = amount < 0 ? 0 : static_cast<std::size_t>(amount);
      return amount >= 0;
    }
  }
  [[nodiscard]] bool write(BytesView bytes) const noexcept {
    for (std::size_t done = 0; done < bytes.size();) {
      const ::ssize_t amount = ::write(descriptor_, bytes.data() + done, bytes.size() - done);
      if (amount < 0 && errno == EINTR) continue;
      if (amount < 0) return false;
      done += static_cast<std::size_t>(amount);
    }
    return true;
  }
  [[nodiscard]] bool close() noexcept {
    const int descriptor = std::exchange(descriptor_, -1);
    return descriptor < 0 || ::close(descriptor) == 0;
  }
  [[nodiscard]] int get() const noexcept { return descriptor_; }

 private:
  int descriptor_ = -1;
};

std::string_view name_in_folder(std::string_view path) {
  return path.substr(path.rfind('/') + 1);  // npos + 1 is 0
}

/// Whether two paths name one file, or would if it existed.
bool same_file(const std::string& a, const std::string& b) {
  struct ::stat info_a {};
  struct ::stat info_b {};
  const bool have_a = ::stat(a.c_str(), &info_a) == 0;
  const bool have_b = ::stat(b.c_str(), &info_b) == 0;
  if (have_a != have_b) return false;
  if (!have_a) {
    if (name_in_folder(a) != name_in_folder(b)) return false;
    if (::stat(folder_of(a).c_str(), &info_a) != 0 || ::stat(folder_of(b).c_str(), &info_b) != 0) {
      return false;
    }
  }
  return info_a.st_dev == info_b.st_dev && info_a.st_ino == info_b.st_ino;
}

/// Refuses what can be no path, and the files of the store.
Error check_file(const Subject& subject, StoreState& store) {
  if (Error error = store.check(subject.operation); error.failed()) return error;
  if (subject.path.empty() || subject.path.find('\0') != std::string::npos) {
    return Error(Errc::invalid_argument, subject.operation, "the path is empty or contains a NUL");
  }
  if (store.in_memory) return {};
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
    if (same_file(subject.path, store.file + suffix)) {
      return subject.error(Errc::invalid_argument, "belongs to the store itself");
    }
  }
  return {};
}

Error import_file(const Subject& subject, const Target& target, const BlobOptions& options,
                  const Progress& progress, std::uint64_t& size) {
  if (Error error = check_key(subject.operation, subject.key); error.failed()) return error;
  if (Error error = check_file(subject, *target.store); error.failed()) return error;
  File file;
  struct ::stat info {};
  if (!file.open(subject.path, O_RDONLY) || ::fstat(file.get(), &info) != 0) {
    return subject.system_error(errno);
  }
  if (S_ISDIR(info.st_mode)) return subject.error(Errc::cant_open, "is a folder");
  const auto total = static_cast<std::uint64_t>(info.st_size);
  if (Error error = check_value_size(subject.operation, subject.key, total); error.failed()) {
    return error;
  }
  BlobWriterState writer;
  Error error = writer.open(subject.operation, target, subject.key, options);
  if (error.failed()) return error;
  // Through the transaction that the value is written in, if the caller has it; else the turn is taken.
  ProgressReport report(progress, *target.store, UserCode::Kind::writes);
  Bytes buffer;
  buffer.resize_for_overwrite(piece_size);
  for (;;) {
    std::size_t got = 0;
    if (!file.read(buffer, got)) return subject.system_error(errno);
    if (got == 0) break;
    error = writer.write(subject.operation, writer.size, BytesView(buffer.data(), got));
    if (error.failed()) return error;
    if (!report.report(writer.size, std::max(total, writer.size))) return subject.stopped(report);
  }
  error = writer.finish(subject.operation);
  if (!error.failed()) size = writer.size;
  return error;
}

Error export_file(const Subject& subject, const Target& target, const Progress& progress,
                  std::uint64_t& size) {
  BlobReaderState reader;
  Error error = reader.open(subject.operation, target, subject.key);
  if (error.failed()) return error;
  if (error = check_file(subject, *target.store); error.failed()) return error;
  struct ::stat info {};
  const bool exists = ::stat(subject.path.c_str(), &info) == 0;
  if (exists && S_ISDIR(info.st_mode)) return subject.error(Errc::cant_open, "is a folder");
  UnfinishedFile unfinished;
  // Who could not read what is replaced shall not read what replaces it, at no moment.
  const FileAccess access = FileAccess::of_file(subject.path, {.mode = 0666, .by_umask = true});
  // Not searching the folder, in which there may be many thousands of such files.
  error = unfinished.create(subject.operation, subject.path, access, Contents::any, Search::nothing);
  if (error.failed()) return error;
  File out;
  if (!out.open(unfinished.path(), O_WRONLY | O_NOFOLLOW)) return subject.system_error(errno);
  const bool in_transaction =
      target.scope != nullptr && target.scope->kind() == Scope::Kind::transaction;
  ProgressReport report(progress, *target.store,
                        in_transaction ? UserCode::Kind::writes : kind_beside_read(*target.store));
  Bytes buffer;
  buffer.resize_for_overwrite(piece_size);
  for (std::uint64_t done = 0; done < reader.size;) {
    std::size_t got = 0;
    error = reader.read(subject.operation, done, buffer.data(), buffer.size(), got);
    if (error.failed()) return error;
    if (!out.write(BytesView(buffer.data(), got))) return subject.system_error(errno);
    done += got;
    if (!report.report(done, reader.size)) return subject.stopped(report);
  }
  if (!out.close()) return subject.system_error(errno);
  error = unfinished.replace(subject.operation);
  if (!error.failed()) size = reader.size;
  return error;
}

}  // namespace

Error put_file(const Target& target, BytesView key, std::string_view path,
               const BlobOptions& options, const Progress& progress, std::uint64_t& size) {
  constexpr const char* operation = "put_file";
  return guarded(operation, target, [&] {
    const std::string name(path);
    return import_file({operation, key, name}, target, options, progress, size);
  });
}

Error get_to_file(const Target& target, BytesView key, std::string_view path,
                  const Progress& progress, std::uint64_t& size) {
  constexpr const char* operation = "get_to_file";
  return guarded(operation, target, [&] {
    const std::string name(path);
    return export_file({operation, key, name}, target, progress, size);
  });
}

}  // namespace snkv::core
