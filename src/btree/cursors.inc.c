/*
** Part of engine.c: cursors, by which entries are sought, read, counted and changed.
*/

static KeyInfo *key_info(snkv_bt *bt, snkv_bt_kind kind) {
  if (bt->key_info[kind] == 0) {
    /* [K1] Key columns, then all the others, as the engine counts them itself. */
    KeyInfo *info = kind == SNKV_BT_ROWS ? sqlite3KeyInfoAlloc(bt->db, 1, ROW_COLUMNS - 1)
                                         : sqlite3KeyInfoAlloc(bt->db, 2, 0);
    if (info != 0) {
      memset(info->aSortFlags, 0, info->nAllField);
      info->enc = ENC(bt->db);
    }
    bt->key_info[kind] = info;
  }
  return bt->key_info[kind];
}

/* Gives the cursor the engine's own, without a position. */
static int open_btc(snkv_bt_cursor *cursor) {
  snkv_bt *bt = cursor->bt;
  KeyInfo *info = 0;
  int rc;
  if (cursor->kind != SNKV_BT_ROWID) {
    info = key_info(bt, cursor->kind);
    if (info == 0) return SQLITE_NOMEM_BKPT;
  }
  sqlite3BtreeCursorZero(cursor->btc);
  rc = sqlite3BtreeCursor(bt->tree, cursor->root, cursor->writable ? BTREE_WRCSR : 0, info,
                          cursor->btc);
  if (rc == SQLITE_OK) cursor->walking = 0;
  return rc;
}

/* Whether the engine's own cursor can be left closed. Broken rules shall show. */
static int can_walk(snkv_bt *bt) {
  return bt->reading && !bt->no_walk && !snkv_bt_without("walk") && !snkv_bt_breaks("C1") &&
         !snkv_bt_breaks("K3") && walk_ready(&bt->view, bt->tree);
}

int snkv_bt_cursor_open(snkv_bt *bt, uint32_t root, snkv_bt_kind kind, int writable,
                        snkv_bt_cursor **out) {
  snkv_bt_cursor *cursor;
  *out = 0;
  if (sqlite3BtreeTxnState(bt->tree) == SQLITE_TXN_NONE) return SQLITE_MISUSE; /* [T1] */
  if (writable && sqlite3BtreeTxnState(bt->tree) != SQLITE_TXN_WRITE) return SQLITE_MISUSE;
  cursor = bt->free_cursors;
  if (cursor != 0) {
    bt->free_cursors = cursor->next;
  } else {
    /* [M5] One block: ours, then the engine's cursor, which must not move. */
    cursor = sqlite3_malloc64(ROUND8(sizeof(*cursor)) + sqlite3BtreeCursorSize());
    if (cursor == 0) return finish(bt, SQLITE_NOMEM_BKPT);
  }
  memset(cursor, 0, offsetof(snkv_bt_cursor, path));
  cursor->btc = (BtCursor *)((char *)cursor + ROUND8(sizeof(*cursor)));
  cursor->kind = kind;
  cursor->root = root;
  cursor->writable = writable;
  cursor->bt = bt;
  cursor->path.depth = -1;
  cursor->walking = can_walk(bt);
  if (!cursor->walking) {
    int rc = open_btc(cursor);
    if (rc != SQLITE_OK) {
      cursor->next = bt->free_cursors;
      bt->free_cursors = cursor;
      return finish(bt, rc);
    }
  }
  cursor->next = bt->cursors;
  if (bt->cursors != 0) bt->cursors->prev = cursor;
  bt->cursors = cursor;
  *out = cursor;
  return SQLITE_OK;
}

/* Closes the engine's cursor; ours stays, as a dead handle. */
static void detach(snkv_bt_cursor *cursor) {
  snkv_bt *bt = cursor->bt;
  if (!cursor->walking) sqlite3BtreeCloseCursor(cursor->btc);
  if (cursor->prev != 0) {
    cursor->prev->next = cursor->next;
  } else {
    bt->cursors = cursor->next;
  }
  if (cursor->next != 0) cursor->next->prev = cursor->prev;
  cursor->next = cursor->prev = 0;
  cursor->bt = 0;
  cursor->positioned = cursor->sought = 0;
}

static void close_all_cursors(snkv_bt *bt) {
  if (snkv_bt_breaks("C1")) return;
  while (bt->cursors != 0) detach(bt->cursors);
}

