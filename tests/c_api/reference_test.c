/* The examples of the reference of SNKV's C library, as they are printed there; each with what it
   presumes before it, and what it must have done behind it. Runs in an empty folder. */
#define SNKV_IMPLEMENTATION
#include "snkv.h"

#include "check.h"

static void opening(void) {
  {
    /* default open */
    KVStore *kv;
    kvstore_open_v2("mydb.db", &kv, NULL);
    OK(kvstore_close(kv));
  }
  {
    KVStore *kv;
    /* fully configured */
    KVStoreConfig cfg = {0};
    cfg.journalMode = KVSTORE_JOURNAL_WAL;
    cfg.syncLevel = KVSTORE_SYNC_FULL;
    cfg.cacheSize = 4000;
    cfg.busyTimeout = 5000;
    kvstore_open_v2("mydb.db", &kv, &cfg);
    OK(kvstore_close(kv));
    /* read-only */
    KVStoreConfig ro = {0};
    ro.readOnly = 1;
    kvstore_open_v2("mydb.db", &kv, &ro);
    GIVES(KVSTORE_READONLY, kvstore_put(kv, "k", 1, "v", 1));
    OK(kvstore_close(kv));
  }
  {
    KVStore *kv = NULL;
    kvstore_open("mydata.db", &kv, KVSTORE_JOURNAL_WAL);
    OK(kvstore_close(kv));
  }
}

static void reading(KVStore *kv) {
  OK(kvstore_put(kv, "user:1", 6, "alice", 5));
  void *value = NULL;
  int vlen = 0;
  int rc = kvstore_get(kv, "user:1", 6, &value, &vlen);
  if (rc == KVSTORE_OK) {
    printf("%.*s\n", vlen, (char*)value);
    sqliteFree(value);
  }
  OK(rc);
  CHECK(vlen == 5);
}

static void listing(KVStore *kv) {
  KVColumnFamily *logs = NULL;
  OK(kvstore_cf_create(kv, "logs", &logs));
  kvstore_cf_close(logs);
  char **names = NULL;
  int count = 0;
  kvstore_cf_list(kv, &names, &count);
  for (int i = 0; i < count; i++) {
    printf("%s\n", names[i]);
    sqliteFree(names[i]);
  }
  sqliteFree(names);
  CHECK(count == 1);
}

static void iterating(KVStore *kv) {
  OK(kvstore_clear(kv));
  const char *const keys[] = {"a", "m", "user:1", "user:2", "z"};
  for (int i = 0; i < 5; ++i) OK(kvstore_put(kv, keys[i], (int)strlen(keys[i]), "v", 1));
  int seen = 0;
  {
    KVIterator *it = NULL;
    kvstore_iterator_create(kv, &it);
    kvstore_iterator_first(it);
    while (!kvstore_iterator_eof(it)) {
      void *key, *val;
      int klen, vlen;
      kvstore_iterator_key(it, &key, &klen);
      kvstore_iterator_value(it, &val, &vlen);
      printf("%.*s\n", klen, (char*)key);
      kvstore_iterator_next(it);
      IS_TEXT("v", val, vlen);
      ++seen;
    }
    kvstore_iterator_close(it);
    CHECK(seen == 5);
  }
  {
    seen = 0;
    KVIterator *it = NULL;
    kvstore_prefix_iterator_create(kv, "user:", 5, &it);
    /* already at first match: do NOT call first() */
    while (!kvstore_iterator_eof(it)) {
      void *key;
      int klen;
      kvstore_iterator_key(it, &key, &klen);
      kvstore_iterator_next(it);
      CHECK(klen == 6);
      ++seen;
    }
    kvstore_iterator_close(it);
    CHECK(seen == 2);
  }
  {
    seen = 0;
    /* Full reverse scan */
    KVIterator *it = NULL;
    kvstore_reverse_iterator_create(kv, &it);
    kvstore_iterator_last(it);
    while (!kvstore_iterator_eof(it)) {
      void *key;
      int klen;
      kvstore_iterator_key(it, &key, &klen);
      kvstore_iterator_prev(it);
      CHECK(klen > 0);
      ++seen;
    }
    kvstore_iterator_close(it);
    CHECK(seen == 5);
    seen = 0;
    /* Reverse prefix: do NOT call last(), already positioned */
    kvstore_reverse_prefix_iterator_create(kv, "user:", 5, &it);
    while (!kvstore_iterator_eof(it)) {
      kvstore_iterator_prev(it);
      ++seen;
    }
    kvstore_iterator_close(it);
    CHECK(seen == 2);
  }
  {
    seen = 0;
    /* forward: scan from "m" onwards */
    KVIterator *it = NULL;
    kvstore_iterator_create(kv, &it);
    kvstore_iterator_seek(it, "m", 1);
    while (!kvstore_iterator_eof(it)) {
      void *key;
      int klen;
      kvstore_iterator_key(it, &key, &klen);
      kvstore_iterator_next(it);
      ++seen;
    }
    kvstore_iterator_close(it);
    CHECK(seen == 4);
    seen = 0;
    /* reverse: scan from "m" backwards */
    kvstore_reverse_iterator_create(kv, &it);
    kvstore_iterator_seek(it, "m", 1);
    while (!kvstore_iterator_eof(it)) {
      kvstore_iterator_prev(it);
      ++seen;
    }
    kvstore_iterator_close(it);
    CHECK(seen == 2);
  }
}

