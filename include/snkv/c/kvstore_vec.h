/// \file
/// The C interface: vectors with keys, values and metadata, searched by distance. They are the
/// collection "default" of a store, whose values are the entries of its default column family.
///
/// Conventions are those of kvstore.h, and so are the codes, with a few more. `kvstore_errmsg(NULL)`
/// tells why a `KVVecStore` could not be opened.
///
/// Threads: a `KVVecStore` serves any number; searches run in parallel and beside writes.
#ifndef SNKV_C_KVSTORE_VEC_H
#define SNKV_C_KVSTORE_VEC_H

#include "kvstore.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Distances ---- */

#define KVVEC_SPACE_L2 0     ///< The square of the Euclidean distance.
#define KVVEC_SPACE_COSINE 1 ///< 1 - cos.
#define KVVEC_SPACE_IP 2     ///< The negative dot product.
#define KVVEC_SPACE_L1 3     ///< The sum of the magnitudes of the differences.

/* ---- What the index walks on; the vectors themselves are always stored as floats ---- */

#define KVVEC_DTYPE_F32 0
#define KVVEC_DTYPE_F16 1 ///< Half the memory.
#define KVVEC_DTYPE_I8 2  ///< A quarter of the memory.

/* ---- Codes ---- */

#define KVVEC_DIM_MISMATCH 20   ///< The vectors of the store have another number of dimensions.
#define KVVEC_DTYPE_MISMATCH 21
#define KVVEC_SPACE_MISMATCH 22
#define KVVEC_INDEX_DROPPED 23  ///< After `kvstore_vec_drop_index`.
#define KVVEC_INDEX_EMPTY 24    ///< A search among no vectors.
#define KVVEC_BAD_VECTOR 25     ///< NULL, NaN, infinity; for cosine also length zero.

/* ---- Types ---- */

typedef struct KVVecStore KVVecStore;

/// A vector that was found. What is not there is NULL and 0.
typedef struct KVVecSearchResult {
  void *pKey;
  int nKey;
  void *pValue;
  int nValue;
  float distance;
  void *pMetadata; ///< JSON text.
  int nMetadata;
} KVVecSearchResult;

typedef struct KVVecKeyResult {
  void *pKey;
  int nKey;
  float distance;
} KVVecKeyResult;

typedef struct KVVecStats {
  int dim;
  int space;
  int dtype;
  int connectivity;
  int expansion_add;
  int expansion_search;
  int64_t count;         ///< Vectors that have not expired.
  int64_t capacity;      ///< Places in the index that are in use or were.
  double fill_ratio;     ///< count / capacity; 0 if there are none.
  int64_t vec_cf_count;  ///< Vectors in the file, those that expired and were not purged included.
  int has_metadata;      ///< 1 if any entry has some.
  int sidecar_enabled;   ///< 1 if the index is saved beside the file.
  /// Of `count`, those of which it is known that their rows are damaged. Searches leave them out, reading
  /// one by its key gives `KVSTORE_CORRUPT`; see `kvstore_vec_verify` and `kvstore_vec_repair`.
  int64_t damaged;
} KVVecStats;

/// A row that is damaged.
typedef struct KVVecDamage {
  void *pKey; ///< Of no bytes: the collection itself is.
  int nKey;
  char *pWhat; ///< What is wrong with it, as text.
} KVVecDamage;

/// What `kvstore_vec_verify` has found, or `kvstore_vec_repair` has mended.
typedef struct KVVecCheckReport {
  int64_t entries;          ///< All that were looked at, those that expired included.
  int64_t damaged;          ///< Of these, those that cannot be used.
  int64_t removed;          ///< By `kvstore_vec_repair`: entries. Their values stay.
  int64_t without_metadata; ///< By `kvstore_vec_repair`: entries that have lost their metadata, not more.
  int64_t orphans;          ///< Vectors of no entry.
  KVVecDamage *pRows;       ///< The first damaged ones, at most 100; NULL if there are none.
  int nRows;
} KVVecCheckReport;

/// One of a batch; the fields are the arguments of `kvstore_vec_put`.
typedef struct KVVecItem {
  const void *pKey;
  int nKey;
  const void *pVal;
  int nVal;
  const float *pVec;
  const void *pMeta;
  int nMeta;
} KVVecItem;

/* ---- Opening and closing ---- */

/// Opens the store in the file `path` (NULL: a new one in memory) with its vectors, making what is
/// missing. `dim`, `space` and `dtype` must be those that the vectors have. 0 for `connectivity`,
/// `expansion_add` and `expansion_search` means 16, 128 and 64 for new vectors, and what is stored for
/// those that are there; the stored values of the first two count in any case. They are brought into
/// the ranges 2 to 64, 4 to 4096 and 1 to 65536. With a password the store is
/// encrypted, see `kvstore_open_encrypted`; with one of 0 bytes it is not.
SNKV_C_API int kvstore_vec_open(const char *path, int dim, int space, int connectivity,
                                int expansion_add, int expansion_search, int dtype,
                                const uint8_t *password, int password_size, KVVecStore **vectors);
/// Saves the index beside the file, if that is worth it. NULL is ignored.
SNKV_C_API void kvstore_vec_close(KVVecStore *vectors);

