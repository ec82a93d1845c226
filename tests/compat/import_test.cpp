// Stores made of databases of SNKV's C library.
#include "compat/original_samples.hpp"
#include "support/check.hpp"
#include "support/child_process.hpp"
#include "support/contents.hpp"
#include "support/files.hpp"
#include "support/temp_dir.hpp"

#include <snkv/import.hpp>

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

using namespace snkv;
using namespace snkv::test;
using namespace std::chrono_literals;

namespace {

/// The sample, and the password for it.
struct Sample {
  const std::string* path;
  BytesView password;
};

Sample any_sample() {
  const bool encrypted = GENERATE(false, true);
  CAPTURE(encrypted);
  if (encrypted) return {&encrypted_sample, sample_password};
  return {&plain_sample, {}};
}

TimePoint moment(std::int64_t milliseconds) {
  return TimePoint(std::chrono::milliseconds(milliseconds));
}

}  // namespace

TEST_CASE("everything in a database of the C library is in the store that is made of it") {
  const TempDir dir;
  const std::string path = dir.file("new.db");
  const Sample sample = any_sample();
  const ImportReport report =
      must(import_original(*sample.path, path, {.password = sample.password, .decrypt = true}));
  CHECK(report.families == 3);
  CHECK(report.entries == 504 + 55);
  CHECK(report.expiring == 51);
  CHECK(report.expired == 0);
  CHECK(report.renamed.empty());
  CHECK(report.unknown.empty());
  CHECK(report.vectors.empty());

  Store store = must(Store::open(path, {.create_if_missing = false}));
  CHECK(everything_of(store) == sample_contents());
  std::uint64_t bytes = 0;
  for (const auto& [name, entries] : sample_contents()) {
    for (const auto& [key, value] : entries) bytes += key.size() + value.size();
  }
  CHECK(report.bytes == bytes);

  // Expiries, to the millisecond.
  const auto now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  const auto left = *must(store.ttl("otp"));
  CHECK(left <= moment(sample_expiry) - now);
  CHECK(left > moment(sample_expiry) - now - 1h);
  ColumnFamily sessions = must(store.open_column_family("sessions"));
  const auto first = *must(sessions.ttl("s00"));
  const auto last = *must(sessions.ttl("s49"));
  CHECK(last - first <= 49ms);
  CHECK_FALSE(must(sessions.ttl("p00")));
  CHECK_FALSE(must(store.ttl("empty")));
  REQUIRE_OK(store.verify());
  // Nothing is left beside it.
  REQUIRE_OK(store.close());
  CHECK(files_in(dir.path()) == std::vector<std::string>{"new.db"});
}

TEST_CASE("a database is read without making a store of it") {
  const Sample sample = any_sample();
  const OriginalStore original = must(OriginalStore::open(*sample.path, sample.password));
  CHECK(original.is_encrypted() == !sample.password.empty());
  std::vector<std::string> families = original.families();
  CHECK(families.front() == "default");
  std::sort(families.begin(), families.end());
  CHECK(families == std::vector<std::string>{"default", "sessions", empty_family});
  OriginalScan scan = must(original.scan("sessions"));
  int expiring = 0;
  int entries = 0;
  while (must(scan.next())) {
    ++entries;
    if (!scan.expires_at()) continue;
    CHECK(scan.expires_at() == moment(sample_expiry + expiring));
    CHECK(scan.key() == "s" + digits(expiring, 2));
    CHECK(scan.value() == "token");
    ++expiring;
  }
  CHECK(entries == 55);
  CHECK(expiring == 50);
  CHECK_FALSE(must(scan.next()));
  // Those that it keeps for itself can be asked for.
  OriginalScan hidden = must(original.scan("__snkv_ttl_k__default"));
  CHECK(must(hidden.next()));
  CHECK(hidden.key() == "otp");
  CHECK(hidden.value().size() == 8);
  REQUIRE_ERROR(original.scan("none"), Errc::not_found, "scan");
}

