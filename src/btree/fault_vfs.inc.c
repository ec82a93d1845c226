/*
** fault_vfs.inc.c: the VFS and the allocator behind fault.h. Part of engine.c, with SNKV_TESTING only.
**
** Never failed: closing, unlocking and unmapping. They cannot fail in a way that the engine could
** answer, and a lock that stayed behind would only block the rest of the test.
*/
#include "fault.h"

#include <stdatomic.h>

static struct {
  atomic_int kind;
  atomic_int persistent;
  atomic_ullong nth, calls, delivered;
  atomic_llong outstanding;
} faultvfsState;

static sqlite3_mem_methods faultvfsRealMem;

/* Counts a call of this kind; whether it is to fail. */
static int faultvfsHit(snkv_fault_kind kind) {
  unsigned long long call, nth;
  if (atomic_load(&faultvfsState.kind) != (int)kind) return 0;
  call = atomic_fetch_add(&faultvfsState.calls, 1) + 1;
  nth = atomic_load(&faultvfsState.nth);
  if (call < nth || (call > nth && !atomic_load(&faultvfsState.persistent))) return 0;
  atomic_fetch_add(&faultvfsState.delivered, 1);
  return 1;
}

void snkv_fault_arm(snkv_fault_kind kind, uint64_t nth, int persistent) {
  snkv_fault_disarm();
  atomic_store(&faultvfsState.nth, nth);
  atomic_store(&faultvfsState.persistent, persistent);
  atomic_store(&faultvfsState.calls, 0);
  atomic_store(&faultvfsState.delivered, 0);
  atomic_store(&faultvfsState.kind, (int)kind);
}

void snkv_fault_disarm(void) { atomic_store(&faultvfsState.kind, SNKV_FAULT_NONE); }
uint64_t snkv_fault_calls(void) { return atomic_load(&faultvfsState.calls); }
uint64_t snkv_fault_delivered(void) { return atomic_load(&faultvfsState.delivered); }
int snkv_fault_call(snkv_fault_kind kind) { return faultvfsHit(kind); }
int64_t snkv_fault_outstanding(void) { return atomic_load(&faultvfsState.outstanding); }

/* ---- Memory ---- */

static void faultvfsCount(void *p, int sign) {
  if (p != 0) atomic_fetch_add(&faultvfsState.outstanding, sign * faultvfsRealMem.xSize(p));
}

static void *faultvfsMalloc(int n) {
  void *p;
  if (faultvfsHit(SNKV_FAULT_MALLOC)) return 0;
  p = faultvfsRealMem.xMalloc(n);
  faultvfsCount(p, 1);
  return p;
}

static void faultvfsFree(void *p) {
  faultvfsCount(p, -1);
  faultvfsRealMem.xFree(p);
}

static void *faultvfsRealloc(void *p, int n) {
  void *grown;
  int before;
  if (faultvfsHit(SNKV_FAULT_MALLOC)) return 0;
  before = p == 0 ? 0 : faultvfsRealMem.xSize(p);
  grown = faultvfsRealMem.xRealloc(p, n);
  if (grown == 0) return 0;
  atomic_fetch_add(&faultvfsState.outstanding, faultvfsRealMem.xSize(grown) - before);
  return grown;
}

static int faultvfsInstallMemory(void) {
  sqlite3_mem_methods methods;
  int rc = sqlite3_config(SQLITE_CONFIG_GETMALLOC, &faultvfsRealMem);
  if (rc != SQLITE_OK) return rc;
  methods = faultvfsRealMem;
  methods.xMalloc = faultvfsMalloc;
  methods.xFree = faultvfsFree;
  methods.xRealloc = faultvfsRealloc;
  rc = sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
  /* Without slots for small blocks every allocation is one that can fail, and one that can leak. */
  if (rc == SQLITE_OK) rc = sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0);
  return rc;
}

/* ---- Files ---- */

typedef struct {
  sqlite3_file base;
  sqlite3_file *real; /* behind this struct */
  int wal;
} faultvfsFile;

static sqlite3_file *faultvfsReal(sqlite3_file *file) { return ((faultvfsFile *)file)->real; }
static sqlite3_vfs *faultvfsBelow(sqlite3_vfs *vfs) { return (sqlite3_vfs *)vfs->pAppData; }

static int faultvfsClose(sqlite3_file *file) {
  sqlite3_file *real = faultvfsReal(file);
  file->pMethods = 0;
  return real->pMethods == 0 ? SQLITE_OK : real->pMethods->xClose(real);
}

/* The code SHORT_READ means the end of the file, and the engine believes it: a page that is not there
** is all zeros, a journal that ends is complete. No system tells that about bytes that are there, so
** only a log ends early here; elsewhere the read stops half-way with an error. */
static int faultvfsRead(sqlite3_file *file, void *data, int size, sqlite3_int64 offset) {
  sqlite3_file *real = faultvfsReal(file);
  int rc;
  if (faultvfsHit(SNKV_FAULT_IO)) return SQLITE_IOERR_READ;
  rc = real->pMethods->xRead(real, data, size, offset);
  if (rc == SQLITE_OK && faultvfsHit(SNKV_FAULT_SHORT_READ)) {
    memset((char *)data + size / 2, 0, (size_t)(size - size / 2));
    return ((faultvfsFile *)file)->wal ? SQLITE_IOERR_SHORT_READ : SQLITE_IOERR_READ;
  }
  return rc;
}

