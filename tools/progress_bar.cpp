#include "progress_bar.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <utility>

namespace snkv::tool {

ProgressBar::ProgressBar(std::string what)
    : what_(std::move(what)), terminal_(::isatty(STDERR_FILENO) == 1) {}

ProgressBar::~ProgressBar() {
  if (terminal_) std::fputs("\r\033[K", stderr);
}

bool ProgressBar::operator()(std::uint64_t done, std::uint64_t total) {
  if (stop_signal() != 0) return false;
  const auto now = std::chrono::steady_clock::now();
  if (!terminal_ || now < next_) return true;
  next_ = now + std::chrono::milliseconds(50);
  constexpr std::size_t width = 40;
  const std::uint64_t part = total == 0 ? 0 : std::min(done, total) * 1000 / total;
  const std::size_t full = part * width / 1000;
  std::fprintf(stderr, "\r%s [%s%s] %3u%%\033[K", what_.c_str(), std::string(full, '#').c_str(),
               std::string(width - full, '.').c_str(), static_cast<unsigned>(part / 10));
  std::fflush(stderr);
  return true;
}

}  // namespace snkv::tool
