// What a checkpoint tells while another process commits. The locks of the file come through here (--wrap,
// see CMakeLists.txt), so that the other process can do it at the one moment that matters.
#include "support/catch.hpp"
#include "support/check.hpp"
#include "support/encrypted.hpp"
#include "support/sqlite_cli.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <fcntl.h>

#include <cstdarg>
#include <functional>
#include <string>
#include <utility>

using namespace snkv;
using namespace snkv::test;

namespace {

/// Called once, when a checkpoint has copied what it could and lets go of the lock on it.
std::function<void()> after_copying;

/// The byte of the wal-index by whose lock others may start the log anew (WAL_READ_LOCK(0)).
constexpr ::off_t copying_lock = 123;

int passed_on(int result, int command, const void* argument) {
  if (result != 0 || command != F_SETLK || !after_copying) return result;
  const auto& lock = *static_cast<const struct ::flock*>(argument);
  if (lock.l_type == F_UNLCK && lock.l_start == copying_lock) std::exchange(after_copying, {})();
  return result;
}

}  // namespace

extern "C" {
int __real_fcntl(int file, int command, ...);
int __real_fcntl64(int file, int command, ...);
int __wrap_fcntl(int file, int command, ...) {
  std::va_list arguments;
  va_start(arguments, command);
  void* const argument = va_arg(arguments, void*);
  va_end(arguments);
  return passed_on(__real_fcntl(file, command, argument), command, argument);
}
int __wrap_fcntl64(int file, int command, ...) {
  std::va_list arguments;
  va_start(arguments, command);
  void* const argument = va_arg(arguments, void*);
  va_end(arguments);
  return passed_on(__real_fcntl64(file, command, argument), command, argument);
}
}

TEST_CASE("a log that is started anew at the end of its checkpoint was copied as a whole") {
  const TempDir dir;
  const std::string path = dir.file("test.db");
  Store store = must(open_store(path, {.wal_autocheckpoint = 0}));
  for (int i = 0; i < 20; ++i) REQUIRE_OK(store.put("key", std::to_string(i)));
  bool committed = false;
  after_copying = [&] {
    sqlite_cli(path, "CREATE TABLE other(a)");
    committed = true;
  };
  const CheckpointResult result = must(store.checkpoint(Checkpoint::passive));
  REQUIRE(committed);
  CHECK(result.wal_frames >= 20);
  CHECK(result.checkpointed == result.wal_frames);
  // What began after it is of the new log.
  const CheckpointResult next = must(store.checkpoint(Checkpoint::passive));
  CHECK(next.wal_frames < result.wal_frames);
  CHECK(must(store.get("key")) == "19");
}
