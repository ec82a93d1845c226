/*
** The "snkv-memory" VFS: SQLite files that live in the memory of this process.
**
** Included by engine.c after sqlite3.c. It exists so that an in-memory store behaves like a store
** in a file: several connections open the same name, use the write-ahead log, read stable
** snapshots beside a writer, and run checkpoints. SQLite's own memory VFS has no shared memory
** methods, hence no WAL. The only entry point is memvfsRegister().
**
** Lifetime   A named main database "X" lives while at least one connection has it open. When the
**            last one closes, X and everything named "X-..." (WAL, journals) are freed. A file
**            without a name is private to its handle.
** Threads    Handles may be used from any threads, one thread at a time per handle, as SQLite does.
** Durability None by design: xSync does nothing.
**
** Locks, always taken in this order:
**   1. the registry mutex   the table of names, MemvfsNode.nOpen, .bLinked, .pOwner, .pAux
**   2. MemvfsNode.pMutex    writes, truncation, file locks, shared memory regions, list of handles
** Page reads and shared WAL-index locks take neither; see "Content" and "WAL-index locks" below.
*/
#include <stdatomic.h>

#ifndef SQLITE_OMIT_LOAD_EXTENSION
#error "memory_vfs.inc.c has no xDlOpen: build with SQLITE_OMIT_LOAD_EXTENSION"
#endif

#define MEMVFS_NAME "snkv-memory"
#define MEMVFS_MXPATH 512
#define MEMVFS_NBUCKET 64

/*
** Content is kept in chunks of 64 KiB, the largest page size, so that a page of a database never
** crosses a chunk. Chunk pointers sit in segments of doubling length: segment k describes
** MEMVFS_SEG0 << k chunks. A segment never moves once it is there, so growing a file copies
** nothing and does not disturb readers.
*/
#define MEMVFS_CHUNK 65536
#define MEMVFS_SEG0 16
#define MEMVFS_NSEG 24
#define MEMVFS_NCHUNK ((i64)MEMVFS_SEG0 * (((i64)1 << MEMVFS_NSEG) - 1))
#define MEMVFS_MXSIZE (MEMVFS_NCHUNK * MEMVFS_CHUNK)

/*
** SQLite may look a few bytes past the end of a fetched page when the page is corrupt, so every
** chunk has a margin that is ours to read.
*/
#define MEMVFS_MARGIN 256

/* Bytes of the database header that SQLite reads without holding a lock that covers them. */
#define MEMVFS_DBHEADER 100

/* WAL_CKPT_LOCK of wal.c: the slot whose owner may write the database file in WAL mode. */
#define MEMVFS_CKPT_MASK (1 << 1)

typedef struct MemvfsNode MemvfsNode;
typedef struct MemvfsFile MemvfsFile;
typedef _Atomic(u8*) MemvfsChunk;

/* One file. Shared by all handles on it. */
struct MemvfsNode {
  MemvfsNode* pNext;    /* Next in the bucket, or in a list of nodes to free */
  MemvfsNode* pOwner;   /* The main database this WAL or journal belongs to, or NULL */
  MemvfsNode* pAux;     /* Of a main database: its WAL and journals */
  MemvfsNode* pAuxNext; /* Next in pOwner->pAux */
  char* zName;          /* NULL for a private file */
  u32 uHash;            /* Hash of zName */
  int nOpen;            /* Handles */
  u8 bMain;             /* A main database */
  u8 bWal;              /* A write-ahead log */
  u8 bLinked;           /* Can be found by name */

  sqlite3_mutex* pMutex; /* NULL for a private file */
  MemvfsFile* pFiles;    /* Handles */
  int nShared;           /* Handles holding SHARED or more */
  MemvfsFile* pWriter;   /* The handle holding RESERVED or more */
  int nShmUser;          /* Handles that have mapped the shared memory */
  int nRegion;           /* Regions in apRegion[] */
  int szRegion;          /* Bytes in each region */
  void** apRegion;       /* The WAL-index; regions keep their address */

  u8 aPad1[64];       /* Keep what every page read looks at off the lines written above */
  _Atomic(i64) nSize; /* Size of the file; changed under pMutex only */
  _Atomic(MemvfsChunk*) apSeg[MEMVFS_NSEG];
  i64 nChunk; /* All chunks at or above this index are absent */

  u8 aPad2[64];
  atomic_uint mShmExcl; /* WAL-index slots locked exclusively, one bit each */
  atomic_uint uBarrier; /* Counts what memvfsPublish() announced */
};

/* One open handle; SQLite allocates szOsFile bytes for it. */
struct MemvfsFile {
  sqlite3_file base;
  MemvfsNode* pNode;
  MemvfsFile* pNext;      /* Next in pNode->pFiles */
  i64 mxMap;              /* Limit of xFetch, see PRAGMA mmap_size */
  atomic_int nPin;        /* Reads under way and pages fetched: chunks must stay */
  atomic_uint mShmShared; /* WAL-index slots held shared, one bit each */
  u16 mShmExcl;           /* Those held exclusively; changed under pMutex only */
  u8 eLock;               /* SQLITE_LOCK_NONE .. SQLITE_LOCK_EXCLUSIVE */
  u8 bReadOnly;
  u8 bPersistWal;
  u8 bShm; /* Counted in pNode->nShmUser */
};

static MemvfsNode* memvfsTable[MEMVFS_NBUCKET];

/*
** The mutex of the table of names. SQLite sets this static mutex aside for VFSes of the
** application, and its functions called with it held take none but their own.
*/
static sqlite3_mutex* memvfsRegistry(void) { return sqlite3MutexAlloc(SQLITE_MUTEX_STATIC_VFS3); }

/* ------------------------------------------------------------------------------------------------
** Content
**
** A writer works under pMutex. It fills chunks first, publishes them with release, and stores the
** new size last. A reader takes no mutex: it pins its handle, loads the size and reads below it.
** SQLite's locks keep it away from bytes that are being written.
**
** Truncation may free chunks although SQLite would allow a read that began with the old size. It
** stores the new size and then looks at the pin of every handle, while a reader pins and then
** loads the size. All four are sequentially consistent: either the reader sees the new size and
** stays below it, or truncation sees the pin and keeps the chunks for the next time.
*/

