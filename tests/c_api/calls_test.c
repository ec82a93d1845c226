/* Every function of kvstore.h from a program in C, with good arguments and with bad ones. Runs in an
   empty folder. */
#include <snkv/c/kvstore.h>

#include "check.h"

/* Handles of every wrong kind: none, of another kind, closed, and bytes that never were a handle. */
typedef struct {
  KVStore *stores[5];
  KVColumnFamily *families[5];
  KVIterator *iterators[5];
} Wrong;

enum { wrong_kinds = 5 };

/* No handle: zeros, and text. */
static uint64_t zeros[16];
static char text[128] = "this is not a handle, and never was one";

static KVStore *open_store(void) {
  KVStore *store = NULL;
  OK(kvstore_open_v2(NULL, &store, NULL));
  CHECK(store != NULL);
  return store;
}

static void *aligned(void *memory) {
  const uintptr_t address = (uintptr_t)memory;
  return (void *)((address + 63) & ~(uintptr_t)63);
}

static Wrong wrong_handles(KVStore *open) {
  Wrong wrong;
  memset(&wrong, 0, sizeof(wrong));
  KVStore *store = open_store();
  KVColumnFamily *family = NULL;
  KVIterator *iterator = NULL;
  OK(kvstore_cf_get_default(open, &family));
  OK(kvstore_iterator_create(open, &iterator));
  kvstore_cf_close(family);
  kvstore_iterator_close(iterator);
  OK(kvstore_close(store));
  wrong.stores[1] = store;
  wrong.families[1] = family;
  wrong.iterators[1] = iterator;
  wrong.stores[2] = (KVStore *)(void *)family;
  wrong.families[2] = (KVColumnFamily *)(void *)open;
  wrong.iterators[2] = (KVIterator *)(void *)open;
  for (int i = 3; i < wrong_kinds; ++i) {
    void *memory = i == 3 ? aligned(zeros) : aligned(text);
    wrong.stores[i] = (KVStore *)memory;
    wrong.families[i] = (KVColumnFamily *)memory;
    wrong.iterators[i] = (KVIterator *)memory;
  }
  return wrong;
}

static void opening(void) {
  KVStore *store = NULL;
  KVStoreConfig config;
  memset(&config, 0, sizeof(config));

  OK(kvstore_open("calls.db", &store, KVSTORE_JOURNAL_WAL));
  OK(kvstore_close(store));
  OK(kvstore_open("journal.db", &store, KVSTORE_JOURNAL_DELETE));
  OK(kvstore_close(store));
  OK(kvstore_open_v2(":memory:", &store, &config));
  OK(kvstore_close(store));
  CHECK(fopen(":memory:", "rb") == NULL);

  GIVES(KVSTORE_ERROR, kvstore_open("calls.db", NULL, KVSTORE_JOURNAL_WAL));
  GIVES(KVSTORE_ERROR, kvstore_open_v2("calls.db", NULL, NULL));
  store = (KVStore *)(void *)text;
  GIVES(KVSTORE_ERROR, kvstore_open("", &store, KVSTORE_JOURNAL_WAL));
  CHECK(store == NULL);
  GIVES(KVSTORE_ERROR, kvstore_open("no/such/folder/x.db", &store, KVSTORE_JOURNAL_WAL));
  CHECK(strstr(kvstore_errmsg(NULL), "no/such/folder") != NULL);
  GIVES(KVSTORE_ERROR, kvstore_open("calls.db", &store, 3));
  GIVES(KVSTORE_ERROR, kvstore_open("calls.db", &store, -1));

  int *const fields[] = {&config.journalMode,  &config.syncLevel,   &config.cacheSize,
                         &config.pageSize,     &config.busyTimeout, &config.walSizeLimit};
  for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); ++i) {
    *fields[i] = -1;
    store = (KVStore *)(void *)text;
    GIVES(KVSTORE_ERROR, kvstore_open_v2("calls.db", &store, &config));
    CHECK(store == NULL);
    *fields[i] = 0;
  }
  config.pageSize = 5000;
  GIVES(KVSTORE_ERROR, kvstore_open_v2("calls.db", &store, &config));
  config.pageSize = 131072;
  GIVES(KVSTORE_ERROR, kvstore_open_v2("calls.db", &store, &config));
  config.pageSize = 512;
  OK(kvstore_open_v2("small_pages.db", &store, &config));
  OK(kvstore_close(store));
  config.pageSize = 0;
  config.syncLevel = 4;
  GIVES(KVSTORE_ERROR, kvstore_open_v2("calls.db", &store, &config));
  config.syncLevel = KVSTORE_SYNC_NEVER;
  config.journalMode = KVSTORE_JOURNAL_ROLLBACK;
  config.cacheSize = 10;
  config.busyTimeout = 1;
  config.walSizeLimit = 1;
  config.allowEncrypted = 1;
  config.fullMutex = 1;
  OK(kvstore_open_v2("calls.db", &store, &config));
  OK(kvstore_close(store));
  config.readOnly = 1;
  GIVES(KVSTORE_ERROR, kvstore_open_v2("is_not_there.db", &store, &config));
  OK(kvstore_open_v2("calls.db", &store, &config));
  GIVES(KVSTORE_READONLY, kvstore_put(store, "k", 1, "v", 1));
  GIVES(KVSTORE_READONLY, kvstore_begin(store, 1));
  OK(kvstore_close(store));
  FILE *other = fopen("other.db", "wb");
  CHECK(other != NULL);
  for (int i = 0; i < 100; ++i) fputs("no database at all\n", other);
  fclose(other);
  GIVES(KVSTORE_ERROR, kvstore_open("other.db", &store, KVSTORE_JOURNAL_WAL));
}

