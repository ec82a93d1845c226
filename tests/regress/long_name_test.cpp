// A name that is too long for what a store puts beside it, and a path that the engine cannot take, are
// refused with the reason, before there is a file.
#include "support/check.hpp"
#include "support/files.hpp"
#include "support/store_kind.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <unistd.h>

#include <filesystem>
#include <string>

namespace {

using namespace snkv;
using namespace snkv::test;
namespace fs = std::filesystem;

template <class R>
void check_too_long(const R& result, std::string_view what, std::string_view operation) {
  REQUIRE_ERROR(result, Errc::cant_open, operation);
  const std::string message = result.error().message();
  INFO(message);
  CHECK(message.find(std::string(what) + " is too long") != std::string::npos);
}

/// A folder in `dir` whose path, resolved, has `size` bytes with the slash behind it.
fs::path deep_folder(const TempDir& dir, std::size_t size) {
  fs::path folder = fs::canonical(dir.path());
  while (folder.string().size() + 1 < size) {
    const std::size_t left = size - folder.string().size() - 2;
    folder /= std::string(left > 202 ? 200 : left, 'd');
  }
  fs::create_directories(folder);
  REQUIRE(folder.string().size() + 1 == size);
  return folder;
}

void check_works(const std::string& path) {
  const auto kind = GENERATE(Journal::wal, Journal::rollback);
  Store store = must(open_store(path, {.journal = kind}));
  REQUIRE_OK(store.put("k", "v"));
  REQUIRE_OK(store.close());
  CHECK(must(must(open_store(path)).get("k")) == "v");
}

}  // namespace

TEST_CASE("a name that is too long for its journal is refused before there is a file") {
  const TempDir dir;
  const auto most = static_cast<std::size_t>(::pathconf(dir.path().c_str(), _PC_NAME_MAX));
  for (std::size_t size = most - 7; size <= most; ++size) {
    CAPTURE(size);
    const std::string path = dir.file(std::string(size, 'n'));
    check_too_long(Store::open(path), "the name", "open");
    check_too_long(Store::open(path, {.journal = Journal::rollback}), "the name", "open");
    check_too_long(Store::open_encrypted(path, test_secret()), "the name", "open");
    CHECK(files_in(dir.path()).empty());
  }
  // Too long also for the system.
  REQUIRE_ERROR(Store::open(dir.file(std::string(most + 1, 'n'))), Errc::cant_open, "open");
  CHECK(files_in(dir.path()).empty());
}

TEST_CASE("the longest name works") {
  const TempDir dir;
  const auto most = static_cast<std::size_t>(::pathconf(dir.path().c_str(), _PC_NAME_MAX));
  check_works(dir.file(std::string(most - 8, 'n')));
}

TEST_CASE("a copy is not given a name that cannot be opened") {
  const TempDir dir;
  Store store = must(open_store(dir.file("store.db")));
  const auto most = static_cast<std::size_t>(::pathconf(dir.path().c_str(), _PC_NAME_MAX));
  const std::size_t before = files_in(dir.path()).size();
  check_too_long(store.backup(dir.file(std::string(most - 7, 'n'))), "the name", "backup");
  check_too_long(store.backup((deep_folder(dir, 600) / "copy.db").string()), "the path", "backup");
  CHECK(files_in(dir.path()).size() == before + 1);
}

TEST_CASE("a path that is too long for the engine is refused with the reason") {
  const TempDir dir;
  const fs::path folder = deep_folder(dir, 877 - 8);
  const std::string path = (folder / "store.db").string();
  REQUIRE(path.size() == 877);
  check_too_long(Store::open(path), "the path", "open");
  CHECK(Store::open(path).error().message().find("877 bytes") != std::string::npos);
  write_file(path, std::string(8192, 'x'));
  check_too_long(Store::open(path, {.read_only = true}), "the path", "open");
  fs::remove(path);
  // What counts is where it leads.
  fs::create_directory_symlink(folder, dir.path() / "link");
  check_too_long(Store::open(dir.file("link/store.db")), "the path", "open");
  const fs::path before = fs::current_path();
  fs::current_path(folder);
  auto relative = Store::open("store.db");
  fs::current_path(before);
  check_too_long(relative, "the path", "open");
  CHECK(fs::is_empty(folder));
}

TEST_CASE("the longest path works") {
  const TempDir dir;
  constexpr std::size_t longest = 504;
  const std::string path = (deep_folder(dir, longest - 4) / "s.db").string();
  REQUIRE(path.size() == longest);
  check_works(path);
  const fs::path folder = fs::path(path).parent_path();
  check_too_long(Store::open((folder / "st.db").string()), "the path", "open");
}
