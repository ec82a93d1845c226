/* Every function of kvstore_vec.h from a program in C, with good arguments and with bad ones. Runs in
   an empty folder. */
#include <snkv/c/kvstore_vec.h>

#include "check.h"

#include <math.h>

enum { dim = 4 };

static const float east[dim] = {1, 0, 0, 0};
static const float north[dim] = {0, 1, 0, 0};
static const float south[dim] = {0, -1, 0, 0};
static const float far[dim] = {0, 0, 5, 5};

static const uint8_t password[] = "secret";

static KVVecStore *open_vectors(const char *path) {
  KVVecStore *vectors = NULL;
  OK(kvstore_vec_open(path, dim, KVVEC_SPACE_L2, 0, 0, 0, KVVEC_DTYPE_F32, NULL, 0, &vectors));
  CHECK(vectors != NULL);
  return vectors;
}

static void opening(void) {
  KVVecStore *vectors = NULL;
  OK(kvstore_vec_open("vec.db", dim, KVVEC_SPACE_COSINE, 8, 64, 32, KVVEC_DTYPE_F16, NULL, 0,
                      &vectors));
  OK(kvstore_vec_put(vectors, "a", 1, "value", 5, east, 0, NULL, 0));
  KVVecStats stats;
  OK(kvstore_vec_stats(vectors, &stats));
  CHECK(stats.dim == dim && stats.space == KVVEC_SPACE_COSINE && stats.dtype == KVVEC_DTYPE_F16);
  CHECK(stats.connectivity == 8 && stats.expansion_add == 64 && stats.expansion_search == 32);
  CHECK(stats.count == 1 && stats.vec_cf_count == 1 && stats.capacity >= 1);
  CHECK(stats.fill_ratio > 0 && stats.fill_ratio <= 1);
  CHECK(stats.has_metadata == 0 && stats.sidecar_enabled == 1);
  kvstore_vec_close(vectors);

  GIVES(KVVEC_DIM_MISMATCH,
        kvstore_vec_open("vec.db", 5, KVVEC_SPACE_COSINE, 0, 0, 0, KVVEC_DTYPE_F16, NULL, 0, &vectors));
  CHECK(vectors == NULL);
  CHECK(strcmp(kvstore_errmsg(NULL), "no error") != 0);
  GIVES(KVVEC_SPACE_MISMATCH,
        kvstore_vec_open("vec.db", dim, KVVEC_SPACE_L2, 0, 0, 0, KVVEC_DTYPE_F16, NULL, 0, &vectors));
  GIVES(KVVEC_DTYPE_MISMATCH, kvstore_vec_open("vec.db", dim, KVVEC_SPACE_COSINE, 0, 0, 0,
                                               KVVEC_DTYPE_I8, NULL, 0, &vectors));
  /* What is stored counts; the last one may be given anew. */
  OK(kvstore_vec_open("vec.db", dim, KVVEC_SPACE_COSINE, 20, 200, 100, KVVEC_DTYPE_F16, NULL, 0,
                      &vectors));
  OK(kvstore_vec_stats(vectors, &stats));
  CHECK(stats.connectivity == 8 && stats.expansion_add == 64 && stats.expansion_search == 100);
  CHECK(kvstore_vec_count(vectors) == 1);
  kvstore_vec_close(vectors);

  GIVES(KVSTORE_ERROR, kvstore_vec_open("x.db", 0, 0, 0, 0, 0, 0, NULL, 0, &vectors));
  GIVES(KVSTORE_ERROR, kvstore_vec_open("x.db", -4, 0, 0, 0, 0, 0, NULL, 0, &vectors));
  GIVES(KVSTORE_ERROR, kvstore_vec_open("x.db", 2147483647, 0, 0, 0, 0, 0, NULL, 0, &vectors));
  GIVES(KVSTORE_ERROR, kvstore_vec_open("x.db", dim, 4, 0, 0, 0, 0, NULL, 0, &vectors));
  GIVES(KVSTORE_ERROR, kvstore_vec_open("x.db", dim, -1, 0, 0, 0, 0, NULL, 0, &vectors));
  GIVES(KVSTORE_ERROR, kvstore_vec_open("x.db", dim, 0, -1, 0, 0, 0, NULL, 0, &vectors));
  GIVES(KVSTORE_ERROR, kvstore_vec_open("x.db", dim, 0, 0, -1, 0, 0, NULL, 0, &vectors));
  GIVES(KVSTORE_ERROR, kvstore_vec_open("x.db", dim, 0, 0, 0, -1, 0, NULL, 0, &vectors));
  GIVES(KVSTORE_ERROR, kvstore_vec_open("x.db", dim, 0, 0, 0, 0, 3, NULL, 0, &vectors));
  GIVES(KVSTORE_ERROR, kvstore_vec_open("x.db", dim, 0, 0, 0, 0, 0, NULL, 3, &vectors));
  GIVES(KVSTORE_ERROR, kvstore_vec_open("x.db", dim, 0, 0, 0, 0, 0, password, -1, &vectors));
  /* A store in memory is in no file that could be encrypted. */
  GIVES(KVSTORE_ERROR, kvstore_vec_open(NULL, dim, 0, 0, 0, 0, 0, password, 6, &vectors));
  GIVES(KVSTORE_ERROR, kvstore_vec_open("no/folder/x.db", dim, 0, 0, 0, 0, 0, NULL, 0, &vectors));
  GIVES(KVSTORE_ERROR, kvstore_vec_open("x.db", dim, 0, 0, 0, 0, 0, NULL, 0, NULL));
  /* Parameters are brought into their ranges. */
  OK(kvstore_vec_open(NULL, dim, 0, 1, 1, 1, 0, NULL, 0, &vectors));
  kvstore_vec_close(vectors);
  OK(kvstore_vec_open(NULL, dim, 0, 1000000, 1000000, 1000000, 0, NULL, 0, &vectors));
  kvstore_vec_close(vectors);
}