/*
** Publish what this thread wrote, before it stores a hint that the writing is done. SQLite keeps
** such hints in the WAL-index and relies on fences. The counter says the same in terms of C11:
** who sees the hint and then passes memvfsObserve() sees all that was written before.
*/
static void memvfsPublish(MemvfsNode* pNode) {
  atomic_fetch_add(&pNode->uBarrier, 1);
  sqlite3MemoryBarrier();
}

/* The other side. It only loads, so that readers do not contend for the counter. */
static void memvfsObserve(MemvfsNode* pNode) {
  sqlite3MemoryBarrier();
  (void)atomic_load(&pNode->uBarrier);
}

/* Find where the pointer of chunk iChunk is kept. Return NULL if its segment does not exist. */
static MemvfsChunk* memvfsSlot(MemvfsNode* pNode, i64 iChunk, int* piSeg) {
  u64 n = (u64)iChunk / MEMVFS_SEG0 + 1;
  int iSeg = 0;
  MemvfsChunk* aSeg;
  assert(iChunk >= 0 && iChunk < MEMVFS_NCHUNK);
  while (n >> (iSeg + 1)) iSeg++;
  if (piSeg) *piSeg = iSeg;
  aSeg = atomic_load_explicit(&pNode->apSeg[iSeg], memory_order_acquire);
  if (aSeg == 0) return 0;
  return &aSeg[iChunk - MEMVFS_SEG0 * (((i64)1 << iSeg) - 1)];
}

/* The content of chunk iChunk, or NULL where the file has a hole, which reads as zeros. */
static u8* memvfsChunk(MemvfsNode* pNode, i64 iChunk) {
  MemvfsChunk* pSlot = memvfsSlot(pNode, iChunk, 0);
  return pSlot ? atomic_load_explicit(pSlot, memory_order_acquire) : 0;
}

/* Make segment iSeg exist. */
static int memvfsAddSegment(MemvfsNode* pNode, int iSeg) {
  i64 i, n = (i64)MEMVFS_SEG0 << iSeg;
  MemvfsChunk* aSeg = sqlite3_malloc64((u64)n * sizeof(MemvfsChunk));
  if (aSeg == 0) return SQLITE_IOERR_NOMEM_BKPT;
  for (i = 0; i < n; i++) atomic_init(&aSeg[i], (u8*)0);
  atomic_store_explicit(&pNode->apSeg[iSeg], aSeg, memory_order_release);
  return SQLITE_OK;
}

/* Make chunk iChunk exist. It is zeroed because part of it may become a hole of the file. */
static int memvfsAddChunk(MemvfsNode* pNode, i64 iChunk) {
  int iSeg;
  u8* aChunk;
  MemvfsChunk* pSlot = memvfsSlot(pNode, iChunk, &iSeg);
  assert(sqlite3_mutex_held(pNode->pMutex));
  if (pSlot == 0) {
    int rc = memvfsAddSegment(pNode, iSeg);
    if (rc) return rc;
    pSlot = memvfsSlot(pNode, iChunk, 0);
  }
  if (atomic_load_explicit(pSlot, memory_order_relaxed)) return SQLITE_OK;
  aChunk = sqlite3_malloc64(MEMVFS_CHUNK + MEMVFS_MARGIN);
  if (aChunk == 0) return SQLITE_IOERR_NOMEM_BKPT;
  memset(aChunk, 0, MEMVFS_CHUNK + MEMVFS_MARGIN);
  atomic_store_explicit(pSlot, aChunk, memory_order_release);
  if (iChunk >= pNode->nChunk) pNode->nChunk = iChunk + 1;
  return SQLITE_OK;
}

/* How much of [iOff, iEnd) lies in the chunk that holds iOff. */
static size_t memvfsSpan(i64 iOff, i64 iEnd) {
  i64 n = MEMVFS_CHUNK - iOff % MEMVFS_CHUNK;
  return (size_t)(n < iEnd - iOff ? n : iEnd - iOff);
}

static void memvfsCopyOut(MemvfsNode* pNode, i64 iOff, i64 iEnd, u8* aOut) {
  while (iOff < iEnd) {
    size_t n = memvfsSpan(iOff, iEnd);
    u8* aChunk = memvfsChunk(pNode, iOff / MEMVFS_CHUNK);
    if (aChunk) {
      memcpy(aOut, &aChunk[iOff % MEMVFS_CHUNK], n);
    } else {
      memset(aOut, 0, n);
    }
    aOut += n;
    iOff += (i64)n;
  }
}

static void memvfsCopyIn(MemvfsNode* pNode, i64 iOff, i64 iEnd, const u8* aIn) {
  while (iOff < iEnd) {
    size_t n = memvfsSpan(iOff, iEnd);
    memcpy(&memvfsChunk(pNode, iOff / MEMVFS_CHUNK)[iOff % MEMVFS_CHUNK], aIn, n);
    aIn += n;
    iOff += (i64)n;
  }
}

/* Zero the bytes of [iOff, iEnd) that exist: what truncation left behind must not come back. */
static void memvfsZero(MemvfsNode* pNode, i64 iOff, i64 iEnd) {
  if (iEnd > pNode->nChunk * MEMVFS_CHUNK) iEnd = pNode->nChunk * MEMVFS_CHUNK;
  while (iOff < iEnd) {
    size_t n = memvfsSpan(iOff, iEnd);
    u8* aChunk = memvfsChunk(pNode, iOff / MEMVFS_CHUNK);
    if (aChunk) memset(&aChunk[iOff % MEMVFS_CHUNK], 0, n);
    iOff += (i64)n;
  }
}

/* Free the chunks from iFirst on. */
static void memvfsDropChunks(MemvfsNode* pNode, i64 iFirst) {
  while (pNode->nChunk > iFirst) {
    MemvfsChunk* pSlot = memvfsSlot(pNode, --pNode->nChunk, 0);
    if (pSlot) {
      sqlite3_free(atomic_load_explicit(pSlot, memory_order_relaxed));
      atomic_store_explicit(pSlot, (u8*)0, memory_order_relaxed);
    }
  }
}

