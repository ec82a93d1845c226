/*
** bt.h: the B-tree engine as plain C.
**
** engine.c is the only translation unit that sees SQLite; this header is all that the rest of the
** library sees of it: opaque handles, numbers and pointers. Result codes are SQLite's own, extended.
**
** The rules of the B-tree contract (docs/btree-contract.md) that can be kept here are kept here, so
** that a caller cannot break them:
**   - ending a transaction, or rolling back to a savepoint, closes every cursor first (C1, C7);
**   - a write takes the position from every other cursor on the same tree, and a cursor that lost its
**     position says so instead of guessing (C3, C5, K3): SNKV_BT_MOVED;
**   - a failed write forbids the commit (T11);
**   - SQL is refused while a raw read transaction is open (T5), and a change through SQL closes every
**     cursor first (S3).
** What remains to the caller: one thread at a time on a connection, `snkv_bt_lock` around each group of
** calls whose results belong together (M1), and copying what `snkv_bt_payload` points to before the
** next call that moves the cursor (M2).
*/
#ifndef SNKV_BTREE_BT_H
#define SNKV_BTREE_BT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct snkv_bt snkv_bt;
typedef struct snkv_bt_cursor snkv_bt_cursor;
typedef struct snkv_bt_stmt snkv_bt_stmt;

/* The result codes the callers tell apart; equal to SQLite's, which engine.c asserts. */
enum {
  SNKV_BT_OK = 0,
  SNKV_BT_ERROR = 1,
  SNKV_BT_PERM = 3,
  SNKV_BT_ABORT = 4,
  SNKV_BT_BUSY = 5,
  SNKV_BT_LOCKED = 6,
  SNKV_BT_NOMEM = 7,
  SNKV_BT_READONLY = 8,
  SNKV_BT_INTERRUPT = 9,
  SNKV_BT_IOERR = 10,
  SNKV_BT_CORRUPT = 11,
  SNKV_BT_FULL = 13,
  SNKV_BT_CANTOPEN = 14,
  SNKV_BT_PROTOCOL = 15,
  SNKV_BT_SCHEMA = 17,
  SNKV_BT_TOOBIG = 18,
  SNKV_BT_MISUSE = 21,
  SNKV_BT_NOLFS = 22,
  SNKV_BT_AUTH = 23,
  SNKV_BT_NOTADB = 26,
  SNKV_BT_ROW = 100,
  SNKV_BT_DONE = 101,
  SNKV_BT_IOERR_SHORT_READ = 10 | (2 << 8),
  SNKV_BT_IOERR_NOMEM = 10 | (12 << 8),
  SNKV_BT_IOERR_SHMSIZE = 10 | (19 << 8),
  SNKV_BT_READONLY_DBMOVED = 8 | (4 << 8),
  /* Ours: the cursor lost its position to a write, or was closed by the end of a transaction. */
  SNKV_BT_MOVED = 4 | (64 << 8),
  /* Ours: a write of this transaction failed; it must be rolled back. */
  SNKV_BT_POISONED = 4 | (65 << 8),
  /* Ours: the file that is watched has changed. */
  SNKV_BT_OUTDATED = 10 | (67 << 8),
  /* Ours: more than one statement of SQL. */
  SNKV_BT_MANY = 1 | (66 << 8)
};

/* ---- Connections ---- */

enum {
  SNKV_BT_OPEN_READONLY = 1,
  SNKV_BT_OPEN_CREATE = 2,
  SNKV_BT_OPEN_MEMORY = 4,    /* the path names a database in memory, shared inside the process */
  SNKV_BT_OPEN_IMMUTABLE = 8, /* with READONLY: the file cannot change, so no locks are taken */
  SNKV_BT_OPEN_OWNED = 16     /* one thread at a time by construction: needs no mutex of its own */
};

/* Opens a connection; *out is a connection even on failure if there was memory, to ask for the errno. */
int snkv_bt_open(const char *path, int flags, int busy_timeout_ms, snkv_bt **out);
/* Closes cursors and statements first. */
void snkv_bt_close(snkv_bt *bt);

/* Page size and incremental auto-vacuum of a file that is still empty; nothing happens to others, and
** nothing is written before the first transaction [S6]. */
void snkv_bt_configure_new(snkv_bt *bt, uint32_t page_size);

/* Size of the page cache and the size that a log is cut to when it starts anew (<0: none). Nothing is read or
** written. */
void snkv_bt_configure(snkv_bt *bt, uint32_t cache_kib, int64_t journal_size_limit);

