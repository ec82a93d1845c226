// What can be made to fail, and how: the faults of btree/fault.h and those of operator new.
#pragma once

#include "btree/fault.h"

#include <snkv/error.hpp>

#include <array>
#include <cstdint>
#include <string_view>

namespace snkv::test {

enum class Kind {
  io,             // any call to the system, of the engine or of the library: EIO
  full,           // writes: ENOSPC
  short_read,     // reads: half of the bytes
  sync,           // fsync
  shm,            // shared memory of the log's index
  busy,           // taking a lock: somebody else has it
  open,           // opening a file
  engine_memory,  // the engine's malloc
  memory,         // operator new
  all_memory,     // both, as when there really is none
};

inline constexpr std::array<std::string_view, 10> kind_names = {
    "io", "full", "short_read", "sync", "shm", "busy", "open", "engine_memory", "memory",
    "all_memory"};

inline bool is_memory(Kind kind) { return kind >= Kind::engine_memory; }

/// The nth call of a kind fails, and with `persistent` all after it.
struct Fault {
  Kind kind = Kind::io;
  bool persistent = false;
  std::uint64_t n = 1;
};

/// Before the first store is opened.
[[nodiscard]] bool install_faults();
/// For all threads.
void arm(const Fault& fault);
void disarm();
std::uint64_t faults_delivered();
/// Calls that could have failed since it was armed.
std::uint64_t calls_counted();

/// While it lives the allocations and the calls to the system of this thread are the test's own: they do
/// not fail.
class Paused {
 public:
  Paused() noexcept;
  Paused(const Paused&) = delete;
  Paused& operator=(const Paused&) = delete;
  ~Paused();

 private:
  bool before_;
};

bool is_paused() noexcept;

/// Blocks allocated by operator new and not freed.
std::int64_t live_blocks();

/// Whether `code` is what a caller may be told about a fault of this kind.
bool makes_sense(Kind kind, Errc code);

}  // namespace snkv::test