void snkv_bt_cursor_close(snkv_bt_cursor *cursor) {
  snkv_bt *bt;
  if (cursor == 0) return;
  bt = cursor->bt;
  if (bt == 0) {
    sqlite3_free(cursor);
    return;
  }
  if (snkv_bt_breaks("C1")) return; /* as the original did: kept, positioned, over the end */
  detach(cursor);
  cursor->next = bt->free_cursors;
  bt->free_cursors = cursor;
}

#ifdef SNKV_MUTATIONS
int snkv_bt_is_walking(snkv_bt_cursor *cursor) { return cursor->bt != 0 && cursor->walking; }
#endif

int snkv_bt_is_dead(snkv_bt_cursor *cursor) { return cursor->bt == 0; }

static void fill_mem(snkv_bt *bt, Mem *mem, const void *data, uint32_t size) {
  memset(mem, 0, sizeof(*mem));
  mem->flags = MEM_Blob;
  mem->z = size > 0 ? (char *)data : (char *)""; /* comparing nothing wants a pointer all the same */
  mem->n = (int)size;
  mem->db = bt->db;
  mem->enc = ENC(bt->db);
}

static void fill_mem_int(snkv_bt *bt, Mem *mem, int64_t value) {
  memset(mem, 0, sizeof(*mem));
  mem->flags = MEM_Int;
  mem->u.i = value;
  mem->db = bt->db;
  mem->enc = ENC(bt->db);
}

static int seek_record(snkv_bt_cursor *cursor, Mem *fields, int count, int *order) {
  UnpackedRecord record;
  int rc = SQLITE_OK;
  if (cursor->walking) rc = open_btc(cursor);
  if (rc != SQLITE_OK) {
    cursor->positioned = cursor->sought = 0;
    return finish(cursor->bt, rc);
  }
  memset(&record, 0, sizeof(record)); /* [K4] */
  record.pKeyInfo = key_info(cursor->bt, cursor->kind);
  record.aMem = fields;
  record.nField = (u16)count;
  cursor->crossed = 0;
  rc = sqlite3BtreeIndexMoveto(cursor->btc, &record, order);
  cursor->positioned = rc == SQLITE_OK && !sqlite3BtreeEof(cursor->btc); /* [C6] */
  cursor->sought = rc == SQLITE_OK;
  cursor->order = *order;
  if (rc == SQLITE_OK && record.errCode != 0) {
    rc = record.errCode;
    cursor->positioned = cursor->sought = 0;
  }
  return finish(cursor->bt, rc);
}

/* After a move on the path that came to an end. */
static int walked(snkv_bt_cursor *cursor) {
  cursor->sought = 0; /* which is for writing */
  cursor->positioned = cursor->path.depth >= 0;
  return SQLITE_OK;
}

int snkv_bt_seek(snkv_bt_cursor *cursor, const void *key, uint32_t key_size, int *order) {
  Mem field;
  if (cursor->bt == 0) return SNKV_BT_MOVED;
  if (cursor->walking && cursor->kind == SNKV_BT_ROWS &&
      walk_seek(&cursor->bt->view, &cursor->path, cursor->root, key, key_size, order)) {
    return walked(cursor);
  }
  fill_mem(cursor->bt, &field, key, key_size);
  cursor->sought_key = key;
  cursor->sought_size = key_size;
  return seek_record(cursor, &field, 1, order);
}

int snkv_bt_seek_expiry(snkv_bt_cursor *cursor, int64_t expires_at, const void *key,
                        uint32_t key_size, int *order) {
  Mem fields[2];
  if (cursor->bt == 0) return SNKV_BT_MOVED;
  fill_mem_int(cursor->bt, &fields[0], expires_at);
  fill_mem(cursor->bt, &fields[1], key, key_size);
  return seek_record(cursor, fields, 2, order);
}

int snkv_bt_seek_rowid(snkv_bt_cursor *cursor, int64_t rowid, int *order) {
  int rc = SQLITE_OK;
  if (cursor->bt == 0) return SNKV_BT_MOVED;
  if (cursor->walking) {
    if (walk_seek_rowid(&cursor->bt->view, &cursor->path, cursor->root, rowid, order)) {
      return walked(cursor);
    }
    rc = open_btc(cursor);
  }
  cursor->crossed = 0;
  if (rc == SQLITE_OK) rc = sqlite3BtreeTableMoveto(cursor->btc, rowid, 0, order);
  cursor->positioned = rc == SQLITE_OK && !sqlite3BtreeEof(cursor->btc);
  cursor->sought = rc == SQLITE_OK;
  cursor->order = *order;
  return finish(cursor->bt, rc);
}

