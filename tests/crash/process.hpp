// Child processes of the crash tests: this program again, with other arguments.
//
// Always by exec, never by a bare fork: a store that the parent has open must not exist in a child.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

extern char** environ;

namespace snkv::test {

/// splitmix64: equal seeds give equal runs everywhere.
class Random {
 public:
  explicit Random(std::uint64_t seed) noexcept : state_(seed) {}
  std::uint64_t next() noexcept {
    state_ += 0x9e3779b97f4a7c15u;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  std::uint64_t below(std::uint64_t limit) noexcept { return next() % limit; }
  bool percent(std::uint64_t share) noexcept { return below(100) < share; }

 private:
  std::uint64_t state_;
};

/// A number from the environment, or the default.
inline std::uint64_t environment_number(const char* name, std::uint64_t fallback) {
  const char* text = std::getenv(name);
  return text == nullptr || *text == '\0' ? fallback : std::strtoull(text, nullptr, 10);
}

/// Temporary folders go to memory where possible; the disk is only tested when asked for.
inline void prefer_memory_for_temporary_files() {
  if (std::getenv("TMPDIR") == nullptr && ::access("/dev/shm", W_OK) == 0) {
    ::setenv("TMPDIR", "/dev/shm", 1);
  }
}

/// The two ends of a pipe, closed on exec and at the end of the scope.
class Pipe {
 public:
  Pipe() {
    if (::pipe2(ends_.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    close_read();
    close_write();
  }
  [[nodiscard]] int read_end() const noexcept { return ends_[0]; }
  [[nodiscard]] int write_end() const noexcept { return ends_[1]; }
  void close_read() noexcept { close_end(ends_[0]); }
  void close_write() noexcept { close_end(ends_[1]); }

 private:
  static void close_end(int& end) noexcept {
    if (end >= 0) ::close(end);
    end = -1;
  }
  std::array<int, 2> ends_{-1, -1};
};

/// A running child. Killed and waited for at the end of the scope.
class Child {
 public:
  Child() noexcept = default;
  /// Runs this program with `arguments`; `input` and `output` become its descriptors 3 and 4.
  explicit Child(std::vector<std::string> arguments, int input = -1, int output = -1) {
    arguments.insert(arguments.begin(), "/proc/self/exe");
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    // First out of the way: the source could be descriptor 3 or 4 itself.
    int spare_input = input >= 0 ? ::fcntl(input, F_DUPFD_CLOEXEC, 10) : -1;
    int spare_output = output >= 0 ? ::fcntl(output, F_DUPFD_CLOEXEC, 10) : -1;
    if (input >= 0) ::posix_spawn_file_actions_adddup2(&actions, spare_input, 3);
    if (output >= 0) ::posix_spawn_file_actions_adddup2(&actions, spare_output, 4);
    const int failure =
        ::posix_spawn(&pid_, "/proc/self/exe", &actions, nullptr, argv.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    if (spare_input >= 0) ::close(spare_input);
    if (spare_output >= 0) ::close(spare_output);
    if (failure != 0) throw std::runtime_error("cannot start a child");
  }
  Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
  Child& operator=(Child&& other) noexcept {
    if (this != &other) {
      kill_and_wait();
      pid_ = std::exchange(other.pid_, -1);
    }
    return *this;
  }
  ~Child() { kill_and_wait(); }

  [[nodiscard]] bool running() const noexcept { return pid_ > 0; }
  void send(int signal_number) const noexcept {
    if (pid_ > 0) ::kill(pid_, signal_number);
  }
  void kill_and_wait() noexcept {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    (void)wait();
  }
  /// The status as of waitpid.
  [[nodiscard]] int wait() noexcept {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return status;
  }
  /// Whether it has ended by itself; then `status` is that of waitpid.
  [[nodiscard]] bool ended(int& status) noexcept {
    if (pid_ <= 0 || ::waitpid(pid_, &status, WNOHANG) <= 0) return false;
    pid_ = -1;
    return true;
  }

 private:
  ::pid_t pid_ = -1;
};

inline bool exited_well(int status) { return WIFEXITED(status) && WEXITSTATUS(status) == 0; }

/// "exit code 3" or "signal 11".
inline std::string describe_status(int status) {
  if (WIFEXITED(status)) return "exit code " + std::to_string(WEXITSTATUS(status));
  return "signal " + std::to_string(WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

/// Writes all of it; false when the other end is gone.
inline bool write_all(int descriptor, const void* data, std::size_t size) {
  const char* at = static_cast<const char*>(data);
  while (size > 0) {
    const ::ssize_t written = ::write(descriptor, at, size);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    at += written;
    size -= static_cast<std::size_t>(written);
  }
  return true;
}

/// Everything up to the end of the file.
inline std::string read_to_end(int descriptor) {
  std::string bytes;
  std::array<char, 65536> buffer{};
  for (;;) {
    const ::ssize_t got = ::read(descriptor, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return bytes;
    bytes.append(buffer.data(), static_cast<std::size_t>(got));
  }
}

}  // namespace snkv::test
