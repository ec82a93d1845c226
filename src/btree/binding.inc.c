/*
** Part of engine.c: whether the log beside a database is that of this database.
**
** The engine takes any log that lies there and is whole in itself. But a file may have been put in the place of
** the one that the log belongs to, and then pages of two databases are mixed. What binds the two is the change
** counter in the first page (offset 24), which begins with a random number in each new file:
**   - the first commit of a log writes the first page, with the counter one higher than in the file [L1];
**   - no commit makes it smaller. So the file, into which nothing, a part or all of the log was copied, has a
**     counter from one less than the first in the log up to the last.
** Other programs need not keep to [L1]: of a log without the first page nothing can be said.
*/

static u32 counter_in(const u8 *first_page) { return sqlite3Get4byte(first_page + 24); }

/* The first page, in a transaction. */
static u8 *first_page(snkv_bt *bt) { return bt->tree->pBt->pPage1->aData; }

/* Makes the first page part of the transaction. `counter` is one less than what the commit will write. */
static int write_counter(snkv_bt *bt, u32 counter) {
  Pager *pager = sqlite3BtreePager(bt->tree);
  int rc;
  sqlite3_mutex_enter(bt->db->mutex);
  rc = sqlite3PagerWrite(bt->tree->pBt->pPage1->pDbPage);
  if (rc == SQLITE_OK) sqlite3Put4byte((u8 *)pager->dbFileVers, counter);
  rc = finish(bt, rc);
  sqlite3_mutex_leave(bt->db->mutex);
  return rc;
}

int snkv_bt_new_counter(snkv_bt *bt, uint32_t counter) {
  if (sqlite3BtreeTxnState(bt->tree) != SQLITE_TXN_WRITE) return SQLITE_MISUSE;
  return write_counter(bt, counter);
}

/* Whether the commit of the transaction that has just begun may be the first of a log. */
static int may_start_log(snkv_bt *bt) {
  const Wal *wal = sqlite3BtreePager(bt->tree)->pWal;
  return wal != 0 && (wal->hdr.mxFrame == 0 || wal->readLock == 0);
}

/* [L1] The engine counts from what it read last, not from what it has written since. */
static int count_first_commit(snkv_bt *bt) {
  if (!bt->starts_log || snkv_bt_breaks("L1")) return SQLITE_OK;
  if (sqlite3BtreePager(bt->tree)->eState < PAGER_WRITER_CACHEMOD) return SQLITE_OK; /* nothing is written */
  return write_counter(bt, counter_in(first_page(bt)));
}

/* The counter in the first frame of the log that has the first page; *found is 0 if there is none. */
static int first_counter(Wal *wal, u32 *counter, int *found) {
  u8 bytes[4];
  u32 frame;
  int rc = SQLITE_OK;
  *found = 0;
  WAL_LOOK_BEGIN(wal)
  for (frame = 1; frame <= wal->hdr.mxFrame; ++frame) {
    const int page = walFramePage(frame);
    volatile u32 *unused;
    if (page >= wal->nWiData || wal->apWiData[page] == 0) rc = walIndexPage(wal, page, &unused);
    if (rc != SQLITE_OK || walFramePgno(wal, frame) == 1) break;
  }
  WAL_LOOK_END(wal)
  if (rc != SQLITE_OK || frame > wal->hdr.mxFrame) return rc;
  rc = sqlite3OsRead(wal->pWalFd, bytes, 4, walFrameOffset(frame, wal->szPage) + WAL_FRAME_HDRSIZE + 24);
  *counter = sqlite3Get4byte(bytes);
  *found = rc == SQLITE_OK;
  return rc;
}

int snkv_bt_file_counter(snkv_bt *bt, uint32_t *counter) {
  u8 bytes[4];
  sqlite3_file *file = sqlite3BtreePager(bt->tree)->fd;
  int rc;
  *counter = 0;
  if (!isOpen(file)) return SQLITE_IOERR_SHORT_READ;
  rc = sqlite3OsRead(file, bytes, 4, 24);
  if (rc == SQLITE_OK) *counter = sqlite3Get4byte(bytes);
  return rc;
}

/* In a read transaction, which keeps the log from being started anew. */
static int log_fits(snkv_bt *bt, int *fits) {
  Wal *wal = sqlite3BtreePager(bt->tree)->pWal;
  u32 first = 0, file = 0;
  int found = 0;
  int rc;
  *fits = 1;
  /* A log of which nothing is read does no harm. */
  if (wal == 0 || wal->hdr.mxFrame == 0 || (wal->readLock == 0 && !wal->bShmUnreliable)) return SQLITE_OK;
  rc = first_counter(wal, &first, &found);
  if (rc != SQLITE_OK || !found) return rc;
  rc = snkv_bt_file_counter(bt, &file);
  if (rc != SQLITE_OK) return rc;
  *fits = file - (first - 1) <= counter_in(first_page(bt)) - (first - 1);
  return rc;
}

int snkv_bt_check_log(snkv_bt *bt, int *fits) {
  int cookie = 0;
  int rc;
  *fits = 1;
  if (bt->reading || !bt->db->autoCommit) return SQLITE_MISUSE;
  sqlite3_mutex_enter(bt->db->mutex);
  rc = begin_read_trans(bt, &cookie);
  if (rc == SQLITE_OK) {
    rc = log_fits(bt, fits);
    sqlite3BtreeCommit(bt->tree);
  }
  rc = finish(bt, rc);
  sqlite3_mutex_leave(bt->db->mutex);
  return rc;
}

int snkv_bt_writer_at_work(snkv_bt *bt) {
  sqlite3_file *file = sqlite3BtreePager(bt->tree)->fd;
  int reserved = 0;
  if (isOpen(file) && sqlite3OsCheckReservedLock(file, &reserved) != SQLITE_OK) return 1;
  return reserved;
}