/*
** Free chunks above the end of the file unless a handle is reading. The first segment stays: a
** journal or WAL that is emptied after each use would otherwise allocate again for each use.
*/
static void memvfsTrim(MemvfsNode* pNode, i64 nSize) {
  MemvfsFile* p;
  i64 iFirst = (nSize + MEMVFS_CHUNK - 1) / MEMVFS_CHUNK;
  if (iFirst < MEMVFS_SEG0) iFirst = MEMVFS_SEG0;
  if (pNode->nChunk <= iFirst) return;
  for (p = pNode->pFiles; p; p = p->pNext) {
    if (atomic_load(&p->nPin)) return;
  }
  memvfsDropChunks(pNode, iFirst);
}

/* ------------------------------------------------------------------------------------------------
** Nodes and names
*/

static u32 memvfsHash(const char* z, size_t n) {
  u32 h = 2166136261u;
  while (n--) h = (h ^ (u8)*z++) * 16777619u;
  return h;
}

/* Free a node that has no handle and no name. */
static void memvfsFreeNode(MemvfsNode* pNode) {
  int i;
  assert(pNode->nOpen == 0 && pNode->bLinked == 0 && pNode->pFiles == 0 && pNode->pAux == 0);
  assert(pNode->nShared == 0 && pNode->pWriter == 0 && pNode->nShmUser == 0 && pNode->nRegion == 0);
  memvfsDropChunks(pNode, 0);
  for (i = 0; i < MEMVFS_NSEG; i++) {
    sqlite3_free(atomic_load_explicit(&pNode->apSeg[i], memory_order_relaxed));
  }
  sqlite3_mutex_free(pNode->pMutex);
  sqlite3_free(pNode);
}

/* Make a node with no handle; nName==0 asks for a private file. */
static MemvfsNode* memvfsNewNode(const char* zName, size_t nName) {
  int i;
  MemvfsNode* pNode = sqlite3MallocZero(sizeof(MemvfsNode) + nName + 1);
  if (pNode == 0) return 0;
  atomic_init(&pNode->nSize, 0);
  atomic_init(&pNode->uBarrier, 0);
  atomic_init(&pNode->mShmExcl, 0);
  for (i = 0; i < MEMVFS_NSEG; i++) atomic_init(&pNode->apSeg[i], (MemvfsChunk*)0);
  if (nName == 0) return pNode;

  pNode->zName = (char*)&pNode[1];
  memcpy(pNode->zName, zName, nName);
  pNode->uHash = memvfsHash(zName, nName);
  pNode->pMutex = sqlite3MutexAlloc(SQLITE_MUTEX_FAST);
  if (pNode->pMutex == 0 && sqlite3GlobalConfig.bCoreMutex) {
    memvfsFreeNode(pNode);
    return 0;
  }
  return pNode;
}

/* The node named by the first nName bytes of zName, or NULL. */
static MemvfsNode* memvfsFind(const char* zName, size_t nName) {
  u32 h = memvfsHash(zName, nName);
  MemvfsNode* p;
  assert(sqlite3_mutex_held(memvfsRegistry()));
  for (p = memvfsTable[h % MEMVFS_NBUCKET]; p; p = p->pNext) {
    if (p->uHash == h && strncmp(p->zName, zName, nName) == 0 && p->zName[nName] == 0) return p;
  }
  return 0;
}

/* The main database that the journal or WAL zName belongs to: SQLite appends "-something". */
static MemvfsNode* memvfsFindOwner(const char* zName) {
  const char* zDash = strrchr(zName, '-');
  MemvfsNode* pOwner = zDash ? memvfsFind(zName, (size_t)(zDash - zName)) : 0;
  return pOwner && pOwner->bMain ? pOwner : 0;
}

/* Give a new node its name. */
static void memvfsLink(MemvfsNode* pNode) {
  MemvfsNode** ppHead = &memvfsTable[pNode->uHash % MEMVFS_NBUCKET];
  pNode->pNext = *ppHead;
  *ppHead = pNode;
  pNode->bLinked = 1;
  if (pNode->bMain == 0 && (pNode->pOwner = memvfsFindOwner(pNode->zName)) != 0) {
    pNode->pAuxNext = pNode->pOwner->pAux;
    pNode->pOwner->pAux = pNode;
  }
}

/* Take the name away. Handles keep the content, as with an unlinked file. */
static void memvfsUnlink(MemvfsNode* pNode) {
  MemvfsNode** pp = &memvfsTable[pNode->uHash % MEMVFS_NBUCKET];
  assert(sqlite3_mutex_held(memvfsRegistry()));
  assert(pNode->bLinked);
  while (*pp != pNode) pp = &(*pp)->pNext;
  *pp = pNode->pNext;
  if (pNode->pOwner) {
    for (pp = &pNode->pOwner->pAux; *pp != pNode; pp = &(*pp)->pAuxNext) {
    }
    *pp = pNode->pAuxNext;
  }
  pNode->pNext = pNode->pAuxNext = pNode->pOwner = 0;
  pNode->bLinked = 0;
}

/* Find or make the file zName as the open flags ask, and count a handle on it. */
static int memvfsAcquire(const char* zName, int flags, MemvfsNode** ppNode) {
  size_t nName = strlen(zName);
  u8 bMain = (flags & SQLITE_OPEN_MAIN_DB) != 0;
  MemvfsNode* pNode = memvfsFind(zName, nName);
  if (pNode) {
    /* A database whose name looks like the journal of another must not be taken for it. */
    if (pNode->bMain != bMain) return SQLITE_CANTOPEN_BKPT;
    if ((flags & SQLITE_OPEN_CREATE) && (flags & SQLITE_OPEN_EXCLUSIVE)) {
      return SQLITE_CANTOPEN_BKPT;
    }
  } else {
    if ((flags & SQLITE_OPEN_CREATE) == 0 || nName > MEMVFS_MXPATH) return SQLITE_CANTOPEN_BKPT;
    pNode = memvfsNewNode(zName, nName);
    if (pNode == 0) return SQLITE_NOMEM_BKPT;
    pNode->bMain = bMain;
    pNode->bWal = (flags & SQLITE_OPEN_WAL) != 0;
    memvfsLink(pNode);
  }
  pNode->nOpen++;
  *ppNode = pNode;
  return SQLITE_OK;
}

/* Free a list of nodes. Done without the registry mutex, because it may take a while. */
static void memvfsFreeList(MemvfsNode* pList) {
  while (pList) {
    MemvfsNode* pNext = pList->pNext;
    memvfsFreeNode(pList);
    pList = pNext;
  }
}

