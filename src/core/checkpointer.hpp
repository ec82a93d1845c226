/// \file
/// The thread that copies the log into the file beside the writers.
#pragma once

#include "btree/connection.hpp"
#include "core/worker.hpp"

#include <snkv/stats.hpp>

#include <optional>

namespace snkv::core {

class StoreState;

/// Runs passive checkpoints, one for each that is asked for, on a connection of its own. The thread and the
/// connection come with the first. When to copy is for the writer to decide, see `StoreState::after_commit`.
class Checkpointer {
 public:
  ~Checkpointer() { stop(); }

  /// Asks for a checkpoint, while none is under way and nobody stops it. False if there is no thread,
  /// connection or memory for it.
  [[nodiscard]] bool request(StoreState& store) noexcept;
  /// Whether a checkpoint that was asked for has not ended.
  [[nodiscard]] bool working() noexcept;
  /// What the last checkpoint did, once; nothing if it failed.
  [[nodiscard]] std::optional<CheckpointResult> take_result() noexcept;
  /// Waits for a checkpoint that is under way. Harmless if it was not started, and it may be again.
  void stop() noexcept;
  /// In a forked child, where the thread does not exist.
  void leak() noexcept;

 private:
  void run(StoreState& store) noexcept;

  WorkerPlace worker_;
  // Guarded by the worker's mutex.
  bool working_ = false;
  std::optional<CheckpointResult> result_;
  btree::Connection connection_;  // the thread's, while there is one
};

}  // namespace snkv::core
