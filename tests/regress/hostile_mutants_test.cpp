// Stores, logs and journals with random damage: each call gives an error that makes sense, or works; none takes
// more than a second of the processor or 64 MiB beside what the files have.
//
// SNKV_MUTANTS=<n>: so many of each kind of file (40 unless told otherwise). SNKV_SEED=<n>: other ones.
#include "regress/hostile_pokes.hpp"
#include "support/bounded.hpp"
#include "support/check.hpp"
#include "support/files.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <random>
#include <string>

using namespace snkv;
using namespace snkv::test;

namespace {

namespace fs = std::filesystem;

/// The files of a store, by suffix.
using Files = std::map<std::string, std::string>;

struct Kind {
  const char* name;
  const char* target;  ///< the file that is damaged
  bool encrypted;
  std::uint32_t page_size;
  Journal journal;
  bool closed;
};

constexpr Kind kinds[] = {
    {"store", "", false, 4096, Journal::wal, true},
    {"store of large pages", "", false, 65536, Journal::wal, true},
    {"encrypted store", "", true, 4096, Journal::wal, true},
    {"log", "-wal", false, 4096, Journal::wal, false},
    {"log of an encrypted store", "-wal", true, 4096, Journal::wal, false},
    {"index of a log", "-shm", false, 4096, Journal::wal, false},
    {"rollback journal", "-journal", false, 4096, Journal::rollback, false},
};

Files files_of(const std::string& path) {
  Files files;
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
    if (fs::exists(path + suffix)) files[suffix] = read_file(path + suffix);
  }
  return files;
}

void fill(Store& store) {
  REQUIRE_OK(store.create_column_family("users"));
  Transaction transaction = must(store.begin());
  for (int i = 0; i < 150; ++i) {
    REQUIRE_OK(transaction.put("key" + std::to_string(i), std::string(100 + i, 'v')));
    if (i % 10 == 0) REQUIRE_OK(transaction.put("brief" + std::to_string(i), "b", {.ttl = std::chrono::hours(9)}));
  }
  REQUIRE_OK(transaction.put("large1", std::string(30'000, 'l')));
  REQUIRE_OK(transaction.put("large2", std::string(9'000, 'l')));
  REQUIRE_OK(transaction.commit());
  REQUIRE_OK(store.erase("large2"));
}

/// As a process leaves them that is killed, unless they are closed. The files are copied by a child, because
/// whoever closes them in this process drops its locks.
Files make_files(const Kind& kind) {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  const Options options{.journal = kind.journal, .page_size = kind.page_size, .cache_size = 64u << 10};
  const std::string report = in_child([&]() -> std::string {
    Store store = must(kind.encrypted ? Store::open_encrypted(path, poke_secret(), options, poke_encryption)
                                      : Store::open(path, options));
    fill(store);
    if (kind.closed) return store.close() ? "" : "cannot close";
    Transaction transaction = must(store.begin());
    for (int i = 0; i < 400; ++i) REQUIRE_OK(transaction.put("more" + std::to_string(i), std::string(900, 'm')));
    if (kind.journal == Journal::wal) REQUIRE_OK(transaction.commit());
    fs::create_directory(dir.file("copy"));
    for (const char* suffix : {"", "-wal", "-shm", "-journal"}) {
      std::error_code ignored;
      fs::copy_file(path + suffix, dir.file("copy/a.db") + suffix, ignored);
    }
    return "";
  });
  REQUIRE(report == "");
  Files files = files_of(kind.closed ? path : dir.file("copy/a.db"));
  REQUIRE(files.count(kind.target) == 1);
  REQUIRE_FALSE(files[kind.target].empty());
  return files;
}

class Mutator {
 public:
  explicit Mutator(std::uint64_t seed) : random_(seed) {}

  void mutate(std::string& bytes, std::size_t page) {
    for (std::size_t left = 1 + below(3); left > 0 && !bytes.empty(); --left) once(bytes, page);
  }

 private:
  std::size_t below(std::size_t bound) { return bound == 0 ? 0 : static_cast<std::size_t>(random_() % bound); }

  /// Mostly where the structure is: headers of pages, and the first page.
  std::size_t place(const std::string& bytes, std::size_t page) {
    const std::size_t at = below(3) == 0 ? below(bytes.size()) : below(bytes.size() / page + 1) * page + below(64);
    return below(4) == 0 ? below(std::min<std::size_t>(bytes.size(), 200)) : std::min(at, bytes.size() - 1);
  }

  void once(std::string& bytes, std::size_t page) {
    const std::size_t at = place(bytes, page);
    switch (below(8)) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
        break;
      case 1:
        bytes[at] = static_cast<char>(random_());
        break;
      case 2:
        for (std::size_t i = at; i < std::min(bytes.size(), at + 4); ++i) bytes[i] = below(2) == 0 ? '\xff' : '\0';
        break;
      case 3:
        for (std::size_t i = at; i < std::min(bytes.size(), at + below(512)); ++i) {
          bytes[i] = static_cast<char>(random_());
        }
        break;
      case 4: {  // two pages change places
        const std::size_t pages = bytes.size() / page;
        if (pages < 2) break;
        const std::size_t a = below(pages) * page;
        const std::size_t b = below(pages) * page;
        for (std::size_t i = 0; i < page; ++i) std::swap(bytes[a + i], bytes[b + i]);
        break;
      }
      case 5:  // a piece of it elsewhere
        bytes.replace(at, std::min<std::size_t>(below(2000), bytes.size() - at), bytes.substr(below(bytes.size()), 500));
        break;
      case 6:
        bytes.resize(below(bytes.size() + 1));
        break;
      case 7:  // a page number or count that is too large, or another page
        for (std::size_t i = 0; i < 4 && at + i < bytes.size(); ++i) {
          bytes[at + i] = static_cast<char>(i == 3 ? below(40) : below(8) == 0 ? below(256) : 0);
        }
        break;
      default:
        break;
    }
  }

  std::mt19937_64 random_;
};

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

}  // namespace

TEST_CASE("no damage makes the library crash, hang or take memory without end") {
  const std::uint64_t count = number_from("SNKV_MUTANTS", 40);
  const std::uint64_t seed = number_from("SNKV_SEED", 1);
  const TempDir dir;
  const std::string path = dir.file("a.db");
  for (const Kind& kind : kinds) {
    const Files sound = make_files(kind);
    for (std::uint64_t i = 0; i < count; ++i) {
      Files files = sound;
      Mutator(seed * 1'000'003 + i).mutate(files[kind.target], kind.page_size);
      std::uint64_t bytes = 0;
      for (const char* suffix : {"", "-wal", "-shm", "-journal", ".copy", ".compact"}) fs::remove(path + suffix);
      for (const auto& [suffix, content] : files) {
        write_file(path + suffix, content);
        bytes += content.size();
      }
      CAPTURE(kind.name, seed, i);
      // It writes two copies besides.
      CHECK(in_bounds({.file_bytes = 4 * bytes}, [&] { return poke_entries(path, kind.encrypted); }) == "");
    }
  }
}
