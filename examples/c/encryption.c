#include <snkv/c/kvstore.h>

#include <stdio.h>

int main(void) {
  KVStore *store = NULL;
  int code = kvstore_open_encrypted("secret.db", "hunter2", 7, &store, NULL);
  if (code == KVSTORE_AUTH_FAILED) puts("wrong password");
  if (code != KVSTORE_OK) return 1;
  kvstore_put(store, "token", 5, "xyz", 3);

  /* From now on another password opens it. */
  code = kvstore_reencrypt(store, "correct horse", 13);
  kvstore_close(store);
  if (code != KVSTORE_OK) return 1;

  if (kvstore_open_encrypted("secret.db", "hunter2", 7, &store, NULL) != KVSTORE_AUTH_FAILED) return 1;
  if (kvstore_open_encrypted("secret.db", "correct horse", 13, &store, NULL) != KVSTORE_OK) return 1;
  printf("encrypted: %d\n", kvstore_is_encrypted(store));
  return kvstore_close(store) == KVSTORE_OK ? 0 : 1;
}
