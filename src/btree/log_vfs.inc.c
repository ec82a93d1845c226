/*
** log_vfs.inc.c: the VFS that stores in files are opened with. Part of engine.c.
**
** It is the VFS below it, except that only regular files are opened, that errors have their right names
** (files.inc.c), and that the log is written in fewer and larger pieces. The engine writes
** each frame of the log as 24 bytes of header and a page. Here the two are written together. During a
** commit, from logvfsBeginCommit to logvfsEndCommit, frames that follow one another are collected too,
** and written with the last one: a frame says in its header whether it ends the commit. So everything is
** in the file before the engine publishes the commit, and a failure to write it is a failure of the
** commit. Nothing stays collected beyond that: once the lock for writing is given up, others may write
** to the same place.
**
** A log that grows is slow to sync: its new size has to be on the disk, too. So the first synced commit that
** makes it grow writes zeros behind it, about as many bytes again up to a limit, which later ones write over.
** No reader takes them for frames, whose header has the salt of the log and is never zero.
**
** Files are those of the VFS below, with our state behind them and a table of methods of their own: code
** that knows that a file is a unixFile is still right.
*/
#include "files.inc.c"

#define LOGVFS_NAME "snkv-file"
#define LOGVFS_CAPACITY 0x1ffff /* the most that unixWrite gives to one call of the system */
#define LOGVFS_AHEAD 0x1f000       /* zeros behind a log that grows, in one piece */
#define LOGVFS_MOST_AHEAD 0x100000 /* and in all */
#define LOGVFS_FRAME_HEADER 24
#define LOGVFS_HEADER 32

/* Of a database file that is read without a log (watch.inc.c). */
typedef struct {
#if SQLITE_OS_UNIX
  struct stat before;
#endif
  const char *log, *journal;
  int (*read)(sqlite3_file *, void *, int, sqlite3_int64); /* what reads, without the look */
} watchState;

typedef struct {
  sqlite3_io_methods methods;
  const sqlite3_io_methods *below;
  watchState watch;
  unsigned char *buffer; /* made with the first write; NULL also when there was no memory for it */
  i64 start;             /* where in the file the buffer belongs */
  int used;
  i64 tail; /* where the next write must begin to be collected; -1: nowhere */
  int last; /* the frame whose header was written last ends a commit */
  int committing;
} logvfsFile;

static struct {
  sqlite3_vfs vfs;
  sqlite3_vfs *below;
} logvfs;

static int logvfsStateOffset(void) { return ROUND8(logvfs.below->szOsFile); }
static logvfsFile *logvfsState(sqlite3_file *file) {
  return (logvfsFile *)((char *)file + logvfsStateOffset());
}

/* What all files have in common: errors get their right names. */
static int logvfsPlainRead(sqlite3_file *file, void *data, int size, sqlite3_int64 offset) {
  return file_error(file, logvfsState(file)->below, logvfsState(file)->below->xRead(file, data, size, offset));
}
static int logvfsPlainWrite(sqlite3_file *file, const void *data, int size, sqlite3_int64 offset) {
  return file_error(file, logvfsState(file)->below, logvfsState(file)->below->xWrite(file, data, size, offset));
}
static int logvfsPlainTruncate(sqlite3_file *file, sqlite3_int64 size) {
  return file_error(file, logvfsState(file)->below, logvfsState(file)->below->xTruncate(file, size));
}
static int logvfsPlainSync(sqlite3_file *file, int flags) {
  return file_error(file, logvfsState(file)->below, logvfsState(file)->below->xSync(file, flags));
}

/* The index of a log has no place for its errors. */
static int logvfsShmMap(sqlite3_file *file, int page, int size, int extend, void volatile **out) {
  int rc;
  errno = 0;
  rc = logvfsState(file)->below->xShmMap(file, page, size, extend, out);
  return rc == SQLITE_IOERR_SHMOPEN && is_full(errno) ? SQLITE_FULL : rc;
}

/* Writes what was collected. A failure is one of the transaction, which will be rolled back: nothing of
** it is needed any more. */
static int logvfsFlush(sqlite3_file *file) {
  logvfsFile *mine = logvfsState(file);
  int size = mine->used;
  int rc;
  if (size == 0) return SQLITE_OK;
  mine->used = 0;
  rc = logvfsPlainWrite(file, mine->buffer, size, mine->start);
  mine->tail = rc == SQLITE_OK ? mine->start + size : -1;
  return rc;
}

