// A piece of a test in a forked child, which reports back what it found wrong.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <exception>
#include <stdexcept>
#include <string>

namespace snkv::test {

/// Forks, runs `body` in the child and returns the std::string it returned ("" by convention: all
/// well). A child that dies says so. The child leaves by _exit: no destructor of the test runs
/// there, only those of what `body` made. Not while other threads run.
template <class Body>
[[nodiscard]] std::string in_child(Body&& body) {
  std::array<int, 2> pipe_ends{};
  if (::pipe(pipe_ends.data()) != 0) throw std::runtime_error("no pipe for a child");
  const ::pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("cannot fork");
  if (child == 0) {
    ::close(pipe_ends[0]);
    std::string report;
    try {
      report = body();
    } catch (const std::exception& caught) {
      report = std::string("exception in the child: ") + caught.what();
    } catch (...) {
      report = "exception in the child";
    }
    const ::ssize_t written = ::write(pipe_ends[1], report.data(), report.size());
    ::_exit(written == static_cast<::ssize_t>(report.size()) ? 0 : 1);
  }
  ::close(pipe_ends[1]);
  std::string report;
  std::array<char, 1024> buffer{};
  for (;;) {
    const ::ssize_t got = ::read(pipe_ends[0], buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    report.append(buffer.data(), static_cast<std::size_t>(got));
  }
  ::close(pipe_ends[0]);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    report += " (the child died, status " + std::to_string(status) + ")";
  }
  return report;
}

}  // namespace snkv::test
