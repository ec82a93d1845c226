/// \file
/// The operations on entries that `Store`, `ColumnFamily`, `Transaction` and `Snapshot` share, each
/// bound to its own column family and point of view: `EntryReader` and, for those that may write,
/// `EntryWriter`.
///
/// Threads: the operations of a `Store` or `ColumnFamily` may be called from any number of threads;
/// reads run in parallel. A `Transaction`, with everything made from it, and a `Snapshot` serve one
/// call at a time.
#pragma once

#include <snkv/range.hpp>

#include <cstdint>
#include <string_view>
#include <utility>

namespace snkv {
inline namespace SNKV_EXPECTED_NAMESPACE {

/// Reading. "Expired" entries (see `PutOptions::ttl`) are absent everywhere except in `count`.
/// Any read may fail with `corrupt`, `io_error`, `no_memory`, `protocol`, `dropped` (the family is
/// gone), `closed`, `forked`.
class EntryReader {
 public:
  /// The value of `key`: `not_found` if absent, `invalid_argument` for an empty key. Outside a
  /// transaction or snapshot it sees the latest commit of any thread or process. O(log n).
  [[nodiscard]] Result<Bytes> get(BytesView key) const {
    Bytes value;
    Error error = core::get(target_, key, value);
    return facade::as_result(std::move(error), std::move(value));
  }

  /// Whether `key` is present; does not read the value. O(log n).
  [[nodiscard]] Result<bool> contains(BytesView key) const {
    bool found = false;
    Error error = core::contains(target_, key, found);
    return facade::as_result(std::move(error), std::move(found));
  }

  /// Number of entries, expired ones that were not purged yet included. O(pages), not O(entries).
  [[nodiscard]] Result<std::uint64_t> count() const {
    std::uint64_t entries = 0;
    Error error = core::count(target_, entries);
    return facade::as_result(std::move(error), std::move(entries));
  }

  /// All entries, in key order.
  [[nodiscard]] Range all() const { return Range(target_, core::KeyRange(), {}); }
  /// The entries whose keys start with `prefix`.
  [[nodiscard]] Range prefix(BytesView prefix) const {
    return Range(target_, core::prefix_range(prefix), {});
  }
  /// The entries with `low` <= key < `high`; none when `low` >= `high`.
  [[nodiscard]] Range range(BytesView low, BytesView high) const {
    return Range(target_, {Bytes(low), Bytes(high), true}, {});
  }

  /// A manual iterator over all entries, not yet positioned.
  [[nodiscard]] Iterator iterator(const ScanOptions& options = {}) const {
    return Iterator(core::open_cursor(target_, core::KeyRange(), options));
  }

  /// The name of the column family these operations go to.
  [[nodiscard]] std::string_view name() const noexcept { return core::family_name(target_); }

 protected:
  EntryReader() noexcept = default;
  explicit EntryReader(core::Target target) noexcept : target_(std::move(target)) {}

  core::Target target_;
};

/// Writing. Outside a transaction each call is a transaction of its own, committed when it returns,
/// as durable as `Options::sync` says; concurrent calls of several threads may share one commit.
///
/// Any write may fail with `busy` (after the busy timeout), `locked` (this thread has a transaction
/// open and must write through it), `read_only`, `full`, `io_error`, `corrupt`, `no_memory`,
/// `dropped`, `schema_mismatch`, `closed`, `forked`; then nothing was written.
class EntryWriter : public EntryReader {
 public:
  /// Stores `value` under `key`, replacing what was there, its expiry included. Errors besides the
  /// common ones: `invalid_argument` (empty key, ttl not positive), `too_large`. O(log n).
  [[nodiscard]] Result<void> put(BytesView key, BytesView value, const PutOptions& options = {}) {
    return facade::as_result(core::put(target_, key, value, options));
  }

  /// Removes `key`; tells whether it was present. O(log n), plus the pages of a large value.
  [[nodiscard]] Result<bool> erase(BytesView key) {
    bool existed = false;
    Error error = core::erase(target_, key, existed);
    return facade::as_result(std::move(error), std::move(existed));
  }

  /// Removes all entries of the column family. O(pages).
  [[nodiscard]] Result<void> clear() { return facade::as_result(core::clear(target_)); }

 protected:
  using EntryReader::EntryReader;
};

}  // namespace SNKV_EXPECTED_NAMESPACE
}  // namespace snkv
