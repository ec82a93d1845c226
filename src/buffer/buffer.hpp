/// \file
/// The state behind a `WriteBuffer`: two tables, a journal, and the thread that flushes.
///
/// Writers take turns: who has the turn adds versions to the active table. Without a journal they
/// are visible at once. With one, the writes that were added while others were being made safe form
/// a group, which the next of them makes safe and visible. What is not visible yet nobody reads,
/// and it is undone if it cannot be made safe.
///
/// Locks, in the order in which one thread may take several: turn_, commit_mutex_, pending_mutex_
/// or state_mutex_. The thread that flushes takes the turn only while no table is frozen, because
/// who has the turn may wait for it.
#pragma once

#include "buffer/journal.hpp"
#include "buffer/view.hpp"
#include "core/overlay.hpp"
#include "core/worker.hpp"

#include <snkv/detail/buffer_abi.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace snkv::buffer {

/// One operation of a write.
struct Step {
  char tag = 0;  ///< as in records
  const std::shared_ptr<const core::Family>* family = nullptr;
  BytesView first;
  BytesView second;
  std::int64_t expires_at = 0;
};

class Buffer final : public core::Overlay, public std::enable_shared_from_this<Buffer> {
 public:
  Buffer(core::Target store, WriteBufferOptions options);
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() override;

  [[nodiscard]] Error open();
  [[nodiscard]] Error flush();
  [[nodiscard]] Error close();
  [[nodiscard]] Error stats(WriteBufferStats& out);
  [[nodiscard]] Error check(const char* operation) const;

  // ---- Overlay ----
  [[nodiscard]] Error get(const char* operation, const core::Target& target, BytesView key,
                          Bytes& value) override;
  [[nodiscard]] Error contains(const core::Target& target, BytesView key, bool& found) override;
  [[nodiscard]] Error ttl(const core::Target& target, BytesView key,
                          std::optional<std::chrono::milliseconds>& remaining) override;
  [[nodiscard]] Error multi_get(const core::Target& target, const BytesView* keys,
                                std::size_t count, std::optional<Bytes>* values) override;
  [[nodiscard]] Error count(const char* operation, const core::Target& target,
                            const core::Counted& counted, std::uint64_t& entries) override;
  [[nodiscard]] core::Cursor* open_cursor(const core::Target& target, core::KeyRange range,
                                          const ScanOptions& options) noexcept override;
  [[nodiscard]] Error put(const core::Target& target, BytesView key, BytesView value,
                          const PutOptions& options) override;
  [[nodiscard]] Error erase(const core::Target& target, BytesView key, const WriteOptions& options,
                            bool& existed) override;
  [[nodiscard]] Error erase_range(const char* operation, const core::Target& target,
                                  const core::KeyRange& range, const WriteOptions& options,
                                  std::uint64_t* erased) override;
  [[nodiscard]] Error set_expiry(const char* operation, const core::Target& target, BytesView key,
                                 const PutOptions& options) override;
  [[nodiscard]] Error update(const char* operation, const core::Target& target, BytesView key,
                             const PutOptions& options, bool keeps_expiry,
                             core::UpdateFunction decide, void* context) override;
  [[nodiscard]] Error write_batch(const core::Target& target, BytesView batch,
                                  const WriteOptions& options) override;

 private:
  /// Writes that are made safe together. Guarded by pending_mutex_ while it is pending_, then by
  /// commit_mutex_.
  struct Group {
    std::string records;
    std::vector<Version*> versions;
    std::shared_ptr<Memtable> table;
    Sequence first = 0;
    Sequence last = 0;
    bool has_ranges = false;
    bool safe = false;
    bool done = false;
    Error error;
  };

  class Turn;

