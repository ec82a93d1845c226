/// \file
/// The C interface: stores, column families, iterators, transactions, expiry, encryption. It has the
/// names, values and meanings of SNKV's C library; docs/c-api.md tells where it does more or differs.
///
/// Conventions:
/// - Functions return a `KVSTORE_*` code. NULL handles, handles of another kind, handles that were
///   closed, NULL buffers and negative lengths give `KVSTORE_ERROR` (`kvstore_iterator_eof` 1;
///   `kvstore_close` takes NULL, and so do the other functions that close or free).
/// - Keys have 1 to 65536 bytes. A value may be empty, and its pointer NULL then; it has at most
///   10 MiB, as there: a larger size is refused before a byte of the value is read.
/// - What a function allocates for the caller is freed with `sqliteFree` or `snkv_free`; output
///   parameters are NULL and 0 after a failure. Keys and values of iterators belong to the iterator.
/// - Times are milliseconds since the Unix epoch.
///
/// Threads: a `KVStore` and its `KVColumnFamily` handles serve any number of threads; reads run in
/// parallel unless a transaction is open on the handle. An iterator serves one thread at a time.
#ifndef SNKV_C_KVSTORE_H
#define SNKV_C_KVSTORE_H

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>

#ifndef SNKV_C_API
#if defined(__GNUC__)
#define SNKV_C_API __attribute__((visibility("default")))
#else
#define SNKV_C_API
#endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Codes; the numbers are those of SQLite ---- */

#define KVSTORE_OK 0
#define KVSTORE_ERROR 1        ///< Anything that has no code of its own; see `kvstore_errmsg`.
#define KVSTORE_BUSY 5         ///< Somebody else kept the lock for longer than the busy timeout.
#define KVSTORE_LOCKED 6       ///< A transaction of this handle is in the way.
#define KVSTORE_NOMEM 7        ///< An allocation failed.
#define KVSTORE_READONLY 8     ///< A write to what was opened, or begun, for reading.
#define KVSTORE_INTERRUPT 9    ///< A progress function has asked to stop.
#define KVSTORE_CORRUPT 11     ///< The file is damaged.
#define KVSTORE_NOTFOUND 12    ///< No such key or column family.
#define KVSTORE_AUTH_FAILED 13 ///< Wrong password, or an encrypted store opened without one.
#define KVSTORE_PROTOCOL 15    ///< The file locking protocol failed.

/* The same under SQLite's names, which programs use as well. Written as sqlite3.h has them, so that both
   headers can be included, in any order; hence no comments behind them, and no guards. */
#define SQLITE_OK 0
#define SQLITE_ERROR 1
#define SQLITE_BUSY 5
#define SQLITE_LOCKED 6
#define SQLITE_NOMEM 7
#define SQLITE_READONLY 8
#define SQLITE_CORRUPT 11
#define SQLITE_NOTFOUND 12
#define SQLITE_PROTOCOL 15

/* ---- Constants ---- */

// No constant is 0, so that 0 in a config always means the default, and a name what it says. In SNKV's
// header `KVSTORE_JOURNAL_DELETE` and `KVSTORE_SYNC_OFF` are 0: what counts on the numbers sees a difference.

#define KVSTORE_JOURNAL_WAL 1                           ///< Write-ahead log.
#define KVSTORE_JOURNAL_DELETE 2                        ///< Rollback journal.
#define KVSTORE_JOURNAL_ROLLBACK KVSTORE_JOURNAL_DELETE ///< A former name of it.

#define KVSTORE_SYNC_NORMAL 1              ///< A crash of the process loses nothing.
#define KVSTORE_SYNC_FULL 2                ///< A power cut loses nothing: one fsync for each commit.
#define KVSTORE_SYNC_OFF 3                 ///< No fsync.
#define KVSTORE_SYNC_NEVER KVSTORE_SYNC_OFF ///< A former name of it.

#define KVSTORE_CHECKPOINT_PASSIVE 0
#define KVSTORE_CHECKPOINT_FULL 1
#define KVSTORE_CHECKPOINT_RESTART 2
#define KVSTORE_CHECKPOINT_TRUNCATE 3

