/*
** walk.inc.c: reading B-tree pages where they lie in memory. Part of engine.c.
**
** The pager copies each page into a cache of its connection, behind a hash table and a list; most of the
** time of a read goes there. A read transaction needs none of it: the pages of its snapshot do not change
** while it has its locks. A page that has a frame in the snapshot's part of the log is read from a mapping
** of the log, any other from a mapping of the file, made through the engine's own handles. That is what
** the pager does itself for pages above the first when PRAGMA mmap_size is set; only the cache is left
** out.
**
** What nothing here may rely on is that the pages make sense. Every offset is checked against the page,
** every page number against the size that the file had under the lock. What is odd, and what is not
** mapped, is left to the engine's own cursor, whose verdict counts.
**
** Truncation: while the locks are held nobody who keeps to them truncates the file below a page of the
** snapshot or the log below a frame of it, so no access is beyond the end (SIGBUS).
*/

#define WALK_DEPTH 20
/* Bytes of virtual memory that a mapping is larger than its file, so that it need not be made anew soon. */
#define WALK_HEADROOM (64 << 20)

/* A mapping of a file, or a pin on a file of the memory VFS. */
typedef struct {
  const u8 *data;
  i64 mapped;       /* bytes of the mapping */
  i64 size;         /* bytes of the file when the transaction began, at most `mapped` */
  MemvfsFile *file; /* of the memory VFS, pinned */
} walk_map;

/* What a search needs of an inner page of a tree with blob keys, in a few lines of memory instead of one
** for each cell: eight bytes of each key, after the bytes that all of them begin with. */
typedef struct {
  u32 cells, common;
  const u8 *page;   /* where the page lies, and the offset of its cell pointers */
  u32 first;
  u32 room;         /* cells that the arrays have room for */
  int over_leaves;  /* its children are known to be leaves, which have no guides */
  u8 prefix[32];    /* the first `common` bytes of all keys */
  u32 *children;    /* cells + 1 of them */
  u64 *keys;
} walk_guide;

/* Guides are made for pages that are visited again and again in one state of the file. */
enum { WALK_GUIDES = 4096, WALK_VISITS = 8, WALK_GUIDE_BYTES = 4 << 20 };
typedef struct {
  u32 number, state; /* the page, and the state of the file; other ones are of no use */
  u32 visits;        /* > WALK_VISITS: there is a guide, or none can be made */
  walk_guide *guide;
} walk_slot;

enum { WALK_UNKNOWN = 0, WALK_READY = 1, WALK_IMPOSSIBLE = 2 };

/* What a read transaction sees. */
typedef struct {
  walk_map file, log;
  Wal *wal; /* NULL: no page comes from the log */
  const BtShared *shared;
  u32 pages;
  u32 page_size, usable;
  int state; /* of the open transaction */
  walk_slot *slots; /* made on first use; NULL if there was no memory */
  i64 guide_bytes;
  u32 file_state;   /* counts how often another state of the file was seen */
  WalIndexHdr seen; /* the last one: its header in the index of the log, */
  int seen_log;     /* and whether pages came from the log */
} walk_view;

typedef struct {
  const u8 *page;
  u32 first;  /* offset of the cell pointers */
  u16 cells;
  u16 ix;     /* of the cell; in an inner page also `cells`, for the rightmost child */
  u8 leaf;
} walk_level;

typedef struct {
  int depth; /* of the level that the position is on; -1: none */
  walk_level path[WALK_DEPTH];
} walk_path;

/* A cell, checked: its local bytes lie inside the page. */
typedef struct {
  const u8 *payload;
  u32 size, local;
  u32 overflow; /* page of the rest; 0: none */
  i64 rowid;
} walk_cell;

/* ---- Mappings ---- */

static void walk_unmap(walk_map *map) {
#if SQLITE_MAX_MMAP_SIZE > 0
  if (map->mapped > 0) osMunmap((void *)map->data, (size_t)map->mapped);
#endif
  memset(map, 0, sizeof(*map));
}

