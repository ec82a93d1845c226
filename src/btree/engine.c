/*
** engine.c: SQLite, its symbols kept private, and the functions of bt.h on top of its B-tree layer.
**
** This is the only translation unit that knows SQLite's internals (rule B2 of the contract). The names
** in brackets below are rules of docs/btree-contract.md.
**
** Connections and transactions are here; cursors, SQL, copies, walking over pages and the layers of files are in
** the files that it includes.
*/
#include "sqlite3.c"

#include "bt.h"

#include <stdatomic.h>

#include "memory_vfs.inc.c"

#ifdef SNKV_TESTING
#include "fault_vfs.inc.c"
#endif

#include "log_vfs.inc.c"

/* Builds with SQLite's asserts want all looks at the index of a log to be where an exception for a page that
** cannot be read would be caught, which there are on Windows only. */
#define WAL_LOOK_BEGIN(wal) VVA_ONLY((wal)->nSehTry++;)
#define WAL_LOOK_END(wal) VVA_ONLY((wal)->nSehTry--;)

/* [B4] What this file takes for granted about the amalgamation. */
#if SQLITE_VERSION_NUMBER != 3054001 && !defined(SNKV_SQLITE_ANY_VERSION)
#error "snkv is made for SQLite 3.54.1: it uses internals that other versions may change"
#endif
#ifndef SQLITE_OMIT_SHARED_CACHE
#error "snkv needs SQLITE_OMIT_SHARED_CACHE" /* [B3] */
#endif
#if SQLITE_THREADSAFE != 1
#error "snkv needs SQLITE_THREADSAFE=1"
#endif
_Static_assert(SNKV_BT_BUSY == SQLITE_BUSY && SNKV_BT_LOCKED == SQLITE_LOCKED &&
                   SNKV_BT_NOMEM == SQLITE_NOMEM && SNKV_BT_READONLY == SQLITE_READONLY &&
                   SNKV_BT_IOERR == SQLITE_IOERR && SNKV_BT_CORRUPT == SQLITE_CORRUPT &&
                   SNKV_BT_FULL == SQLITE_FULL && SNKV_BT_CANTOPEN == SQLITE_CANTOPEN &&
                   SNKV_BT_PROTOCOL == SQLITE_PROTOCOL && SNKV_BT_NOTADB == SQLITE_NOTADB &&
                   SNKV_BT_MISUSE == SQLITE_MISUSE && SNKV_BT_ABORT == SQLITE_ABORT &&
                   SNKV_BT_SCHEMA == SQLITE_SCHEMA && SNKV_BT_TOOBIG == SQLITE_TOOBIG &&
                   SNKV_BT_IOERR_NOMEM == SQLITE_IOERR_NOMEM &&
                   SNKV_BT_IOERR_SHMSIZE == SQLITE_IOERR_SHMSIZE &&
                   SNKV_BT_IOERR_SHORT_READ == SQLITE_IOERR_SHORT_READ &&
                   SNKV_BT_READONLY_DBMOVED == SQLITE_READONLY_DBMOVED &&
                   SNKV_BT_ROW == SQLITE_ROW && SNKV_BT_DONE == SQLITE_DONE,
               "result codes differ from SQLite's");
_Static_assert(BTREE_SAVEPOSITION == 0x02 && BTREE_APPEND == 0x08, "B-tree flags changed");
_Static_assert(BTREE_SCHEMA_VERSION == 1 && BTREE_FREE_PAGE_COUNT == 0, "meta slots changed");
_Static_assert(CURSOR_VALID == 0, "cursor states changed");
_Static_assert(sizeof(WalIndexHdr) == 48, "the header of the wal-index changed");
_Static_assert(sizeof(((UnpackedRecord *)0)->nField) == 2, "UnpackedRecord changed");
_Static_assert(sizeof(((BtreePayload *)0)->nMem) == 2, "BtreePayload changed");

/* Columns of a family table: key, expires_at, value, large_id, large_size. */
#define ROW_COLUMNS 5

#include "walk.inc.c"

struct snkv_bt_cursor {
  snkv_bt *bt;                 /* NULL once closed by the end of a transaction */
  snkv_bt_cursor *next, *prev; /* the connection's open cursors */
  BtCursor *btc;               /* not open while walking */
  snkv_bt_kind kind;
  uint32_t root;
  int writable;
  int positioned;  /* the cursor is where the last seek or move put it */
  int sought;      /* the last positioning was a seek, and nothing was written since */
  int order;       /* its result */
  const void *sought_key; /* and the key it was for: compared as a pointer, never read */
  uint32_t sought_size;
  int forward;    /* the direction of the engine's own cursor, */
  u32 page;       /* where it is, */
  u64 crossed;    /* and how often it went to another page since it was sought */
  int walking;    /* the pages are read in place, and the position is in `path` */
  walk_path path;
};