static int to_edge(snkv_bt_cursor *cursor, int last, int *valid) {
  int empty = 1, rc = SQLITE_OK;
  *valid = 0;
  if (cursor->bt == 0) return SNKV_BT_MOVED;
  if (cursor->walking) {
    if (walk_edge(&cursor->bt->view, &cursor->path, cursor->root, cursor->kind == SNKV_BT_ROWID,
                  last)) {
      rc = walked(cursor);
      *valid = cursor->positioned;
      return rc;
    }
    rc = open_btc(cursor);
  }
  cursor->crossed = 0;
  if (rc == SQLITE_OK) {
    rc = last ? sqlite3BtreeLast(cursor->btc, &empty) : sqlite3BtreeFirst(cursor->btc, &empty);
  }
  cursor->sought = 0;
  *valid = cursor->positioned = rc == SQLITE_OK && !empty;
  return finish(cursor->bt, rc);
}

int snkv_bt_first(snkv_bt_cursor *cursor, int *valid) { return to_edge(cursor, 0, valid); }
int snkv_bt_last(snkv_bt_cursor *cursor, int *valid) { return to_edge(cursor, 1, valid); }

static int walk_current(snkv_bt_cursor *cursor, walk_cell *cell) {
  const walk_level *level = &cursor->path.path[cursor->path.depth];
  return walk_parse(&cursor->bt->view, level, level->ix, cursor->kind == SNKV_BT_ROWID, cell);
}

/* Whether the file can hold a record of this size [M9]: a log may claim pages that nobody has written. */
static int record_fits(snkv_bt *bt, u32 size) {
  if (size > (u64)bt->tree->pBt->pageSize * (u64)bt->tree->pBt->nPage) return 0;
  return size <= (1 << 20) || size <= (u64)(snkv_bt_file_bytes(bt) + snkv_bt_wal_bytes(bt));
}

/* Puts the engine's own cursor where the walk is. */
static int leave_walk(snkv_bt_cursor *cursor) {
  snkv_bt *bt = cursor->bt;
  walk_cell cell;
  int order = 1, rc;
  if (!walk_current(cursor, &cell)) {
    rc = SQLITE_CORRUPT_BKPT;
  } else if (cursor->kind == SNKV_BT_ROWID) {
    rc = open_btc(cursor);
    if (rc == SQLITE_OK) rc = sqlite3BtreeTableMoveto(cursor->btc, cell.rowid, 0, &order);
  } else {
    /* The whole record is what the engine compares with. */
    UnpackedRecord *record = 0;
    char *copy = 0;
    rc = record_fits(bt, cell.size) ? SQLITE_OK : SQLITE_CORRUPT_BKPT;
    if (rc == SQLITE_OK) {
      copy = sqlite3_malloc64((u64)cell.size + 18);
      if (copy == 0) rc = SQLITE_NOMEM_BKPT;
    }
    if (rc == SQLITE_OK) rc = walk_read(&bt->view, &cell, 0, cell.size, (u8 *)copy);
    if (rc == SQLITE_OK) rc = open_btc(cursor);
    if (rc == SQLITE_OK) {
      record = sqlite3VdbeAllocUnpackedRecord(key_info(bt, cursor->kind));
      if (record == 0) rc = SQLITE_NOMEM_BKPT;
    }
    if (rc == SQLITE_OK) {
      memset(copy + cell.size, 0, 18);
      sqlite3VdbeRecordUnpack((int)cell.size, copy, record);
      record->nField = MIN(record->nField, cursor->kind == SNKV_BT_ROWS ? 1 : 2);
      record->default_rc = 0;
      rc = sqlite3BtreeIndexMoveto(cursor->btc, record, &order);
      if (rc == SQLITE_OK) rc = record->errCode;
    }
    if (record != 0) sqlite3DbFree(bt->db, record);
    sqlite3_free(copy);
  }
  if (rc == SQLITE_OK && (order != 0 || sqlite3BtreeEof(cursor->btc))) rc = SQLITE_CORRUPT_BKPT;
  cursor->sought = 0;
  cursor->positioned = rc == SQLITE_OK;
  return finish(bt, rc);
}

