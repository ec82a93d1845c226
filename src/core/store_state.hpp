/// \file
/// Everything behind an open `Store`: its connections, the queue of its writers, its counters.
#pragma once

#include "btree/connection.hpp"
#include "core/attachments.hpp"
#include "core/change_feed.hpp"
#include "core/change_watcher.hpp"
#include "core/checkpointer.hpp"
#include "core/cipher.hpp"
#include "core/counters.hpp"
#include "core/fork_guard.hpp"
#include "core/housekeeper.hpp"
#include "core/latency.hpp"
#include "core/open_buffers.hpp"
#include "core/read_releaser.hpp"
#include "core/reader_pool.hpp"
#include "core/scope.hpp"
#include "core/write_queue.hpp"
#include "core/write_session.hpp"

#include <snkv/encryption.hpp>
#include <snkv/error.hpp>
#include <snkv/options.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace snkv::core {

/// What an encrypted store is opened or made with.
struct Unlock {
  const Secret& secret;
  const EncryptionOptions& options;
};

class KeyHeader;

class StoreState {
 public:
  enum class Role { writer, reader };

  StoreState(std::string path, bool in_memory, Options options);
  StoreState(const StoreState&) = delete;
  StoreState& operator=(const StoreState&) = delete;
  ~StoreState();

  /// Opens the file, makes it a store if it is empty, checks its format. `unlock` is null for a store that
  /// is not encrypted.
  [[nodiscard]] Error open(const Unlock* unlock = nullptr);
  /// For a new file that goes away if anything fails: nothing of it is written beside it.
  [[nodiscard]] Error keep_no_journal(const char* operation) {
    const int rc = writer.execute("PRAGMA journal_mode=MEMORY");
    return rc == SNKV_BT_OK ? Error() : writer.sql_error(operation, rc);
  }
  /// Fails with `busy` while anything is open.
  [[nodiscard]] Error close();

  /// `closed` or `forked`; the first thing that each operation asks.
  [[nodiscard]] Error check(const char* operation) const {
    if (fork_guard.forked()) return Error(Errc::forked, operation, "");
    if (closed_.load(std::memory_order_acquire)) return Error(Errc::closed, operation, "");
    return {};
  }

  /// Whether a reader may keep its transaction for the next read.
  [[nodiscard]] bool keeps_reads() const noexcept { return keeps_reads_; }

  /// A connection for one purpose, with the pragmas of the options.
  [[nodiscard]] Error open_connection(const char* operation, btree::Connection& connection, Role role);

  /// `moved` if the file or its log is no longer where it was opened. Asked before anything is called safe;
  /// from the first time on nothing more is written. `bt` is any connection of the caller's.
  [[nodiscard]] Error check_place(const char* operation, snkv_bt* bt) noexcept;

  /// Waits for the turn to write, as long as the busy timeout allows.
  [[nodiscard]] Error enter_write_queue(const char* operation, WriteQueue::Waiter& waiter);
  /// Carries out an operation in a transaction of its own, or of a group.
  [[nodiscard]] Error write(const char* operation, const WriteOperation& work);
  /// Sees to it that the log is copied when it is long enough. Called by the head of the queue, outside a
  /// transaction.
  void after_commit() noexcept;
  /// One attempt, that waits for readers at most `patience`. For the head of the queue.
  [[nodiscard]] Error checkpoint(const char* operation, Checkpoint mode,
                                 std::chrono::milliseconds patience, CheckpointResult& out) {
    return checkpoint(writer, operation, mode, patience, out);
  }
  /// Copies what can be copied. A failure is told to the log too; not that others were in the way.
  Error try_checkpoint(btree::Connection& connection, CheckpointResult& out) noexcept;
  /// A transaction begins whose commit promises `sync`: `level` is what the engine is to be told. For the
  /// head of the queue; an engine code.
  [[nodiscard]] int promise(std::optional<Sync> sync, int& level) noexcept;

  /// Whether another store of this process has the file open.
  [[nodiscard]] bool others_open() const noexcept;
  /// Ends the read transactions that idle readers of this process keep on the file.
  void release_kept_reads() noexcept;
  /// Empties the log if nobody is in the way. For the housekeeper.
  void empty_idle_log() noexcept;
  /// Hands a message to the caller's log.
  void log(LogLevel level, std::string_view message) const noexcept;

  /// Milliseconds since the Unix epoch. Throws what `Options::clock` does.
  [[nodiscard]] std::int64_t now() const;
  /// The same, or what the clock told before if it throws.
  [[nodiscard]] std::int64_t now_or_before() const noexcept;
  /// What the engine is told for a commit that promises `sync`; empty: what the options say.
  [[nodiscard]] int sync_level(std::optional<Sync> sync = {}) const noexcept {
    const Sync promised = sync.value_or(options.sync);
    // With a rollback journal the folder has to be synced too: else a power cut may bring a deleted
    // journal back, and undo a commit, or damage a file that was made shorter since.
    if (promised == Sync::full && options.journal == Journal::rollback) return 3;
    return static_cast<int>(promised);
  }

  const std::string path;  ///< As it was given.
  /// Where the file is, links followed, wherever the process goes meanwhile.
  const std::string file;
  const bool in_memory;
  const Options options;
  const ForkGuard fork_guard;

