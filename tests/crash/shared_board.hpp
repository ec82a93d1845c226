// What the processes of the multi-process test tell each other: counters in shared memory. They
// outlive a SIGKILL, and an acknowledgement is there the moment it is given.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <new>
#include <stdexcept>
#include <string>

namespace snkv::test {

inline constexpr std::size_t max_writers = 16;

struct Board {
  using Counter = std::atomic<std::uint64_t>;
  static_assert(Counter::is_always_lock_free, "must work between processes");

  std::array<Counter, max_writers> begun{};         ///< Last transaction each writer started.
  std::array<Counter, max_writers> acknowledged{};  ///< Last one whose commit returned.
  Counter newest_seen{0};  ///< Highest total number of transactions that any reader has seen.
  Counter reads{0};
  Counter checkpoints{0};
  std::atomic<std::uint32_t> stop{0};

  static void raise(Counter& counter, std::uint64_t value) noexcept {
    std::uint64_t old = counter.load();
    while (old < value && !counter.compare_exchange_weak(old, value)) {
    }
  }
};

/// A board in a file, mapped into this process.
class SharedBoard {
 public:
  enum class Mode { create, attach };
  SharedBoard(const std::string& path, Mode mode) {
    const int flags = mode == Mode::create ? O_RDWR | O_CREAT | O_EXCL : O_RDWR;
    const int file = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
    if (file < 0) throw std::runtime_error("cannot open the board " + path);
    if (mode == Mode::create && ::ftruncate(file, sizeof(Board)) != 0) {
      throw std::runtime_error("cannot size the board");
    }
    void* memory = ::mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    ::close(file);
    if (memory == MAP_FAILED) throw std::runtime_error("cannot map the board");
    board_ = mode == Mode::create ? ::new (memory) Board : static_cast<Board*>(memory);
  }
  SharedBoard(const SharedBoard&) = delete;
  SharedBoard& operator=(const SharedBoard&) = delete;
  ~SharedBoard() { ::munmap(board_, sizeof(Board)); }

  [[nodiscard]] Board* operator->() const noexcept { return board_; }
  [[nodiscard]] Board& operator*() const noexcept { return *board_; }

 private:
  Board* board_ = nullptr;
};

}  // namespace snkv::test
