// Databases of SNKV's C library: what an import took for something else, made readable for others, or lost
// without a word.
#include "compat/original_samples.hpp"
#include "compat/original_writer.hpp"
#include "support/check.hpp"
#include "support/contents.hpp"
#include "support/files.hpp"
#include "support/temp_dir.hpp"

#include <snkv/import.hpp>

#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

using namespace snkv;
using namespace snkv::test;

namespace {

unsigned mode_of(const std::string& path) {
  struct stat found {};
  REQUIRE(::stat(path.c_str(), &found) == 0);
  return found.st_mode & 0777;
}

/// While it lives, files are made as their makers say.
class NoUmask {
 public:
  NoUmask() : before_(::umask(0)) {}
  NoUmask(const NoUmask&) = delete;
  NoUmask& operator=(const NoUmask&) = delete;
  ~NoUmask() { ::umask(before_); }

 private:
  ::mode_t before_;
};

}  // namespace

TEST_CASE("an encrypted database becomes a store that is not encrypted only if that is wished") {
  const TempDir dir;
  const std::string to = dir.file("new.db");
  auto refused = import_original(encrypted_sample, to, {.password = sample_password});
  REQUIRE_ERROR(refused, Errc::invalid_argument, "import_original");
  CHECK(refused.error().message().find("original-encrypted.db is encrypted") != std::string::npos);
  CHECK(files_in(dir.path()).empty());

  SECTION("it is wished") {
    REQUIRE_OK(import_original(encrypted_sample, to, {.password = sample_password, .decrypt = true}));
    CHECK(must(must(Store::open(to)).get("user:0007")) == "value of user 7");
  }
  SECTION("there is a secret") {
    const Secret secret = Secret::key(std::string(Secret::key_size, 'k'));
    REQUIRE_OK(import_original(encrypted_sample, to, {.password = sample_password, .secret = &secret}));
    REQUIRE_ERRC(Store::open(to), Errc::auth_failed);
    CHECK(must(must(Store::open_encrypted(to, secret)).get("user:0007")) == "value of user 7");
  }
  SECTION("there is nothing to be wished") { REQUIRE_OK(import_original(plain_sample, to)); }
}

TEST_CASE("others may do with the store what they may do with the database, at no moment more") {
  const TempDir dir;
  const NoUmask none;
  const std::string from = dir.file("old.db");
  const std::string to = dir.file("new.db");
  const bool encrypted = GENERATE(false, true);
  const ::mode_t mode = GENERATE(0600, 0640, 0660, 0644, 0666, 0400, 0755);
  CAPTURE(encrypted, mode);
  write_file(from, read_file(plain_sample));
  REQUIRE(::chmod(from.c_str(), mode) == 0);
  const Secret secret = Secret::key(std::string(Secret::key_size, 'k'));
  const ::mode_t most = encrypted ? 0600 : 0600 | (mode & 0066);
  bool seen = false;
  ImportOptions options;
  options.secret = encrypted ? &secret : nullptr;
  options.also = [&](const OriginalStore&, Store&) -> Result<void> {
    for (const std::string& name : files_in(dir.path())) {
      if (name == "old.db") continue;
      seen = true;
      CHECK((mode_of(dir.file(name)) & ~most) == 0);
    }
    return {};
  };
  REQUIRE_OK(import_original(from, to, options));
  CHECK(seen);
  CHECK(mode_of(to) == most);
}

TEST_CASE("the database of a killed writer is told from files that are none") {
  const TempDir dir;
  const std::string path = dir.file("x.db");
  const auto told = [&] {
    auto opened = OriginalStore::open(path);
    REQUIRE_ERROR(opened, Errc::cant_open, "open_original");
    CHECK(opened.error().message().find("open and close it once with SNKV's C library") != std::string::npos);
    CHECK(opened.error().message().find("x.db-wal") != std::string::npos);
  };
  write_file(path + "-wal", "a log");
  SECTION("one page") {
    write_file(path, original_first_page());
    told();
  }
  SECTION("no page") {
    write_file(path, "");
    told();
  }
  SECTION("all pages") {
    write_file(path, original_database({{"default", {}}}));
    told();
  }
  SECTION("no log either") {
    std::filesystem::remove(path + "-wal");
    write_file(path, original_first_page());
    REQUIRE_ERRC(OriginalStore::open(path), Errc::not_a_store);
  }
  SECTION("text with something beside it") {
    write_file(path, std::string(5000, 'x'));
    REQUIRE_ERRC(OriginalStore::open(path), Errc::not_a_store);
  }
}

TEST_CASE("families of unknown meaning are taken over, and told of") {
  const TempDir dir;
  write_file(dir.file("old.db"), original_database({{"default", {{"k", "v"}}},
                                                    {"users", {{"a", "1"}}},
                                                    {"__snkv_ttl_k__users", {}},
                                                    {"__snkv_ttl_e__users", {}},
                                                    {"__later", {{"a", "2"}}},
                                                    {"_snkv_later", {{"a", "3"}}},
                                                    {"_vs_later", {{"a", "4"}}},
                                                    // A program's own: nothing that belongs to vectors.
                                                    {"_vs_vec", {{"a", "5"}}}}));
  const ImportReport report = must(import_original(dir.file("old.db"), dir.file("new.db")));
  CHECK(report.families == 6);
  CHECK(report.unknown == std::vector<std::string>{"__later", "_snkv_later", "_vs_later", "_vs_vec"});
  CHECK(report.vectors.empty());
  Store store = must(Store::open(dir.file("new.db")));
  CHECK(must(must(store.open_column_family("__later")).get("a")) == "2");
  CHECK(must(must(store.open_column_family("_snkv_later")).get("a")) == "3");
  CHECK(must(must(store.open_column_family("_vs_later")).get("a")) == "4");
  CHECK(must(must(store.open_column_family("_vs_vec")).get("a")) == "5");
}

TEST_CASE("vectors that are left out are told of") {
  const TempDir dir;
  const auto [prefix, suffix] = GENERATE(table<std::string, std::string>(
      {{"__snkv_vec", "__"}, {"_snkv_vec", "_"}, {"_vs_vec", ""}}));
  OriginalFamilies families{{"default", {{"a", "value"}}}};
  for (const char* part : {"", "_tags", "_meta", "_idk", "_idi"}) families[prefix + part + suffix] = {};
  write_file(dir.file("old.db"), original_database(families));
  const ImportReport report = must(import_original(dir.file("old.db"), dir.file("new.db")));
  CHECK(report.families == 1);
  CHECK(report.vectors == std::vector<std::string>{prefix + suffix});
  CHECK(report.unknown.empty());
  CHECK(must(must(Store::open(dir.file("new.db"))).list_column_families()).size() == 1);
}