#define KVSTORE_MAX_COLUMN_FAMILIES 64 ///< Besides the default one; `kvstore_cf_create` makes no more.
#define KVSTORE_NO_TTL INT64_C(-1)     ///< Time that is left of an entry that does not expire.

/* ---- Types ---- */

typedef struct KVStore KVStore;
typedef struct KVColumnFamily KVColumnFamily;
typedef struct KVIterator KVIterator;

/// How a store is opened. Fields of value 0 mean the defaults: a config of zeros is one.
typedef struct KVStoreConfig {
  int journalMode;    ///< `KVSTORE_JOURNAL_WAL` (default) or `KVSTORE_JOURNAL_DELETE`.
  int syncLevel;      ///< `KVSTORE_SYNC_NORMAL` (default), `_FULL` or `_OFF`.
  int cacheSize;      ///< Page cache of each connection, in pages; default 2000.
  int pageSize;       ///< For new files; a power of two, default 4096. Smaller ones mean 4096.
  int readOnly;       ///< Not 0: refuse to write.
  int busyTimeout;    ///< Milliseconds to wait for a lock; default 0.
  int walSizeLimit;   ///< Checkpoint after so many commits; default 0: never.
  int allowEncrypted; ///< Ignored.
  int fullMutex;      ///< Not 0: calls on the handle exclude each other.
  /// Not 0: open a file that has several names (hard links), which is refused otherwise. The log lies beside
  /// the name that is used, so all who open the file have to use the same one, or lose what they write.
  int allowHardLinks;
} KVStoreConfig;

/// Counts since the store was opened or `kvstore_stats_reset`.
typedef struct KVStoreStats {
  uint64_t nPuts;
  uint64_t nGets;
  uint64_t nDeletes;
  uint64_t nIterations;   ///< Iterators created.
  uint64_t nErrors;       ///< Failed calls; a missing key is not a failure.
  uint64_t nBytesRead;    ///< Bytes of values that gets returned.
  uint64_t nBytesWritten; ///< Bytes of keys and values that were put.
  uint64_t nWalCommits;   ///< Write transactions committed.
  uint64_t nCheckpoints;
  uint64_t nTtlExpired;   ///< Reads that met an expired entry.
  uint64_t nTtlPurged;
  uint64_t nDbPages;      ///< Pages of the database now; never reset.
} KVStoreStats;

/// Called now and then by a long call, in its thread, with how much is done of how much, and with the
/// `context` that the call was given. Anything but 0 stops the call, which then gives `KVSTORE_INTERRUPT`
/// and has changed nothing; that is so for every time, also the last one. It has to return; what it throws,
/// in C++, counts as stopping. docs/callbacks.md says what it may do with the store.
typedef int (*KVProgress)(void *context, uint64_t done, uint64_t total);

/* ---- Opening and closing ---- */

/// Opens the store in the file `filename`, making it if need be. NULL or ":memory:": a new one in
/// memory. `config` NULL: all defaults. `*store` is NULL after a failure; `kvstore_errmsg(NULL)` then
/// says why. `KVSTORE_AUTH_FAILED`: it is encrypted.
SNKV_C_API int kvstore_open_v2(const char *filename, KVStore **store, const KVStoreConfig *config);
/// The same with defaults, except the journal: `KVSTORE_JOURNAL_WAL` or `KVSTORE_JOURNAL_DELETE`, for
/// which 0 may be written, too.
SNKV_C_API int kvstore_open(const char *filename, KVStore **store, int journal_mode);
/// Rolls back an open transaction, ends what was made from the handle and closes the file.
/// Families and iterators may be closed before or after. NULL is ignored: `KVSTORE_OK`.
SNKV_C_API int kvstore_close(KVStore *store);

/* ---- Entries of the default column family ---- */

/// Stores a value, in place of the former one and its expiry.
SNKV_C_API int kvstore_put(KVStore *store, const void *key, int key_size, const void *value,
                           int value_size);
/// Allocates a copy of the value; never NULL on success. `KVSTORE_NOTFOUND`.
SNKV_C_API int kvstore_get(KVStore *store, const void *key, int key_size, void **value,
                           int *value_size);
