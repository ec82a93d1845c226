// A writer with a rollback journal that died in the middle of a commit left a file that could only be
// opened for writing: `is_encrypted` and `read_only` gave an error of the engine, so a program could not
// even learn how to open its store.
#include "support/check.hpp"
#include "support/child_process.hpp"
#include "support/files.hpp"
#include "support/patterned.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>

using namespace snkv;
using namespace snkv::test;

namespace {

Secret key() { return Secret::key(std::string(Secret::key_size, 'k')); }

Result<Store> open(const std::string& path, bool encrypted, const Options& options = {}) {
  return encrypted ? Store::open_encrypted(path, key(), options) : Store::open(path, options);
}

/// Small, so that a transaction reaches the file before it is committed.
const Options writing{.journal = Journal::rollback, .page_size = 4096, .cache_size = 16 * 4096};

/// Runs `body(reached)` in a child, and kills it where it calls `reached`; false if it never came there.
template <class Body>
bool killed(Body&& body) {
  int ends[2];
  if (::pipe(ends) != 0) return false;
  const ::pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[0]);
    body([&] {
      if (::write(ends[1], "y", 1) != 1) ::_exit(1);
      for (;;) ::pause();
    });
    ::_exit(1);
  }
  ::close(ends[1]);
  char answer = 'n';
  const bool told = ::read(ends[0], &answer, 1) == 1;
  ::close(ends[0]);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  return told;
}

/// A store whose first entries are being overwritten when the writer dies.
std::string make_store(const TempDir& dir, bool encrypted) {
  const std::string path = dir.file("a.db");
  const bool done = killed([&](auto&& reached) {
    auto store = open(path, encrypted, writing);
    if (!store) return;
    for (int i = 0; i < 200; ++i) {
      if (!store->put("key" + std::to_string(i), patterned(400, i), {.sync = Sync::off})) return;
    }
    auto transaction = store->begin();
    for (int i = 0; transaction && i < 200; ++i) {
      if (!transaction->put("key" + std::to_string(i), patterned(400, i + 1000))) return;
    }
    reached();
  });
  REQUIRE(done);
  REQUIRE(std::filesystem::exists(path + "-journal"));
  // Its first bytes say that it is valid.
  REQUIRE(read_file(path + "-journal").substr(0, 1) == "\xd9");
  return path;
}

void check_contents(const Store& store) {
  for (int i = 0; i < 200; ++i) {
    REQUIRE(must(store.get("key" + std::to_string(i))) == BytesView(patterned(400, i)));
  }
}

/// What is wrong with an error that shall say what to do; empty if nothing is.
template <class R>
std::string told(const R& result, const std::string& path) {
  if (result) return "it succeeded. ";
  const std::string message = result.error().message();
  const bool right = result.error() == Errc::read_only &&
                     message.find(path + "-journal") != std::string::npos &&
                     message.find("open the store once for writing") != std::string::npos;
  return right ? "" : message + ". ";
}

}  // namespace

TEST_CASE("how a store is opened can be learned after a crash, and it can be read") {
  const bool encrypted = GENERATE(false, true);
  CAPTURE(encrypted);
  const TempDir dir;
  const std::string path = make_store(dir, encrypted);
  SECTION("asked first") {
    CHECK(must(Store::is_encrypted(path)) == encrypted);
    CHECK_FALSE(std::filesystem::exists(path + "-journal"));
    check_contents(must(open(path, encrypted, {.read_only = true})));
  }
  SECTION("opened read-only") {
    const Store store = must(open(path, encrypted, {.read_only = true}));
    check_contents(store);
    must(store.verify());
  }
  SECTION("with the wrong secret, and none") {
    REQUIRE_ERRC(open(path, !encrypted, {.read_only = true}),
                 encrypted ? Errc::auth_failed : Errc::invalid_argument);
    check_contents(must(open(path, encrypted)));
  }
  SECTION("opened for writing") {
    Store store = must(open(path, encrypted));
    check_contents(store);
    must(store.put("key0", "new"));
  }
}

TEST_CASE("what must not be written cannot be rolled back, and the error says so") {
  const TempDir dir;
  const std::string path = make_store(dir, true);
  REQUIRE(::chmod(dir.path().c_str(), 0755) == 0);
  REQUIRE(::chmod(path.c_str(), 0444) == 0);
  REQUIRE(::chmod((path + "-journal").c_str(), 0444) == 0);
  CHECK(in_child([&]() -> std::string {
          // Nothing is forbidden to the superuser.
          if (::geteuid() == 0 && ::setuid(65534) != 0) return "setuid";
          return told(Store::is_encrypted(path), path) + told(open(path, true, {.read_only = true}), path);
        }) == "");
  CHECK(std::filesystem::exists(path + "-journal"));
  REQUIRE(::chmod(path.c_str(), 0600) == 0);
  CHECK(must(Store::is_encrypted(path)));
}

TEST_CASE("a writer that lives is not disturbed") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  Store store = must(open(path, true, writing));
  must(store.put("a", "old"));
  Transaction transaction = must(store.begin());
  must(transaction.put("a", "new"));
  CHECK(std::filesystem::exists(path + "-journal"));
  CHECK(must(Store::is_encrypted(path)));
  CHECK(must(must(open(path, true, {.read_only = true})).get("a")) == BytesView("old"));
  must(transaction.commit());
  CHECK(must(store.get("a")) == BytesView("new"));
}

TEST_CASE("a store whose making was cut off is no store yet, and can be made again") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  // As much of a new store as a writer leaves that is killed before its first commit: pages that the journal
  // says were not there.
  {
    Store store = must(open(path, true, {.journal = Journal::rollback, .page_size = 4096}));
    must(store.put("a", "of another life"));
  }
  std::string journal(512, '\0');
  journal.replace(0, 8, "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7");
  journal[22] = '\x02';  // the sector has 512 bytes
  journal[26] = '\x10';  // a page has 4096
  write_file(path + "-journal", journal);
  REQUIRE_ERRC(Store::is_encrypted(path), Errc::not_a_store);
  REQUIRE_ERRC(open(path, true, {.read_only = true}), Errc::not_a_store);
  Store store = must(open(path, true));
  REQUIRE_ERRC(store.get("a"), Errc::not_found);
  must(store.put("a", "new"));
}