static void entries(KVStore *store) {
  void *value = NULL;
  int size = -1;
  int flag = -1;
  int64_t number = -7;
  const int64_t later = kvstore_now_ms() + 3600 * 1000;
  /* The header brings the formats of its numbers. */
  char digits[32];
  CHECK(snprintf(digits, sizeof(digits), "%" PRId64, later) > 12);

  OK(kvstore_put(store, "k", 1, "value", 5));
  OK(kvstore_get(store, "k", 1, &value, &size));
  IS_TEXT("value", value, size);
  sqliteFree(value);
  OK(kvstore_exists(store, "k", 1, &flag));
  CHECK(flag == 1);
  OK(kvstore_count(store, &number));
  CHECK(number == 1);
  OK(kvstore_put_if_absent(store, "k", 1, "other", 5, 0, &flag));
  CHECK(flag == 0);
  OK(kvstore_put_if_absent(store, "new", 3, "other", 5, later, NULL));
  OK(kvstore_ttl_remaining(store, "new", 3, &number));
  CHECK(number > 0 && number <= 3600 * 1000);
  OK(kvstore_put_ttl(store, "t", 1, "token", 5, later));
  OK(kvstore_get_ttl(store, "t", 1, &value, &size, &number));
  IS_TEXT("token", value, size);
  CHECK(number > 0 && number <= 3600 * 1000);
  snkv_free(value);
  OK(kvstore_get_ttl(store, "k", 1, &value, &size, &number));
  CHECK(number == KVSTORE_NO_TTL);
  snkv_free(value);
  OK(kvstore_get_ttl(store, "k", 1, &value, &size, NULL));
  snkv_free(value);
  OK(kvstore_put_ttl(store, "past", 4, "x", 1, 1));
  GIVES(KVSTORE_NOTFOUND, kvstore_get(store, "past", 4, &value, &size));
  GIVES(KVSTORE_NOTFOUND, kvstore_get_ttl(store, "past", 4, &value, &size, &number));
  CHECK(number == 0 && value == NULL);
  OK(kvstore_ttl_remaining(store, "past", 4, &number));
  CHECK(number == 0);
  OK(kvstore_purge_expired(store, &flag));
  CHECK(flag == 1);
  OK(kvstore_purge_expired(store, NULL));
  GIVES(KVSTORE_NOTFOUND, kvstore_ttl_remaining(store, "past", 4, &number));

  /* Empty values, with and without a pointer. */
  OK(kvstore_put(store, "empty", 5, NULL, 0));
  OK(kvstore_put(store, "empty too", 9, "", 0));
  OK(kvstore_get(store, "empty", 5, &value, &size));
  CHECK(value != NULL && size == 0);
  snkv_free(value);

  OK(kvstore_delete(store, "k", 1));
  GIVES(KVSTORE_NOTFOUND, kvstore_delete(store, "k", 1));
  GIVES(KVSTORE_NOTFOUND, kvstore_get(store, "k", 1, &value, &size));
  CHECK(value == NULL && size == 0);
  OK(kvstore_exists(store, "k", 1, &flag));
  CHECK(flag == 0);
  OK(kvstore_clear(store));
  OK(kvstore_count(store, &number));
  CHECK(number == 0);
}

