// What was left beside a store by work that did not come to its end; who can read what is being made; that
// all of it belongs to one file, however that was named; that stopping at the last moment is stopping.
#include "support/check.hpp"
#include "support/contents.hpp"
#include "support/files.hpp"
#include "support/patterned.hpp"
#include "support/temp_dir.hpp"
#include "support/two_families.hpp"

#include <snkv/snkv.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

using namespace snkv;
using namespace snkv::test;
namespace fs = std::filesystem;

namespace {

using Names = std::vector<std::string>;

constexpr std::string_view canary = "CANARY in plain text";
/// No process has it: Linux gives no number above 4194304.
constexpr const char* nobody = "2000000000";

Secret key() { return Secret::key(std::string(Secret::key_size, 'k')); }

unsigned mode_of(const std::string& path) {
  struct ::stat info {};
  return ::lstat(path.c_str(), &info) == 0 ? info.st_mode & 0777u : 0xffffu;
}

/// Everything is as wide open as it is asked for.
class NoUmask {
 public:
  NoUmask() : before_(::umask(0)) {}
  NoUmask(const NoUmask&) = delete;
  NoUmask& operator=(const NoUmask&) = delete;
  ~NoUmask() { ::umask(before_); }

 private:
  ::mode_t before_;
};

class CurrentFolder {
 public:
  explicit CurrentFolder(const fs::path& folder) : before_(fs::current_path()) { fs::current_path(folder); }
  CurrentFolder(const CurrentFolder&) = delete;
  CurrentFolder& operator=(const CurrentFolder&) = delete;
  ~CurrentFolder() { fs::current_path(before_); }

 private:
  fs::path before_;
};

void make_store(const std::string& path, bool encrypted) {
  Store store = must(encrypted ? Store::open_encrypted(path, key()) : Store::open(path));
  for (int i = 0; i < 2000; ++i) {
    REQUIRE_OK(store.put("key" + std::to_string(i), std::string(canary) + patterned(200, i)));
  }
}

/// The lock of who makes files for `path`, and one of those files.
std::string work_lock(const std::string& path) {
  return path + ".unfinished-" + std::to_string(::geteuid());
}
std::string unfinished(const std::string& path, const std::string& end) { return work_lock(path) + '-' + end; }

/// As a process that was killed leaves it.
std::string leave_unfinished(const std::string& path, const std::string& end) {
  write_file(work_lock(path), "");
  write_file(unfinished(path, end), canary);
  return unfinished(path, end);
}

/// The modes of all files in the folder that are being made; 0 if there are none.
unsigned modes_of_unfinished(const fs::path& folder) {
  unsigned modes = 0;
  for (const std::string& name : files_in(folder)) {
    if (name.find(".unfinished-") != name.npos) modes |= mode_of((folder / name).string());
  }
  return modes;
}

}  // namespace

// ---- What is left behind ----

TEST_CASE("opening for writing removes what killed processes have left") {
  const bool encrypted = GENERATE(false, true);
  CAPTURE(encrypted);
  const TempDir dir;
  const std::string path = dir.file("a.db");
  make_store(path, encrypted);
  const bool by_power_cut = GENERATE(false, true);  // which may forget the lock
  for (const char* end : {"7-0", "7-1.secret", "7-1.secret-journal"}) leave_unfinished(path, end);
  write_file(path + "-vectors-3.unfinished-" + std::to_string(::geteuid()) + "-7-2", canary);
  if (by_power_cut) fs::remove(work_lock(path));
  for (const char* end : {"-0", "-1-journal", "-1-wal"}) {
    write_file(path + ".tmp-" + nobody + end, canary);
    write_file(path + ".importing-" + nobody + end, canary);
  }
  write_file(path + ".tmp-" + std::to_string(::getpid()) + "-0", canary);  // our number, years ago
  write_file(path + "-vectors-3.tmp-1-0", canary);                         // nobody has its lock
  const std::size_t journal_size = GENERATE(std::size_t{0}, std::size_t{512});
  write_file(path + "-journal", std::string(journal_size, '\0'));  // killed before it had anything to say
  // Of somebody who lives, and of somebody else altogether.
  const Names others = {"a.db.tmp-1-0",        "a.db.tmp-12", "a.db.tmp-mine",      "a.db.tmp-2000000000-0.txt",
                        "a.db-vectors-3-mine", "a.db-old",    "a.db.unfinished-x-1-2",
                        "b.db.tmp-2000000000-0"};
  for (const std::string& name : others) write_file(dir.file(name), "mine");
  {
    const Store reader =
        must(encrypted ? Store::open_encrypted(path, key(), {.read_only = true})
                       : Store::open(path, {.read_only = true}));
    CHECK(files_in(dir.path()).size() > others.size() + 8);  // a reader leaves all as it is
  }
  { REQUIRE_OK(encrypted ? Store::open_encrypted(path, key()) : Store::open(path)); }
  Names wanted = others;
  wanted.push_back("a.db");
  std::sort(wanted.begin(), wanted.end());
  CHECK(files_in(dir.path()) == wanted);
}