/* Whether one position comes after another, as far as that can be told from what lies in the pages. In a tree
** that leads to itself it does not, and there is no end to it. */
static int is_ordered(const walk_view *view, const walk_path *from, const walk_path *to, int table) {
  const walk_level *const a = &from->path[from->depth];
  const walk_level *const b = &to->path[to->depth];
  walk_cell cells[2];
  const u8 *keys[2];
  u32 sizes[2], have[2], common;
  int order;
  if (!walk_parse(view, a, a->ix, table, &cells[0]) || !walk_parse(view, b, b->ix, table, &cells[1])) return 1;
  if (table) return cells[0].rowid < cells[1].rowid;
  for (int i = 0; i < 2; ++i) {
    if (!walk_key(&cells[i], &keys[i], &sizes[i], &have[i])) return 1;
  }
  common = MIN(have[0], have[1]);
  order = memcmp(keys[0], keys[1], common);
  if (order != 0) return order < 0;
  return common < MIN(sizes[0], sizes[1]) || sizes[0] < sizes[1];
}

static int step_walk(snkv_bt_cursor *cursor, int forward, int *done) {
  const int table = cursor->kind == SNKV_BT_ROWID;
  walk_level *level = &cursor->path.path[cursor->path.depth];
  walk_view *view = &cursor->bt->view;
  *done = 1;
  if (level->leaf && forward && level->ix + 1u < level->cells) {
    ++level->ix;
    return SQLITE_OK;
  }
  {
    walk_path before; /* only as far as it is in use: this is done for each chunk of a large value */
    before.depth = cursor->path.depth;
    memcpy(before.path, cursor->path.path, (size_t)(before.depth + 1) * sizeof(before.path[0]));
    if (forward ? walk_next(view, &cursor->path, table) : walk_prev(view, &cursor->path, table)) {
      if (cursor->kind != SNKV_BT_EXPIRY && cursor->path.depth >= 0 &&
          !is_ordered(view, forward ? &before : &cursor->path, forward ? &cursor->path : &before, table)) {
        cursor->positioned = 0;
        return SQLITE_CORRUPT_BKPT;
      }
      return walked(cursor);
    }
    cursor->path.depth = before.depth;
    memcpy(cursor->path.path, before.path, (size_t)(before.depth + 1) * sizeof(before.path[0]));
  }
  *done = 0;
  return leave_walk(cursor);
}

/* Whether the engine's cursor, which asks for no order, has gone in one direction over more pages than there
** are: of each it may see every entry between two pages below. */
static int goes_on_for_ever(snkv_bt_cursor *cursor, int forward) {
  const Pgno page = cursor->btc->pPage->pgno;
  if (forward != cursor->forward) cursor->crossed = 0;
  cursor->forward = forward;
  if (page == cursor->page) return 0;
  cursor->page = page;
  return ++cursor->crossed > 2 * (u64)btreePagecount(cursor->btc->pBt) + 2;
}

static int step_cursor(snkv_bt_cursor *cursor, int forward, int *valid) {
  int rc;
  *valid = 0;
  if (cursor->bt == 0) return SNKV_BT_MOVED;
  if (!cursor->positioned && !snkv_bt_breaks("K3")) return SNKV_BT_MOVED; /* [K3] */
  if (cursor->walking) {
    int done;
    rc = step_walk(cursor, forward, &done);
    *valid = done && cursor->positioned;
    if (done || rc != SQLITE_OK) return rc;
  }
  rc = forward ? sqlite3BtreeNext(cursor->btc, 0) : sqlite3BtreePrevious(cursor->btc, 0);
  cursor->sought = 0;
  if (rc == SQLITE_DONE) {
    cursor->positioned = 0;
    return SQLITE_OK;
  }
  if (rc == SQLITE_OK && goes_on_for_ever(cursor, forward)) rc = SQLITE_CORRUPT_BKPT;
  *valid = cursor->positioned = rc == SQLITE_OK;
  return rc == SQLITE_OK ? rc : finish(cursor->bt, rc);
}

