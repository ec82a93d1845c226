/* The examples of vectors in the reference of SNKV's C library, as they are printed there; each with
   what it presumes before it, and what it must have done behind it. Runs in an empty folder. */
#include "kvstore_vec.h"

#include "check.h"

static float component(int i, int n) { return (float)((i * 7 + n * 13) % 11) - 5.0f; }

static void fill(float *vector, int n) {
  for (int i = 0; i < 128; ++i) vector[i] = component(i, n);
}

int main(void) {
  KVVecStore *vs = NULL;
  int rc = kvstore_vec_open(
    "store.db", 128, KVVEC_SPACE_COSINE,
    0, 0, 0, /* defaults */
    KVVEC_DTYPE_F32,
    NULL, 0, /* plain (unencrypted) */
    &vs
  );
  if (rc == KVVEC_DIM_MISMATCH) puts("wrong dim for existing store");
  OK(rc);
  {
    float vec[128] = { /* ... */ 1 };
    kvstore_vec_put(vs, "doc:1", 5, "hello", 5, vec,
      0, /* no TTL */
      "{\"tag\":\"ai\"}", 12); /* metadata */
    CHECK(kvstore_vec_count(vs) == 1);
  }
  {
    float vec1[128], vec2[128], vec3[128];
    fill(vec1, 1);
    fill(vec2, 2);
    fill(vec3, 3);
    const char *meta = "{\"n\":3}";
    int nMeta = 7;
    KVVecItem items[3] = {
        { "k1", 2, "val1", 4, vec1, NULL, 0 },
        { "k2", 2, "val2", 4, vec2, NULL, 0 },
        { "k3", 2, "val3", 4, vec3, meta, nMeta },
    };
    kvstore_vec_put_batch(vs, items, 3, 0);
    CHECK(kvstore_vec_count(vs) == 4);
  }
  {
    float q[128] = { /* ... */ 1 };
    KVVecSearchResult *res = NULL;
    int n = 0;
    /* Basic ANN search */
    kvstore_vec_search(vs, q, 5, 0, 0, 0.0f, &res, &n);
    CHECK(n == 4);
    kvstore_vec_free_results(res, n); /* not printed there */
    /* With exact rerank (oversample x top_k candidates, exact distance sort) */
    kvstore_vec_search(vs, q, 5, 1, 3, 0.0f, &res, &n);
    for (int i = 0; i < n; i++)
      printf("%.*s dist=%.4f val=%.*s\n",
        res[i].nKey, (char*)res[i].pKey,
        res[i].distance,
        res[i].nValue, (char*)res[i].pValue);
    IS_TEXT("doc:1", res[0].pKey, res[0].nKey);
    kvstore_vec_free_results(res, n);
    CHECK(n == 4);
  }
  {
    float vec[128];
    fill(vec, 4);
    const char *token = "token";
    int nToken = 5;
    /* Expire in 60 seconds */
    int64_t exp = kvstore_now_ms() + 60000;
    kvstore_vec_put(vs, "sess:abc", 8, token, nToken, vec, exp, NULL, 0);
    /* Bulk-delete all expired vectors */
    int nPurged = 0;
    kvstore_vec_purge_expired(vs, &nPurged);
    CHECK(nPurged == 0 && kvstore_vec_count(vs) == 5);
  }
  {
    kvstore_vec_drop_index(vs);
    /* index gone, KV intact */
    void *v = NULL;
    int n = 0;
    kvstore_vec_get(vs, "doc:1", 5, &v, &n); /* still works */
    IS_TEXT("hello", v, n);
    snkv_free(v);
  }
  kvstore_vec_close(vs);
  return check_failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