/* By the clock: signals do not make it shorter. */
void snkv_bt_set_busy_timeout(snkv_bt *bt, int busy_timeout_ms);

/* Longest path of a file, links followed, that can be opened, in bytes. */
uint32_t snkv_bt_max_path(void);

/* Whether raw read transactions read pages where they lie in memory: in mappings of the file and its log,
** if they can be mapped. The default. Else all go through the pager. */
void snkv_bt_walk(snkv_bt *bt, int on);

void snkv_bt_lock(snkv_bt *bt);
void snkv_bt_unlock(snkv_bt *bt);

/* The engine's text for a code; for codes from SQL the connection's own message of the last failure. */
const char *snkv_bt_errstr(int rc);
const char *snkv_bt_errmsg(snkv_bt *bt);
/* errno of the last system call that failed on this connection, 0 if none. */
int snkv_bt_errno(snkv_bt *bt);

int snkv_bt_is_readonly(snkv_bt *bt);

/* ---- Where its files are ---- */

/* What a file is, whatever its name. */
typedef struct {
  uint64_t device, inode;
} snkv_bt_identity;
/* That of the database file; 0 if it has none, being in memory. */
int snkv_bt_identify(snkv_bt *bt, snkv_bt_identity *out);
/* That of its log; 0 if there is none. */
int snkv_bt_identify_log(snkv_bt *bt, snkv_bt_identity *out);

typedef enum {
  SNKV_BT_IN_PLACE = 0,
  SNKV_BT_FILE_ELSEWHERE = 1,  /* the database was renamed, replaced or removed */
  SNKV_BT_FILE_EMPTIED = 2,    /* its contents were */
  SNKV_BT_LOG_ELSEWHERE = 3,   /* the log was */
  SNKV_BT_INDEX_ELSEWHERE = 4  /* its index was */
} snkv_bt_place;
/* Whether the files that are open still have their names. Two or three looks at the file system. */
snkv_bt_place snkv_bt_find(snkv_bt *bt);
/* Whether closing leaves the log as it is, instead of copying it into the file and removing it: so it is at
** first, because the log may belong to another file. */
void snkv_bt_leave_log(snkv_bt *bt, int leave);
/* Whether the log beside the file, if there is one, is that of this file. Outside transactions; to be asked
** before anything is written or copied. */
int snkv_bt_check_log(snkv_bt *bt, int *fits);
/* The change counter as it stands in the file, whatever the log has. */
int snkv_bt_file_counter(snkv_bt *bt, uint32_t *counter);
/* Lets a new file, in the transaction that is open, begin with a change counter of its own. */
int snkv_bt_new_counter(snkv_bt *bt, uint32_t counter);
/* Lets an immutable connection, before its first read, notice when the file changes after all: reads then give
** SNKV_BT_OUTDATED, and never what does not belong together. 0 if there is a log or journal, without which the
** file is not complete. */
int snkv_bt_watch(snkv_bt *bt);
int snkv_bt_is_watching(snkv_bt *bt);
/* Whether it has changed. */
int snkv_bt_is_outdated(snkv_bt *bt);
/* Keeps everybody else from opening the file. Before the first read. */
int snkv_bt_lock_file(snkv_bt *bt);
void snkv_bt_unlock_file(snkv_bt *bt);
/* Whether a connection is writing through a rollback journal just now. */
int snkv_bt_writer_at_work(snkv_bt *bt);

/* Largest record that stays inside its leaf cell of an index tree (K7), and largest record at all. */
uint32_t snkv_bt_max_local(snkv_bt *bt);
/* Largest blob that, as the only column of a row in a rowid table, fits a leaf page (three to a page
** when it is a quarter of that). */
uint32_t snkv_bt_max_chunk(snkv_bt *bt);
uint32_t snkv_bt_page_size(snkv_bt *bt);

/* ---- Transactions ---- */

/* Raw read transaction: a stable snapshot until snkv_bt_end_read. *cookie is the schema cookie (S1). One
** that was kept is taken over if it still shows the latest commit, else ended first. */
int snkv_bt_begin_read(snkv_bt *bt, uint32_t *cookie);
void snkv_bt_end_read(snkv_bt *bt);
/* Instead of snkv_bt_end_read: closes the cursors and leaves the transaction open for the next
** snkv_bt_begin_read, which then needs no locks. 0 if it was ended all the same: there is no log, or
** something was committed meanwhile. While it is kept, checkpoints meet a reader, so whoever keeps one
** must see to it that an idle one is released soon. Until then the connection is good for nothing but
** snkv_bt_begin_read, snkv_bt_release_read and closing. */
int snkv_bt_keep_read(snkv_bt *bt);
/* Ends a transaction that is kept; harmless if there is none. */
void snkv_bt_release_read(snkv_bt *bt);

