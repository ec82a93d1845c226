#include <kvstore.h>

#include <stdio.h>

int run(void) {
  KVStore *store = 0;
  if (kvstore_open("c_plugin.db", &store, KVSTORE_JOURNAL_WAL) != KVSTORE_OK) return 1;
  if (kvstore_put(store, "key", 3, "value", 5) != KVSTORE_OK) return 1;
  if (kvstore_close(store) != KVSTORE_OK) return 1;
  return remove("c_plugin.db");
}