/* Whether the bytes of a file are what the system has under its descriptor: another VFS may do something
** with what it reads. The one that collects writes of the log (log_vfs.inc.c) leaves this method alone. */
static int walk_is_plain(const sqlite3_file *file) {
#if SQLITE_MAX_MMAP_SIZE > 0
  return file->pMethods->xFileControl == unixFileControl;
#else
  (void)file;
  return 0;
#endif
}

/* Makes the first `need` bytes of a file readable, if it has them. */
static int walk_map_file(sqlite3_file *file, walk_map *map, int memory, i64 need) {
  i64 size = 0;
  if (!isOpen(file) || !(memory || walk_is_plain(file))) return 0;
  if (memory && map->file == 0) {
    map->file = (MemvfsFile *)file;
    atomic_fetch_add(&map->file->nPin, 1);
  }
  if (sqlite3OsFileSize(file, &size) != SQLITE_OK || size < need) return 0;
  map->size = size;
  if (memory) return 1;
#if SQLITE_MAX_MMAP_SIZE > 0
  if (size > map->mapped) {
    void *data;
    walk_unmap(map);
    /* Beyond the end there is nothing to be had, but what the file grows by will be there. */
    data = osMmap(0, (size_t)(size + size / 4 + WALK_HEADROOM), PROT_READ, MAP_SHARED,
                  ((unixFile *)file)->h, 0);
    if (data == MAP_FAILED) return 0;
    map->data = data;
    map->mapped = size + size / 4 + WALK_HEADROOM;
    map->size = size;
  }
  return 1;
#else
  return 0;
#endif
}

/* `size` bytes at `offset`, or NULL. */
static const u8 *walk_bytes(const walk_map *map, i64 offset, u32 size) {
  if (offset + size > map->size) return 0;
  if (map->file != 0) {
    const u8 *chunk = memvfsChunk(map->file->pNode, offset / MEMVFS_CHUNK);
    /* A frame of the log may lie in two chunks. */
    if (chunk == 0 || offset % MEMVFS_CHUNK + size > MEMVFS_CHUNK) return 0;
    return chunk + offset % MEMVFS_CHUNK;
  }
  return map->data + offset;
}

/* ---- Views ---- */

static int walk_prepare(walk_view *view, Btree *tree) {
  Pager *pager = sqlite3BtreePager(tree);
  BtShared *shared = tree->pBt;
  const int memory = strcmp(pager->pVfs->zName, MEMVFS_NAME) == 0;
  const u8 *const file_before = view->file.data;
  const u8 *const log_before = view->log.data;
  view->state = WALK_IMPOSSIBLE;
  view->shared = shared;
  view->pages = btreePagecount(shared);
  view->page_size = shared->pageSize;
  view->usable = shared->usableSize;
  view->wal = 0;
  if (pager->pWal != 0) {
    Wal *wal = pager->pWal;
    if (wal->bShmUnreliable || wal->readLock < 0) return 0;
    if (wal->readLock > 0 && wal->hdr.mxFrame > 0) {
      if (wal->szPage != view->page_size) return 0;
      if (!walk_map_file(wal->pWalFd, &view->log, memory,
                         walFrameOffset(wal->hdr.mxFrame + 1, wal->szPage))) {
        return 0;
      }
      view->wal = wal;
    }
  }
  if (!walk_map_file(pager->fd, &view->file, memory, 0)) return 0;
  /* Guides say where pages lie, so they are good for the same state of the file in the same place: pages
  ** that were in the log are not there for ever, not even until the next commit. */
  if (pager->pWal == 0 || memcmp(&view->seen, &pager->pWal->hdr, sizeof(view->seen)) != 0 ||
      view->seen_log != (view->wal != 0) || view->file.data != file_before ||
      view->log.data != log_before) {
    ++view->file_state;
    view->seen_log = view->wal != 0;
    if (pager->pWal != 0) view->seen = pager->pWal->hdr;
  }
  view->state = WALK_READY;
  return 1;
}