TEST_CASE("what has expired is left out") {
  const TempDir dir;
  ImportOptions options;
  options.store.clock = [] { return sample_expiry + 10; };
  const ImportReport report = must(import_original(plain_sample, dir.file("new.db"), options));
  CHECK(report.expired == 1 + 11);
  CHECK(report.expiring == 39);
  Store store = must(Store::open(dir.file("new.db")));
  CHECK(must(must(store.open_column_family("sessions")).count()) == 55 - 11);
}

TEST_CASE("the options of the new store, and what is to be in it besides") {
  const TempDir dir;
  ImportOptions options;
  options.store.page_size = 16384;
  options.also = [](const OriginalStore& original, Store& store) -> Result<void> {
    CHECK(original.families().size() == 3);
    CHECK(must(store.count()) == 504);
    return store.put("besides", "also here");
  };
  REQUIRE_OK(import_original(plain_sample, dir.file("new.db"), options));
  Store store = must(Store::open(dir.file("new.db")));
  CHECK(must(store.stats()).page_size == 16384);
  CHECK(must(store.get("besides")) == "also here");
}

TEST_CASE("a failure leaves nothing behind") {
  const TempDir dir;
  const std::string path = dir.file("new.db");
  ImportOptions options;
  Progress progress;
  Errc expected = Errc::aborted;
  SECTION("stopped while the database is read") {
    progress = [](std::uint64_t done, std::uint64_t total) { return done * 2 > total; };
  }
  SECTION("stopped while the store is copied") {
    progress = [](std::uint64_t done, std::uint64_t total) { return done * 2 <= total; };
  }
  SECTION("an error of what is to be in it besides") {
    expected = Errc::not_found;
    options.also = [](const OriginalStore&, Store& store) -> Result<void> {
      auto value = store.get("none");
      return Unexpected(std::move(value).error());
    };
  }
  SECTION("an exception of the same") {
    options.also = [](const OriginalStore&, Store&) -> Result<void> { throw 1; };
  }
  REQUIRE_ERRC(import_original(plain_sample, path, options, progress), expected);
  CHECK(files_in(dir.path()).empty());
}

TEST_CASE("progress counts pages, to the end") {
  const TempDir dir;
  std::uint64_t last = 0;
  std::uint64_t of = 0;
  bool backwards = false;
  REQUIRE_OK(import_original(plain_sample, dir.file("new.db"), {},
                             [&](std::uint64_t done, std::uint64_t total) {
                               backwards = backwards || done < last;
                               last = done;
                               of = total;
                               return true;
                             }));
  CHECK_FALSE(backwards);
  CHECK(of == 32);
  CHECK(last == of);
}

TEST_CASE("places that a store cannot be made in") {
  const TempDir dir;
  const std::string path = dir.file("new.db");
  write_file(path, "something of somebody");
  REQUIRE_ERRC(import_original(plain_sample, path), Errc::exists);
  CHECK(read_file(path) == "something of somebody");
  REQUIRE_ERRC(import_original(plain_sample, dir.file("no/folder/new.db")), Errc::cant_open);
  REQUIRE_ERRC(import_original(plain_sample, dir.path().string()), Errc::exists);
  REQUIRE_ERRC(import_original(plain_sample, ""), Errc::invalid_argument);
  CHECK(files_in(dir.path()) == std::vector<std::string>{"new.db"});
}