static int logvfsCollect(sqlite3_file *file, const void *data, int size, i64 offset) {
  logvfsFile *mine = logvfsState(file);
  if (mine->used + size > LOGVFS_CAPACITY) {
    int rc = logvfsFlush(file);
    if (rc != SQLITE_OK) return rc;
  }
  if (mine->used == 0) mine->start = offset;
  memcpy(mine->buffer + mine->used, data, (size_t)size);
  mine->used += size;
  mine->tail = offset + size;
  return SQLITE_OK;
}

/* Writes that do not continue the last one are passed on: those of the log's header, of frames that are
** written over, of checksums, and of the first header after another connection has written. */
static int logvfsPassOn(sqlite3_file *file, const void *data, int size, i64 offset) {
  logvfsFile *mine = logvfsState(file);
  int rc = logvfsFlush(file);
  if (rc == SQLITE_OK) rc = logvfsPlainWrite(file, data, size, offset);
  if (rc != SQLITE_OK) {
    mine->tail = -1;
  } else if (size == LOGVFS_FRAME_HEADER || (offset == 0 && size == LOGVFS_HEADER)) {
    mine->tail = offset + size;
  }
  return rc;
}

static int logvfsWrite(sqlite3_file *file, const void *data, int size, sqlite3_int64 offset) {
  logvfsFile *mine = logvfsState(file);
  int rc;
  if (mine->buffer == 0) mine->buffer = sqlite3_malloc(LOGVFS_CAPACITY);
  if (size == LOGVFS_FRAME_HEADER) mine->last = sqlite3Get4byte((const u8 *)data + 4) != 0;
  if (mine->buffer == 0) return logvfsPlainWrite(file, data, size, offset);
  if (offset != mine->tail || size > LOGVFS_CAPACITY) return logvfsPassOn(file, data, size, offset);
  rc = logvfsCollect(file, data, size, offset);
  if (rc != SQLITE_OK || size == LOGVFS_FRAME_HEADER) return rc;
  if (mine->committing && (!mine->last || snkv_bt_breaks("W1"))) return rc;
  return logvfsFlush(file); /* [W1] */
}

static int logvfsRead(sqlite3_file *file, void *data, int size, sqlite3_int64 offset) {
  logvfsFile *mine = logvfsState(file);
  if (mine->used > 0 && offset + size > mine->start && offset < mine->start + mine->used) {
    int rc = logvfsFlush(file);
    if (rc != SQLITE_OK) return rc;
  }
  return logvfsPlainRead(file, data, size, offset);
}

static int logvfsTruncate(sqlite3_file *file, sqlite3_int64 size) {
  int rc = logvfsFlush(file);
  return rc == SQLITE_OK ? logvfsPlainTruncate(file, size) : rc;
}

/* What was written last is about to be synced. Only a commit holds the lock for writing then: what is behind
** the end of another's may be of somebody else. It is only about speed, so a failure means nothing. */
static void logvfsWriteAhead(sqlite3_file *file) {
  logvfsFile *mine = logvfsState(file);
  i64 size = 0, at = mine->tail;
  if (at < 0 || mine->buffer == 0 || snkv_bt_without("log_ahead")) return;
  if (!snkv_bt_breaks("W2")) { /* [W2] */
    /* As long as a new header is not safe, the old one may be found with what it stands for. */
    if (!mine->committing || at <= WAL_HDRSIZE) return;
    if (mine->below->xFileSize(file, &size) != SQLITE_OK || size > at) return;
  }
  memset(mine->buffer, 0, LOGVFS_AHEAD);
  for (i64 end = at + MIN(at, LOGVFS_MOST_AHEAD); at < end; at += LOGVFS_AHEAD) {
    if (mine->below->xWrite(file, mine->buffer, LOGVFS_AHEAD, at) != SQLITE_OK) return;
  }
}

static int logvfsSync(sqlite3_file *file, int flags) {
  int rc = logvfsFlush(file);
  if (rc == SQLITE_OK) logvfsWriteAhead(file);
  return rc == SQLITE_OK ? logvfsPlainSync(file, flags) : rc;
}

static int logvfsFileSize(sqlite3_file *file, sqlite3_int64 *size) {
  int rc = logvfsFlush(file);
  return rc == SQLITE_OK ? logvfsState(file)->below->xFileSize(file, size) : rc;
}

static int logvfsHandles(sqlite3_file *file) {
  return isOpen(file) && file->pMethods->xWrite == logvfsWrite;
}