struct snkv_bt {
  sqlite3 *db;
  Btree *tree;
  KeyInfo *key_info[2]; /* by kind, made on first use */
  sqlite3_stmt *begin_stmt, *commit_stmt, *rollback_stmt;
  snkv_bt_cursor *cursors;      /* open ones */
  snkv_bt_cursor *free_cursors; /* closed ones, kept for reuse: a get should not malloc */
  int sync;                     /* level + 1 as last set by snkv_bt_set_sync; 0: never */
  int reading;                  /* a raw read transaction is open */
  int no_walk;                  /* every page goes through the pager */
  int kept;                     /* it is nobody's at present: see snkv_bt_keep_read */
  int has_read;                 /* so the pager knows whether there is a log */
  uint32_t read_cookie;         /* its schema cookie */
  walk_view view;               /* its pages, as they lie in memory */
  int poisoned;                 /* a write failed: no commit [T11] */
  int writing;                  /* from snkv_bt_begin_write to the commit or rollback */
  int watching;                 /* the file is read without a log, see snkv_bt_watch */
  int starts_log;               /* its commit may be the first of a log */
  int busy_timeout_ms;
  int64_t busy_since_us, busy_slept_us; /* of the wait that is under way */
  uint32_t wal_frames;          /* from the WAL hook: frames in the log after the last commit */
  snkv_bt_progress report;      /* of snkv_bt_on_progress */
  void *report_context;
  uint64_t reported;
};

struct snkv_bt_stmt {
  snkv_bt *bt;
  sqlite3_stmt *stmt;
  int guarded; /* from a user: the connection has an authorizer */
};

struct snkv_bt_backup {
  snkv_bt *source, *target;
  sqlite3_backup *backup;
};

#ifdef SNKV_MUTATIONS
int snkv_bt_breaks(const char *rule) {
  const char *broken = getenv("SNKV_BREAK_RULE");
  return broken != 0 && strcmp(broken, rule) == 0;
}

int snkv_bt_without(const char *fast_path) {
  const char *list = getenv("SNKV_WITHOUT");
  const size_t size = strlen(fast_path);
  while (list != 0 && *list != 0) {
    if (strncmp(list, fast_path, size) == 0 && (list[size] == 0 || list[size] == ',')) return 1;
    list = strchr(list, ',');
    if (list != 0) ++list;
  }
  return 0;
}
#endif

/* [M4] Every entry point ends with this: it clears a sticky out-of-memory state. */
static int finish(snkv_bt *bt, int rc) { return sqlite3ApiExit(bt->db, rc); }

/* ---- Connections ---- */

static int on_wal_commit(void *context, sqlite3 *db, const char *schema, int frames) {
  (void)db;
  (void)schema;
  ((snkv_bt *)context)->wal_frames = (uint32_t)frames;
  return SQLITE_OK;
}

static int64_t monotonic_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Waits by the clock, not by the number of naps, of which nobody knows how long each takes. The naps are
** counted for tests in which they take no time. */
static int on_busy(void *context, int count) {
  static const int naps_ms[] = {1, 2, 5, 10, 15, 20, 25, 25, 25, 50, 50, 100};
  snkv_bt *bt = context;
  const int64_t now = monotonic_us();
  int64_t left, nap;
  if (count == 0) {
    bt->busy_since_us = now;
    bt->busy_slept_us = 0;
  }
  left = (int64_t)bt->busy_timeout_ms * 1000 - MAX(now - bt->busy_since_us, bt->busy_slept_us);
  if (left <= 0) return 0;
  nap = MIN(left, 1000 * (int64_t)naps_ms[MIN(count, (int)ArraySize(naps_ms) - 1)]);
  sqlite3OsSleep(bt->db->pVfs, (int)nap);
  bt->busy_slept_us += nap;
  return 1;
}

/* A URI for a path: every byte that could mean something in a URI is escaped. */
static char *uri_of(const char *path, const char *query) {
  static const char hex[] = "0123456789abcdef";
  char *uri = sqlite3_malloc64(3 * (sqlite3_uint64)strlen(path) + strlen(query) + 6);
  char *out = uri;
  if (uri == 0) return 0;
  memcpy(out, "file:", 5);
  out += 5;
  for (const unsigned char *in = (const unsigned char *)path; *in != 0; ++in) {
    if (sqlite3Isalnum(*in) || *in == '/' || *in == '.' || *in == '_' || *in == '-') {
      *out++ = (char)*in;
    } else {
      *out++ = '%';
      *out++ = hex[*in >> 4];
      *out++ = hex[*in & 15];
    }
  }
  memcpy(out, query, strlen(query) + 1);
  return uri;
}

