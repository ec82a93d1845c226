// Files that are none, in the place of a store or beside it, and headers with one wrong byte. Once a pipe in the
// place of a side file hung whoever opened it, one damaged header gave `internal`, and a store with reserved
// bytes opened and then refused every call as corrupt.
#include "regress/hostile_pokes.hpp"
#include "support/bounded.hpp"
#include "support/check.hpp"
#include "support/files.hpp"
#include "support/temp_dir.hpp"

#include <snkv/detail/core_abi.hpp>
#include <snkv/snkv.hpp>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <string>

using namespace snkv;
using namespace snkv::test;

namespace {

namespace fs = std::filesystem;

void make_store(const std::string& path, Journal journal, bool free_pages) {
  Store store = must(Store::open(path, {.journal = journal, .page_size = 4096}));
  for (int i = 0; i < 40; ++i) REQUIRE_OK(store.put("key" + std::to_string(i), std::string(100, 'v')));
  if (free_pages) {
    REQUIRE_OK(store.put("large", std::string(40'000, 'l')));
    REQUIRE_OK(store.erase("large"));
  }
  REQUIRE_OK(store.close());
}

enum class Thing { pipe, socket, folder, dangling_link, link, device_link };

void make_thing(Thing thing, const std::string& path, const TempDir& dir) {
  std::error_code error;
  fs::remove(path, error);
  switch (thing) {
    case Thing::pipe:
      REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
      break;
    case Thing::socket: {
      const int end = ::socket(AF_UNIX, SOCK_STREAM, 0);
      sockaddr_un address{};
      address.sun_family = AF_UNIX;
      REQUIRE(path.size() < sizeof address.sun_path);
      std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
      REQUIRE(::bind(end, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
      ::close(end);
      break;
    }
    case Thing::folder:
      fs::create_directory(path);
      break;
    case Thing::dangling_link:
      fs::create_symlink(dir.file("nowhere"), path);
      break;
    case Thing::link:
      write_file(dir.file("elsewhere"), std::string(5000, 'e'));
      fs::create_symlink(dir.file("elsewhere"), path);
      break;
    case Thing::device_link:
      fs::create_symlink("/dev/zero", path);
      break;
  }
}

/// One wrong byte: either it is refused for what it is, or it does not matter.
std::string try_header(const std::string& path, bool may_be_found_later) {
  std::string complaint;
  const auto wrong = [&](const char* call, const Error& error) {
    const Errc code = error.code();
    if (code == Errc::not_a_store || code == Errc::corrupt || code == Errc::unsupported_version) return;
    complaint += std::string(call) + ": " + error.message() + "\n";
  };
  if (auto store = Store::open(path, {.read_only = true}); !store) wrong("open read-only", store.error());
  auto store = Store::open(path, {.sync = Sync::off});
  if (!store) {
    wrong("open", store.error());
    return complaint;
  }
  const auto check = [&](const char* call, const auto& result) {
    if (result) return;
    wrong(call, result.error());
    if (!may_be_found_later) complaint += std::string(call) + " after open: " + result.error().message() + "\n";
  };
  check("get", store->get("key1"));
  check("count", store->count());
  check("put", store->put("new", std::string(9000, 'n')));
  check("create", store->create_column_family("made"));
  return complaint;
}

}  // namespace

TEST_CASE("a header with one wrong byte is refused for what it is, or works") {
  const bool wal = GENERATE(true, false);
  const bool free_pages = GENERATE(false, true);
  const TempDir dir;
  const std::string sound = dir.file("sound.db");
  make_store(sound, wal ? Journal::wal : Journal::rollback, free_pages);
  const std::string bytes = read_file(sound);
  const std::string path = dir.file("a.db");
  // Page size, write and read version and the like: all that the engine looks at, and the rest.
  const std::string report = in_bounds({.seconds = 60}, [&]() -> std::string {
    std::string complaints;
    for (std::size_t at = 0; at < 100; ++at) {
      const auto old = static_cast<unsigned char>(bytes[at]);
      for (const unsigned value : {0u, 1u, 2u, 3u, 4u, 5u, 32u, 64u, 128u, 255u, old ^ 1u, (old + 1u) & 255u}) {
        if (value == old) continue;
        for (const char* suffix : {"", "-wal", "-shm", "-journal"}) fs::remove(path + suffix);
        write_file(path, bytes);
        overwrite(path, at, std::string(1, static_cast<char>(value)));
        // Fewer pages than there are: what is on the others is damage that a read meets.
        const bool page_count = at >= 28 && at < 32;
        const std::string complaint = try_header(path, free_pages || page_count);
        if (complaint.empty()) continue;
        complaints += "byte " + std::to_string(at) + " = " + std::to_string(value) + ": " + complaint;
      }
    }
    return complaints;
  });
  CAPTURE(wal, free_pages);
  CHECK(report == "");
}

TEST_CASE("reserved bytes are refused when the store is opened") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  make_store(path, Journal::wal, false);
  overwrite(path, 20, std::string(1, '\x08'));
  REQUIRE_ERROR(Store::open(path), Errc::corrupt, "open");
  REQUIRE_ERROR(Store::open(path, {.read_only = true}), Errc::corrupt, "open");
}

TEST_CASE("what is no regular file is neither waited for nor followed") {
  const auto thing = GENERATE(Thing::pipe, Thing::socket, Thing::folder, Thing::dangling_link, Thing::link,
                              Thing::device_link);
  const std::string suffix = GENERATE("", "-wal", "-journal", "-shm");
  CAPTURE(static_cast<int>(thing), suffix);
  const TempDir dir;
  const std::string path = dir.file("a.db");
  make_store(path, Journal::wal, false);
  make_thing(thing, path + suffix, dir);
  const std::string report = in_bounds({.seconds = 5}, [&]() -> std::string {
    std::string complaint;
    for (const bool read_only : {true, false}) {
      auto store = Store::open(path, {.read_only = read_only});
      if (!store) {
        complaint += judge("open", store);
        // A link to a store would be one; none of these leads to one.
      } else if (suffix == "-wal" || (suffix.empty() && thing != Thing::dangling_link)) {
        complaint += "was opened; ";
      }
    }
    complaint += judge("is_encrypted", Store::is_encrypted(path));
    return complaint;
  });
  CHECK(report == "");
  if (thing == Thing::link) CHECK(read_file(dir.file("elsewhere")) == std::string(5000, 'e'));
}

TEST_CASE("a side file is a regular file") {
  const auto thing = GENERATE(Thing::pipe, Thing::socket, Thing::folder, Thing::dangling_link, Thing::link,
                              Thing::device_link);
  CAPTURE(static_cast<int>(thing));
  const TempDir dir;
  const std::string path = dir.file("a.db");
  make_store(path, Journal::wal, false);
  make_thing(thing, path + "-vectors-1", dir);
  const std::string report = in_bounds({.seconds = 5}, [&]() -> std::string {
    core::Target target;
    Error error = core::open_store(path, {}, target);
    if (error.failed()) return error.message();
    core::SideFileReader* reader = nullptr;
    error = core::open_side_reader(target, "-vectors-1", reader);
    core::close_side_reader(reader);
    return error == Errc::corrupt ? "" : "wanted corrupt: " + error.message();
  });
  CHECK(report == "");
}