static void transaction(KVStore *kv) {
  kvstore_begin(kv, 1);
  kvstore_put(kv, "key1", 4, "val1", 4);
  kvstore_put(kv, "key2", 4, "val2", 4);
  kvstore_commit(kv); /* both writes are atomic */
  int found = 0;
  OK(kvstore_exists(kv, "key2", 4, &found));
  CHECK(found == 1);
}

static void expiry(KVStore *kv) {
  const char *token = "token";
  int tlen = 5;
  /* write key that expires in 30 minutes */
  int64_t exp = kvstore_now_ms() + 30 * 60 * 1000;
  kvstore_put_ttl(kv, "sess:abc", 8, token, tlen, exp);
  /* read with lazy expiry */
  void *val = NULL;
  int nVal = 0;
  int64_t rem = 0;
  int rc = kvstore_get_ttl(kv, "sess:abc", 8, &val, &nVal, &rem);
  if (rc == KVSTORE_OK) {
    /* rem = ms remaining */
    sqliteFree(val);
  }
  OK(rc);
  CHECK(rem > 0 && rem <= 30 * 60 * 1000);
}

static void inserting(KVStore *kv) {
  const char *session_id = "session";
  int sid_len = 7;
  const char *token = "token";
  int tok_len = 5;
  {
    int inserted = 0;
    kvstore_put_if_absent(kv, "lock", 4, "owner", 5, 0, &inserted);
    if (inserted) {
      puts("acquired lock");
    } else {
      puts("lock already held");
    }
    CHECK(inserted == 1);
    /* with TTL: session token that expires in 1 hour */
    int64_t exp = kvstore_now_ms() + 3600 * 1000;
    kvstore_put_if_absent(kv, session_id, sid_len, token, tok_len, exp, NULL);
    int found = 0;
    OK(kvstore_exists(kv, "session", 7, &found));
    CHECK(found == 1);
  }
}