int snkv_bt_open(const char *path, int flags, int busy_timeout_ms, snkv_bt **out) {
  int sqlite_flags = SQLITE_OPEN_EXRESCODE;
  const char *vfs = LOGVFS_NAME;
  const char *below = 0;
  char *uri = 0;
  int rc;
  snkv_bt *bt;

  *out = 0;
  rc = sqlite3_initialize();
#ifdef SNKV_TESTING
  below = faultvfsName();
#endif
  if (rc == SQLITE_OK) rc = memvfsRegister();
  if (rc == SQLITE_OK) rc = logvfsRegister(below);
  if (rc != SQLITE_OK) return rc;
  bt = sqlite3MallocZero(sizeof(*bt));
  if (bt == 0) return SQLITE_NOMEM;

  if (flags & SNKV_BT_OPEN_READONLY) {
    sqlite_flags |= SQLITE_OPEN_READONLY;
  } else {
    sqlite_flags |= SQLITE_OPEN_READWRITE;
    if (flags & SNKV_BT_OPEN_CREATE) sqlite_flags |= SQLITE_OPEN_CREATE;
  }
#ifdef SQLITE_DEBUG
  sqlite_flags |= SQLITE_OPEN_FULLMUTEX; /* so that the engine's asserts about its mutex bite [M1] */
#else
  sqlite_flags |= flags & SNKV_BT_OPEN_OWNED ? SQLITE_OPEN_NOMUTEX : SQLITE_OPEN_FULLMUTEX;
#endif
  if (flags & SNKV_BT_OPEN_MEMORY) {
    vfs = MEMVFS_NAME;
  } else if (flags & SNKV_BT_OPEN_IMMUTABLE) {
    sqlite_flags |= SQLITE_OPEN_URI;
    uri = uri_of(path, "?immutable=1");
    if (uri == 0) {
      sqlite3_free(bt);
      return SQLITE_NOMEM;
    }
    path = uri;
  }
  rc = sqlite3_open_v2(path, &bt->db, sqlite_flags, vfs);
  sqlite3_free(uri);
  if (bt->db == 0) {
    sqlite3_free(bt);
    return rc;
  }
  *out = bt;
  if (rc != SQLITE_OK) return rc;
  bt->tree = bt->db->aDb[0].pBt;
  snkv_bt_set_busy_timeout(bt, busy_timeout_ms);
  sqlite3_wal_autocheckpoint(bt->db, 0);
  if (!snkv_bt_breaks("T6")) sqlite3_wal_hook(bt->db, on_wal_commit, bt);
  snkv_bt_leave_log(bt, 1);
  /* Stores are files from outside: nothing that their schema says may run code. */
  sqlite3_db_config(bt->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, (int *)0);
  sqlite3_db_config(bt->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, (int *)0);
  return SQLITE_OK;
}

static void close_all_cursors(snkv_bt *bt);

void snkv_bt_close(snkv_bt *bt) {
  if (bt == 0) return;
  sqlite3_mutex_enter(bt->db->mutex);
  close_all_cursors(bt); /* [M6] */
  if (bt->reading) snkv_bt_end_read(bt);
  walk_close(&bt->view);
  while (bt->free_cursors != 0) {
    snkv_bt_cursor *cursor = bt->free_cursors;
    bt->free_cursors = cursor->next;
    sqlite3_free(cursor);
  }
  sqlite3_finalize(bt->begin_stmt);
  sqlite3_finalize(bt->commit_stmt);
  sqlite3_finalize(bt->rollback_stmt);
  sqlite3KeyInfoUnref(bt->key_info[0]);
  sqlite3KeyInfoUnref(bt->key_info[1]);
  sqlite3_mutex_leave(bt->db->mutex);
  sqlite3_close_v2(bt->db);
  sqlite3_free(bt);
}

void snkv_bt_configure_new(snkv_bt *bt, uint32_t page_size) {
  sqlite3_mutex_enter(bt->db->mutex);
  /* Not by PRAGMA auto_vacuum, which would write the first page at once. */
  sqlite3BtreeSetPageSize(bt->tree, (int)page_size, 0, 0);
  sqlite3BtreeSetAutoVacuum(bt->tree, BTREE_AUTOVACUUM_INCR);
  sqlite3_mutex_leave(bt->db->mutex);
}

