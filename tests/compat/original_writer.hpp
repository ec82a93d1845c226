// Small databases in the format of SNKV's C library, for what the samples do not have: each family has
// one page.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace snkv::test {

using OriginalFamilies = std::map<std::string, std::map<std::string, std::string>>;

/// A number, the largest byte first.
inline std::string big_endian(std::uint64_t value, std::size_t size) {
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i < size; ++i) bytes[size - 1 - i] = static_cast<char>(value >> 8 * i);
  return bytes;
}

namespace original_writer {

constexpr std::size_t page_size = 4096;

inline std::string varint(std::uint64_t value) {
  if (value < 0x80) return std::string(1, static_cast<char>(value));
  if (value >= 0x4000) throw std::runtime_error("too large for the writer");
  return {static_cast<char>(0x80 | value >> 7), static_cast<char>(value & 0x7f)};
}

/// A leaf page with these cells, behind `header` bytes of something else.
inline std::string leaf(char type, const std::vector<std::string>& cells, std::string page = {}) {
  const std::size_t header = page.size();
  page.resize(page_size, '\0');
  std::size_t end = page_size;
  std::size_t pointer = header + 8;
  for (const std::string& cell : cells) {
    if (pointer + 2 + cell.size() > end) throw std::runtime_error("too much for the writer");
    end -= cell.size();
    page.replace(end, cell.size(), cell);
    page.replace(pointer, 2, big_endian(end, 2));
    pointer += 2;
  }
  page[header] = type;
  page.replace(header + 3, 2, big_endian(cells.size(), 2));
  page.replace(header + 5, 2, big_endian(end, 2));
  return page;
}

}  // namespace original_writer

/// What a writer that was killed early leaves: the first page, with nothing in it but the mark of a log, where
/// all the rest is.
inline std::string original_first_page() {
  using namespace original_writer;
  std::string header(100, '\0');
  header.replace(0, 15, "SQLite format 3");
  header.replace(16, 2, big_endian(page_size, 2));
  header.replace(18, 2, "\2\2");
  header.replace(28, 4, big_endian(1, 4));
  return leaf(13, {}, header);
}

/// The bytes of a database with these families; "default" is one of them.
inline std::string original_database(const OriginalFamilies& families) {
  using namespace original_writer;
  std::vector<std::string> rows;
  std::string pages;
  std::uint32_t next_page = 3;
  std::uint32_t default_root = 0;
  for (const auto& [name, entries] : families) {
    std::vector<std::string> cells;
    for (const auto& [key, value] : entries) {
      const std::string payload = big_endian(key.size(), 4) + key + value;
      if (payload.size() > 1000) throw std::runtime_error("too large for the writer");
      cells.push_back(varint(payload.size()) + payload);
    }
    pages += leaf(10, cells);
    if (name == "default") {
      default_root = next_page;
    } else {
      const std::string payload = big_endian(name.size(), 4) + name + big_endian(next_page, 4);
      rows.push_back(varint(payload.size()) + varint(rows.size() + 1) + payload);
    }
    ++next_page;
  }
  std::string header(100, '\0');
  header.replace(0, 15, "SQLite format 3");
  header.replace(16, 2, big_endian(page_size, 2));
  header.replace(28, 4, big_endian(next_page - 1, 4));
  header.replace(40, 4, big_endian(default_root, 4));
  header.replace(44, 4, big_endian(families.size(), 4));
  header.replace(48, 4, big_endian(2, 4));
  return leaf(13, {}, header) + leaf(13, rows) + pages;
}

}  // namespace snkv::test