/* Whether the open read transaction can be walked. */
static int walk_ready(walk_view *view, Btree *tree) {
  if (view->state == WALK_UNKNOWN && !walk_prepare(view, tree)) ++view->file_state;
  return view->state == WALK_READY;
}

/* The transaction ends: what comes may be of another size. */
static void walk_end(walk_view *view) {
  walk_map *const maps[2] = {&view->file, &view->log};
  view->state = WALK_UNKNOWN;
  for (int i = 0; i < 2; ++i) {
    if (maps[i]->file == 0) continue;
    atomic_fetch_sub(&maps[i]->file->nPin, 1);
    maps[i]->file = 0;
  }
}

static void walk_close(walk_view *view) {
  walk_end(view);
  walk_unmap(&view->file);
  walk_unmap(&view->log);
  for (int i = 0; view->slots != 0 && i < WALK_GUIDES; ++i) sqlite3_free(view->slots[i].guide);
  sqlite3_free(view->slots);
  view->slots = 0;
}

static const u8 *walk_page(walk_view *view, u32 number) {
  if (number == 0 || number > view->pages) return 0;
  if (view->wal != 0) {
    u32 frame = 0;
    int rc;
    WAL_LOOK_BEGIN(view->wal)
    rc = walFindFrame(view->wal, number, &frame);
    WAL_LOOK_END(view->wal)
    if (rc != SQLITE_OK) return 0;
    if (frame != 0) {
      return walk_bytes(&view->log, walFrameOffset(frame, view->page_size) + WAL_FRAME_HDRSIZE,
                        view->page_size);
    }
  }
  return walk_bytes(&view->file, (i64)(number - 1) * view->page_size, view->page_size);
}

/* ---- Pages and cells ---- */

/* Enters a page as the next level of the path. 0 if it is no page of such a tree. */
static int walk_enter(walk_view *view, walk_path *path, u32 number, int table) {
  walk_level *level;
  const u8 *page, *head;
  u32 cells;
  if (path->depth + 1 >= WALK_DEPTH) return 0;
  page = walk_page(view, number);
  if (page == 0) return 0;
  /* Most of the pointers to the cells, while the first line is on its way. */
  __builtin_prefetch(page);
  __builtin_prefetch(page + 64);
  __builtin_prefetch(page + 128);
  head = number == 1 ? page + 100 : page;
  level = &path->path[path->depth + 1];
  if (head[0] == (table ? 0x0d : 0x0a)) {
    level->leaf = 1;
  } else if (head[0] == (table ? 0x05 : 0x02)) {
    level->leaf = 0;
  } else {
    return 0;
  }
  cells = get2byte(&head[3]);
  level->page = page;
  level->first = (u32)(head - page) + (level->leaf ? 8 : 12);
  if (level->first + 2 * cells > view->usable) return 0;
  /* Only the root of an empty tree has no cells. */
  if (cells == 0 && (path->depth >= 0 || !level->leaf)) return 0;
  level->cells = (u16)cells;
  level->ix = 0;
  ++path->depth;
  return 1;
}

/* Where a cell begins; 0 if that is not between the pointers and the end. */
static u32 walk_cell_offset(const walk_view *view, const walk_level *level, u32 ix) {
  const u32 at = get2byte(&level->page[level->first + 2 * ix]);
  return at >= level->first + 2u * level->cells && at + 4 <= view->usable ? at : 0;
}

static u32 walk_child(const walk_view *view, const walk_level *level) {
  u32 at;
  if (level->ix == level->cells) return get4byte(&level->page[level->first - 4]);
  at = walk_cell_offset(view, level, level->ix);
  return at == 0 ? 0 : get4byte(&level->page[at]);
}

/* Reads a varint before `end`; returns its length, 0 if it does not end there. */
static u32 walk_varint(const u8 *p, const u8 *end, u64 *value) {
  u64 v = 0;
  for (u32 i = 0; i < 9 && p + i < end; ++i) {
    if (i == 8) {
      *value = (v << 8) | p[8];
      return 9;
    }
    v = (v << 7) | (p[i] & 0x7f);
    if (p[i] < 0x80) {
      *value = v;
      return i + 1;
    }
  }
  return 0;
}

