/// \file
/// How a `WriteBuffer` is opened, and what it tells of itself.
#pragma once

#include <snkv/error.hpp>
#include <snkv/options.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace snkv {

/// What a write does that finds both tables of a buffer full.
enum class WhenFull {
  block,   ///< It waits for the flush. If that fails, the write fails with its error.
  refuse,  ///< It fails with `Errc::busy`.
};

struct WriteBufferOptions {
  /// Bytes of memory that a table may take before it is flushed. While one is being flushed writers
  /// fill a second: in all twice as much, and what a flush needs. Not zero.
  std::size_t flush_bytes = 64u << 20;
  /// A table is flushed when its oldest write is older than this; zero: age is no reason.
  std::chrono::milliseconds max_age{1000};
  /// Keep what was acknowledged and not flushed yet where it survives the end of the process.
  bool journal = false;
  /// What the commits of flushes promise, and with `journal` the writes themselves; empty: what
  /// `Options::sync` says. A write may ask for more.
  std::optional<Sync> sync{};
  /// What becomes of writes while both tables are full.
  WhenFull when_full = WhenFull::block;
  /// Called when a flush has failed, by the thread that flushes. Everything stays buffered, and the
  /// flush is tried again after a pause (a tenth of a second at first, at most ten), and by
  /// `flush`. It may read; what writes to the buffer, flushes or closes it gives `locked`. What it
  /// throws is ignored.
  std::function<void(const Error&)> on_error{};
  /// One owner at a time, and the journal, go by this name: 1 to 64 of the characters a-z, A-Z,
  /// 0-9, '_', '-'.
  std::string name = "default";
};

/// What a buffer has and has done since it was opened.
struct WriteBufferStats {
  std::size_t memory = 0;  ///< Gauge: bytes that its tables take.
  std::uint64_t versions =
      0;                  ///< Gauge: writes in its tables, one that replaced another counted too.
  bool flushing = false;  ///< Gauge: a table is being flushed, or waits to be tried again.
  std::uint64_t journal_bytes = 0;   ///< Gauge: bytes in the file beside the store.
  std::uint64_t flushes = 0;         ///< Tables that were flushed.
  std::uint64_t failed_flushes = 0;  ///< Attempts that failed.
  std::uint64_t replayed = 0;        ///< Writes of a former owner that were found in the journal.
  std::uint64_t waits = 0;           ///< Writes that waited for a flush, or were refused for it.
};

}  // namespace snkv
