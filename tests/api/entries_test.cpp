// put, get, contains, erase, clear and count with keys and values of every size.
#include "support/check.hpp"
#include "support/contents.hpp"
#include "support/files.hpp"
#include "support/patterned.hpp"
#include "support/store_kind.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <sys/mman.h>

#include <array>
#include <map>
#include <string>
#include <vector>

using namespace snkv;
using namespace snkv::test;

namespace {

/// The largest record that stays in one cell of an index B-tree; longer ones overflow.
std::size_t local_limit(std::size_t page_size) { return (page_size - 12) * 64 / 255 - 23; }

/// Reads everything back in every way there is. Values are compared by == first, because printing
/// megabytes of difference helps nobody.
void check_contents(const Store& store, const std::map<std::string, std::string>& expected) {
  REQUIRE(must(store.count()) == expected.size());
  auto wanted = expected.begin();
  Range all = store.all();
  for (auto [key, value] : all) {
    REQUIRE(wanted != expected.end());
    REQUIRE((key == BytesView(wanted->first)));
    REQUIRE((value == BytesView(wanted->second)));
    ++wanted;
  }
  must(all.status());
  REQUIRE(wanted == expected.end());
  for (const auto& [key, value] : expected) {
    REQUIRE(must(store.contains(key)));
    const Bytes got = must(store.get(key));
    REQUIRE(got.size() == value.size());
    REQUIRE((got == BytesView(value)));
  }
}

/// Readable zeros of any length that cost no memory.
class VirtualZeros {
 public:
  explicit VirtualZeros(std::size_t size)
      : size_(size), address_(::mmap(nullptr, size, PROT_READ,
                                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)) {
    REQUIRE(address_ != MAP_FAILED);
  }
  VirtualZeros(const VirtualZeros&) = delete;
  VirtualZeros& operator=(const VirtualZeros&) = delete;
  ~VirtualZeros() { ::munmap(address_, size_); }

  [[nodiscard]] BytesView first(std::size_t size) const { return {address_, size}; }

 private:
  std::size_t size_;
  void* address_;
};

}  // namespace

TEST_CASE("what is put can be read, until it is erased") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  REQUIRE_ERROR(store.get("key"), Errc::not_found, "get");
  CHECK_FALSE(must(store.contains("key")));
  CHECK_FALSE(must(store.erase("key")));

  REQUIRE_OK(store.put("key", "value"));
  CHECK(must(store.get("key")) == "value");
  CHECK(must(store.contains("key")));
  CHECK(must(store.count()) == 1);
  REQUIRE_OK(store.put("key", "other"));
  CHECK(must(store.get("key")) == "other");
  CHECK(must(store.count()) == 1);

  CHECK(must(store.erase("key")));
  CHECK_FALSE(must(store.erase("key")));
  CHECK_FALSE(must(store.contains("key")));
  REQUIRE_ERRC(store.get("key"), Errc::not_found);
  CHECK(must(store.count()) == 0);
}

TEST_CASE("keys that are prefixes or neighbours of each other are different keys") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  std::map<std::string, std::string> expected;
  for (const std::string& key :
       {std::string("\0", 1), std::string("\0\0", 2), std::string("\0\xff", 2), std::string("a"),
        std::string("a\0", 2), std::string("a\0b", 3), std::string("aa"), std::string("A"),
        std::string("\x7f"), std::string("\x80"), std::string("\xff"), std::string("\xff\0", 2),
        std::string("\xff\xff"), std::string("\xff\xff\xff")}) {
    expected[key] = "value of " + key;
    REQUIRE_OK(store.put(key, expected[key]));
  }
  check_contents(store, expected);
  CHECK_FALSE(must(store.contains("aaa")));
  CHECK_FALSE(must(store.contains(std::string("\0\0\0", 3))));
}

TEST_CASE("every byte may occur anywhere in keys and values") {
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir);
  std::map<std::string, std::string> expected;
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    expected[std::string(1, c)] = std::string(3, c);
    expected[std::string("k") + c + "k"] = std::string(1, c);
  }
  for (const auto& [key, value] : expected) REQUIRE_OK(store.put(key, value));
  check_contents(store, expected);
}

TEST_CASE("an empty value is a value") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  REQUIRE_OK(store.put("key", ""));
  CHECK(must(store.contains("key")));
  CHECK(must(store.get("key")).empty());
  REQUIRE_OK(store.put("key", BytesView()));
  CHECK(must(store.get("key")).empty());
  CHECK(contents_of(store) == Contents{{"key", ""}});
  CHECK(must(store.erase("key")));
}