/* A number that is another one when another connection has committed since this one last began to read. In a read
** transaction. */
uint32_t snkv_bt_data_version(snkv_bt *bt);

/* What the commits of the transactions begun from now on promise: 0 off, 1 normal, 2 full,
** 3 full and the folder too, which a rollback journal needs. Cheap when
** it is what it was. */
int snkv_bt_set_sync(snkv_bt *bt, int level);

/* Write transaction, through SQL BEGIN IMMEDIATE. */
int snkv_bt_begin_write(snkv_bt *bt, uint32_t *cookie);
/* On SNKV_BT_BUSY the transaction is still open; after any other failure it was rolled back. */
int snkv_bt_commit(snkv_bt *bt);
void snkv_bt_rollback(snkv_bt *bt);
int snkv_bt_in_write(snkv_bt *bt);
/* Whether a failed write has made rolling back the only way on. What reads find until then means
** nothing. */
int snkv_bt_poisoned(snkv_bt *bt);
/* Makes it the only way on: an operation on several trees stopped half-way. */
void snkv_bt_poison(snkv_bt *bt);

/* Savepoints by number, nested: numbers grow inwards. */
int snkv_bt_savepoint(snkv_bt *bt, unsigned number);
int snkv_bt_savepoint_rollback(snkv_bt *bt, unsigned number);
int snkv_bt_savepoint_release(snkv_bt *bt, unsigned number);

/* The schema cookie as this transaction sees it. */
uint32_t snkv_bt_cookie(snkv_bt *bt);

/* Pages of the file and free pages among them, as the open transaction sees them. */
void snkv_bt_pages(snkv_bt *bt, uint32_t *pages, uint32_t *free_pages);

/* Frames in the log after the last commit of this connection (T6); 0 when nothing was committed since
** the last call. */
uint32_t snkv_bt_take_wal_frames(snkv_bt *bt);
int64_t snkv_bt_wal_bytes(snkv_bt *bt);
/* mode as in sqlite3_wal_checkpoint_v2: 0 passive .. 3 truncate. Counts are 0 without a log. */
int snkv_bt_checkpoint(snkv_bt *bt, int mode, uint32_t *frames, uint32_t *checkpointed);
/* fsync of the log, and of the database file and its folder when `file_too` or there is no log. */
int snkv_bt_sync(snkv_bt *bt, int file_too);

/* ---- Cursors ---- */

typedef enum {
  SNKV_BT_ROWS = 0,   /* index tree whose key is the first column of its records, a blob */
  SNKV_BT_EXPIRY = 1, /* index tree whose key is an integer and a blob */
  SNKV_BT_ROWID = 2   /* table tree with integer keys */
} snkv_bt_kind;

/* A cursor belongs to its connection, and is dead (SNKV_BT_MOVED) after the end of the transaction; its
** memory lives until snkv_bt_cursor_close. */
int snkv_bt_cursor_open(snkv_bt *bt, uint32_t root, snkv_bt_kind kind, int writable,
                        snkv_bt_cursor **out);
void snkv_bt_cursor_close(snkv_bt_cursor *cursor);

/* Whether the end of its transaction closed it. */
int snkv_bt_is_dead(snkv_bt_cursor *cursor);

/* Seeks a blob key. *order: 0 found; <0 the cursor is on a smaller key, or the tree is empty; >0 it is
** on a larger one. */
int snkv_bt_seek(snkv_bt_cursor *cursor, const void *key, uint32_t key_size, int *order);
/* The same for a tree of kind EXPIRY. */
int snkv_bt_seek_expiry(snkv_bt_cursor *cursor, int64_t expires_at, const void *key,
                        uint32_t key_size, int *order);
int snkv_bt_seek_rowid(snkv_bt_cursor *cursor, int64_t rowid, int *order);

