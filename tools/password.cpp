#include "password.hpp"

#include "interruption.hpp"

#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <istream>
#include <utility>

namespace snkv::tool {
namespace {

constexpr std::size_t longest = 4096;
constexpr char interrupt = '\x03';

void wipe_text(std::string& text) {
  wipe({reinterpret_cast<std::byte*>(text.data()), text.size()});
  text.clear();
}

/// With room from the start, so that no shorter copy of it stays anywhere.
std::string roomy() {
  std::string text;
  text.reserve(longest);
  return text;
}

/// The terminal, with what is typed not shown while this lives.
class SilentTerminal {
 public:
  // Signals that are sent to it must not leave it silent.
  SilentTerminal() : file_(::open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY)) {
    if (file_ < 0) return;
    if (::tcgetattr(file_, &before_) != 0) {
      ::close(std::exchange(file_, -1));
      return;
    }
    ::termios silent = before_;
    // Without ISIG, or an interrupt would leave the terminal silent.
    silent.c_lflag &= ~static_cast<::tcflag_t>(ECHO | ISIG);
    ::tcsetattr(file_, TCSAFLUSH, &silent);
  }
  SilentTerminal(const SilentTerminal&) = delete;
  SilentTerminal& operator=(const SilentTerminal&) = delete;
  ~SilentTerminal() {
    if (file_ < 0) return;
    ::tcsetattr(file_, TCSAFLUSH, &before_);
    ::close(file_);
  }

  [[nodiscard]] bool is_there() const noexcept { return file_ >= 0; }

  [[nodiscard]] std::string ask(std::string_view question) const {
    say(question);
    std::string line = roomy();
    for (;;) {
      char c = 0;
      Interruptible::wait_for_input(file_);
      if (stop_signal() != 0) {
        wipe_text(line);
        say("\n");
        throw Stopped{stop_signal(), "no password was typed, nothing was changed"};
      }
      const ::ssize_t got = ::read(file_, &c, 1);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0 || c == interrupt) {
        wipe_text(line);
        say("\n");
        throw Misuse{"no password was typed"};
      }
      if (c == '\n') break;
      if (line.size() == longest) {
        wipe_text(line);
        throw Misuse{"the password is too long"};
      }
      line += c;
    }
    say("\n");
    return line;
  }

 private:
  void say(std::string_view text) const {
    // A question that cannot be shown will not be answered either.
    static_cast<void>(!::write(file_, text.data(), text.size()));
  }

  Interruptible interruptible_;
  int file_;
  ::termios before_{};
};

}  // namespace

std::string given_password(const Arguments& arguments, const PasswordSource& source) {
  const std::string path = arguments.option(source.option);
  if (path.empty()) {
    const char* variable = std::getenv(source.variable);
    return variable == nullptr ? "" : variable;
  }
  std::ifstream file;
  if (path != "-") file.open(path, std::ios::binary);
  std::istream& from = path == "-" ? std::cin : file;
  std::string line = roomy();
  if (!from || !std::getline(from, line)) throw Misuse{"cannot read a password from " + path};
  return line;
}

Secret password(const Arguments& arguments, const PasswordSource& source) {
  std::string text = given_password(arguments, source);
  if (!text.empty()) return Secret::password_from(text);
  const bool is_new = &source == &new_password;
  const SilentTerminal terminal;
  if (!terminal.is_there()) {
    throw Misuse{"a password is needed: --" + std::string(source.option) + ", or $" + source.variable};
  }
  text = terminal.ask(is_new ? "new password: " : "password: ");
  if (is_new) {
    std::string again = terminal.ask("once more: ");
    const bool same = again == text;
    wipe_text(again);
    if (!same) {
      wipe_text(text);
      throw Misuse{"that was another password than the first time"};
    }
  }
  return Secret::password_from(text);
}

}  // namespace snkv::tool