/* The same as the pragmas, without the schema that they would read first. */
void snkv_bt_configure(snkv_bt *bt, uint32_t cache_kib, int64_t journal_size_limit) {
  const int size = cache_kib == 0 ? -1 : -(int)MIN(cache_kib, 0x7fffffff);
  sqlite3_mutex_enter(bt->db->mutex);
  bt->db->aDb[0].pSchema->cache_size = size;
  sqlite3BtreeSetCacheSize(bt->tree, size);
  sqlite3PagerJournalSizeLimit(sqlite3BtreePager(bt->tree), journal_size_limit);
  sqlite3_mutex_leave(bt->db->mutex);
}

void snkv_bt_set_busy_timeout(snkv_bt *bt, int busy_timeout_ms) {
  bt->busy_timeout_ms = busy_timeout_ms;
  sqlite3_busy_handler(bt->db, busy_timeout_ms > 0 ? on_busy : 0, bt);
}

/* The engine's buffers for names of files have MAX_PATHNAME bytes, in which it wants room for "-journal". */
uint32_t snkv_bt_max_path(void) { return MAX_PATHNAME - 8; }

void snkv_bt_walk(snkv_bt *bt, int on) { bt->no_walk = !on || bt->watching; }

void snkv_bt_lock(snkv_bt *bt) { sqlite3_mutex_enter(bt->db->mutex); }
void snkv_bt_unlock(snkv_bt *bt) { sqlite3_mutex_leave(bt->db->mutex); }

const char *snkv_bt_errstr(int rc) {
  if (rc == SNKV_BT_MOVED) return "cursor lost its position";
  if (rc == SNKV_BT_POISONED) return "an earlier write failed: roll back";
  if (rc == SNKV_BT_OUTDATED) return "the file was opened for writing meanwhile: try again";
  return sqlite3_errstr(rc);
}
const char *snkv_bt_errmsg(snkv_bt *bt) { return sqlite3_errmsg(bt->db); }
int snkv_bt_errno(snkv_bt *bt) { return sqlite3_system_errno(bt->db); }
int snkv_bt_is_readonly(snkv_bt *bt) { return sqlite3_db_readonly(bt->db, "main") != 0; }

uint32_t snkv_bt_page_size(snkv_bt *bt) {
  int size;
  sqlite3_mutex_enter(bt->db->mutex);
  size = sqlite3BtreeGetPageSize(bt->tree);
  sqlite3_mutex_leave(bt->db->mutex);
  return (uint32_t)size;
}

/* [K7] The formula of the file format for cells of index pages (sqlite.org/fileformat2.html, "Cell
** payload overflow pages"); stores reserve no bytes at the end of pages. */
uint32_t snkv_bt_max_local(snkv_bt *bt) { return (snkv_bt_page_size(bt) - 12) * 64 / 255 - 23; }

/* The same page says that a cell of a table leaf holds usable-35 bytes of payload. The record header of
** a row (NULL for the rowid alias, one blob) takes at most 6 bytes. */
uint32_t snkv_bt_max_chunk(snkv_bt *bt) { return snkv_bt_page_size(bt) - 35 - 6; }

/* ---- Transactions ---- */

/* Reads of this process that are beginning, and checkpoints, which begin with the same look. One that
** meets a half-written header of the wal-index takes the writers' lock for the moment in which it looks
** again (walIndexReadHdr), so that a writer finds it taken although nobody writes. In stripes, because
** readers must not share a cache line. */
enum { read_stripes = 16 };
static struct {
  _Alignas(64) atomic_uint begun;
  atomic_uint ended;
} reads[read_stripes];

static unsigned int reads_begun(void) {
  unsigned int sum = 0;
  for (int i = 0; i < read_stripes; ++i) sum += atomic_load(&reads[i].begun);
  return sum;
}
static unsigned int reads_ended(void) {
  unsigned int sum = 0;
  for (int i = 0; i < read_stripes; ++i) sum += atomic_load(&reads[i].ended);
  return sum;
}

static unsigned int read_stripe(void) {
  static atomic_uint threads;
  static _Thread_local unsigned int stripe = read_stripes;
  if (stripe == read_stripes) stripe = atomic_fetch_add(&threads, 1) % read_stripes;
  return stripe;
}

static int begin_read_trans(snkv_bt *bt, int *cookie) {
  const unsigned int stripe = read_stripe();
  int rc;
  bt->db->busyHandler.nBusy = 0; /* [T4] */
  atomic_fetch_add(&reads[stripe].begun, 1);
  rc = sqlite3BtreeBeginTrans(bt->tree, 0, cookie);
  atomic_fetch_add(&reads[stripe].ended, 1);
  if (rc == SQLITE_OK) bt->has_read = 1;
  return rc;
}

#include "binding.inc.c"

/* The header of the index, as it is just now: a writer changes it after the pages, and `copied_frames` after
** it. */
static const volatile WalIndexHdr *live_header(const Wal *wal) {
  return (const volatile WalIndexHdr *)wal->apWiData[0];
}

