/// \file
/// The only door from the inline facade to the compiled core. Not part of the public interface:
/// applications include <snkv/snkv.hpp>.
///
/// Nothing here names `expected`: functions return an `Error` that may be ok and give their result
/// through a reference, which they leave alone on failure. No function throws.
#pragma once

#include <snkv/bytes.hpp>
#include <snkv/column_types.hpp>
#include <snkv/detail/export.hpp>
#include <snkv/encryption.hpp>
#include <snkv/error.hpp>
#include <snkv/import_report.hpp>
#include <snkv/kohakuvault_report.hpp>
#include <snkv/options.hpp>
#include <snkv/sql_value.hpp>
#include <snkv/stats.hpp>
#include <snkv/watch.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace snkv::core {

class StoreState;
struct Family;

/// What an operation may be bound to besides the store: a transaction or a snapshot.
class Scope;

/// Where an operation goes: the store, the column family, and the transaction or snapshot it runs
/// in (none: each operation is a transaction of its own).
struct Target {
  std::shared_ptr<StoreState> store;
  std::shared_ptr<const Family> family;
  std::shared_ptr<Scope> scope;
};

/// Half-open key interval of a scan. An empty `high` with `bounded_above == false` has no end.
struct KeyRange {
  Bytes low;
  Bytes high;
  bool bounded_above = false;
};

/// All keys that start with `prefix`.
[[nodiscard]] SNKV_API KeyRange prefix_range(BytesView prefix);

// ---- Store ----
SNKV_API Error open_store(std::string_view path, const Options& options, Target& out);
SNKV_API Error open_in_memory(const Options& options, Target& out);
SNKV_API Error open_encrypted(std::string_view path, const Secret& secret, const Options& options,
                              const EncryptionOptions& encryption, Target& out);
SNKV_API Error close_store(const Target& target);
SNKV_API Error checkpoint(const Target& target, Checkpoint mode, CheckpointResult& out);
SNKV_API Error sync(const Target& target);
SNKV_API Error vacuum(const Target& target, std::uint32_t max_pages, std::uint32_t& freed);
SNKV_API Error integrity_check(const Target& target);
SNKV_API Error stats(const Target& target, Stats& out);
SNKV_API Error reset_stats(const Target& target);
SNKV_API Error space(const Target& target, SpaceReport& out);
SNKV_API Error backup(const Target& target, std::string_view path, const BackupOptions& options,
                      const Progress& progress);
SNKV_API Error compact(const Target& target, const Progress& progress);
SNKV_API Error restore(std::string_view backup, std::string_view path, const Progress& progress);
SNKV_API Error verify(const Target& target, const Progress& progress, VerifyReport& out);
SNKV_API std::string_view path(const Target& target) noexcept;
SNKV_API std::string_view file(const Target& target) noexcept;

// ---- Encryption ----
SNKV_API bool is_encrypted(const Target& target) noexcept;
SNKV_API Error file_is_encrypted(std::string_view path, bool& out);
SNKV_API Error change_password(const Target& target, const Secret& current, const Secret& next,
                               const EncryptionOptions& options);
SNKV_API Error rotate_key(const Target& target, const Secret& secret,
                          const EncryptionOptions& options, const Progress& progress);
SNKV_API Error encrypt_existing(std::string_view path, const Secret& secret,
                                const EncryptionOptions& options, const Progress& progress);
SNKV_API Error remove_encryption(std::string_view path, const Secret& secret,
                                 const EncryptionOptions& options, const Progress& progress);

// ---- SQL ----

/// The rows of a query. The fields are read inline by the facade; they change only in the functions
/// below.
struct Query {
  bool valid = false;  ///< there is a current row
  std::size_t columns = 0;
};

/// Opens a query and reads its first row. `out` is for `close_query`.
SNKV_API Error open_query(const Target& target, std::string_view sql, const SqlValue* parameters,
                          std::size_t count, Query*& out);
SNKV_API void close_query(Query* query) noexcept;
SNKV_API void query_next(Query& query) noexcept;
SNKV_API SqlValue query_value(const Query& query, std::size_t column) noexcept;
SNKV_API std::string_view query_column_name(const Query& query, std::size_t column) noexcept;
SNKV_API Error query_status(const Query& query);

// ---- Column families ----
enum class FamilyMode { open, create, open_or_create };
SNKV_API Error family(const Target& target, std::string_view name, FamilyMode mode, Target& out);
/// `invalid_argument` for what can be the name of no family.
SNKV_API Error check_family_name(const char* operation, std::string_view name);
SNKV_API Error drop_family(const Target& target, std::string_view name);
SNKV_API Error list_families(const Target& target, std::vector<std::string>& out);
SNKV_API std::string_view family_name(const Target& target) noexcept;

