// A store that somebody else than its owner reads. They left a log and its index behind, which the owner could not
// write: every put gave read_only, for ever. Needs root, to become two other users.
#include "support/check.hpp"
#include "support/child_process.hpp"
#include "support/files.hpp"
#include "support/patterned.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

using namespace snkv;
using namespace snkv::test;

namespace {

constexpr ::uid_t owner = 64001;
constexpr ::uid_t reader = 64002;

/// A folder that everybody may write.
struct SharedFolder {
  SharedFolder() { REQUIRE(::chmod(dir.path().c_str(), 0777) == 0); }
  TempDir dir;
  std::string path = dir.file("a.db");
};

std::string as(::uid_t user, const std::function<std::string()>& body) {
  return in_child([&]() -> std::string {
    if (::setgid(user) != 0 || ::setuid(user) != 0) return "cannot become another user";
    ::umask(022);
    return body();
  });
}

std::string put(const std::string& path, const std::string& key, const std::string& value) {
  auto store = Store::open(path);
  if (!store) return store.error().message();
  const auto done = store->put(key, value);
  return done ? "" : done.error().message();
}

std::string expect(const Store& store, const std::string& key, const std::string& value) {
  const auto found = store.get(key);
  if (!found) return found.error().message();
  return *found == BytesView(value) ? "" : "another value of " + key;
}

bool is_root() {
  if (::geteuid() == 0) return true;
  WARN("skipped: only root can become other users");
  return false;
}

/// One end of a conversation between two processes.
class Turns {
 public:
  Turns() { REQUIRE((::pipe(there_) == 0 && ::pipe(back_) == 0)); }
  void go() const { REQUIRE(::write(there_[1], "x", 1) == 1); }
  void await_go() const { static_cast<void>(arrives(there_[0])); }
  void done() const { static_cast<void>(::write(back_[1], "x", 1) == 1); }
  void await_done() const { REQUIRE(arrives(back_[0])); }

 private:
  /// Waits, but not for ever if the other side has failed.
  static bool arrives(int from) {
    constexpr int patience_ms = 20'000;
    struct pollfd waited {from, POLLIN, 0};
    char c = 0;
    return ::poll(&waited, 1, patience_ms) == 1 && ::read(from, &c, 1) == 1;
  }

  int there_[2] = {};
  int back_[2] = {};
};

}  // namespace

TEST_CASE("reading leaves nothing behind that the owner cannot write") {
  if (!is_root()) return;
  const SharedFolder folder;
  const std::string& path = folder.path;
  REQUIRE(as(owner, [&] { return put(path, "k", "v"); }) == "");
  CHECK(as(reader, [&]() -> std::string {
          const Store store = must(Store::open(path, {.read_only = true}));
          if (std::string wrong = expect(store, "k", "v"); !wrong.empty()) return wrong;
          if (std::filesystem::exists(path + "-wal")) return "there is a log";
          auto checked = store.verify();
          return checked ? "" : checked.error().message();
        }) == "");
  CHECK(files_in(folder.dir.path()) == std::vector<std::string>{"a.db"});
  CHECK(as(owner, [&] { return put(path, "k", "w"); }) == "");
}

TEST_CASE("the owner writes while somebody reads, who sees it") {
  if (!is_root()) return;
  const SharedFolder folder;
  const std::string& path = folder.path;
  REQUIRE(as(owner, [&]() -> std::string {
            Store store = must(Store::open(path));
            for (int i = 0; i < 500; ++i) {
              if (!store.put("k" + std::to_string(i), patterned(200))) return "no put";
            }
            return "";
          }) == "");
  const Turns turns;
  const ::pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const std::string wrong = as(owner, [&]() -> std::string {
      turns.await_go();
      if (std::string failed = put(path, "k7", "closed again"); !failed.empty()) return failed;
      turns.done();
      turns.await_go();
      Store store = must(Store::open(path));
      if (!store.put("k7", "open")) return "no put";
      turns.done();
      turns.await_go();
      if (!store.put("k7", "still open") || !store.checkpoint()) return "no second put";
      turns.done();
      turns.await_go();
      return "";
    });
    ::_exit(wrong.empty() ? 0 : 1);
  }
  const std::string report = as(reader, [&]() -> std::string {
    const Store store = must(Store::open(path, {.read_only = true}));
    if (std::string wrong = expect(store, "k7", patterned(200)); !wrong.empty()) return wrong;
    const auto iterator = store.snapshot();
    for (const char* value : {"closed again", "open", "still open"}) {
      turns.go();
      turns.await_done();
      if (std::string wrong = expect(store, "k7", value); !wrong.empty()) return value + (": " + wrong);
    }
    // What was begun before is not continued with other contents.
    const auto old = iterator->get("k450");
    if (!old && !(old.error() == Errc::busy)) return old.error().message();
    if (old && !(*old == BytesView(patterned(200)))) return "a wrong value";
    turns.go();
    return "";
  });
  CHECK(report == "");
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  CHECK(as(owner, [&] { return put(path, "k", "w"); }) == "");
}

TEST_CASE("the owner removes what readers of older versions have left") {
  if (!is_root()) return;
  const SharedFolder folder;
  const std::string& path = folder.path;
  REQUIRE(as(owner, [&] { return put(path, "k", "v"); }) == "");
  for (const char* suffix : {"-wal", "-shm"}) {
    write_file(path + suffix, suffix == std::string("-shm") ? std::string(32768, '\0') : "");
    REQUIRE(::chown((path + suffix).c_str(), reader, reader) == 0);
    REQUIRE(::chmod((path + suffix).c_str(), 0644) == 0);
  }
  CHECK(as(owner, [&] { return put(path, "k", "w"); }) == "");
  CHECK(files_in(folder.dir.path()) == std::vector<std::string>{"a.db"});
}

TEST_CASE("where nothing can be written the message says why, and names the way") {
  if (!is_root()) return;
  const SharedFolder folder;
  const std::string& path = folder.path;
  const auto refusal = [&]() -> std::string {
    const auto refused = Store::open(path, {.read_only = true});
    if (refused) return "it was opened";
    return std::string(to_string(refused.error().code())) + " " + refused.error().message();
  };
  REQUIRE(as(owner, [&] { return put(path, "k", "v"); }) == "");
  REQUIRE(::chmod(folder.dir.path().c_str(), 0755) == 0);
  const std::string closed = as(reader, refusal);
  CAPTURE(closed);
  CHECK(closed.starts_with("cant_open "));
  CHECK(closed.find("nothing can be written in " + folder.dir.path().string()) != std::string::npos);
  CHECK(closed.find("(Permission denied)") != std::string::npos);
  CHECK(closed.find("open it with immutable") != std::string::npos);
  CHECK(as(reader, [&] {
          return expect(must(Store::open(path, {.read_only = true, .immutable = true})), "k", "v");
        }) == "");
  // With the log of a killed writer, but without its index, the file alone is not complete.
  REQUIRE(::chmod(folder.dir.path().c_str(), 0777) == 0);
  REQUIRE(as(owner, [&]() -> std::string {
            Store store = must(Store::open(path));
            if (!store.put("k", "w")) return "no put";
            ::_exit(0);
          }) == "");
  std::filesystem::remove(path + "-shm");
  REQUIRE(::chmod(folder.dir.path().c_str(), 0755) == 0);
  const std::string killed = as(reader, refusal);
  CAPTURE(killed);
  CHECK(killed.find("by opening it for writing") != std::string::npos);
}