/* Keys that are none: NULL, no bytes, fewer than none, too many. */
static void bad_keys(KVStore *store) {
  static char long_key[65537];
  const struct {
    const void *key;
    int size;
  } bad[] = {{NULL, 0}, {NULL, 3}, {"k", 0}, {"k", -1}, {"k", -2147483647 - 1},
             {long_key, (int)sizeof(long_key)}};
  KVColumnFamily *family = NULL;
  OK(kvstore_cf_get_default(store, &family));
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); ++i) {
    const void *key = bad[i].key;
    const int size = bad[i].size;
    void *value = text;
    int value_size = 9;
    int flag = 9;
    int64_t number = 9;
    GIVES(KVSTORE_ERROR, kvstore_put(store, key, size, "v", 1));
    GIVES(KVSTORE_ERROR, kvstore_put_ttl(store, key, size, "v", 1, 0));
    GIVES(KVSTORE_ERROR, kvstore_put_if_absent(store, key, size, "v", 1, 0, &flag));
    GIVES(KVSTORE_ERROR, kvstore_get(store, key, size, &value, &value_size));
    CHECK(value == NULL && value_size == 0);
    GIVES(KVSTORE_ERROR, kvstore_get_ttl(store, key, size, &value, &value_size, &number));
    GIVES(KVSTORE_ERROR, kvstore_exists(store, key, size, &flag));
    GIVES(KVSTORE_ERROR, kvstore_delete(store, key, size));
    GIVES(KVSTORE_ERROR, kvstore_ttl_remaining(store, key, size, &number));
    GIVES(KVSTORE_ERROR, kvstore_cf_put(family, key, size, "v", 1));
    GIVES(KVSTORE_ERROR, kvstore_cf_put_ttl(family, key, size, "v", 1, 0));
    GIVES(KVSTORE_ERROR, kvstore_cf_put_if_absent(family, key, size, "v", 1, 0, &flag));
    GIVES(KVSTORE_ERROR, kvstore_cf_get(family, key, size, &value, &value_size));
    GIVES(KVSTORE_ERROR, kvstore_cf_get_ttl(family, key, size, &value, &value_size, &number));
    GIVES(KVSTORE_ERROR, kvstore_cf_exists(family, key, size, &flag));
    GIVES(KVSTORE_ERROR, kvstore_cf_delete(family, key, size));
    GIVES(KVSTORE_ERROR, kvstore_cf_ttl_remaining(family, key, size, &number));
    CHECK(strcmp(kvstore_errmsg(store), "no error") != 0);
  }
  kvstore_cf_close(family);
}

static void bad_values_and_results(KVStore *store) {
  void *value = NULL;
  int size = 0;
  int64_t number = 0;
  OK(kvstore_put(store, "k", 1, "v", 1));
  GIVES(KVSTORE_ERROR, kvstore_put(store, "k", 1, NULL, 1));
  GIVES(KVSTORE_ERROR, kvstore_put(store, "k", 1, "v", -1));
  GIVES(KVSTORE_ERROR, kvstore_put_ttl(store, "k", 1, NULL, 1, 0));
  GIVES(KVSTORE_ERROR, kvstore_put_ttl(store, "k", 1, "v", 1, -1));
  GIVES(KVSTORE_ERROR, kvstore_put_if_absent(store, "new", 3, "v", -1, 0, NULL));
  GIVES(KVSTORE_ERROR, kvstore_put_if_absent(store, "new", 3, "v", 1, -1, NULL));
  GIVES(KVSTORE_ERROR, kvstore_get(store, "k", 1, NULL, &size));
  GIVES(KVSTORE_ERROR, kvstore_get(store, "k", 1, &value, NULL));
  CHECK(value == NULL);
  GIVES(KVSTORE_ERROR, kvstore_get_ttl(store, "k", 1, NULL, &size, &number));
  GIVES(KVSTORE_ERROR, kvstore_exists(store, "k", 1, NULL));
  GIVES(KVSTORE_ERROR, kvstore_ttl_remaining(store, "k", 1, NULL));
  GIVES(KVSTORE_ERROR, kvstore_count(store, NULL));
  OK(kvstore_count(store, &number));
  CHECK(number == 1);
  OK(kvstore_clear(store));
}