// ---- For layers above the core ----

/// A family whose name begins with `snkv_vector`, `snkv_column` or `snkv_journal`, which users neither see nor
/// can open.
SNKV_API Error internal_family(const Target& target, std::string_view name, FamilyMode mode,
                               Target& out);
SNKV_API Error drop_internal_family(const Target& target, std::string_view name);
/// The 16 bytes that were made with the store and never change.
SNKV_API Error store_id(const Target& target, std::array<std::uint8_t, 16>& out);
/// The time by which the target tells what has expired.
SNKV_API std::int64_t now(const Target& target) noexcept;
SNKV_API bool is_read_only(const Target& target) noexcept;
/// The object that hangs on the open store under `name`; `make(context)` makes it if there is none. It
/// goes away with the store, or when it is detached, and with the last of those that have got it.
using MakeAttachment = std::shared_ptr<void> (*)(void* context);
SNKV_API Error attachment(const Target& target, std::string_view name, MakeAttachment make,
                          void* context, std::shared_ptr<void>& out);
SNKV_API void detach(const Target& target, std::string_view name) noexcept;
/// Tells the store's log (`Options::log`). Without locks that the log may want.
SNKV_API void log(const Target& target, LogLevel level, std::string_view message) noexcept;

/// Like `get`, and tells when the entry expires.
SNKV_API Error get_entry(const char* operation, const Target& target, BytesView key, Bytes& value,
                         std::optional<std::int64_t>& expires_at);

// ---- Entries ----
SNKV_API Error get(const Target& target, BytesView key, Bytes& value);
SNKV_API Error contains(const Target& target, BytesView key, bool& found);
SNKV_API Error put(const Target& target, BytesView key, BytesView value, const PutOptions& options);
SNKV_API Error erase(const Target& target, BytesView key, const WriteOptions& options, bool& existed);
SNKV_API Error clear(const Target& target, const WriteOptions& options);
SNKV_API Error count(const Target& target, std::uint64_t& entries);
SNKV_API Error count_range(const Target& target, const KeyRange& range, std::uint64_t& entries);
SNKV_API Error count_live(const Target& target, std::uint64_t& entries);
SNKV_API Error multi_get(const Target& target, const BytesView* keys, std::size_t count,
                         std::optional<Bytes>* values);
SNKV_API Error erase_range(const Target& target, const KeyRange& range, const WriteOptions& options,
                           std::uint64_t& erased);

/// Calls `use(context, value)` while the value lies in the page cache.
using VisitFunction = void (*)(void* context, BytesView value);
SNKV_API Error visit(const Target& target, BytesView key, VisitFunction use, void* context);

// ---- Expiry ----
/// `remaining` is empty for an entry that does not expire.
SNKV_API Error ttl(const Target& target, BytesView key,
                   std::optional<std::chrono::milliseconds>& remaining);
/// Sets the expiry that `options` name; none: the entry no longer expires.
SNKV_API Error set_expiry(const char* operation, const Target& target, BytesView key,
                          const PutOptions& options);
SNKV_API Error purge_expired(const Target& target, std::uint64_t limit, std::uint64_t& purged);
SNKV_API Error purge_all_expired(const Target& target, std::uint64_t limit, std::uint64_t& purged);

// ---- Atomic read-modify-write ----

/// What `update` does with an entry.
enum class Update { keep, put, erase };
/// Decides about an entry: gets its value (`nullptr` if absent) and says what shall happen; for `put` it
/// fills `desired`. May be called more than once, and must not use the store.
using UpdateFunction = Error (*)(void* context, const BytesView* current, Bytes& desired,
                                 Update& decision);
SNKV_API Error update(const char* operation, const Target& target, BytesView key,
                      const PutOptions& options, UpdateFunction decide, void* context);
/// Takes the first or last live entry of a range out; `out` is empty if there is none.
enum class RangeEnd { first, last };
SNKV_API Error pop(const Target& target, const KeyRange& range, RangeEnd end, const WriteOptions& options,
                   std::optional<OwnedEntry>& out);
/// Like `get`, and sets the expiry that `options` name.
SNKV_API Error get_and_expire(const Target& target, BytesView key, const PutOptions& options, Bytes& value);
/// The value as the integer that `increment` keeps; `invalid_argument` if it is none.
SNKV_API Error get_int(const Target& target, BytesView key, std::int64_t& out);
SNKV_API Error increment(const Target& target, BytesView key, std::int64_t delta,
                         const PutOptions& options, std::int64_t& result);