TEST_CASE("plain text that is left behind is overwritten before it goes away, unless it has another name") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  make_store(path, true);
  const std::string left = leave_unfinished(path, "7-0.secret");
  const std::string kept = leave_unfinished(path, "7-1.secret");
  fs::create_hard_link(kept, dir.file("kept"));
  const int open_still = ::open(left.c_str(), O_RDONLY | O_CLOEXEC);
  REQUIRE(open_still >= 0);
  { REQUIRE_OK(Store::open_encrypted(path, key())); }
  std::string found(canary.size(), 'x');
  REQUIRE(::pread(open_still, found.data(), found.size(), 0) == static_cast<::ssize_t>(found.size()));
  ::close(open_still);
  CHECK(found == std::string(canary.size(), '\0'));
  CHECK(read_file(dir.file("kept")) == canary);
  CHECK(files_in(dir.path()) == Names{"a.db", "kept"});
}

TEST_CASE("what is being made is left alone, and so is what is in its place") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  const std::string copy = dir.file("copy.db");
  make_store(path, false);
  Store store = must(Store::open(path));
  SECTION("by another copy to the same place") {
    Result<void> second;
    bool begun = false;
    const auto first = store.backup(copy, [&](std::uint64_t, std::uint64_t) {
      if (!begun) second = store.backup(copy);
      return begun = true;
    });
    REQUIRE_OK(second);
    REQUIRE_ERROR(first, Errc::exists, "backup");
    REQUIRE_OK(must(Store::open(copy)).verify());
    CHECK(modes_of_unfinished(dir.path()) == 0);
  }
  SECTION("by who opens the store") {
    REQUIRE_OK(store.close());
    bool begun = false;
    // Encrypting needs the store for itself, so this one is of a copy with the same name as the target.
    const Store source = must(Store::open(path));
    const auto made = source.backup(copy, [&](std::uint64_t, std::uint64_t) {
      if (!begun) make_store(copy, false);
      begun = true;
      return true;
    });
    REQUIRE_ERROR(made, Errc::exists, "backup");
    REQUIRE_OK(must(Store::open(copy)).verify());
    CHECK(modes_of_unfinished(dir.path()) == 0);
  }
  SECTION("a file of somebody") {
    write_file(work_lock(copy), "mine");
    const auto refused = store.backup(copy);
    REQUIRE_ERROR(refused, Errc::cant_open, "backup");
    CHECK(refused.error().message().find(work_lock(copy)) != std::string::npos);
    CHECK(read_file(work_lock(copy)) == "mine");
  }
  SECTION("a link") {
    write_file(dir.file("empty"), "");
    fs::create_symlink(dir.file("empty"), work_lock(copy));
    REQUIRE_ERROR(store.backup(copy), Errc::cant_open, "backup");
    CHECK(fs::exists(dir.file("empty")));
  }
  SECTION("something that can be waited at for ever") {
    REQUIRE(::mkfifo(work_lock(copy).c_str(), 0600) == 0);
    REQUIRE_ERROR(store.backup(copy), Errc::cant_open, "backup");
  }
  SECTION("by who clears it up, who is waited for only so long") {
    leave_unfinished(copy, "7-0");
    const int lock = ::open(work_lock(copy).c_str(), O_RDWR | O_CLOEXEC);
    REQUIRE(::flock(lock, LOCK_EX) == 0);
    const auto refused = store.backup(copy);
    ::close(lock);
    REQUIRE_ERROR(refused, Errc::busy, "backup");
    REQUIRE_OK(store.backup(copy));
    CHECK(modes_of_unfinished(dir.path()) == 0);
  }
}

// ---- Who can read it ----