  Counters counters;
  Latencies latencies;
  ChangeFeed feed;
  ChangeWatcher watcher;
  PinRegistry pins;
  OpenBuffers buffers;
  Attachments attachments;
  ReaderPool readers;
  ReadReleaser releaser;
  WriteQueue queue;
  SharedCatalog shared_catalog;
  /// The keys of an encrypted store; null if it is not. Set while it is opened.
  std::unique_ptr<Cipher> cipher;
  /// The write connection and its transaction: for the head of the queue.
  btree::Connection writer;
  WriteSession session;
  /// Smallest id that this store has not given to a family. For the head of the queue.
  std::int64_t next_family_id = 0;
  /// The next store that is to be destroyed, see `Operation`.
  StoreState* next_doomed = nullptr;

 private:
  [[nodiscard]] Error close_if_unused(Error& place);
  [[nodiscard]] Error explain(const char* operation, const Error& error) const;
  [[nodiscard]] Error check_identity(const char* operation, btree::Connection& connection) noexcept;
  [[nodiscard]] int connect(btree::Connection& connection, Role role) const;
  [[nodiscard]] bool reads_without_log() const;
  void heal_log_files(btree::Connection& connection) const noexcept;
  [[nodiscard]] Error check_immutable(const char* operation) const;
  [[nodiscard]] Error check_journal(const char* operation, btree::Connection& connection) const;
  [[nodiscard]] Error check_log(const char* operation, btree::Connection& connection) const;
  [[nodiscard]] Error check_beside(const char* operation, btree::Connection& connection);
  [[nodiscard]] snkv_bt_place place_of_names() const noexcept;
  [[nodiscard]] Error last_look(const char* operation) noexcept;
  [[nodiscard]] Error error_moved(const char* operation, snkv_bt_place place) const noexcept;
  /// What a writer with a rollback journal has left when it died is rolled back by whoever opens the file
  /// next, also if that is only to read it.
  [[nodiscard]] Error roll_back_dead_writer() const;
  [[nodiscard]] Error unreadable(int rc) const;
  [[nodiscard]] Error check_empty(btree::Connection& connection, bool& empty) const;
  [[nodiscard]] Error make_private_file() const;
  void clear_up() const noexcept;
  /// Unless another process has done so meanwhile.
  [[nodiscard]] Error create(btree::Connection& connection, const Unlock* unlock);
  /// `keys` is null for a store that is not encrypted.
  [[nodiscard]] Error initialise(btree::Connection& connection, const KeyRing::StoreId& id,
                                 const KeyHeader* keys);
  /// `header` and `opened` get what the store is unlocked with.
  [[nodiscard]] Error unlock_keys(btree::Connection& connection, const Unlock* unlock, Bytes& header,
                                  KeyHeader& opened);
  [[nodiscard]] Error check_bound_version(btree::Connection& connection, const KeyHeader& opened) const;
  [[nodiscard]] Error check_format(btree::Connection& connection) const;
  [[nodiscard]] Error check_sql(btree::Connection& connection) const;
  [[nodiscard]] Error check_size(btree::Connection& connection) const;
  [[nodiscard]] Error set_journal_mode(btree::Connection& connection) const;
  [[nodiscard]] std::string file_name() const;
  [[nodiscard]] Error carry_out(const char* operation, const WriteOperation& work) noexcept;
  [[nodiscard]] bool carry_out_group(const char* operation, WriteQueue::Waiter& head,
                                     const std::vector<WriteQueue::Waiter*>& followers) noexcept;

  [[nodiscard]] Error checkpoint(btree::Connection& connection, const char* operation,
                                 Checkpoint mode, std::chrono::milliseconds patience,
                                 CheckpointResult& out);
  [[nodiscard]] std::uint32_t checkpoint_interval() const noexcept;
  void limit_log(std::uint32_t frames) noexcept;
  void tell_of_failed_checkpoint(const Error& error) noexcept;

  const bool keeps_reads_;
  const bool checkpoints_beside_;
  std::atomic<bool> closed_{false};
  /// What the first look found that found the file or its log elsewhere.
  std::atomic<snkv_bt_place> place_{SNKV_BT_IN_PLACE};
  /// Of the file that was opened; set by the first connection.
  std::optional<snkv_bt_identity> identity_;
  /// Of the log that the writer has open, and its name.
  std::optional<snkv_bt_identity> log_identity_;
  const std::string log_name_ = file + "-wal";
  /// Whether the log or journal that lay beside it was found to be its own; set by the first connection.
  std::atomic<bool> log_is_ours_{false};
  mutable std::atomic<std::int64_t> last_now_{0};  // that the caller's clock told
  mutable std::mutex log_mutex_;  // one message at a time
  Housekeeper housekeeper_;
  Checkpointer checkpointer_;
  /// Of all stores of this process on the file, because the engine lets one checkpoint run and refuses the
  /// others.
  std::shared_ptr<std::mutex> checkpointing_;
  std::atomic<int> promised_sync_;  // the most that any transaction promised
  std::uint32_t copied_ = 0;        // of the log's frames, as far as the head of the queue knows
  std::uint64_t next_limit_ = 0;       // bytes of the log at which to try again to start it anew
  std::uint32_t next_checkpoint_ = 0;  // frames at which to try again; for the head of the queue
};

}  // namespace snkv::core