int snkv_bt_next(snkv_bt_cursor *cursor, int *valid) { return step_cursor(cursor, 1, valid); }
int snkv_bt_prev(snkv_bt_cursor *cursor, int *valid) { return step_cursor(cursor, 0, valid); }
int snkv_bt_step_in_page(snkv_bt_cursor *cursor, int forward, const void **record, uint32_t *size) {
  if (!cursor->walking || !cursor->positioned || cursor->kind != SNKV_BT_ROWS) return 0;
  *record = walk_step_in_page(&cursor->bt->view, &cursor->path, forward, size);
  return *record != 0;
}

int snkv_bt_valid(snkv_bt_cursor *cursor) { return cursor->bt != 0 && cursor->positioned; }

int snkv_bt_payload(snkv_bt_cursor *cursor, const void **data, uint32_t *local, uint32_t *size) {
  u32 amount = 0;
  if (!snkv_bt_valid(cursor)) return SNKV_BT_MOVED;
  if (cursor->walking) {
    walk_cell cell;
    if (!walk_current(cursor, &cell)) return SQLITE_CORRUPT_BKPT;
    if (!record_fits(cursor->bt, cell.size)) return SQLITE_CORRUPT_BKPT;
    *data = cell.payload;
    *local = cell.local;
    *size = cell.size;
    return SQLITE_OK;
  }
  *size = sqlite3BtreePayloadSize(cursor->btc); /* [M3] before the fetch */
  if (!record_fits(cursor->bt, *size)) return SQLITE_CORRUPT_BKPT;
  *data = sqlite3BtreePayloadFetch(cursor->btc, &amount);
  *local = amount < *size ? amount : *size;
  return SQLITE_OK;
}

int snkv_bt_read(snkv_bt_cursor *cursor, uint32_t offset, uint32_t size, void *buffer) {
  u32 total;
  if (!snkv_bt_valid(cursor)) return SNKV_BT_MOVED;
  if (cursor->walking) {
    walk_cell cell;
    if (!walk_current(cursor, &cell)) return SQLITE_CORRUPT_BKPT;
    if (offset > cell.size || size > cell.size - offset) return SQLITE_CORRUPT_BKPT;
    return finish(cursor->bt, walk_read(&cursor->bt->view, &cell, offset, size, buffer));
  }
  total = sqlite3BtreePayloadSize(cursor->btc);
  if (offset > total || size > total - offset) return SQLITE_CORRUPT_BKPT;
  return finish(cursor->bt, sqlite3BtreePayload(cursor->btc, offset, size, buffer));
}

int64_t snkv_bt_rowid(snkv_bt_cursor *cursor) {
  if (cursor->walking) {
    walk_cell cell;
    return cursor->positioned && walk_current(cursor, &cell) ? cell.rowid : 0;
  }
  return sqlite3BtreeIntegerKey(cursor->btc);
}

/* [C3] Takes the position from every cursor on this tree but one, so that the engine need not save it
** (copying whole records), and marks them so that none is restored by guessing [K3]. */
static void before_write(snkv_bt *bt, uint32_t root, snkv_bt_cursor *except) {
  snkv_bt_cursor *cursor;
  for (cursor = bt->cursors; cursor != 0; cursor = cursor->next) {
    if (cursor->root != root || cursor == except) continue;
    if (!snkv_bt_breaks("K3") && !snkv_bt_breaks("C5")) sqlite3BtreeClearCursor(cursor->btc);
    cursor->positioned = 0;
    if (!snkv_bt_breaks("C5")) cursor->sought = 0;
  }
}

static int after_write(snkv_bt_cursor *cursor, int rc) {
  cursor->positioned = cursor->sought = 0;
  if (rc != SQLITE_OK) cursor->bt->poisoned = 1; /* [T11] */
  return finish(cursor->bt, rc);
}

static int check_writable(snkv_bt_cursor *cursor) {
  if (cursor->bt == 0) return SNKV_BT_MOVED;
  if (!cursor->writable) return SQLITE_MISUSE;
  return cursor->bt->poisoned ? SNKV_BT_POISONED : SQLITE_OK;
}

/* Whether the cursor is on the last entry of its tree. */
static int at_the_end(BtCursor *btc) {
  if (btc->eState != CURSOR_VALID || !btc->pPage->leaf || btc->ix != btc->pPage->nCell - 1) return 0;
  return cursorOnLastPage(btc) && !snkv_bt_without("append");
}