// ---- Values in pieces ----

/// A value that is being written, and one that is being read. The fields are read inline by the facade.
struct BlobWriter {
  std::uint64_t size = 0;
};
struct BlobReader {
  std::uint64_t size = 0;
};

SNKV_API Error open_blob_writer(const Target& target, BytesView key, const BlobOptions& options,
                                BlobWriter*& out);
SNKV_API Error blob_write(BlobWriter* writer, std::uint64_t offset, BytesView bytes);
SNKV_API Error blob_finish(BlobWriter* writer);
SNKV_API void blob_cancel(BlobWriter* writer) noexcept;
/// Cancels it unless it is finished.
SNKV_API void close_blob_writer(BlobWriter* writer) noexcept;
SNKV_API Error open_blob_reader(const Target& target, BytesView key, BlobReader*& out);
SNKV_API Error blob_read(BlobReader* reader, std::uint64_t offset, std::byte* out, std::size_t size,
                         std::size_t& got);
SNKV_API void close_blob_reader(BlobReader* reader) noexcept;

/// A value that is being changed where it is.
struct BlobEditor {
  std::uint64_t size = 0;
};
SNKV_API Error open_blob_editor(const Target& target, BytesView key, const WriteOptions& options,
                                BlobEditor*& out);
/// `offset` UINT64_MAX is the end of the value.
SNKV_API Error blob_edit_write(BlobEditor* editor, std::uint64_t offset, BytesView bytes);
SNKV_API Error blob_edit_truncate(BlobEditor* editor, std::uint64_t size);
SNKV_API Error blob_edit_read(BlobEditor* editor, std::uint64_t offset, std::byte* out, std::size_t size,
                              std::size_t& got);
SNKV_API Error blob_edit_finish(BlobEditor* editor);
/// Undoes what it did, if it is a transaction of its own that is not finished.
SNKV_API void close_blob_editor(BlobEditor* editor) noexcept;

SNKV_API Error put_file(const Target& target, BytesView key, std::string_view path,
                        const BlobOptions& options, const Progress& progress, std::uint64_t& size);
SNKV_API Error get_to_file(const Target& target, BytesView key, std::string_view path,
                           const Progress& progress, std::uint64_t& size);

// ---- Columns ----

/// An open column: the family that it is, and its name, for messages.
struct ColumnTarget {
  Target target;
  std::string name;
};

/// What the elements of a column are. `granule` divides `element_size`: no two chunks share a part of it.
struct ColumnType {
  std::string_view name;
  std::uint32_t element_size = 0;  ///< 0: they differ in size
  std::uint32_t granule = 1;
};

/// Elements to be written: `bytes` of a fixed size each, one behind the other, or `items`.
struct ColumnData {
  BytesView bytes;
  const BytesView* items = nullptr;
  std::uint64_t count = 0;
};

/// Room for elements that are appended one by one in a transaction: the facade writes to `next` what fits, the
/// core makes chunks of it. Elements that differ in size come behind their sizes (u32, little-endian). Both are
/// null when the transaction has ended.
struct ColumnTail {
  std::byte* next = nullptr;
  std::byte* end = nullptr;
};

/// Which elements to read: from `first` to before `last`, every `step`th, from behind if that is negative, at
/// most `most`. What is not there is left out, but for what has to be.
struct ColumnSlice {
  enum class Must { nothing, place, element };  ///< `first` may be the end; it is an element

  ColumnIndex first;
  ColumnIndex last = from_end(0);
  std::int64_t step = 1;
  std::uint64_t most = UINT64_MAX;
  Must be = Must::nothing;
};

/// Where elements go that are read. `reserve` is called once, with their number, before the first of them: for
/// a fixed size it gives the place for all, and `item` is not called.
struct ColumnSink {
  void* context = nullptr;
  std::byte* (*reserve)(void* context, std::uint64_t count) = nullptr;
  void (*item)(void* context, BytesView element) = nullptr;
};

/// Makes or opens a column. `schema_mismatch` for one of another type.
SNKV_API Error open_column(const Target& target, std::string_view name, const ColumnType& type,
                           FamilyMode mode, ColumnTarget& out);
SNKV_API Error list_columns(const Target& target, std::vector<ColumnInfo>& out);
SNKV_API Error drop_column(const Target& target, std::string_view name);
SNKV_API Error rename_column(const Target& target, std::string_view from, std::string_view to);

