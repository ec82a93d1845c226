// A tree whose pages lead to the same pages again and again has more entries than anybody can count: fifteen
// levels of sixty children each are in a file of 80 KB.
#include "support/bounded.hpp"
#include "support/check.hpp"
#include "support/files.hpp"
#include "support/sqlite_cli.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <cstdint>
#include <string>

using namespace snkv;
using namespace snkv::test;

namespace {

constexpr std::size_t page_size = 4096;
constexpr std::uint32_t levels = 15;

std::uint32_t number_at(const std::string& bytes, std::size_t at, std::size_t size) {
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < size; ++i) number = number << 8 | static_cast<unsigned char>(bytes[at + i]);
  return number;
}

void put_number(std::string& bytes, std::size_t at, std::uint32_t number) {
  for (int i = 3; i >= 0; --i, number >>= 8) bytes[at + static_cast<std::size_t>(i)] = static_cast<char>(number);
}

/// Makes all children of an inner page this one.
void set_children(std::string& page, std::uint32_t child) {
  const std::uint32_t cells = number_at(page, 3, 2);
  for (std::uint32_t i = 0; i < cells; ++i) put_number(page, number_at(page, 12 + 2 * i, 2), child);
  put_number(page, 8, child);
}

/// Puts levels below the root of the family, each of which has the root's cells and one child only.
void make_endless(const std::string& path, std::uint32_t root) {
  std::string bytes = read_file(path);
  std::string inner = bytes.substr((root - 1) * page_size, page_size);
  REQUIRE(inner[0] == 2);
  const std::uint32_t leaf = number_at(inner, 8, 4);
  const auto pages = static_cast<std::uint32_t>(bytes.size() / page_size);
  for (std::uint32_t level = 1; level <= levels; ++level) {
    set_children(inner, level == levels ? leaf : pages + level + 1);
    bytes += inner;
  }
  set_children(inner, pages + 1);
  bytes.replace((root - 1) * page_size, page_size, inner);
  put_number(bytes, 28, pages + levels);
  write_file(path, bytes);
}

}  // namespace

TEST_CASE("a tree that leads to itself has an end, which is an error") {
  const bool mapped = GENERATE(true, false);
  CAPTURE(mapped);
  const TempDir dir;
  const std::string path = dir.file("a.db");
  {
    Store store = must(Store::open(path, {.page_size = page_size}));
    for (int i = 0; i < 2000; ++i) REQUIRE_OK(store.put("key" + std::to_string(i), std::string(100, 'v')));
    REQUIRE_OK(store.close());
  }
  const std::string root = sqlite_cli(path, "SELECT rootpage FROM sqlite_schema WHERE name='default'");
  make_endless(path, static_cast<std::uint32_t>(std::stoul(root)));
  const std::string report = in_bounds({.file_bytes = size_of(path)}, [&]() -> std::string {
    const Store store = must(Store::open(path, {.map_file = mapped}));
    std::string complaint = error_complaint(store.count(), Errc::corrupt, "count");
    complaint += error_complaint(store.integrity_check(), Errc::corrupt, "integrity_check");
    complaint += error_complaint(store.verify(), Errc::corrupt, "verify");
    Range forward = store.all();
    for (auto [key, value] : forward) static_cast<void>(value.size());
    complaint += error_complaint(forward.status(), Errc::corrupt, "");
    Range backward = store.all().reversed();
    for (auto [key, value] : backward) static_cast<void>(value.size());
    complaint += error_complaint(backward.status(), Errc::corrupt, "");
    return complaint;
  });
  CHECK(report == "");
}