/* Whether nothing was committed since the open read transaction began: the first copy of the header in
** the wal-index, which a commit writes last, is still the one that the transaction goes by. That is the
** look which sqlite3WalBeginReadTransaction takes, without the locks around it. A commit that is writing
** the header at this moment has not returned yet. */
static int is_latest(Wal *wal) {
  const volatile u64 *live = (const volatile u64 *)live_header(wal);
  u64 mine[sizeof(WalIndexHdr) / sizeof(u64)];
  u64 difference = 0;
  memcpy(mine, &wal->hdr, sizeof(mine));
  for (size_t i = 0; i < ArraySize(mine); ++i) {
    difference |= __atomic_load_n(&live[i], __ATOMIC_ACQUIRE) ^ mine[i];
  }
  return difference == 0;
}

/* The frames of the log that were copied into the file, as the index has them. */
static u32 copied_frames(Wal *wal) {
  u32 copied;
  WAL_LOOK_BEGIN(wal)
  copied = __atomic_load_n(&walCkptInfo(wal)->nBackfill, __ATOMIC_ACQUIRE);
  WAL_LOOK_END(wal)
  return copied;
}

/* A reader that stays must not use a log that was copied into the file as a whole, or the log could
** never start anew: with a new transaction it does without. */
static int is_in_the_way(Wal *wal) {
  return wal->readLock > 0 && copied_frames(wal) == wal->hdr.mxFrame;
}

/* The log of the open read transaction, if others can be seen to commit through it. */
static Wal *shared_log(snkv_bt *bt) {
  Wal *wal = sqlite3BtreePager(bt->tree)->pWal;
  if (wal == 0 || wal->exclusiveMode != WAL_NORMAL_MODE || wal->bShmUnreliable) return 0;
  return wal->readLock >= 0 ? wal : 0;
}

int snkv_bt_begin_read(snkv_bt *bt, uint32_t *cookie) {
  int value = 0;
  int rc;
  if (bt->kept) {
    Wal *wal = shared_log(bt);
    bt->kept = 0;
    if (is_latest(wal) && !is_in_the_way(wal)) {
      *cookie = bt->read_cookie;
      return SQLITE_OK;
    }
    snkv_bt_end_read(bt);
  }
  if (bt->reading || !bt->db->autoCommit) return SQLITE_MISUSE;
  if (snkv_bt_is_outdated(bt)) return SNKV_BT_OUTDATED;
  rc = begin_read_trans(bt, &value);
  if (rc == SQLITE_OK) {
    bt->reading = 1;
    *cookie = bt->read_cookie = (uint32_t)value;
  }
  return finish(bt, rc);
}

uint32_t snkv_bt_data_version(snkv_bt *bt) {
  uint32_t version = 0;
  sqlite3BtreeGetMeta(bt->tree, BTREE_DATA_VERSION, &version);
  return version;
}

void snkv_bt_end_read(snkv_bt *bt) {
  close_all_cursors(bt); /* [C1] */
  walk_end(&bt->view);
  bt->reading = bt->kept = 0;
  sqlite3BtreeCommit(bt->tree); /* of a read transaction: cannot fail */
}

int snkv_bt_keep_read(snkv_bt *bt) {
  Wal *wal = shared_log(bt);
  if (wal == 0 || !is_latest(wal) || snkv_bt_breaks("C1")) {
    snkv_bt_end_read(bt);
    return 0;
  }
  close_all_cursors(bt);
  bt->kept = 1;
  return 1;
}

void snkv_bt_release_read(snkv_bt *bt) {
  if (bt->kept) snkv_bt_end_read(bt);
}

static int run(snkv_bt *bt, sqlite3_stmt **stmt, const char *sql) {
  int rc = SQLITE_OK;
  if (*stmt == 0) {
    rc = sqlite3_prepare_v3(bt->db, sql, -1, SQLITE_PREPARE_PERSISTENT, stmt, 0);
  }
  if (rc == SQLITE_OK) {
    sqlite3_step(*stmt);
    rc = sqlite3_reset(*stmt);
  }
  return rc;
}

/* [S7] What PRAGMA synchronous does, without the schema that it would read first. */
int snkv_bt_set_sync(snkv_bt *bt, int level) {
  if (bt->sync == level + 1) return SQLITE_OK;
  if (!bt->db->autoCommit) return SQLITE_MISUSE;
  sqlite3_mutex_enter(bt->db->mutex);
  bt->db->aDb[0].safety_level = (u8)(level + 1);
  bt->db->aDb[0].bSyncSet = 1;
  setAllPagerFlags(bt->db);
  bt->sync = level + 1;
  sqlite3_mutex_leave(bt->db->mutex);
  return SQLITE_OK;
}

