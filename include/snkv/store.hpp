/// \file
/// `Store`, an open store, and the operations on its default column family.
///
/// A `Store` is a cheap handle: copies share one open file, which closes with the last copy, family,
/// transaction, snapshot and iterator. Several stores, also of other processes, may be open on one
/// file; each sees every commit at once.
///
/// Threads: every member may be called from any thread. Reads run in parallel; writers take turns.
///
/// A process must not open the file of an open store with a second copy of SQLite (the `sqlite3`
/// module of a scripting language, say), nor open and close it by other means: POSIX file locks
/// belong to the process, and closing the file drops them. Other processes may. After `fork` a handle
/// gives `Errc::forked` in the child.
#pragma once

#include <snkv/snapshot.hpp>
#include <snkv/sql.hpp>
#include <snkv/transaction.hpp>

#include <array>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace snkv {
inline namespace SNKV_EXPECTED_NAMESPACE {

class Store : public EntryWriter {
 public:
  /// Refers to nothing; every use gives `Errc::closed`.
  Store() noexcept = default;
  /// Made by `open` and `open_in_memory`.
  explicit Store(core::Target target) noexcept : EntryWriter(std::move(target)) {}

  /// Opens the store in the file `path`, creating it if need be (see `Options`). Errors: `cant_open`
  /// (a folder, no permission, no such path), `not_a_store`, `corrupt`, `unsupported_version`,
  /// `read_only` (the file cannot be written), `exists`, `busy`, `invalid_argument` (an option out of
  /// range, an empty path, a file with several names), `auth_failed` (encrypted), `log_mismatch` (the log
  /// beside the file is that of another one; `restore` is the way to put a backup in place).
  [[nodiscard]] static Result<Store> open(std::string_view path, const Options& options = {}) {
    core::Target target;
    Error error = core::open_store(path, options, target);
    return facade::as_result(std::move(error), Store(std::move(target)));
  }

  /// A new, empty store in memory, with all features of one in a file. It goes away with its handles.
  [[nodiscard]] static Result<Store> open_in_memory(const Options& options = {}) {
    core::Target target;
    Error error = core::open_in_memory(options, target);
    return facade::as_result(std::move(error), Store(std::move(target)));
  }

  // ---- Encryption (docs/encryption.md) ----
  // Opening, making and converting are three things, so that a slip never encrypts what is plain.

  /// Opens the encrypted store in the file `path`; one that is not there is created, encrypted, unless
  /// `options` say otherwise. Besides the errors of `open`: `auth_failed` (a wrong secret),
  /// `invalid_argument` (the store is not encrypted; an empty password, a key that has not 32 bytes),
  /// `tampered` (the header of the encryption was changed), `too_large` (the file asks for more memory
  /// or time than `encryption` allows), `no_memory`. Takes as long as Argon2id for a password. Only its
  /// owner can read and write a new file (0600), whatever the umask is.
  [[nodiscard]] static Result<Store> open_encrypted(std::string_view path, const Secret& secret,
                                                    const Options& options = {},
                                                    const EncryptionOptions& encryption = {}) {
    core::Target target;
    Error error = core::open_encrypted(path, secret, options, encryption, target);
    return facade::as_result(std::move(error), Store(std::move(target)));
  }

  /// Whether the store in the file `path` is encrypted. Errors as of `open` with `read_only`. Like that it
  /// rolls back what a writer has left that died (see `Options::read_only`).
  [[nodiscard]] static Result<bool> is_encrypted(std::string_view path) {
    bool out = false;
    Error error = core::file_is_encrypted(path, out);
    return facade::as_result(std::move(error), std::move(out));
  }
  [[nodiscard]] bool is_encrypted() const noexcept { return core::is_encrypted(target_); }

  /// From now on `next` opens the store, and `current` no more: `auth_failed` if `current` is another one.
  /// Handles that are open go on. A copy of the file from before is still opened with `current`. One row
  /// is rewritten; `encryption` is for the new one. `locked` in a transaction of this thread.
  [[nodiscard]] Result<void> change_password(const Secret& current, const Secret& next,
                                             const EncryptionOptions& encryption = {}) {
    return facade::as_result(core::change_password(target_, current, next, encryption));
  }

  /// Makes a new data key and seals every value with it, in transactions of bounded size, while this
  /// handle reads and writes on. Other handles of the file, and those of other processes, give
  /// `auth_failed` from the beginning on and have to be opened again. What stopped half-way, for a crash
  /// or because `progress` (which counts entries) asked for it, stays readable, and is taken up by the
  /// next call. `secret` is what opens the store. O(contents).
  [[nodiscard]] Result<void> rotate_key(const Secret& secret, const Progress& progress = {},
                                        const EncryptionOptions& encryption = {}) {
    return facade::as_result(core::rotate_key(target_, secret, encryption, progress));
  }

  /// Encrypts the store in the file `path`, which nobody may have open: `busy` (with `Journal::rollback` an
  /// idle handle is not seen, and gives errors afterwards). A new file is written beside it, as
  /// `path.unfinished-UID-PID-N`, for its owner only, and takes its place, with its modes, when it is
  /// complete and on the disk; until then, and after any error, the store is as it was. Then the old contents
  /// are overwritten, as far as the file system lets them be. Side files are removed. What a process that was
  /// killed leaves is overwritten and removed when the store is opened for writing the next time.
  /// Needs as much space as there is data. Errors: `invalid_argument` (it is encrypted; the file has several
  /// names), `schema_mismatch` (tables that are not the library's, which would stay in clear), `cant_open`,
  /// `full`, `io_error`, `corrupt`, `aborted`. `progress` counts entries.
  [[nodiscard]] static Result<void> encrypt_existing(std::string_view path, const Secret& secret,
                                                     const Progress& progress = {},
                                                     const EncryptionOptions& encryption = {}) {
    return facade::as_result(core::encrypt_existing(path, secret, encryption, progress));
  }
  /// The opposite, in the same way; also `auth_failed` and `tampered`.
  [[nodiscard]] static Result<void> remove_encryption(std::string_view path, const Secret& secret,
                                                      const Progress& progress = {},
                                                      const EncryptionOptions& encryption = {}) {
    return facade::as_result(core::remove_encryption(path, secret, encryption, progress));
  }

  /// Closes the file now; later uses of any copy give `Errc::closed`. Fails with `busy` while a
  /// transaction, snapshot or iterator is open, and then changes nothing; `locked` in a function that an
  /// operation of the store has called. `moved` if the file or its log was renamed, replaced or removed
  /// meanwhile (the store is closed all the same): move it back before it is opened again. Optional: the last
  /// handle closes by going away, and tells `Options::log` of that.
  [[nodiscard]] Result<void> close() { return facade::as_result(core::close_store(target_)); }

  /// The path it was opened with; empty for a store in memory.
  [[nodiscard]] std::string_view path() const noexcept { return core::path(target_); }
  /// The file itself: an absolute path without links, as it was when the store was opened, wherever the
  /// process goes meanwhile. Everything that the library keeps beside a store is beside it. Empty for a
  /// store in memory.
  [[nodiscard]] std::string_view file() const noexcept { return core::file(target_); }

  // ---- Column families ----
  // Names: 1 to 255 bytes of UTF-8 without NUL; the prefixes `snkv_` and `sqlite_` are reserved. Names
  // are case-sensitive, but two that differ only in the case of ASCII letters cannot exist together,
  // because they name tables. Errors: `invalid_argument` (the name), `not_found`, `exists`.

  /// The family `name`; created if there is none.
  [[nodiscard]] Result<ColumnFamily> column_family(std::string_view name) {
    return facade::open_family(target_, name, core::FamilyMode::open_or_create);
  }
  /// A family that was obtained from a transaction or a snapshot, bound to it no longer;
  /// `invalid_argument` if it is one of another store. It gives `dropped` as long as it is not committed.
  [[nodiscard]] Result<ColumnFamily> column_family(const ColumnFamily& family) {
    return family.seen_from(core::Target{target_.store, {}, {}});
  }
  /// The family `name`; `not_found` if there is none.
  [[nodiscard]] Result<ColumnFamily> open_column_family(std::string_view name) const {
    return facade::open_family(target_, name, core::FamilyMode::open);
  }
  /// A new family `name`; `exists` if there is one.
  [[nodiscard]] Result<ColumnFamily> create_column_family(std::string_view name) {
    return facade::open_family(target_, name, core::FamilyMode::create);
  }
  /// The family that the store's own operations go to, named "default".
  [[nodiscard]] ColumnFamily default_column_family() const { return ColumnFamily(target_); }
  /// Removes a family and all its entries. The default family cannot be dropped. O(pages).
  [[nodiscard]] Result<void> drop_column_family(std::string_view name) {
    return facade::as_result(core::drop_family(target_, name));
  }
  /// The names of all families, "default" included, sorted.
  [[nodiscard]] Result<std::vector<std::string>> list_column_families() const {
    return facade::list_families(target_);
  }

  // ---- Transactions ----

  /// Starts a write transaction, waiting for other writers up to the busy timeout: `busy` after that,
  /// `locked` if this thread has one open already, `read_only`.
  [[nodiscard]] Result<Transaction> begin(const WriteOptions& options = {}) {
    core::Target out;
    Error error = core::begin(target_, options, out);
    return facade::as_result(std::move(error), Transaction(std::move(out)));
  }

  /// Runs `body(Transaction&)` in a transaction and commits it. `body` returns a `Result`, whose error rolls back and is
  /// handed on, or nothing. When the store is busy it starts anew, `body` included,
  /// after a growing pause, at most 8 times. In `body` the store itself gives `locked` for what writes. What
  /// `body` throws is not caught, and the transaction is rolled back.
  template <class Body>
    requires std::invocable<Body&, Transaction&>
  [[nodiscard]] auto transact(Body&& body) {
    if constexpr (std::is_void_v<std::invoke_result_t<Body&, Transaction&>>) {
      return transact([&](Transaction& transaction) -> Result<void> {
        body(transaction);
        return {};
      });
    } else {
      return transact_with_result(body);
    }
  }
  /// An unchanging view of the store as of its latest commit.
  [[nodiscard]] Result<Snapshot> snapshot() const {
    core::Target out;
    Error error = core::snapshot(target_, out);
    return facade::as_result(std::move(error), Snapshot(std::move(out)));
  }

  // ---- Maintenance ----

  /// `purge_expired` for all column families, in turn.
  [[nodiscard]] Result<std::uint64_t> purge_all_expired(std::uint64_t limit = 0) {
    std::uint64_t purged = 0;
    Error error = core::purge_all_expired(target_, limit, purged);
    return facade::as_result(std::move(error), std::move(purged));
  }

  /// Copies the write-ahead log into the file, as far as `mode` says. `busy` when it had to wait
  /// longer than the busy timeout; `locked` inside a transaction of this thread; `moved` as of `close`.
  /// Without a log it does nothing.
  [[nodiscard]] Result<CheckpointResult> checkpoint(Checkpoint mode = Checkpoint::passive) {
    CheckpointResult out;
    Error error = core::checkpoint(target_, mode, out);
    return facade::as_result(std::move(error), std::move(out));
  }

  /// Returns when every commit that has returned would survive a power cut; `moved` if the file that has
  /// them does not have its name any more. One fsync.
  [[nodiscard]] Result<void> sync() { return facade::as_result(core::sync(target_)); }

  /// Gives up to `max_pages` unused pages back to the file system (0: all of them); the number freed.
  [[nodiscard]] Result<std::uint32_t> vacuum(std::uint32_t max_pages = 0) {
    std::uint32_t freed = 0;
    Error error = core::vacuum(target_, max_pages, freed);
    return facade::as_result(std::move(error), std::move(freed));
  }

  /// Reads the whole file and checks its structure; `corrupt` with the findings if it is damaged. Of tables
  /// that are not the library's it checks the pages, and evaluates nothing that they define. O(file size).
  [[nodiscard]] Result<void> integrity_check() const {
    return facade::as_result(core::integrity_check(target_));
  }

  /// Like `integrity_check`, and checks what the library itself promises, in one snapshot: that every
  /// row can be read, keys are in order, large values are complete and none is left over, the index of
  /// expiries and the rows agree, the tables of the store belong together. What it has read; `corrupt`
  /// with the first findings if there is something wrong, `schema_mismatch` if all that is wrong is that
  /// a family's table was altered through SQL, `aborted`. Holds back the log like a snapshot; `progress`
  /// counts pages, twice. O(file size).
  [[nodiscard]] Result<VerifyReport> verify(const Progress& progress = {}) const {
    VerifyReport out;
    Error error = core::verify(target_, progress, out);
    return facade::as_result(std::move(error), std::move(out));
  }

  /// Writes a copy of the latest commit to the new file `path`, while others read and write: a store of
  /// its own, in one file. The file appears when it is complete and safely on the disk, and on any
  /// failure not at all; until then it is called `path.unfinished-UID-PID-N`. What a process that was
  /// killed leaves of it is removed by the next copy to the same place. Whoever may not use the store's
  /// file may not use the copy either, at no moment. Errors: `exists`
  /// (anything of that name, the store itself included, or the log of a former database),
  /// `invalid_argument` (an empty path, the name of this store's log), `cant_open`, `full`, `io_error`,
  /// `aborted`, `busy`. A store in memory is saved this way. Holds back the log like a snapshot; with
  /// `Journal::rollback` writers wait for it. `progress` counts pages. O(file size); with `compact`,
  /// O(contents).
  [[nodiscard]] Result<void> backup(std::string_view path, const BackupOptions& options = {},
                                    const Progress& progress = {}) const {
    return facade::as_result(core::backup(target_, path, options, progress));
  }
  /// The same with default options: `store.backup("copy.db", progress)`.
  template <class Function>
    requires std::is_invocable_r_v<bool, Function&, std::uint64_t, std::uint64_t>
  [[nodiscard]] Result<void> backup(std::string_view path, const Function& progress) const {
    return backup(path, BackupOptions(), Progress(progress));
  }

  /// Puts a copy of the store in the file `backup` in the place of the one in the file `path`, which nobody
  /// may have open (`busy`), or where there is none. Copying the file by other means leaves the log of the
  /// old store beside it. The backup is read as a whole first, and may be encrypted; it stays as it is, and
  /// may be in use. The log, and saved indexes of vectors, of the old store are removed. A crash at any
  /// moment leaves the old contents or the new ones, safely on the disk. Errors: `not_a_store` (the backup,
  /// or what lies at `path`), `corrupt`, `unsupported_version` (the backup), `invalid_argument` (both are one
  /// file; the backup has several names), `cant_open`, `full`, `io_error`, `aborted`; the old store is then
  /// as it was. `progress` counts pages. O(size of the backup).
  [[nodiscard]] static Result<void> restore(std::string_view backup, std::string_view path,
                                            const Progress& progress = {}) {
    return facade::as_result(core::restore(backup, path, progress));
  }

  /// Rewrites the whole file without unused pages, each tree in order. Families, handles and the page
  /// size stay; other writers wait meanwhile, readers and snapshots go on. Needs as much temporary
  /// space ($SQLITE_TMPDIR, $TMPDIR, /var/tmp or /tmp) as there is data, and as much again in the log.
  /// The file itself shrinks at once, or when the last snapshot from before ends and a checkpoint runs.
  /// Errors: `locked` (in a transaction of this thread), `busy` (another writer; with
  /// `Journal::rollback` also a reader), `read_only`, `full`, `aborted`; it then has changed nothing.
  /// `progress` counts pages; in it, what writes to the store gives `locked`. Its last call comes before anything
  /// is changed. O(contents).
  [[nodiscard]] Result<void> compact(const Progress& progress = {}) {
    return facade::as_result(core::compact(target_, progress));
  }

  /// How large the file and the log are, and how much of it is in use. O(1).
  [[nodiscard]] Result<SpaceReport> space() const {
    SpaceReport out;
    Error error = core::space(target_, out);
    return facade::as_result(std::move(error), std::move(out));
  }

  /// The rows of one statement of SQL that reads, as of the latest commit (see sql.hpp). `parameters`
  /// are for its `?`, in order: nullptr, integers, floating-point numbers, text (`std::string_view`),
  /// blobs (`BytesView`), and `std::optional` of these. Errors: `invalid_argument` (SQL that is wrong,
  /// several statements or none, the number of parameters), `read_only` (it would change something),
  /// `too_large`, `busy`. Calculates the first row; what it costs to do so is up to the query: of a file from
  /// elsewhere it evaluates the views, generated columns and the like that the statement names.
  template <class... Parameters>
    requires(std::constructible_from<SqlValue, const Parameters&> && ...)
  [[nodiscard]] Result<SqlRows> sql(std::string_view statement, const Parameters&... parameters) const {
    const std::array<SqlValue, sizeof...(Parameters)> values{SqlValue(parameters)...};
    core::Query* query = nullptr;
    Error error = core::open_query(target_, statement, values.data(), values.size(), query);
    return facade::as_result(std::move(error), SqlRows(query));
  }

  [[nodiscard]] Result<Stats> stats() const {
    Stats out;
    Error error = core::stats(target_, out);
    return facade::as_result(std::move(error), std::move(out));
  }
  /// How long operations of one kind took; `invalid_argument` unless `Options::latency_histograms`.
  [[nodiscard]] Result<LatencyHistogram> latency(TimedOperation which) const {
    LatencyHistogram out;
    Error error = core::latency(target_, which, out);
    return facade::as_result(std::move(error), std::move(out));
  }
  /// Number of the latest commit made through this store (0: none since it was opened).
  [[nodiscard]] Result<std::uint64_t> sequence() const {
    std::uint64_t out = 0;
    Error error = core::sequence(target_, out);
    return facade::as_result(std::move(error), std::move(out));
  }
  /// The changes of the commits after number `sequence`, oldest first (see watch.hpp). `expired` when
  /// some of them are kept no longer: `Options::change_history` says how many are.
  [[nodiscard]] Result<std::vector<Change>> changes_since(std::uint64_t sequence) const {
    std::vector<Change> out;
    Error error = core::changes_since(target_, sequence, out);
    return facade::as_result(std::move(error), std::move(out));
  }
  /// Returns when something was committed since a former call gave `since`, by this handle, another one, or another
  /// process; after `timeout` in any case. Gives the number for the next call, which is `since` if nothing happened. 0 as
  /// `since` returns at once:
  ///
  ///     for (auto seen = *store.wait_for_change(0, 0ms);; seen = *store.wait_for_change(seen, 10s)) look(store);
  ///
  /// The number counts what this store has noticed; several commits may count once. It looks for commits of others
  /// every 10 ms. `invalid_argument` for a negative timeout; `closed` if the store is closed meanwhile.
  [[nodiscard]] Result<std::uint64_t> wait_for_change(std::uint64_t since, std::chrono::milliseconds timeout) const {
    std::uint64_t seen = 0;
    Error error = core::wait_for_change(target_, since, timeout, seen);
    return facade::as_result(std::move(error), std::move(seen));
  }
  /// Sets the counters, not the gauges, to zero.
  [[nodiscard]] Result<void> reset_stats() { return facade::as_result(core::reset_stats(target_)); }

 private:
  template <class Body>
  [[nodiscard]] std::invoke_result_t<Body&, Transaction&> transact_with_result(Body& body) {
    for (unsigned attempt = 1;; ++attempt) {
      auto result = attempt_transaction(body);
      if (result || !(result.error() == Errc::busy) || !core::backoff(attempt)) return result;
    }
  }

  template <class Body>
  [[nodiscard]] std::invoke_result_t<Body&, Transaction&> attempt_transaction(Body& body) {
    auto transaction = begin();
    if (!transaction) return Unexpected(std::move(transaction).error());
    auto result = body(*transaction);
    if (!result) return result;
    auto committed = transaction->commit();
    if (!committed) return Unexpected(std::move(committed).error());
    return result;
  }
};

namespace facade {

/// For layers above: what a handle stands for, and back.
struct Door {
  [[nodiscard]] static const core::Target& target(const EntryReader& handle) noexcept {
    return handle.target_;
  }
  [[nodiscard]] static Store store(core::Target target) noexcept { return Store(std::move(target)); }
};

}  // namespace facade
}  // namespace SNKV_EXPECTED_NAMESPACE
}  // namespace snkv
