// M9, T13: pages that are read where they lie in memory give what the engine's own cursors give, on sound
// files and on damaged ones, where each answer must be an error or something found, and never a crash.
#include "fixture.hpp"

#include "base/printable.hpp"

#include <algorithm>
#include <random>
#include <set>

using namespace snkv;
using namespace snkv::contract;

namespace {

enum class Pages { in_place, through_pager };

/// The connection reads in one way or the other.
Connection open_reading(const File& file, Pages pages) {
  Connection connection = file.open();
  snkv_bt_walk(connection.get(), pages == Pages::in_place ? 1 : 0);
  return connection;
}

/// Keys of all lengths up to where they leave their page, many of them alike.
std::string random_key(std::mt19937& random) {
  const std::size_t lengths[] = {1, 7, 8, 9, 16, 40, 300, 1200, 5000};
  std::string key = random() % 2 == 0 ? std::string(random() % 40, 'p') : std::string();
  const std::size_t length = lengths[random() % (random() % 8 == 0 ? 9 : 6)];
  for (std::size_t i = 0; i < length; ++i) key += static_cast<char>('a' + random() % 3);
  return key;
}

/// Rows in the log and in the file, and chunks with integer keys.
void fill(const File& file, std::mt19937& random, std::set<std::string>& keys) {
  Connection connection = file.open();
  for (int round = 0; round < 4; ++round) {
    Contents entries;
    for (int i = 0; i < 400; ++i) {
      const std::string key = random_key(random);
      if (keys.insert(key).second) entries.emplace_back(key, patterned(random() % 200, keys.size()));
    }
    put_committed(connection, file.t, entries);
    {
      Writing writing(connection);
      btree::Cursor chunks = cursor_on(connection, file.chunks, true, SNKV_BT_ROWID);
      for (int i = 0; i < 60; ++i) {
        const std::string content = patterned(random() % 9000, static_cast<std::uint64_t>(i));
        const Column columns[] = {Column::null(), Column::of(BytesView(content))};
        const std::string record = record_of(columns);
        must_rc(snkv_bt_insert_rowid(chunks.get(), 1000 * round + 7 * i, record.data(),
                                     size32(record.size())));
      }
      must_rc(writing.transaction.commit());
    }
    std::uint32_t frames = 0;
    std::uint32_t done = 0;
    if (round == 1) must_rc(snkv_bt_checkpoint(connection.get(), 0, &frames, &done));
  }
}

/// What a cursor says: moves, and what is under it. Errors are told too.
class Story {
 public:
  Story(Connection& connection, std::uint32_t root, snkv_bt_kind kind) : kind_(kind) {
    must_rc(cursor_.open(connection.get(), root, kind, false));
  }

  void whole(bool forward) {
    int valid = 0;
    int rc = forward ? snkv_bt_first(cursor_.get(), &valid) : snkv_bt_last(cursor_.get(), &valid);
    for (int steps = 0; rc == ok && valid != 0 && steps < 20000; ++steps) {
      record();
      rc = forward ? snkv_bt_next(cursor_.get(), &valid) : snkv_bt_prev(cursor_.get(), &valid);
    }
    tell(rc);
  }
  /// The first row that is not smaller, and its neighbours.
  void around(std::string_view key) {
    int order = 0;
    const int rc = snkv_bt_seek(cursor_.get(), key.data(), size32(key.size()), &order);
    after_seek(rc, order);
  }
  void around(std::int64_t rowid) {
    int order = 0;
    const int rc = snkv_bt_seek_rowid(cursor_.get(), rowid, &order);
    after_seek(rc, order);
  }

  std::vector<std::string> lines{};

 private:
  void tell(int rc) { lines.push_back("rc " + std::to_string(rc & 0xff)); }
  void after_seek(int rc, int order) {
    int valid = snkv_bt_valid(cursor_.get());
    lines.push_back(order == 0 ? "found" : "not found");
    if (rc == ok && valid != 0 && order < 0) rc = snkv_bt_next(cursor_.get(), &valid);
    if (rc == ok && valid != 0) {
      record();
      rc = snkv_bt_prev(cursor_.get(), &valid);
      if (rc == ok && valid != 0) record();
    }
    tell(rc);
  }
  void record() {
    const void* data = nullptr;
    std::uint32_t local = 0;
    std::uint32_t size = 0;
    int rc = snkv_bt_payload(cursor_.get(), &data, &local, &size);
    std::string bytes;
    if (rc == ok && size < 100000) {
      bytes.resize(size);
      rc = snkv_bt_read(cursor_.get(), 0, size, bytes.data());
    }
    tell(rc);
    if (rc != ok) return;
    if (kind_ == SNKV_BT_ROWID) bytes.insert(0, std::to_string(snkv_bt_rowid(cursor_.get())) + " ");
    lines.push_back(std::move(bytes));
  }