/*
** Uncount a handle. The last handle of a main database takes the WAL and the journals with it.
** They stay when only their own last handle closes, unless there is no database to outlive.
*/
static void memvfsRelease(MemvfsNode* pNode) {
  MemvfsNode* pFree = 0;
  sqlite3_mutex* pRegistry = memvfsRegistry();
  sqlite3_mutex_enter(pRegistry);
  assert(pNode->nOpen > 0);
  if (--pNode->nOpen == 0) {
    MemvfsNode* pAux;
    while ((pAux = pNode->pAux) != 0) {
      memvfsUnlink(pAux);
      if (pAux->nOpen == 0) {
        pAux->pNext = pFree;
        pFree = pAux;
      }
    }
    if (pNode->bLinked && pNode->pOwner == 0) memvfsUnlink(pNode);
    if (pNode->bLinked == 0) {
      pNode->pNext = pFree;
      pFree = pNode;
    }
  }
  sqlite3_mutex_leave(pRegistry);
  memvfsFreeList(pFree);
}

/* ------------------------------------------------------------------------------------------------
** File methods: content
*/

/*
** True if a read needs pMutex because SQLite performs it without a lock that keeps writers away:
** the header of a database before the connection has joined the WAL (it does not know yet that
** there is one), and journals, which a connection peeks at to find out whether they are hot.
*/
static int memvfsReadIsRacy(const MemvfsFile* p, i64 iOff) {
  if (p->pNode->bWal) return 0;
  return p->pNode->bMain == 0 || (p->bShm == 0 && iOff < MEMVFS_DBHEADER);
}

static int memvfsRead(sqlite3_file* pFd, void* pBuf, int nAmt, sqlite3_int64 iOff) {
  MemvfsFile* p = (MemvfsFile*)pFd;
  sqlite3_mutex* pMutex = memvfsReadIsRacy(p, iOff) ? p->pNode->pMutex : 0;
  i64 nSize, nRead;
  if (iOff < 0 || nAmt < 0) return SQLITE_IOERR_READ;
  sqlite3_mutex_enter(pMutex);
  atomic_fetch_add(&p->nPin, 1);
  nSize = atomic_load(&p->pNode->nSize);
  nRead = iOff >= nSize ? 0 : (nSize - iOff < nAmt ? nSize - iOff : nAmt);
  memvfsCopyOut(p->pNode, iOff, iOff + nRead, pBuf);
  atomic_fetch_sub(&p->nPin, 1);
  sqlite3_mutex_leave(pMutex);
  if (nRead == nAmt) return SQLITE_OK;
  memset((u8*)pBuf + nRead, 0, (size_t)(nAmt - nRead));
  return SQLITE_IOERR_SHORT_READ;
}

/* Write with pMutex held. On failure the content and the size are as before. */
static int memvfsWriteLocked(MemvfsNode* pNode, const u8* aBuf, i64 iOff, i64 iEnd) {
  i64 i, nSize = atomic_load_explicit(&pNode->nSize, memory_order_relaxed);
  if (iOff == iEnd) return SQLITE_OK;
  for (i = iOff / MEMVFS_CHUNK; i <= (iEnd - 1) / MEMVFS_CHUNK; i++) {
    int rc = memvfsAddChunk(pNode, i);
    if (rc) return rc;
  }
  memvfsZero(pNode, nSize, iOff);
  memvfsCopyIn(pNode, iOff, iEnd, aBuf);
  if (iEnd > nSize) atomic_store(&pNode->nSize, iEnd);
  return SQLITE_OK;
}

/*
** The database file changes under an EXCLUSIVE lock, or under the checkpoint lock in WAL mode.
** (A connection opened with the URI parameter nolock=1 has neither and is not supported.)
*/
#define memvfsMayWrite(p)                                           \
  ((p)->pNode->bMain == 0 || (p)->eLock == SQLITE_LOCK_EXCLUSIVE || \
   ((p)->mShmExcl & MEMVFS_CKPT_MASK))

static int memvfsWrite(sqlite3_file* pFd, const void* pBuf, int nAmt, sqlite3_int64 iOff) {
  MemvfsFile* p = (MemvfsFile*)pFd;
  int rc;
  if (p->bReadOnly || iOff < 0 || nAmt < 0) return SQLITE_IOERR_WRITE;
  if (iOff > MEMVFS_MXSIZE - nAmt) return SQLITE_FULL;
  assert(memvfsMayWrite(p));
  sqlite3_mutex_enter(p->pNode->pMutex);
  rc = memvfsWriteLocked(p->pNode, pBuf, iOff, iOff + nAmt);
  sqlite3_mutex_leave(p->pNode->pMutex);
  /*
  ** After a checkpoint SQLite announces the pages in the WAL-index by a relaxed store, because the
  ** system calls that write a file order things anyway. Readers have a barrier after their load.
  */
  if (p->pNode->bMain) memvfsPublish(p->pNode);
  return rc;
}

static int memvfsTruncate(sqlite3_file* pFd, sqlite3_int64 nSize) {
  MemvfsFile* p = (MemvfsFile*)pFd;
  MemvfsNode* pNode = p->pNode;
  if (p->bReadOnly || nSize < 0) return SQLITE_IOERR_TRUNCATE;
  if (nSize > MEMVFS_MXSIZE) return SQLITE_FULL;
  assert(memvfsMayWrite(p));
  sqlite3_mutex_enter(pNode->pMutex);
  memvfsZero(pNode, atomic_load_explicit(&pNode->nSize, memory_order_relaxed), nSize);
  atomic_store(&pNode->nSize, nSize);
  memvfsTrim(pNode, nSize);
  sqlite3_mutex_leave(pNode->pMutex);
  return SQLITE_OK;
}

static int memvfsSync(sqlite3_file* pFd, int flags) {
  UNUSED_PARAMETER2(pFd, flags);
  return SQLITE_OK;
}

static int memvfsFileSize(sqlite3_file* pFd, sqlite3_int64* pnSize) {
  *pnSize = atomic_load(&((MemvfsFile*)pFd)->pNode->nSize);
  return SQLITE_OK;
}

