// An expiry that was changed into the past while the file was closed made an entry of an encrypted store look
// as if it had never been there. Nothing is called absent before it is authenticated.
#include "support/check.hpp"
#include "support/patterned.hpp"
#include "support/sqlite_cli.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace snkv;
using namespace snkv::test;
using namespace std::chrono_literals;

namespace {

Secret key() { return Secret::key(std::string(Secret::key_size, 'k')); }

Result<Store> open(const std::string& path, const Options& options = {}) {
  return Store::open_encrypted(path, key(), options);
}

constexpr TimePoint late(4'000'000'000'000ms);
constexpr TimePoint early(1'000'000'000'000ms);

/// The expiry of an entry is changed in its row and in the index, as the library would do it.
std::string move_expiry(const std::string& name, const std::string& to) {
  const std::string where = " WHERE key=CAST('" + name + "' AS BLOB);";
  return "UPDATE \"default\" SET expires_at=" + to + where + "DELETE FROM snkv_expiry_1" + where +
         (to == "NULL" ? std::string()
                       : "INSERT INTO snkv_expiry_1 VALUES(" + to + ", CAST('" + name + "' AS BLOB));");
}

/// Two entries whose expiry was changed into the past, "forged" and "large", between two that live, and one
/// that has expired indeed.
std::string make_store(const TempDir& dir) {
  const std::string path = dir.file("a.db");
  {
    Store store = must(open(path));
    must(store.put("a", "lives"));
    must(store.put("forged", "5", {.expires_at = late}));
    must(store.put("gone", "has expired", {.expires_at = early}));
    must(store.put("large", patterned(30'000), {.expires_at = late}));
    must(store.put("z", "lives", {.expires_at = late}));
  }
  sqlite_cli(path, move_expiry("forged", "1000") + move_expiry("large", "2000"));
  return path;
}

/// A result that is an error about this key.
template <class R>
void check_tampered(const R& result, const std::string& name) {
  REQUIRE_ERRC(result, Errc::tampered);
  CHECK(result.error().message().find(name) != std::string::npos);
}

/// Everything that reads an entry, in a store, a snapshot or a transaction.
template <class Entries>
void check_reads(const Entries& entries) {
  for (const std::string name : {"forged", "large"}) {
    CAPTURE(name);
    check_tampered(entries.get(name), name);
    check_tampered(entries.contains(name), name);
    check_tampered(entries.ttl(name), name);
    check_tampered(entries.visit(name, [](BytesView) {}), name);
    check_tampered(entries.get_pinned(name), name);
    check_tampered(entries.blob_reader(name), name);
    check_tampered(entries.get_to_file(name, "never-written"), name);
    const std::vector<BytesView> keys{"a", BytesView(name)};
    check_tampered(entries.multi_get(keys), name);
  }
  check_tampered(entries.count_live(), "forged");
  REQUIRE_ERRC(entries.get("gone"), Errc::not_found);
  CHECK_FALSE(must(entries.contains("gone")));
  CHECK(must(entries.get("z")) == BytesView("lives"));
  for (const bool keys_only : {false, true}) {
    CAPTURE(keys_only);
    Iterator forward = entries.iterator({.keys_only = keys_only});
    std::string seen;
    for (forward.seek_first(); forward.valid(); forward.next()) seen += forward.key().str();
    CHECK(seen == "a");
    check_tampered(forward.status(), "forged");
    Iterator backward = entries.iterator({.keys_only = keys_only});
    seen.clear();
    for (backward.seek_last(); backward.valid(); backward.prev()) seen += backward.key().str();
    CHECK(seen == "z");
    check_tampered(backward.status(), "large");
  }
}

}  // namespace

TEST_CASE("an entry whose expiry was changed into the past is tampered with, not absent") {
  const TempDir dir;
  const std::string path = make_store(dir);
  Store store = must(open(path));
  check_reads(store);
  check_reads(must(store.snapshot()));
  Transaction transaction = must(store.begin());
  must(transaction.put("b", "new"));
  must(transaction.erase("b"));
  check_reads(transaction);
}

TEST_CASE("what decides by an entry is refused where its expiry was changed") {
  const TempDir dir;
  const std::string path = make_store(dir);
  const std::string before = sqlite_cli(path, "SELECT hex(value) FROM \"default\" ORDER BY key");
  {
    Store store = must(open(path));
    for (const std::string name : {"forged", "large"}) {
      CAPTURE(name);
      check_tampered(store.put_if_absent(name, "new"), name);
      check_tampered(store.compare_and_swap(name, {}, "new"), name);
      check_tampered(store.compare_and_swap(name, "5", "new"), name);
      check_tampered(store.increment(name), name);
      check_tampered(store.get_and_put(name, "new"), name);
      check_tampered(store.get_and_erase(name), name);
      check_tampered(store.merge(name, [](std::optional<BytesView>) { return std::optional<Bytes>(); }), name);
      check_tampered(store.expire(name, 1h), name);
      check_tampered(store.persist(name), name);
    }
  }
  CHECK(sqlite_cli(path, "SELECT hex(value) FROM \"default\" ORDER BY key") == before);
}

TEST_CASE("an entry whose expiry was changed can be replaced or erased") {
  const TempDir dir;
  const std::string path = make_store(dir);
  Store store = must(open(path));
  for (const std::string name : {"forged", "large"}) {
    CAPTURE(name);
    SECTION("replaced: " + name) {
      must(store.put(name, "new"));
      CHECK(must(store.get(name)) == BytesView("new"));
    }
    SECTION("erased: " + name) {
      CHECK(must(store.erase(name)));  // nobody can tell that it had expired
      REQUIRE_ERRC(store.get(name), Errc::not_found);
    }
  }
  CHECK_FALSE(must(store.erase("gone")));
}

TEST_CASE("purging leaves what does not authenticate, removes the rest, and tells") {
  const TempDir dir;
  const std::string path = make_store(dir);
  const std::uint64_t limit = GENERATE(0u, 1u, 5000u);
  CAPTURE(limit);
  {
    Store store = must(open(path));
    ColumnFamily other = must(store.column_family("other"));
    must(other.put("old", "has expired", {.expires_at = early}));
    WriteBatch many;
    for (int i = 0; i < 2500; ++i) many.put("old" + std::to_string(i), "v", {.expires_at = early});
    must(store.write(many));
    SECTION("in a family") {
      check_tampered(store.purge_expired(limit), "forged");
      CHECK(must(store.count()) == (limit == 1 ? 2504u : 4u));
    }
    SECTION("in all") {
      check_tampered(store.purge_all_expired(limit), "forged");
      CHECK(must(store.count()) == (limit == 1 ? 2504u : 4u));
      CHECK(must(other.count()) == (limit == 1 ? 1u : 0u));
    }
    SECTION("in a transaction, which goes on") {
      Transaction transaction = must(store.begin());
      check_tampered(transaction.purge_expired(limit), "forged");
      must(transaction.commit());
      CHECK(must(store.count()) == (limit == 1 ? 2504u : 4u));
    }
    REQUIRE_ERRC(store.verify(), Errc::tampered);
  }
  // Put back, they are what they were.
  sqlite_cli(path, move_expiry("forged", "4000000000000") + move_expiry("large", "4000000000000"));
  const Store store = must(open(path));
  CHECK(must(store.get("forged")) == BytesView("5"));
  CHECK(must(store.get("large")) == BytesView(patterned(30'000)));
}

TEST_CASE("an index of expiries that was changed makes nothing absent") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  {
    Store store = must(open(path));
    must(store.put("a", "lives", {.expires_at = late}));
    must(store.put("b", "lives"));
    must(store.put("gone", "has expired", {.expires_at = early}));
  }
  sqlite_cli(path,
             "INSERT INTO snkv_expiry_1 VALUES(1, CAST('a' AS BLOB)), (2, CAST('b' AS BLOB)), "
             "(3, CAST('none' AS BLOB))");
  Store store = must(open(path));
  CHECK(must(store.count_live()) == 2);
  CHECK(must(store.purge_expired()) == 1);
  CHECK(must(store.get("a")) == BytesView("lives"));
  CHECK(must(store.count_live()) == 2);
  must(store.verify());
}

TEST_CASE("the time that is left is not believed either when it was made longer") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  const std::string to = GENERATE(as<std::string>(), "4000000000001", "NULL");
  CAPTURE(to);
  {
    Store store = must(open(path));
    must(store.put("a", "lives", {.expires_at = late}));
  }
  sqlite_cli(path, move_expiry("a", to));
  Store store = must(open(path));
  check_tampered(store.ttl("a"), "a");
  check_tampered(store.get("a"), "a");
  check_tampered(store.expire(BytesView("a"), 1h), "a");
}

TEST_CASE("in a store that is not encrypted an expiry may be changed through SQL") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  {
    Store store = must(Store::open(path));
    must(store.put("a", "lives", {.expires_at = late}));
  }
  sqlite_cli(path, move_expiry("a", "1000"));
  Store store = must(Store::open(path));
  REQUIRE_ERRC(store.get("a"), Errc::not_found);
  CHECK(must(store.count_live()) == 0);
  CHECK_FALSE(must(store.erase("a")));
}
