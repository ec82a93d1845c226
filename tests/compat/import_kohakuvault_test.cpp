// Files of KohakuVault, made here with the stock sqlite3 after its published layout.
#include "support/catch.hpp"
#include "support/check.hpp"
#include "support/encrypted.hpp"
#include "support/sqlite_cli.hpp"
#include "support/temp_dir.hpp"

#include <snkv/column.hpp>
#include <snkv/import_kohakuvault.hpp>
#include <snkv/snkv.hpp>

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

using namespace snkv;
using namespace snkv::test;

namespace {

std::string hex(BytesView bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string out = "x'";
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto byte = std::to_integer<unsigned>(bytes.data()[i]);
    out += digits[byte >> 4];
    out += digits[byte & 15];
  }
  return out + "'";
}

std::string packed(unsigned encoding, std::string_view payload) {
  std::string out("\x89\x4b\x01\x00\x00\x00\x00\x00\x56\x4b", 10);
  out[3] = static_cast<char>(encoding);
  return out.append(payload);
}

template <class T>
std::string bytes_of_all(const std::vector<T>& elements) {
  return std::string(reinterpret_cast<const char*>(elements.data()), elements.size() * sizeof(T));
}

/// A file with a table of each kind that is taken over.
class Vault {
 public:
  explicit Vault(std::string path) : path_(std::move(path)) {
    run("PRAGMA page_size=32768; PRAGMA journal_mode=WAL;"
        "CREATE TABLE kv(key BLOB PRIMARY KEY, value BLOB NOT NULL, size INTEGER);"
        "CREATE TABLE col_meta(col_id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, dtype TEXT "
        "NOT NULL,"
        " elem_size INTEGER, length INTEGER, chunk_bytes INTEGER, min_chunk_bytes INTEGER, "
        "max_chunk_bytes INTEGER);"
        "CREATE TABLE col_chunks(col_id INTEGER, chunk_idx INTEGER, data BLOB, actual_size INTEGER,"
        " bytes_used INTEGER, has_deleted INTEGER DEFAULT 0, PRIMARY KEY(col_id, chunk_idx))");
  }
  void run(const std::string& sql) const { sqlite_cli(path_, sql); }
  void entry(std::string_view key, std::string_view value) const {
    run("INSERT INTO kv VALUES(" + hex(key) + ", " + hex(value) + ", 0)");
  }
  void column(int id, const std::string& name, const std::string& dtype, std::size_t size,
              std::size_t length, std::size_t most, const std::vector<std::string>& chunks) const {
    run("INSERT INTO col_meta VALUES(" + std::to_string(id) + ", '" + name + "', '" + dtype +
        "', " + std::to_string(size) + ", " + std::to_string(length) + ", 131072, 131072, " +
        std::to_string(most) + ")");
    for (std::size_t i = 0; i < chunks.size(); ++i) {
      run("INSERT INTO col_chunks VALUES(" + std::to_string(id) + ", " + std::to_string(i) + ", " +
          hex(chunks[i]) + ", 0, 0, 0)");
    }
  }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

}  // namespace