/*
** Hand out a page in place. The pin keeps truncation from freeing it until xUnfetch; its bytes
** are as stable as those of a mapped file, which is what SQLite's locks are made for.
*/
static int memvfsFetch(sqlite3_file* pFd, sqlite3_int64 iOff, int nAmt, void** pp) {
  MemvfsFile* p = (MemvfsFile*)pFd;
  u8* aChunk = 0;
  *pp = 0;
  if (iOff < 0 || nAmt <= 0 || iOff > p->mxMap - nAmt) return SQLITE_OK;
  if (iOff / MEMVFS_CHUNK != (iOff + nAmt - 1) / MEMVFS_CHUNK) return SQLITE_OK;
  atomic_fetch_add(&p->nPin, 1);
  if (iOff + nAmt <= atomic_load(&p->pNode->nSize)) {
    aChunk = memvfsChunk(p->pNode, iOff / MEMVFS_CHUNK);
  }
  if (aChunk) {
    *pp = &aChunk[iOff % MEMVFS_CHUNK];
  } else {
    atomic_fetch_sub(&p->nPin, 1);
  }
  return SQLITE_OK;
}

/* Give a fetched page back. NULL means "forget your mapping"; there is none to forget. */
static int memvfsUnfetch(sqlite3_file* pFd, sqlite3_int64 iOff, void* pPage) {
  MemvfsFile* p = (MemvfsFile*)pFd;
  UNUSED_PARAMETER(iOff);
  assert((pPage == 0) == (atomic_load(&p->nPin) == 0));
  if (pPage) atomic_fetch_sub(&p->nPin, 1);
  return SQLITE_OK;
}

/* ------------------------------------------------------------------------------------------------
** File methods: locks of the database file
*/

/* Recount the locks of all handles and compare with what the node says. For assert() only. */
#ifdef SQLITE_DEBUG
static int memvfsLocksAgree(MemvfsNode* pNode) {
  MemvfsFile* p;
  int nShared = 0;
  for (p = pNode->pFiles; p; p = p->pNext) {
    if (p->eLock >= SQLITE_LOCK_SHARED) nShared++;
    assert((p->eLock >= SQLITE_LOCK_RESERVED) == (p == pNode->pWriter));
    assert(p->eLock != SQLITE_LOCK_EXCLUSIVE || pNode->nShared == 1);
  }
  return nShared == pNode->nShared;
}
#endif

/* Try to get lock eLock with pMutex held. */
static int memvfsLockLocked(MemvfsFile* p, int eLock) {
  MemvfsNode* pNode = p->pNode;
  MemvfsFile* pWriter = pNode->pWriter;
  if (eLock == SQLITE_LOCK_SHARED) {
    /* PENDING and EXCLUSIVE admit no new readers. */
    if (pWriter && pWriter->eLock >= SQLITE_LOCK_PENDING) return SQLITE_BUSY;
    pNode->nShared++;
    p->eLock = SQLITE_LOCK_SHARED;
    return SQLITE_OK;
  }
  if (pWriter && pWriter != p) return SQLITE_BUSY;
  if (eLock == SQLITE_LOCK_EXCLUSIVE && pNode->nShared > 1) {
    /*
    ** A writer waits as PENDING so that readers drain. A connection that comes straight from
    ** SHARED, to roll back a hot journal or to close a WAL, must not look like a writer.
    */
    if (p->eLock == SQLITE_LOCK_RESERVED) p->eLock = SQLITE_LOCK_PENDING;
    return SQLITE_BUSY;
  }
  pNode->pWriter = p;
  p->eLock = (u8)eLock;
  return SQLITE_OK;
}

static int memvfsLock(sqlite3_file* pFd, int eLock) {
  MemvfsFile* p = (MemvfsFile*)pFd;
  int rc;
  if (p->eLock >= eLock) return SQLITE_OK;
  assert(eLock != SQLITE_LOCK_PENDING);
  assert(eLock == SQLITE_LOCK_SHARED || p->eLock >= SQLITE_LOCK_SHARED);
  assert(eLock != SQLITE_LOCK_RESERVED || p->eLock == SQLITE_LOCK_SHARED);
  sqlite3_mutex_enter(p->pNode->pMutex);
  rc = memvfsLockLocked(p, eLock);
  assert(memvfsLocksAgree(p->pNode));
  sqlite3_mutex_leave(p->pNode->pMutex);
  return rc;
}

static int memvfsUnlock(sqlite3_file* pFd, int eLock) {
  MemvfsFile* p = (MemvfsFile*)pFd;
  MemvfsNode* pNode = p->pNode;
  assert(eLock == SQLITE_LOCK_NONE || eLock == SQLITE_LOCK_SHARED);
  if (p->eLock <= eLock) return SQLITE_OK;
  sqlite3_mutex_enter(pNode->pMutex);
  if (p->eLock >= SQLITE_LOCK_RESERVED) {
    assert(pNode->pWriter == p);
    pNode->pWriter = 0;
  }
  if (eLock == SQLITE_LOCK_NONE) pNode->nShared--;
  p->eLock = (u8)eLock;
  assert(memvfsLocksAgree(pNode));
  sqlite3_mutex_leave(pNode->pMutex);
  return SQLITE_OK;
}

static int memvfsCheckReservedLock(sqlite3_file* pFd, int* pbReserved) {
  MemvfsNode* pNode = ((MemvfsFile*)pFd)->pNode;
  sqlite3_mutex_enter(pNode->pMutex);
  *pbReserved = pNode->pWriter != 0;
  sqlite3_mutex_leave(pNode->pMutex);
  return SQLITE_OK;
}

/* ------------------------------------------------------------------------------------------------
** WAL-index: shared memory regions
*/

/* Make regions up to and including iRegion exist. Those already there do not move. */
static int memvfsShmGrow(MemvfsNode* pNode, int iRegion, int szRegion) {
  void** apNew = sqlite3_realloc64(pNode->apRegion, ((u64)iRegion + 1) * sizeof(void*));
  if (apNew == 0) return SQLITE_IOERR_NOMEM_BKPT;
  pNode->apRegion = apNew;
  pNode->szRegion = szRegion;
  while (pNode->nRegion <= iRegion) {
    void* pRegion = sqlite3MallocZero((u64)szRegion);
    if (pRegion == 0) return SQLITE_IOERR_NOMEM_BKPT;
    apNew[pNode->nRegion++] = pRegion;
  }
  return SQLITE_OK;
}