/* Finds the payload of a cell that has one. 0 if the cell is not whole. */
static int walk_parse(const walk_view *view, const walk_level *level, u32 ix, int table, walk_cell *cell) {
  const BtShared *shared = view->shared;
  const u32 most = table ? shared->maxLeaf : shared->maxLocal;
  const u8 *const end = level->page + view->usable;
  const u32 at = walk_cell_offset(view, level, ix);
  const u8 *p = level->page + at;
  u64 size = 0, rowid = 0;
  u32 used;
  if (at == 0) return 0;
  if (!level->leaf) p += 4;
  used = walk_varint(p, end, &size);
  if (used == 0 || size > 0x7fffffff) return 0;
  p += used;
  if (table) {
    used = walk_varint(p, end, &rowid);
    if (used == 0) return 0;
    p += used;
  }
  cell->payload = p;
  cell->rowid = (i64)rowid;
  cell->size = (u32)size;
  cell->overflow = 0;
  if (size <= most) {
    cell->local = (u32)size;
    return (u32)(end - p) >= cell->local;
  }
  {
    const u32 least = table ? shared->minLeaf : shared->minLocal;
    const u32 surplus = least + (cell->size - least) % (view->usable - 4);
    cell->local = surplus <= most ? surplus : least;
    if ((u32)(end - p) < cell->local + 4) return 0;
    cell->overflow = get4byte(p + cell->local);
  }
  return 1;
}

/* The key of a row, which is the first column of its record, a blob. 0 if it is none. `have` is how much
** of it lies in the page. */
static int walk_key(const walk_cell *cell, const u8 **key, u32 *size, u32 *have) {
  const u8 *const end = cell->payload + cell->local;
  u64 type = 0;
  u32 header, used;
  if (cell->local < 2) return 0;
  header = cell->payload[0];
  if (header >= 0x80 || header > cell->local) return 0;
  used = walk_varint(cell->payload + 1, cell->payload + header, &type);
  if (used == 0 || type < 12 || (type & 1) != 0) return 0;
  type = (type - 12) / 2;
  if (type > cell->size - header) return 0;
  *key = cell->payload + header;
  *size = (u32)type;
  *have = MIN(*size, (u32)(end - *key));
  return 1;
}

static u64 walk_prefix(const u8 *p) {
  u64 word;
  memcpy(&word, p, 8);
#if SQLITE_BYTEORDER == 1234
  word = __builtin_bswap64(word);
#endif
  return word;
}

/* How two strings of bytes of the same size compare: -1, 0, 1. */
static int walk_order(const u8 *a, const u8 *b, u32 size) {
  u64 x = 0, y = 0;
  u32 at;
  int order;
  if (size < 8 || size > 64) { /* short ones are rare, for long ones a call is nothing */
    order = size == 0 ? 0 : memcmp(a, b, size);
    return (order > 0) - (order < 0);
  }
  for (at = 0; at + 8 <= size && x == y; at += 8) {
    x = walk_prefix(a + at);
    y = walk_prefix(b + at);
  }
  if (x == y && at < size) { /* with some that are known to be the same */
    x = walk_prefix(a + size - 8);
    y = walk_prefix(b + size - 8);
  }
  return (x > y) - (x < y);
}

enum { WALK_ODD = 2 };