TEST_CASE("what is being made can be read by nobody else, and has the modes of the store in the end") {
  const NoUmask umask;
  const unsigned mode = GENERATE(0600u, 0640u);
  const std::string what = GENERATE("backup", "compact backup", "encrypt", "decrypt", "get_to_file");
  CAPTURE(mode, what);
  const TempDir dir;
  const std::string path = dir.file("a.db");
  make_store(path, what == "decrypt");
  fs::permissions(path, fs::perms(mode));
  std::string made = path;
  unsigned worst = 0;
  unsigned calls = 0;
  const Progress look = [&](std::uint64_t, std::uint64_t) {
    ++calls;
    worst |= modes_of_unfinished(dir.path());
    return true;
  };
  if (what == "encrypt") {
    REQUIRE_OK(Store::encrypt_existing(path, key(), look));
  } else if (what == "decrypt") {
    REQUIRE_OK(Store::remove_encryption(path, key(), look));
  } else if (what == "get_to_file") {
    made = dir.file("value");
    write_file(made, "");
    fs::permissions(made, fs::perms(mode));
    REQUIRE_OK(must(Store::open(path)).get_to_file("key1", made, look));
  } else {
    made = dir.file("copy.db");
    REQUIRE_OK(must(Store::open(path)).backup(made, {.compact = what == "compact backup"}, look));
  }
  CHECK(calls > 0);
  CHECK(worst == 0600);
  CHECK(mode_of(made) == mode);
  CHECK(modes_of_unfinished(dir.path()) == 0);
}

TEST_CASE("a new encrypted store is for its owner only, with all that is beside it") {
  const NoUmask umask;
  const auto journal = GENERATE(Journal::wal, Journal::rollback);
  const TempDir dir;
  const std::string path = dir.file("a.db");
  Store store = must(Store::open_encrypted(path, key(), {.journal = journal}));
  REQUIRE_OK(store.put("key", "value"));
  for (const std::string& name : files_in(dir.path())) {
    CAPTURE(name);
    CHECK(mode_of(dir.file(name)) == 0600);
  }
  CHECK(files_in(dir.path()).size() == (journal == Journal::wal ? 3 : 1));
  // Who wants it otherwise says so; and nothing is made that was not asked for.
  write_file(dir.file("empty.db"), "");
  fs::permissions(dir.file("empty.db"), fs::perms(0640));
  REQUIRE_OK(Store::open_encrypted(dir.file("empty.db"), key()));
  CHECK(mode_of(dir.file("empty.db")) == 0640);
  REQUIRE_ERRC(Store::open_encrypted(dir.file("none.db"), key(), {.create_if_missing = false}),
               Errc::cant_open);
  CHECK_FALSE(fs::exists(dir.file("none.db")));
  REQUIRE_ERROR(Store::open_encrypted(dir.file("no/folder.db"), key()), Errc::cant_open, "open");
}

// ---- One file, whatever it was called ----

namespace {

/// Writes a side file as the vectors do.
void make_side_file(const Store& store, const std::string& suffix) {
  const core::Target& target = facade::Door::target(store);
  core::SideFileWriter* writer = nullptr;
  REQUIRE_FALSE(core::open_side_writer(target, suffix, writer).failed());
  std::string content(canary);
  auto* const bytes = reinterpret_cast<std::byte*>(content.data());
  REQUIRE_FALSE(core::side_write(writer, 0, bytes, content.size(), true).failed());
  REQUIRE_FALSE(core::side_finish(writer).failed());
  REQUIRE_FALSE(core::side_publish(writer).failed());
  core::close_side_writer(writer);
}

}  // namespace

