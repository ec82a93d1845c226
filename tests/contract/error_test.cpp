// E: what the engine's codes become, and that a handle outlives errors of the system. Real errors
// come from a limit on the size of files in a child process; the rest waits for a VFS that fails on
// request.
#include "core/store_state.hpp"
#include "fixture.hpp"

#include "support/child_process.hpp"

#include <sys/resource.h>

#include <csignal>

using namespace snkv;
using namespace snkv::contract;

namespace {

/// From now on this process cannot make files larger than `bytes`.
void limit_file_size(::rlim_t bytes) {
  ::signal(SIGXFSZ, SIG_IGN);
  ::rlimit limit{};
  ::getrlimit(RLIMIT_FSIZE, &limit);
  limit.rlim_cur = bytes;
  ::setrlimit(RLIMIT_FSIZE, &limit);
}
void lift_limit() { limit_file_size(RLIM_INFINITY); }

}  // namespace

TEST_CASE("engine codes become the codes that callers can act on", "[E1]") {
  using btree::errc_of;
  CHECK(errc_of(ok) == Errc::ok);
  // Extended codes mean what their low byte means.
  CHECK(errc_of(SNKV_BT_BUSY) == Errc::busy);
  CHECK(errc_of(SNKV_BT_BUSY | 2 << 8) == Errc::busy);
  CHECK(errc_of(SNKV_BT_NOMEM) == Errc::no_memory);
  CHECK(errc_of(SNKV_BT_IOERR | 4 << 8) == Errc::io_error);
  CHECK(errc_of(SNKV_BT_FULL) == Errc::full);
  CHECK(errc_of(SNKV_BT_IOERR_SHMSIZE) == Errc::full);
  CHECK(errc_of(SNKV_BT_CORRUPT | 1 << 8) == Errc::corrupt);
  CHECK(errc_of(SNKV_BT_NOTADB) == Errc::not_a_store);
  CHECK(errc_of(SNKV_BT_READONLY | 5 << 8) == Errc::read_only);
  CHECK(errc_of(SNKV_BT_CANTOPEN | 2 << 8) == Errc::cant_open);
  CHECK(errc_of(SNKV_BT_PROTOCOL) == Errc::protocol);
  CHECK(errc_of(SNKV_BT_TOOBIG) == Errc::too_large);
  CHECK(errc_of(SNKV_BT_POISONED) == Errc::rollback_required);
  CHECK(errc_of(SNKV_BT_MOVED) == Errc::closed);
  // Within one connection these can only be our own mistakes.
  CHECK(errc_of(SNKV_BT_LOCKED) == Errc::internal);
  CHECK(errc_of(SNKV_BT_MISUSE) == Errc::internal);
  CHECK(btree::engine_error("put", SNKV_BT_IOERR | 3 << 8).extended() == (SNKV_BT_IOERR | 3 << 8));
}

TEST_CASE("a damaged page is an error of those who read it, not of the handle", "[E1]") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  {
    Store store = must(Store::open(path, {.journal = Journal::rollback}));
    must(store.put("k", "v"));
    must(must(store.create_column_family("bad")).put("k", "v"));
  }
  const auto root =
      std::stoull(sqlite_cli(path, "SELECT rootpage FROM sqlite_schema WHERE name='bad'"));
  overwrite(path, (root - 1) * 8192, std::string(8, '\xa5'));
  Store store = must(Store::open(path, {.journal = Journal::rollback}));
  ColumnFamily bad = must(store.open_column_family("bad"));
  REQUIRE_ERROR(bad.get("k"), Errc::corrupt, "get");
  REQUIRE_ERROR(bad.put("k", "w"), Errc::corrupt, "put");
  must(store.put("k", "w"));
  CHECK(must(store.get("k")) == BytesView("w"));
  REQUIRE_ERRC(store.integrity_check(), Errc::corrupt);
}

TEST_CASE("after a failed write to disk the same handle works again", "[E2]") {
  const bool wal = GENERATE(true, false);
  const bool in_transaction = GENERATE(true, false);
  CAPTURE(wal, in_transaction);
  const TempDir dir;
  const std::string path = dir.file("a.db");
  const std::string report = in_child([&]() -> std::string {
    Options options{.journal = wal ? Journal::wal : Journal::rollback, .page_size = 4096};
    options.cache_size = 64 * 1024;  // so that pages are written before the commit
    Store store = Store::open(path, options).value();
    for (int i = 0; i < 200; ++i) {
      if (!store.put(numbered(i), std::string(500, 'a'))) return "setting up";
    }
    Iterator pinned = store.iterator();
    pinned.seek_first();
    // With a rollback journal an iterator would make writers fail with busy before that.
    if (!wal) pinned = Iterator();

    limit_file_size(400 * 1024);
    Errc code = Errc::ok;
    if (in_transaction) {
      Transaction transaction = store.begin().value();
      for (int i = 0; code == Errc::ok && i < 5000; ++i) {
        auto put = transaction.put(numbered(i), std::string(500, 'b'));
        if (!put) code = put.error().code();
      }
      if (code == Errc::ok) return "nothing failed";
      if (transaction.commit()) return "committed after a failure";
    } else {
      auto put = store.put("big", std::string(4'000'000, 'b'));
      if (put) return "nothing failed";
      code = put.error().code();
    }
    if (code != Errc::io_error && code != Errc::full) return "got " + std::string(to_string(code));

    lift_limit();
    for (int i = 0; i < 200; ++i) {
      auto value = store.get(numbered(i));
      if (!value) return "get: " + value.error().message();
      if (!(*value == BytesView(std::string(500, 'a')))) return "an undone write is there";
    }
    if (auto put = store.put("k", "v"); !put) return "put: " + put.error().message();
    if (auto sound = store.integrity_check(); !sound) return sound.error().message();
    return store.count().value() == 201 ? "" : "wrong count";
  });
  CHECK(report == "");
  CHECK(sqlite_cli(path, "PRAGMA integrity_check") == "ok");
}

TEST_CASE("a commit that cannot be written is rolled back", "[T8]") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  const std::string report = in_child([&]() -> std::string {
    Store store = Store::open(path, {.page_size = 4096}).value();
    if (!store.put("k", "old")) return "setting up";
    Transaction transaction = store.begin().value();
    for (int i = 0; i < 500; ++i) {
      if (!transaction.put(numbered(i), std::string(500, 'x'))) return "a put failed early";
    }
    limit_file_size(100 * 1024);
    auto committed = transaction.commit();
    if (committed) return "committed";
    if (!(committed.error() == Errc::io_error || committed.error() == Errc::full)) {
      return committed.error().message();
    }
    if (!(transaction.put("k", "v").error() == Errc::closed)) return "still open";
    lift_limit();
    if (auto put = store.put("l", "new"); !put) return put.error().message();
    return store.count().value() == 2 ? "" : "part of it was committed";
  });
  CHECK(report == "");
  CHECK(sqlite_cli(path, "PRAGMA integrity_check") == "ok");
}