static int faultvfsWrite(sqlite3_file *file, const void *data, int size, sqlite3_int64 offset) {
  sqlite3_file *real = faultvfsReal(file);
  int rc = SQLITE_OK;
  if (faultvfsHit(SNKV_FAULT_IO)) rc = SQLITE_IOERR_WRITE;
  if (faultvfsHit(SNKV_FAULT_FULL)) rc = SQLITE_FULL;
  if (rc == SQLITE_OK) return real->pMethods->xWrite(real, data, size, offset);
  if (snkv_fault_calls() % 2 == 0 && size > 1) {
    real->pMethods->xWrite(real, data, size / 2, offset);
  }
  return rc;
}

static int faultvfsTruncate(sqlite3_file *file, sqlite3_int64 size) {
  if (faultvfsHit(SNKV_FAULT_IO)) return SQLITE_IOERR_TRUNCATE;
  return faultvfsReal(file)->pMethods->xTruncate(faultvfsReal(file), size);
}

static int faultvfsSync(sqlite3_file *file, int flags) {
  if (faultvfsHit(SNKV_FAULT_IO) || faultvfsHit(SNKV_FAULT_SYNC)) return SQLITE_IOERR_FSYNC;
  return faultvfsReal(file)->pMethods->xSync(faultvfsReal(file), flags);
}

static int faultvfsFileSize(sqlite3_file *file, sqlite3_int64 *size) {
  if (faultvfsHit(SNKV_FAULT_IO)) return SQLITE_IOERR_FSTAT;
  return faultvfsReal(file)->pMethods->xFileSize(faultvfsReal(file), size);
}

static int faultvfsLock(sqlite3_file *file, int level) {
  if (faultvfsHit(SNKV_FAULT_IO)) return SQLITE_IOERR_LOCK;
  if (faultvfsHit(SNKV_FAULT_BUSY)) return SQLITE_BUSY;
  return faultvfsReal(file)->pMethods->xLock(faultvfsReal(file), level);
}

static int faultvfsUnlock(sqlite3_file *file, int level) {
  return faultvfsReal(file)->pMethods->xUnlock(faultvfsReal(file), level);
}

static int faultvfsCheckReservedLock(sqlite3_file *file, int *held) {
  if (faultvfsHit(SNKV_FAULT_IO)) return SQLITE_IOERR_CHECKRESERVEDLOCK;
  return faultvfsReal(file)->pMethods->xCheckReservedLock(faultvfsReal(file), held);
}

static int faultvfsFileControl(sqlite3_file *file, int op, void *arg) {
  return faultvfsReal(file)->pMethods->xFileControl(faultvfsReal(file), op, arg);
}
static int faultvfsSectorSize(sqlite3_file *file) {
  return faultvfsReal(file)->pMethods->xSectorSize(faultvfsReal(file));
}
static int faultvfsDeviceCharacteristics(sqlite3_file *file) {
  return faultvfsReal(file)->pMethods->xDeviceCharacteristics(faultvfsReal(file));
}

static int faultvfsShmMap(sqlite3_file *file, int region, int size, int extend,
                          void volatile **out) {
  if (faultvfsHit(SNKV_FAULT_IO) || faultvfsHit(SNKV_FAULT_SHM)) {
    *out = 0;
    return SQLITE_IOERR_SHMMAP;
  }
  return faultvfsReal(file)->pMethods->xShmMap(faultvfsReal(file), region, size, extend, out);
}

static int faultvfsShmLock(sqlite3_file *file, int offset, int n, int flags) {
  if (flags & SQLITE_SHM_LOCK) {
    if (faultvfsHit(SNKV_FAULT_IO) || faultvfsHit(SNKV_FAULT_SHM)) return SQLITE_IOERR_SHMLOCK;
    if (faultvfsHit(SNKV_FAULT_BUSY)) return SQLITE_BUSY;
  }
  return faultvfsReal(file)->pMethods->xShmLock(faultvfsReal(file), offset, n, flags);
}

static void faultvfsShmBarrier(sqlite3_file *file) {
  faultvfsReal(file)->pMethods->xShmBarrier(faultvfsReal(file));
}
static int faultvfsShmUnmap(sqlite3_file *file, int remove) {
  return faultvfsReal(file)->pMethods->xShmUnmap(faultvfsReal(file), remove);
}

