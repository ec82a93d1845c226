/* Encryption through the C interface: who gets in, what is refused, and what stays as it was. */
#include "check.h"

#include <snkv/c/kvstore.h>

#include <unistd.h>

static void put(KVStore *store, const char *key, const char *value) {
  OK(kvstore_put(store, key, (int)strlen(key), value, (int)strlen(value)));
}

static void has(KVStore *store, const char *key, const char *wanted) {
  void *value = NULL;
  int size = -1;
  OK(kvstore_get(store, key, (int)strlen(key), &value, &size));
  if (value != NULL) IS_TEXT(wanted, value, size);
  snkv_free(value);
}

/* How often the text is in the file. */
static int hits(const char *path, const char *text) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) return 0;
  int found = 0;
  size_t matched = 0;
  for (int c = fgetc(file); c != EOF; c = fgetc(file)) {
    matched = c == text[matched] ? matched + 1 : c == text[0];
    if (text[matched] == '\0') {
      ++found;
      matched = 0;
    }
  }
  fclose(file);
  return found;
}

static KVStore *must_open(const char *path, const char *password) {
  KVStore *store = NULL;
  OK(kvstore_open_encrypted(path, password, (int)strlen(password), &store, NULL));
  if (store == NULL) exit(EXIT_FAILURE);
  return store;
}

static void bad_arguments(void) {
  int nothing = 0;
  KVStore *store = (KVStore *)(void *)&nothing;
  GIVES(KVSTORE_ERROR, kvstore_open_encrypted("bad.db", "p", 1, NULL, NULL));
  GIVES(KVSTORE_ERROR, kvstore_open_encrypted("bad.db", "", 0, &store, NULL));
  CHECK(store == NULL);
  CHECK(strstr(kvstore_errmsg(NULL), "empty") != NULL);
  GIVES(KVSTORE_ERROR, kvstore_open_encrypted("bad.db", NULL, 0, &store, NULL));
  GIVES(KVSTORE_ERROR, kvstore_open_encrypted("bad.db", NULL, 3, &store, NULL));
  GIVES(KVSTORE_ERROR, kvstore_open_encrypted("bad.db", "p", -1, &store, NULL));
  GIVES(KVSTORE_ERROR, kvstore_open_encrypted(NULL, "p", 1, &store, NULL));
  GIVES(KVSTORE_ERROR, kvstore_open_encrypted(":memory:", "p", 1, &store, NULL));
  GIVES(KVSTORE_ERROR, kvstore_open_encrypted("", "p", 1, &store, NULL));
  KVStoreConfig config;
  memset(&config, 0, sizeof(config));
  config.pageSize = 5000;
  GIVES(KVSTORE_ERROR, kvstore_open_encrypted("bad.db", "p", 1, &store, &config));
  CHECK(store == NULL);
  CHECK(access("bad.db", F_OK) != 0);

  CHECK(kvstore_is_encrypted(NULL) == 0);
  GIVES(KVSTORE_ERROR, kvstore_reencrypt(NULL, "p", 1));
  GIVES(KVSTORE_ERROR, kvstore_remove_encryption(NULL));

  OK(kvstore_open("plain.db", &store, KVSTORE_JOURNAL_WAL));
  CHECK(kvstore_is_encrypted(store) == 0);
  GIVES(KVSTORE_ERROR, kvstore_reencrypt(store, "p", 1));
  GIVES(KVSTORE_ERROR, kvstore_remove_encryption(store));
  OK(kvstore_close(store));
  CHECK(kvstore_is_encrypted(store) == 0);
  GIVES(KVSTORE_ERROR, kvstore_reencrypt(store, "p", 1));

  store = must_open("empty.db", "p");
  GIVES(KVSTORE_ERROR, kvstore_reencrypt(store, "", 0));
  GIVES(KVSTORE_ERROR, kvstore_reencrypt(store, NULL, 2));
  GIVES(KVSTORE_ERROR, kvstore_reencrypt(store, "p", -1));
  OK(kvstore_close(store));
  OK(kvstore_close(must_open("empty.db", "p")));
}