/* How the key of a cell compares to another: -1, 0, 1, or WALK_ODD when that cannot be told here. */
static int walk_compare(const walk_view *view, const walk_level *level, u32 ix, const u8 *key, u32 size) {
  const u8 *const end = level->page + view->usable;
  const u32 at = walk_cell_offset(view, level, ix);
  const u8 *p = level->page + at + (level->leaf ? 0 : 4);
  const u8 *mine;
  u32 mine_size, have, common;
  int order;
  if (at == 0) return WALK_ODD;
  /* What nearly all are like: a size of at most two bytes, a header of less than 128, a key whose type has
  ** one byte, all of it in the page. */
  if (at + 16 <= view->usable) {
    const u32 long_size = p[0] >> 7;
    const u8 *const record = p + 1 + long_size;
    const u32 payload = long_size ? ((p[0] & 0x7fu) << 7) | p[1] : p[0];
    if ((!long_size || p[1] < 0x80) && payload <= view->shared->maxLocal && record[0] < 0x80 &&
        record[1] < 0x80 && record[1] >= 12 && (record[1] & 1) == 0) {
      mine_size = (record[1] - 12u) / 2;
      mine = record + record[0];
      if (record[0] >= 2 && record[0] + mine_size <= payload && payload <= (u32)(end - record)) {
        have = mine_size;
        goto compare;
      }
    }
  }
  {
    walk_cell cell;
    if (!walk_parse(view, level, ix, 0, &cell)) return WALK_ODD;
    if (!walk_key(&cell, &mine, &mine_size, &have)) return WALK_ODD;
  }
compare:
  common = MIN(have, size);
  order = walk_order(mine, key, common);
  if (order != 0) return order;
  if (have < mine_size && have < size) return WALK_ODD; /* the rest is elsewhere */
  return mine_size == size ? 0 : mine_size < size ? -1 : 1;
}

/* ---- Guides ---- */

/* Up to eight bytes as a number that compares like them. */
static u64 walk_word(const u8 *p, u32 size) {
  u8 padded[8] = {0};
  if (size >= 8) return walk_prefix(p);
  memcpy(padded, p, size);
  return walk_prefix(padded);
}

/* The guide of a slot, with room for `cells`; NULL if there is no memory for it. */
static walk_guide *walk_guide_room(walk_view *view, walk_slot *slot, u32 cells) {
  walk_guide *guide = slot->guide;
  const i64 bytes = sizeof(*guide) + (i64)cells * (sizeof(u64) + sizeof(u32)) + 2 * sizeof(u32);
  if (guide != 0 && guide->room >= cells) return guide;
  if (view->guide_bytes + bytes > WALK_GUIDE_BYTES) return 0;
  guide = sqlite3_malloc64((u64)bytes);
  if (guide == 0) return 0;
  sqlite3_free(slot->guide); /* and its bytes stay counted: it was the smaller one */
  view->guide_bytes += bytes;
  slot->guide = guide;
  guide->room = cells;
  guide->keys = (u64 *)(guide + 1);
  guide->children = (u32 *)(guide->keys + cells);
  return guide;
}

/* Makes the guide of an inner page. A page with anything odd on it gets none. */
static walk_guide *walk_make_guide(walk_view *view, walk_slot *slot, const walk_level *level) {
  walk_guide *guide = walk_guide_room(view, slot, level->cells);
  const u8 *key = 0, *first_key = 0;
  u32 size, have, i, first_have = 0;
  walk_cell cell;
  if (guide == 0) return 0;
  guide->cells = level->cells;
  guide->page = level->page;
  guide->first = level->first;
  guide->over_leaves = 0;
  guide->common = sizeof(guide->prefix);
  /* All keys begin as the first and the last do: they are in order. */
  for (i = 0; i < 2; ++i) {
    const u32 ix = i == 0 ? 0 : level->cells - 1u;
    if (!walk_parse(view, level, ix, 0, &cell)) return 0;
    if (!walk_key(&cell, &key, &size, &have)) return 0;
    if (i == 0) {
      first_key = key;
      first_have = have;
    }
  }
  guide->common = MIN(guide->common, MIN(first_have, have));
  for (i = 0; i < guide->common && first_key[i] == key[i]; ++i) {
  }
  guide->common = i;
  memcpy(guide->prefix, first_key, guide->common);
  for (i = 0; i < level->cells; ++i) {
    if (!walk_parse(view, level, i, 0, &cell) || !walk_key(&cell, &key, &size, &have)) return 0;
    if (have < guide->common || memcmp(key, guide->prefix, guide->common) != 0) return 0;
    if (have < size && have < guide->common + 8) return 0;
    guide->keys[i] = walk_word(key + guide->common, have - guide->common);
    if (i > 0 && guide->keys[i] < guide->keys[i - 1]) return 0; /* out of order */
    guide->children[i] = get4byte(&level->page[walk_cell_offset(view, level, i)]);
  }
  guide->children[i] = get4byte(&level->page[level->first - 4]);
  return guide;
}

