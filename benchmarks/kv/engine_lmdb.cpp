#include "kv/engine.hpp"

#include <lmdb.h>

namespace benchmark {
namespace {

void check(int rc) {
  if (rc != 0) fail("lmdb", mdb_strerror(rc));
}

MDB_val to_val(std::string_view bytes) { return {bytes.size(), const_cast<char*>(bytes.data())}; }
std::string_view to_view(const MDB_val& val) {
  return {static_cast<const char*>(val.mv_data), val.mv_size};
}

class LmdbSession final : public Session {
 public:
  LmdbSession(MDB_env* env, MDB_dbi dbi) : env_(env), dbi_(dbi) {
    check(mdb_txn_begin(env_, nullptr, MDB_RDONLY, &reader_));
    mdb_txn_reset(reader_);
  }
  ~LmdbSession() override { mdb_txn_abort(reader_); }

  void put(std::string_view key, std::string_view value) override {
    const Entry entry{key, value};
    put_batch({&entry, 1});
  }
  void erase(std::string_view key) override {
    MDB_txn* txn = nullptr;
    check(mdb_txn_begin(env_, nullptr, 0, &txn));
    MDB_val k = to_val(key);
    const int rc = mdb_del(txn, dbi_, &k, nullptr);
    if (rc != MDB_NOTFOUND) check(rc);
    check(mdb_txn_commit(txn));
  }
  void put_batch(std::span<const Entry> entries) override {
    MDB_txn* txn = nullptr;
    check(mdb_txn_begin(env_, nullptr, 0, &txn));
    for (const Entry& entry : entries) {
      MDB_val k = to_val(entry.key);
      MDB_val v = to_val(entry.value);
      check(mdb_put(txn, dbi_, &k, &v, 0));
    }
    check(mdb_txn_commit(txn));
  }

  std::optional<std::string_view> get(std::string_view key) override {
    const Renewed renewed(*this);
    MDB_val found;
    if (!look_up(key, found)) return {};
    value_.assign(to_view(found));
    return value_;
  }
  bool contains(std::string_view key) override {
    const Renewed renewed(*this);
    MDB_val found;
    return look_up(key, found);
  }
  std::size_t multi_get(std::span<const std::string> keys, std::uint64_t& sum) override {
    const Renewed renewed(*this);
    std::size_t count = 0;
    for (const std::string& key : keys) {
      MDB_val found;
      if (!look_up(key, found)) continue;
      ++count;
      sum += touch(to_view(found));
    }
    return count;
  }
  void pin() override {
    check(mdb_txn_renew(reader_));
    pinned_ = true;
  }
  void unpin() override {
    pinned_ = false;
    mdb_txn_reset(reader_);
  }

  std::size_t scan(Direction direction, std::uint64_t& sum) override {
    const bool forward = direction == Direction::forward;
    return walk({}, forward ? MDB_FIRST : MDB_LAST, forward ? MDB_NEXT : MDB_PREV, sum,
                [](std::string_view, std::size_t) { return true; });
  }
  std::size_t scan_prefix(std::string_view prefix, std::uint64_t& sum) override {
    return walk(prefix, MDB_SET_RANGE, MDB_NEXT, sum,
                [&](std::string_view key, std::size_t) { return key.starts_with(prefix); });
  }
  std::size_t scan_from(std::string_view key, std::size_t most, std::uint64_t& sum) override {
    return walk(key, MDB_SET_RANGE, MDB_NEXT, sum,
                [&](std::string_view, std::size_t count) { return count < most; });
  }

 private:
  /// A read transaction for one call, unless there is one already.
  class Renewed {
   public:
    explicit Renewed(LmdbSession& session) : session_(session) {
      if (!session_.pinned_) check(mdb_txn_renew(session_.reader_));
    }
    Renewed(const Renewed&) = delete;
    Renewed& operator=(const Renewed&) = delete;
    ~Renewed() {
      if (!session_.pinned_) mdb_txn_reset(session_.reader_);
    }

   private:
    LmdbSession& session_;
  };

  bool look_up(std::string_view key, MDB_val& found) {
    MDB_val k = to_val(key);
    const int rc = mdb_get(reader_, dbi_, &k, &found);
    if (rc == MDB_NOTFOUND) return false;
    check(rc);
    return true;
  }

  template <class More>
  std::size_t walk(std::string_view start, MDB_cursor_op first, MDB_cursor_op next,
                   std::uint64_t& sum, More&& more) {
    const Renewed renewed(*this);
    MDB_cursor* cursor = nullptr;
    check(mdb_cursor_open(reader_, dbi_, &cursor));
    MDB_val key = to_val(start);
    MDB_val value;
    std::size_t count = 0;
    int rc = mdb_cursor_get(cursor, &key, &value, first);
    for (; rc == 0 && more(to_view(key), count); ++count) {
      sum += touch(to_view(key)) + touch(to_view(value));
      rc = mdb_cursor_get(cursor, &key, &value, next);
    }
    if (rc != MDB_NOTFOUND) check(rc);
    mdb_cursor_close(cursor);
    return count;
  }

  MDB_env* env_;
  MDB_dbi dbi_;
  MDB_txn* reader_ = nullptr;
  bool pinned_ = false;
  std::string value_;
};

class LmdbEngine final : public Engine {
 public:
  explicit LmdbEngine(const EngineOptions& options) {
    check(mdb_env_create(&env_));
    check(mdb_env_set_mapsize(env_, std::size_t{64} << 30));
    const unsigned flags = options.durability == Durability::disk ? 0 : MDB_NOSYNC;
    check(mdb_env_open(env_, options.folder.c_str(), flags | MDB_NOTLS, 0644));
    MDB_txn* txn = nullptr;
    check(mdb_txn_begin(env_, nullptr, 0, &txn));
    check(mdb_dbi_open(txn, nullptr, 0, &dbi_));
    check(mdb_txn_commit(txn));
  }
  ~LmdbEngine() override { mdb_env_close(env_); }
  std::unique_ptr<Session> session() override { return std::make_unique<LmdbSession>(env_, dbi_); }

 private:
  MDB_env* env_ = nullptr;
  MDB_dbi dbi_ = 0;
};

}  // namespace

EngineKind lmdb_kind() {
  return {"lmdb",
          "LMDB " + std::to_string(MDB_VERSION_MAJOR) + "." + std::to_string(MDB_VERSION_MINOR) +
              "." + std::to_string(MDB_VERSION_PATCH) +
              ", reader renewed for each get; MDB_NOSYNC, or synced commits",
          [](const EngineOptions& options) { return std::make_unique<LmdbEngine>(options); },
          Durability::none};
}

}  // namespace benchmark
