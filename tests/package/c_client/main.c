/* Both ways to include the interface: as SNKV's programs do, and by its place. */
#define SNKV_IMPLEMENTATION
#include "snkv.h"
#include <snkv/c/kvstore.h>

#include <stdio.h>
#include <string.h>

int main(void) {
  KVStore *store = NULL;
  void *value = NULL;
  int size = 0;
  if (kvstore_open("client.db", &store, KVSTORE_JOURNAL_WAL) != KVSTORE_OK) {
    fprintf(stderr, "%s\n", kvstore_errmsg(NULL));
    return 1;
  }
  const int same = kvstore_put(store, "key", 3, "value", 5) == KVSTORE_OK &&
                   kvstore_get(store, "key", 3, &value, &size) == KVSTORE_OK && size == 5 &&
                   memcmp(value, "value", 5) == 0;
  snkv_free(value);
  return kvstore_close(store) == KVSTORE_OK && same ? 0 : 1;
}