  /// What the tables say of a key.
  enum class Says { nothing, erased, put };
  [[nodiscard]] Says look_up(const Tables& tables, std::uint32_t family, BytesView key,
                             Sequence as_of, std::int64_t* now, const Version*& version) const;
  /// The entry as it is now, of the tables or the store; `not_found`.
  [[nodiscard]] Error find(const char* operation, const core::Target& target, BytesView key,
                           Bytes& value, std::optional<std::int64_t>& expires_at) const;
  [[nodiscard]] core::Target under(const core::Target& target) const {
    return {store_.store, target.family, {}};
  }
  [[nodiscard]] std::shared_ptr<const Tables> tables(Sequence* as_of = nullptr) const;
  /// Both at one instant.
  [[nodiscard]] Error view(const char* operation, const core::Target& target, View& out) const;
  [[nodiscard]] Error count_in(const char* operation, const View& view,
                               const core::Counted& counted, std::uint64_t& entries) const;

  [[nodiscard]] Error take_turn(const char* operation, Turn& turn);
  /// Writes the steps, all or none. `through` writes the same to the store, if they are too large
  /// for a table.
  template <class Through>
  [[nodiscard]] Error write(const char* operation, Turn& turn, const Step* steps, std::size_t count,
                            std::optional<Sync> sync, Through&& through);
  template <class Through>
  [[nodiscard]] Error write_one(const char* operation, Turn& turn, const Step& step,
                                std::optional<Sync> sync, Through&& through) {
    return write(operation, turn, &step, 1, sync, through);
  }
  [[nodiscard]] Error write_steps(const char* operation, Turn& turn, const Step* steps,
                                  std::size_t count, std::optional<Sync> sync);
  /// Sees to it that a write of this size has room in the active table.
  [[nodiscard]] Error admit(const char* operation, std::size_t bytes, bool ranges);
  /// Waits until no table is frozen; the error if an attempt to flush it fails meanwhile.
  [[nodiscard]] Error wait_for_flush(const char* operation, std::unique_lock<std::mutex>& state,
                                     bool retry);
  [[nodiscard]] Error empty_tables(const char* operation);
  [[nodiscard]] Error take_kept_error(const char* operation);
  void rotate();
  [[nodiscard]] Error make_safe(const char* operation, const std::shared_ptr<Group>& group);
  void make_pending_safe();
  [[nodiscard]] std::shared_ptr<Memtable> new_table() const;

  // The thread that flushes.
  void run() noexcept;
  [[nodiscard]] bool flush_frozen() noexcept;
  [[nodiscard]] bool tell_error(const Error& error) noexcept;
  [[nodiscard]] Error write_out(const Memtable& table, Sequence last);
  [[nodiscard]] Error write_family(const core::Target& transaction, const Tables& tables,
                                   const std::shared_ptr<const core::Family>& family);
  [[nodiscard]] Error replay();
  void end() noexcept;

  core::Target store_;  // bound to nothing
  const WriteBufferOptions options_;
  bool registered_ = false;
  std::unique_ptr<Journal> journal_;
  std::atomic<bool> closed_{true};
  std::atomic<bool> promised_full_{false};
  std::uint64_t replayed_ = 0;

  std::mutex turn_;
  std::atomic<std::thread::id> turn_owner_{};
  Sequence last_sequence_ = 0;        // for who has the turn
  std::shared_ptr<Memtable> active_;  // for who has the turn: the one of tables_

  std::mutex pending_mutex_;
  std::shared_ptr<Group> pending_;
  std::mutex commit_mutex_;
  std::atomic<Sequence> visible_{0};

  mutable std::mutex state_mutex_;  // guards all below
  std::condition_variable changed_;
  std::shared_ptr<const Tables> tables_;
  std::optional<std::chrono::steady_clock::time_point>
      oldest_;  // when the active table was first written to
  Sequence frozen_last_ = 0;
  std::uint64_t flushes_ = 0;
  std::uint64_t failures_ = 0;
  std::uint64_t waits_ = 0;
  Error kept_error_;
  Error last_error_;
  bool retry_now_ = false;
  std::chrono::steady_clock::time_point retry_at_{};
  std::chrono::milliseconds pause_{0};
  bool stopping_ = false;

  std::atomic<std::thread::id> worker_id_{};
  bool* gone_ = nullptr;  // for the thread that flushes: set when the buffer is destroyed by it
  core::WorkerPlace worker_;
};

}  // namespace snkv::buffer