/// Removes an entry. `KVSTORE_NOTFOUND`.
SNKV_C_API int kvstore_delete(KVStore *store, const void *key, int key_size);
/// Sets `*exists` to 1 or 0.
SNKV_C_API int kvstore_exists(KVStore *store, const void *key, int key_size, int *exists);
/// Stores a value if the key is absent; sets `*inserted`, which may be NULL, to 1 or 0. `expire_ms` 0:
/// it does not expire.
SNKV_C_API int kvstore_put_if_absent(KVStore *store, const void *key, int key_size,
                                     const void *value, int value_size, int64_t expire_ms,
                                     int *inserted);
/// Removes all entries, in time proportional to the pages.
SNKV_C_API int kvstore_clear(KVStore *store);
/// Counts entries, with those that expired and were not purged.
SNKV_C_API int kvstore_count(KVStore *store, int64_t *count);

/* ---- Column families ---- */

/// Makes a family with a name of 1 to 255 bytes of UTF-8. `KVSTORE_ERROR` if there is one of that name, or of
/// one that differs in the case of ASCII letters only; "default" is always there. Names that begin with
/// "snkv_", "sqlite_", "__" or "_snkv_" are reserved: `KVSTORE_ERROR`, here and in the calls below, and
/// `kvstore_cf_list` leaves out such families, which only other interfaces make.
SNKV_C_API int kvstore_cf_create(KVStore *store, const char *name, KVColumnFamily **family);
/// `KVSTORE_NOTFOUND` if there is none. "default": the same as `kvstore_cf_get_default`.
SNKV_C_API int kvstore_cf_open(KVStore *store, const char *name, KVColumnFamily **family);
SNKV_C_API int kvstore_cf_get_default(KVStore *store, KVColumnFamily **family);
/// Removes a family and all its entries. `KVSTORE_NOTFOUND` if there is none; `KVSTORE_ERROR` for "default",
/// which stays.
SNKV_C_API int kvstore_cf_drop(KVStore *store, const char *name);
/// The names of the families besides the default one, sorted; each of them and the array are to be
/// freed.
SNKV_C_API int kvstore_cf_list(KVStore *store, char ***names, int *count);
/// Ends the handle; the family stays. NULL is ignored.
SNKV_C_API void kvstore_cf_close(KVColumnFamily *family);

SNKV_C_API int kvstore_cf_put(KVColumnFamily *family, const void *key, int key_size,
                              const void *value, int value_size);
SNKV_C_API int kvstore_cf_get(KVColumnFamily *family, const void *key, int key_size, void **value,
                              int *value_size);
SNKV_C_API int kvstore_cf_delete(KVColumnFamily *family, const void *key, int key_size);
SNKV_C_API int kvstore_cf_exists(KVColumnFamily *family, const void *key, int key_size,
                                 int *exists);
SNKV_C_API int kvstore_cf_put_if_absent(KVColumnFamily *family, const void *key, int key_size,
                                        const void *value, int value_size, int64_t expire_ms,
                                        int *inserted);
SNKV_C_API int kvstore_cf_clear(KVColumnFamily *family);
SNKV_C_API int kvstore_cf_count(KVColumnFamily *family, int64_t *count);

/* ---- Iterators ---- */
// Forward ones are for first and next, reverse ones for last and prev; the other two give
// `KVSTORE_ERROR`. Expired entries are left out. An iterator sees the store as it was when it was made;
// one that is made in a write transaction sees its writes, and later what was committed.

/// Not positioned: call `kvstore_iterator_first`.
SNKV_C_API int kvstore_iterator_create(KVStore *store, KVIterator **iterator);
SNKV_C_API int kvstore_cf_iterator_create(KVColumnFamily *family, KVIterator **iterator);
/// On the first key with the prefix, and confined to such keys. A prefix of 0 bytes: all keys.
SNKV_C_API int kvstore_prefix_iterator_create(KVStore *store, const void *prefix, int prefix_size,
                                              KVIterator **iterator);
SNKV_C_API int kvstore_cf_prefix_iterator_create(KVColumnFamily *family, const void *prefix,
                                                 int prefix_size, KVIterator **iterator);
/// Not positioned: call `kvstore_iterator_last`.
SNKV_C_API int kvstore_reverse_iterator_create(KVStore *store, KVIterator **iterator);
SNKV_C_API int kvstore_cf_reverse_iterator_create(KVColumnFamily *family, KVIterator **iterator);
/// On the last key with the prefix.
SNKV_C_API int kvstore_reverse_prefix_iterator_create(KVStore *store, const void *prefix,
                                                      int prefix_size, KVIterator **iterator);
