/// \file
/// Whether anybody has committed something: this handle, another one, or another process.
#pragma once

#include "btree/connection.hpp"

#include <snkv/error.hpp>

#include <cstdint>
#include <mutex>

namespace snkv::core {

class StoreState;

/// Counts changes by a read connection of its own, for which the engine tells that others have
/// committed. It is opened when it is first asked.
///
/// Threads: any number.
class ChangeWatcher {
 public:
  /// The number of times that something new was seen; at least 1. Several commits between two looks
  /// may count once.
  [[nodiscard]] Error look(const char* operation, StoreState& store, std::uint64_t& seen);
  void close() noexcept;
  /// In a forked child: forgets the connection without touching its files.
  void leak() noexcept;

 private:
  std::mutex mutex_;
  btree::Connection connection_;
  std::uint32_t version_ = 0;
  std::uint64_t seen_ = 0;
};

}  // namespace snkv::core
