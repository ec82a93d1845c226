// The stock `sqlite3` command on a store's file, as another process.
//
// Another process because POSIX locks belong to the process: a second copy of SQLite in the process
// of an open store would drop the store's locks when it closes the file.
#pragma once

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

extern char** environ;

namespace snkv::test {

struct CliResult {
  int exit_code = -1;
  std::string output;  ///< What it printed, errors included, without the last newline.
};

/// Runs `sql` (or dot commands) on the file with the stock CLI; `flags` are more of its options.
inline CliResult run_sqlite_cli(const std::string& path, std::string_view sql,
                                std::vector<std::string> flags = {}) {
  std::vector<std::string> arguments = {"sqlite3", "-batch", "-bail",
                                        "-init",   "/dev/null", "-cmd",
                                        ".timeout 10000"};
  arguments.insert(arguments.end(), flags.begin(), flags.end());
  arguments.push_back(path);
  arguments.emplace_back(sql);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);

  std::array<int, 2> pipe_ends{};
  if (::pipe2(pipe_ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe for sqlite3");
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], STDERR_FILENO);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::pid_t child = 0;
  const int failure = ::posix_spawnp(&child, "sqlite3", &actions, nullptr, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(pipe_ends[1]);
  if (failure != 0) {
    ::close(pipe_ends[0]);
    throw std::runtime_error("cannot run sqlite3: apt-get install sqlite3");
  }

  CliResult result;
  std::array<char, 4096> buffer{};
  for (;;) {
    const ::ssize_t got = ::read(pipe_ends[0], buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    result.output.append(buffer.data(), static_cast<std::size_t>(got));
  }
  ::close(pipe_ends[0]);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  if (!result.output.empty() && result.output.back() == '\n') result.output.pop_back();
  return result;
}

/// The output of `sql`; throws when the CLI reports an error.
inline std::string sqlite_cli(const std::string& path, std::string_view sql,
                              std::vector<std::string> flags = {}) {
  CliResult result = run_sqlite_cli(path, sql, std::move(flags));
  if (result.exit_code != 0) {
    throw std::runtime_error("sqlite3: " + std::string(sql) + ": " + result.output);
  }
  return result.output;
}

}  // namespace snkv::test