/* Moves; *valid tells whether there is an entry. */
int snkv_bt_first(snkv_bt_cursor *cursor, int *valid);
int snkv_bt_last(snkv_bt_cursor *cursor, int *valid);
int snkv_bt_next(snkv_bt_cursor *cursor, int *valid);
int snkv_bt_prev(snkv_bt_cursor *cursor, int *valid);
int snkv_bt_valid(snkv_bt_cursor *cursor);
/* A move of a cursor on rows to a neighbour on the same page, with its record, which must lie there as a
** whole. 0, and nothing happened, if it needs more than that. Unlike the rest this may be called beside
** other uses of the connection, as long as the transaction is open. */
int snkv_bt_step_in_page(snkv_bt_cursor *cursor, int forward, const void **record, uint32_t *size);

/* The record under the cursor: its size, and a pointer to its first *local bytes, which lie in the page
** cache: they stay as they are until the cursor moves or closes, and no longer than until the next
** write. SNKV_BT_CORRUPT for a size no database can hold (M9). */
int snkv_bt_payload(snkv_bt_cursor *cursor, const void **data, uint32_t *local, uint32_t *size);
/* Copies part of the record; it must lie inside it. */
int snkv_bt_read(snkv_bt_cursor *cursor, uint32_t offset, uint32_t size, void *buffer);
int64_t snkv_bt_rowid(snkv_bt_cursor *cursor);

/* Puts a record under a blob key (which the record must contain as its first column), replacing what is
** there. If the last seek was for this key, given by the same pointer, and its position still holds, it
** is used [C4]; otherwise the place is found anew. */
int snkv_bt_insert(snkv_bt_cursor *cursor, const void *key, uint32_t key_size, const void *record,
                   uint32_t record_size);
int snkv_bt_insert_expiry(snkv_bt_cursor *cursor, int64_t expires_at, const void *key,
                          uint32_t key_size, const void *record, uint32_t record_size);
int snkv_bt_insert_rowid(snkv_bt_cursor *cursor, int64_t rowid, const void *record,
                         uint32_t record_size);
/* Deletes the entry that the last seek found; SNKV_BT_MOVED if it found none or lost it since. */
int snkv_bt_delete(snkv_bt_cursor *cursor);

int snkv_bt_count(snkv_bt_cursor *cursor, uint64_t *entries);
/* Entries of an index tree, and the leaf pages they lie on. */
int snkv_bt_count_pages(snkv_bt_cursor *cursor, uint64_t *entries, uint64_t *leaf_pages);
/* Counts entries from the one under the cursor up to the first whose blob key is not less than `high`
** (NULL: to the end), a leaf page at a time. The cursor loses its position. */
int snkv_bt_count_until(snkv_bt_cursor *cursor, const void *high, uint32_t high_size,
                        uint64_t *entries);
/* Empties a tree, in O(pages). */
int snkv_bt_clear(snkv_bt *bt, uint32_t root);

/* ---- What the file says about itself, read without SQL ---- */

/* The header of the database, as the open transaction sees it; zeros for an empty file. */
enum { SNKV_BT_HEADER_SIZE = 100 };
int snkv_bt_header(snkv_bt *bt, unsigned char *header);

/* Whether the text of a row of sqlite_schema defines what the row says: a thing of this type and name, and
** for an index this table; SNKV_BT_VIRTUAL for a table without a tree. SQLite goes by the text alone. The
** strings end with a NUL. */
enum { SNKV_BT_VIRTUAL = 2 };
int snkv_bt_defines(const char *sql, const char *type, const char *name, const char *table);

/* The engine's check of pages: each is used once, and the cells on it make sense; `roots` are those of all
** trees of the file. *findings: at most `most` lines, NULL for none, to be given to
** snkv_bt_free_findings. In a transaction. */
int snkv_bt_check_trees(snkv_bt *bt, const uint32_t *roots, uint32_t count, int most, char **findings);
void snkv_bt_free_findings(char *findings);

/* ---- SQL: for schema changes and maintenance ---- */

int snkv_bt_prepare(snkv_bt *bt, const char *sql, snkv_bt_stmt **out);
int snkv_bt_bind_int64(snkv_bt_stmt *stmt, int index, int64_t value);
int snkv_bt_bind_text(snkv_bt_stmt *stmt, int index, const char *text, uint32_t size);
int snkv_bt_bind_blob(snkv_bt_stmt *stmt, int index, const void *data, uint32_t size);
/* SNKV_BT_ROW, SNKV_BT_DONE, or a failure. */
int snkv_bt_step(snkv_bt_stmt *stmt);
int64_t snkv_bt_column_int64(snkv_bt_stmt *stmt, int column);
/* The bytes of a text or blob column; valid until the next step. */
const void *snkv_bt_column_bytes(snkv_bt_stmt *stmt, int column, uint32_t *size);
void snkv_bt_finalize(snkv_bt_stmt *stmt);