TEST_CASE("values of every size around the spill limit") {
  const std::uint32_t page_size = GENERATE(4096u, 8192u, 16384u, 32768u, 65536u);
  CAPTURE(page_size);
  const TempDir dir;
  std::map<std::string, std::string> expected;
  {
    Store store = open_kind(StoreKind::wal, dir, {.page_size = page_size});
    Transaction transaction = must(store.begin());
    for (const std::size_t key_size : {8u, 40u}) {
      for (std::size_t i = 0; i < 60; ++i) {
        // The record has a header, the key and perhaps an expiry besides the value.
        const std::size_t size = local_limit(page_size) - 50 - key_size / 8 + i;
        std::string key = std::to_string(1'000'000 + size);
        key.resize(key_size, 'k');
        expected[key] = patterned(size);
        REQUIRE_OK(transaction.put(key, expected[key]));
      }
    }
    REQUIRE_OK(transaction.commit());
    check_contents(store, expected);

    // Every size replaced by one a little different: stays, begins or stops to be spilled.
    for (auto& [key, value] : expected) {
      value = patterned(value.size() % 2 == 0 ? value.size() + 25 : value.size() - 25, 2);
      REQUIRE_OK(store.put(key, value));
    }
    check_contents(store, expected);
    REQUIRE_OK(store.integrity_check());
  }
  const Store store = open_kind(StoreKind::wal, dir);
  check_contents(store, expected);
}

TEST_CASE("values from nothing to five megabytes") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  std::map<std::string, std::string> expected;
  for (const std::size_t size : {0u, 1u, 2u, 100u, 1000u, 4095u, 4096u, 8192u, 20'000u, 100'000u,
                                 1'000'000u, 5u << 20}) {
    expected["size " + std::to_string(size)] = patterned(size);
    REQUIRE_OK(store.put("size " + std::to_string(size), patterned(size)));
  }
  check_contents(store, expected);
  REQUIRE_OK(store.integrity_check());
  for (const auto& [key, value] : expected) CHECK(must(store.erase(key)));
  CHECK(must(store.count()) == 0);
  REQUIRE_OK(store.integrity_check());
}

TEST_CASE("keys from one byte to 64 KiB") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  const std::uint32_t page_size = GENERATE(4096u, 8192u, 65536u);
  CAPTURE(kind, page_size);
  const TempDir dir;
  Store store = open_kind(kind, dir, {.sync = Sync::off, .page_size = page_size});
  std::map<std::string, std::string> expected;
  const std::size_t limit = local_limit(page_size);
  for (const std::size_t size : {std::size_t{1}, std::size_t{2}, std::size_t{100}, limit - 30,
                                 limit - 10, limit - 5, limit - 1, limit, limit + 1, limit + 10,
                                 std::size_t{page_size}, std::size_t{65535}, max_key_size}) {
    // Two keys that differ in their last byte only.
    std::string key(size, 'k');
    for (const char last : {'a', '\xff'}) {
      key.back() = last;
      expected[key] = patterned(size % 3 == 0 ? 50'000 : 10, size);
      REQUIRE_OK(store.put(key, expected[key]));
      REQUIRE_OK(store.put(key, expected[key]));
    }
  }
  check_contents(store, expected);
  REQUIRE_OK(store.integrity_check());
  for (auto entry = expected.begin(); entry != expected.end();) {
    REQUIRE(must(store.erase(entry->first)));
    entry = expected.erase(entry);
    if (entry != expected.end()) ++entry;
  }
  check_contents(store, expected);
  REQUIRE_OK(store.integrity_check());
}

TEST_CASE("a key that is too large is refused") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  REQUIRE_OK(store.put("key", "value"));
  const VirtualZeros zeros((std::size_t{1} << 32) + 1);
  // The last is one byte long to those who count in 32 bits.
  for (const std::size_t size :
       {max_key_size + 1, std::size_t{1} << 20, (std::size_t{1} << 32) + 1}) {
    CAPTURE(size);
    const BytesView key = zeros.first(size);
    REQUIRE_ERROR(store.put(key, "value"), Errc::too_large, "put");
    // Such a key is not there; an error is as good an answer.
    if (auto got = store.get(key); got || got.error() != Errc::too_large) {
      REQUIRE_ERROR(got, Errc::not_found, "get");
    }
    if (auto found = store.contains(key)) CHECK_FALSE(*found);
    if (auto erased = store.erase(key)) CHECK_FALSE(*erased);
  }
  CHECK(contents_of(store) == Contents{{"key", "value"}});
}