static void clearing_and_counting(KVStore *kv) {
  KVColumnFamily *rate_limit_cf = NULL;
  OK(kvstore_cf_create(kv, "rate_limit", &rate_limit_cf));
  OK(kvstore_cf_put(rate_limit_cf, "k", 1, "v", 1));
  {
    /* flush a rate-limit namespace at midnight */
    kvstore_cf_clear(rate_limit_cf);
    /* wipe everything in the default CF */
    kvstore_clear(kv);
  }
  int64_t left = -1;
  OK(kvstore_cf_count(rate_limit_cf, &left));
  CHECK(left == 0);
  kvstore_cf_close(rate_limit_cf);
  OK(kvstore_put(kv, "a", 1, "v", 1));
  OK(kvstore_put_ttl(kv, "b", 1, "v", 1, 1));
  {
    int64_t n;
    kvstore_count(kv, &n);
    printf("default CF has %lld entries\n", (long long)n);
    CHECK(n == 2);
    kvstore_purge_expired(kv, NULL);
    kvstore_count(kv, &n);
    printf("live entries after purge: %lld\n", (long long)n);
    CHECK(n == 1);
  }
}

static void maintaining(KVStore *kv) {
  kvstore_incremental_vacuum(kv, 0);  /* free all */
  kvstore_incremental_vacuum(kv, 50); /* incremental: 50 pages */
  {
    int nLog = 0, nCkpt = 0;
    kvstore_checkpoint(kv, KVSTORE_CHECKPOINT_PASSIVE, &nLog, &nCkpt);
    printf("%d frames total, %d checkpointed\n", nLog, nCkpt);
    CHECK(nLog > 0 && nLog == nCkpt);
    /* reclaim WAL disk space */
    kvstore_checkpoint(kv, KVSTORE_CHECKPOINT_TRUNCATE, NULL, NULL);
    OK(kvstore_checkpoint(kv, KVSTORE_CHECKPOINT_PASSIVE, &nLog, &nCkpt));
    CHECK(nLog == 0);
  }
}

static void encryption(void) {
  {
    /* Create / open encrypted */
    KVStore *kv = NULL;
    int rc = kvstore_open_encrypted("secret.db", "hunter2", 7, &kv, NULL);
    if (rc == KVSTORE_AUTH_FAILED) {
      puts("wrong password");
    }
    CHECK(rc == KVSTORE_OK);
    CHECK(kvstore_is_encrypted(kv) == 1);
    /* All standard operations work transparently */
    kvstore_put(kv, "key", 3, "secret", 6);
    kvstore_close(kv);
  }
  KVStore *kv = NULL;
  GIVES(KVSTORE_AUTH_FAILED, kvstore_open_encrypted("secret.db", "hunter3", 7, &kv, NULL));
  CHECK(kv == NULL);
  GIVES(KVSTORE_AUTH_FAILED, kvstore_open("secret.db", &kv, KVSTORE_JOURNAL_WAL));
  OK(kvstore_open_encrypted("secret.db", "hunter2", 7, &kv, NULL));
  {
    kvstore_reencrypt(kv, "new-pass", 8);
    /* kv is still open and usable with the new password */
  }
  OK(kvstore_put(kv, "key", 3, "other secret", 12));
  OK(kvstore_close(kv));
  GIVES(KVSTORE_AUTH_FAILED, kvstore_open_encrypted("secret.db", "hunter2", 7, &kv, NULL));
  OK(kvstore_open_encrypted("secret.db", "new-pass", 8, &kv, NULL));
  {
    kvstore_remove_encryption(kv);
    kvstore_close(kv);
    /* Now opens without a password */
    KVStore *plain = NULL;
    kvstore_open("secret.db", &plain, KVSTORE_JOURNAL_WAL);
    void *value = NULL;
    int size = 0;
    OK(kvstore_get(plain, "key", 3, &value, &size));
    IS_TEXT("other secret", value, size);
    snkv_free(value);
    CHECK(kvstore_is_encrypted(plain) == 0);
    OK(kvstore_close(plain));
  }
}

int main(void) {
  opening();
  encryption();
  KVStore *kv = NULL;
  OK(kvstore_open("mydata.db", &kv, KVSTORE_JOURNAL_WAL));
  reading(kv);
  listing(kv);
  iterating(kv);
  transaction(kv);
  expiry(kv);
  inserting(kv);
  clearing_and_counting(kv);
  maintaining(kv);
  OK(kvstore_close(kv));
  return check_failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
