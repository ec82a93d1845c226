#include "progress.hpp"

#include <sys/ioctl.h>
#include <unistd.h>
#include <algorithm>
#include <cstdio>
#include <utility>

namespace demo {
namespace {

unsigned terminal_width() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

}  // namespace

std::string human_bytes(double bytes) {
  const char* const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  for (; bytes >= 1024 && unit + 1 < std::size(units); ++unit) bytes /= 1024;
  char text[32];
  std::snprintf(text, sizeof(text), unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
  return text;
}

std::string human_count(std::uint64_t count) {
  std::string out;
  const std::string digits = std::to_string(count);
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) out += ' ';
    out += digits[i];
  }
  return out;
}

Progress::Progress(std::string what, std::uint64_t files, std::uint64_t bytes)
    : what_(std::move(what)),
      files_(files),
      bytes_(bytes),
      terminal_(::isatty(STDOUT_FILENO) == 1) {
  if (!terminal_) next_ = began_ + std::chrono::seconds(2);
}

Progress::~Progress() {
  if (terminal_) std::printf("\r\033[K");  // the summary takes the bar's place
}

void Progress::add(std::uint64_t bytes) {
  ++files_done_;
  bytes_done_ += bytes;
  const auto now = Clock::now();
  if (now < next_) return;
  if (terminal_) {
    draw_bar();
    next_ = now + std::chrono::milliseconds(50);
  } else {
    print_line();
    next_ = now + std::chrono::seconds(2);
  }
}

double Progress::seconds() const {
  return std::chrono::duration<double>(Clock::now() - began_).count();
}

/// How much is done, from 0 to 1. A file costs something for being a file, and something for its
/// bytes.
double Progress::share() const {
  const double all = static_cast<double>(bytes_) + 4096.0 * static_cast<double>(files_);
  const double done = static_cast<double>(bytes_done_) + 4096.0 * static_cast<double>(files_done_);
  return all == 0 ? 1 : std::min(1.0, done / all);
}

void Progress::draw_bar() const {
  const double rate = static_cast<double>(files_done_) / std::max(seconds(), 1e-6);
  char numbers[96];
  std::snprintf(numbers, sizeof(numbers), " %3.0f%%  %s files  %s  %s/s", 100 * share(),
                human_count(files_done_).c_str(),
                human_bytes(static_cast<double>(bytes_done_)).c_str(),
                human_count(static_cast<std::uint64_t>(rate)).c_str());
  const std::size_t around = what_.size() + 3 + std::string(numbers).size();
  const std::size_t width = terminal_width() - 1;
  std::string line = what_;
  if (width > around + 4) {
    const std::size_t room = std::min<std::size_t>(width - around, 40);
    const auto full = static_cast<std::size_t>(share() * static_cast<double>(room));
    line += " [";
    line.append(full, '#').append(room - full, '.');
    line += ']';
  }
  line += numbers;
  line.resize(std::min(line.size(), width));
  std::printf("\r%s\033[K", line.c_str());
  std::fflush(stdout);
}

void Progress::print_line() const {
  std::printf("%s: %s of %s files, %s\n", what_.c_str(), human_count(files_done_).c_str(),
              human_count(files_).c_str(), human_bytes(static_cast<double>(bytes_done_)).c_str());
  std::fflush(stdout);
}

}  // namespace demo