TEST_CASE("files that are no databases of the C library") {
  const TempDir dir;
  const std::string path = dir.file("x.db");
  const std::string to = dir.file("new.db");
  Errc expected = Errc::not_a_store;
  SECTION("not there") { expected = Errc::cant_open; }
  SECTION("a folder") {
    std::filesystem::create_directory(path);
    expected = Errc::cant_open;
  }
  SECTION("empty") { write_file(path, ""); }
  SECTION("text") { write_file(path, std::string(5000, 'x')); }
  SECTION("the beginning of a database") { write_file(path, read_file(plain_sample).substr(0, 90)); }
  SECTION("a store of this library") { must(Store::open(path)); }
  SECTION("any database of SQLite") {
    must(Store::open(path));
    overwrite(path, 68, std::string(4, '\0'));  // no longer one of ours
  }
  SECTION("one without its log") {
    write_file(path, read_file(plain_sample));
    write_file(path + "-wal", "a log");
    expected = Errc::cant_open;
  }
  SECTION("one without its journal") {
    write_file(path, read_file(plain_sample));
    write_file(path + "-journal", "a journal");
    expected = Errc::cant_open;
  }
  SECTION("one whose end is missing") {
    write_file(path, read_file(plain_sample));
    truncate_file(path, 12 * 4096);
    expected = Errc::corrupt;
  }
  REQUIRE_ERROR(OriginalStore::open(path), expected, "open_original");
  REQUIRE_ERRC(import_original(path, to), expected);
  CHECK(size_of(to) == 0);
}

TEST_CASE("the new store is encrypted on demand, and at no moment anything else") {
  const Sample sample = any_sample();
  const TempDir dir;
  const std::string path = dir.file("new.db");
  const Secret secret = Secret::key(std::string(Secret::key_size, 'k'));
  // In a child: reading a file of an open store drops the locks of the process.
  const auto is_readable = [&](std::string_view text) {
    return in_child([&] {
             for (const std::string& name : files_in(dir.path())) {
               if (read_file(dir.file(name)).find(text) != std::string::npos) return name;
             }
             return std::string();
           }) != "";
  };
  bool seen = false;
  ImportOptions options;
  options.password = sample.password;
  options.secret = &secret;
  options.also = [&](const OriginalStore&, Store& store) -> Result<void> {
    seen = true;
    CHECK(store.is_encrypted());
    CHECK_FALSE(files_in(dir.path()).empty());
    return store.put("besides", "also sealed");
  };
  const auto progress = [&](std::uint64_t, std::uint64_t) {
    CHECK_FALSE(is_readable("value of user"));
    return true;
  };
  const ImportReport report = must(import_original(*sample.path, path, options, progress));
  CHECK(report.entries == 559);
  CHECK(seen);
  CHECK(files_in(dir.path()) == std::vector<std::string>{"new.db"});
  CHECK_FALSE(is_readable("value of user"));
  CHECK_FALSE(is_readable("also sealed"));
  REQUIRE_ERRC(Store::open(path), Errc::auth_failed);
  {
    const Store store = must(Store::open_encrypted(path, secret));
    CHECK(must(store.get("user:0007")) == "value of user 7");
    CHECK(must(store.get("besides")) == "also sealed");
    CHECK(must(must(store.open_column_family("sessions")).get("s49")) == "token");
    REQUIRE_OK(store.verify());
  }
  const Secret none = Secret::password("");
  options.secret = &none;
  REQUIRE_ERRC(import_original(*sample.path, dir.file("x.db"), options), Errc::invalid_argument);
  CHECK(files_in(dir.path()) == std::vector<std::string>{"new.db"});
}

