/// \file
/// Options of a store and of single calls. All are aggregates: use designated initialisers,
/// `Store::open("app.db", {.sync = Sync::full})`; what is not named keeps its default.
#pragma once

#include <snkv/bytes.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

namespace snkv {

/// Shortest and longest key, in bytes. An empty key is refused.
inline constexpr std::size_t min_key_size = 1;
inline constexpr std::size_t max_key_size = 64 * 1024;
/// Longest value, in bytes: 2 GiB less 64 KiB of overhead.
inline constexpr std::size_t max_value_size = 0x7fff0000;
/// Longest name of a column family, in bytes of UTF-8.
inline constexpr std::size_t max_family_name_size = 255;

/// How the file is made crash-safe.
enum class Journal {
  wal,       ///< Write-ahead log: readers never wait for the writer, nor it for them. The default.
  rollback,  ///< Rollback journal: one file at rest, but a reader makes a writer wait, and an open
             ///< iterator or snapshot makes it fail with `Errc::busy`.
};

/// What a commit promises (docs/durability.md has the table).
enum class Sync {
  off,     ///< No fsync at all: a power cut may corrupt the file. A crash of the process loses nothing.
  normal,  ///< A crash of the process loses nothing; a power cut may lose the last commits, never
           ///< consistency. The default.
  full,    ///< A commit that has returned survives a power cut: one fsync per commit.
};

/// How far a checkpoint goes (sqlite.org/c3ref/wal_checkpoint_v2.html).
enum class Checkpoint {
  passive,   ///< Copies what can be copied without waiting for anybody.
  full,      ///< Waits for the writer and for readers of old data, then copies everything.
  restart,   ///< Like full, and the next writer starts the log from its beginning.
  truncate,  ///< Like restart, and the log file is truncated to nothing.
};

/// How urgent a message is.
enum class LogLevel { info, warning, error };

/// What `Options::on_wal_limit` is told.
struct WalPressure {
  std::uint64_t wal_bytes = 0;                       ///< Size of the log.
  std::uint64_t snapshots = 0;                       ///< Open snapshots and iterators of this store.
  std::chrono::milliseconds oldest_snapshot_age{0};  ///< Age of the oldest of them.
};

/// How a store is opened. What its functions may do with the store: docs/callbacks.md.
struct Options {
  // ---- Behaviour ----

  /// Create the file when it does not exist (or is empty). Not stored.
  bool create_if_missing = true;
  /// Fail with `Errc::exists` when the store exists already. Not stored.
  bool error_if_exists = false;
  /// Refuse every write; the file must exist. Not stored. If a writer with `Journal::rollback` has died in
  /// the middle of a commit, opening rolls that back all the same; `read_only` is the error if the file
  /// cannot be written.
  bool read_only = false;
  /// With `read_only`: promise that nobody changes the file, so that it can be read from a medium
  /// or folder that cannot be written (no locks, no log file). A false promise gives wrong answers.
  /// `invalid_argument` if a log lies beside the file, without which it is not complete.
  bool immutable = false;
  /// Open a file that has several names (hard links). The log lies beside the name that is used: who opens
  /// the file by another one does not see it, and one of the two loses what it writes. So it is refused
  /// unless this is set, by who knows that all use the same name, or with `immutable`. Not stored.
  bool allow_hard_links = false;
  /// Journal mode. Stored in the file; an open with another mode converts it, which needs the file
  /// to itself.
  Journal journal = Journal::wal;
  /// What a commit promises. Not stored.
  Sync sync = Sync::normal;
  /// How long a writer waits for other writers: those of other processes, and open transactions of
  /// other threads. Zero: fail at once. Autocommit writes of this process never fail for each
  /// other's sake. By the clock: signals do not shorten it. At most 24 days. Not stored.
  std::chrono::milliseconds busy_timeout{5000};

  // ---- Performance ----

  /// Page size in bytes, a power of two from 4096 to 65536; stored when the file is created and
  /// ignored afterwards. Larger pages hold larger values in place, but a small write costs more.
  std::uint32_t page_size = 8192;
  /// Page cache of one connection, in bytes (there is one for the writer and one for each thread
  /// that reads at the same time). Not stored.
  std::size_t cache_size = 8u << 20;
  /// Read through a mapping of the file into memory, where possible, instead of copying pages into the
  /// page cache. As with every mapped file, a disk that cannot be read, or another program that cuts the
  /// file short without asking for its lock, ends the process with SIGBUS; without the mapping that is an
  /// error of the read. Takes address space, no memory of its own. Not stored.
  bool map_file = true;
  /// Let a read outside of transactions and snapshots leave its view of the file open for the next one,
  /// which takes it over if nothing was committed since. Reads see the latest commit all the same. A view
  /// that is not used for some 40 ms is closed, for which there is a thread; so long, checkpoints of
  /// other processes can meet it. Without a log (`Journal::rollback`) no view is left open. Not stored.
  bool keep_reads = true;
  /// Pages in the log from which on they are copied back into the file; fewer if `wal_size_limit` asks for
  /// it: half of that is left to the next transaction. 0: only `checkpoint` does. Not stored.
  std::uint32_t wal_autocheckpoint = 2000;
  /// Copy them by a thread of the store, beside the writers. A commit then copies only the last of them,
  /// or what is left when the log has four times as many pages. Without, or if there can be no thread, a
  /// commit copies all. A store in memory has no such thread. Not stored.
  bool background_checkpoints = true;