/* The guide of a page, if it has one. */
static walk_guide *walk_find_guide(walk_view *view, u32 number) {
  const walk_slot *slot;
  if (view->slots == 0) return 0;
  slot = &view->slots[number % WALK_GUIDES];
  if (slot->number != number || slot->state != view->file_state) return 0;
  return slot->visits > WALK_VISITS ? slot->guide : 0;
}

/* Counts a visit of an inner page without one, and makes one in the end. */
static void walk_count_visit(walk_view *view, u32 number, const walk_level *level) {
  walk_slot *slot;
  if (view->slots == 0) {
    view->slots = sqlite3MallocZero(WALK_GUIDES * sizeof(walk_slot));
    if (view->slots == 0) return;
  }
  slot = &view->slots[number % WALK_GUIDES];
  if (slot->number != number || slot->state != view->file_state) {
    slot->number = number;
    slot->state = view->file_state;
    slot->visits = 0;
  }
  if (slot->visits > WALK_VISITS || ++slot->visits <= WALK_VISITS) return;
  if (walk_make_guide(view, slot, level) == 0) {
    sqlite3_free(slot->guide);
    slot->guide = 0;
  }
}

/* The cells [*low, *high) of a page are those whose keys the guide cannot tell from this one; what is
** before them is smaller, what is behind is larger. */
static void walk_guess(const walk_guide *guide, const u8 *key, u32 size, u32 *low, u32 *high) {
  const u32 common = MIN(guide->common, size);
  const int order = common == 0 ? 0 : memcmp(key, guide->prefix, common);
  const u64 *base = guide->keys;
  u32 left = guide->cells;
  u64 word;
  *low = *high = order > 0 ? guide->cells : 0;
  if (order != 0 || size < guide->common) return; /* one that they all begin with is smaller */
  word = walk_word(key + common, size - common);
  while (left > 1) {
    const u32 half = left / 2;
    base += base[half - 1] < word ? half : 0;
    left -= half;
  }
  *low = (u32)(base - guide->keys) + (*base < word);
  for (*high = *low; *high < guide->cells && guide->keys[*high] == word; ++*high) {
  }
}

/* Asks for the cells that the next probes of a binary search may look at, all at once: the search takes
** most of its time waiting for memory. */
enum { WALK_AHEAD = 3 };
static void walk_prefetch(const walk_level *level, int low, int high, int probes) {
  const int middle = (low + high) >> 1;
  if (low > high) return;
  __builtin_prefetch(level->page + get2byte(&level->page[level->first + 2 * middle]));
  if (probes == 1) return;
  walk_prefetch(level, low, middle - 1, probes - 1);
  walk_prefetch(level, middle + 1, high, probes - 1);
}

/* ---- Moves. All return 0 when the engine's own cursor must be asked. ---- */