TEST_CASE("dictionaries and columns of KohakuVault are taken over", "[kohakuvault]") {
  const TempDir dir;
  const Vault vault(dir.file("vault.db"));
  vault.entry("raw", "as it is");
  vault.entry("text", packed(6, "text"));
  vault.entry("json", packed(3, "{\"a\":1}"));
  vault.entry("eight", packed(2, std::string("\x00\x10\xa5\xd4\xe8\x00\x00\x00", 8)));
  vault.entry("pickle", packed(1, "\x80\x04K\x05."));
  vault.entry("looks like one", std::string("\x89\x4b") + "but is none");
  vault.entry("flags", std::string("\x89\x4b\x01\x06\x01\x00\x00\x00\x56\x4bzz", 12));
  for (int i = 0; i < 50; ++i) vault.entry("many " + std::to_string(i), std::to_string(i));

  std::vector<std::int64_t> numbers;
  for (std::int64_t i = 0; i < 1000; ++i) numbers.push_back(i * i - 500);
  // Chunks of 4096 bytes, the last with zeros behind what is used.
  std::vector<std::string> chunks;
  for (std::size_t at = 0; at < numbers.size(); at += 512) {
    chunks.push_back(bytes_of_all(std::vector<std::int64_t>(
        numbers.begin() + static_cast<std::ptrdiff_t>(at),
        numbers.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(1000, at + 512)))));
    chunks.back().resize(4096);
  }
  vault.column(1, "numbers", "i64", 8, numbers.size(), 4096, chunks);
  vault.column(2, "doubles", "f64", 8, 2, 4096,
               {bytes_of_all(std::vector<double>{0.5, -2}) + std::string(100, '\0')});
  vault.column(3, "codes", "bytes:3", 3, 2, 4096, {"abcdef"});
  vault.column(4, "names", "str:8", 8, 2, 4096,
               {std::string("ab\0\0\0\0\0\0cdefghij", 16).substr(0, 16)});
  vault.column(5, "latin", "str:4:latin1", 4, 1, 4096,
               {"\xe4"
                "bc" +
                std::string(1, '\0')});
  vault.column(6, "wide", "str:8:utf16le", 8, 1, 4096,
               {std::string("\x3d\xd8\x00\xde\x41\x00\x00\x00", 8)});
  vault.column(7, "vectors", "vec:f32:2:2", 17, 2, 4096,
               {"\x01" + bytes_of_all(std::vector<float>{1, 2, 3, 4}) + "\x01" +
                bytes_of_all(std::vector<float>{5, 6, 7, 8})});
  const std::string texts = "onetwothree";
  vault.column(8, "words_data", "str", 0, 0, 4096, {texts, "four"});
  vault.column(9, "words_idx", "bytes:12", 12, 4, 4092,
               {bytes_of_all(std::vector<std::int32_t>{0, 0, 3, 0, 3, 6, 0, 6, 11, 1, 0, 4})});
  vault.column(10, "empty", "i64", 8, 0, 4096, {std::string(64, '\0')});
  vault.run("CREATE TABLE other(a, b)");

  Store store = must(open_store(dir.file("new.db")));
  const KohakuVaultReport report = must(import_kohakuvault(vault.path(), store));
  REQUIRE(report.entries == 57);
  REQUIRE(report.columns == 9);
  REQUIRE(report.elements == 1014);
  REQUIRE(report.encodings == std::array<std::uint64_t, 7>{53, 1, 1, 1, 0, 0, 1});
  REQUIRE(report.skipped == std::vector<std::string>{"other"});

  const ColumnFamily kv = must(store.open_column_family("kv"));
  REQUIRE(must(kv.get("raw")) == BytesView("as it is"));
  REQUIRE(must(kv.get("text")) == BytesView("text"));
  REQUIRE(must(kv.get("json")) == BytesView("{\"a\":1}"));
  REQUIRE(must(kv.get("eight")) == BytesView(std::string("\x00\x10\xa5\xd4\xe8\x00\x00\x00", 8)));
  REQUIRE(must(kv.get("looks like one")).size() == 13);
  REQUIRE(must(kv.get("flags")).size() == 12);
  REQUIRE(must(kv.count()) == 57);
  REQUIRE(must(must(Column<std::int64_t>::open_existing(store, "numbers")).slice(0)) == numbers);
  REQUIRE(must(must(Column<double>::open_existing(store, "doubles")).slice(0)) ==
          std::vector<double>{0.5, -2});
  REQUIRE(must(must(Column<Fixed<3>>::open_existing(store, "codes")).at(1)).view() ==
          BytesView("def"));
  REQUIRE(must(must(Column<std::string>::open_existing(store, "names")).slice(0)) ==
          std::vector<std::string>{"ab", "cdefghij"});
  REQUIRE(must(must(Column<std::string>::open_existing(store, "latin")).at(0)) ==
          "\xc3\xa4"
          "bc");
  REQUIRE(must(must(Column<std::string>::open_existing(store, "wide")).at(0)) ==
          "\xf0\x9f\x98\x80"
          "A");
  REQUIRE(must(must(Column<std::array<float, 4>>::open_existing(store, "vectors")).at(1)) ==
          std::array<float, 4>{5, 6, 7, 8});
  REQUIRE(must(must(Column<std::string>::open_existing(store, "words")).slice(0)) ==
          std::vector<std::string>{"one", "two", "three", "four"});
  REQUIRE(must(must(Column<std::int64_t>::open_existing(store, "empty")).size()) == 0);
  REQUIRE_OK(store.verify());
  // A second time the names are taken.
  REQUIRE_ERRC(import_kohakuvault(vault.path(), store), Errc::exists);
  REQUIRE(must(Columns(store).list()).size() == 9);
}

