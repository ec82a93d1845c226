/*
** engine.c: SQLite, its symbols kept private, and the functions of bt.h on top of its B-tree layer.
**
** This is the only translation unit that knows SQLite's internals (rule B2 of the contract). The names
** in brackets below are rules of docs/btree-contract.md.
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
  uint32_t read_cookie;         /* its schema cookie */
  walk_view view;               /* its pages, as they lie in memory */
  int poisoned;                 /* a write failed: no commit [T11] */
  int writing;                  /* from snkv_bt_begin_write to the commit or rollback */
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
  sqlite3_busy_timeout(bt->db, busy_timeout_ms);
  sqlite3_wal_autocheckpoint(bt->db, 0);
  if (!snkv_bt_breaks("T6")) sqlite3_wal_hook(bt->db, on_wal_commit, bt);
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

void snkv_bt_set_busy_timeout(snkv_bt *bt, int busy_timeout_ms) {
  sqlite3_busy_timeout(bt->db, busy_timeout_ms);
}

void snkv_bt_walk(snkv_bt *bt, int on) { bt->no_walk = !on; }

void snkv_bt_lock(snkv_bt *bt) { sqlite3_mutex_enter(bt->db->mutex); }
void snkv_bt_unlock(snkv_bt *bt) { sqlite3_mutex_leave(bt->db->mutex); }

const char *snkv_bt_errstr(int rc) {
  if (rc == SNKV_BT_MOVED) return "cursor lost its position";
  if (rc == SNKV_BT_POISONED) return "an earlier write failed: roll back";
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
  return rc;
}

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
  rc = begin_read_trans(bt, &value);
  if (rc == SQLITE_OK) {
    bt->reading = 1;
    *cookie = bt->read_cookie = (uint32_t)value;
  }
  return finish(bt, rc);
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

int snkv_bt_set_sync(snkv_bt *bt, int level) {
  static const char *const sql[] = {"PRAGMA synchronous=OFF", "PRAGMA synchronous=NORMAL",
                                    "PRAGMA synchronous=FULL", "PRAGMA synchronous=EXTRA"};
  int rc;
  if (bt->sync == level + 1) return SQLITE_OK;
  rc = sqlite3_exec(bt->db, sql[level], 0, 0, 0); /* [S7] */
  if (rc == SQLITE_OK) bt->sync = level + 1;
  return rc;
}