  /// Size in bytes that the log shall not exceed; 0: any. When a commit leaves it larger, everything is
  /// copied into the file and the log is started anew, for which short reads are waited for. A single
  /// transaction can exceed it, and so can the time during which a snapshot or iterator, here or in
  /// another process, needs the log: then see the next two. Not stored.
  std::uint64_t wal_size_limit = 128u << 20;
  /// When the log is over its limit because of snapshots or iterators of this store: end the oldest of
  /// them, whose later reads then give `Errc::expired`. Iterators copy each entry if this is set.
  bool expire_snapshots = false;
  /// Called, by the thread that committed, when the log is over its limit and cannot be started anew. It
  /// may read from the store; what writes gives `locked`, and what it throws is ignored.
  std::function<void(const WalPressure&)> on_wal_limit{};
  /// How often a background thread removes expired entries, and, when nothing was written meanwhile,
  /// empties the log. Zero: there is no thread. Not stored.
  std::chrono::milliseconds housekeeping_interval{0};
  /// How many changes `Store::changes_since` can go back. They are kept in memory, so keys of this
  /// process since the store was opened. Not stored.
  std::size_t change_history = 0;

  // ---- Observation ----

  /// Measure how long operations take, for `Store::latency`. Costs two readings of a clock each.
  bool latency_histograms = false;
  /// Gets messages about what happens in the background. May be called from any thread, not at the same
  /// time from two. It may read from the store; what writes gives `locked`, and what it throws is ignored.
  std::function<void(LogLevel, std::string_view)> log{};

  // ---- For tests ----

  /// Where the store takes the time from, in milliseconds since the Unix epoch; empty: the system
  /// clock. Must be callable from any thread. It may read from the store; what writes gives `locked`, and
  /// what it throws becomes `aborted` of the operation that asked.
  std::function<std::int64_t()> clock{};
};

/// A moment in time, as expiries are kept.
using TimePoint = std::chrono::sys_time<std::chrono::milliseconds>;

/// Options of one write, or of one transaction.
struct WriteOptions {
  /// What this commit promises; empty: what `Options::sync` says. Writes that share a commit get the
  /// strongest that one of them asked for. `off` counts as `normal` where anything promised more before,
  /// which it would else take back.
  std::optional<Sync> sync{};
};

/// Options of a write that may leave an entry.
struct PutOptions {
  /// Time until the entry expires; empty: never. Must be positive.
  std::optional<std::chrono::milliseconds> ttl{};
  /// When the entry expires, instead of `ttl`. A moment that has passed already is allowed: the entry
  /// is then expired from the start.
  std::optional<TimePoint> expires_at{};
  /// As in `WriteOptions`.
  std::optional<Sync> sync{};
};

/// Options of a value that is written in pieces.
struct BlobOptions {
  /// Size of the finished value, when it is known: writing past it, or finishing short of it, is refused.
  std::optional<std::uint64_t> size{};
  /// As in `PutOptions`. The time runs from `BlobWriter::finish` on.
  std::optional<std::chrono::milliseconds> ttl{};
  /// As in `PutOptions`.
  std::optional<TimePoint> expires_at{};
  /// As in `WriteOptions`; ignored inside a transaction.
  std::optional<Sync> sync{};
};

/// Bounds and direction of a scan; usually made by `all`, `prefix` and `range`.
struct ScanOptions {
  /// Do not read values: `value()` is empty. Saves reading large values.
  bool keys_only = false;
};

/// Options of `Store::backup`.
struct BackupOptions {
  /// Leave out unused pages and put the rest in order. Slower, and the copy can be much smaller.
  bool compact = false;
};

/// Called now and then by long operations: how much is done of how much. Return false to stop: the
/// operation then fails with `Errc::aborted` and changes nothing, as it does, with the reason in its message,
/// when the function throws. That is so for every call, also the last one, which comes before what was made
/// takes effect. (`Store::rotate_key` is the exception: it goes on where it was stopped.) What the function may
/// do with the store: docs/callbacks.md.
using Progress = std::function<bool(std::uint64_t done, std::uint64_t total)>;

}  // namespace snkv