static const sqlite3_io_methods faultvfsMethods = {
    2, /* iVersion: with shared memory, without mmap of the file */
    faultvfsClose,
    faultvfsRead,
    faultvfsWrite,
    faultvfsTruncate,
    faultvfsSync,
    faultvfsFileSize,
    faultvfsLock,
    faultvfsUnlock,
    faultvfsCheckReservedLock,
    faultvfsFileControl,
    faultvfsSectorSize,
    faultvfsDeviceCharacteristics,
    faultvfsShmMap,
    faultvfsShmLock,
    faultvfsShmBarrier,
    faultvfsShmUnmap,
    0,
    0};

/* ---- The VFS ---- */

static int faultvfsOpen(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags,
                        int *out_flags) {
  faultvfsFile *mine = (faultvfsFile *)file;
  sqlite3_vfs *below = faultvfsBelow(vfs);
  int rc;
  file->pMethods = 0;
  mine->real = (sqlite3_file *)(mine + 1);
  mine->wal = (flags & SQLITE_OPEN_WAL) != 0;
  mine->real->pMethods = 0;
  if (faultvfsHit(SNKV_FAULT_IO) || faultvfsHit(SNKV_FAULT_OPEN)) return SQLITE_CANTOPEN;
  rc = below->xOpen(below, name, mine->real, flags, out_flags);
  if (mine->real->pMethods != 0) file->pMethods = &faultvfsMethods;
  return rc;
}

static int faultvfsDelete(sqlite3_vfs *vfs, const char *name, int sync_folder) {
  int rc;
  if (faultvfsHit(SNKV_FAULT_IO)) return SQLITE_IOERR_DELETE;
  rc = faultvfsBelow(vfs)->xDelete(faultvfsBelow(vfs), name, sync_folder);
  /* The file is gone, only not for certain. */
  if (rc == SQLITE_OK && sync_folder && faultvfsHit(SNKV_FAULT_SYNC)) rc = SQLITE_IOERR_DIR_FSYNC;
  return rc;
}

static int faultvfsAccess(sqlite3_vfs *vfs, const char *name, int flags, int *out) {
  if (faultvfsHit(SNKV_FAULT_IO)) return SQLITE_IOERR_ACCESS;
  return faultvfsBelow(vfs)->xAccess(faultvfsBelow(vfs), name, flags, out);
}

static int faultvfsFullPathname(sqlite3_vfs *vfs, const char *name, int size, char *out) {
  if (faultvfsHit(SNKV_FAULT_IO)) return SQLITE_CANTOPEN;
  return faultvfsBelow(vfs)->xFullPathname(faultvfsBelow(vfs), name, size, out);
}

static int faultvfsRandomness(sqlite3_vfs *vfs, int size, char *out) {
  return faultvfsBelow(vfs)->xRandomness(faultvfsBelow(vfs), size, out);
}

/* Waiting for a lock that is only pretended to be taken would be a waste: time flies. */
static int faultvfsSleep(sqlite3_vfs *vfs, int microseconds) {
  if (atomic_load(&faultvfsState.kind) != SNKV_FAULT_NONE) return microseconds;
  return faultvfsBelow(vfs)->xSleep(faultvfsBelow(vfs), microseconds);
}

static int faultvfsCurrentTime(sqlite3_vfs *vfs, double *out) {
  return faultvfsBelow(vfs)->xCurrentTime(faultvfsBelow(vfs), out);
}
static int faultvfsCurrentTimeInt64(sqlite3_vfs *vfs, sqlite3_int64 *out) {
  return faultvfsBelow(vfs)->xCurrentTimeInt64(faultvfsBelow(vfs), out);
}
static int faultvfsGetLastError(sqlite3_vfs *vfs, int size, char *out) {
  return faultvfsBelow(vfs)->xGetLastError(faultvfsBelow(vfs), size, out);
}

static sqlite3_vfs faultvfsVfs = {
    2,
    0, /* szOsFile: with that of the VFS below */
    0, /* mxPathname */
    0,
    "snkv-fault",
    0, /* pAppData: the VFS below */
    faultvfsOpen,
    faultvfsDelete,
    faultvfsAccess,
    faultvfsFullPathname,
    0,
    0,
    0,
    0, /* xDlOpen, xDlError, xDlSym, xDlClose: never called */
    faultvfsRandomness,
    faultvfsSleep,
    faultvfsCurrentTime,
    faultvfsGetLastError,
    faultvfsCurrentTimeInt64,
    0,
    0,
    0};

int snkv_fault_install(void) {
  sqlite3_vfs *below;
  if (faultvfsInstallMemory() != SQLITE_OK || sqlite3_initialize() != SQLITE_OK) return 0;
  below = sqlite3_vfs_find(0);
  if (below == 0) return 0;
  faultvfsVfs.pAppData = below;
  faultvfsVfs.szOsFile = (int)sizeof(faultvfsFile) + below->szOsFile;
  faultvfsVfs.mxPathname = below->mxPathname;
  return sqlite3_vfs_register(&faultvfsVfs, 0) == SQLITE_OK;
}

/* What stores in files are opened with; NULL, which is the default, unless faults are installed. */
static const char *faultvfsName(void) { return faultvfsVfs.pAppData == 0 ? 0 : faultvfsVfs.zName; }