/* With a busy timeout of zero too, a writer waits for those who have the lock for a moment only (see
** `reads`), as long as there were any while it tried. */
static int begin_immediate(snkv_bt *bt) {
  enum { step_us = 500, patience_us = 100 * 1000 };
  int left_us = patience_us - 1000 * MIN(bt->busy_timeout_ms, patience_us / 1000);
  int rc = run(bt, &bt->begin_stmt, "BEGIN IMMEDIATE");
  while (rc == SQLITE_BUSY && left_us > 0) {
    unsigned int before = reads_ended();
    rc = run(bt, &bt->begin_stmt, "BEGIN IMMEDIATE");
    if (rc != SQLITE_BUSY || reads_begun() == before) return rc;
    sqlite3OsSleep(bt->db->pVfs, step_us);
    left_us -= step_us;
  }
  return rc;
}

int snkv_bt_begin_write(snkv_bt *bt, uint32_t *cookie) {
  int value = 0;
  int rc;
  if (bt->reading || !bt->db->autoCommit) return SQLITE_MISUSE;
  bt->wal_frames = 0;
  bt->poisoned = 0;
  if (snkv_bt_breaks("T5")) {
    bt->db->busyHandler.nBusy = 0;
    rc = sqlite3BtreeBeginTrans(bt->tree, 1, &value);
    *cookie = (uint32_t)value;
    return finish(bt, rc);
  }
  rc = begin_immediate(bt);
  if (rc != SQLITE_OK) return rc;
  bt->writing = 1;
  bt->starts_log = may_start_log(bt);
  rc = sqlite3BtreeBeginTrans(bt->tree, 0, &value); /* a no-op that reads the cookie [S1] */
  if (rc != SQLITE_OK) {
    snkv_bt_rollback(bt);
    return finish(bt, rc);
  }
  *cookie = (uint32_t)value;
  return SQLITE_OK;
}

/* The frames of this commit may be collected. */
static int run_commit(snkv_bt *bt) {
  Wal *wal = sqlite3BtreePager(bt->tree)->pWal;
  int rc;
  if (wal != 0) logvfsBeginCommit(wal->pWalFd);
  rc = run(bt, &bt->commit_stmt, "COMMIT");
  if (wal != 0) logvfsEndCommit(wal->pWalFd);
  return rc;
}

int snkv_bt_commit(snkv_bt *bt) {
  int rc;
  if (snkv_bt_poisoned(bt)) return SNKV_BT_POISONED;
  if (!snkv_bt_breaks("C1")) close_all_cursors(bt);
  if (snkv_bt_breaks("T5")) {
    rc = sqlite3BtreeTxnState(bt->tree) == SQLITE_TXN_WRITE ? sqlite3BtreeCommit(bt->tree) : SQLITE_OK;
    return finish(bt, rc);
  }
  rc = count_first_commit(bt);
  if (rc == SQLITE_OK) rc = run_commit(bt);
  if (sqlite3_get_autocommit(bt->db)) bt->writing = 0;
  if (rc == SQLITE_OK) return rc;
  if (sqlite3_get_autocommit(bt->db)) return rc == SQLITE_BUSY ? SQLITE_IOERR : rc;
  if ((rc & 0xff) != SQLITE_BUSY) snkv_bt_rollback(bt); /* [T8] */
  return rc;
}

void snkv_bt_rollback(snkv_bt *bt) {
  close_all_cursors(bt);
  bt->poisoned = bt->writing = 0;
  if (snkv_bt_breaks("T5")) {
    if (sqlite3BtreeTxnState(bt->tree) != SQLITE_TXN_NONE) {
      sqlite3BtreeRollback(bt->tree, SQLITE_ABORT_ROLLBACK, 0);
    }
    return;
  }
  if (sqlite3_get_autocommit(bt->db)) return; /* SQL has rolled back already */
  if (run(bt, &bt->rollback_stmt, "ROLLBACK") != SQLITE_OK && !sqlite3_get_autocommit(bt->db)) {
    /* No memory to prepare or run the statement: the same by hand, without allocating [T9]. */
    sqlite3_mutex_enter(bt->db->mutex);
    sqlite3RollbackAll(bt->db, SQLITE_ABORT_ROLLBACK);
    bt->db->autoCommit = 1;
    sqlite3CloseSavepoints(bt->db);
    sqlite3ApiExit(bt->db, SQLITE_OK);
    sqlite3_mutex_leave(bt->db->mutex);
  }
}