/* With a busy timeout of zero too, a writer waits for those who have the lock for a moment only (see
** `reads`), as long as there were any while it tried. */
static int begin_immediate(snkv_bt *bt) {
  enum { step_us = 500, patience_us = 100 * 1000 };
  int left_us = patience_us - 1000 * MIN(bt->db->busyTimeout, patience_us / 1000);
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
  rc = run_commit(bt);
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

int snkv_bt_checkpoint(snkv_bt *bt, int mode, uint32_t *frames, uint32_t *checkpointed) {
  const unsigned int stripe = read_stripe();
  int log = -1; /* an interrupted or refused checkpoint leaves it alone [M8] */
  int rc;
  *frames = *checkpointed = 0;
  if (bt->reading) return SQLITE_MISUSE; /* [T12] */
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

/* ---- Cursors ---- */

static KeyInfo *key_info(snkv_bt *bt, snkv_bt_kind kind) {
  if (bt->key_info[kind] == 0) {
    /* [K1] Key columns, then all the others, as the engine counts them itself. */
    KeyInfo *info = kind == SNKV_BT_ROWS ? sqlite3KeyInfoAlloc(bt->db, 1, ROW_COLUMNS - 1)
                                         : sqlite3KeyInfoAlloc(bt->db, 2, 0);
    if (info != 0) {
      memset(info->aSortFlags, 0, info->nAllField);
      info->enc = ENC(bt->db);
    }
    bt->key_info[kind] = info;
  }
  return bt->key_info[kind];
}

/* Gives the cursor the engine's own, without a position. */
static int open_btc(snkv_bt_cursor *cursor) {
  snkv_bt *bt = cursor->bt;
  KeyInfo *info = 0;
  int rc;
  if (cursor->kind != SNKV_BT_ROWID) {
    info = key_info(bt, cursor->kind);
    if (info == 0) return SQLITE_NOMEM_BKPT;
  }
  sqlite3BtreeCursorZero(cursor->btc);
  rc = sqlite3BtreeCursor(bt->tree, cursor->root, cursor->writable ? BTREE_WRCSR : 0, info,
                          cursor->btc);
  if (rc == SQLITE_OK) cursor->walking = 0;
  return rc;
}

/* Whether the engine's own cursor can be left closed. Broken rules shall show. */
static int can_walk(snkv_bt *bt) {
  return bt->reading && !bt->no_walk && !snkv_bt_without("walk") && !snkv_bt_breaks("C1") &&
         !snkv_bt_breaks("K3") && walk_ready(&bt->view, bt->tree);
}

int snkv_bt_cursor_open(snkv_bt *bt, uint32_t root, snkv_bt_kind kind, int writable,
                        snkv_bt_cursor **out) {
  snkv_bt_cursor *cursor;
  *out = 0;
  if (sqlite3BtreeTxnState(bt->tree) == SQLITE_TXN_NONE) return SQLITE_MISUSE; /* [T1] */
  if (writable && sqlite3BtreeTxnState(bt->tree) != SQLITE_TXN_WRITE) return SQLITE_MISUSE;
  cursor = bt->free_cursors;
  if (cursor != 0) {
    bt->free_cursors = cursor->next;
  } else {
    /* [M5] One block: ours, then the engine's cursor, which must not move. */
    cursor = sqlite3_malloc64(ROUND8(sizeof(*cursor)) + sqlite3BtreeCursorSize());
    if (cursor == 0) return finish(bt, SQLITE_NOMEM_BKPT);
  }
  memset(cursor, 0, offsetof(snkv_bt_cursor, path));
  cursor->btc = (BtCursor *)((char *)cursor + ROUND8(sizeof(*cursor)));
  cursor->kind = kind;
  cursor->root = root;
  cursor->writable = writable;
  cursor->bt = bt;
  cursor->path.depth = -1;
  cursor->walking = can_walk(bt);
  if (!cursor->walking) {
    int rc = open_btc(cursor);
    if (rc != SQLITE_OK) {
      cursor->next = bt->free_cursors;
      bt->free_cursors = cursor;
      return finish(bt, rc);
    }
  }
  cursor->next = bt->cursors;
  if (bt->cursors != 0) bt->cursors->prev = cursor;
  bt->cursors = cursor;
  *out = cursor;
  return SQLITE_OK;
}

/* Closes the engine's cursor; ours stays, as a dead handle. */
static void detach(snkv_bt_cursor *cursor) {
  snkv_bt *bt = cursor->bt;
  if (!cursor->walking) sqlite3BtreeCloseCursor(cursor->btc);
  if (cursor->prev != 0) {
    cursor->prev->next = cursor->next;
  } else {
    bt->cursors = cursor->next;
  }
  if (cursor->next != 0) cursor->next->prev = cursor->prev;
  cursor->next = cursor->prev = 0;
  cursor->bt = 0;
  cursor->positioned = cursor->sought = 0;
}

static void close_all_cursors(snkv_bt *bt) {
  if (snkv_bt_breaks("C1")) return;
  while (bt->cursors != 0) detach(bt->cursors);
}

void snkv_bt_cursor_close(snkv_bt_cursor *cursor) {
  snkv_bt *bt;
  if (cursor == 0) return;
  bt = cursor->bt;
  if (bt == 0) {
    sqlite3_free(cursor);
    return;
  }
  if (snkv_bt_breaks("C1")) return; /* as the original did: kept, positioned, over the end */
  detach(cursor);
  cursor->next = bt->free_cursors;
  bt->free_cursors = cursor;
}

#ifdef SNKV_MUTATIONS
int snkv_bt_is_walking(snkv_bt_cursor *cursor) { return cursor->bt != 0 && cursor->walking; }
#endif

int snkv_bt_is_dead(snkv_bt_cursor *cursor) { return cursor->bt == 0; }

static void fill_mem(snkv_bt *bt, Mem *mem, const void *data, uint32_t size) {
  memset(mem, 0, sizeof(*mem));
  mem->flags = MEM_Blob;
  mem->z = size > 0 ? (char *)data : (char *)""; /* comparing nothing wants a pointer all the same */
  mem->n = (int)size;
  mem->db = bt->db;
  mem->enc = ENC(bt->db);
}

static void fill_mem_int(snkv_bt *bt, Mem *mem, int64_t value) {
  memset(mem, 0, sizeof(*mem));
  mem->flags = MEM_Int;
  mem->u.i = value;
  mem->db = bt->db;
  mem->enc = ENC(bt->db);
}

static int seek_record(snkv_bt_cursor *cursor, Mem *fields, int count, int *order) {
  UnpackedRecord record;
  int rc = SQLITE_OK;
  if (cursor->walking) rc = open_btc(cursor);
  if (rc != SQLITE_OK) {
    cursor->positioned = cursor->sought = 0;
    return finish(cursor->bt, rc);
  }
  memset(&record, 0, sizeof(record)); /* [K4] */
  record.pKeyInfo = key_info(cursor->bt, cursor->kind);
  record.aMem = fields;
  record.nField = (u16)count;
  rc = sqlite3BtreeIndexMoveto(cursor->btc, &record, order);
  cursor->positioned = rc == SQLITE_OK && !sqlite3BtreeEof(cursor->btc); /* [C6] */
  cursor->sought = rc == SQLITE_OK;
  cursor->order = *order;
  if (rc == SQLITE_OK && record.errCode != 0) {
    rc = record.errCode;
    cursor->positioned = cursor->sought = 0;
  }
  return finish(cursor->bt, rc);
}

/* After a move on the path that came to an end. */
static int walked(snkv_bt_cursor *cursor) {
  cursor->sought = 0; /* which is for writing */
  cursor->positioned = cursor->path.depth >= 0;
  return SQLITE_OK;
}

int snkv_bt_seek(snkv_bt_cursor *cursor, const void *key, uint32_t key_size, int *order) {
  Mem field;
  if (cursor->bt == 0) return SNKV_BT_MOVED;
  if (cursor->walking && cursor->kind == SNKV_BT_ROWS &&
      walk_seek(&cursor->bt->view, &cursor->path, cursor->root, key, key_size, order)) {
    return walked(cursor);
  }
  fill_mem(cursor->bt, &field, key, key_size);
  cursor->sought_key = key;
  cursor->sought_size = key_size;
  return seek_record(cursor, &field, 1, order);
}

int snkv_bt_seek_expiry(snkv_bt_cursor *cursor, int64_t expires_at, const void *key,
                        uint32_t key_size, int *order) {
  Mem fields[2];
  if (cursor->bt == 0) return SNKV_BT_MOVED;
  fill_mem_int(cursor->bt, &fields[0], expires_at);
  fill_mem(cursor->bt, &fields[1], key, key_size);
  return seek_record(cursor, fields, 2, order);
}

int snkv_bt_seek_rowid(snkv_bt_cursor *cursor, int64_t rowid, int *order) {
  int rc = SQLITE_OK;
  if (cursor->bt == 0) return SNKV_BT_MOVED;
  if (cursor->walking) {
    if (walk_seek_rowid(&cursor->bt->view, &cursor->path, cursor->root, rowid, order)) {
      return walked(cursor);
    }
    rc = open_btc(cursor);
  }
  if (rc == SQLITE_OK) rc = sqlite3BtreeTableMoveto(cursor->btc, rowid, 0, order);
  cursor->positioned = rc == SQLITE_OK && !sqlite3BtreeEof(cursor->btc);
  cursor->sought = rc == SQLITE_OK;
  cursor->order = *order;
  return finish(cursor->bt, rc);
}

static int to_edge(snkv_bt_cursor *cursor, int last, int *valid) {
  int empty = 1, rc = SQLITE_OK;
  *valid = 0;
  if (cursor->bt == 0) return SNKV_BT_MOVED;
  if (cursor->walking) {
    if (walk_edge(&cursor->bt->view, &cursor->path, cursor->root, cursor->kind == SNKV_BT_ROWID,
                  last)) {
      rc = walked(cursor);
      *valid = cursor->positioned;
      return rc;
    }
    rc = open_btc(cursor);
  }
  if (rc == SQLITE_OK) {
    rc = last ? sqlite3BtreeLast(cursor->btc, &empty) : sqlite3BtreeFirst(cursor->btc, &empty);
  }
  cursor->sought = 0;
  *valid = cursor->positioned = rc == SQLITE_OK && !empty;
  return finish(cursor->bt, rc);
}

int snkv_bt_first(snkv_bt_cursor *cursor, int *valid) { return to_edge(cursor, 0, valid); }
int snkv_bt_last(snkv_bt_cursor *cursor, int *valid) { return to_edge(cursor, 1, valid); }

static int walk_current(snkv_bt_cursor *cursor, walk_cell *cell) {
  const walk_level *level = &cursor->path.path[cursor->path.depth];
  return walk_parse(&cursor->bt->view, level, level->ix, cursor->kind == SNKV_BT_ROWID, cell);
}

/* No database can hold more [M9]. */
static u64 largest_record(snkv_bt *bt) {
  return (u64)bt->tree->pBt->pageSize * (u64)bt->tree->pBt->nPage;
}

/* Puts the engine's own cursor where the walk is. */
static int leave_walk(snkv_bt_cursor *cursor) {
  snkv_bt *bt = cursor->bt;
  walk_cell cell;
  int order = 1, rc;
  if (!walk_current(cursor, &cell)) {
    rc = SQLITE_CORRUPT_BKPT;
  } else if (cursor->kind == SNKV_BT_ROWID) {
    rc = open_btc(cursor);
    if (rc == SQLITE_OK) rc = sqlite3BtreeTableMoveto(cursor->btc, cell.rowid, 0, &order);
  } else {
    /* The whole record is what the engine compares with. */
    UnpackedRecord *record = 0;
    char *copy = 0;
    rc = cell.size > largest_record(bt) ? SQLITE_CORRUPT_BKPT : SQLITE_OK; /* [M9] */
    if (rc == SQLITE_OK) {
      copy = sqlite3_malloc64((u64)cell.size + 18);
      if (copy == 0) rc = SQLITE_NOMEM_BKPT;
    }
    if (rc == SQLITE_OK) rc = walk_read(&bt->view, &cell, 0, cell.size, (u8 *)copy);
    if (rc == SQLITE_OK) rc = open_btc(cursor);
    if (rc == SQLITE_OK) {
      record = sqlite3VdbeAllocUnpackedRecord(key_info(bt, cursor->kind));
      if (record == 0) rc = SQLITE_NOMEM_BKPT;
    }
    if (rc == SQLITE_OK) {
      memset(copy + cell.size, 0, 18);
      sqlite3VdbeRecordUnpack((int)cell.size, copy, record);
      record->nField = MIN(record->nField, cursor->kind == SNKV_BT_ROWS ? 1 : 2);
      record->default_rc = 0;
      rc = sqlite3BtreeIndexMoveto(cursor->btc, record, &order);
      if (rc == SQLITE_OK) rc = record->errCode;
    }
    if (record != 0) sqlite3DbFree(bt->db, record);
    sqlite3_free(copy);
  }
  if (rc == SQLITE_OK && (order != 0 || sqlite3BtreeEof(cursor->btc))) rc = SQLITE_CORRUPT_BKPT;
  cursor->sought = 0;
  cursor->positioned = rc == SQLITE_OK;
  return finish(bt, rc);
}

static int step_walk(snkv_bt_cursor *cursor, int forward, int *done) {
  const int table = cursor->kind == SNKV_BT_ROWID;
  walk_level *level = &cursor->path.path[cursor->path.depth];
  walk_view *view = &cursor->bt->view;
  *done = 1;
  if (level->leaf && forward && level->ix + 1u < level->cells) {
    ++level->ix;
    return SQLITE_OK;
  }
  {
    walk_path before; /* only as far as it is in use: this is done for each chunk of a large value */
    before.depth = cursor->path.depth;
    memcpy(before.path, cursor->path.path, (size_t)(before.depth + 1) * sizeof(before.path[0]));
    if (forward ? walk_next(view, &cursor->path, table) : walk_prev(view, &cursor->path, table)) {
      return walked(cursor);
    }
    cursor->path.depth = before.depth;
    memcpy(cursor->path.path, before.path, (size_t)(before.depth + 1) * sizeof(before.path[0]));
  }
  *done = 0;
  return leave_walk(cursor);
}

static int step_cursor(snkv_bt_cursor *cursor, int forward, int *valid) {
  int rc;
  *valid = 0;
  if (cursor->bt == 0) return SNKV_BT_MOVED;
  if (!cursor->positioned && !snkv_bt_breaks("K3")) return SNKV_BT_MOVED; /* [K3] */
  if (cursor->walking) {
    int done;
    rc = step_walk(cursor, forward, &done);
    *valid = done && cursor->positioned;
    if (done || rc != SQLITE_OK) return rc;
  }
  rc = forward ? sqlite3BtreeNext(cursor->btc, 0) : sqlite3BtreePrevious(cursor->btc, 0);
  cursor->sought = 0;
  if (rc == SQLITE_DONE) {
    cursor->positioned = 0;
    return SQLITE_OK;
  }
  *valid = cursor->positioned = rc == SQLITE_OK;
  return rc == SQLITE_OK ? rc : finish(cursor->bt, rc);
}

int snkv_bt_next(snkv_bt_cursor *cursor, int *valid) { return step_cursor(cursor, 1, valid); }
int snkv_bt_prev(snkv_bt_cursor *cursor, int *valid) { return step_cursor(cursor, 0, valid); }
int snkv_bt_step_in_page(snkv_bt_cursor *cursor, int forward, const void **record, uint32_t *size) {
  if (!cursor->walking || !cursor->positioned || cursor->kind != SNKV_BT_ROWS) return 0;
  *record = walk_step_in_page(&cursor->bt->view, &cursor->path, forward, size);
  return *record != 0;
}

int snkv_bt_valid(snkv_bt_cursor *cursor) { return cursor->bt != 0 && cursor->positioned; }

int snkv_bt_payload(snkv_bt_cursor *cursor, const void **data, uint32_t *local, uint32_t *size) {
  u32 amount = 0;
  if (!snkv_bt_valid(cursor)) return SNKV_BT_MOVED;
  if (cursor->walking) {
    walk_cell cell;
    if (!walk_current(cursor, &cell)) return SQLITE_CORRUPT_BKPT;
    if (cell.size > largest_record(cursor->bt)) return SQLITE_CORRUPT_BKPT;
    *data = cell.payload;
    *local = cell.local;
    *size = cell.size;
    return SQLITE_OK;
  }
  *size = sqlite3BtreePayloadSize(cursor->btc); /* [M3] before the fetch */
  if (*size > largest_record(cursor->bt)) return SQLITE_CORRUPT_BKPT;
  *data = sqlite3BtreePayloadFetch(cursor->btc, &amount);
  *local = amount < *size ? amount : *size;
  return SQLITE_OK;
}

int snkv_bt_read(snkv_bt_cursor *cursor, uint32_t offset, uint32_t size, void *buffer) {
  u32 total;
  if (!snkv_bt_valid(cursor)) return SNKV_BT_MOVED;
  if (cursor->walking) {
    walk_cell cell;
    if (!walk_current(cursor, &cell)) return SQLITE_CORRUPT_BKPT;
    if (offset > cell.size || size > cell.size - offset) return SQLITE_CORRUPT_BKPT;
    return finish(cursor->bt, walk_read(&cursor->bt->view, &cell, offset, size, buffer));
  }
  total = sqlite3BtreePayloadSize(cursor->btc);
  if (offset > total || size > total - offset) return SQLITE_CORRUPT_BKPT;
  return finish(cursor->bt, sqlite3BtreePayload(cursor->btc, offset, size, buffer));
}

int64_t snkv_bt_rowid(snkv_bt_cursor *cursor) {
  if (cursor->walking) {
    walk_cell cell;
    return cursor->positioned && walk_current(cursor, &cell) ? cell.rowid : 0;
  }
  return sqlite3BtreeIntegerKey(cursor->btc);
}

/* [C3] Takes the position from every cursor on this tree but one, so that the engine need not save it
** (copying whole records), and marks them so that none is restored by guessing [K3]. */
static void before_write(snkv_bt *bt, uint32_t root, snkv_bt_cursor *except) {
  snkv_bt_cursor *cursor;
  for (cursor = bt->cursors; cursor != 0; cursor = cursor->next) {
    if (cursor->root != root || cursor == except) continue;
    if (!snkv_bt_breaks("K3") && !snkv_bt_breaks("C5")) sqlite3BtreeClearCursor(cursor->btc);
    cursor->positioned = 0;
    if (!snkv_bt_breaks("C5")) cursor->sought = 0;
  }
}

static int after_write(snkv_bt_cursor *cursor, int rc) {
  cursor->positioned = cursor->sought = 0;
  if (rc != SQLITE_OK) cursor->bt->poisoned = 1; /* [T11] */
  return finish(cursor->bt, rc);
}

static int check_writable(snkv_bt_cursor *cursor) {
  if (cursor->bt == 0) return SNKV_BT_MOVED;
  if (!cursor->writable) return SQLITE_MISUSE;
  return cursor->bt->poisoned ? SNKV_BT_POISONED : SQLITE_OK;
}

/* Whether the cursor is on the last entry of its tree. */
static int at_the_end(BtCursor *btc) {
  if (btc->eState != CURSOR_VALID || !btc->pPage->leaf || btc->ix != btc->pPage->nCell - 1) return 0;
  return cursorOnLastPage(btc) && !snkv_bt_without("append");
}

/* Inserts behind the entry that the cursor is on (`order` < 0), or before it. Where that is the end of the
** tree, more of the same is likely to come: the full page then stays as it is, and the entry begins a new one,
** instead of sharing three pages' entries among four. */
static int insert_beside(snkv_bt_cursor *cursor, const BtreePayload *payload) {
  const int appending = cursor->order < 0 && at_the_end(cursor->btc);
  int rc;
  if (appending) sqlite3BtreeCursorHintFlags(cursor->btc, BTREE_BULKLOAD);
  rc = sqlite3BtreeInsert(cursor->btc, payload, 0, cursor->order);
  if (appending) sqlite3BtreeCursorHintFlags(cursor->btc, 0);
  return rc;
}

static int insert_record(snkv_bt_cursor *cursor, Mem *fields, int count, const void *record,
                         uint32_t record_size) {
  BtreePayload payload;
  int order = 0;
  int rc;
  memset(&payload, 0, sizeof(payload));
  payload.pKey = record;
  payload.nKey = record_size;
  payload.aMem = fields;
  payload.nMem = (u16)count; /* [K2] the key columns only */
  if (snkv_bt_breaks("K2")) payload.nMem = 0;
  before_write(cursor->bt, cursor->root, cursor);
  rc = cursor->sought ? SQLITE_OK : seek_record(cursor, fields, count, &order);
  if (rc == SQLITE_OK && snkv_bt_breaks("K2")) {
    rc = sqlite3BtreeInsert(cursor->btc, &payload, 0, 0);
  } else if (rc == SQLITE_OK && cursor->order == 0) {
    rc = sqlite3BtreeInsert(cursor->btc, &payload, BTREE_SAVEPOSITION, 0); /* [C4] */
  } else if (rc == SQLITE_OK) {
    rc = insert_beside(cursor, &payload);
  }
  return after_write(cursor, rc);
}

int snkv_bt_insert(snkv_bt_cursor *cursor, const void *key, uint32_t key_size, const void *record,
                   uint32_t record_size) {
  Mem field;
  int rc = check_writable(cursor);
  if (rc != SQLITE_OK) return rc;
  fill_mem(cursor->bt, &field, key, key_size);
  if (key != cursor->sought_key || key_size != cursor->sought_size) cursor->sought = 0; /* [C4] */
  return insert_record(cursor, &field, 1, record, record_size);
}

int snkv_bt_insert_expiry(snkv_bt_cursor *cursor, int64_t expires_at, const void *key,
                          uint32_t key_size, const void *record, uint32_t record_size) {
  Mem fields[2];
  int rc = check_writable(cursor);
  if (rc != SQLITE_OK) return rc;
  cursor->sought = 0; /* always sought anew: written once per put */
  fill_mem_int(cursor->bt, &fields[0], expires_at);
  fill_mem(cursor->bt, &fields[1], key, key_size);
  return insert_record(cursor, fields, 2, record, record_size);
}

int snkv_bt_insert_rowid(snkv_bt_cursor *cursor, int64_t rowid, const void *record,
                         uint32_t record_size) {
  BtreePayload payload;
  int rc = check_writable(cursor);
  if (rc != SQLITE_OK) return rc;
  memset(&payload, 0, sizeof(payload));
  payload.nKey = rowid;
  payload.pData = record;
  payload.nData = (int)record_size;
  before_write(cursor->bt, cursor->root, cursor);
  rc = sqlite3BtreeInsert(cursor->btc, &payload, 0, 0);
  return after_write(cursor, rc);
}

int snkv_bt_delete(snkv_bt_cursor *cursor) {
  int rc = check_writable(cursor);
  if (rc != SQLITE_OK) return rc;
  if (!snkv_bt_breaks("C5") &&
      (!cursor->sought || cursor->order != 0 || cursor->btc->eState != CURSOR_VALID)) {
    return SNKV_BT_MOVED; /* [C5] */
  }
  before_write(cursor->bt, cursor->root, cursor);
  rc = sqlite3BtreeDelete(cursor->btc, 0);
  return after_write(cursor, rc);
}

int snkv_bt_count(snkv_bt_cursor *cursor, uint64_t *entries) {
  i64 count = 0; /* [M8] an interrupted count does not write it */
  int rc;
  if (cursor->bt == 0) return SNKV_BT_MOVED;
  rc = cursor->walking ? open_btc(cursor) : SQLITE_OK;
  if (rc == SQLITE_OK) rc = sqlite3BtreeCount(cursor->bt->db, cursor->btc, &count);
  cursor->positioned = cursor->sought = 0;
  *entries = (uint64_t)count;
  return finish(cursor->bt, rc);
}

/* How the record under the cursor compares to `bound`: <0 when it is smaller. */
static int compare_current(snkv_bt_cursor *cursor, UnpackedRecord *bound, int *order) {
  const void *data;
  uint32_t local, size;
  int rc = snkv_bt_payload(cursor, &data, &local, &size);
  if (rc != SQLITE_OK) return rc;
  if (local < size) {
    /* [M9] Unpacking may read a little beyond the end. */
    char *copy = sqlite3_malloc64((u64)size + 18);
    if (copy == 0) return SQLITE_NOMEM_BKPT;
    memset(copy + size, 0, 18);
    rc = sqlite3BtreePayload(cursor->btc, 0, size, copy);
    if (rc == SQLITE_OK) *order = sqlite3VdbeRecordCompare((int)size, copy, bound);
    sqlite3_free(copy);
  } else {
    *order = sqlite3VdbeRecordCompare((int)size, data, bound);
  }
  return rc == SQLITE_OK ? bound->errCode : rc;
}

/* Moves within the current leaf page. */
static void go_to_cell(BtCursor *btc, int index) {
  btc->ix = (u16)index;
  btc->info.nSize = 0;
  btc->curFlags &= ~(BTCF_ValidNKey | BTCF_ValidOvfl | BTCF_AtLast);
}

int snkv_bt_count_until(snkv_bt_cursor *cursor, const void *high, uint32_t high_size,
                        uint64_t *entries) {
  Mem field;
  UnpackedRecord bound;
  int rc = SQLITE_OK;
  int valid = snkv_bt_valid(cursor);
  *entries = 0;
  if (cursor->bt == 0) return SNKV_BT_MOVED;
  if (cursor->walking && valid) rc = leave_walk(cursor);
  memset(&bound, 0, sizeof(bound));
  fill_mem(cursor->bt, &field, high, high_size);
  bound.pKeyInfo = key_info(cursor->bt, SNKV_BT_ROWS);
  bound.aMem = &field;
  bound.nField = 1;
  while (rc == SQLITE_OK && valid) {
    BtCursor *btc = cursor->btc;
    const int here = btc->ix;
    const int last = btc->pPage->nCell - 1;
    int order = -1;
    if (btc->pPage->leaf && here < last) {
      go_to_cell(btc, last);
      if (high != 0) rc = compare_current(cursor, &bound, &order);
      if (rc != SQLITE_OK) break;
      if (order < 0) {
        *entries += (uint64_t)(last - here);
        continue; /* the last cell itself is counted below */
      }
      go_to_cell(btc, here);
    }
    if (high != 0) rc = compare_current(cursor, &bound, &order);
    if (rc != SQLITE_OK || order >= 0) break;
    *entries += 1;
    rc = snkv_bt_next(cursor, &valid);
  }
  cursor->positioned = cursor->sought = 0;
  return finish(cursor->bt, rc);
}

int snkv_bt_count_pages(snkv_bt_cursor *cursor, uint64_t *entries, uint64_t *leaf_pages) {
  int valid = 0;
  int rc = cursor->bt != 0 && cursor->walking ? open_btc(cursor) : SQLITE_OK;
  if (rc == SQLITE_OK) rc = snkv_bt_first(cursor, &valid);
  *entries = *leaf_pages = 0;
  while (rc == SQLITE_OK && valid) {
    BtCursor *btc = cursor->btc;
    *entries += 1;
    if (btc->pPage->leaf) {
      *entries += (uint64_t)(btc->pPage->nCell - 1 - btc->ix);
      *leaf_pages += 1;
      go_to_cell(btc, btc->pPage->nCell - 1);
    }
    rc = snkv_bt_next(cursor, &valid);
  }
  return rc;
}

int snkv_bt_clear(snkv_bt *bt, uint32_t root) {
  snkv_bt_cursor *cursor, *next;
  int rc;
  if (sqlite3BtreeTxnState(bt->tree) != SQLITE_TXN_WRITE) return SQLITE_MISUSE; /* [T1] */
  if (bt->poisoned) return SNKV_BT_POISONED;
  for (cursor = bt->cursors; cursor != 0; cursor = next) { /* [S4] */
    next = cursor->next;
    if (cursor->root == root) detach(cursor);
  }
  rc = sqlite3BtreeClearTable(bt->tree, (int)root, 0);
  if (rc != SQLITE_OK) bt->poisoned = 1;
  return finish(bt, rc);
}

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

/* ---- SQL ---- */

int snkv_bt_prepare(snkv_bt *bt, const char *sql, snkv_bt_stmt **out) {
  snkv_bt_stmt *stmt;
  int rc;
  *out = 0;
  if (bt->reading) return SQLITE_MISUSE; /* [T5] */
  stmt = sqlite3MallocZero(sizeof(*stmt));
  if (stmt == 0) return SQLITE_NOMEM;
  rc = sqlite3_prepare_v2(bt->db, sql, -1, &stmt->stmt, 0);
  if (rc != SQLITE_OK) {
    sqlite3_free(stmt);
    return rc;
  }
  stmt->bt = bt;
  *out = stmt;
  return SQLITE_OK;
}

int snkv_bt_bind_int64(snkv_bt_stmt *stmt, int index, int64_t value) {
  return sqlite3_bind_int64(stmt->stmt, index, value);
}
int snkv_bt_bind_text(snkv_bt_stmt *stmt, int index, const char *text, uint32_t size) {
  return sqlite3_bind_text(stmt->stmt, index, text, (int)size, SQLITE_TRANSIENT);
}
int snkv_bt_bind_blob(snkv_bt_stmt *stmt, int index, const void *data, uint32_t size) {
  return sqlite3_bind_blob(stmt->stmt, index, data, (int)size, SQLITE_TRANSIENT);
}

int snkv_bt_step(snkv_bt_stmt *stmt) {
  if (stmt->bt->reading) return SQLITE_MISUSE; /* [T5] */
  /* [S3] Cursors that read inside the transaction find their place again by their key. */
  if (stmt->bt->cursors != 0 && !sqlite3_stmt_readonly(stmt->stmt)) close_all_cursors(stmt->bt);
  return sqlite3_step(stmt->stmt);
}

int64_t snkv_bt_column_int64(snkv_bt_stmt *stmt, int column) {
  return sqlite3_column_int64(stmt->stmt, column);
}

const void *snkv_bt_column_bytes(snkv_bt_stmt *stmt, int column, uint32_t *size) {
  const void *data = sqlite3_column_blob(stmt->stmt, column);
  *size = (uint32_t)sqlite3_column_bytes(stmt->stmt, column);
  return data;
}

void snkv_bt_finalize(snkv_bt_stmt *stmt) {
  if (stmt == 0) return;
  sqlite3_finalize(stmt->stmt);
  if (stmt->guarded) sqlite3_set_authorizer(stmt->bt->db, 0, 0);
  sqlite3_free(stmt);
}

/* Pragmas that only tell something. The rest change the connection, or might one day. */
static int is_telling_pragma(const char *name, const char *argument) {
  static const char *const plain[] = {
      "application_id", "auto_vacuum",    "collation_list", "compile_options", "database_list",
      "encoding",       "freelist_count", "function_list",  "page_count",      "page_size",
      "pragma_list",    "schema_version", "table_list",     "user_version"};
  static const char *const with_argument[] = {"index_info", "index_list", "index_xinfo",
                                              "integrity_check", "quick_check", "table_info",
                                              "table_list", "table_xinfo"};
  size_t i;
  for (i = 0; i < ArraySize(with_argument); ++i) {
    if (sqlite3_stricmp(name, with_argument[i]) == 0) return 1;
  }
  for (i = 0; argument == 0 && i < ArraySize(plain); ++i) {
    if (sqlite3_stricmp(name, plain[i]) == 0) return 1;
  }
  return 0;
}

static int authorize_reading(void *context, int action, const char *first, const char *second,
                             const char *schema, const char *trigger) {
  (void)context;
  (void)schema;
  (void)trigger;
  switch (action) {
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_FUNCTION:
    case SQLITE_RECURSIVE:
      return SQLITE_OK;
    case SQLITE_PRAGMA:
      return is_telling_pragma(first, second) ? SQLITE_OK : SQLITE_DENY;
    default:
      return SQLITE_DENY;
  }
}

/* Whether there is anything but blanks and comments; an error in it counts as something. */
static int has_statement(sqlite3 *db, const char *sql, int size) {
  sqlite3_stmt *stmt = 0;
  int rc = size > 0 ? sqlite3_prepare_v2(db, sql, size, &stmt, 0) : SQLITE_OK;
  int found = rc != SQLITE_OK || stmt != 0;
  sqlite3_finalize(stmt);
  return found;
}

int snkv_bt_prepare_reading(snkv_bt *bt, const char *sql, uint32_t size, snkv_bt_stmt **out) {
  snkv_bt_stmt *stmt;
  const char *tail = 0;
  int rc;
  *out = 0;
  if (bt->reading) return SQLITE_MISUSE; /* [T5] */
  stmt = sqlite3MallocZero(sizeof(*stmt));
  if (stmt == 0) return SQLITE_NOMEM;
  stmt->bt = bt;
  /* It stays for as long as the statement does: one may be compiled again, and functions that are
  ** tables run pragmas of their own. */
  stmt->guarded = 1;
  sqlite3_set_authorizer(bt->db, authorize_reading, 0);
  rc = sqlite3_prepare_v2(bt->db, sql, (int)size, &stmt->stmt, &tail);
  if (rc == SQLITE_OK && stmt->stmt != 0) {
    if (!sqlite3_stmt_readonly(stmt->stmt)) {
      rc = SQLITE_READONLY;
    } else if (has_statement(bt->db, tail, (int)(sql + size - tail))) {
      rc = SNKV_BT_MANY;
    }
  }
  if (rc == SQLITE_OK && stmt->stmt != 0) {
    *out = stmt;
    return SQLITE_OK;
  }
  snkv_bt_finalize(stmt);
  return rc;
}

int snkv_bt_bind_double(snkv_bt_stmt *stmt, int index, double value) {
  return sqlite3_bind_double(stmt->stmt, index, value);
}
int snkv_bt_parameter_count(snkv_bt_stmt *stmt) { return sqlite3_bind_parameter_count(stmt->stmt); }
int snkv_bt_column_count(snkv_bt_stmt *stmt) { return sqlite3_column_count(stmt->stmt); }
const char *snkv_bt_column_name(snkv_bt_stmt *stmt, int column) {
  return sqlite3_column_name(stmt->stmt, column);
}
snkv_bt_type snkv_bt_column_type(snkv_bt_stmt *stmt, int column) {
  return (snkv_bt_type)sqlite3_column_type(stmt->stmt, column);
}
double snkv_bt_column_double(snkv_bt_stmt *stmt, int column) {
  return sqlite3_column_double(stmt->stmt, column);
}

/* ---- Copies and long work ---- */

int snkv_bt_begin_mixed_read(snkv_bt *bt, uint32_t *cookie) {
  int value = 0;
  int rc;
  if (bt->reading) return SQLITE_MISUSE;
  rc = sqlite3_exec(bt->db, "BEGIN", 0, 0, 0);
  if (rc != SQLITE_OK) return rc;
  /* Statements that end leave the read transaction alone while the SQL one is open. */
  rc = begin_read_trans(bt, &value);
  *cookie = (uint32_t)value;
  if (rc != SQLITE_OK) snkv_bt_rollback(bt);
  return finish(bt, rc);
}

int snkv_bt_backup_begin(snkv_bt *source, snkv_bt *target, snkv_bt_backup **out) {
  snkv_bt_backup *backup;
  int rc;
  *out = 0;
  /* [S5] With its transaction open, commits of other connections do not make the copy start anew. */
  if (!source->reading) return SQLITE_MISUSE;
  /* A file that is thrown away after any failure needs no journal. */
  rc = sqlite3_exec(target->db, "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF", 0, 0, 0);
  if (rc != SQLITE_OK) return rc;
  backup = sqlite3MallocZero(sizeof(*backup));
  if (backup == 0) return SQLITE_NOMEM;
  backup->source = source;
  backup->target = target;
  backup->backup = sqlite3_backup_init(target->db, "main", source->db, "main");
  if (backup->backup == 0) {
    rc = sqlite3_extended_errcode(target->db);
    sqlite3_free(backup);
    return rc;
  }
  *out = backup;
  return SQLITE_OK;
}

int snkv_bt_backup_step(snkv_bt_backup *backup, uint32_t pages, uint64_t *done, uint64_t *total) {
  int rc = sqlite3_backup_step(backup->backup, (int)pages);
  *total = (uint64_t)sqlite3_backup_pagecount(backup->backup);
  *done = *total - (uint64_t)sqlite3_backup_remaining(backup->backup);
  return rc;
}

int snkv_bt_backup_finish(snkv_bt_backup *backup) {
  snkv_bt *target = backup->target;
  int complete = backup->backup->rc == SQLITE_DONE;
  int rc = sqlite3_backup_finish(backup->backup);
  sqlite3_free(backup);
  if (rc != SQLITE_OK || !complete) return rc;
  /* The first page came with the mark of a database that has a log. */
  sqlite3_mutex_enter(target->db->mutex);
  rc = sqlite3BtreeSetVersion(target->tree, 1);
  if (rc == SQLITE_OK) {
    rc = sqlite3BtreeCommit(target->tree);
  } else {
    sqlite3BtreeRollback(target->tree, SQLITE_ABORT_ROLLBACK, 0);
  }
  rc = finish(target, rc);
  sqlite3_mutex_leave(target->db->mutex);
  return rc;
}

typedef struct {
  sqlite3 *db;
  snkv_bt_progress report;
  void *context;
} vacuum_state;

/* VACUUM fills a database that it attaches last. */
static int on_vacuum_progress(void *argument) {
  vacuum_state *state = argument;
  sqlite3 *db = state->db;
  Btree *from = db->aDb[0].pBt;
  Btree *to = db->nDb > 2 ? db->aDb[db->nDb - 1].pBt : 0;
  uint64_t done = 0, total = 0;
  if (sqlite3BtreeTxnState(from) != SQLITE_TXN_NONE) {
    u32 unused = 0;
    sqlite3BtreeGetMeta(from, BTREE_FREE_PAGE_COUNT, &unused);
    total = sqlite3BtreeLastPage(from) - unused;
  }
  if (to != 0) done = sqlite3BtreeLastPage(to);
  return state->report(state->context, done < total ? done : total, total);
}

int snkv_bt_vacuum(snkv_bt *bt, const char *into, snkv_bt_progress report, void *context) {
  vacuum_state state;
  char *uri = 0;
  sqlite3_stmt *stmt = 0;
  const unsigned saved_flags = bt->db->openFlags;
  int rc = SQLITE_OK;
  if (bt->reading || bt->cursors != 0 || !bt->db->autoCommit) return SQLITE_MISUSE; /* [S3] */
  if (into != 0) {
    char query[64];
    const char *vfs = sqlite3_vfs_find(0)->zName;
#ifdef SNKV_TESTING
    if (faultvfsName() != 0) vfs = faultvfsName();
#endif
    sqlite3_snprintf(sizeof(query), query, "?vfs=%s", vfs);
    uri = uri_of(into, query);
    if (uri == 0) return SQLITE_NOMEM;
    bt->db->openFlags |= SQLITE_OPEN_URI;
  } else if (strcmp(bt->db->pVfs->zName, MEMVFS_NAME) != 0) {
    /* The new database is built in a temporary file: there may not be memory for it. */
    rc = sqlite3_exec(bt->db, "PRAGMA temp_store=FILE", 0, 0, 0);
  }
  if (rc == SQLITE_OK) {
    rc = sqlite3_prepare_v2(bt->db, into != 0 ? "VACUUM INTO ?1" : "VACUUM", -1, &stmt, 0);
  }
  if (rc == SQLITE_OK && into != 0) rc = sqlite3_bind_text(stmt, 1, uri, -1, SQLITE_STATIC);
  if (rc == SQLITE_OK) {
    state.db = bt->db;
    state.report = report;
    state.context = context;
    if (report != 0) sqlite3_progress_handler(bt->db, 20000, on_vacuum_progress, &state);
    rc = sqlite3_step(stmt);
    sqlite3_progress_handler(bt->db, 0, 0, 0);
    if (rc == SQLITE_DONE) rc = SQLITE_OK;
  }
  sqlite3_finalize(stmt);
  sqlite3_free(uri);
  bt->db->openFlags = saved_flags;
  if (into == 0 && rc == SQLITE_OK) {
    rc = sqlite3_exec(bt->db, "PRAGMA temp_store=DEFAULT", 0, 0, 0);
  } else if (into == 0) {
    bt->db->temp_store = 0; /* the same, without losing the message of the failure */
  }
  return rc;
}

static int on_progress(void *argument) {
  snkv_bt *bt = argument;
  return bt->report(bt->report_context, ++bt->reported, 0);
}

void snkv_bt_on_progress(snkv_bt *bt, int steps, snkv_bt_progress report, void *context) {
  bt->report = report;
  bt->report_context = context;
  bt->reported = 0;
  sqlite3_progress_handler(bt->db, report != 0 ? steps : 0, report != 0 ? on_progress : 0, bt);
}

int64_t snkv_bt_file_bytes(snkv_bt *bt) {
  Pager *pager;
  i64 size = 0;
  sqlite3_mutex_enter(bt->db->mutex);
  pager = sqlite3BtreePager(bt->tree);
  if (isOpen(pager->fd) && sqlite3OsFileSize(pager->fd, &size) != SQLITE_OK) size = 0;
  sqlite3_mutex_leave(bt->db->mutex);
  return size;
}