  btree::Cursor cursor_;
  snkv_bt_kind kind_;
};

std::vector<std::string> tell_all(Connection& connection, const File& file, std::mt19937 random,
                                  const std::set<std::string>& keys) {
  const Reading reading(connection);
  std::vector<std::string> lines;
  const auto take = [&](Story& story) {
    lines.insert(lines.end(), story.lines.begin(), story.lines.end());
  };
  Story rows(connection, file.t, SNKV_BT_ROWS);
  rows.whole(true);
  rows.whole(false);
  // Often enough for the inner pages to get their guides.
  for (int i = 0; i < 600; ++i) rows.around(random_key(random));
  for (const std::string& key : keys) rows.around(key);
  rows.around("");
  take(rows);
  Story chunks(connection, file.chunks, SNKV_BT_ROWID);
  chunks.whole(true);
  chunks.whole(false);
  for (std::int64_t id = -1; id < 4100; id += 3) chunks.around(id);
  take(chunks);
  return lines;
}

/// Where two stories part; empty if they are the same.
std::string difference(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  for (std::size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    const std::string mine = i < a.size() ? a[i] : "the end";
    const std::string other = i < b.size() ? b[i] : "the end";
    if (mine == other) continue;
    return "line " + std::to_string(i) + ": " + base::printable(mine) + ", not " +
           base::printable(other);
  }
  return {};
}

}  // namespace

TEST_CASE("pages read in place give what the pager gives", "[M9][T13]") {
  const unsigned seed = GENERATE(1u, 2u, 3u);
  const std::uint32_t page_size = GENERATE(512u, 4096u, 65536u);
  const Log log = GENERATE(Log::wal, Log::journal);
  CAPTURE(seed, page_size, log);
  const File file(log, page_size);
  std::mt19937 random(seed);
  std::set<std::string> keys;
  fill(file, random, keys);
  Connection in_place = open_reading(file, Pages::in_place);
  Connection through_pager = open_reading(file, Pages::through_pager);
  const auto expected = tell_all(through_pager, file, random, keys);
  REQUIRE(expected.size() > 4000);
  CHECK(difference(tell_all(in_place, file, random, keys), expected) == "");
  // In another state of the file what was learnt about the old one is of no use.
  Connection writer = file.open();
  put_committed(writer, file.t, {{"a", "new"}, {"zz", "new"}, {*keys.begin(), "changed"}});
  keys.insert({"a", "zz"});
  const auto compare = [&] {
    return difference(tell_all(in_place, file, random, keys),
                      tell_all(through_pager, file, random, keys));
  };
  CHECK(compare() == "");
  std::uint32_t frames = 0;
  std::uint32_t done = 0;
  if (log == Log::wal) must_rc(snkv_bt_checkpoint(writer.get(), 3, &frames, &done));
  CHECK(compare() == "");
}

TEST_CASE("pages of files, logs and stores in memory are read in place", "[M9]") {
  if (snkv_bt_without("walk")) return;
  const auto is_walking = [](Connection& connection, std::uint32_t root) {
    const Reading reading(connection);
    btree::Cursor cursor = cursor_on(connection, root);
    const bool found = seek(cursor, "here") == 0;
    return found && snkv_bt_is_walking(cursor.get()) != 0;
  };
  for (const Log log : {Log::wal, Log::journal}) {
    CAPTURE(log);
    const File file(log);
    Connection writer = file.open();
    put_committed(writer, file.t, {{"here", "value"}});
    Connection reader = file.open();
    CHECK(is_walking(reader, file.t));
    std::uint32_t frames = 0;
    std::uint32_t done = 0;
    if (log == Log::wal) must_rc(snkv_bt_checkpoint(writer.get(), 3, &frames, &done));
    CHECK(is_walking(reader, file.t));
    snkv_bt_walk(reader.get(), 0);
    CHECK_FALSE(is_walking(reader, file.t));
  }
  Connection memory;
  must_rc(memory.open("walk_test", SNKV_BT_OPEN_CREATE | SNKV_BT_OPEN_MEMORY, 0));
  run(memory, core::format::family_table_sql("t", 7));
  run(memory, "PRAGMA journal_mode=WAL");
  const std::uint32_t root = File::root(memory, "t");
  put_committed(memory, root, {{"here", "value"}});
  CHECK(is_walking(memory, root));
}

namespace {

bool can_begin(Connection& connection) {
  const Lock lock(connection);
  std::uint32_t cookie = 0;
  if (snkv_bt_begin_read(lock.get(), &cookie) != ok) return false;
  snkv_bt_end_read(lock.get());
  return true;
}

}  // namespace

TEST_CASE("damaged pages that are read in place give errors, and never a crash", "[M9]") {
  const unsigned seed = GENERATE(range(1u, 13u));
  CAPTURE(seed);
  std::mt19937 random(seed);
  const File file(Log::journal, 512 << random() % 5);
  std::set<std::string> keys;
  fill(file, random, keys);
  const std::string sound = read_file(file.path());
  for (int round = 0; round < 6; ++round) {
    CAPTURE(round);
    std::string damaged = sound;
    // The first kilobyte, with the header and the schema, stays.
    for (int i = 0; i < 1 << (2 * round); ++i) {
      damaged[1024 + random() % (damaged.size() - 1024)] = static_cast<char>(random());
    }
    if (round == 3) damaged.resize(damaged.size() / 2);
    write_file(file.path(), damaged);
    Connection connection = open_reading(file, Pages::in_place);
    if (!can_begin(connection)) continue;
    static_cast<void>(tell_all(connection, file, random, keys));
  }
}

TEST_CASE("a file that is shorter than it says is read as far as it goes", "[M9]") {
  const File file(Log::journal);
  std::mt19937 random(9);
  std::set<std::string> keys;
  fill(file, random, keys);
  truncate_file(file.path(), size_of(file.path()) / 4096 / 2 * 4096);
  Connection connection = open_reading(file, Pages::in_place);
  if (!can_begin(connection)) return;
  const auto lines = tell_all(connection, file, random, keys);
  CHECK(std::find(lines.begin(), lines.end(), "rc 11") != lines.end());
}