/* Inserts where a seek has put the cursor: over an entry, behind it (`order` < 0), or before it. What comes
** behind the last entry of a tree is likely to be followed by more of the same: the full page then stays as it
** is, and the entry begins a new one, instead of sharing three pages' entries among four. */
static int insert_sought(snkv_bt_cursor *cursor, const BtreePayload *payload) {
  const int appending = cursor->order < 0 && at_the_end(cursor->btc);
  int rc;
  if (snkv_bt_breaks("K2")) return sqlite3BtreeInsert(cursor->btc, payload, 0, 0);
  if (cursor->order == 0) return sqlite3BtreeInsert(cursor->btc, payload, BTREE_SAVEPOSITION, 0); /* [C4] */
  if (appending) sqlite3BtreeCursorHintFlags(cursor->btc, BTREE_BULKLOAD);
  rc = sqlite3BtreeInsert(cursor->btc, payload, 0, cursor->order);
  if (appending) sqlite3BtreeCursorHintFlags(cursor->btc, 0);
  return rc;
}

static int insert_record(snkv_bt_cursor *cursor, Mem *fields, int count, const void *record,
                         uint32_t record_size) {
  BtreePayload payload;
  int rc;
  memset(&payload, 0, sizeof(payload));
  payload.pKey = record;
  payload.nKey = record_size;
  payload.aMem = fields;
  payload.nMem = (u16)count; /* [K2] the key columns only */
  if (snkv_bt_breaks("K2")) payload.nMem = 0;
  before_write(cursor->bt, cursor->root, cursor);
  rc = cursor->sought ? SQLITE_OK : seek_record(cursor, fields, count, &cursor->order);
  if (rc == SQLITE_OK) rc = insert_sought(cursor, &payload);
  return after_write(cursor, rc);
}

int snkv_bt_insert(snkv_bt_cursor *cursor, const void *key, uint32_t key_size, const void *record,
                   uint32_t record_size) {
  Mem field;
  int rc = check_writable(cursor);
  if (rc != SQLITE_OK) return rc;
  fill_mem(cursor->bt, &field, key, key_size);
  if (key != cursor->sought_key || key_size != cursor->sought_size) cursor->sought = 0; /* [C4] */
  return insert_record(cursor, &field, 1, record, record_size);
}

int snkv_bt_insert_expiry(snkv_bt_cursor *cursor, int64_t expires_at, const void *key,
                          uint32_t key_size, const void *record, uint32_t record_size) {
  Mem fields[2];
  int rc = check_writable(cursor);
  if (rc != SQLITE_OK) return rc;
  cursor->sought = 0; /* always sought anew: written once per put */
  fill_mem_int(cursor->bt, &fields[0], expires_at);
  fill_mem(cursor->bt, &fields[1], key, key_size);
  return insert_record(cursor, fields, 2, record, record_size);
}

int snkv_bt_insert_rowid(snkv_bt_cursor *cursor, int64_t rowid, const void *record,
                         uint32_t record_size) {
  BtreePayload payload;
  int rc = check_writable(cursor);
  if (rc != SQLITE_OK) return rc;
  memset(&payload, 0, sizeof(payload));
  payload.nKey = rowid;
  payload.pData = record;
  payload.nData = (int)record_size;
  before_write(cursor->bt, cursor->root, cursor);
  rc = sqlite3BtreeInsert(cursor->btc, &payload, 0, 0);
  return after_write(cursor, rc);
}

int snkv_bt_delete(snkv_bt_cursor *cursor) {
  int rc = check_writable(cursor);
  if (rc != SQLITE_OK) return rc;
  if (!snkv_bt_breaks("C5") &&
      (!cursor->sought || cursor->order != 0 || cursor->btc->eState != CURSOR_VALID)) {
    return SNKV_BT_MOVED; /* [C5] */
  }
  before_write(cursor->bt, cursor->root, cursor);
  rc = sqlite3BtreeDelete(cursor->btc, 0);
  return after_write(cursor, rc);
}

int snkv_bt_count(snkv_bt_cursor *cursor, uint64_t *entries) {
  uint64_t leaf_pages = 0;
  int rc = snkv_bt_count_pages(cursor, entries, &leaf_pages);
  cursor->positioned = cursor->sought = 0;
  return rc;
}

