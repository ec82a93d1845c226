// SQLite as one would use it well: the same version with the same settings, prepared statements, a
// WITHOUT ROWID table, a connection for each thread.
#include "kv/engine.hpp"

#include <sqlite3.h>

#include <array>

namespace benchmark {
namespace {

void check(sqlite3* db, int rc) {
  if (rc != SQLITE_OK && rc != SQLITE_DONE && rc != SQLITE_ROW) fail("sqlite", sqlite3_errmsg(db));
}

std::string_view column(sqlite3_stmt* statement, int index) {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(statement, index));
  return {data, static_cast<std::size_t>(sqlite3_column_bytes(statement, index))};
}

sqlite3* open(const EngineOptions& options) {
  sqlite3* db = nullptr;
  const std::string path = options.folder + "/store.db";
  check(db, sqlite3_open(path.c_str(), &db));
  sqlite3_busy_timeout(db, 5000);
  const char* pragmas =
      "PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA cache_size=-8192;"
      "CREATE TABLE IF NOT EXISTS kv(key BLOB NOT NULL PRIMARY KEY, value BLOB) WITHOUT ROWID;";
  check(db, sqlite3_exec(db, pragmas, nullptr, nullptr, nullptr));
  const char* level = options.durability == Durability::disk   ? "PRAGMA synchronous=FULL"
                      : options.durability == Durability::none ? "PRAGMA synchronous=OFF"
                                                               : "PRAGMA synchronous=NORMAL";
  check(db, sqlite3_exec(db, level, nullptr, nullptr, nullptr));
  return db;
}

class SqliteSession final : public Session {
 public:
  explicit SqliteSession(const EngineOptions& options) : db_(open(options)) {
    constexpr std::array<const char*, statement_count> sql = {
        "BEGIN IMMEDIATE",
        "COMMIT",
        "BEGIN",
        "INSERT OR REPLACE INTO kv(key, value) VALUES(?1, ?2)",
        "DELETE FROM kv WHERE key=?1",
        "SELECT value FROM kv WHERE key=?1",
        "SELECT 1 FROM kv WHERE key=?1",
        "SELECT key, value FROM kv ORDER BY key",
        "SELECT key, value FROM kv ORDER BY key DESC",
        "SELECT key, value FROM kv WHERE key>=?1 AND key<?2 ORDER BY key",
        "SELECT key, value FROM kv WHERE key>=?1 ORDER BY key LIMIT ?2"};
    for (std::size_t i = 0; i < sql.size(); ++i) {
      check(db_, sqlite3_prepare_v3(db_, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &statements_[i],
                                    nullptr));
    }
  }
  ~SqliteSession() override {
    for (sqlite3_stmt* statement : statements_) sqlite3_finalize(statement);
    sqlite3_close(db_);
  }

  void put(std::string_view key, std::string_view value) override {
    bind(insert, 1, key);
    bind(insert, 2, value);
    run(insert);
  }
  void erase(std::string_view key) override {
    bind(remove, 1, key);
    run(remove);
  }
  void put_batch(std::span<const Entry> entries) override {
    run(begin_write);
    for (const Entry& entry : entries) put(entry.key, entry.value);
    run(commit);
  }

  std::optional<std::string_view> get(std::string_view key) override {
    bind(select, 1, key);
    const bool found = step(select);
    if (found) value_.assign(column(statements_[select], 0));
    sqlite3_reset(statements_[select]);
    if (!found) return {};
    return value_;
  }
  bool contains(std::string_view key) override {
    bind(exists, 1, key);
    const bool found = step(exists);
    sqlite3_reset(statements_[exists]);
    return found;
  }
  std::size_t multi_get(std::span<const std::string> keys, std::uint64_t& sum) override {
    std::size_t found = 0;
    run(begin_read);
    for (const std::string& key : keys) {
      bind(select, 1, key);
      if (step(select)) {
        ++found;
        sum += touch(column(statements_[select], 0));
      }
      sqlite3_reset(statements_[select]);
    }
    run(commit);
    return found;
  }
  void pin() override { run(begin_read); }
  void unpin() override { run(commit); }

  std::size_t scan(Direction direction, std::uint64_t& sum) override {
    return add_up(direction == Direction::forward ? all : all_reverse, sum);
  }
  std::size_t scan_prefix(std::string_view prefix, std::uint64_t& sum) override {
    std::string high(prefix);
    ++high.back();  // the prefixes of the benchmark are digits
    bind(between, 1, prefix);
    bind(between, 2, high);
    return add_up(between, sum);
  }
  std::size_t scan_from(std::string_view key, std::size_t most, std::uint64_t& sum) override {
    bind(from, 1, key);
    check(db_, sqlite3_bind_int64(statements_[from], 2, static_cast<sqlite3_int64>(most)));
    return add_up(from, sum);
  }

 private:
  enum Which : std::size_t {
    begin_write,
    commit,
    begin_read,
    insert,
    remove,
    select,
    exists,
    all,
    all_reverse,
    between,
    from,
    statement_count
  };

  void bind(Which which, int index, std::string_view bytes) {
    check(db_, sqlite3_bind_blob(statements_[which], index, bytes.data(),
                                 static_cast<int>(bytes.size()), SQLITE_STATIC));
  }
  bool step(Which which) {
    const int rc = sqlite3_step(statements_[which]);
    check(db_, rc);
    return rc == SQLITE_ROW;
  }
  void run(Which which) {
    step(which);
    check(db_, sqlite3_reset(statements_[which]));
  }
  std::size_t add_up(Which which, std::uint64_t& sum) {
    std::size_t count = 0;
    for (; step(which); ++count) {
      sum += touch(column(statements_[which], 0)) + touch(column(statements_[which], 1));
    }
    sqlite3_reset(statements_[which]);
    return count;
  }

  sqlite3* db_;
  std::array<sqlite3_stmt*, statement_count> statements_{};
  std::string value_;
};

class SqliteEngine final : public Engine {
 public:
  explicit SqliteEngine(EngineOptions options)
      : options_(std::move(options)), keeper_(open(options_)) {}
  ~SqliteEngine() override { sqlite3_close(keeper_); }
  std::unique_ptr<Session> session() override { return std::make_unique<SqliteSession>(options_); }
  void settle() override {
    sqlite3_wal_checkpoint_v2(keeper_, nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
  }

 private:
  EngineOptions options_;
  sqlite3* keeper_;  // the log stays while it is open
};

}  // namespace

EngineKind sqlite_kind() {
  return {"sqlite",
          "SQLite " SQLITE_VERSION
          ", WITHOUT ROWID, prepared statements, 8 KB pages, 8 MB cache, write-ahead log; "
          "synchronous NORMAL, FULL when synced, OFF when nothing is",
          [](const EngineOptions& options) { return std::make_unique<SqliteEngine>(options); },
          Durability::none};
}

}  // namespace benchmark