SNKV_API Error column_size(const ColumnTarget& column, std::uint64_t& out);
SNKV_API Error column_stats(const ColumnTarget& column, ColumnStats& out);
SNKV_API Error column_read(const char* operation, const ColumnTarget& column, const ColumnSlice& slice,
                           const ColumnSink& sink, std::uint64_t& got);
/// One element at the end. In a transaction it may stay in `tail`, which is made if need be.
SNKV_API Error column_append(const ColumnTarget& column, BytesView element, const WriteOptions& options,
                             std::shared_ptr<ColumnTail>& tail);
/// Puts elements in the place of those from `first` to before `last`.
SNKV_API Error column_splice(const char* operation, const ColumnTarget& column, ColumnIndex first,
                             ColumnIndex last, const ColumnData& data, const WriteOptions& options);
/// The same, over as many elements as there are in `data`.
SNKV_API Error column_replace(const char* operation, const ColumnTarget& column, ColumnIndex first,
                              const ColumnData& data, const WriteOptions& options);
/// Makes it shorter, or longer by elements like `fill`.
SNKV_API Error column_resize(const ColumnTarget& column, std::uint64_t length, BytesView fill,
                             const WriteOptions& options);

/// A walk through the elements of a column, piece by piece. The fields are the current piece, read inline by
/// the facade; they change only in the functions below.
struct ColumnScan {
  std::uint64_t first = 0;            ///< number of its first element
  std::uint64_t count = 0;            ///< its elements; 0: the walk has ended
  const std::byte* data = nullptr;    ///< of a fixed size
  const BytesView* items = nullptr;   ///< that differ in size
};
/// Opens a walk that is before its first piece. On failure `out` is a walk that has ended, with the error.
SNKV_API ColumnScan* open_column_scan(const ColumnTarget& column, const ColumnSlice& slice,
                                      std::uint32_t alignment) noexcept;
SNKV_API void close_column_scan(ColumnScan* scan) noexcept;
SNKV_API void column_scan_next(ColumnScan& scan) noexcept;
SNKV_API Error column_scan_status(const ColumnScan& scan);

// ---- Side files: what a layer above the core keeps beside the store, and can make anew ----

/// A side file that is being written. Nobody sees it before `side_publish`.
struct SideFileWriter {
  std::uint64_t chunk_size = 0;
};
/// A side file that is being read. It stays what it is when another one takes its place.
struct SideFileReader {
  std::uint64_t size = 0;        ///< bytes of content
  std::uint64_t chunks = 0;      ///< of `chunk_size` bytes each, but for the last
  std::uint64_t chunk_size = 0;
};

/// `suffix` begins with `-vectors-`, and is added to the name of the store's file, wherever that is. `invalid_argument` for stores
/// in memory.
SNKV_API Error open_side_writer(const Target& target, std::string_view suffix, SideFileWriter*& out);
/// Writes the content of a chunk, and changes it. All chunks have `chunk_size` bytes, but for the last, which
/// there always is. In any order, and for all threads at once; each chunk once, as its place is its nonce in an
/// encrypted store.
SNKV_API Error side_write(const SideFileWriter* writer, std::uint64_t chunk, std::byte* content,
                          std::size_t size, bool is_last);
/// All chunks are written; returns when they are on the disk.
SNKV_API Error side_finish(SideFileWriter* writer);
/// Puts the finished file in the place of the one that there was; returns when that is on the disk.
SNKV_API Error side_publish(SideFileWriter* writer);
/// Removes what was not published.
SNKV_API void close_side_writer(SideFileWriter* writer) noexcept;
/// `not_found` if there is none, `corrupt` or `unsupported_version` if it cannot be used.
SNKV_API Error open_side_reader(const Target& target, std::string_view suffix, SideFileReader*& out);
/// Reads the content of some chunks to `out`; `corrupt` if it is not what was written. For all threads at
/// once.
SNKV_API Error side_read(const SideFileReader* reader, std::uint64_t first, std::uint64_t count,
                         std::byte* out);
SNKV_API void close_side_reader(SideFileReader* reader) noexcept;
SNKV_API Error remove_side_file(const Target& target, std::string_view suffix);

// ---- Batches ----
SNKV_API Error write_batch(const Target& target, BytesView batch, const WriteOptions& options);

// ---- Observation ----
SNKV_API Error family_stats(const Target& target, FamilyStats& out);
SNKV_API Error latency(const Target& target, TimedOperation which, LatencyHistogram& out);
SNKV_API Error watch(const Target& target, BytesView prefix, WatchCallback callback,
                     std::shared_ptr<void>& subscription);
SNKV_API Error sequence(const Target& target, std::uint64_t& out);
SNKV_API Error wait_for_change(const Target& target, std::uint64_t since, std::chrono::milliseconds timeout,
                               std::uint64_t& out);
