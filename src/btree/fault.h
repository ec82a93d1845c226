/*
** fault.h: faults on demand, for tests only (SNKV_TESTING).
**
** Once snkv_fault_install() was called, stores in files go through a VFS that can be told to fail, and
** the engine takes its memory from an allocator that can. Exactly one fault is armed at a time.
*/
#ifndef SNKV_BTREE_FAULT_H
#define SNKV_BTREE_FAULT_H

#ifdef SNKV_TESTING

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
  SNKV_FAULT_NONE = 0,
  SNKV_FAULT_IO = 1,         /* any call: the error that call has, CANTOPEN for an open */
  SNKV_FAULT_FULL = 2,       /* writes: SQLITE_FULL, half of the bytes written every other time */
  SNKV_FAULT_SHORT_READ = 3, /* reads: half of the bytes (see faultvfsRead about the code) */
  SNKV_FAULT_SYNC = 4,       /* fsync of a file or, after a deletion, of its folder */
  SNKV_FAULT_SHM = 5,        /* mapping and locking of the log's index: IOERR_SHMMAP, IOERR_SHMLOCK */
  SNKV_FAULT_BUSY = 6,       /* taking a lock on a file or on the log's index: SQLITE_BUSY */
  SNKV_FAULT_OPEN = 7,       /* opening any file: SQLITE_CANTOPEN */
  SNKV_FAULT_MALLOC = 8      /* the engine's malloc and realloc */
} snkv_fault_kind;

/* To be called before the first store is opened; tells whether it could. */
int snkv_fault_install(void);

/* The nth call of this kind from now on fails, and with `persistent` all of the kind after it. Sets the
** counters to zero. */
void snkv_fault_arm(snkv_fault_kind kind, uint64_t nth, int persistent);
void snkv_fault_disarm(void);
/* Calls of the armed kind since it was armed, and faults delivered among them. */
uint64_t snkv_fault_calls(void);
uint64_t snkv_fault_delivered(void);

/* For calls of the test's own making that shall count together with the engine's, such as allocations
** and what the library asks of the system beside the engine: whether this one must fail. */
int snkv_fault_call(snkv_fault_kind kind);

/* Bytes that the engine has allocated and not freed. */
int64_t snkv_fault_outstanding(void);

#ifdef __cplusplus
}
#endif

#endif /* SNKV_TESTING */
#endif /* SNKV_BTREE_FAULT_H */
