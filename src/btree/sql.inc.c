/*
** Part of engine.c: statements of SQL, and which of them are for reading.
*/

int snkv_bt_prepare(snkv_bt *bt, const char *sql, snkv_bt_stmt **out) {
  snkv_bt_stmt *stmt;
  int rc;
  *out = 0;
  if (bt->reading) return SQLITE_MISUSE; /* [T5] */
  stmt = sqlite3MallocZero(sizeof(*stmt));
  if (stmt == 0) return SQLITE_NOMEM;
  rc = sqlite3_prepare_v2(bt->db, sql, -1, &stmt->stmt, 0);
  if (rc != SQLITE_OK) {
    sqlite3_free(stmt);
    return rc;
  }
  stmt->bt = bt;
  *out = stmt;
  return SQLITE_OK;
}

int snkv_bt_bind_int64(snkv_bt_stmt *stmt, int index, int64_t value) {
  return sqlite3_bind_int64(stmt->stmt, index, value);
}
int snkv_bt_bind_text(snkv_bt_stmt *stmt, int index, const char *text, uint32_t size) {
  return sqlite3_bind_text(stmt->stmt, index, text, (int)size, SQLITE_TRANSIENT);
}
int snkv_bt_bind_blob(snkv_bt_stmt *stmt, int index, const void *data, uint32_t size) {
  return sqlite3_bind_blob(stmt->stmt, index, data, (int)size, SQLITE_TRANSIENT);
}

int snkv_bt_step(snkv_bt_stmt *stmt) {
  if (stmt->bt->reading) return SQLITE_MISUSE; /* [T5] */
  /* [S3] Cursors that read inside the transaction find their place again by their key. */
  if (stmt->bt->cursors != 0 && !sqlite3_stmt_readonly(stmt->stmt)) close_all_cursors(stmt->bt);
  return sqlite3_step(stmt->stmt);
}

int64_t snkv_bt_column_int64(snkv_bt_stmt *stmt, int column) {
  return sqlite3_column_int64(stmt->stmt, column);
}

const void *snkv_bt_column_bytes(snkv_bt_stmt *stmt, int column, uint32_t *size) {
  const void *data = sqlite3_column_blob(stmt->stmt, column);
  *size = (uint32_t)sqlite3_column_bytes(stmt->stmt, column);
  return data;
}

void snkv_bt_finalize(snkv_bt_stmt *stmt) {
  if (stmt == 0) return;
  sqlite3_finalize(stmt->stmt);
  if (stmt->guarded) sqlite3_set_authorizer(stmt->bt->db, 0, 0);
  sqlite3_free(stmt);
}

/* Pragmas that only tell something. The rest change the connection, or might one day. */
static int is_telling_pragma(const char *name, const char *argument) {
  static const char *const plain[] = {
      "application_id", "auto_vacuum",    "collation_list", "compile_options", "database_list",
      "encoding",       "freelist_count", "function_list",  "page_count",      "page_size",
      "pragma_list",    "schema_version", "table_list",     "user_version"};
  static const char *const with_argument[] = {"index_info", "index_list", "index_xinfo",
                                              "integrity_check", "quick_check", "table_info",
                                              "table_list", "table_xinfo"};
  size_t i;
  for (i = 0; i < ArraySize(with_argument); ++i) {
    if (sqlite3_stricmp(name, with_argument[i]) == 0) return 1;
  }
  for (i = 0; argument == 0 && i < ArraySize(plain); ++i) {
    if (sqlite3_stricmp(name, plain[i]) == 0) return 1;
  }
  return 0;
}

static int authorize_reading(void *context, int action, const char *first, const char *second,
                             const char *schema, const char *trigger) {
  (void)context;
  (void)schema;
  (void)trigger;
  switch (action) {
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_FUNCTION:
    case SQLITE_RECURSIVE:
      return SQLITE_OK;
    case SQLITE_PRAGMA:
      return is_telling_pragma(first, second) ? SQLITE_OK : SQLITE_DENY;
    default:
      return SQLITE_DENY;
  }
}

/* Whether there is anything but blanks and comments; an error in it counts as something. */
static int has_statement(sqlite3 *db, const char *sql, int size) {
  sqlite3_stmt *stmt = 0;
  int rc = size > 0 ? sqlite3_prepare_v2(db, sql, size, &stmt, 0) : SQLITE_OK;
  int found = rc != SQLITE_OK || stmt != 0;
  sqlite3_finalize(stmt);
  return found;
}

int snkv_bt_prepare_reading(snkv_bt *bt, const char *sql, uint32_t size, snkv_bt_stmt **out) {
  snkv_bt_stmt *stmt;
  const char *tail = 0;
  int rc;
  *out = 0;
  if (bt->reading) return SQLITE_MISUSE; /* [T5] */
  stmt = sqlite3MallocZero(sizeof(*stmt));
  if (stmt == 0) return SQLITE_NOMEM;
  stmt->bt = bt;
  /* It stays for as long as the statement does: one may be compiled again, and functions that are
  ** tables run pragmas of their own. */
  stmt->guarded = 1;
  sqlite3_set_authorizer(bt->db, authorize_reading, 0);
  rc = sqlite3_prepare_v2(bt->db, sql, (int)size, &stmt->stmt, &tail);
  if (rc == SQLITE_OK && stmt->stmt != 0) {
    if (!sqlite3_stmt_readonly(stmt->stmt)) {
      rc = SQLITE_READONLY;
    } else if (has_statement(bt->db, tail, (int)(sql + size - tail))) {
      rc = SNKV_BT_MANY;
    }
  }
  if (rc == SQLITE_OK && stmt->stmt != 0) {
    *out = stmt;
    return SQLITE_OK;
  }
  snkv_bt_finalize(stmt);
  return rc;
}

int snkv_bt_bind_double(snkv_bt_stmt *stmt, int index, double value) {
  return sqlite3_bind_double(stmt->stmt, index, value);
}
int snkv_bt_parameter_count(snkv_bt_stmt *stmt) { return sqlite3_bind_parameter_count(stmt->stmt); }
int snkv_bt_column_count(snkv_bt_stmt *stmt) { return sqlite3_column_count(stmt->stmt); }
const char *snkv_bt_column_name(snkv_bt_stmt *stmt, int column) {
  return sqlite3_column_name(stmt->stmt, column);
}
snkv_bt_type snkv_bt_column_type(snkv_bt_stmt *stmt, int column) {
  return (snkv_bt_type)sqlite3_column_type(stmt->stmt, column);
}
double snkv_bt_column_double(snkv_bt_stmt *stmt, int column) {
  return sqlite3_column_double(stmt->stmt, column);
}