SNKV_API Error changes_since(const Target& target, std::uint64_t sequence,
                             std::vector<Change>& out);

// ---- Transactions and snapshots ----
SNKV_API Error begin(const Target& target, const WriteOptions& options, Target& out);
SNKV_API Error commit(const Target& target);
SNKV_API Error rollback(const Target& target);
/// Rolls back when the transaction is still open. For destructors.
SNKV_API void abandon(const Target& target) noexcept;
SNKV_API Error savepoint(const Target& target, std::uint64_t& id);
SNKV_API Error savepoint_rollback(const Target& target, std::uint64_t id);
SNKV_API Error savepoint_release(const Target& target, std::uint64_t id);
SNKV_API void savepoint_abandon(const Target& target, std::uint64_t id) noexcept;
SNKV_API Error snapshot(const Target& target, Target& out);
/// Sleeps before attempt number `attempt` (from 1) of a transaction that found the store busy;
/// returns false when it is time to give up.
SNKV_API bool backoff(unsigned attempt) noexcept;

// ---- Iteration ----

struct CursorMoves;

/// A cursor. The fields are its current entry, read inline by the facade; they change only in the
/// functions below.
struct Cursor {
  BytesView key;
  BytesView value;
  bool valid = false;
  const CursorMoves* moves = nullptr;  ///< of a cursor of a layer above the core; null: it is one of a tree
};

/// Opens a cursor on the keys of `range`, not yet positioned. On failure `out` is still a cursor,
/// which is never valid and whose status is the error.
SNKV_API Cursor* open_cursor(const Target& target, KeyRange range, const ScanOptions& options) noexcept;
/// Opens a cursor that is on the entry of `key`; `not_found` if there is none.
SNKV_API Error open_pinned(const Target& target, BytesView key, Cursor*& out);
SNKV_API void close_cursor(Cursor* cursor) noexcept;
SNKV_API void cursor_first(Cursor& cursor) noexcept;
SNKV_API void cursor_last(Cursor& cursor) noexcept;
SNKV_API void cursor_seek(Cursor& cursor, BytesView key) noexcept;
SNKV_API void cursor_seek_for_prev(Cursor& cursor, BytesView key) noexcept;
SNKV_API void cursor_next(Cursor& cursor) noexcept;
SNKV_API void cursor_prev(Cursor& cursor) noexcept;
SNKV_API Error cursor_status(const Cursor& cursor);

// ---- Files of KohakuVault ----
SNKV_API Error import_kohakuvault(const Target& target, std::string_view path, KohakuVaultReport& report);

// ---- Databases of SNKV's C library ----

/// An open one.
class Original;

/// A walk through a family of it. The fields are its current entry, read inline by the facade; they
/// change only in `original_next`.
struct OriginalCursor {
  BytesView key;
  BytesView value;
  std::optional<std::int64_t> expires_at;
  bool valid = false;
};

/// The families that belong to its vectors, of one of the layouts that versions of the library have written.
struct OriginalVectors {
  std::string vectors;        ///< Floats by key.
  std::string metadata;       ///< Text of JSON objects by key; may not be there.
  std::string configuration;  ///< May not be there.
};

SNKV_API Error open_original(std::string_view path, BytesView password,
                             std::shared_ptr<const Original>& out);
SNKV_API bool original_is_encrypted(const Original& original) noexcept;
SNKV_API std::vector<std::string> original_families(const Original& original);
/// Those of `original_families` whose names the library keeps for itself.
SNKV_API std::vector<std::string> original_unknown_families(const Original& original);
SNKV_API std::vector<OriginalVectors> original_vectors(const Original& original);
SNKV_API Error open_original_cursor(const std::shared_ptr<const Original>& original,
                                    std::string_view family, OriginalCursor*& out);
SNKV_API Error original_next(OriginalCursor& cursor);
SNKV_API void close_original_cursor(OriginalCursor* cursor) noexcept;

/// Called with the database and the new store before that appears.
using ImportAlso =
    std::function<Error(const std::shared_ptr<const Original>& original, const Target& store)>;
/// What the new store is to be; without a secret it is not encrypted, which of an encrypted database is only
/// made if `decrypt` says so.
struct ImportedStore {
  const Options& options;
  const Secret* secret;
  const EncryptionOptions& encryption;
  bool decrypt;
};
SNKV_API Error import_original(std::string_view from, std::string_view to, BytesView password,
                               const ImportedStore& wanted, const ImportAlso& also,
                               const Progress& progress, ImportReport& report);

}  // namespace snkv::core
