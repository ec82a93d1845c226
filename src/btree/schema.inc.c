/*
** schema.inc.c: what a file says about itself, looked at without SQL. Part of engine.c.
**
** The engine's own reading of a schema takes each definition for what its text says, whatever the other
** columns of the row say: an index of one table may be filed as a view of another name. So the text is held
** against its row here, with the engine's own tokens, before any SQL runs on the file.
*/

int snkv_bt_header(snkv_bt *bt, unsigned char *header) {
  const MemPage *first = bt->tree->pBt->pPage1;
  if (sqlite3BtreeTxnState(bt->tree) == SQLITE_TXN_NONE) return SQLITE_MISUSE; /* [T1] */
  if (first == 0 || sqlite3BtreeLastPage(bt->tree) == 0) {
    memset(header, 0, SNKV_BT_HEADER_SIZE); /* an empty file */
  } else {
    memcpy(header, first->aData, SNKV_BT_HEADER_SIZE);
  }
  return SQLITE_OK;
}

/* The next token that is neither blank nor comment; its type, and its text in *text. */
static int next_token(const unsigned char **text, i64 *size) {
  int type = 0;
  *text += *size;
  for (;;) {
    *size = sqlite3GetToken(*text, &type);
    if (type != TK_SPACE && type != TK_COMMENT) return type;
    *text += *size;
  }
}

/* Whether a token is a word of SQL: `word` in capitals. */
static int is_word(const unsigned char *text, i64 size, const char *word) {
  return size == (i64)strlen(word) && sqlite3_strnicmp((const char *)text, word, (int)size) == 0;
}

/* Whether a token is a name, or another word or text in its place, that means `name`. */
static int is_name(const unsigned char *text, i64 size, const char *name) {
  const unsigned char open = text[0];
  const unsigned char close = open == '[' ? ']' : open;
  const size_t length = strlen(name);
  size_t at = 0;
  i64 i;
  if (size <= 0) return 0;
  if (open != '"' && open != '\'' && open != '`' && open != '[') {
    return size == (i64)length && sqlite3_strnicmp((const char *)text, name, (int)size) == 0;
  }
  for (i = 1; i < size - 1; ++i) {
    if (text[i] == close) ++i; /* quotes inside are doubled */
    if (at >= length || sqlite3UpperToLower[text[i]] != sqlite3UpperToLower[(unsigned char)name[at]]) {
      return 0;
    }
    ++at;
  }
  return at == length;
}

/* Steps over a name, which must mean `name` and stand alone: with a dot it would be that of a schema. */
static int takes_name(const unsigned char **text, i64 *size, const char *name) {
  if (next_token(text, size) == TK_ILLEGAL || !is_name(*text, *size, name)) return 0;
  return (*text)[*size] != '.';
}

int snkv_bt_defines(const char *sql, const char *type, const char *name, const char *table) {
  const unsigned char *text = (const unsigned char *)sql;
  const int is_index = strcmp(type, "index") == 0;
  int is_virtual = 0;
  i64 size = 0;
  next_token(&text, &size);
  if (!is_word(text, size, "CREATE")) return 0;
  next_token(&text, &size);
  if (is_index && is_word(text, size, "UNIQUE")) next_token(&text, &size);
  if (strcmp(type, "table") == 0 && is_word(text, size, "VIRTUAL")) {
    is_virtual = 1;
    next_token(&text, &size);
  }
  if (!is_word(text, size, type) || !takes_name(&text, &size, name)) return 0;
  next_token(&text, &size);
  if (text[0] == '.') return 0;
  if (is_virtual) return SNKV_BT_VIRTUAL;
  if (!is_index) return 1;
  return is_word(text, size, "ON") && takes_name(&text, &size, table);
}

int snkv_bt_check_trees(snkv_bt *bt, const uint32_t *roots, uint32_t count, int most, char **findings) {
  sqlite3_value *counts;
  Pgno *copy;
  int found = 0;
  int rc;
  *findings = 0;
  if (sqlite3BtreeTxnState(bt->tree) == SQLITE_TXN_NONE) return SQLITE_MISUSE; /* [T1] */
  sqlite3_mutex_enter(bt->db->mutex);
  copy = sqlite3_malloc64((u64)(count + 1) * sizeof(*copy));
  counts = sqlite3_malloc64((u64)(count + 1) * sizeof(*counts));
  if (copy == 0 || counts == 0) {
    rc = SQLITE_NOMEM_BKPT;
  } else {
    memcpy(copy, roots, (size_t)count * sizeof(*copy));
    memset(counts, 0, (size_t)(count + 1) * sizeof(*counts));
    rc = sqlite3BtreeIntegrityCheck(bt->db, bt->tree, copy, counts, (int)count, most, &found, findings);
  }
  sqlite3_free(copy);
  sqlite3_free(counts);
  rc = finish(bt, rc);
  sqlite3_mutex_leave(bt->db->mutex);
  return rc;
}

void snkv_bt_free_findings(char *findings) { sqlite3_free(findings); }