static int memvfsShmMap(sqlite3_file* pFd, int iRegion, int szRegion, int bExtend,
                        void volatile** pp) {
  MemvfsFile* p = (MemvfsFile*)pFd;
  MemvfsNode* pNode = p->pNode;
  int rc = SQLITE_OK;
  *pp = 0;
  if (pNode->bMain == 0 || iRegion < 0 || szRegion <= 0) return SQLITE_IOERR_SHMMAP;
  sqlite3_mutex_enter(pNode->pMutex);
  assert(pNode->nRegion == 0 || pNode->szRegion == szRegion);
  if (p->bShm == 0) {
    p->bShm = 1;
    pNode->nShmUser++;
  }
  if (iRegion >= pNode->nRegion && bExtend) rc = memvfsShmGrow(pNode, iRegion, szRegion);
  if (iRegion < pNode->nRegion) *pp = pNode->apRegion[iRegion];
  sqlite3_mutex_leave(pNode->pMutex);
  return rc;
}

static void memvfsShmFree(MemvfsNode* pNode) {
  assert(sqlite3_mutex_held(pNode->pMutex));
  while (pNode->nRegion > 0) sqlite3_free(pNode->apRegion[--pNode->nRegion]);
  sqlite3_free(pNode->apRegion);
  pNode->apRegion = 0;
}

/* ------------------------------------------------------------------------------------------------
** WAL-index locks
**
** Each read transaction takes and drops a shared lock, and readers should not slow each other
** down. So a shared lock is a bit in the handle itself: a reader sets its bit and then looks at
** the exclusive bits of the node. Who wants a slot exclusively works under pMutex, sets the bits of
** the node and then looks at the bits of every handle. As these four are sequentially consistent,
** at least one of two rivals sees the other and steps back. If both do, both report SQLITE_BUSY;
** SQLite retries or passes it on, as it must whenever a lock is held for a moment.
*/

#ifdef SQLITE_DEBUG
/* Recount the exclusive locks of all handles and compare with the node. For assert() only. */
static int memvfsShmLocksAgree(MemvfsNode* pNode) {
  MemvfsFile* p;
  unsigned m = 0;
  for (p = pNode->pFiles; p; p = p->pNext) {
    assert((m & p->mShmExcl) == 0);
    assert(p->mShmExcl == 0 || p->bShm);
    m |= p->mShmExcl;
  }
  return m == atomic_load(&pNode->mShmExcl);
}
#endif

static int memvfsShmLockShared(MemvfsFile* p, unsigned m) {
  if (atomic_load_explicit(&p->mShmShared, memory_order_relaxed) & m) return SQLITE_OK;
  atomic_fetch_or(&p->mShmShared, m);
  if (atomic_load(&p->pNode->mShmExcl) & m) {
    atomic_fetch_and(&p->mShmShared, ~m);
    return SQLITE_BUSY;
  }
  return SQLITE_OK;
}

/*
** True if some handle shares a slot of m. All handles are looked at even when m is about one slot:
** a checkpointer about to write the database counts on readers that have gone also where it does
** not lock their slot, because it saw their read mark. This orders their reads before it.
*/
static int memvfsShmIsShared(MemvfsNode* pNode, unsigned m) {
  MemvfsFile* p;
  unsigned mShared = 0;
  for (p = pNode->pFiles; p; p = p->pNext) mShared |= atomic_load(&p->mShmShared);
  return (mShared & m) != 0;
}

static int memvfsShmLockExcl(MemvfsFile* p, unsigned m) {
  MemvfsNode* pNode = p->pNode;
  int rc = SQLITE_BUSY;
  sqlite3_mutex_enter(pNode->pMutex);
  /* Look before setting anything, so that a hopeless attempt disturbs nobody. */
  if ((atomic_load(&pNode->mShmExcl) & m) == 0 && !memvfsShmIsShared(pNode, m)) {
    atomic_fetch_or(&pNode->mShmExcl, m);
    if (memvfsShmIsShared(pNode, m)) {
      atomic_fetch_and(&pNode->mShmExcl, ~m);
    } else {
      p->mShmExcl |= (u16)m;
      rc = SQLITE_OK;
    }
  }
  assert(memvfsShmLocksAgree(pNode));
  sqlite3_mutex_leave(pNode->pMutex);
  return rc;
}

/* Drop what the handle holds of m, in either mode. */
static void memvfsShmUnlock(MemvfsFile* p, unsigned m) {
  MemvfsNode* pNode = p->pNode;
  unsigned mExcl = p->mShmExcl & m;
  atomic_fetch_and(&p->mShmShared, ~m);
  if (mExcl == 0) return;
  sqlite3_mutex_enter(pNode->pMutex);
  p->mShmExcl &= (u16)~mExcl;
  atomic_fetch_and(&pNode->mShmExcl, ~mExcl);
  assert(memvfsShmLocksAgree(pNode));
  sqlite3_mutex_leave(pNode->pMutex);
}

static int memvfsShmLock(sqlite3_file* pFd, int iFirst, int n, int flags) {
  MemvfsFile* p = (MemvfsFile*)pFd;
  unsigned m = (1u << (iFirst + n)) - (1u << iFirst);
  assert(iFirst >= 0 && n >= 1 && iFirst + n <= SQLITE_SHM_NLOCK);
  assert(n == 1 || (flags & SQLITE_SHM_EXCLUSIVE) != 0);
  assert((atomic_load(&p->mShmShared) & p->mShmExcl) == 0);
  if (p->bShm == 0) return SQLITE_IOERR_SHMLOCK;
  switch (flags) {
    case SQLITE_SHM_LOCK | SQLITE_SHM_SHARED:
      return memvfsShmLockShared(p, m);
    case SQLITE_SHM_LOCK | SQLITE_SHM_EXCLUSIVE:
      assert(((atomic_load(&p->mShmShared) | p->mShmExcl) & m) == 0);
      return memvfsShmLockExcl(p, m);
    case SQLITE_SHM_UNLOCK | SQLITE_SHM_SHARED:
      assert((p->mShmExcl & m) == 0);
      break;
    case SQLITE_SHM_UNLOCK | SQLITE_SHM_EXCLUSIVE:
      assert((atomic_load(&p->mShmShared) & m) == 0);
      break;
    default:
      assert(!"unknown xShmLock flags");
      return SQLITE_IOERR_SHMLOCK;
  }
  memvfsShmUnlock(p, m);
  return SQLITE_OK;
}

