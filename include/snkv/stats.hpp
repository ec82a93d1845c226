/// \file
/// What a store counts about itself.
#pragma once

#include <chrono>
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

  std::uint64_t db_pages = 0;       ///< Gauge: pages of the database, as of the latest commit.
  std::uint64_t free_pages = 0;     ///< Gauge: of these, pages that hold nothing.
  std::uint32_t page_size = 0;      ///< Gauge: bytes per page.
  std::uint64_t wal_bytes = 0;      ///< Gauge: size of the write-ahead log file.
  std::uint64_t snapshots = 0;      ///< Gauge: open snapshots and iterators.
  std::chrono::milliseconds oldest_snapshot_age{0};  ///< Gauge: age of the oldest of them.
};

/// What a checkpoint did, in pages of the log.
struct CheckpointResult {
  std::uint32_t wal_frames = 0;    ///< Frames in the log.
  std::uint32_t checkpointed = 0;  ///< Of these, frames that are now in the database file.
};

}  // namespace snkv