static void writing_and_reading(KVVecStore *vectors) {
  void *value = NULL;
  float *vector = NULL;
  int size = 0;
  OK(kvstore_vec_get_metadata(vectors, "a", 1, &value, &size));
  CHECK(value == NULL && size == 0);
  OK(kvstore_vec_put(vectors, "a", 1, "value", 5, east, 0, "{\"tag\":\"ai\"}", 12));
  OK(kvstore_vec_get(vectors, "a", 1, &value, &size));
  IS_TEXT("value", value, size);
  snkv_free(value);
  OK(kvstore_vec_kv_get(vectors, "a", 1, &value, &size));
  snkv_free(value);
  OK(kvstore_vec_get_vector(vectors, "a", 1, &vector, &size));
  CHECK(size == dim && memcmp(vector, east, sizeof(east)) == 0);
  snkv_free(vector);
  OK(kvstore_vec_get_metadata(vectors, "a", 1, &value, &size));
  IS_TEXT("{\"tag\":\"ai\"}", value, size);
  snkv_free(value);
  /* NULL leaves the metadata, no bytes remove them. */
  OK(kvstore_vec_put(vectors, "a", 1, "value", 5, east, 0, NULL, 0));
  OK(kvstore_vec_get_metadata(vectors, "a", 1, &value, &size));
  CHECK(value != NULL);
  snkv_free(value);
  OK(kvstore_vec_put(vectors, "a", 1, "value", 5, east, 0, "", 0));
  GIVES(KVSTORE_NOTFOUND, kvstore_vec_get_metadata(vectors, "a", 1, &value, &size));
  CHECK(value == NULL);
  GIVES(KVSTORE_NOTFOUND, kvstore_vec_get_metadata(vectors, "none", 4, &value, &size));

  OK(kvstore_vec_kv_put(vectors, "plain", 5, "data", 4));
  CHECK(kvstore_vec_contains(vectors, "plain", 5) == 1);
  CHECK(kvstore_vec_count(vectors) == 1);
  GIVES(KVSTORE_NOTFOUND, kvstore_vec_get_vector(vectors, "plain", 5, &vector, &size));
  OK(kvstore_vec_get(vectors, "plain", 5, &value, &size));
  IS_TEXT("data", value, size);
  snkv_free(value);
  OK(kvstore_vec_delete(vectors, "plain", 5));
  GIVES(KVSTORE_NOTFOUND, kvstore_vec_delete(vectors, "plain", 5));
  CHECK(kvstore_vec_contains(vectors, "plain", 5) == 0);

  const KVVecItem items[3] = {{"b", 1, "first", 5, north, NULL, 0},
                              {"c", 1, NULL, 0, south, "{}", 2},
                              {"b", 1, "last", 4, far, "{\"n\":1}", 7}};
  OK(kvstore_vec_put_batch(vectors, items, 3, 0));
  CHECK(kvstore_vec_count(vectors) == 3);
  OK(kvstore_vec_get(vectors, "b", 1, &value, &size));
  IS_TEXT("last", value, size);
  snkv_free(value);
  OK(kvstore_vec_put_batch(vectors, NULL, 0, 0));
  OK(kvstore_vec_delete(vectors, "c", 1));
  CHECK(kvstore_vec_count(vectors) == 2);
  GIVES(KVSTORE_NOTFOUND, kvstore_vec_get(vectors, "c", 1, &value, &size));
}

