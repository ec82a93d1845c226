// Databases of SNKV's C library that somebody damaged, by chance or on purpose: an error or a store,
// but never a crash, an endless walk, or more memory than the file deserves.
#include "compat/original_samples.hpp"
#include "support/check.hpp"
#include "support/files.hpp"
#include "support/temp_dir.hpp"

#include <snkv/import.hpp>

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace snkv;
using namespace snkv::test;

namespace {

constexpr std::size_t page = 4096;

/// Reads everything in a database; the entries, or why not.
Result<std::uint64_t> read_all(const std::string& path, BytesView password = {}) {
  auto original = OriginalStore::open(path, password);
  if (!original) return Unexpected(std::move(original).error());
  std::uint64_t entries = 0;
  for (const std::string& family : original->families()) {
    auto scan = original->scan(family);
    if (!scan) return Unexpected(std::move(scan).error());
    for (;;) {
      auto more = scan->next();
      if (!more) return Unexpected(std::move(more).error());
      if (!*more) break;
      entries += scan->value().size() > std::size_t{1} << 30 ? 0u : 1u;
    }
  }
  return entries;
}

/// Puts bytes in place of those at `offset`.
std::string with(std::string bytes, std::size_t offset, std::string_view others) {
  bytes.replace(offset, others.size(), others);
  return bytes;
}

std::string number(std::uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(value >> shift));
  return bytes;
}

bool is_refusal(Errc code) {
  return code == Errc::corrupt || code == Errc::not_a_store || code == Errc::tampered ||
         code == Errc::auth_failed;
}

}  // namespace

TEST_CASE("any byte of a database may be another one") {
  const TempDir dir;
  const std::string path = dir.file("x.db");
  const std::string good = read_file(plain_sample);
  const std::uint32_t seed = 20261125;
  CAPTURE(seed);
  std::mt19937 random(seed);
  int refused = 0;
  constexpr int rounds = 4000;
  for (int round = 0; round < rounds; ++round) {
    std::string bytes = good;
    // One byte, several of them, or a stretch; often where the structure is.
    const auto changes = 1 + random() % 4;
    for (unsigned i = 0; i < changes; ++i) {
      const std::size_t in_page = random() % 2 == 0 ? random() % 64 : random() % page;
      const std::size_t at = (random() % (bytes.size() / page)) * page + in_page;
      bytes[at] = random() % 2 == 0 ? static_cast<char>(random())
                                    : static_cast<char>(bytes[at] ^ (1 << random() % 8));
    }
    write_file(path, bytes);
    const auto entries = read_all(path);
    if (entries) continue;
    ++refused;
    CAPTURE(round, entries.error().message());
    REQUIRE(is_refusal(entries.error().code()));
  }
  CHECK(refused > rounds / 10);
}

TEST_CASE("a database may end anywhere") {
  const TempDir dir;
  const std::string path = dir.file("x.db");
  const std::string good = read_file(plain_sample);
  for (std::size_t size = 0; size < good.size(); size += 997) {
    write_file(path, good.substr(0, size));
    const auto entries = read_all(path);
    CAPTURE(size);
    REQUIRE_FALSE(entries);
    REQUIRE(is_refusal(entries.error().code()));
  }
  // The header may say nothing about the number of pages, and a tree lead beyond the end.
  for (std::size_t pages = 1; pages < good.size() / page; ++pages) {
    write_file(path, with(good.substr(0, pages * page), 28, number(0)));
    CAPTURE(pages);
    REQUIRE_ERRC(read_all(path), Errc::corrupt);
  }
}