/* How the record under the cursor compares to `bound`: <0 when it is smaller. */
static int compare_current(snkv_bt_cursor *cursor, UnpackedRecord *bound, int *order) {
  const void *data;
  uint32_t local, size;
  int rc = snkv_bt_payload(cursor, &data, &local, &size);
  if (rc != SQLITE_OK) return rc;
  if (local < size) {
    /* [M9] Unpacking may read a little beyond the end. */
    char *copy = sqlite3_malloc64((u64)size + 18);
    if (copy == 0) return SQLITE_NOMEM_BKPT;
    memset(copy + size, 0, 18);
    rc = sqlite3BtreePayload(cursor->btc, 0, size, copy);
    if (rc == SQLITE_OK) *order = sqlite3VdbeRecordCompare((int)size, copy, bound);
    sqlite3_free(copy);
  } else {
    *order = sqlite3VdbeRecordCompare((int)size, data, bound);
  }
  return rc == SQLITE_OK ? bound->errCode : rc;
}

/* Moves within the current leaf page. */
static void go_to_cell(BtCursor *btc, int index) {
  btc->ix = (u16)index;
  btc->info.nSize = 0;
  btc->curFlags &= ~(BTCF_ValidNKey | BTCF_ValidOvfl | BTCF_AtLast);
}

int snkv_bt_count_until(snkv_bt_cursor *cursor, const void *high, uint32_t high_size,
                        uint64_t *entries) {
  Mem field;
  UnpackedRecord bound;
  int rc = SQLITE_OK;
  int valid = snkv_bt_valid(cursor);
  *entries = 0;
  if (cursor->bt == 0) return SNKV_BT_MOVED;
  if (cursor->walking && valid) rc = leave_walk(cursor);
  memset(&bound, 0, sizeof(bound));
  fill_mem(cursor->bt, &field, high, high_size);
  bound.pKeyInfo = key_info(cursor->bt, SNKV_BT_ROWS);
  bound.aMem = &field;
  bound.nField = 1;
  while (rc == SQLITE_OK && valid) {
    BtCursor *btc = cursor->btc;
    const int here = btc->ix;
    const int last = btc->pPage->nCell - 1;
    int order = -1;
    if (btc->pPage->leaf && here < last) {
      go_to_cell(btc, last);
      if (high != 0) rc = compare_current(cursor, &bound, &order);
      if (rc != SQLITE_OK) break;
      if (order < 0) {
        *entries += (uint64_t)(last - here);
        continue; /* the last cell itself is counted below */
      }
      go_to_cell(btc, here);
    }
    if (high != 0) rc = compare_current(cursor, &bound, &order);
    if (rc != SQLITE_OK || order >= 0) break;
    *entries += 1;
    rc = snkv_bt_next(cursor, &valid);
  }
  cursor->positioned = cursor->sought = 0;
  return finish(cursor->bt, rc);
}

int snkv_bt_count_pages(snkv_bt_cursor *cursor, uint64_t *entries, uint64_t *leaf_pages) {
  int valid = 0;
  int rc = cursor->bt != 0 && cursor->walking ? open_btc(cursor) : SQLITE_OK;
  if (rc == SQLITE_OK) rc = snkv_bt_first(cursor, &valid);
  *entries = *leaf_pages = 0;
  while (rc == SQLITE_OK && valid) {
    BtCursor *btc = cursor->btc;
    *entries += 1;
    if (btc->pPage->leaf) {
      *entries += (uint64_t)(btc->pPage->nCell - 1 - btc->ix);
      *leaf_pages += 1;
      if (*leaf_pages > btreePagecount(btc->pBt)) return SQLITE_CORRUPT_BKPT; /* it leads to itself */
      go_to_cell(btc, btc->pPage->nCell - 1);
    }
    rc = snkv_bt_next(cursor, &valid);
  }
  return rc;
}

int snkv_bt_clear(snkv_bt *bt, uint32_t root) {
  snkv_bt_cursor *cursor, *next;
  int rc;
  if (sqlite3BtreeTxnState(bt->tree) != SQLITE_TXN_WRITE) return SQLITE_MISUSE; /* [T1] */
  if (bt->poisoned) return SNKV_BT_POISONED;
  for (cursor = bt->cursors; cursor != 0; cursor = next) { /* [S4] */
    next = cursor->next;
    if (cursor->root == root) detach(cursor);
  }
  rc = sqlite3BtreeClearTable(bt->tree, (int)root, 0);
  if (rc != SQLITE_OK) bt->poisoned = 1;
  return finish(bt, rc);
}