TEST_CASE("everything beside a store is beside its file, and none of it stays in clear") {
  const NoUmask umask;
  const TempDir dir;
  fs::create_directory(dir.file("real"));
  fs::create_directory(dir.file("links"));
  fs::create_directory(dir.file("away"));
  const std::string file = dir.file("real/a.db");
  make_store(file, false);
  fs::permissions(file, fs::perms(0600));
  fs::create_symlink("../real/a.db", dir.file("links/first.db"));
  fs::create_symlink("first.db", dir.file("links/second.db"));
  fs::create_directory_symlink("real", dir.file("folder"));
  const std::string name = GENERATE("links/first.db", "links/second.db", "folder/a.db", "real/../real/a.db");
  const bool relative = GENERATE(false, true);
  CAPTURE(name, relative);
  const CurrentFolder here(dir.path());
  {
    Store store = must(Store::open(relative ? name : dir.file(name)));
    fs::current_path(dir.file("away"));
    CHECK(store.file() == fs::canonical(file).string());
    CHECK(store.path() == (relative ? name : dir.file(name)));
    make_side_file(store, "-vectors-1");
    CHECK(mode_of(file + "-vectors-1") == 0600);
    REQUIRE_OK(store.backup("copy.db"));
    CHECK(mode_of(dir.file("away/copy.db")) == 0600);
    const auto itself = store.backup(file);
    REQUIRE_ERROR(itself, Errc::exists, "backup");
    CHECK(itself.error().message().find("the store itself") != std::string::npos);
    REQUIRE_ERROR(store.backup(file + "-journal"), Errc::invalid_argument, "backup");
  }
  CHECK(files_in(dir.file("away")) == Names{"copy.db"});
  CHECK(files_in(dir.file("links")) == Names{"first.db", "second.db"});
  CHECK(files_in(dir.file("real")) == Names{"a.db", "a.db-vectors-1"});
  fs::current_path(dir.path());
  // Earlier versions put them beside the link.
  write_file(dir.file(name) + "-vectors-2", canary);
  write_file(dir.file(name) + "-vectors-mine", "mine");
  REQUIRE_OK(Store::encrypt_existing(relative ? name : dir.file(name), key()));
  for (const auto& entry : fs::recursive_directory_iterator(dir.path())) {
    if (!entry.is_regular_file() || entry.path().filename() == "copy.db") continue;
    CAPTURE(entry.path().string());
    CHECK(read_file(entry.path().string()).find(canary) == std::string::npos);
  }
  CHECK(read_file(dir.file(name) + "-vectors-mine") == "mine");
  CHECK(fs::is_symlink(dir.file("links/first.db")));
  CHECK(mode_of(file) == 0600);
  REQUIRE_OK(must(Store::open_encrypted(file, key())).verify());
}

TEST_CASE("a folder that is gone has no stores") {
  const TempDir dir;
  fs::create_directory(dir.file("gone"));
  const CurrentFolder here(dir.file("gone"));
  fs::remove(dir.file("gone"));
  REQUIRE_ERROR(Store::open("a.db"), Errc::cant_open, "open");
}

// ---- Stopping at the last moment ----

TEST_CASE("who stops at the last call stops") {
  const std::string what = GENERATE("backup", "compact backup", "compact", "encrypt", "decrypt", "verify");
  const auto journal = GENERATE(Journal::wal, Journal::rollback);
  CAPTURE(what, static_cast<int>(journal));
  const TempDir dir;
  const std::string path = dir.file("a.db");
  make_store(path, what == "decrypt");
  const auto run = [&](const Progress& progress) -> Result<void> {
    if (what == "encrypt") return Store::encrypt_existing(path, key(), progress);
    if (what == "decrypt") return Store::remove_encryption(path, key(), progress);
    Store store = must(Store::open(path, {.journal = journal}));
    if (what == "compact") {
      must(store.erase_prefix("key1"));
      return store.compact(progress);
    }
    if (what == "verify") {
      auto done = store.verify(progress);
      return done ? Result<void>() : Unexpected(done.error());
    }
    return store.backup(dir.file("copy.db"), {.compact = what == "compact backup"}, progress);
  };
  const std::string before = read_file(path);
  std::uint64_t calls = 0;
  std::uint64_t at = 0;
  std::uint64_t all = 1;
  REQUIRE_OK(run([&](std::uint64_t done, std::uint64_t total) {
    ++calls;
    at = done;
    all = total;
    return true;
  }));
  CHECK(at == all);
  fs::remove(dir.file("copy.db"));
  write_file(path, before);
  std::uint64_t call = 0;
  REQUIRE_ERRC(run([&](std::uint64_t, std::uint64_t) { return ++call < calls; }), Errc::aborted);
  CHECK(call == calls);
  if (what == "compact") {
    const Store store = must(Store::open(path, {.journal = journal}));
    CHECK(must(store.space()).free_bytes > 0);  // nothing was changed
    REQUIRE_OK(store.verify());
  }
  CHECK(files_in(dir.path()) == Names{"a.db"});
  if (what == "encrypt") REQUIRE_OK(must(Store::open(path)).verify());
  if (what == "decrypt") REQUIRE_OK(must(Store::open_encrypted(path, key())).verify());
}