TEST_CASE("what is imported is as private as it was, and private if it is encrypted") {
  const TempDir dir;
  const std::string old = dir.file("old.db");
  const std::string path = dir.file("new.db");
  write_file(old, read_file(plain_sample));
  const Secret secret = Secret::key(std::string(Secret::key_size, 'k'));
  ImportOptions options;
  unsigned modes = 0;
  bool seen = false;
  const auto progress = [&](std::uint64_t, std::uint64_t) {
    for (const std::string& name : files_in(dir.path())) {
      if (name.starts_with("new.db")) {
        seen = true;
        modes |= static_cast<unsigned>(std::filesystem::status(dir.file(name)).permissions());
      }
    }
    return true;
  };
  unsigned expected = 0600;
  const ::mode_t before = ::umask(0);
  SECTION("of a private one") { std::filesystem::permissions(old, std::filesystem::perms(0600)); }
  SECTION("encrypted") {
    std::filesystem::permissions(old, std::filesystem::perms(0666));
    options.secret = &secret;
  }
  SECTION("of one that all may read") {
    std::filesystem::permissions(old, std::filesystem::perms(0666));
    ::umask(022);
    expected = 0644;
  }
  const auto imported = import_original(old, path, options, progress);
  ::umask(before);
  REQUIRE_OK(imported);
  CHECK(seen);
  CHECK((modes & ~expected) == 0);
  CHECK(static_cast<unsigned>(std::filesystem::status(path).permissions()) == expected);
  CHECK(files_in(dir.path()) == std::vector<std::string>{"new.db", "old.db"});
}

TEST_CASE("encrypted databases need their password") {
  const TempDir dir;
  const std::string to = dir.file("new.db");
  REQUIRE_ERROR(OriginalStore::open(encrypted_sample), Errc::auth_failed, "open_original");
  REQUIRE_ERRC(OriginalStore::open(encrypted_sample, "hunter3"), Errc::auth_failed);
  REQUIRE_ERRC(import_original(encrypted_sample, to, {.password = "hunter"}), Errc::auth_failed);
  CHECK(size_of(to) == 0);
  // A password for one that is not encrypted is not asked for.
  REQUIRE_OK(OriginalStore::open(plain_sample, "whatever"));
}

namespace {

/// The sample with another name of the empty family.
std::string sample_with(const std::string& name) {
  std::string bytes = read_file(plain_sample);
  // The row: its size, its number in 9 bytes, then the length of the name, the name, the root page.
  const std::size_t row = bytes.find(std::string("\0\0\0\x0b", 4) + empty_family);
  REQUIRE(row != std::string::npos);
  REQUIRE(bytes[row - 10] == 4 + 11 + 4);
  const std::string root = bytes.substr(row + 4 + 11, 4);
  const auto size = static_cast<char>(name.size());
  bytes[row - 10] = static_cast<char>(4 + name.size() + 4);
  bytes.replace(row, 4 + name.size() + 4, std::string("\0\0\0", 3) + size + name + root);
  return bytes;
}

}  // namespace

TEST_CASE("families whose names are none here get others") {
  const TempDir dir;
  const auto [name, expected] = GENERATE(table<std::string, std::string>({
      {"snkv_abcdef", "_snkv_abcdef_2"},
      {"SQLITE_abcd", "_SQLITE_abcd_2"},
      {"SESSIONS", "_SESSIONS_2"},
      {"\xff\xfe", "____2"},
      {std::string("a\0b", 3), "_a_b_2"},
  }));
  CAPTURE(name);
  write_file(dir.file("x.db"), sample_with(name));

  const ImportReport report = must(import_original(dir.file("x.db"), dir.file("new.db")));
  REQUIRE(report.renamed.size() == 1);
  CHECK(report.renamed[0] == std::pair(name, expected));
  Store store = must(Store::open(dir.file("new.db")));
  CHECK(must(must(store.open_column_family(expected)).count()) == 0);
  CHECK(must(must(store.open_column_family("sessions")).count()) == 55);
}

TEST_CASE("a family of the name that the default one goes by, and two of one name") {
  const TempDir dir;
  write_file(dir.file("x.db"), sample_with("default"));
  const ImportReport report = must(import_original(dir.file("x.db"), dir.file("new.db")));
  CHECK(report.families == 3);
  Store store = must(Store::open(dir.file("new.db")));
  CHECK(must(store.count()) == 504);
  CHECK(must(must(store.open_column_family("default_2")).count()) == 0);

  write_file(dir.file("x.db"), sample_with("sessions"));
  REQUIRE_ERRC(OriginalStore::open(dir.file("x.db")), Errc::corrupt);
}