SNKV_C_API int kvstore_cf_reverse_prefix_iterator_create(KVColumnFamily *family,
                                                         const void *prefix, int prefix_size,
                                                         KVIterator **iterator);
/// To the smallest key. An end is no failure: `kvstore_iterator_eof` tells.
SNKV_C_API int kvstore_iterator_first(KVIterator *iterator);
/// To the largest key.
SNKV_C_API int kvstore_iterator_last(KVIterator *iterator);
/// To the next larger key; stays at an end.
SNKV_C_API int kvstore_iterator_next(KVIterator *iterator);
/// To the next smaller key; stays at an end.
SNKV_C_API int kvstore_iterator_prev(KVIterator *iterator);
/// 1 if it is on no entry: at an end, after a failure, before it was positioned.
SNKV_C_API int kvstore_iterator_eof(KVIterator *iterator);
/// The current key, until the iterator moves or is closed. `KVSTORE_ERROR` at an end.
SNKV_C_API int kvstore_iterator_key(KVIterator *iterator, void **key, int *key_size);
/// The current value; likewise.
SNKV_C_API int kvstore_iterator_value(KVIterator *iterator, void **value, int *value_size);
/// Forward: to the first key that is not smaller; reverse: to the last one that is not larger.
SNKV_C_API int kvstore_iterator_seek(KVIterator *iterator, const void *key, int key_size);
/// NULL is ignored.
SNKV_C_API void kvstore_iterator_close(KVIterator *iterator);

/* ---- Transactions ---- */
// One at a time on a handle. All calls on the handle and its families belong to it, of any thread.

/// Begins a transaction: for writing, or, with `wrflag` 0, for reading as of this moment.
/// `KVSTORE_ERROR` if one is open; one for reading makes way for one for writing.
SNKV_C_API int kvstore_begin(KVStore *store, int wrflag);
/// `KVSTORE_ERROR` if none is open. After `KVSTORE_BUSY` it is still open.
SNKV_C_API int kvstore_commit(KVStore *store);
SNKV_C_API int kvstore_rollback(KVStore *store);

/* ---- Expiry ---- */
// An expired entry is absent from the moment that it expires on; purging gives its space back.

SNKV_C_API int64_t kvstore_now_ms(void);
/// Stores a value that expires at `expire_ms`; 0: never.
SNKV_C_API int kvstore_put_ttl(KVStore *store, const void *key, int key_size, const void *value,
                               int value_size, int64_t expire_ms);
/// `kvstore_get`, with the time that is left, or `KVSTORE_NO_TTL`, in `*remaining`, which may be NULL.
SNKV_C_API int kvstore_get_ttl(KVStore *store, const void *key, int key_size, void **value,
                               int *value_size, int64_t *remaining);
/// The time that is left, or `KVSTORE_NO_TTL`; 0 for an entry that expired and was not purged.
SNKV_C_API int kvstore_ttl_remaining(KVStore *store, const void *key, int key_size,
                                     int64_t *remaining);
/// Removes expired entries; how many in `*deleted`, which may be NULL.
SNKV_C_API int kvstore_purge_expired(KVStore *store, int *deleted);
SNKV_C_API int kvstore_cf_put_ttl(KVColumnFamily *family, const void *key, int key_size,
                                  const void *value, int value_size, int64_t expire_ms);
SNKV_C_API int kvstore_cf_get_ttl(KVColumnFamily *family, const void *key, int key_size,
                                  void **value, int *value_size, int64_t *remaining);
SNKV_C_API int kvstore_cf_ttl_remaining(KVColumnFamily *family, const void *key, int key_size,
                                        int64_t *remaining);
SNKV_C_API int kvstore_cf_purge_expired(KVColumnFamily *family, int *deleted);

/* ---- Encryption: docs/encryption.md tells what it hides, and what it does not ---- */

/// Opens an encrypted store, or makes one. A store that is not encrypted is encrypted first, which needs it
/// for itself: `KVSTORE_BUSY` if anybody has it open. Mind that a wrong path thereby encrypts the wrong
/// store. `KVSTORE_AUTH_FAILED` for a wrong password; `KVSTORE_ERROR` for none and for a store in memory.
SNKV_C_API int kvstore_open_encrypted(const char *filename, const void *password, int password_size,
                                      KVStore **store, const KVStoreConfig *config);