static void families(KVStore *store) {
  KVColumnFamily *family = NULL;
  KVColumnFamily *again = NULL;
  void *value = NULL;
  int size = 0;
  int flag = 0;
  int64_t number = 0;
  char **names = NULL;
  int count = 0;
  const int64_t later = kvstore_now_ms() + 3600 * 1000;

  OK(kvstore_cf_create(store, "users", &family));
  GIVES(KVSTORE_ERROR, kvstore_cf_create(store, "users", &again));
  CHECK(again == NULL);
  OK(kvstore_cf_open(store, "users", &again));
  OK(kvstore_cf_put(family, "k", 1, "value", 5));
  OK(kvstore_cf_get(again, "k", 1, &value, &size));
  IS_TEXT("value", value, size);
  snkv_free(value);
  OK(kvstore_cf_put_ttl(family, "t", 1, "x", 1, later));
  OK(kvstore_cf_get_ttl(family, "t", 1, &value, &size, &number));
  CHECK(number > 0);
  snkv_free(value);
  OK(kvstore_cf_ttl_remaining(family, "t", 1, &number));
  CHECK(number > 0);
  OK(kvstore_cf_put_ttl(family, "past", 4, "x", 1, 1));
  OK(kvstore_cf_purge_expired(family, &flag));
  CHECK(flag == 1);
  OK(kvstore_cf_put_if_absent(family, "k", 1, "other", 5, 0, &flag));
  CHECK(flag == 0);
  OK(kvstore_cf_exists(family, "k", 1, &flag));
  CHECK(flag == 1);
  OK(kvstore_cf_count(family, &number));
  CHECK(number == 2);
  OK(kvstore_cf_delete(family, "k", 1));
  GIVES(KVSTORE_NOTFOUND, kvstore_cf_delete(family, "k", 1));
  OK(kvstore_cf_clear(family));
  OK(kvstore_cf_count(family, &number));
  CHECK(number == 0);

  OK(kvstore_cf_list(store, &names, &count));
  CHECK(count == 1 && strcmp(names[0], "users") == 0);
  for (int i = 0; i < count; ++i) sqliteFree(names[i]);
  sqliteFree(names);

  OK(kvstore_cf_drop(store, "users"));
  GIVES(KVSTORE_NOTFOUND, kvstore_cf_drop(store, "users"));
  GIVES(KVSTORE_NOTFOUND, kvstore_cf_open(store, "users", &family));
  CHECK(family == NULL);
  GIVES(KVSTORE_ERROR, kvstore_cf_put(again, "k", 1, "v", 1));
  kvstore_cf_close(again);

  /* The default one is there without being made, by its name too, and stays; it is in no list. */
  OK(kvstore_put(store, "k", 1, "value", 5));
  for (int in_transaction = 0; in_transaction < 2; ++in_transaction) {
    if (in_transaction) OK(kvstore_begin(store, 1));
    family = (KVColumnFamily *)(void *)text;
    GIVES(KVSTORE_ERROR, kvstore_cf_create(store, "default", &family));
    CHECK(family == NULL && strstr(kvstore_errmsg(store), "exists") != NULL);
    GIVES(KVSTORE_ERROR, kvstore_cf_create(store, "DEFAULT", &family));
    GIVES(KVSTORE_NOTFOUND, kvstore_cf_open(store, "DEFAULT", &family));
    OK(kvstore_cf_open(store, "default", &family));
    OK(kvstore_cf_get(family, "k", 1, &value, &size));
    IS_TEXT("value", value, size);
    snkv_free(value);
    kvstore_cf_close(family);
    GIVES(KVSTORE_ERROR, kvstore_cf_drop(store, "default"));
    if (in_transaction) OK(kvstore_commit(store));
  }
  OK(kvstore_cf_list(store, &names, &count));
  CHECK(count == 0);
  sqliteFree(names);
  OK(kvstore_clear(store));
  /* Reserved names, of this library and of SNKV. */
  static const char *const reserved[] = {"snkv_x", "sqlite_x", "__x", "__", "_snkv_x", "_snkv_"};
  for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); ++i) {
    GIVES(KVSTORE_ERROR, kvstore_cf_create(store, reserved[i], &family));
    GIVES(KVSTORE_ERROR, kvstore_cf_open(store, reserved[i], &family));
    GIVES(KVSTORE_ERROR, kvstore_cf_drop(store, reserved[i]));
    CHECK(family == NULL && strstr(kvstore_errmsg(store), "reserved") != NULL);
  }
  GIVES(KVSTORE_ERROR, kvstore_cf_create(store, NULL, &family));
  GIVES(KVSTORE_ERROR, kvstore_cf_create(store, "", &family));
  GIVES(KVSTORE_ERROR, kvstore_cf_create(store, "x", NULL));
  GIVES(KVSTORE_ERROR, kvstore_cf_open(store, NULL, &family));
  GIVES(KVSTORE_ERROR, kvstore_cf_open(store, "x", NULL));
  GIVES(KVSTORE_ERROR, kvstore_cf_get_default(store, NULL));
  GIVES(KVSTORE_ERROR, kvstore_cf_drop(store, NULL));
  GIVES(KVSTORE_ERROR, kvstore_cf_list(store, NULL, &count));
  GIVES(KVSTORE_ERROR, kvstore_cf_list(store, &names, NULL));
  char long_name[257];
  memset(long_name, 'n', 256);
  long_name[256] = '\0';
  GIVES(KVSTORE_ERROR, kvstore_cf_create(store, long_name, &family));
  long_name[255] = '\0';
  OK(kvstore_cf_create(store, long_name, &family));
  kvstore_cf_close(family);
  kvstore_cf_close(NULL);
  OK(kvstore_cf_drop(store, long_name));
}

