/// \file
/// What keeps the acknowledged writes of a buffer until they are flushed: rows of many records in
/// an internal family of the store's file, and the newest of them in a file beside it
/// (tail_file.hpp).
///
/// The family is `snkv_journal_<name>`. Under the key of eight zero bytes it has the state: the
/// last sequence number that was flushed, and the epoch. Under the last sequence number of a row
/// (u64, big-endian), records.
///
/// In an encrypted store there is no tail: each group of records is a row at once, which the store
/// seals. With a tail, records are moved into rows when there are many; not while a flush has the
/// store's turn to write, for which `append` would else wait.
#pragma once

#include "buffer/tail_file.hpp"

#include <snkv/detail/core_abi.hpp>
#include <snkv/options.hpp>

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace snkv::buffer {

class Journal {
 public:
  Journal(core::Target store, std::string name, std::optional<Sync> sync);

  /// Whether the store has a journal of this name.
  [[nodiscard]] static Error exists(const core::Target& store, std::string_view name, bool& out);
  /// Takes the lock; makes the journal if it is not there.
  [[nodiscard]] Error open(const char* operation);
  /// Calls `use` for each record that was not flushed, in order. Once, before anything is added.
  [[nodiscard]] Error replay(const char* operation, const std::function<Error(const Record&)>& use);
  /// All that was replayed is flushed: begins anew.
  [[nodiscard]] Error begin(const char* operation);

  /// Adds complete records, whose checks it makes; the last of them has this sequence number. One
  /// thread at a time. When it returns they survive the end of the process, or with `safe` a power
  /// cut.
  [[nodiscard]] Error append(const char* operation, std::string& records, Sequence last, bool safe);

  /// A flush begins: until `flushed` or `not_flushed` the store's turn to write is not asked for.
  void flushing() noexcept { flushing_.store(true); }
  void not_flushed() noexcept { flushing_.store(false); }
  /// Erases what a flush makes superfluous, as a part of its transaction.
  [[nodiscard]] Error erase_through(const core::Target& transaction, Sequence last);
  /// The flush was committed.
  void flushed(Sequence last) noexcept;

  [[nodiscard]] Sequence last_flushed() const noexcept { return flushed_; }
  /// Bytes of records in the file beside the store.
  [[nodiscard]] std::uint64_t tail_bytes() const noexcept {
    const std::lock_guard lock(mutex_);
    return tail_.bytes();
  }
  /// Removes the file beside the store if it has nothing any more, and gives the lock back.
  void close() noexcept;
  /// Removes the journal altogether, with what it has.
  [[nodiscard]] Error drop(const char* operation);

 private:
  [[nodiscard]] core::Target rows() const { return {store_.store, family_, {}}; }
  [[nodiscard]] TailOwner owner() const noexcept { return {store_id_, family_id_, epoch_}; }
  [[nodiscard]] Error read_state(const char* operation);
  [[nodiscard]] Error write_state(const core::Target& target, Sequence flushed, std::uint64_t epoch,
                                  std::optional<Sync> sync);
  [[nodiscard]] std::optional<Sync> promise() const noexcept { return safe_.load() ? Sync::full : sync_; }
  [[nodiscard]] Error drain();

  const core::Target store_;
  const std::string name_;
  const std::optional<Sync> sync_;
  bool sealed_ = false;
  std::shared_ptr<const core::Family> family_;
  std::uint32_t family_id_ = 0;
  std::array<std::uint8_t, 16> store_id_{};
  std::uint64_t epoch_ = 0;
  std::atomic<bool> flushing_{false};
  bool replaying_ = false;  // until `begin`: the tail may not have been read yet

  mutable std::mutex mutex_;  // guards all below
  TailFile tail_;
  std::uint64_t next_drain_ = 0;  // bytes of the tail at which to try
  Sequence appended_ = 0;
  std::atomic<bool> safe_{false};  // somebody was promised that a write survives a power cut
  std::atomic<Sequence> flushed_{0};
};

}  // namespace snkv::buffer
