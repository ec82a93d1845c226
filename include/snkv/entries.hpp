/// \file
/// The operations on entries that `Store`, `ColumnFamily`, `Transaction` and `Snapshot` share, each
/// bound to its own column family and point of view: `EntryReader` and, for those that may write,
/// `EntryWriter`.
///
/// Threads: the operations of a `Store` or `ColumnFamily` may be called from any number of threads;
/// reads run in parallel. A `Transaction`, with everything made from it, and a `Snapshot` serve one
/// call at a time.
#pragma once

#include <snkv/blob.hpp>
#include <snkv/pinned_value.hpp>
#include <snkv/range.hpp>
#include <snkv/write_batch.hpp>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace snkv {
inline namespace SNKV_EXPECTED_NAMESPACE {

namespace facade {
struct Door;
}

/// Reading. "Expired" entries (see `PutOptions::ttl`) are absent everywhere except in `count`.
/// Any read may fail with `corrupt`, `io_error`, `no_memory`, `protocol`, `dropped` (the family is
/// gone), `closed`, `forked`; in an encrypted store also with `tampered`: what is asked for, or that it has
/// expired, or the name of the family, is not what was written.
class EntryReader {
 public:
  /// The value of `key`: `not_found` if absent, `invalid_argument` for an empty key. Outside a
  /// transaction or snapshot it sees the latest commit of any thread or process. O(log n).
  [[nodiscard]] Result<Bytes> get(BytesView key) const {
    Bytes value;
    Error error = core::get(target_, key, value);
    return facade::as_result(std::move(error), std::move(value));
  }

  /// Whether `key` is present; does not read the value, unless an encrypted entry looks expired. O(log n).
  [[nodiscard]] Result<bool> contains(BytesView key) const {
    bool found = false;
    Error error = core::contains(target_, key, found);
    return facade::as_result(std::move(error), std::move(found));
  }

  /// The values of several keys as of one moment, in the order of the keys; absent ones are empty.
  /// Faster than single gets: the keys are looked up in order. O(k log n).
  [[nodiscard]] Result<std::vector<std::optional<Bytes>>> multi_get(
      std::span<const BytesView> keys) const {
    std::vector<std::optional<Bytes>> values(keys.size());
    Error error = core::multi_get(target_, keys.data(), keys.size(), values.data());
    return facade::as_result(std::move(error), std::move(values));
  }
  [[nodiscard]] Result<std::vector<std::optional<Bytes>>> multi_get(
      std::initializer_list<BytesView> keys) const {
    return multi_get(std::span<const BytesView>(keys.begin(), keys.size()));
  }

  /// Calls `use(BytesView value)` with the value where it lies, without copying it (a value that spans
  /// pages, or an encrypted one, is put together first). The view ends with the call. `use` may read from
  /// the store; what writes gives `locked`. Errors as `get`; what `use` throws becomes `aborted`.
  template <std::invocable<BytesView> Use>
  [[nodiscard]] Result<void> visit(BytesView key, Use&& use) const {
    auto call = [](void* context, BytesView value) {
      (*static_cast<std::remove_reference_t<Use>*>(context))(value);
    };
    return facade::as_result(core::visit(
        target_, key, call, const_cast<void*>(static_cast<const void*>(std::addressof(use)))));
  }

  /// The value of `key`, kept as it is now for as long as the result lives, without copying it where it
  /// lies in one page. Errors as `get`. O(log n).
  [[nodiscard]] Result<PinnedValue> get_pinned(BytesView key) const {
    core::Cursor* cursor = nullptr;
    Error error = core::open_pinned(target_, key, cursor);
    return facade::as_result(std::move(error), PinnedValue(Iterator(cursor)));
  }

  /// Opens the value of `key` for reading in pieces, as it is now (see blob.hpp). Errors as `get`.
  /// O(log n), whatever the size of the value.
  [[nodiscard]] Result<BlobReader> blob_reader(BytesView key) const {
    core::BlobReader* reader = nullptr;
    Error error = core::open_blob_reader(target_, key, reader);
    return facade::as_result(std::move(error), BlobReader(reader));
  }

  /// Writes the value of `key` to the file `path`; the number of bytes. It is written to a file beside it
  /// (`path.unfinished-UID-PID-N`), synced, and then put in the place of what `path` named, with the modes of
  /// that: on any error that is as it was, but that `io_error` may also say that the new file is there, whole,
  /// and that its name is not yet safe from a power cut. What a process that was killed leaves of it is
  /// removed by the next call for the same place. Besides the errors of `get`: `cant_open` (a folder, no
  /// permission, no such path), `invalid_argument` (an empty path, or a file of this store), `full`,
  /// `io_error`, `aborted` (`progress` said so). `path` must not name the file of another store that this process has open.
  [[nodiscard]] Result<std::uint64_t> get_to_file(BytesView key, std::string_view path,
                                                  const Progress& progress = {}) const {
    std::uint64_t size = 0;
    Error error = core::get_to_file(target_, key, path, progress, size);
    return facade::as_result(std::move(error), std::move(size));
  }

  /// The time that is left until `key` expires, empty if it does not; `not_found` if absent.
  [[nodiscard]] Result<std::optional<std::chrono::milliseconds>> ttl(BytesView key) const {
    std::optional<std::chrono::milliseconds> remaining;
    Error error = core::ttl(target_, key, remaining);
    return facade::as_result(std::move(error), std::move(remaining));
  }

  /// Number of entries, expired ones that were not purged yet included. O(pages), not O(entries).
  [[nodiscard]] Result<std::uint64_t> count() const {
    std::uint64_t entries = 0;
    Error error = core::count(target_, entries);
    return facade::as_result(std::move(error), std::move(entries));
  }
  /// Number of entries whose keys start with `prefix`, expired ones included. O(pages they lie on).
  [[nodiscard]] Result<std::uint64_t> count_prefix(BytesView prefix) const {
    std::uint64_t entries = 0;
    Error error = core::count_range(target_, core::prefix_range(prefix), entries);
    return facade::as_result(std::move(error), std::move(entries));
  }
  /// Number of entries with `low` <= key < `high`, expired ones included. O(pages they lie on).
  [[nodiscard]] Result<std::uint64_t> count_range(BytesView low, BytesView high) const {
    std::uint64_t entries = 0;
    Error error = core::count_range(target_, {Bytes(low), Bytes(high), true}, entries);
    return facade::as_result(std::move(error), std::move(entries));
  }
  /// Number of entries that have not expired. O(pages + expired entries), which are authenticated in an
  /// encrypted store.
  [[nodiscard]] Result<std::uint64_t> count_live() const {
    std::uint64_t entries = 0;
    Error error = core::count_live(target_, entries);
    return facade::as_result(std::move(error), std::move(entries));
  }

  /// Entries and pages of this column family. O(pages).
  [[nodiscard]] Result<FamilyStats> family_stats() const {
    FamilyStats out;
    Error error = core::family_stats(target_, out);
    return facade::as_result(std::move(error), std::move(out));
  }

  /// Calls `callback(const Change&)` after each commit for each change to a key of this family that
  /// starts with `prefix` (see watch.hpp), for as long as the result lives.
  [[nodiscard]] Result<Watch> watch(BytesView prefix, WatchCallback callback) const {
    std::shared_ptr<void> subscription;
    Error error = core::watch(target_, prefix, std::move(callback), subscription);
    return facade::as_result(std::move(error), Watch(std::move(subscription)));
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

  /// The entry with the smallest key that starts with `prefix`; empty if there is none. O(log n).
  [[nodiscard]] Result<std::optional<OwnedEntry>> first(BytesView prefix = {}) const {
    return end_of(prefix, [](Iterator& at) { at.seek_first(); });
  }
  /// The one with the largest.
  [[nodiscard]] Result<std::optional<OwnedEntry>> last(BytesView prefix = {}) const {
    return end_of(prefix, [](Iterator& at) { at.seek_last(); });
  }

  /// The value of `key` as the integer that `increment` keeps there. Errors as `get`; `invalid_argument` when it is
  /// no such text.
  [[nodiscard]] Result<std::int64_t> get_int(BytesView key) const {
    std::int64_t value = 0;
    Error error = core::get_int(target_, key, value);
    return facade::as_result(std::move(error), std::move(value));
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

 private:
  friend struct facade::Door;

  template <class Seek>
  [[nodiscard]] Result<std::optional<OwnedEntry>> end_of(BytesView prefix, Seek&& seek) const {
    Iterator at = this->prefix(prefix).manual();
    seek(at);
    if (auto status = at.status(); !status) return Unexpected(std::move(status).error());
    if (!at.valid()) return std::optional<OwnedEntry>();
    return std::optional<OwnedEntry>(OwnedEntry{Bytes(at.key()), Bytes(at.value())});
  }
};

/// Writing. Outside a transaction each call is a transaction of its own, committed when it returns,
/// as durable as `Options::sync` says; concurrent calls of several threads may share one commit.
///
/// Any write may fail with `busy` (after the busy timeout), `locked` (this thread has a transaction
/// open and must write through it, or an operation has called the function it is in), `read_only`, `full`, `io_error`, `corrupt`, `no_memory`,
/// `dropped`, `schema_mismatch`, `closed`, `forked`; then nothing was written.
class EntryWriter : public EntryReader {
 public:
  /// Stores `value` under `key`, replacing what was there, its expiry included. Errors besides the
  /// common ones: `invalid_argument` (empty key, ttl not positive), `too_large`. O(log n).
  [[nodiscard]] Result<void> put(BytesView key, BytesView value, const PutOptions& options = {}) {
    return facade::as_result(core::put(target_, key, value, options));
  }

  /// Removes `key`; tells whether it was present, or may have been: an encrypted entry that only looks
  /// expired counts. O(log n), plus the pages of a large value.
  [[nodiscard]] Result<bool> erase(BytesView key, const WriteOptions& options = {}) {
    bool existed = false;
    Error error = core::erase(target_, key, options, existed);
    return facade::as_result(std::move(error), std::move(existed));
  }

  /// Removes all entries of the column family. O(pages).
  [[nodiscard]] Result<void> clear(const WriteOptions& options = {}) {
    return facade::as_result(core::clear(target_, options));
  }

  /// Removes the entries with `low` <= key < `high`; the number removed. `invalid_argument` when `low` >
  /// `high`. O(entries removed), or O(pages) when that is nearly all of the family.
  [[nodiscard]] Result<std::uint64_t> erase_range(BytesView low, BytesView high,
                                                  const WriteOptions& options = {}) {
    std::uint64_t erased = 0;
    Error error = core::erase_range(target_, {Bytes(low), Bytes(high), true}, options, erased);
    return facade::as_result(std::move(error), std::move(erased));
  }
  /// Removes the entries whose keys start with `prefix`; the number removed.
  [[nodiscard]] Result<std::uint64_t> erase_prefix(BytesView prefix,
                                                   const WriteOptions& options = {}) {
    std::uint64_t erased = 0;
    Error error = core::erase_range(target_, core::prefix_range(prefix), options, erased);
    return facade::as_result(std::move(error), std::move(erased));
  }

  // ---- Values in pieces ----

  /// Starts to write the value of `key` in pieces (see blob.hpp). `invalid_argument` for an empty key or
  /// a ttl that is not positive, `too_large` for a declared size that is.
  [[nodiscard]] Result<BlobWriter> blob_writer(BytesView key, const BlobOptions& options = {}) {
    core::BlobWriter* writer = nullptr;
    Error error = core::open_blob_writer(target_, key, options, writer);
    return facade::as_result(std::move(error), BlobWriter(writer));
  }

  /// Stores the content of the file `path` under `key`; the number of bytes. Like a `blob_writer` that
  /// writes it. Errors besides the common ones: `cant_open` (a folder, no permission, no such file),
  /// `io_error`, `too_large`, `aborted` (`progress` said so), `invalid_argument` (an empty key or path, a
  /// file of this store, another size than declared). `path` must not name the file of another store
  /// that this process has open.
  [[nodiscard]] Result<std::uint64_t> put_file(BytesView key, std::string_view path,
                                               const BlobOptions& options = {},
                                               const Progress& progress = {}) {
    std::uint64_t size = 0;
    Error error = core::put_file(target_, key, path, options, progress, size);
    return facade::as_result(std::move(error), std::move(size));
  }

  /// Takes the entry with the smallest key that starts with `prefix` out, in one transaction; empty if there is none.
  /// Of several that do this at the same time, also in other processes, each gets another entry: a queue. O(log n),
  /// plus expired entries in front of it.
  [[nodiscard]] Result<std::optional<OwnedEntry>> pop_first(BytesView prefix = {}, const WriteOptions& options = {}) {
    return pop(prefix, core::RangeEnd::first, options);
  }
  /// The one with the largest key.
  [[nodiscard]] Result<std::optional<OwnedEntry>> pop_last(BytesView prefix = {}, const WriteOptions& options = {}) {
    return pop(prefix, core::RangeEnd::last, options);
  }

  // ---- Expiry ----

  /// The value of `key`, which from now on expires after `ttl`, in one transaction: a session that lives as long as it
  /// is used. Errors as `get` and `expire`.
  [[nodiscard]] Result<Bytes> get_and_expire(BytesView key, std::chrono::milliseconds ttl,
                                             const WriteOptions& options = {}) {
    Bytes value;
    Error error = core::get_and_expire(target_, key, {.ttl = ttl, .sync = options.sync}, value);
    return facade::as_result(std::move(error), std::move(value));
  }

  /// Makes `key` expire after `ttl` from now, whatever it did before; its value is not rewritten when it
  /// is a large one. `not_found` if absent, `invalid_argument` if `ttl` is not positive.
  [[nodiscard]] Result<void> expire(BytesView key, std::chrono::milliseconds ttl) {
    return facade::as_result(core::set_expiry("expire", target_, key, {.ttl = ttl}));
  }
  /// The same with a moment.
  [[nodiscard]] Result<void> expire_at(BytesView key, TimePoint when) {
    return facade::as_result(core::set_expiry("expire_at", target_, key, {.expires_at = when}));
  }
  /// Removes the expiry of `key`; `not_found` if absent.
  [[nodiscard]] Result<void> persist(BytesView key) {
    return facade::as_result(core::set_expiry("persist", target_, key, {}));
  }
  /// Removes expired entries of this column family, those first that expired first, at most `limit` of
  /// them (0: all); the number removed. Works in transactions of bounded size, unless it is called
  /// inside one. O(entries removed). In an encrypted store what only looks expired stays, and the result is
  /// `tampered` when all else is removed.
  [[nodiscard]] Result<std::uint64_t> purge_expired(std::uint64_t limit = 0) {
    std::uint64_t purged = 0;
    Error error = core::purge_expired(target_, limit, purged);
    return facade::as_result(std::move(error), std::move(purged));
  }

  // ---- Atomic read-modify-write ----
  // Each is one transaction (or part of the one it is called in): nobody can come between its read and
  // its write. An expired entry counts as absent. Where a function of the caller decides, it may be
  // called more than once, on another thread that commits for several at once. It may read from the store;
  // what writes gives `locked`. What it throws becomes `aborted`, and nothing is changed.

  /// Stores the entry only if `key` is absent; tells whether it did.
  [[nodiscard]] Result<bool> put_if_absent(BytesView key, BytesView value,
                                           const PutOptions& options = {}) {
    bool inserted = false;
    return with_result(inserted, change("put_if_absent", key, options,
                                        [&](const BytesView* current, Bytes& desired) {
                                          inserted = current == nullptr;
                                          if (inserted) desired = Bytes(value);
                                          return inserted ? core::Update::put : core::Update::keep;
                                        }));
  }

  /// Stores `desired` only if the value of `key` is `expected` (empty: if `key` is absent); tells
  /// whether it did. The entry gets the expiry of `options`.
  [[nodiscard]] Result<bool> compare_and_swap(BytesView key, std::optional<BytesView> expected,
                                              BytesView desired, const PutOptions& options = {}) {
    bool swapped = false;
    return with_result(
        swapped, change("compare_and_swap", key, options,
                        [&](const BytesView* current, Bytes& next) {
                          swapped = current == nullptr ? !expected.has_value()
                                                       : expected && *current == *expected;
                          if (swapped) next = Bytes(desired);
                          return swapped ? core::Update::put : core::Update::keep;
                        }));
  }

  /// Stores `value` and gives what was there before.
  [[nodiscard]] Result<std::optional<Bytes>> get_and_put(BytesView key, BytesView value,
                                                         const PutOptions& options = {}) {
    std::optional<Bytes> before;
    return with_result(before, change("get_and_put", key, options,
                                      [&](const BytesView* current, Bytes& desired) {
                                        before = copy(current);
                                        desired = Bytes(value);
                                        return core::Update::put;
                                      }));
  }

  /// Removes `key` and gives what was there.
  [[nodiscard]] Result<std::optional<Bytes>> get_and_erase(BytesView key,
                                                           const WriteOptions& options = {}) {
    std::optional<Bytes> before;
    return with_result(before, change("get_and_erase", key, {.sync = options.sync},
                                      [&](const BytesView* current, Bytes&) {
                                        before = copy(current);
                                        return current == nullptr ? core::Update::keep
                                                                  : core::Update::erase;
                                      }));
  }

  /// Replaces the value by `function(std::optional<BytesView> current)`, which returns the new value as
  /// something a `Result<std::optional<Bytes>>` can be made of: empty erases the entry, an error leaves
  /// everything as it was and is handed on. The entry gets the expiry of `options`.
  template <class Function>
    requires std::convertible_to<std::invoke_result_t<Function&, std::optional<BytesView>>,
                                 Result<std::optional<Bytes>>>
  [[nodiscard]] Result<void> merge(BytesView key, Function&& function,
                                   const PutOptions& options = {}) {
    Error refused;
    auto result = change("merge", key, options, [&](const BytesView* current, Bytes& desired) {
      Result<std::optional<Bytes>> merged =
          function(current == nullptr ? std::nullopt : std::optional<BytesView>(*current));
      refused = Error();
      if (!merged) {
        refused = std::move(merged).error();
        return core::Update::keep;
      }
      if (!merged->has_value()) return core::Update::erase;
      desired = std::move(**merged);
      return core::Update::put;
    });
    if (result && refused.failed()) return Unexpected(std::move(refused));
    return result;
  }

  /// Adds `delta` to the integer under `key` (absent: 0) and gives the sum. The value is decimal text of
  /// a 64-bit integer, as `std::to_chars` writes it. The expiry of an existing entry stays, unless
  /// `options` names one. `invalid_argument` when the value is no such text or the sum overflows.
  [[nodiscard]] Result<std::int64_t> increment(BytesView key, std::int64_t delta = 1,
                                               const PutOptions& options = {}) {
    std::int64_t result = 0;
    Error error = core::increment(target_, key, delta, options, result);
    return facade::as_result(std::move(error), std::move(result));
  }
  /// The same, but gives the value before.
  [[nodiscard]] Result<std::int64_t> fetch_add(BytesView key, std::int64_t delta = 1,
                                               const PutOptions& options = {}) {
    Result<std::int64_t> sum = increment(key, delta, options);
    // Cannot overflow: the value before was a 64-bit integer. Unsigned, because the way back might.
    if (sum) *sum = static_cast<std::int64_t>(static_cast<std::uint64_t>(*sum) -
                                              static_cast<std::uint64_t>(delta));
    return sum;
  }

  /// Carries out the operations of a batch, all or none.
  [[nodiscard]] Result<void> write(const WriteBatch& batch, const WriteOptions& options = {}) {
    return facade::as_result(core::write_batch(target_, batch.data(), options));
  }

 protected:
  using EntryReader::EntryReader;

 private:
  [[nodiscard]] Result<std::optional<OwnedEntry>> pop(BytesView prefix, core::RangeEnd end,
                                                      const WriteOptions& options) {
    std::optional<OwnedEntry> popped;
    Error error = core::pop(target_, core::prefix_range(prefix), end, options, popped);
    return facade::as_result(std::move(error), std::move(popped));
  }
  static std::optional<Bytes> copy(const BytesView* value) {
    return value == nullptr ? std::nullopt : std::optional<Bytes>(std::in_place, *value);
  }

  /// Runs `decide(current, desired)` on the entry of `key`.
  template <class Decide>
  [[nodiscard]] Result<void> change(const char* operation, BytesView key, const PutOptions& options,
                                    Decide decide) {
    auto call = [](void* context, const BytesView* current, Bytes& desired, core::Update& decision) {
      decision = (*static_cast<Decide*>(context))(current, desired);
      return Error();
    };
    return facade::as_result(core::update(operation, target_, key, options, call, &decide));
  }

  template <class T>
  [[nodiscard]] static Result<T> with_result(T& value, Result<void> result) {
    if (!result) return Unexpected(std::move(result).error());
    return std::move(value);
  }
};

}  // namespace SNKV_EXPECTED_NAMESPACE
}  // namespace snkv
