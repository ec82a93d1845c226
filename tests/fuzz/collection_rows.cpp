// Rows of a collection that say what is not so.
//
// An input is a list of changes: family (1 byte), row (2), offset (2), what is written there (1) and, if that is
// 255, the size (2) that the row is cut to or filled up to with zeros.
#include "fuzz/collections.hpp"

#include <snkv/vector/detail/rows/damage.hpp>

namespace snkv::fuzz {
namespace {

const std::string& sound() {
  static const std::string file = [] {
    const std::string path = folder().file("sound.db");
    remove_store(path);
    make_collection(path);
    return test::read_file(path);
  }();
  return file;
}

constexpr const char* families[] = {"snkv_vector_1_meta", "snkv_vector_1_items", "snkv_vector_1_vectors",
                                    "snkv_vector_1_log"};

/// The key and the row of that number, counted from the first one again where there are fewer.
std::pair<std::string, std::string> row_at(const core::Target& family, std::size_t number) {
  std::vector<std::pair<std::string, std::string>> rows;
  for (vector_detail::RowCursor cursor(family, {}); cursor.valid(); cursor.next()) {
    rows.emplace_back(cursor.key().str(), cursor.value().str());
  }
  return rows.empty() ? std::pair<std::string, std::string>() : rows[number % rows.size()];
}

void damage(const Store& store, Reader& reader) {
  const char* const name = families[reader.byte() % std::size(families)];
  core::Target family;
  if (core::internal_family(facade::Door::target(store), name, core::FamilyMode::open, family).failed()) return;
  auto [key, row] = row_at(family, reader.number(2));
  const std::size_t offset = reader.number(2);
  const std::uint8_t byte = reader.byte();
  if (byte == 255) {
    row.resize(reader.number(2) % 4096);
  } else if (!row.empty()) {
    row[offset % row.size()] = static_cast<char>(byte);
  }
  if (core::put(family, key, row, {}).failed()) fail("a row cannot be written");
}

}  // namespace

std::vector<std::string> seeds() { return {std::string("\1\0\2\0\0\7", 6), std::string("\0\0\0\0\1\377\0\4", 8)}; }

void run(std::string_view input) {
  const std::string path = folder().file("case.db");
  remove_store(path);
  test::write_file(path, sound());
  {
    const Store store = must(Store::open(path, collection_options().store));
    Reader reader(input);
    for (int changes = 0; changes < 16 && !reader.at_end(); ++changes) damage(store, reader);
  }
  poke_collection(path);
  remove_store(path);
}

}  // namespace snkv::fuzz
