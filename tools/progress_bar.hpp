/// \file
/// How the tool shows how far it is: a bar, if the standard error is a terminal.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace snkv::tool {

class ProgressBar {
 public:
  explicit ProgressBar(std::string what);
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  /// The bar goes away.
  ~ProgressBar();

  /// As a `Progress` of the library.
  bool operator()(std::uint64_t done, std::uint64_t total);

 private:
  std::string what_;
  bool terminal_;
  std::chrono::steady_clock::time_point next_{};
};

}  // namespace snkv::tool