TEST_CASE("structures that lead nowhere, or in circles") {
  const TempDir dir;
  const std::string path = dir.file("x.db");
  const std::string good = read_file(plain_sample);
  // The root of the default family is page 3, an inner page; the table of families is page 4.
  const std::size_t root = 2 * page;
  const std::size_t table = 3 * page;
  REQUIRE(good[root] == 2);
  REQUIRE(good[table] == 13);
  REQUIRE_OK(read_all(plain_sample));

  std::string bytes = good;
  SECTION("a root that is not there") { bytes = with(good, 40, number(1000)); }
  SECTION("a root of nothing") { bytes = with(good, 40, number(0)); }
  SECTION("a root that is another kind of page") { bytes = with(good, 40, number(4)); }
  SECTION("a table that is another kind of page") { bytes = with(good, 48, number(3)); }
  SECTION("a table that is not there") { bytes = with(good, 48, number(0xffffffff)); }
  SECTION("a page that is its own child") { bytes = with(good, root + 8, number(3)); }
  SECTION("a child that is two children") {
    const std::string child = good.substr(root + 8, 4);
    const auto cell = static_cast<unsigned char>(good[root + 12]) * 256u +
                      static_cast<unsigned char>(good[root + 13]);
    bytes = with(good, root + cell, child);
  }
  SECTION("more cells than room") { bytes = with(good, root + 3, "\xff\xff"); }
  SECTION("a cell in the header") { bytes = with(good, root + 12, std::string_view("\0\1", 2)); }
  SECTION("a cell at the very end") { bytes = with(good, root + 12, "\x0f\xfe"); }
  SECTION("a page size of nothing") { bytes = with(good, 16, std::string_view("\0\0", 2)); }
  SECTION("a page size that is no power of two") { bytes = with(good, 16, "\x0f\xff"); }
  SECTION("hardly any room in a page") {
    bytes = with(with(good, 16, std::string_view("\2\0", 2)), 20, "\xff");
  }
  SECTION("a name that is too long for its row") {
    const std::size_t row = good.find(std::string("\0\0\0\x08", 4) + "sessions");
    REQUIRE(row != std::string::npos);
    bytes = with(good, row, GENERATE(std::string("\xff\xff\xff\xff"), std::string("\0\0\0\x09", 4),
                                     std::string(4, '\0')));
  }
  SECTION("a key that is too long for its cell, or of no bytes") {
    const std::size_t cell = good.find(std::string("\0\0\0\x03", 4) + "p03");
    REQUIRE(cell != std::string::npos);
    bytes = with(good, cell, GENERATE(std::string("\x7f\xff\xff\xff"), std::string("\xff\xff\xff\xff"),
                                      std::string("\0\0\0\x0b", 4), std::string(4, '\0')));
  }
  SECTION("keys that are not in order, or come twice") {
    const std::size_t cell = good.find(std::string("\0\0\0\x03", 4) + "p03");
    bytes = with(good, cell + 4, GENERATE("z03", "p02", "p01"));
  }
  SECTION("an expiry that is none") {
    const std::size_t cell = good.find(std::string("\0\0\0\x03", 4) + "s03" + std::string("\0\0", 2));
    REQUIRE(cell != std::string::npos);
    bytes = with(good, cell + 7, "\xff");
  }
  SECTION("a chain of overflow pages that is its own end") {
    // That of the entry "big" ends with a 0 at the beginning of its last page. (There is an older copy
    // of its cell, which is not in use.)
    const std::size_t text = good.rfind(std::string(1000, 'x'));
    const std::size_t overflow = text / page * page;
    REQUIRE(good.compare(overflow, 4, number(0)) == 0);
    const std::size_t cell = good.rfind(std::string("\0\0\0\x03", 4) + "big");
    REQUIRE(cell != std::string::npos);
    // The size before it, as two bytes: 4007. Twice as much would need another page.
    REQUIRE(good.compare(cell - 2, 2, "\x9f\x27") == 0);
    bytes = with(with(good, cell - 2, "\xcf\x27"), overflow,
                 number(static_cast<std::uint32_t>(overflow / page + 1)));
  }
  SECTION("a cell that is larger than the file") {
    const std::size_t cell = good.rfind(std::string("\0\0\0\x03", 4) + "big");
    REQUIRE(good.compare(cell - 2, 2, "\x9f\x27") == 0);
    bytes = with(good, cell - 2, "\xff\xff");
  }
  REQUIRE(bytes != good);
  write_file(path, bytes);
  REQUIRE_ERRC(read_all(path), Errc::corrupt);
  REQUIRE_ERRC(import_original(path, dir.file("new.db")), Errc::corrupt);
  CHECK(files_in(dir.path()) == std::vector<std::string>{"x.db"});
}