/* SQLite writes the WAL-index under an exclusive lock only; without one the caller is a reader. */
static void memvfsShmBarrier(sqlite3_file* pFd) {
  MemvfsFile* p = (MemvfsFile*)pFd;
  if (p->mShmExcl || p->eLock > SQLITE_LOCK_SHARED) memvfsPublish(p->pNode);
  memvfsObserve(p->pNode);
}

/* Leave the shared memory; the last one frees it. Deleting is the same, as nothing is on disk. */
static int memvfsShmUnmap(sqlite3_file* pFd, int bDelete) {
  MemvfsFile* p = (MemvfsFile*)pFd;
  MemvfsNode* pNode = p->pNode;
  UNUSED_PARAMETER(bDelete);
  if (p->bShm == 0) return SQLITE_OK;
  assert(atomic_load(&p->mShmShared) == 0 && p->mShmExcl == 0);
  memvfsShmUnlock(p, (1u << SQLITE_SHM_NLOCK) - 1);
  sqlite3_mutex_enter(pNode->pMutex);
  p->bShm = 0;
  assert(pNode->nShmUser > 0);
  if (--pNode->nShmUser == 0) {
    assert(atomic_load(&pNode->mShmExcl) == 0 && !memvfsShmIsShared(pNode, ~0u));
    memvfsShmFree(pNode);
  }
  sqlite3_mutex_leave(pNode->pMutex);
  return SQLITE_OK;
}

/* ------------------------------------------------------------------------------------------------
** File methods: the rest
*/

/* Set a flag and report it; a negative argument only reports. */
static void memvfsFlagControl(u8* pbFlag, int* piArg) {
  if (*piArg < 0) {
    *piArg = *pbFlag;
  } else {
    *pbFlag = *piArg != 0;
  }
}

static int memvfsMmapControl(MemvfsFile* p, i64* pnLimit) {
  i64 nNew = *pnLimit;
  *pnLimit = p->mxMap;
  if (nNew > sqlite3GlobalConfig.mxMmap) nNew = sqlite3GlobalConfig.mxMmap;
  if (nNew >= 0) p->mxMap = nNew;
  return SQLITE_OK;
}

static int memvfsFileControl(sqlite3_file* pFd, int op, void* pArg) {
  MemvfsFile* p = (MemvfsFile*)pFd;
  switch (op) {
    case SQLITE_FCNTL_LOCKSTATE:
      *(int*)pArg = p->eLock;
      return SQLITE_OK;
    case SQLITE_FCNTL_LAST_ERRNO:
    case SQLITE_FCNTL_HAS_MOVED:       /* A main database keeps its name while it is open */
    case SQLITE_FCNTL_EXTERNAL_READER: /* Other processes cannot come here */
      *(int*)pArg = 0;
      return SQLITE_OK;
    case SQLITE_FCNTL_SIZE_HINT:
    case SQLITE_FCNTL_CHUNK_SIZE:
      return SQLITE_OK;
    case SQLITE_FCNTL_PERSIST_WAL:
      memvfsFlagControl(&p->bPersistWal, (int*)pArg);
      return SQLITE_OK;
    case SQLITE_FCNTL_POWERSAFE_OVERWRITE:
      if (*(int*)pArg < 0) *(int*)pArg = 1;
      return SQLITE_OK;
    case SQLITE_FCNTL_VFSNAME:
      *(char**)pArg = sqlite3_mprintf("%s", MEMVFS_NAME);
      return SQLITE_OK;
    case SQLITE_FCNTL_MMAP_SIZE:
      return memvfsMmapControl(p, (i64*)pArg);
  }
  return SQLITE_NOTFOUND;
}

static int memvfsSectorSize(sqlite3_file* pFd) {
  UNUSED_PARAMETER(pFd);
  return 4096;
}

/*
** Memory cannot lose power, so writes are in order, appends are safe and overwriting touches
** nothing else. Not claimed: ATOMIC, which would change the default page size, and
** UNDELETABLE_WHEN_OPEN, because a journal can be deleted while another handle has it open.
*/
static int memvfsDeviceCharacteristics(sqlite3_file* pFd) {
  UNUSED_PARAMETER(pFd);
  return SQLITE_IOCAP_SAFE_APPEND | SQLITE_IOCAP_SEQUENTIAL | SQLITE_IOCAP_POWERSAFE_OVERWRITE |
         SQLITE_IOCAP_SUBPAGE_READ;
}

static int memvfsClose(sqlite3_file* pFd) {
  MemvfsFile* p = (MemvfsFile*)pFd;
  MemvfsFile** pp = &p->pNode->pFiles;
  assert(atomic_load(&p->nPin) == 0);
  memvfsShmUnmap(pFd, 0);
  memvfsUnlock(pFd, SQLITE_LOCK_NONE);
  sqlite3_mutex_enter(p->pNode->pMutex);
  while (*pp != p) pp = &(*pp)->pNext;
  *pp = p->pNext;
  sqlite3_mutex_leave(p->pNode->pMutex);
  memvfsRelease(p->pNode);
  p->pNode = 0;
  return SQLITE_OK;
}

static const sqlite3_io_methods memvfsIoMethods = {3, /* iVersion */
                                                   memvfsClose,
                                                   memvfsRead,
                                                   memvfsWrite,
                                                   memvfsTruncate,
                                                   memvfsSync,
                                                   memvfsFileSize,
                                                   memvfsLock,
                                                   memvfsUnlock,
                                                   memvfsCheckReservedLock,
                                                   memvfsFileControl,
                                                   memvfsSectorSize,
                                                   memvfsDeviceCharacteristics,
                                                   memvfsShmMap,
                                                   memvfsShmLock,
                                                   memvfsShmBarrier,
                                                   memvfsShmUnmap,
                                                   memvfsFetch,
                                                   memvfsUnfetch};

/* ------------------------------------------------------------------------------------------------
** VFS methods
*/

