// Files that are no stores, are damaged, or must not be touched: an error that says so, and a file
// that is not touched.
#include "support/check.hpp"
#include "support/child_process.hpp"
#include "support/contents.hpp"
#include "support/files.hpp"
#include "support/patterned.hpp"
#include "support/sqlite_cli.hpp"
#include "support/store_kind.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

using namespace snkv;
using namespace snkv::test;

namespace {

namespace fs = std::filesystem;

constexpr int entry_count = 400;

std::string key_of(int i) { return "key" + std::to_string(1000 + i); }

/// A closed store with some hundred entries, large ones among them.
std::string make_store(const TempDir& dir, StoreKind kind = StoreKind::wal) {
  Store store = open_kind(kind, dir, {.sync = Sync::off, .page_size = 4096});
  Transaction transaction = must(store.begin());
  for (int i = 0; i < entry_count; ++i) {
    must(transaction.put(key_of(i), patterned(i % 40 == 0 ? 20'000 : 200, i)));
  }
  must(transaction.commit());
  return dir.file("test.db");
}

/// Opening it fails with `code`, in every mode, and leaves the bytes as they are.
void check_refused(const std::string& path, Errc code) {
  const std::string before = read_file(path);
  REQUIRE_ERROR(Store::open(path), code, "open");
  REQUIRE_ERROR(Store::open(path, {.create_if_missing = false}), code, "open");
  REQUIRE_ERROR(Store::open(path, {.read_only = true}), code, "open");
  CHECK((read_file(path) == before));
  CHECK(Store::open(path).error().message().find(path) != std::string::npos);
}

/// What can be read of a damaged store must be true, and what cannot must be an error.
void check_no_lie(const std::string& path) {
  auto store = Store::open(path, {.read_only = true});
  if (!store) {
    const Errc code = store.error().code();
    CAPTURE(store.error().message());
    CHECK((code == Errc::corrupt || code == Errc::not_a_store || code == Errc::io_error));
    return;
  }
  bool damage_seen = false;
  for (int i = 0; i < entry_count; ++i) {
    auto value = store->get(key_of(i));
    if (value) {
      REQUIRE((*value == BytesView(patterned(i % 40 == 0 ? 20'000 : 200, i))));
    } else {
      REQUIRE((value.error() == Errc::corrupt || value.error() == Errc::io_error));
      damage_seen = true;
    }
  }
  Range scan = store->all();
  int met = 0;
  for (auto entry = scan.begin(); entry != scan.end(); ++entry) ++met;
  if (met < entry_count) {
    // The original took an error for the end of the range.
    REQUIRE_FALSE(scan.status());
    damage_seen = true;
  }
  auto check = store->integrity_check();
  if (damage_seen) {
    REQUIRE_FALSE(check);
  }
}

/// Runs `body` in a child that is an ordinary user, as permissions mean nothing to root. The folder
/// is given to that user first.
template <class Body>
std::string as_ordinary_user(const TempDir& dir, Body body) {
  constexpr ::uid_t nobody = 65534;
  const bool root = ::geteuid() == 0;
  if (root) {
    for (const auto& entry : fs::recursive_directory_iterator(dir.path())) {
      if (::chown(entry.path().c_str(), nobody, nobody) != 0) throw std::runtime_error("chown");
    }
    if (::chown(dir.path().c_str(), nobody, nobody) != 0) throw std::runtime_error("chown");
  }
  return in_child([&]() -> std::string {
    if (root && (::setgid(nobody) != 0 || ::setuid(nobody) != 0)) return "cannot become nobody";
    return body();
  });
}

/// What REQUIRE_ERROR is in the parent.
template <class R>
std::string wanted(const R& result, Errc code) {
  return error_complaint(result, code, "");
}

void set_mode(const std::string& path, unsigned mode) {
  REQUIRE(::chmod(path.c_str(), static_cast<::mode_t>(mode)) == 0);
}

}  // namespace

TEST_CASE("a folder cannot be opened") {
  const TempDir dir;
  REQUIRE_ERROR(Store::open(dir.path().string()), Errc::cant_open, "open");
  REQUIRE_ERROR(Store::open(dir.path().string(), {.read_only = true}), Errc::cant_open, "open");
  REQUIRE_ERROR(Store::open("/"), Errc::cant_open, "open");
  CHECK(fs::is_empty(dir.path()));
}

TEST_CASE("a path that leads nowhere cannot be opened") {
  const TempDir dir;
  write_file(dir.file("file"), "text");
  REQUIRE_ERROR(Store::open(dir.file("none/a.db")), Errc::cant_open, "open");
  REQUIRE_ERROR(Store::open(dir.file("file/a.db")), Errc::cant_open, "open");
  REQUIRE_ERROR(Store::open(dir.file(std::string(300, 'n'))), Errc::cant_open, "open");
  REQUIRE_ERROR(Store::open(dir.file(std::string(100'000, '/'))), Errc::cant_open, "open");
  CHECK(read_file(dir.file("file")) == "text");
}

TEST_CASE("a file that is no database is refused and stays as it is") {
  // Not one byte: such a file is empty for the engine, which on some systems makes them itself.
  const std::size_t size = GENERATE(2u, 15u, 99u, 100u, 512u, 4096u, 100'000u);
  CAPTURE(size);
  const TempDir dir;
  write_file(dir.file("text"), std::string(size, 't'));
  check_refused(dir.file("text"), Errc::not_a_store);
}

TEST_CASE("a file of the original library is refused and stays as it is") {
  // It has SQLite's pages and no schema: the header holds roots of trees where the cookie, the
  // version of the schema's format and the size of the cache belong.
  const TempDir dir;
  const std::string path = dir.file("original.db");
  static_cast<void>(sqlite_cli(path, "CREATE TABLE t(a); INSERT INTO t VALUES(1)"));
  overwrite(path, 40, std::string("\0\0\0\3\0\0\0\5\0\0\0\4", 12));
  check_refused(path, Errc::not_a_store);
}

TEST_CASE("an SQLite database that is not a store is refused and stays as it is") {
  const std::string sql =
      GENERATE("CREATE TABLE t(a); INSERT INTO t VALUES(1)",
               // One with a table of the right name.
               "CREATE TABLE \"default\"(key BLOB NOT NULL PRIMARY KEY, value BLOB) WITHOUT ROWID",
               "PRAGMA journal_mode=wal; CREATE TABLE t(a)",
               "PRAGMA user_version=1; CREATE TABLE t(a)",
               "PRAGMA application_id=252006674; CREATE TABLE t(a)");
  CAPTURE(sql);
  const TempDir dir;
  const std::string path = dir.file("other.db");
  static_cast<void>(sqlite_cli(path, sql));
  check_refused(path, Errc::not_a_store);
  CHECK(sqlite_cli(path, "PRAGMA integrity_check") == "ok");
}

TEST_CASE("a newer format version is refused, and the file stays as it is") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  const std::string path = make_store(dir, kind);
  const int version = std::stoi(sqlite_cli(path, "PRAGMA user_version"));
  CHECK(version > 0);
  const auto set_version = [&](int to) {
    static_cast<void>(sqlite_cli(path, "PRAGMA user_version=" + std::to_string(to)));
  };
  set_version(4);  // after that of plain stores, and those of encrypted ones
  check_refused(path, Errc::unsupported_version);
  set_version(2147483647);
  check_refused(path, Errc::unsupported_version);
  set_version(version);
  const Store store = must(Store::open(path));
  CHECK(must(store.count()) == entry_count);
}

TEST_CASE("a truncated store is an error and never a lie") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  const std::string path = make_store(dir, kind);
  const std::string sound = read_file(path);
  const std::size_t pages = sound.size() / 4096;
  for (const std::size_t size :
       {std::size_t{1}, std::size_t{99}, std::size_t{100}, std::size_t{1000}, std::size_t{4095},
        std::size_t{4096}, std::size_t{2 * 4096}, std::size_t{3 * 4096 + 17}, pages / 4 * 4096,
        pages / 2 * 4096, pages / 2 * 4096 + 2048, (pages - 1) * 4096}) {
    CAPTURE(size);
    write_file(path, sound.substr(0, size));
    check_no_lie(path);
  }
  write_file(path, sound);
  REQUIRE_OK(must(Store::open(path)).integrity_check());
}

TEST_CASE("a store that lost less than its last page is an error and never a lie") {
  // The engine counts a part of a page as a page, and reads zeros where there is nothing.
  const auto kind = GENERATE(from_range(file_store_kinds));
  const std::size_t lost = GENERATE(1u, 2000u, 4095u);
  CAPTURE(kind, lost);
  const TempDir dir;
  const std::string path = make_store(dir, kind);
  truncate_file(path, size_of(path) - lost);
  check_no_lie(path);
}

TEST_CASE("a corrupted store is an error and never a crash") {
  // Whole pages of noise, so that no value can be wrong without its page being so.
  const auto kind = GENERATE(from_range(file_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  const std::string path = make_store(dir, kind);
  const std::string sound = read_file(path);
  const std::size_t pages = sound.size() / 4096;
  int failures = 0;
  for (std::size_t page = 0; page < pages; page += page < 8 ? 1 : pages / 15) {
    CAPTURE(page);
    write_file(path, sound);
    overwrite(path, page * 4096, patterned(4096, page));
    auto store = Store::open(path, {.read_only = true});
    if (!store) {
      CAPTURE(store.error().message());
      CHECK((store.error() == Errc::corrupt || store.error() == Errc::not_a_store));
      ++failures;
      continue;
    }
    if (!store->integrity_check()) ++failures;
    for (int i = 0; i < entry_count; ++i) {
      auto value = store->get(key_of(i));
      if (!value) {
        // A key that is compared with noise may seem to be on the other side of it.
        REQUIRE((value.error() == Errc::corrupt || value.error() == Errc::not_found));
      }
    }
    Range scan = store->all();
    for (auto [key, value] : scan) static_cast<void>(value.size());
    static_cast<void>(scan.status());
  }
  CHECK(failures >= 8);
  write_file(path, sound);
  REQUIRE_OK(must(Store::open(path)).integrity_check());
}

TEST_CASE("writing to a damaged store fails and the rest stays readable") {
  const TempDir dir;
  const std::string path = make_store(dir, StoreKind::rollback);
  overwrite(path, size_of(path) / 4096 / 2 * 4096, std::string(2 * 4096, '\x5a'));
  auto store = Store::open(path, {.journal = Journal::rollback, .sync = Sync::off});
  REQUIRE_OK(store);
  int refused = 0;
  for (int i = 0; i < entry_count; ++i) {
    auto put = store->put(key_of(i), patterned(300, i));
    if (!put) {
      REQUIRE_ERROR(put, Errc::corrupt, "put");
      ++refused;
    }
  }
  CHECK(refused > 0);
  REQUIRE_ERROR(store->integrity_check(), Errc::corrupt, "integrity_check");
  // Still a store that answers.
  REQUIRE_OK(store->stats());
  REQUIRE_OK(store->list_column_families());
}

TEST_CASE("a read-only file can be read and not be written") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  const std::string path = make_store(dir, kind);
  set_mode(path, 0444);
  const std::string before = read_file(path);
  const std::string report = as_ordinary_user(dir, [&]() -> std::string {
    const Journal journal = kind == StoreKind::wal ? Journal::wal : Journal::rollback;
    std::string complaint = wanted(Store::open(path, {.journal = journal}), Errc::read_only);
    if (!complaint.empty()) return complaint;
    auto store = Store::open(path, {.read_only = true});
    if (!store) return store.error().message();
    auto count = store->count();
    if (!count) return count.error().message();
    if (*count != entry_count) return "entries are missing";
    return wanted(store->put("new", "x"), Errc::read_only);
  });
  CHECK(report == "");
  CHECK((read_file(path) == before));
}

TEST_CASE("a folder that cannot be written") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  const std::string path = make_store(dir, kind);
  set_mode(dir.path().string(), 0555);
  const std::string report = as_ordinary_user(dir, [&]() -> std::string {
    std::string complaint = wanted(Store::open(dir.file("new.db")), Errc::cant_open);
    if (!complaint.empty()) return complaint;
    // A log needs files beside the store; without them the reader must promise that it is alone.
    const bool promise = kind == StoreKind::wal;
    if (promise) {
      auto refused = Store::open(path, {.read_only = true});
      if (refused) return "read a store with a log where it cannot lock";
      if (refused.error() != Errc::cant_open && refused.error() != Errc::read_only) {
        return refused.error().message();
      }
    }
    auto store = Store::open(path, {.read_only = true, .immutable = promise});
    if (!store) return store.error().message();
    auto count = store->count();
    if (!count) return count.error().message();
    return *count == entry_count ? "" : "entries are missing";
  });
  CHECK(report == "");
  set_mode(dir.path().string(), 0755);
  CHECK(must(open_kind(kind, dir, no_sync()).count()) == entry_count);
}

TEST_CASE("a path without permission") {
  const TempDir dir;
  fs::create_directory(dir.file("closed"));
  const std::string path = make_store(dir);
  set_mode(path, 0);
  set_mode(dir.file("closed"), 0);
  const std::string report = as_ordinary_user(dir, [&]() -> std::string {
    for (const std::string& forbidden : {path, dir.file("closed/new.db")}) {
      for (const bool read_only : {false, true}) {
        const std::string complaint =
            wanted(Store::open(forbidden, {.read_only = read_only}), Errc::cant_open);
        if (!complaint.empty()) return complaint;
      }
    }
    return "";
  });
  CHECK(report == "");
  set_mode(path, 0644);
  set_mode(dir.file("closed"), 0755);
  CHECK(must(Store::open(path).value().count()) == entry_count);
}