static void bad_writes(KVVecStore *vectors) {
  const float nan_vector[dim] = {1, NAN, 0, 0};
  void *value = (void *)vectors;
  float *vector = NULL;
  int size = 7;
  const int64_t before = kvstore_vec_count(vectors);
  GIVES(KVSTORE_ERROR, kvstore_vec_put(vectors, NULL, 1, "v", 1, east, 0, NULL, 0));
  GIVES(KVSTORE_ERROR, kvstore_vec_put(vectors, "k", 0, "v", 1, east, 0, NULL, 0));
  GIVES(KVSTORE_ERROR, kvstore_vec_put(vectors, "k", -1, "v", 1, east, 0, NULL, 0));
  GIVES(KVSTORE_ERROR, kvstore_vec_put(vectors, "k", 1, NULL, 1, east, 0, NULL, 0));
  GIVES(KVSTORE_ERROR, kvstore_vec_put(vectors, "k", 1, "v", -1, east, 0, NULL, 0));
  GIVES(KVVEC_BAD_VECTOR, kvstore_vec_put(vectors, "k", 1, "v", 1, NULL, 0, NULL, 0));
  GIVES(KVVEC_BAD_VECTOR, kvstore_vec_put(vectors, "k", 1, "v", 1, nan_vector, 0, NULL, 0));
  GIVES(KVSTORE_ERROR, kvstore_vec_put(vectors, "k", 1, "v", 1, east, -1, NULL, 0));
  GIVES(KVSTORE_ERROR, kvstore_vec_put(vectors, "k", 1, "v", 1, east, 0, NULL, 3));
  GIVES(KVSTORE_ERROR, kvstore_vec_put(vectors, "k", 1, "v", 1, east, 0, "{}", -1));
  GIVES(KVSTORE_ERROR, kvstore_vec_put(vectors, "k", 1, "v", 1, east, 0, "[1]", 3));
  GIVES(KVSTORE_ERROR, kvstore_vec_put(vectors, "k", 1, "v", 1, east, 0, "{\"a\":", 5));
  const KVVecItem items[2] = {{"k", 1, "v", 1, east, NULL, 0}, {"l", 1, "v", 1, NULL, NULL, 0}};
  GIVES(KVVEC_BAD_VECTOR, kvstore_vec_put_batch(vectors, items, 2, 0));
  GIVES(KVSTORE_ERROR, kvstore_vec_put_batch(vectors, items, -1, 0));
  GIVES(KVSTORE_ERROR, kvstore_vec_put_batch(vectors, NULL, 1, 0));
  GIVES(KVSTORE_ERROR, kvstore_vec_put_batch(vectors, items, 1, -1));
  GIVES(KVSTORE_ERROR, kvstore_vec_kv_put(vectors, "k", 1, NULL, 1));
  GIVES(KVSTORE_ERROR, kvstore_vec_kv_put(vectors, NULL, 0, "v", 1));
  GIVES(KVSTORE_ERROR, kvstore_vec_get(vectors, NULL, 1, &value, &size));
  CHECK(value == NULL && size == 0);
  GIVES(KVSTORE_ERROR, kvstore_vec_get(vectors, "a", 1, NULL, &size));
  GIVES(KVSTORE_ERROR, kvstore_vec_get(vectors, "a", 1, &value, NULL));
  GIVES(KVSTORE_ERROR, kvstore_vec_get_vector(vectors, "a", 1, NULL, &size));
  GIVES(KVSTORE_ERROR, kvstore_vec_get_vector(vectors, "a", -1, &vector, &size));
  GIVES(KVSTORE_ERROR, kvstore_vec_get_metadata(vectors, "a", 1, NULL, &size));
  GIVES(KVSTORE_ERROR, kvstore_vec_get_metadata(vectors, "", 0, &value, &size));
  GIVES(KVSTORE_ERROR, kvstore_vec_delete(vectors, NULL, 0));
  CHECK(kvstore_vec_contains(vectors, NULL, 1) == 0);
  GIVES(KVSTORE_ERROR, kvstore_vec_stats(vectors, NULL));
  CHECK(kvstore_vec_count(vectors) == before);
  CHECK(kvstore_vec_contains(vectors, "k", 1) == 0);
}