static int walk_seek(walk_view *view, walk_path *path, u32 root, const void *key, u32 size,
                     int *order) {
  walk_level *level;
  walk_guide *above = 0;
  path->depth = -1;
  for (u32 number = root;;) {
    walk_guide *const guide = above != 0 && above->over_leaves ? 0 : walk_find_guide(view, number);
    int low = 0, high;
    if (guide != 0) {
      u32 from, to;
      if (path->depth + 1 >= WALK_DEPTH) return 0;
      level = &path->path[++path->depth];
      level->page = guide->page;
      level->first = guide->first;
      level->cells = (u16)guide->cells;
      level->leaf = 0;
      walk_guess(guide, key, size, &from, &to);
      low = (int)from;
      high = (int)to - 1;
    } else {
      if (!walk_enter(view, path, number, 0)) return 0;
      level = &path->path[path->depth];
      high = (int)level->cells - 1;
      if (!level->leaf) {
        walk_count_visit(view, number, level);
      } else if (above != 0) {
        above->over_leaves = 1;
      }
    }
    for (unsigned int probe = 0; low <= high; ++probe) {
      const int middle = (low + high) >> 1;
      int found;
      if (probe % WALK_AHEAD == 0) walk_prefetch(level, low, high, WALK_AHEAD);
      found = walk_compare(view, level, (u32)middle, key, size);
      if (found == WALK_ODD) return 0;
      if (found == 0) {
        level->ix = (u16)middle;
        *order = 0;
        return 1;
      }
      if (found < 0) {
        low = middle + 1;
      } else {
        high = middle - 1;
      }
    }
    level->ix = (u16)low;
    if (level->leaf) break;
    number = guide != 0 ? guide->children[low] : walk_child(view, level);
    above = guide;
  }
  *order = 1;
  if (level->ix == level->cells) {
    *order = -1;
    if (level->cells == 0) {
      path->depth = -1;
    } else {
      --level->ix;
    }
  }
  return 1;
}

static int walk_rowid_of(const walk_view *view, const walk_level *level, u32 ix, i64 *rowid) {
  const u8 *const end = level->page + view->usable;
  const u32 at = walk_cell_offset(view, level, ix);
  const u8 *p = level->page + at;
  u64 value = 0;
  u32 used = 4;
  if (at == 0) return 0;
  if (level->leaf) {
    used = walk_varint(p, end, &value);
    if (used == 0) return 0;
  }
  if (walk_varint(p + used, end, &value) == 0) return 0;
  *rowid = (i64)value;
  return 1;
}

