/// \file
/// How the tool shows how far it is: a bar, if the standard error is a terminal. And how it is stopped.
#pragma once

#include "interruption.hpp"

#include <chrono>
#include <cstdint>
#include <string>

namespace snkv::tool {

/// While there is a bar, signals end what it shows cleanly.
class ProgressBar {
 public:
  explicit ProgressBar(std::string what);
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  /// The bar goes away.
  ~ProgressBar();

  /// As a `Progress` of the library: to stop when a signal has asked to.
  bool operator()(std::uint64_t done, std::uint64_t total);

 private:
  Interruptible interruptible_;
  std::string what_;
  bool terminal_;
  std::chrono::steady_clock::time_point next_{};
};

}  // namespace snkv::tool