/* The documented meaning of opening a plain store with a password. */
static void encrypting_a_plain_store(void) {
  KVStore *store = NULL;
  KVStore *other = NULL;
  OK(kvstore_open("was_plain.db", &store, KVSTORE_JOURNAL_WAL));
  put(store, "key", "CANARY-of-the-plain-store");
  GIVES(KVSTORE_BUSY, kvstore_open_encrypted("was_plain.db", "p", 1, &other, NULL));
  CHECK(other == NULL);
  has(store, "key", "CANARY-of-the-plain-store");
  OK(kvstore_close(store));
  CHECK(hits("was_plain.db", "CANARY") > 0);
  KVStoreConfig config;
  memset(&config, 0, sizeof(config));
  config.readOnly = 1;
  GIVES(KVSTORE_ERROR, kvstore_open_encrypted("was_plain.db", "p", 1, &other, &config));
  GIVES(KVSTORE_ERROR, kvstore_open_encrypted("was_plain.db", "", 0, &other, NULL));
  OK(kvstore_open("was_plain.db", &store, KVSTORE_JOURNAL_WAL));
  OK(kvstore_close(store));

  store = must_open("was_plain.db", "p");
  CHECK(kvstore_is_encrypted(store) == 1);
  has(store, "key", "CANARY-of-the-plain-store");
  OK(kvstore_close(store));
  CHECK(hits("was_plain.db", "CANARY") == 0);
  GIVES(KVSTORE_AUTH_FAILED, kvstore_open("was_plain.db", &store, KVSTORE_JOURNAL_WAL));
  GIVES(KVSTORE_AUTH_FAILED, kvstore_open_encrypted("was_plain.db", "q", 1, &store, NULL));
  OK(kvstore_open_encrypted("was_plain.db", "p", 1, &store, &config));
  has(store, "key", "CANARY-of-the-plain-store");
  GIVES(KVSTORE_READONLY, kvstore_reencrypt(store, "q", 1));
  GIVES(KVSTORE_READONLY, kvstore_remove_encryption(store));
  OK(kvstore_close(store));
}

static void changing_the_password(void) {
  KVStore *store = must_open("change.db", "old");
  KVColumnFamily *family = NULL;
  KVIterator *iterator = NULL;
  OK(kvstore_cf_create(store, "f", &family));
  put(store, "key", "value");
  OK(kvstore_cf_put(family, "k", 1, "of the family", 13));
  OK(kvstore_begin(store, 1));
  GIVES(KVSTORE_LOCKED, kvstore_reencrypt(store, "new", 3));
  GIVES(KVSTORE_LOCKED, kvstore_remove_encryption(store));
  OK(kvstore_rollback(store));
  OK(kvstore_begin(store, 0));
  GIVES(KVSTORE_LOCKED, kvstore_reencrypt(store, "new", 3));
  OK(kvstore_rollback(store));

  OK(kvstore_iterator_create(store, &iterator));
  OK(kvstore_iterator_first(iterator));
  OK(kvstore_reencrypt(store, "new", 3));
  /* What was begun before goes on. */
  void *value = NULL;
  int size = 0;
  OK(kvstore_iterator_value(iterator, &value, &size));
  IS_TEXT("value", value, size);
  kvstore_iterator_close(iterator);
  has(store, "key", "value");
  OK(kvstore_cf_get(family, "k", 1, &value, &size));
  IS_TEXT("of the family", value, size);
  snkv_free(value);
  OK(kvstore_reencrypt(store, "newer", 5));
  kvstore_cf_close(family);
  OK(kvstore_close(store));
  GIVES(KVSTORE_AUTH_FAILED, kvstore_open_encrypted("change.db", "old", 3, &store, NULL));
  GIVES(KVSTORE_AUTH_FAILED, kvstore_open_encrypted("change.db", "new", 3, &store, NULL));
  OK(kvstore_close(must_open("change.db", "newer")));

  /* Somebody else has changed it: what this handle knows no longer opens the store. */
  store = must_open("change.db", "newer");
  KVStore *other = must_open("change.db", "newer");
  OK(kvstore_reencrypt(other, "newest", 6));
  GIVES(KVSTORE_AUTH_FAILED, kvstore_reencrypt(store, "mine", 4));
  GIVES(KVSTORE_AUTH_FAILED, kvstore_get(store, "key", 3, &value, &size));
  OK(kvstore_close(store));
  OK(kvstore_close(other));
  OK(kvstore_close(must_open("change.db", "newest")));
}

