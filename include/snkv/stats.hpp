/// \file
/// What a store counts about itself.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace snkv {

/// Counters of one `Store` since it was opened (or since `reset_stats`), summed over all threads of
/// this process, and a few gauges. Counters are kept without locks: a `stats()` beside running
/// operations may miss the newest.
struct Stats {
  std::uint64_t puts = 0;           ///< Put operations, conditional ones included.
  std::uint64_t gets = 0;           ///< Get and contains operations.
  std::uint64_t deletes = 0;        ///< Erase operations.
  std::uint64_t iterations = 0;     ///< Iterators created.
  std::uint64_t errors = 0;         ///< Failed calls; a missing key is not a failure.
  std::uint64_t bytes_read = 0;     ///< Value bytes returned by gets.
  std::uint64_t bytes_written = 0;  ///< Key and value bytes written by puts.
  std::uint64_t wal_commits = 0;    ///< Write transactions committed.
  std::uint64_t checkpoints = 0;    ///< Checkpoints run, automatic and explicit.
  std::uint64_t ttl_expired = 0;    ///< Reads that found an expired entry.
  std::uint64_t ttl_purged = 0;     ///< Entries removed by purging.
  std::uint64_t wal_over_limit = 0; ///< Commits that found the log over its limit and could not help it.

  std::uint64_t db_pages = 0;       ///< Gauge: pages of the database, as of the latest commit.
  std::uint64_t free_pages = 0;     ///< Gauge: of these, pages that hold nothing.
  std::uint32_t page_size = 0;      ///< Gauge: bytes per page.
  std::uint64_t wal_bytes = 0;      ///< Gauge: size of the write-ahead log file.
  /// Gauge: journals of write buffers that have writes which were not flushed yet: of buffers that are open,
  /// here or elsewhere, and of those that ended without a flush, which wait for `WriteBuffer::open`.
  std::uint64_t journals_waiting = 0;
  std::uint64_t snapshots = 0;      ///< Gauge: open snapshots and iterators.
  std::chrono::milliseconds oldest_snapshot_age{0};  ///< Gauge: age of the oldest of them.
};

/// What is known about one column family. All but `entries` are sizes in the file.
struct FamilyStats {
  std::uint64_t entries = 0;       ///< Entries, expired ones included.
  std::uint64_t expiring = 0;      ///< Entries that have an expiry.
  std::uint64_t leaf_pages = 0;    ///< Pages that hold rows.
  std::uint64_t large_chunks = 0;  ///< Chunks of large values, about a page each.
};

/// The operations that `Store::latency` tells apart.
enum class TimedOperation { get, put, commit, checkpoint };

/// How long operations took: counts by powers of two of nanoseconds.
struct LatencyHistogram {
  std::array<std::uint64_t, 48> buckets{};  ///< Bucket i counts [2^i, 2^(i+1)) ns; the first, less.
  std::uint64_t count = 0;
  std::uint64_t total_ns = 0;

  /// An upper bound of the time that the fraction `p` (0 to 1) of the operations stayed below, within a
  /// factor of two; 0 if there were none.
  [[nodiscard]] std::uint64_t percentile_ns(double p) const noexcept {
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < buckets.size(); ++i) {
      seen += buckets[i];
      if (seen > 0 && static_cast<double>(seen) >= p * static_cast<double>(count)) {
        return std::uint64_t{2} << i;
      }
    }
    return 0;
  }
};

/// What `Store::verify` has read.
struct VerifyReport {
  std::uint64_t entries = 0;       ///< Entries of all families, expired ones included.
  std::uint64_t large_values = 0;  ///< Of these, entries whose values lie outside their rows.
  std::uint64_t bytes = 0;         ///< Sum of the sizes of keys and values.
  std::uint64_t families = 0;      ///< Column families, "default" included.
  std::uint64_t journals_waiting = 0;  ///< As in `Stats`.
};

/// Where the space goes, in bytes.
struct SpaceReport {
  std::uint64_t file_bytes = 0;  ///< Size of the file. Commits that are only in the log are not in it.
  std::uint64_t live_bytes = 0;  ///< Pages in use, as of the latest commit.
  std::uint64_t free_bytes = 0;  ///< Unused pages: `vacuum` and `compact` give them back.
  std::uint64_t wal_bytes = 0;   ///< Size of the log file, used or not: a checkpoint may truncate it.
};

/// What a checkpoint did, in pages of the log.
struct CheckpointResult {
  std::uint32_t wal_frames = 0;    ///< Frames in the log.
  std::uint32_t checkpointed = 0;  ///< Of these, frames that are now in the database file.
};

}  // namespace snkv
