/*
** Part of engine.c: whether the names of a database, its log and its index still lead to the files that a
** connection has open. Who renames or removes one of them does not stop the connection, which then writes
** where nobody will look.
*/

static int identify(sqlite3_file *file, snkv_bt_identity *out) {
  out->device = out->inode = 0;
#if SQLITE_OS_UNIX
  struct stat info;
  if (!isOpen(file) || file->pMethods->xFileControl != unixFileControl) return 0;
  if (osFstat(((unixFile *)file)->h, &info) != 0) return 0;
  out->device = (uint64_t)info.st_dev;
  out->inode = (uint64_t)info.st_ino;
  return 1;
#else
  (void)file;
  return 0;
#endif
}

int snkv_bt_identify(snkv_bt *bt, snkv_bt_identity *out) {
  return identify(sqlite3BtreePager(bt->tree)->fd, out);
}

int snkv_bt_identify_log(snkv_bt *bt, snkv_bt_identity *out) {
  const Wal *wal = sqlite3BtreePager(bt->tree)->pWal;
  return wal != 0 && identify(wal->pWalFd, out);
}

#if SQLITE_OS_UNIX
/* Whether a name leads to another file than the descriptor, or to none. What cannot be found out, for want of a
** right or of memory, is no sign of a move. `empty` (or NULL) tells of a file that has lost its contents. */
static int leads_elsewhere(const char *name, int descriptor, int *empty) {
  struct stat named, open;
  if (name == 0 || descriptor < 0 || osFstat(descriptor, &open) != 0) return 0;
  if (osStat(name, &named) != 0) return errno == ENOENT || errno == ENOTDIR || errno == ELOOP;
  if (named.st_ino != open.st_ino || named.st_dev != open.st_dev) return 1;
  if (empty != 0) *empty = open.st_size == 0;
  return 0;
}

/* Of the files that the VFS of the system has opened; the tests have others. */
static const unixFile *unix_file(sqlite3_file *file) {
  return isOpen(file) && file->pMethods->xFileControl == unixFileControl ? (const unixFile *)file : 0;
}
#endif

/* Of a store, whose first page has been in the file since it was made. */
snkv_bt_place snkv_bt_find(snkv_bt *bt) {
#if SQLITE_OS_UNIX
  Pager *pager = sqlite3BtreePager(bt->tree);
  Wal *wal = pager->pWal;
  const unixFile *file = unix_file(pager->fd);
  int empty = 0;
  if (file == 0) return SNKV_BT_IN_PLACE;
  if (leads_elsewhere(pager->zFilename, file->h, &empty)) return SNKV_BT_FILE_ELSEWHERE;
  if (empty) return SNKV_BT_FILE_EMPTIED;
  if (wal == 0) return SNKV_BT_IN_PLACE;
  if (file->pShm != 0) {
    const unixShmNode *index = file->pShm->pShmNode;
    if (leads_elsewhere(index->zFilename, index->hShm, 0)) return SNKV_BT_INDEX_ELSEWHERE;
  }
  file = unix_file(wal->pWalFd);
  if (file != 0 && leads_elsewhere(wal->zWalName, file->h, 0)) return SNKV_BT_LOG_ELSEWHERE;
#else
  (void)bt;
#endif
  return SNKV_BT_IN_PLACE;
}

void snkv_bt_leave_log(snkv_bt *bt, int leave) {
  sqlite3_db_config(bt->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, leave, (int *)0);
}
