/// \file
/// The caller's progress function, kept from throwing through the engine [M7].
#pragma once

#include "core/user_code.hpp"

#include <snkv/error.hpp>
#include <snkv/options.hpp>

#include <cstdint>
#include <optional>

namespace snkv::core {

/// Passes progress on, and remembers when the caller wants no more. Used by one thread.
class ProgressReport {
 public:
  /// Of an operation on no store that the caller has.
  explicit ProgressReport(const Progress& function) noexcept : function_(function) {}
  /// `kind` tells what the function may do with the store.
  ProgressReport(const Progress& function, const StoreState& store, UserCode::Kind kind) noexcept
      : function_(function), store_(&store), kind_(kind) {}

  /// False when the work shall stop.
  [[nodiscard]] bool report(std::uint64_t done, std::uint64_t total) noexcept {
    if (stopped() || !function_) return !stopped();
    std::optional<UserCode> user_code;
    if (store_ != nullptr) user_code.emplace(*store_, kind_);
    try {
      stopped_ = !function_(done, total);
    } catch (...) {
      thrown_ = error_of_exception("");
    }
    return !stopped();
  }
  [[nodiscard]] bool stopped() const noexcept { return stopped_ || thrown_.failed(); }

  /// For `stopped`.
  [[nodiscard]] Error error(const char* operation) const {
    if (thrown_.failed()) return Error(thrown_.code(), operation, thrown_.detail());
    return Error(Errc::aborted, operation, "the progress function asked to stop");
  }

 private:
  const Progress& function_;
  const StoreState* store_ = nullptr;
  UserCode::Kind kind_ = UserCode::Kind::reads;
  bool stopped_ = false;
  Error thrown_;
};

}  // namespace snkv::core