static void searching(KVVecStore *vectors) {
  KVVecSearchResult *found = NULL;
  KVVecKeyResult *keys = NULL;
  int count = -1;
  OK(kvstore_vec_search(vectors, east, 5, 0, 0, 0.0f, &found, &count));
  CHECK(count == 2);
  IS_TEXT("a", found[0].pKey, found[0].nKey);
  IS_TEXT("value", found[0].pValue, found[0].nValue);
  CHECK(found[0].distance == 0 && found[0].pMetadata == NULL && found[0].nMetadata == 0);
  IS_TEXT("b", found[1].pKey, found[1].nKey);
  IS_TEXT("{\"n\":1}", found[1].pMetadata, found[1].nMetadata);
  CHECK(found[1].distance == 51); /* the square of the distance */
  kvstore_vec_free_results(found, count);
  OK(kvstore_vec_search(vectors, east, 1, 1, 3, 0.0f, &found, &count));
  CHECK(count == 1);
  kvstore_vec_free_results(found, count);
  OK(kvstore_vec_search(vectors, east, 5, 1, 3, 10.0f, &found, &count));
  CHECK(count == 1);
  kvstore_vec_free_results(found, count);
  OK(kvstore_vec_search(vectors, north, 5, 1, 3, 0.1f, &found, &count));
  CHECK(count == 0 && found == NULL);
  OK(kvstore_vec_search_keys(vectors, far, 5, &keys, &count));
  CHECK(count == 2);
  IS_TEXT("b", keys[0].pKey, keys[0].nKey);
  kvstore_vec_free_key_results(keys, count);
  kvstore_vec_free_results(NULL, 3);
  kvstore_vec_free_key_results(NULL, 3);

  const float nan_vector[dim] = {NAN, 0, 0, 0};
  GIVES(KVVEC_BAD_VECTOR, kvstore_vec_search(vectors, NULL, 5, 0, 0, 0, &found, &count));
  GIVES(KVVEC_BAD_VECTOR, kvstore_vec_search(vectors, nan_vector, 5, 0, 0, 0, &found, &count));
  GIVES(KVSTORE_ERROR, kvstore_vec_search(vectors, east, 0, 0, 0, 0, &found, &count));
  GIVES(KVSTORE_ERROR, kvstore_vec_search(vectors, east, -1, 0, 0, 0, &found, &count));
  GIVES(KVSTORE_ERROR, kvstore_vec_search(vectors, east, 5, 1, -1, 0, &found, &count));
  GIVES(KVSTORE_ERROR, kvstore_vec_search(vectors, east, 5, 0, 0, NAN, &found, &count));
  GIVES(KVSTORE_ERROR, kvstore_vec_search(vectors, east, 5, 0, 0, 0, NULL, &count));
  GIVES(KVSTORE_ERROR, kvstore_vec_search(vectors, east, 5, 0, 0, 0, &found, NULL));
  GIVES(KVVEC_BAD_VECTOR, kvstore_vec_search_keys(vectors, NULL, 5, &keys, &count));
  GIVES(KVSTORE_ERROR, kvstore_vec_search_keys(vectors, east, 0, &keys, &count));
  GIVES(KVSTORE_ERROR, kvstore_vec_search_keys(vectors, east, 5, NULL, &count));
}

