/// \file
/// The caller's progress function, kept from throwing through the engine [M7].
#pragma once

#include <snkv/error.hpp>
#include <snkv/options.hpp>

#include <cstdint>

namespace snkv::core {

/// Passes progress on, and remembers when the caller wants no more. Used by one thread.
class ProgressReport {
 public:
  explicit ProgressReport(const Progress& function) noexcept : function_(function) {}

  /// False when the work shall stop.
  [[nodiscard]] bool report(std::uint64_t done, std::uint64_t total) noexcept {
    if (stopped() || !function_) return !stopped();
    try {
      stopped_ = !function_(done, total);
    } catch (...) {
      threw_ = true;
    }
    return !stopped();
  }
  [[nodiscard]] bool stopped() const noexcept { return stopped_ || threw_; }

  /// For `stopped`.
  [[nodiscard]] Error error(const char* operation) const {
    return Error(Errc::aborted, operation,
                 threw_ ? "the progress function threw an exception"
                        : "the progress function asked to stop");
  }

 private:
  const Progress& function_;
  bool stopped_ = false;
  bool threw_ = false;
};

}  // namespace snkv::core