static void iterators(KVStore *store) {
  KVColumnFamily *family = NULL;
  KVIterator *iterator = NULL;
  void *data = NULL;
  int size = 0;
  OK(kvstore_cf_get_default(store, &family));
  OK(kvstore_put(store, "a1", 2, "1", 1));
  OK(kvstore_put(store, "a2", 2, "2", 1));
  OK(kvstore_put(store, "b1", 2, NULL, 0));

  OK(kvstore_iterator_create(store, &iterator));
  CHECK(kvstore_iterator_eof(iterator) == 1);
  OK(kvstore_iterator_next(iterator));
  GIVES(KVSTORE_ERROR, kvstore_iterator_key(iterator, &data, &size));
  OK(kvstore_iterator_first(iterator));
  OK(kvstore_iterator_key(iterator, &data, &size));
  IS_TEXT("a1", data, size);
  OK(kvstore_iterator_value(iterator, &data, &size));
  IS_TEXT("1", data, size);
  OK(kvstore_iterator_next(iterator));
  OK(kvstore_iterator_next(iterator));
  OK(kvstore_iterator_value(iterator, &data, &size));
  CHECK(data != NULL && size == 0);
  OK(kvstore_iterator_next(iterator));
  CHECK(kvstore_iterator_eof(iterator) == 1);
  OK(kvstore_iterator_next(iterator));
  GIVES(KVSTORE_ERROR, kvstore_iterator_value(iterator, &data, &size));
  CHECK(data == NULL && size == 0);
  OK(kvstore_iterator_seek(iterator, "a15", 3));
  OK(kvstore_iterator_key(iterator, &data, &size));
  IS_TEXT("a2", data, size);
  /* A key of the iterator itself. */
  OK(kvstore_iterator_seek(iterator, data, size));
  OK(kvstore_iterator_key(iterator, &data, &size));
  IS_TEXT("a2", data, size);
  OK(kvstore_iterator_seek(iterator, NULL, 0));
  OK(kvstore_iterator_key(iterator, &data, &size));
  IS_TEXT("a1", data, size);
  GIVES(KVSTORE_ERROR, kvstore_iterator_seek(iterator, NULL, 1));
  GIVES(KVSTORE_ERROR, kvstore_iterator_seek(iterator, "a", -1));
  GIVES(KVSTORE_ERROR, kvstore_iterator_last(iterator));
  GIVES(KVSTORE_ERROR, kvstore_iterator_prev(iterator));
  GIVES(KVSTORE_ERROR, kvstore_iterator_key(iterator, NULL, &size));
  GIVES(KVSTORE_ERROR, kvstore_iterator_value(iterator, &data, NULL));
  kvstore_iterator_close(iterator);
  kvstore_iterator_close(NULL);

  OK(kvstore_reverse_iterator_create(store, &iterator));
  CHECK(kvstore_iterator_eof(iterator) == 1);
  OK(kvstore_iterator_last(iterator));
  OK(kvstore_iterator_key(iterator, &data, &size));
  IS_TEXT("b1", data, size);
  OK(kvstore_iterator_prev(iterator));
  OK(kvstore_iterator_key(iterator, &data, &size));
  IS_TEXT("a2", data, size);
  OK(kvstore_iterator_seek(iterator, "a15", 3));
  OK(kvstore_iterator_key(iterator, &data, &size));
  IS_TEXT("a1", data, size);
  GIVES(KVSTORE_ERROR, kvstore_iterator_first(iterator));
  GIVES(KVSTORE_ERROR, kvstore_iterator_next(iterator));
  kvstore_iterator_close(iterator);

  OK(kvstore_prefix_iterator_create(store, "a", 1, &iterator));
  OK(kvstore_iterator_key(iterator, &data, &size));
  IS_TEXT("a1", data, size);
  OK(kvstore_iterator_next(iterator));
  OK(kvstore_iterator_next(iterator));
  CHECK(kvstore_iterator_eof(iterator) == 1);
  OK(kvstore_iterator_seek(iterator, "b", 1));
  CHECK(kvstore_iterator_eof(iterator) == 1);
  kvstore_iterator_close(iterator);
  OK(kvstore_reverse_prefix_iterator_create(store, "a", 1, &iterator));
  OK(kvstore_iterator_key(iterator, &data, &size));
  IS_TEXT("a2", data, size);
  kvstore_iterator_close(iterator);
  OK(kvstore_prefix_iterator_create(store, NULL, 0, &iterator));
  OK(kvstore_iterator_key(iterator, &data, &size));
  IS_TEXT("a1", data, size);
  kvstore_iterator_close(iterator);

  OK(kvstore_cf_iterator_create(family, &iterator));
  OK(kvstore_iterator_first(iterator));
  CHECK(kvstore_iterator_eof(iterator) == 0);
  kvstore_iterator_close(iterator);
  OK(kvstore_cf_prefix_iterator_create(family, "b", 1, &iterator));
  CHECK(kvstore_iterator_eof(iterator) == 0);
  kvstore_iterator_close(iterator);
  OK(kvstore_cf_reverse_iterator_create(family, &iterator));
  OK(kvstore_iterator_last(iterator));
  kvstore_iterator_close(iterator);
  OK(kvstore_cf_reverse_prefix_iterator_create(family, "b", 1, &iterator));
  CHECK(kvstore_iterator_eof(iterator) == 0);
  kvstore_iterator_close(iterator);

  GIVES(KVSTORE_ERROR, kvstore_iterator_create(store, NULL));
  GIVES(KVSTORE_ERROR, kvstore_prefix_iterator_create(store, NULL, 2, &iterator));
  CHECK(iterator == NULL);
  GIVES(KVSTORE_ERROR, kvstore_prefix_iterator_create(store, "a", -1, &iterator));
  GIVES(KVSTORE_ERROR, kvstore_reverse_prefix_iterator_create(store, "a", -1, &iterator));
  GIVES(KVSTORE_ERROR, kvstore_cf_prefix_iterator_create(family, NULL, 1, &iterator));
  GIVES(KVSTORE_ERROR, kvstore_cf_reverse_prefix_iterator_create(family, NULL, 1, &iterator));
  kvstore_cf_close(family);
  OK(kvstore_clear(store));
}

