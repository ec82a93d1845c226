#include <snkv/c/kvstore_vec.h>

#include <stdio.h>

int main(void) {
  KVVecStore *docs = NULL;
  const int code = kvstore_vec_open("docs.db", 3, KVVEC_SPACE_COSINE, 0, 0, 0, /* defaults */
                                    KVVEC_DTYPE_F32, NULL, 0, &docs);
  if (code != KVSTORE_OK) {
    fprintf(stderr, "%d: %s\n", code, kvstore_errmsg(NULL));
    return 1;
  }

  const float east[] = {1, 0, 0}, north[] = {0, 1, 0};
  kvstore_vec_put(docs, "doc:1", 5, "to the east", 11, east, 0, "{\"year\":2024}", 13);
  kvstore_vec_put(docs, "doc:2", 5, "to the north", 12, north, 0, NULL, 0);

  const float query[] = {0.9f, 0.1f, 0};
  KVVecSearchResult *found = NULL;
  int count = 0;
  if (kvstore_vec_search(docs, query, 10, 1, 0, 0, &found, &count) == KVSTORE_OK) {
    for (int i = 0; i < count; ++i) {
      printf("%.*s %.3f %.*s\n", found[i].nKey, (char *)found[i].pKey, found[i].distance,
             found[i].nValue, (char *)found[i].pValue);
    }
    kvstore_vec_free_results(found, count);
  }
  kvstore_vec_close(docs);
  return count == 2 ? 0 : 1;
}