static void removing(int journal) {
  KVStoreConfig config;
  memset(&config, 0, sizeof(config));
  config.journalMode = journal;
  const char *path = journal == KVSTORE_JOURNAL_WAL ? "remove_wal.db" : "remove_rollback.db";
  KVStore *store = NULL;
  KVStore *other = NULL;
  KVColumnFamily *family = NULL;
  KVIterator *iterator = NULL;
  void *value = NULL;
  int size = 0;
  OK(kvstore_open_encrypted(path, "p", 1, &store, &config));
  OK(kvstore_cf_create(store, "f", &family));
  OK(kvstore_cf_put(family, "k", 1, "of the family", 13));
  put(store, "a", "CANARY-a");
  put(store, "b", "CANARY-b");

  /* With a rollback journal nobody can tell that another handle is there. */
  if (journal == KVSTORE_JOURNAL_WAL) {
    OK(kvstore_open_encrypted(path, "p", 1, &other, &config));
    GIVES(KVSTORE_BUSY, kvstore_remove_encryption(store));
    CHECK(kvstore_is_encrypted(store) == 1);
    has(store, "a", "CANARY-a");
    put(store, "a", "CANARY-c");
    OK(kvstore_cf_get(family, "k", 1, &value, &size));
    IS_TEXT("of the family", value, size);
    snkv_free(value);
    OK(kvstore_close(other));
  }

  OK(kvstore_iterator_create(store, &iterator));
  OK(kvstore_iterator_first(iterator));
  if (journal == KVSTORE_JOURNAL_WAL) {
    GIVES(KVSTORE_BUSY, kvstore_remove_encryption(store));
    kvstore_iterator_close(iterator);
    iterator = NULL;
  }
  CHECK(hits(path, "CANARY") == 0);
  /* Wherever the program is meanwhile. */
  char folder[4096];
  CHECK(getcwd(folder, sizeof(folder)) != NULL);
  CHECK(chdir("/") == 0);
  OK(kvstore_remove_encryption(store));
  CHECK(kvstore_is_encrypted(store) == 0);
  has(store, "b", "CANARY-b");
  put(store, "c", "new");
  OK(kvstore_cf_put(family, "k2", 2, "v", 1));
  CHECK(chdir(folder) == 0);
  if (iterator != NULL) {
    OK(kvstore_iterator_next(iterator));
    OK(kvstore_iterator_value(iterator, &value, &size));
    IS_TEXT("CANARY-b", value, size);
    kvstore_iterator_close(iterator);
  }
  GIVES(KVSTORE_ERROR, kvstore_remove_encryption(store));
  kvstore_cf_close(family);
  OK(kvstore_close(store));
  CHECK(hits(path, "CANARY") == 2);
  OK(kvstore_open(path, &store, journal));
  has(store, "c", "new");
  OK(kvstore_close(store));
}

int main(void) {
  bad_arguments();
  encrypting_a_plain_store();
  changing_the_password();
  removing(KVSTORE_JOURNAL_WAL);
  removing(KVSTORE_JOURNAL_ROLLBACK);
  return check_failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
