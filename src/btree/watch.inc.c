/*
** Part of engine.c: reading a database that has a log, while nobody has it open, without making a log for it.
** A reader who is not the owner would leave a log of theirs that the owner cannot write. The file alone is
** complete as long as there is no log and no journal beside it, and who changes the file makes one first: so
** after each read of the file one look tells whether what was read belongs to what was there at the beginning.
*/

int snkv_bt_is_watching(snkv_bt *bt) { return bt->watching; }

#if SQLITE_OS_UNIX

/* A change within the grain of the system's clock might not be seen. */
enum { watch_grain_ms = 25, watch_looks = 3 };

static int watch_is_absent(const char *name) {
  struct stat info;
  return name != 0 && osStat(name, &info) != 0 && errno == ENOENT;
}

static int watch_unchanged(sqlite3_file *file) {
  const watchState *mine = &logvfsState(file)->watch;
  const struct stat *before = &mine->before;
  struct stat now;
  if (!watch_is_absent(mine->log) || !watch_is_absent(mine->journal)) return 0;
  return osFstat(((unixFile *)file)->h, &now) == 0 && now.st_size == before->st_size &&
         now.st_mtim.tv_sec == before->st_mtim.tv_sec && now.st_mtim.tv_nsec == before->st_mtim.tv_nsec &&
         now.st_ctim.tv_sec == before->st_ctim.tv_sec && now.st_ctim.tv_nsec == before->st_ctim.tv_nsec;
}

static int watch_read(sqlite3_file *file, void *data, int size, sqlite3_int64 offset) {
  int rc = logvfsState(file)->watch.read(file, data, size, offset);
  if (rc != SQLITE_OK && rc != SQLITE_IOERR_SHORT_READ) return rc;
  return watch_unchanged(file) ? rc : SNKV_BT_OUTDATED;
}

/* Takes down what the file is now, once it has been at rest for a while. */
static int watch_begin(sqlite3_file *file) {
  watchState *mine = &logvfsState(file)->watch;
  for (int look = 0; look < watch_looks; ++look) {
    struct timespec now;
    if (osFstat(((unixFile *)file)->h, &mine->before) != 0 || clock_gettime(CLOCK_REALTIME, &now) != 0) return 0;
    const i64 age_ms = (i64)(now.tv_sec - mine->before.st_ctim.tv_sec) * 1000 +
                       (now.tv_nsec - mine->before.st_ctim.tv_nsec) / 1000000;
    /* A time without fractions may be one that never has any. */
    const i64 grain_ms = mine->before.st_ctim.tv_nsec == 0 ? 2000 : watch_grain_ms;
    if (age_ms >= grain_ms || age_ms < 0) return watch_unchanged(file);
    usleep((useconds_t)((grain_ms - age_ms) * 1000));
  }
  return 0;
}

int snkv_bt_watch(snkv_bt *bt) {
  Pager *pager = sqlite3BtreePager(bt->tree);
  sqlite3_file *file = pager->fd;
  logvfsFile *mine;
  if (!isOpen(file) || file->pMethods->xFileControl != unixFileControl || !pager->noLock) return 0;
  mine = logvfsState(file);
  if (file->pMethods != &mine->methods) {
    memset(mine, 0, sizeof(*mine));
    mine->below = file->pMethods;
    mine->methods = *file->pMethods;
  }
  mine->watch.log = pager->zWal;
  mine->watch.journal = pager->zJournal;
  if (!watch_begin(file)) return 0;
  mine->watch.read = mine->methods.xRead;
  mine->methods.xRead = watch_read;
  file->pMethods = &mine->methods;
  bt->watching = 1;
  bt->no_walk = 1; /* which would read past it */
  return 1;
}

int snkv_bt_is_outdated(snkv_bt *bt) {
  return bt->watching && !watch_unchanged(sqlite3BtreePager(bt->tree)->fd);
}

/* Locks are taken beside the pager, which has none yet. */
int snkv_bt_lock_file(snkv_bt *bt) {
  sqlite3_file *file = sqlite3BtreePager(bt->tree)->fd;
  int rc;
  if (!isOpen(file) || sqlite3BtreeTxnState(bt->tree) != SQLITE_TXN_NONE) return SQLITE_MISUSE;
  rc = sqlite3OsLock(file, SQLITE_LOCK_SHARED);
  if (rc == SQLITE_OK) rc = sqlite3OsLock(file, SQLITE_LOCK_EXCLUSIVE);
  if (rc != SQLITE_OK) snkv_bt_unlock_file(bt);
  return rc;
}

void snkv_bt_unlock_file(snkv_bt *bt) {
  sqlite3OsUnlock(sqlite3BtreePager(bt->tree)->fd, SQLITE_LOCK_NONE);
}
#else
int snkv_bt_watch(snkv_bt *bt) { return (void)bt, 0; }
int snkv_bt_is_outdated(snkv_bt *bt) { return (void)bt, 0; }
int snkv_bt_lock_file(snkv_bt *bt) { return (void)bt, SQLITE_MISUSE; }
void snkv_bt_unlock_file(snkv_bt *bt) { (void)bt; }
#endif
