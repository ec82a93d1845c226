// Errors of the system have their own names. Once a read that failed for a moment was called `corrupt`, a process
// out of file descriptors was told `read_only`, and a full disk that only ftruncate noticed was an `io_error`.
#include "support/check.hpp"
#include "support/files.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstddef>
#include <filesystem>
#include <string>

using namespace snkv;
using namespace snkv::test;

namespace {

enum class Call { none, open, pread, ftruncate, pwrite, fsync };

/// The nth call of a kind from now on fails with a number.
struct {
  Call call = Call::none;
  int left = 0;
  int number = 0;
  bool delivered = false;
} planned;

bool fails(Call call) {
  if (planned.call != call || --planned.left != 0) return false;
  planned.delivered = true;
  errno = planned.number;
  return true;
}

void plan(Call call, int nth, int number) { planned = {call, nth, number, false}; }

}  // namespace

// The linker sends the calls of the engine here.
extern "C" {
int __real_open64(const char* path, int flags, ...);
int __wrap_open64(const char* path, int flags, ...) {
  ::mode_t mode = 0;
  if ((flags & O_CREAT) != 0) {
    va_list arguments;
    va_start(arguments, flags);
    mode = static_cast<::mode_t>(va_arg(arguments, unsigned));
    va_end(arguments);
  }
  return fails(Call::open) ? -1 : __real_open64(path, flags, mode);
}
::ssize_t __real_pread64(int file, void* buffer, std::size_t size, ::off64_t at);
::ssize_t __wrap_pread64(int file, void* buffer, std::size_t size, ::off64_t at) {
  return fails(Call::pread) ? -1 : __real_pread64(file, buffer, size, at);
}
::ssize_t __real_pwrite64(int file, const void* buffer, std::size_t size, ::off64_t at);
::ssize_t __wrap_pwrite64(int file, const void* buffer, std::size_t size, ::off64_t at) {
  return fails(Call::pwrite) ? -1 : __real_pwrite64(file, buffer, size, at);
}
int __real_ftruncate64(int file, ::off64_t size);
int __wrap_ftruncate64(int file, ::off64_t size) {
  return fails(Call::ftruncate) ? -1 : __real_ftruncate64(file, size);
}
int __real_fsync(int file);
int __wrap_fsync(int file) { return fails(Call::fsync) ? -1 : __real_fsync(file); }
int __real_fdatasync(int file);
int __wrap_fdatasync(int file) { return fails(Call::fsync) ? -1 : __real_fdatasync(file); }
}

namespace {

/// The bytes of a closed store.
std::string sound_store(Journal journal) {
  const TempDir dir;
  Store store = must(Store::open(dir.file("a.db"), {.journal = journal, .sync = Sync::off, .page_size = 4096}));
  for (int i = 0; i < 60; ++i) REQUIRE_OK(store.put("key" + std::to_string(i), std::string(500, 'v')));
  REQUIRE_OK(store.put("large", std::string(50'000, 'l')));
  REQUIRE_OK(store.close());
  return read_file(dir.file("a.db"));
}

struct Outcome {
  std::string complaint;  ///< other codes than the wanted ones
  int met = 0;            ///< errors of the wanted code
};

/// All that reads, writes and rewrites, with a store that does not map its file.
template <class Wanted>
void use(const std::string& path, Journal journal, Wanted&& wanted, Outcome& out) {
  const auto judge = [&](const char* call, const auto& result) {
    if (result) return true;
    if (wanted(result.error().code())) {
      ++out.met;
    } else {
      out.complaint += std::string(call) + ": " + result.error().message() + "\n";
    }
    return false;
  };
  auto store = Store::open(path, {.journal = journal, .map_file = false, .background_checkpoints = false});
  if (!judge("open", store)) return;
  judge("get", store->get("key33"));
  judge("get large", store->get("large"));
  Range scan = store->all();
  for (auto [key, value] : scan) static_cast<void>(value.size());
  judge("scan", scan.status());
  judge("count", store->count());
  judge("integrity_check", store->integrity_check());
  judge("verify", store->verify());
  judge("put", store->put("key5", std::string(600, 'w')));
  judge("create", store->column_family("made"));
  judge("erase", store->erase("large"));
  judge("vacuum", store->vacuum());
  judge("compact", store->compact());
  judge("checkpoint", store->checkpoint(Checkpoint::truncate));
  judge("close", store->close());
}

/// Every nth call of a kind fails once.
template <class Wanted>
int each_call(Journal journal, Call call, int number, Wanted&& wanted) {
  const std::string sound = sound_store(journal);
  const TempDir dir;
  const std::string path = dir.file("a.db");
  int met = 0;
  for (int nth = 1;; nth += nth < 60 ? 1 : 23) {
    for (const char* suffix : {"", "-wal", "-shm", "-journal"}) std::filesystem::remove(path + suffix);
    write_file(path, sound);
    Outcome out;
    plan(call, nth, number);
    use(path, journal, wanted, out);
    const bool delivered = planned.delivered;
    plan(Call::none, 0, 0);
    CAPTURE(nth, number);
    CHECK(out.complaint == "");
    met += out.met;
    if (!delivered) return met;
  }
}

}  // namespace

TEST_CASE("a read that fails for a moment is no damage") {
  const Journal journal = GENERATE(Journal::wal, Journal::rollback);
  const int met = each_call(journal, Call::pread, EIO, [](Errc code) { return code == Errc::io_error; });
  CHECK(met > 0);
}

TEST_CASE("a process out of file descriptors is not told that its store is read-only") {
  const Journal journal = GENERATE(Journal::wal, Journal::rollback);
  const int number = GENERATE(EMFILE, ENFILE);
  const int met = each_call(journal, Call::open, number, [](Errc code) { return code == Errc::cant_open; });
  CHECK(met > 0);
}

TEST_CASE("a file that could not be opened for writing just now is not read-only") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  write_file(path, sound_store(Journal::rollback));
  plan(Call::open, 1, EACCES);
  REQUIRE_ERROR(Store::open(path), Errc::cant_open, "open");
  plan(Call::none, 0, 0);
  REQUIRE_OK(Store::open(path));
}

TEST_CASE("a full disk is one whatever call has found it so") {
  const int number = GENERATE(ENOSPC, EDQUOT);
  const Call call = GENERATE(Call::ftruncate, Call::pwrite, Call::fsync);
  CAPTURE(number, static_cast<int>(call));
  const auto full = [](Errc code) { return code == Errc::full; };
  for (const Journal journal : {Journal::wal, Journal::rollback}) each_call(journal, call, number, full);
}