int snkv_bt_in_write(snkv_bt *bt) { return sqlite3BtreeTxnState(bt->tree) == SQLITE_TXN_WRITE; }
/* SQL that fails for want of memory, space or a working disk may have rolled the whole transaction back:
** what was written before is gone, and nothing that comes now would be part of it. */
static int is_lost(snkv_bt *bt) { return bt->writing && bt->db->autoCommit; }
int snkv_bt_poisoned(snkv_bt *bt) { return bt->poisoned || is_lost(bt); }
void snkv_bt_poison(snkv_bt *bt) { bt->poisoned = 1; }

static int savepoint(snkv_bt *bt, const char *verb, unsigned number) {
  char sql[64];
  sqlite3_snprintf(sizeof(sql), sql, "%s snkv_%u", verb, number);
  return sqlite3_exec(bt->db, sql, 0, 0, 0);
}

/* Outside a write transaction SQL would begin one of its own. */
static int outside_write(snkv_bt *bt) {
  return bt->reading || (bt->db->autoCommit && !snkv_bt_breaks("T5"));
}

int snkv_bt_savepoint(snkv_bt *bt, unsigned number) {
  int rc;
  /* Rolling back to it would not undo what the failed write left behind, but lift the ban [T11]. */
  if (snkv_bt_poisoned(bt)) return SNKV_BT_POISONED;
  if (outside_write(bt)) return SQLITE_MISUSE;
  close_all_cursors(bt);
  rc = savepoint(bt, "SAVEPOINT", number);
  /* SQL opens the pager's savepoint only when the next statement begins to write. Raw writes are none:
  ** without this call, rolling back to the savepoint would undo the whole transaction. */
  if (rc == SQLITE_OK) rc = sqlite3BtreeBeginTrans(bt->tree, 1, 0);
  return finish(bt, rc);
}

int snkv_bt_savepoint_rollback(snkv_bt *bt, unsigned number) {
  int rc;
  if (is_lost(bt)) return SNKV_BT_POISONED;
  if (outside_write(bt)) return SQLITE_MISUSE;
  close_all_cursors(bt); /* [C7] */
  rc = savepoint(bt, "ROLLBACK TO", number);
  if (rc == SQLITE_OK) bt->poisoned = 0;
  return rc;
}

int snkv_bt_savepoint_release(snkv_bt *bt, unsigned number) {
  if (is_lost(bt)) return SNKV_BT_POISONED;
  if (outside_write(bt)) return SQLITE_MISUSE;
  close_all_cursors(bt);
  return savepoint(bt, "RELEASE", number);
}

uint32_t snkv_bt_cookie(snkv_bt *bt) {
  u32 value = 0;
  sqlite3BtreeGetMeta(bt->tree, BTREE_SCHEMA_VERSION, &value);
  return value;
}

void snkv_bt_pages(snkv_bt *bt, uint32_t *pages, uint32_t *free_pages) {
  u32 value = 0;
  *pages = sqlite3BtreeLastPage(bt->tree);
  sqlite3BtreeGetMeta(bt->tree, BTREE_FREE_PAGE_COUNT, &value);
  *free_pages = value;
}

uint32_t snkv_bt_take_wal_frames(snkv_bt *bt) {
  uint32_t frames = bt->wal_frames;
  bt->wal_frames = 0;
  return frames;
}

int64_t snkv_bt_wal_bytes(snkv_bt *bt) {
  Pager *pager;
  i64 size = 0;
  sqlite3_mutex_enter(bt->db->mutex);
  pager = sqlite3BtreePager(bt->tree);
  if (pager->pWal != 0 && isOpen(pager->pWal->pWalFd)) {
    if (sqlite3OsFileSize(pager->pWal->pWalFd, &size) != SQLITE_OK) size = 0;
  }
  sqlite3_mutex_leave(bt->db->mutex);
  return size;
}

/* How many of the frames that a checkpoint found in the log are in the file now. SQLite's own answer says 0
** where a writer starts the log anew before it is read, though a log that ends so has been copied whole. */
static u32 checkpointed_of(Wal *wal, u32 frames) {
  const u32 copied = copied_frames(wal);
  const u32 last = __atomic_load_n(&live_header(wal)->mxFrame, __ATOMIC_ACQUIRE);
  return last < frames || copied > frames ? frames : copied;
}

/* The frames of a log that has been copied into the file as a whole; 0 if there is none. A writer may start
** such a log anew at any moment, also while a passive checkpoint goes through its index. SQLite notices that
** before it copies anything, but has read what was changing. */
static u32 copied_log(Wal *wal) {
  u32 copied;
  if (wal == 0 || wal->nWiData < 1 || wal->apWiData[0] == 0) return 0;
  if (__atomic_load_n(&live_header(wal)->isInit, __ATOMIC_ACQUIRE) == 0) return 0;
  copied = copied_frames(wal);
  return __atomic_load_n(&live_header(wal)->mxFrame, __ATOMIC_ACQUIRE) == copied ? copied : 0;
}