static void expiring(KVVecStore *vectors) {
  KVVecSearchResult *found = NULL;
  void *value = NULL;
  int count = 0;
  OK(kvstore_vec_put(vectors, "past", 4, "x", 1, north, 1, NULL, 0));
  OK(kvstore_vec_put(vectors, "later", 5, "x", 1, north, kvstore_now_ms() + 3600000, NULL, 0));
  GIVES(KVSTORE_NOTFOUND, kvstore_vec_get(vectors, "past", 4, &value, &count));
  CHECK(kvstore_vec_contains(vectors, "past", 4) == 0);
  OK(kvstore_vec_search(vectors, north, 1, 0, 0, 0, &found, &count));
  IS_TEXT("later", found[0].pKey, found[0].nKey);
  kvstore_vec_free_results(found, count);
  OK(kvstore_vec_purge_expired(vectors, &count));
  CHECK(count == 1);
  OK(kvstore_vec_purge_expired(vectors, NULL));
}

/* Counts its calls, reads and writes, and asks to stop at the one that is number `stop_at`. */
typedef struct {
  KVVecStore *vectors;
  int calls;
  int stop_at;
} Told;

static int tell(void *context, uint64_t done, uint64_t total) {
  Told *told = context;
  void *value = NULL;
  int size = 0;
  CHECK(done <= total);
  OK(kvstore_vec_get(told->vectors, "a", 1, &value, &size));
  IS_TEXT("value", value, size);
  snkv_free(value);
  GIVES(KVSTORE_LOCKED, kvstore_vec_put(told->vectors, "x", 1, "x", 1, east, 0, NULL, 0));
  GIVES(KVSTORE_LOCKED, kvstore_vec_repair(told->vectors, &(KVVecCheckReport){0}, NULL, NULL));
  GIVES(KVSTORE_LOCKED, kvstore_vec_drop_index(told->vectors));
  return ++told->calls == told->stop_at;
}

static int tell_and_close(void *context, uint64_t done, uint64_t total) {
  Told *told = context;
  (void)done, (void)total;
  kvstore_vec_close(told->vectors);
  ++told->calls;
  /* Not before the call has ended. */
  CHECK(kvstore_vec_contains(told->vectors, "a", 1) == 1);
  return 0;
}

typedef int Check(KVVecStore *, KVVecCheckReport *, KVProgress, void *);
static Check *const checks[] = {kvstore_vec_verify, kvstore_vec_repair};

/* What damaged rows do is in vec_repair_test.cpp. */
static void checking(KVVecStore *vectors) {
  for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); ++i) {
    Told told = {vectors, 0, 0};
    KVVecCheckReport report;
    memset(&report, 0xa5, sizeof(report));
    OK(checks[i](vectors, &report, NULL, NULL));
    CHECK(report.entries == kvstore_vec_count(vectors) && report.entries > 0);
    CHECK(report.damaged == 0 && report.removed == 0 && report.without_metadata == 0);
    CHECK(report.orphans == 0 && report.pRows == NULL && report.nRows == 0);
    kvstore_vec_free_report(&report);
    kvstore_vec_free_report(&report);

    OK(checks[i](vectors, &report, tell, &told));
    CHECK(told.calls > 0);
    told.calls = 0;
    told.stop_at = 1;
    GIVES(KVSTORE_INTERRUPT, checks[i](vectors, &report, tell, &told));
    CHECK(told.calls == 1 && report.entries == 0 && report.pRows == NULL);
    GIVES(KVSTORE_ERROR, checks[i](vectors, NULL, NULL, NULL));
  }
  kvstore_vec_free_report(NULL);
  KVVecStats stats;
  OK(kvstore_vec_stats(vectors, &stats));
  CHECK(stats.damaged == 0);
}

