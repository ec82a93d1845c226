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
  sqlite3_io_methods methods; /* of the file, while it is vacuumed in place: see on_vacuum_control */
  const sqlite3_io_methods *below;
  sqlite3 *db;
  snkv_bt_progress report;
  void *context;
} vacuum_state;

/* The pages of the database as it is. */
static uint64_t vacuum_total(const vacuum_state *state) {
  Btree *from = state->db->aDb[0].pBt;
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
  const uint64_t total = vacuum_total(state);
  const uint64_t done = to != 0 ? sqlite3BtreeLastPage(to) : 0;
  return state->report(state->context, done < total ? done : total, total);
}

/* The new database is complete, and is about to be copied over the old one: the last moment at which
** stopping changes nothing. The engine asks for permission; no other progress is told from here on. */
static int on_vacuum_control(sqlite3_file *file, int op, void *argument) {
  const vacuum_state *state = (const vacuum_state *)file->pMethods;
  if (op == SQLITE_FCNTL_OVERWRITE) {
    const uint64_t total = vacuum_total(state);
    if (state->report(state->context, total, total) != 0) return SQLITE_INTERRUPT;
  }
  return state->below->xFileControl(file, op, argument);
}

int snkv_bt_vacuum(snkv_bt *bt, const char *into, snkv_bt_progress report, void *context) {
  vacuum_state state;
  char *uri = 0;
  sqlite3_stmt *stmt = 0;
  sqlite3_file *file;
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
    file = sqlite3PagerFile(sqlite3BtreePager(bt->tree));
    state.below = file->pMethods;
    if (report != 0) sqlite3_progress_handler(bt->db, 20000, on_vacuum_progress, &state);
    if (report != 0 && into == 0 && isOpen(file)) {
      state.methods = *file->pMethods;
      state.methods.xFileControl = on_vacuum_control;
      file->pMethods = &state.methods;
    }
    rc = sqlite3_step(stmt);
    file->pMethods = state.below;
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