static void transactions(KVStore *store) {
  int flag = 0;
  OK(kvstore_begin(store, 1));
  GIVES(KVSTORE_ERROR, kvstore_begin(store, 1));
  OK(kvstore_put(store, "k", 1, "v", 1));
  GIVES(KVSTORE_BUSY, kvstore_checkpoint(store, KVSTORE_CHECKPOINT_PASSIVE, NULL, NULL));
  GIVES(KVSTORE_LOCKED, kvstore_incremental_vacuum(store, 0));
  OK(kvstore_rollback(store));
  OK(kvstore_exists(store, "k", 1, &flag));
  CHECK(flag == 0);
  OK(kvstore_begin(store, 1));
  OK(kvstore_put(store, "k", 1, "v", 1));
  OK(kvstore_commit(store));
  OK(kvstore_exists(store, "k", 1, &flag));
  CHECK(flag == 1);
  OK(kvstore_begin(store, 0));
  GIVES(KVSTORE_READONLY, kvstore_put(store, "k", 1, "v", 1));
  OK(kvstore_commit(store));
  GIVES(KVSTORE_ERROR, kvstore_commit(store));
  GIVES(KVSTORE_ERROR, kvstore_rollback(store));
}

static void maintenance(KVStore *store) {
  KVStoreStats stats;
  char *message = (char *)text;
  int log = -1;
  int copied = -1;
  OK(kvstore_stats_reset(store));
  OK(kvstore_put(store, "key", 3, "value", 5));
  OK(kvstore_stats(store, &stats));
  CHECK(stats.nPuts == 1 && stats.nBytesWritten == 8 && stats.nDbPages > 0);
  GIVES(KVSTORE_ERROR, kvstore_stats(store, NULL));
  OK(kvstore_integrity_check(store, &message));
  CHECK(message == NULL);
  OK(kvstore_integrity_check(store, NULL));
  OK(kvstore_sync(store));
  OK(kvstore_incremental_vacuum(store, 0));
  OK(kvstore_incremental_vacuum(store, 50));
  GIVES(KVSTORE_ERROR, kvstore_incremental_vacuum(store, -1));
  for (int mode = KVSTORE_CHECKPOINT_PASSIVE; mode <= KVSTORE_CHECKPOINT_TRUNCATE; ++mode) {
    OK(kvstore_checkpoint(store, mode, &log, &copied));
    CHECK(log >= 0 && copied >= 0);
  }
  GIVES(KVSTORE_ERROR, kvstore_checkpoint(store, 4, NULL, NULL));
  GIVES(KVSTORE_ERROR, kvstore_checkpoint(store, -1, &log, NULL));
  CHECK(log == 0);
  CHECK(strstr(kvstore_errmsg(store), "mode") != NULL);
}

/* Counts its calls in `context`, and asks to stop at the one that is number `stop_at`. */
typedef struct {
  int calls;
  int stop_at;
  uint64_t done;
  uint64_t total;
} Told;

static int tell(void *context, uint64_t done, uint64_t total) {
  Told *told = context;
  told->done = done;
  told->total = total;
  return ++told->calls == told->stop_at;
}

static void write_text(const char *path) {
  FILE *file = fopen(path, "wb");
  CHECK(file != NULL);
  for (int i = 0; i < 1000; ++i) fputs("no database at all\n", file);
  fclose(file);
}

/* A copy of a store that has "k" = `value`; a copy of a closed store is a backup. */
static void make_store(const char *path, const char *value) {
  KVStore *store = NULL;
  OK(kvstore_open(path, &store, KVSTORE_JOURNAL_WAL));
  char key[16];
  for (int i = 0; i < 2000; ++i) {
    snprintf(key, sizeof(key), "k%d", i);
    OK(kvstore_put(store, key, (int)strlen(key), "some bytes", 10));
  }
  OK(kvstore_put(store, "k", 1, value, (int)strlen(value)));
  OK(kvstore_close(store));
}

static void has(const char *path, const char *expected) {
  KVStore *store = NULL;
  void *value = NULL;
  int size = 0;
  OK(kvstore_open(path, &store, KVSTORE_JOURNAL_WAL));
  OK(kvstore_get(store, "k", 1, &value, &size));
  IS_TEXT(expected, value, size);
  snkv_free(value);
  OK(kvstore_close(store));
}