static int memvfsOpen(sqlite3_vfs* pVfs, const char* zName, sqlite3_file* pFd, int flags,
                      int* pOutFlags) {
  MemvfsFile* p = (MemvfsFile*)pFd;
  MemvfsNode* pNode = 0;
  UNUSED_PARAMETER(pVfs);
  memset(p, 0, sizeof(*p));
  if (zName == 0 || zName[0] == 0 || (flags & SQLITE_OPEN_DELETEONCLOSE)) {
    pNode = memvfsNewNode(0, 0);
    if (pNode == 0) return SQLITE_NOMEM_BKPT;
    pNode->nOpen = 1;
  } else {
    int rc;
    sqlite3_mutex* pRegistry = memvfsRegistry();
    sqlite3_mutex_enter(pRegistry);
    rc = memvfsAcquire(zName, flags, &pNode);
    sqlite3_mutex_leave(pRegistry);
    if (rc) return rc;
  }
  p->pNode = pNode;
  p->bReadOnly = (flags & SQLITE_OPEN_READONLY) != 0;
  p->mxMap = sqlite3GlobalConfig.szMmap;
  atomic_init(&p->nPin, 0);
  atomic_init(&p->mShmShared, 0);
  sqlite3_mutex_enter(pNode->pMutex);
  p->pNext = pNode->pFiles;
  pNode->pFiles = p;
  sqlite3_mutex_leave(pNode->pMutex);
  p->base.pMethods = &memvfsIoMethods;
  if (pOutFlags) *pOutFlags = flags;
  return SQLITE_OK;
}

/* A main database goes away with its last handle and not before. */
static int memvfsDelete(sqlite3_vfs* pVfs, const char* zName, int bSyncDir) {
  int rc = SQLITE_OK;
  MemvfsNode* pNode;
  sqlite3_mutex* pRegistry = memvfsRegistry();
  UNUSED_PARAMETER2(pVfs, bSyncDir);
  sqlite3_mutex_enter(pRegistry);
  pNode = memvfsFind(zName, strlen(zName));
  if (pNode == 0) {
    rc = SQLITE_IOERR_DELETE_NOENT;
  } else if (pNode->bMain) {
    rc = SQLITE_IOERR_DELETE;
    pNode = 0;
  } else {
    memvfsUnlink(pNode);
    if (pNode->nOpen) pNode = 0;
  }
  sqlite3_mutex_leave(pRegistry);
  if (pNode) memvfsFreeNode(pNode);
  return rc;
}

/* As with files on disk, a WAL or a journal of zero bytes does not count as existing. */
static int memvfsAccess(sqlite3_vfs* pVfs, const char* zName, int flags, int* pbResult) {
  MemvfsNode* pNode;
  sqlite3_mutex* pRegistry = memvfsRegistry();
  UNUSED_PARAMETER(pVfs);
  sqlite3_mutex_enter(pRegistry);
  pNode = memvfsFind(zName, strlen(zName));
  *pbResult = pNode && (flags != SQLITE_ACCESS_EXISTS || atomic_load(&pNode->nSize) > 0);
  sqlite3_mutex_leave(pRegistry);
  return SQLITE_OK;
}

/* Names are flat: no directories, nothing to resolve. */
static int memvfsFullPathname(sqlite3_vfs* pVfs, const char* zName, int nOut, char* zOut) {
  size_t n = strlen(zName);
  UNUSED_PARAMETER(pVfs);
  if (nOut <= 0 || n >= (size_t)nOut) return SQLITE_CANTOPEN_BKPT;
  memcpy(zOut, zName, n + 1);
  return SQLITE_OK;
}

/* Randomness, sleep and time come from the default VFS; memvfsRegister() put it in pAppData. */
static int memvfsRandomness(sqlite3_vfs* pVfs, int nByte, char* zOut) {
  sqlite3_vfs* pReal = (sqlite3_vfs*)pVfs->pAppData;
  return pReal->xRandomness(pReal, nByte, zOut);
}

static int memvfsSleep(sqlite3_vfs* pVfs, int nMicro) {
  return sqlite3OsSleep((sqlite3_vfs*)pVfs->pAppData, nMicro);
}

static int memvfsCurrentTimeInt64(sqlite3_vfs* pVfs, sqlite3_int64* pTime) {
  return sqlite3OsCurrentTimeInt64((sqlite3_vfs*)pVfs->pAppData, pTime);
}

/* Not delegated: the default VFS has no xCurrentTime when SQLITE_OMIT_DEPRECATED is defined. */
static int memvfsCurrentTime(sqlite3_vfs* pVfs, double* pTime) {
  sqlite3_int64 ms = 0;
  int rc = memvfsCurrentTimeInt64(pVfs, &ms);
  *pTime = (double)ms / 86400000.0;
  return rc;
}

/* There is no operating system below, hence no error of its own. */
static int memvfsGetLastError(sqlite3_vfs* pVfs, int nOut, char* zOut) {
  UNUSED_PARAMETER(pVfs);
  if (nOut > 0 && zOut) zOut[0] = 0;
  return 0;
}

static sqlite3_vfs memvfsVfs = {
    2,                  /* iVersion: has xCurrentTimeInt64 */
    sizeof(MemvfsFile), /* szOsFile */
    MEMVFS_MXPATH,      /* mxPathname */
    0,                  /* pNext */
    MEMVFS_NAME,        /* zName */
    0,                  /* pAppData: the default VFS, see memvfsRegister() */
    memvfsOpen,
    memvfsDelete,
    memvfsAccess,
    memvfsFullPathname,
    0,
    0,
    0,
    0, /* xDlOpen, xDlError, xDlSym, xDlClose: never called */
    memvfsRandomness,
    memvfsSleep,
    memvfsCurrentTime,
    memvfsGetLastError,
    memvfsCurrentTimeInt64,
    0,
    0,
    0 /* System calls: none */
};

/*
** Make the VFS known to SQLite under the name MEMVFS_NAME; it does not become the default.
** May be called any number of times and from any thread. Returns an SQLite result code.
*/
static int memvfsRegister(void) {
  sqlite3_mutex* pRegistry;
  int rc = sqlite3_initialize();
  if (rc) return rc;
  pRegistry = memvfsRegistry();
  sqlite3_mutex_enter(pRegistry);
  if (memvfsVfs.pAppData == 0) memvfsVfs.pAppData = sqlite3_vfs_find(0);
  if (memvfsVfs.pAppData == 0) {
    rc = SQLITE_ERROR;
  } else if (sqlite3_vfs_find(MEMVFS_NAME) != &memvfsVfs) {
    rc = sqlite3_vfs_register(&memvfsVfs, 0);
  }
  sqlite3_mutex_leave(pRegistry);
  return rc;
}
