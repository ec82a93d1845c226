/*
** Part of engine.c: copies of a whole file, and work that takes long.
*/

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
  const sqlite3_io_methods *methods; /* of the file that is replaced; NULL: none is */
  sqlite3_io_methods asking;
} vacuum_state;

static uint64_t vacuum_total(sqlite3 *db) {
  Btree *from = db->aDb[0].pBt;
  u32 unused = 0;
  if (sqlite3BtreeTxnState(from) == SQLITE_TXN_NONE) return 0;
  sqlite3BtreeGetMeta(from, BTREE_FREE_PAGE_COUNT, &unused);
  return sqlite3BtreeLastPage(from) - unused;
}

/* VACUUM fills a database that it attaches last. */
static int on_vacuum_progress(void *argument) {
  vacuum_state *state = argument;
  sqlite3 *db = state->db;
  Btree *to = db->nDb > 2 ? db->aDb[db->nDb - 1].pBt : 0;
  uint64_t done = 0, total = vacuum_total(db);
  if (to != 0) done = sqlite3BtreeLastPage(to);
  return state->report(state->context, done < total ? done : total, total);
}

static _Thread_local vacuum_state *vacuuming;

/* The engine tells the file that its contents are about to be replaced, before it begins to: the last moment
** at which all can stay as it is. */
static int vacuum_file_control(sqlite3_file *file, int op, void *argument) {
  vacuum_state *state = vacuuming;
  if (op == SQLITE_FCNTL_OVERWRITE) {
    const uint64_t total = vacuum_total(state->db);
    if (state->report(state->context, total, total)) return SQLITE_INTERRUPT;
  }
  return state->methods->xFileControl(file, op, argument);
}

/* Runs the statement; with the whole as the last report, if the file is replaced. */
static int vacuum_step(sqlite3_stmt *stmt, vacuum_state *state, int in_place) {
  vacuum_state *const outer = vacuuming; /* of another store, whose report called us */
  sqlite3_file *file = in_place ? sqlite3PagerFile(sqlite3BtreePager(state->db->aDb[0].pBt)) : 0;
  int rc;
  if (file != 0 && isOpen(file)) {
    state->methods = file->pMethods;
    state->asking = *file->pMethods;
    state->asking.xFileControl = vacuum_file_control;
    file->pMethods = &state->asking;
  }
  vacuuming = state;
  sqlite3_progress_handler(state->db, 20000, on_vacuum_progress, state);
  rc = sqlite3_step(stmt);
  sqlite3_progress_handler(state->db, 0, 0, 0);
  vacuuming = outer;
  if (state->methods != 0) file->pMethods = state->methods;
  return rc == SQLITE_DONE ? SQLITE_OK : rc;
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
    state.methods = 0;
    rc = vacuum_step(stmt, &state, into == 0);
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