static void restoring(void) {
  KVStore *store = NULL;
  Told told = {0, 0, 0, 0};
  make_store("backup.db", "old");
  make_store("restored.db", "new");
  write_text("restore.txt");

  /* What stops it, or is refused, leaves the store as it was. */
  told.stop_at = 1;
  GIVES(KVSTORE_INTERRUPT, kvstore_restore("backup.db", "restored.db", tell, &told));
  CHECK(told.calls == 1);
  CHECK(strstr(kvstore_errmsg(NULL), "restore") != NULL);
  OK(kvstore_open("restored.db", &store, KVSTORE_JOURNAL_WAL));
  GIVES(KVSTORE_BUSY, kvstore_restore("backup.db", "restored.db", NULL, NULL));
  OK(kvstore_put(store, "k", 1, "newer", 5));
  OK(kvstore_close(store));
  GIVES(KVSTORE_ERROR, kvstore_restore("restored.db", "restored.db", NULL, NULL));
  GIVES(KVSTORE_ERROR, kvstore_restore("is_not_there.db", "restored.db", NULL, NULL));
  CHECK(strstr(kvstore_errmsg(NULL), "is_not_there.db") != NULL);
  GIVES(KVSTORE_ERROR, kvstore_restore("restore.txt", "restored.db", NULL, NULL));
  GIVES(KVSTORE_ERROR, kvstore_restore("backup.db", "restore.txt", NULL, NULL));
  GIVES(KVSTORE_ERROR, kvstore_restore("backup.db", "no/such/folder/x.db", NULL, NULL));
  static const char *const no_files[] = {NULL, "", ":memory:"};
  for (size_t i = 0; i < sizeof(no_files) / sizeof(no_files[0]); ++i) {
    GIVES(KVSTORE_ERROR, kvstore_restore(no_files[i], "restored.db", NULL, NULL));
    GIVES(KVSTORE_ERROR, kvstore_restore("backup.db", no_files[i], NULL, NULL));
    CHECK(strcmp(kvstore_errmsg(NULL), "no error") != 0);
  }
  CHECK(fopen(":memory:", "rb") == NULL);
  has("restored.db", "newer");

  told.calls = told.stop_at = 0;
  OK(kvstore_restore("backup.db", "restored.db", tell, &told));
  CHECK(told.calls > 0 && told.done > 0 && told.done <= told.total);
  has("restored.db", "old");
  OK(kvstore_restore("backup.db", "restored_too.db", NULL, NULL));
  has("restored_too.db", "old");

  /* A backup that is damaged is found out before anything is touched. */
  FILE *file = fopen("backup.db", "r+b");
  CHECK(file != NULL && fseek(file, 3 * 4096, SEEK_SET) == 0);
  for (int i = 0; i < 4096; ++i) fputc(0xa5, file);
  fclose(file);
  GIVES(KVSTORE_CORRUPT, kvstore_restore("backup.db", "restored.db", NULL, NULL));
  has("restored.db", "old");
}

static void memory(void) {
  char *zeroed = (char *)sqliteMalloc(16);
  CHECK(zeroed != NULL);
  for (int i = 0; i < 16; ++i) CHECK(zeroed[i] == 0);
  zeroed[15] = 'x';
  zeroed = (char *)sqliteRealloc(zeroed, 4000);
  CHECK(zeroed != NULL && zeroed[15] == 'x');
  CHECK(sqliteRealloc(zeroed, 0) == NULL);
  CHECK(sqliteMalloc(0) == NULL);
  char *copy = sqliteStrDup("copied");
  CHECK(strcmp(copy, "copied") == 0);
  sqliteFree(copy);
  copy = sqliteStrDup(NULL);
  CHECK(copy != NULL && copy[0] == '\0');
  sqliteFree(copy);
  sqliteFree(NULL);
  void *more = snkv_malloc(8);
  CHECK(more != NULL);
  snkv_free(more);
  snkv_free(snkv_realloc(NULL, 8));
  snkv_free(snkv_strdup(""));
}

static void wrong_stores(KVStore *store) {
  KVColumnFamily *family = NULL;
  KVIterator *iterator = NULL;
  KVStoreStats stats;
  void *value = NULL;
  char *message = NULL;
  char **names = NULL;
  int number = 0;
  int64_t large = 0;
  GIVES(store == NULL ? KVSTORE_OK : KVSTORE_ERROR, kvstore_close(store));
  GIVES(KVSTORE_ERROR, kvstore_put(store, "k", 1, "v", 1));
  GIVES(KVSTORE_ERROR, kvstore_get(store, "k", 1, &value, &number));
  GIVES(KVSTORE_ERROR, kvstore_delete(store, "k", 1));
  GIVES(KVSTORE_ERROR, kvstore_exists(store, "k", 1, &number));
  GIVES(KVSTORE_ERROR, kvstore_put_if_absent(store, "k", 1, "v", 1, 0, &number));
  GIVES(KVSTORE_ERROR, kvstore_clear(store));
  GIVES(KVSTORE_ERROR, kvstore_count(store, &large));
  GIVES(KVSTORE_ERROR, kvstore_cf_create(store, "f", &family));
  GIVES(KVSTORE_ERROR, kvstore_cf_open(store, "f", &family));
  GIVES(KVSTORE_ERROR, kvstore_cf_get_default(store, &family));
  GIVES(KVSTORE_ERROR, kvstore_cf_drop(store, "f"));
  GIVES(KVSTORE_ERROR, kvstore_cf_list(store, &names, &number));
  GIVES(KVSTORE_ERROR, kvstore_iterator_create(store, &iterator));
  GIVES(KVSTORE_ERROR, kvstore_prefix_iterator_create(store, "k", 1, &iterator));
  GIVES(KVSTORE_ERROR, kvstore_reverse_iterator_create(store, &iterator));
  GIVES(KVSTORE_ERROR, kvstore_reverse_prefix_iterator_create(store, "k", 1, &iterator));
  GIVES(KVSTORE_ERROR, kvstore_begin(store, 1));
  GIVES(KVSTORE_ERROR, kvstore_commit(store));
  GIVES(KVSTORE_ERROR, kvstore_rollback(store));
  GIVES(KVSTORE_ERROR, kvstore_put_ttl(store, "k", 1, "v", 1, 0));
  GIVES(KVSTORE_ERROR, kvstore_get_ttl(store, "k", 1, &value, &number, &large));
  GIVES(KVSTORE_ERROR, kvstore_ttl_remaining(store, "k", 1, &large));
  GIVES(KVSTORE_ERROR, kvstore_purge_expired(store, &number));
  GIVES(KVSTORE_ERROR, kvstore_stats(store, &stats));
  GIVES(KVSTORE_ERROR, kvstore_stats_reset(store));
  GIVES(KVSTORE_ERROR, kvstore_integrity_check(store, &message));
  GIVES(KVSTORE_ERROR, kvstore_sync(store));
  GIVES(KVSTORE_ERROR, kvstore_incremental_vacuum(store, 0));
  GIVES(KVSTORE_ERROR, kvstore_checkpoint(store, 0, &number, &number));
  CHECK(kvstore_errmsg(store) != NULL);
  CHECK(value == NULL && family == NULL && iterator == NULL && names == NULL && message == NULL);
}