/* ---- Writing ---- */

/// Stores a value and its vector of `dim` floats under a key, in place of what was there. `expire_ms`
/// 0: it does not expire. `metadata` is the text of a JSON object; NULL leaves what is there, 0 bytes
/// remove it.
SNKV_C_API int kvstore_vec_put(KVVecStore *vectors, const void *key, int key_size,
                               const void *value, int value_size, const float *vector,
                               int64_t expire_ms, const void *metadata, int metadata_size);
/// The same for many, all or none, in one transaction. Of a key that comes twice the last item counts.
SNKV_C_API int kvstore_vec_put_batch(KVVecStore *vectors, const KVVecItem *items, int count,
                                     int64_t expire_ms);
/// Stores a value without a vector; the vector of the key, if there is one, stays.
SNKV_C_API int kvstore_vec_kv_put(KVVecStore *vectors, const void *key, int key_size,
                                  const void *value, int value_size);
/// Removes a key with its value, vector and metadata. `KVSTORE_NOTFOUND`.
SNKV_C_API int kvstore_vec_delete(KVVecStore *vectors, const void *key, int key_size);

/* ---- Reading ---- */

/// Allocates a copy of the value.
SNKV_C_API int kvstore_vec_get(KVVecStore *vectors, const void *key, int key_size, void **value,
                               int *value_size);
#define kvstore_vec_kv_get(vectors, key, key_size, value, value_size) \
  kvstore_vec_get((vectors), (key), (key_size), (value), (value_size))
/// Allocates a copy of the vector; `*floats` is the number of its dimensions.
SNKV_C_API int kvstore_vec_get_vector(KVVecStore *vectors, const void *key, int key_size,
                                      float **vector, int *floats);
/// Allocates a copy of the metadata, as JSON text without spaces, members sorted. If the key has none:
/// `KVSTORE_NOTFOUND`, or, when no key of the store has any, `KVSTORE_OK` with NULL.
SNKV_C_API int kvstore_vec_get_metadata(KVVecStore *vectors, const void *key, int key_size,
                                        void **metadata, int *metadata_size);
/// 1 if the key has a value; 0 if not, and after a failure.
SNKV_C_API int kvstore_vec_contains(KVVecStore *vectors, const void *key, int key_size);
/// Vectors that have not expired; 0 after a failure.
SNKV_C_API int64_t kvstore_vec_count(KVVecStore *vectors);

/* ---- Searching ---- */

/// The `top_k` nearest, nearest first. With `rerank`, which matters for f16 and i8, the best
/// `oversample` (0: 3) times as many are compared exactly. `max_distance` 0: any. The results are
/// for `kvstore_vec_free_results`.
SNKV_C_API int kvstore_vec_search(KVVecStore *vectors, const float *query, int top_k, int rerank,
                                  int oversample, float max_distance, KVVecSearchResult **results,
                                  int *count);
/// Keys and distances only. The results are for `kvstore_vec_free_key_results`.
SNKV_C_API int kvstore_vec_search_keys(KVVecStore *vectors, const float *query, int top_k,
                                       KVVecKeyResult **results, int *count);
SNKV_C_API void kvstore_vec_free_results(KVVecSearchResult *results, int count);
SNKV_C_API void kvstore_vec_free_key_results(KVVecKeyResult *results, int count);

/* ---- Maintenance ---- */

SNKV_C_API int kvstore_vec_stats(KVVecStore *vectors, KVVecStats *stats);
/// Removes what has expired; how many in `*deleted`, which may be NULL.
SNKV_C_API int kvstore_vec_purge_expired(KVVecStore *vectors, int *deleted);
/// Removes vectors, metadata and index for ever; the values stay.
SNKV_C_API int kvstore_vec_drop_index(KVVecStore *vectors);
/// Reads all rows of the vectors, as of one moment, and looks whether they can be used. Damaged rows are no
/// failure of the call: the report, which is for `kvstore_vec_free_report`, has them. `KVSTORE_CORRUPT` if it
/// is not the rows that are damaged but what describes them all; `KVSTORE_INTERRUPT`; `KVVEC_INDEX_DROPPED`.
/// The report is then one of zeros. `progress`, which may be NULL, is told entries; it may read by key, while
/// what searches or writes vectors on this handle gives it `KVSTORE_LOCKED`. If it closes the handle, that is
/// done when this returns. Others may read and write meanwhile. O(entries).
SNKV_C_API int kvstore_vec_verify(KVVecStore *vectors, KVVecCheckReport *report, KVProgress progress,
                                  void *context);
/// The same, and removes in one transaction what cannot be used: metadata that are no object from their
/// entries, and other entries whose rows are damaged with all but their values, which `kvstore_vec_get` still
/// gives. After a failure nothing has changed. Other writers wait meanwhile, up to their timeouts:
/// `KVSTORE_BUSY` if it is this one that has waited too long.
SNKV_C_API int kvstore_vec_repair(KVVecStore *vectors, KVVecCheckReport *report, KVProgress progress,
                                  void *context);
/// Frees what a report refers to, and makes it one of zeros. NULL is ignored.
SNKV_C_API void kvstore_vec_free_report(KVVecCheckReport *report);

#ifdef __cplusplus
}
#endif

#endif