static int walk_seek_rowid(walk_view *view, walk_path *path, u32 root, i64 rowid, int *order) {
  path->depth = -1;
  for (u32 number = root;;) {
    walk_level *level;
    i64 here = 0;
    int low, high;
    if (!walk_enter(view, path, number, 1)) return 0;
    level = &path->path[path->depth];
    low = 0;
    high = (int)level->cells;
    while (low < high) { /* the first that is not smaller */
      const int middle = (low + high) >> 1;
      if (!walk_rowid_of(view, level, (u32)middle, &here)) return 0;
      if (here < rowid) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    level->ix = (u16)low;
    if (level->leaf) {
      if (level->cells == 0) {
        path->depth = -1;
        *order = -1;
      } else if (low == (int)level->cells) {
        --level->ix;
        *order = -1;
      } else {
        if (!walk_rowid_of(view, level, (u32)low, &here)) return 0;
        *order = here == rowid ? 0 : 1;
      }
      return 1;
    }
    number = walk_child(view, level);
  }
}

/* One entry on in the same leaf, if its record lies in the page as a whole: the record. */
static const u8 *walk_step_in_page(const walk_view *view, walk_path *path, int forward, u32 *size) {
  enum { ahead = 4 };
  walk_level *const level = &path->path[path->depth];
  const int ix = forward ? level->ix + 1 : level->ix - 1;
  const int soon = forward ? ix + ahead : ix - ahead;
  const u8 *p;
  u32 at, used;
  if (!level->leaf || ix < 0 || ix >= (int)level->cells) return 0;
  if (soon >= 0 && soon < (int)level->cells) {
    const u8 *next = level->page + get2byte(&level->page[level->first + 2 * soon]);
    __builtin_prefetch(next);
    __builtin_prefetch(next + 64);
  }
  at = walk_cell_offset(view, level, (u32)ix);
  if (at == 0) return 0;
  p = level->page + at;
  *size = p[0];
  used = 1;
  if (p[0] >= 0x80) {
    if (p[1] >= 0x80) return 0;
    *size = ((p[0] & 0x7fu) << 7) | p[1];
    used = 2;
  }
  if (*size > view->shared->maxLocal || at + used + *size > view->usable) return 0;
  level->ix = (u16)ix;
  return p + used;
}

/* Goes down from the current level's child to the first or the last entry below it. */
static int walk_down(walk_view *view, walk_path *path, int table, int last) {
  while (!path->path[path->depth].leaf) {
    walk_level *level;
    if (!walk_enter(view, path, walk_child(view, &path->path[path->depth]), table)) return 0;
    level = &path->path[path->depth];
    if (last) level->ix = level->leaf ? level->cells - 1 : level->cells;
  }
  return 1;
}

static int walk_edge(walk_view *view, walk_path *path, u32 root, int table, int last) {
  walk_level *level = &path->path[0];
  path->depth = -1;
  if (!walk_enter(view, path, root, table)) return 0;
  if (level->cells == 0) {
    path->depth = -1;
    return 1;
  }
  if (last) level->ix = level->leaf ? level->cells - 1 : level->cells;
  return walk_down(view, path, table, last);
}

/* One entry on; the depth is -1 after the last. When it fails the path is where it was. */
static int walk_next(walk_view *view, walk_path *path, int table) {
  walk_level *level = &path->path[path->depth];
  const int depth = path->depth;
  const u16 ix = level->ix;
  if (!level->leaf) { /* an entry of an inner page; below its next child comes the next */
    ++level->ix;
    if (walk_down(view, path, table, 0)) return 1;
    path->depth = depth;
    level->ix = ix;
    return 0;
  }
  if (level->ix + 1u < level->cells) {
    ++level->ix;
    return 1;
  }
  for (int up = depth - 1; up >= 0; --up) {
    level = &path->path[up];
    if (level->ix == level->cells) continue;
    path->depth = up;
    if (!table) return 1;
    ++level->ix;
    if (walk_down(view, path, table, 0)) return 1;
    return 0; /* the leaf may be overwritten: see walk_step */
  }
  path->depth = -1;
  return 1;
}

static int walk_prev(walk_view *view, walk_path *path, int table) {
  walk_level *level = &path->path[path->depth];
  const int depth = path->depth;
  if (!level->leaf) return walk_down(view, path, table, 1);
  if (level->ix > 0) {
    --level->ix;
    return 1;
  }
  for (int up = depth - 1; up >= 0; --up) {
    level = &path->path[up];
    if (level->ix == 0) continue;
    path->depth = up;
    --level->ix;
    return table ? walk_down(view, path, table, 1) : 1;
  }
  path->depth = -1;
  return 1;
}

/* Copies part of a page; through the pager if it is not mapped. */
static int walk_copy(walk_view *view, u32 number, u32 offset, u32 size, u8 *out) {
  DbPage *held = 0;
  const u8 *page = walk_page(view, number);
  int rc;
  if (page == 0) {
    if (number == 0 || number > view->pages) return SQLITE_CORRUPT_BKPT;
    rc = sqlite3PagerGet(view->shared->pPager, number, &held, 0);
    if (rc != SQLITE_OK) return rc;
    page = sqlite3PagerGetData(held);
  }
  memcpy(out, page + offset, size);
  if (held != 0) sqlite3PagerUnref(held);
  return SQLITE_OK;
}

/* Copies part of a payload, which must lie inside it. */
static int walk_read(walk_view *view, const walk_cell *cell, u32 offset, u32 size, u8 *out) {
  const u32 room = view->usable - 4;
  u32 number = cell->overflow;
  if (offset < cell->local) {
    const u32 here = MIN(size, cell->local - offset);
    memcpy(out, cell->payload + offset, here);
    out += here;
    size -= here;
    offset = 0;
  } else {
    offset -= cell->local;
  }
  while (size > 0) { /* as long as the payload at most, which the file can hold */
    u8 next[4];
    int rc = walk_copy(view, number, 0, sizeof(next), next);
    if (rc == SQLITE_OK && offset < room) {
      const u32 here = MIN(size, room - offset);
      rc = walk_copy(view, number, 4 + offset, here, out);
      out += here;
      size -= here;
      offset = 0;
    } else {
      offset -= MIN(offset, room);
    }
    if (rc != SQLITE_OK) return rc;
    number = get4byte(next);
  }
  return SQLITE_OK;
}
