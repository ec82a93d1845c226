#include <snkv/c/kvstore.h>

#include <stdio.h>

int main(void) {
  KVStore *store = NULL;
  KVStoreConfig config = {0}; /* zeros are the defaults: a log, synced when it has to be */
  config.busyTimeout = 5000;  /* wait for other processes */
  if (kvstore_open_v2("app.db", &store, &config) != KVSTORE_OK) {
    fprintf(stderr, "%s\n", kvstore_errmsg(NULL));
    return 1;
  }

  /* Both or none. */
  kvstore_begin(store, 1);
  kvstore_put(store, "user:1", 6, "alice", 5);
  kvstore_put(store, "user:2", 6, "bob", 3);
  if (kvstore_commit(store) != KVSTORE_OK) fprintf(stderr, "%s\n", kvstore_errmsg(store));

  void *name = NULL;
  int size = 0;
  if (kvstore_get(store, "user:2", 6, &name, &size) == KVSTORE_OK) {
    printf("user 2 is %.*s\n", size, (char *)name);
    snkv_free(name);
  }

  /* Keys with a prefix, in order. An end is no error, and an error is no end. */
  KVIterator *users = NULL;
  int code = kvstore_prefix_iterator_create(store, "user:", 5, &users);
  while (code == KVSTORE_OK && !kvstore_iterator_eof(users)) {
    void *key, *value;
    int key_size, value_size;
    kvstore_iterator_key(users, &key, &key_size);
    kvstore_iterator_value(users, &value, &value_size);
    printf("%.*s = %.*s\n", key_size, (char *)key, value_size, (char *)value);
    code = kvstore_iterator_next(users);
  }
  kvstore_iterator_close(users);

  /* In a family of its own, for an hour. */
  KVColumnFamily *sessions = NULL;
  if (kvstore_cf_open(store, "sessions", &sessions) == KVSTORE_NOTFOUND) {
    kvstore_cf_create(store, "sessions", &sessions);
  }
  const int64_t in_an_hour = kvstore_now_ms() + 3600 * 1000;
  kvstore_cf_put_ttl(sessions, "abc", 3, "token", 5, in_an_hour);
  kvstore_cf_close(sessions);

  return kvstore_close(store) == KVSTORE_OK && code == KVSTORE_OK ? 0 : 1;
}