TEST_CASE("a damaged file of KohakuVault leaves the store as it was", "[kohakuvault]") {
  const TempDir dir;
  int number = 0;
  const auto refused = [&](Errc code, std::string_view what, auto&& make) {
    const Vault vault(dir.file("vault" + std::to_string(++number) + ".db"));
    vault.entry("a", "b");
    make(vault);
    Store store = must(open_store(dir.file("new" + std::to_string(number) + ".db")));
    const auto imported = import_kohakuvault(vault.path(), store);
    REQUIRE_ERRC(imported, code);
    CAPTURE(imported.error().message());
    REQUIRE(imported.error().message().find(what) != std::string::npos);
    REQUIRE(must(Columns(store).list()).empty());
    REQUIRE(must(store.list_column_families()).size() == 1);
    REQUIRE_OK(store.verify());
  };
  const std::string eight(64, '\1');
  refused(Errc::corrupt, "'c'",
          [&](const Vault& v) { v.column(1, "c", "i64", 8, 9, 4096, {eight}); });
  refused(Errc::corrupt, "'c'", [&](const Vault& v) { v.column(1, "c", "i64", 8, 9, 4096, {}); });
  refused(Errc::corrupt, "element 8",
          [&](const Vault& v) { v.column(1, "c", "i64", 8, 9, 64, {eight}); });
  refused(Errc::corrupt, "'float'",
          [&](const Vault& v) { v.column(1, "c", "float", 8, 1, 64, {eight}); });
  refused(Errc::corrupt, "4 bytes",
          [&](const Vault& v) { v.column(1, "c", "i64", 4, 1, 64, {eight}); });
  refused(Errc::corrupt, "no index",
          [&](const Vault& v) { v.column(1, "c", "str", 0, 1, 64, {eight}); });
  refused(Errc::corrupt, "another type",
          [&](const Vault& v) { v.column(1, "c", "vec:f64:2", 17, 1, 64, {eight}); });
  refused(Errc::corrupt, "no text", [&](const Vault& v) {
    v.column(1, "c", "str:4:utf16le", 4, 1, 64, {std::string("\x00\xdc\x41\x00", 4)});
  });
  refused(Errc::corrupt, "outside of its chunk", [&](const Vault& v) {
    v.column(1, "c_data", "str", 0, 0, 64, {"abc"});
    v.column(2, "c_idx", "bytes:12", 12, 1, 60, {bytes_of_all(std::vector<std::int32_t>{0, 1, 4})});
  });
  refused(Errc::corrupt, "is missing", [&](const Vault& v) {
    v.column(1, "c_data", "str", 0, 0, 64, {"abc"});
    v.column(2, "c_idx", "bytes:12", 12, 1, 60, {bytes_of_all(std::vector<std::int32_t>{7, 0, 1})});
  });
  refused(Errc::corrupt, "negative", [&](const Vault& v) {
    v.column(1, "c", "i64", 8, 1, 64, {eight});
    v.run("UPDATE col_meta SET length = -1");
  });
  Store store = must(Store::open_in_memory());
  REQUIRE_ERRC(import_kohakuvault(dir.file("missing.db"), store), Errc::cant_open);
  sqlite_cli(dir.file("plain.db"), "CREATE TABLE t(a)");
  REQUIRE_ERRC(import_kohakuvault(dir.file("plain.db"), store), Errc::invalid_argument);
}