static void logvfsBeginCommit(sqlite3_file *file) {
  if (logvfsHandles(file)) logvfsState(file)->committing = 1;
}

/* What is still there is of a commit that failed, and may be in the way of others by now. */
static void logvfsEndCommit(sqlite3_file *file) {
  if (!logvfsHandles(file)) return;
  logvfsState(file)->committing = 0;
  if (logvfsState(file)->used > 0) logvfsState(file)->tail = -1;
  logvfsState(file)->used = 0;
}

/* What is collected here is of no commit. */
static int logvfsClose(sqlite3_file *file) {
  logvfsFile *mine = logvfsState(file);
  sqlite3_free(mine->buffer);
  mine->buffer = 0;
  mine->used = 0;
  return mine->below->xClose(file);
}

static int logvfsOpen(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags,
                      int *out_flags) {
  logvfsFile *mine = logvfsState(file);
  int rc;
  (void)vfs;
  /* A journal can name a file that the engine would read as a whole, and remove. No store has part in a
  ** transaction over several files. */
  if ((flags & SQLITE_OPEN_SUPER_JOURNAL) != 0) return SQLITE_CANTOPEN_BKPT;
  rc = logvfs.below->xOpen(logvfs.below, name, file, flags, out_flags);
  if (rc != SQLITE_OK || file->pMethods == 0) return rc;
  memset(mine, 0, sizeof(*mine));
  mine->below = file->pMethods;
  mine->methods = *file->pMethods;
  mine->methods.xRead = logvfsPlainRead;
  mine->methods.xWrite = logvfsPlainWrite;
  mine->methods.xTruncate = logvfsPlainTruncate;
  mine->methods.xSync = logvfsPlainSync;
  if (mine->below->iVersion >= 2 && mine->below->xShmMap != 0) mine->methods.xShmMap = logvfsShmMap;
  mine->tail = -1;
  /* Without this promise frames are padded and written in other pieces. */
  if ((flags & SQLITE_OPEN_WAL) != 0 && !snkv_bt_without("log_buffer") &&
      (sqlite3OsDeviceCharacteristics(file) & SQLITE_IOCAP_POWERSAFE_OVERWRITE) != 0) {
    mine->methods.xClose = logvfsClose;
    mine->methods.xRead = logvfsRead;
    mine->methods.xWrite = logvfsWrite;
    mine->methods.xTruncate = logvfsTruncate;
    mine->methods.xSync = logvfsSync;
    mine->methods.xFileSize = logvfsFileSize;
  }
  file->pMethods = &mine->methods;
  return rc;
}

#if SQLITE_OS_UNIX
/* A nap that no signal makes shorter: what waits counts on its length. */
static int wholeSleep(sqlite3_vfs *vfs, int microseconds) {
  struct timespec until;
  (void)vfs;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += microseconds / 1000000;
  until.tv_nsec += (microseconds % 1000000) * 1000L;
  if (until.tv_nsec >= 1000000000L) {
    until.tv_nsec -= 1000000000L;
    ++until.tv_sec;
  }
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, 0) == EINTR) {
  }
  return microseconds;
}
#endif

/* Makes the VFS known, on top of `below` (NULL: the default). Any number of times, from any thread. */
static int logvfsRegister(const char *below) {
  sqlite3_mutex *mutex = sqlite3_mutex_alloc(SQLITE_MUTEX_STATIC_VFS2);
  int rc = SQLITE_OK;
  sqlite3_mutex_enter(mutex);
  if (logvfs.below == 0) {
#if SQLITE_OS_UNIX
    sqlite3_vfs_find(0)->xSleep = wholeSleep; /* which all the others call */
#endif
    logvfs.below = sqlite3_vfs_find(below);
    if (logvfs.below == 0) {
      rc = SQLITE_ERROR;
    } else {
      guard_files();
      logvfs.vfs = *logvfs.below; /* its other methods know it by pAppData at most */
      logvfs.vfs.pNext = 0;
      logvfs.vfs.zName = LOGVFS_NAME;
      logvfs.vfs.szOsFile = logvfsStateOffset() + (int)sizeof(logvfsFile);
      logvfs.vfs.xOpen = logvfsOpen;
      rc = sqlite3_vfs_register(&logvfs.vfs, 0);
      if (rc != SQLITE_OK) logvfs.below = 0;
    }
  }
  sqlite3_mutex_leave(mutex);
  return rc;
}