/* A connection that has read nothing yet knows of no log, and would copy none of it. */
static int find_log(snkv_bt *bt) {
  const Pager *pager = sqlite3BtreePager(bt->tree);
  uint32_t cookie;
  int rc;
  if (bt->has_read || pager->pWal != 0 || pager->memDb) return SQLITE_OK;
  rc = snkv_bt_begin_read(bt, &cookie);
  if (rc == SQLITE_OK) snkv_bt_end_read(bt);
  return rc;
}

int snkv_bt_checkpoint(snkv_bt *bt, int mode, uint32_t *frames, uint32_t *checkpointed) {
  const unsigned int stripe = read_stripe();
  int log = -1; /* an interrupted or refused checkpoint leaves it alone [M8] */
  int rc;
  *frames = *checkpointed = 0;
  if (bt->reading) return SQLITE_MISUSE; /* [T12] */
  rc = find_log(bt);
  if (rc != SQLITE_OK) return rc;
  if (mode == SQLITE_CHECKPOINT_PASSIVE) {
    *frames = *checkpointed = copied_log(sqlite3BtreePager(bt->tree)->pWal);
    if (*frames > 0) return SQLITE_OK;
  }
  atomic_fetch_add(&reads[stripe].begun, 1);
  rc = sqlite3_wal_checkpoint_v2(bt->db, "main", mode, &log, 0);
  atomic_fetch_add(&reads[stripe].ended, 1);
  if (log > 0) {
    *frames = (uint32_t)log;
    *checkpointed = checkpointed_of(sqlite3BtreePager(bt->tree)->pWal, *frames);
  }
  return rc;
}

#if SQLITE_OS_UNIX
/* Makes the names in the folder of a file safe on the disk. A folder that this process may not read, and
** a file system that cannot sync folders, are no failures: nobody could do better there. */
static int sync_folder(const char *file) {
  int folder = -1;
  int rc;
#ifdef SNKV_TESTING
  if (faultvfsHit(SNKV_FAULT_IO) || faultvfsHit(SNKV_FAULT_SYNC)) return SQLITE_IOERR_DIR_FSYNC;
#endif
  rc = osOpenDirectory(file, &folder);
  if (rc != SQLITE_OK) return errno == EACCES ? SQLITE_OK : rc;
  if (full_fsync(folder, 0, 0) != 0 && errno != EINVAL && errno != ENOTSUP) {
    rc = SQLITE_IOERR_DIR_FSYNC;
  }
  osClose(folder);
  return rc;
}
#endif

int snkv_bt_sync(snkv_bt *bt, int file_too) {
  Pager *pager;
  int rc = SQLITE_OK;
  int have_log;
  sqlite3_mutex_enter(bt->db->mutex);
  pager = sqlite3BtreePager(bt->tree);
  have_log = pager->pWal != 0 && isOpen(pager->pWal->pWalFd);
  if (have_log) rc = sqlite3OsSync(pager->pWal->pWalFd, SQLITE_SYNC_NORMAL);
  if (rc == SQLITE_OK && (file_too || !have_log) && isOpen(pager->fd)) {
    rc = sqlite3OsSync(pager->fd, SQLITE_SYNC_NORMAL);
  }
#if SQLITE_OS_UNIX
  /* A rollback journal that is unlinked but still in the folder on disk would undo the last commit. And the
  ** names of files that nobody has synced yet may not be there. */
  if (rc == SQLITE_OK && (file_too || !have_log) && strcmp(bt->db->pVfs->zName, MEMVFS_NAME) != 0) {
    rc = sync_folder(sqlite3BtreeGetFilename(bt->tree));
  }
#endif
  rc = finish(bt, rc);
  sqlite3_mutex_leave(bt->db->mutex);
  return rc;
}

#include "names.inc.c"

#include "watch.inc.c"

#include "cursors.inc.c"

/* ---- fork ---- */

#if SQLITE_OS_UNIX
/* POSIX locks are not inherited, but the engine's list of files that this process has locked is: a file
** opened in the child would share the entry, and never be locked in truth. The list is left to leak. */
void snkv_bt_before_fork(void) { unixEnterMutex(); }
void snkv_bt_after_fork_in_parent(void) { unixLeaveMutex(); }
void snkv_bt_after_fork_in_child(void) {
  inodeList = 0;
  unixLeaveMutex();
}
#else
void snkv_bt_before_fork(void) {}
void snkv_bt_after_fork_in_parent(void) {}
void snkv_bt_after_fork_in_child(void) {}
#endif

#include "schema.inc.c"

#include "sql.inc.c"

#include "copies.inc.c"