/* A handle may be closed from within its own call; the file is closed when that has ended. */
static void closing_while_checking(void) {
  for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); ++i) {
    KVVecCheckReport report;
    Told told = {open_vectors("closing.db"), 0, 0};
    OK(kvstore_vec_put(told.vectors, "a", 1, "value", 5, east, 0, NULL, 0));
    OK(checks[i](told.vectors, &report, tell_and_close, &told));
    CHECK(told.calls > 0 && report.entries == 1);
    kvstore_vec_free_report(&report);
    GIVES(KVSTORE_ERROR, checks[i](told.vectors, &report, NULL, NULL));
  }
  /* Nobody has it open. */
  KVVecStore *vectors = NULL;
  OK(kvstore_vec_open("closing.db", dim, KVVEC_SPACE_L2, 0, 0, 0, KVVEC_DTYPE_F32, password, 6, &vectors));
  kvstore_vec_close(vectors);
}

static void dropping(KVVecStore *vectors) {
  KVVecSearchResult *found = NULL;
  KVVecKeyResult *keys = NULL;
  KVVecStats stats;
  void *value = NULL;
  float *vector = NULL;
  int count = 0;
  OK(kvstore_vec_drop_index(vectors));
  GIVES(KVVEC_INDEX_DROPPED, kvstore_vec_search(vectors, east, 5, 0, 0, 0, &found, &count));
  GIVES(KVVEC_INDEX_DROPPED, kvstore_vec_search_keys(vectors, east, 5, &keys, &count));
  GIVES(KVVEC_INDEX_DROPPED, kvstore_vec_put(vectors, "k", 1, "v", 1, east, 0, NULL, 0));
  GIVES(KVVEC_INDEX_DROPPED, kvstore_vec_get_vector(vectors, "a", 1, &vector, &count));
  for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); ++i) {
    KVVecCheckReport report;
    GIVES(KVVEC_INDEX_DROPPED, checks[i](vectors, &report, NULL, NULL));
    CHECK(report.entries == 0 && report.pRows == NULL);
  }
  OK(kvstore_vec_get(vectors, "a", 1, &value, &count));
  IS_TEXT("value", value, count);
  snkv_free(value);
  CHECK(kvstore_vec_count(vectors) == 0);
  OK(kvstore_vec_stats(vectors, &stats));
  CHECK(stats.dim == dim && stats.count == 0);
  OK(kvstore_vec_delete(vectors, "a", 1));
  CHECK(kvstore_vec_contains(vectors, "a", 1) == 0);
}

static void wrong_handle(KVVecStore *vectors) {
  KVVecSearchResult *found = NULL;
  KVVecKeyResult *keys = NULL;
  KVVecStats stats;
  void *value = NULL;
  float *vector = NULL;
  int count = 0;
  const KVVecItem item = {"k", 1, "v", 1, east, NULL, 0};
  GIVES(KVSTORE_ERROR, kvstore_vec_put(vectors, "k", 1, "v", 1, east, 0, NULL, 0));
  GIVES(KVSTORE_ERROR, kvstore_vec_put_batch(vectors, &item, 1, 0));
  GIVES(KVSTORE_ERROR, kvstore_vec_kv_put(vectors, "k", 1, "v", 1));
  GIVES(KVSTORE_ERROR, kvstore_vec_delete(vectors, "k", 1));
  GIVES(KVSTORE_ERROR, kvstore_vec_get(vectors, "k", 1, &value, &count));
  GIVES(KVSTORE_ERROR, kvstore_vec_kv_get(vectors, "k", 1, &value, &count));
  GIVES(KVSTORE_ERROR, kvstore_vec_get_vector(vectors, "k", 1, &vector, &count));
  GIVES(KVSTORE_ERROR, kvstore_vec_get_metadata(vectors, "k", 1, &value, &count));
  CHECK(kvstore_vec_contains(vectors, "k", 1) == 0);
  CHECK(kvstore_vec_count(vectors) == 0);
  GIVES(KVSTORE_ERROR, kvstore_vec_search(vectors, east, 5, 0, 0, 0, &found, &count));
  GIVES(KVSTORE_ERROR, kvstore_vec_search_keys(vectors, east, 5, &keys, &count));
  GIVES(KVSTORE_ERROR, kvstore_vec_stats(vectors, &stats));
  GIVES(KVSTORE_ERROR, kvstore_vec_purge_expired(vectors, &count));
  GIVES(KVSTORE_ERROR, kvstore_vec_drop_index(vectors));
  for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); ++i) {
    KVVecCheckReport report;
    memset(&report, 0xa5, sizeof(report));
    GIVES(KVSTORE_ERROR, checks[i](vectors, &report, NULL, NULL));
    CHECK(report.entries == 0 && report.pRows == NULL && report.nRows == 0);
  }
  kvstore_vec_close(vectors);
}

