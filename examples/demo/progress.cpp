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

Progress::Progress(std::string what, std::uint64_t count, std::uint64_t bytes, std::string unit)
    : what_(std::move(what)),
      unit_(std::move(unit)),
      count_(count),
      bytes_(bytes),
      terminal_(::isatty(STDOUT_FILENO) == 1) {
  if (!terminal_) next_ = began_ + std::chrono::seconds(2);
}

Progress::~Progress() {
  if (terminal_) std::printf("\r\033[K");  // the summary takes the bar's place
}

void Progress::add(std::uint64_t bytes) {
  ++done_;
  bytes_done_ += bytes;
  show();
}

void Progress::set(std::uint64_t done) {
  done_ = done;
  show();
}

void Progress::show() {
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
  const double all = static_cast<double>(bytes_) + 4096.0 * static_cast<double>(count_);
  const double done = static_cast<double>(bytes_done_) + 4096.0 * static_cast<double>(done_);
  return all == 0 ? 1 : std::min(1.0, done / all);
}

void Progress::draw_bar() const {
  const double rate = static_cast<double>(done_) / std::max(seconds(), 1e-6);
  char percent[16];
  std::snprintf(percent, sizeof(percent), " %3.0f%%  ", 100 * share());
  const std::string numbers =
      percent + amount() + "  " + human_count(static_cast<std::uint64_t>(rate)) + "/s";
  const std::size_t around = what_.size() + 3 + numbers.size();
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
  std::printf("%s: %s of %s\n", what_.c_str(), amount().c_str(), human_count(count_).c_str());
  std::fflush(stdout);
}

/// How much is done, with units.
std::string Progress::amount() const {
  std::string out = human_count(done_) + ' ' + unit_;
  if (bytes_ > 0) out += "  " + human_bytes(static_cast<double>(bytes_done_));
  return out;
}

}  // namespace demo