/* The rest is for the SQL of users. Prepares one statement that reads; until it is finalized the
** connection refuses all others. *out is NULL for a text without a statement. SNKV_BT_READONLY or
** SNKV_BT_AUTH for one that would change anything, SNKV_BT_MANY for more than one. */
int snkv_bt_prepare_reading(snkv_bt *bt, const char *sql, uint32_t size, snkv_bt_stmt **out);
int snkv_bt_bind_double(snkv_bt_stmt *stmt, int index, double value);
int snkv_bt_parameter_count(snkv_bt_stmt *stmt);
int snkv_bt_column_count(snkv_bt_stmt *stmt);
/* Valid until the statement is finalized. */
const char *snkv_bt_column_name(snkv_bt_stmt *stmt, int column);

typedef enum {
  SNKV_BT_TYPE_INTEGER = 1,
  SNKV_BT_TYPE_REAL = 2,
  SNKV_BT_TYPE_TEXT = 3,
  SNKV_BT_TYPE_BLOB = 4,
  SNKV_BT_TYPE_NULL = 5
} snkv_bt_type;
snkv_bt_type snkv_bt_column_type(snkv_bt_stmt *stmt, int column);
double snkv_bt_column_double(snkv_bt_stmt *stmt, int column);

/* ---- Copies and long work ---- */

typedef struct snkv_bt_backup snkv_bt_backup;

/* How much is done of how much; not 0 stops the work with SNKV_BT_INTERRUPT. Must not throw. */
typedef int (*snkv_bt_progress)(void *context, uint64_t done, uint64_t total);

/* A transaction for reading through SQL and raw cursors alike; it ends with snkv_bt_rollback. */
int snkv_bt_begin_mixed_read(snkv_bt *bt, uint32_t *cookie);

/* Copies the database of `source`, whose raw read transaction is open, into the empty file of `target`,
** which the caller has for itself. Nothing is safe before the copy was synced, and nothing is usable
** after a failure. The copy has no log: it is one file. */
int snkv_bt_backup_begin(snkv_bt *source, snkv_bt *target, snkv_bt_backup **out);
/* Copies some pages. SNKV_BT_DONE after the last. */
int snkv_bt_backup_step(snkv_bt_backup *backup, uint32_t pages, uint64_t *done, uint64_t *total);
/* Ends the copy, finished or not, with the result of its last step. */
int snkv_bt_backup_finish(snkv_bt_backup *backup);

/* Rewrites the database without unused pages: in place, or into the file `into` (absolute, empty), which
** is always one of the file system. Outside transactions. `report` counts pages; it may be NULL. In place
** the last report, of everything, comes before anything is changed. */
int snkv_bt_vacuum(snkv_bt *bt, const char *into, snkv_bt_progress report, void *context);

/* Calls `report` once per `steps` small steps of SQL, counted from 1 and without a total. NULL ends it. */
void snkv_bt_on_progress(snkv_bt *bt, int steps, snkv_bt_progress report, void *context);

/* Size of the database file. */
int64_t snkv_bt_file_bytes(snkv_bt *bt);

/* ---- fork ---- */

/* To be called before a fork, and after it in the parent and in the child: so that the child, whose
** connections are not to be used, can open the same files anew without the engine taking the parent's
** locks for its own. */
void snkv_bt_before_fork(void);
void snkv_bt_after_fork_in_parent(void);
void snkv_bt_after_fork_in_child(void);

/* ---- For the tests of the tests ---- */

#ifdef SNKV_MUTATIONS
/* Whether the environment variable SNKV_BREAK_RULE names this rule of the contract: the library then
** breaks it, and the test suite must notice. */
int snkv_bt_breaks(const char *rule);
/* Whether the environment variable SNKV_WITHOUT names this fast path, alone or in a list with commas: it
** is then not taken, and all must be as it is with it. */
int snkv_bt_without(const char *fast_path);
/* Whether the cursor reads pages where they lie, and has not had to ask the engine's own. */
int snkv_bt_is_walking(snkv_bt_cursor *cursor);
#else
#define snkv_bt_breaks(rule) 0
#define snkv_bt_without(fast_path) 0
#endif

#ifdef __cplusplus
}
#endif

#endif /* SNKV_BTREE_BT_H */