/// 1 if the store is encrypted, else 0.
SNKV_C_API int kvstore_is_encrypted(KVStore *store);
/// From now on another password opens the store, whose values are encrypted anew with another key. Other
/// handles of the file give `KVSTORE_AUTH_FAILED` until they are opened again. After a failure the old
/// password counts. `KVSTORE_LOCKED` in a transaction of this handle.
SNKV_C_API int kvstore_reencrypt(KVStore *store, const void *password, int password_size);
/// Makes it a store that is not encrypted. Needs the file for itself: `KVSTORE_BUSY` if another handle or
/// an iterator is open; then, and after any other failure, it is as it was. Counts of `kvstore_stats` begin
/// anew. `KVSTORE_LOCKED` in a transaction of this handle.
SNKV_C_API int kvstore_remove_encryption(KVStore *store);

/* ---- Maintenance ---- */

/// The message of the last failure on the handle, or "no error"; NULL: of the last failed opening, or
/// restoring, of the calling thread. Valid until the thread calls it again.
SNKV_C_API const char *kvstore_errmsg(KVStore *store);
SNKV_C_API int kvstore_stats(KVStore *store, KVStoreStats *stats);
SNKV_C_API int kvstore_stats_reset(KVStore *store);
/// Checks the structure of the file: `KVSTORE_CORRUPT` with the findings in `*message` (which may be
/// NULL, and is to be freed).
SNKV_C_API int kvstore_integrity_check(KVStore *store, char **message);
/// What was committed is safe on the disk when it returns. An open write transaction is committed
/// before, and a new one begun.
SNKV_C_API int kvstore_sync(KVStore *store);
/// Gives at most `pages` unused pages back to the file system; 0: all. `KVSTORE_LOCKED` in a
/// transaction.
SNKV_C_API int kvstore_incremental_vacuum(KVStore *store, int pages);
/// Copies the log into the file; the number of pages in it, and how many of them are copied.
/// `KVSTORE_BUSY` in a write transaction. Without a log it does nothing.
SNKV_C_API int kvstore_checkpoint(KVStore *store, int mode, int *log_pages, int *copied_pages);
/// Puts a copy of the store in the file `backup` in the place of the one in the file `filename`, which nobody
/// may have open, or where there is none. (Copying a file by other means leaves the log of the old store
/// beside it.) The backup is read as a whole first, stays as it is, and may be encrypted; the log, and saved
/// indexes of vectors, of the old store are removed. When it returns the new contents are safe on the disk,
/// and a crash at any moment leaves the old ones or the new ones. `progress`, which may be NULL, is told
/// pages of the backup. Any thread. O(size of the backup).
///
/// `KVSTORE_BUSY`: somebody has the old store open. `KVSTORE_CORRUPT`: the backup is damaged.
/// `KVSTORE_INTERRUPT`. `KVSTORE_ERROR`: the backup, or what lies at `filename`, is no store; both are one
/// file; the backup has several names (hard links); a path is NULL, "" or ":memory:"; a file cannot be read
/// or written; the disk is full. The old store is then as it was, and `kvstore_errmsg(NULL)` says why.
SNKV_C_API int kvstore_restore(const char *backup, const char *filename, KVProgress progress,
                               void *context);

/* ---- Memory ---- */

/// Zeroed memory; NULL if there is none left, and for a size of 0.
SNKV_C_API void *snkv_malloc(size_t size);
/// Frees what this library allocated. NULL is ignored.
SNKV_C_API void snkv_free(void *memory);
/// A size of 0 frees.
SNKV_C_API void *snkv_realloc(void *memory, size_t size);
/// A copy of the string; of NULL, an empty one.
SNKV_C_API char *snkv_strdup(const char *string);

#define sqliteMalloc(n) snkv_malloc(n)
#define sqliteFree(p) snkv_free(p)
#define sqliteRealloc(p, n) snkv_realloc((p), (n))
#define sqliteStrDup(s) snkv_strdup(s)

#ifdef __cplusplus
}
#endif

#endif