static void wrong_family(KVColumnFamily *family) {
  KVIterator *iterator = NULL;
  void *value = NULL;
  int number = 0;
  int64_t large = 0;
  GIVES(KVSTORE_ERROR, kvstore_cf_put(family, "k", 1, "v", 1));
  GIVES(KVSTORE_ERROR, kvstore_cf_get(family, "k", 1, &value, &number));
  GIVES(KVSTORE_ERROR, kvstore_cf_delete(family, "k", 1));
  GIVES(KVSTORE_ERROR, kvstore_cf_exists(family, "k", 1, &number));
  GIVES(KVSTORE_ERROR, kvstore_cf_put_if_absent(family, "k", 1, "v", 1, 0, &number));
  GIVES(KVSTORE_ERROR, kvstore_cf_clear(family));
  GIVES(KVSTORE_ERROR, kvstore_cf_count(family, &large));
  GIVES(KVSTORE_ERROR, kvstore_cf_put_ttl(family, "k", 1, "v", 1, 0));
  GIVES(KVSTORE_ERROR, kvstore_cf_get_ttl(family, "k", 1, &value, &number, &large));
  GIVES(KVSTORE_ERROR, kvstore_cf_ttl_remaining(family, "k", 1, &large));
  GIVES(KVSTORE_ERROR, kvstore_cf_purge_expired(family, &number));
  GIVES(KVSTORE_ERROR, kvstore_cf_iterator_create(family, &iterator));
  GIVES(KVSTORE_ERROR, kvstore_cf_prefix_iterator_create(family, "k", 1, &iterator));
  GIVES(KVSTORE_ERROR, kvstore_cf_reverse_iterator_create(family, &iterator));
  GIVES(KVSTORE_ERROR, kvstore_cf_reverse_prefix_iterator_create(family, "k", 1, &iterator));
  kvstore_cf_close(family);
}

static void wrong_iterator(KVIterator *iterator) {
  void *data = NULL;
  int number = 0;
  GIVES(KVSTORE_ERROR, kvstore_iterator_first(iterator));
  GIVES(KVSTORE_ERROR, kvstore_iterator_last(iterator));
  GIVES(KVSTORE_ERROR, kvstore_iterator_next(iterator));
  GIVES(KVSTORE_ERROR, kvstore_iterator_prev(iterator));
  CHECK(kvstore_iterator_eof(iterator) == 1);
  GIVES(KVSTORE_ERROR, kvstore_iterator_key(iterator, &data, &number));
  GIVES(KVSTORE_ERROR, kvstore_iterator_value(iterator, &data, &number));
  GIVES(KVSTORE_ERROR, kvstore_iterator_seek(iterator, "k", 1));
  kvstore_iterator_close(iterator);
}

int main(void) {
  opening();
  KVStore *stores[2] = {open_store(), NULL};
  OK(kvstore_open("calls.db", &stores[1], KVSTORE_JOURNAL_WAL));
  for (int i = 0; i < 2; ++i) {
    CHECK(strcmp(kvstore_errmsg(stores[i]), "no error") == 0);
    entries(stores[i]);
    bad_keys(stores[i]);
    bad_values_and_results(stores[i]);
    families(stores[i]);
    iterators(stores[i]);
    transactions(stores[i]);
    maintenance(stores[i]);
  }
  restoring();
  memory();
  Wrong wrong = wrong_handles(stores[0]);
  for (int i = 0; i < wrong_kinds; ++i) {
    wrong_stores(wrong.stores[i]);
    wrong_family(wrong.families[i]);
    wrong_iterator(wrong.iterators[i]);
  }
  OK(kvstore_close(stores[0]));
  OK(kvstore_close(stores[1]));
  if (check_failures != 0) fprintf(stderr, "%d failures\n", check_failures);
  return check_failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