/* Whether the bytes are in the file. */
static int is_in(const char *path, const void *bytes, size_t size) {
  static char contents[1 << 20];
  FILE *file = fopen(path, "rb");
  CHECK(file != NULL);
  const size_t got = file == NULL ? 0 : fread(contents, 1, sizeof(contents), file);
  CHECK(got > 0 && got < sizeof(contents));
  if (file != NULL) fclose(file);
  for (size_t i = 0; i + size <= got; ++i) {
    if (memcmp(contents + i, bytes, size) == 0) return 1;
  }
  return 0;
}

static int open_with(const char *path, const char *secret, KVVecStore **vectors) {
  return kvstore_vec_open(path, dim, KVVEC_SPACE_L2, 0, 0, 0, KVVEC_DTYPE_F32, (const uint8_t *)secret,
                          (int)strlen(secret), vectors);
}

static void encryption(void) {
  static const float canary[dim] = {0.123456F, 7.654321F, -3.141592F, 2.718281F};
  const char *paths[] = {"encrypted.db", "was_plain.db"};
  for (int i = 0; i < 2; ++i) {
    const char *path = paths[i];
    KVVecStore *vectors = NULL;
    KVVecSearchResult *found = NULL;
    int count = 0;
    OK(open_with(path, i == 0 ? "secret" : "", &vectors));
    OK(kvstore_vec_put(vectors, "k", 1, "CANARY-of-a-value", 17, canary, 0, "{\"tag\":\"CANARY\"}", 16));
    kvstore_vec_close(vectors);
    CHECK(is_in(path, "CANARY", 6) == i);
    CHECK(is_in(path, canary, sizeof(canary)) == i);

    /* The second one is encrypted by this. */
    OK(open_with(path, "secret", &vectors));
    CHECK(!is_in(path, "CANARY", 6) && !is_in(path, canary, sizeof(canary)));
    OK(kvstore_vec_search(vectors, canary, 1, 0, 0, 0, &found, &count));
    CHECK(count == 1);
    if (count == 1) {
      IS_TEXT("k", found[0].pKey, found[0].nKey);
      IS_TEXT("CANARY-of-a-value", found[0].pValue, found[0].nValue);
      IS_TEXT("{\"tag\":\"CANARY\"}", found[0].pMetadata, found[0].nMetadata);
      CHECK(found[0].distance == 0);
    }
    kvstore_vec_free_results(found, count);
    kvstore_vec_close(vectors);
    GIVES(KVSTORE_AUTH_FAILED, open_with(path, "secres", &vectors));
    CHECK(vectors == NULL);
    GIVES(KVSTORE_AUTH_FAILED, open_with(path, "", &vectors));
    KVStore *store = NULL;
    GIVES(KVSTORE_AUTH_FAILED, kvstore_open(path, &store, KVSTORE_JOURNAL_WAL));
    OK(kvstore_open_encrypted(path, password, 6, &store, NULL));
    OK(kvstore_close(store));
  }
}

int main(void) {
  opening();
  encryption();
  closing_while_checking();
  for (int i = 0; i < 2; ++i) {
    KVVecSearchResult *found = NULL;
    int count = 0;
    KVVecStore *vectors = open_vectors(i == 0 ? NULL : "calls.db");
    GIVES(KVVEC_INDEX_EMPTY, kvstore_vec_search(vectors, east, 5, 0, 0, 0, &found, &count));
    writing_and_reading(vectors);
    bad_writes(vectors);
    searching(vectors);
    expiring(vectors);
    checking(vectors);
    dropping(vectors);
    kvstore_vec_close(vectors);
    wrong_handle(vectors);
  }
  KVStore *store = NULL;
  OK(kvstore_open("calls.db", &store, KVSTORE_JOURNAL_WAL));
  wrong_handle((KVVecStore *)(void *)store);
  OK(kvstore_close(store));
  wrong_handle(NULL);
  return check_failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