TEST_CASE("a value that is too large is refused") {
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir);
  REQUIRE_OK(store.put("key", "value"));
  const VirtualZeros zeros((std::size_t{1} << 32) + 1);
  for (const std::size_t size :
       {max_value_size + 1, std::size_t{0x7fffffff}, std::size_t{1} << 31,
        (std::size_t{1} << 32) + 1}) {
    CAPTURE(size);
    REQUIRE_ERROR(store.put("key", zeros.first(size)), Errc::too_large, "put");
    REQUIRE_ERROR(store.put("new", zeros.first(size)), Errc::too_large, "put");
  }
  CHECK(contents_of(store) == Contents{{"key", "value"}});
  REQUIRE_OK(store.put("new", "value"));
}

TEST_CASE("an empty key is refused") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  REQUIRE_ERROR(store.put("", "value"), Errc::invalid_argument, "put");
  REQUIRE_ERROR(store.get(""), Errc::invalid_argument, "get");
  REQUIRE_ERROR(store.contains(""), Errc::invalid_argument, "contains");
  REQUIRE_ERROR(store.erase(BytesView()), Errc::invalid_argument, "erase");
  CHECK(must(store.count()) == 0);
  REQUIRE_OK(store.put("key", "value"));
}

TEST_CASE("clear removes everything and the store goes on") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  REQUIRE_OK(store.clear());
  for (int round = 0; round < 3; ++round) {
    Transaction transaction = must(store.begin());
    for (int i = 0; i < 500; ++i) {
      REQUIRE_OK(transaction.put(std::to_string(i), patterned(i % 10 == 0 ? 30'000 : 50)));
    }
    REQUIRE_OK(transaction.commit());
    CHECK(must(store.count()) == 500);
    REQUIRE_OK(store.clear());
    CHECK(must(store.count()) == 0);
    CHECK(contents_of(store).empty());
    REQUIRE_ERRC(store.get("0"), Errc::not_found);
  }
  REQUIRE_OK(store.integrity_check());
}

TEST_CASE("clear gives the pages of large values back too") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  for (int i = 0; i < 20; ++i) REQUIRE_OK(store.put(std::to_string(i), patterned(100'000)));
  REQUIRE_OK(store.clear());
  const Stats stats = must(store.stats());
  // Two megabytes were there; what is still in use is the schema and a few roots.
  CHECK((stats.db_pages - stats.free_pages) * stats.page_size < 300'000);
}

TEST_CASE("overwriting reuses pages") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  const std::string small = "small";
  const std::string large = patterned(100'000);
  std::uint64_t pages_after_first = 0;
  for (int round = 0; round < 30; ++round) {
    for (const char* key : {"a", "b", "c"}) {
      REQUIRE_OK(store.put(key, round % 2 == 0 ? large : small));
      REQUIRE((must(store.get(key)) == BytesView(round % 2 == 0 ? large : small)));
    }
    if (round == 1) pages_after_first = must(store.stats()).db_pages;
  }
  CHECK(must(store.stats()).db_pages <= pages_after_first + 4);
  CHECK(must(store.count()) == 3);
  REQUIRE_OK(store.integrity_check());
}

TEST_CASE("erasing and putting again reuses pages") {
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir);
  std::uint64_t pages_after_first = 0;
  for (int round = 0; round < 10; ++round) {
    Transaction transaction = must(store.begin());
    for (int i = 0; i < 300; ++i) {
      const std::string key = "key" + std::to_string(i);
      if (round > 0) REQUIRE(must(transaction.erase(key)));
      REQUIRE_OK(transaction.put(key, patterned(i % 20 == 0 ? 20'000 : 200, round)));
    }
    REQUIRE_OK(transaction.commit());
    if (round == 1) pages_after_first = must(store.stats()).db_pages;
  }
  CHECK(must(store.stats()).db_pages <= pages_after_first * 12 / 10);
}

TEST_CASE("keys and values may be any byte container") {
  const TempDir dir;
  Store store = open_kind(StoreKind::memory, dir);
  REQUIRE_OK(store.put(std::vector<unsigned char>{1, 2}, std::array<std::byte, 2>{}));
  CHECK(must(store.get(std::string("\x01\x02"))).size() == 2);
  const double pi = 3.14;
  REQUIRE_OK(store.put("pi", bytes_of(pi)));
  CHECK(must(store.get("pi")) == bytes_of(pi));
}

TEST_CASE("an entry may be put back from its own bytes") {
  // The view that is written belongs to what is being replaced.
  const auto kind = GENERATE(from_range(all_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  for (const std::size_t size : {10u, 100'000u}) {
    const std::string value = patterned(size);
    REQUIRE_OK(store.put("key", value));
    Transaction transaction = must(store.begin());
    for (auto [key, old] : transaction.all()) REQUIRE_OK(transaction.put(key, old));
    REQUIRE_OK(transaction.commit());
    CHECK((must(store.get("key")) == BytesView(value)));
  }
}
