// B: which engine is compiled in, and how. That none of its symbols leaves the library (B2) is
// checked by tests/package/check_symbols.sh.
#include "fixture.hpp"

#include <sstream>

using namespace snkv;
using namespace snkv::contract;

namespace {

bool option_used(Connection& connection, const std::string& option) {
  return number(connection, "SELECT sqlite_compileoption_used('" + option + "')") == 1;
}

std::uint32_t big_endian(const std::string& bytes, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = at; i < at + 4; ++i) {
    value = value << 8 | static_cast<unsigned char>(bytes[i]);
  }
  return value;
}

}  // namespace

TEST_CASE("the engine is a version without the WAL reset fault", "[B1]") {
  const File file;
  Connection connection = file.open();
  const std::string version = text(connection, "SELECT sqlite_version()");
  CAPTURE(version);
  int major = 0;
  int minor = 0;
  int patch = 0;
  char dot = 0;
  std::istringstream(version) >> major >> dot >> minor >> dot >> patch;
  CHECK(major * 1'000'000 + minor * 1'000 + patch >= 3'051'003);
#if !SNKV_TEST_SQLITE_ANY_VERSION
  CHECK(version == "3.54.1");
#endif
}

TEST_CASE("the engine has no shared cache and is serialised", "[B3]") {
  const File file;
  Connection connection = file.open();
  CHECK(option_used(connection, "OMIT_SHARED_CACHE"));
  CHECK(option_used(connection, "THREADSAFE=1"));
  // What a store's file says must not make the engine load code.
  CHECK(option_used(connection, "OMIT_LOAD_EXTENSION"));
  // The preset that has the engine's asserts must really have them.
  CHECK(option_used(connection, "DEBUG") == (SNKV_TEST_SQLITE_DEBUG != 0));
}

TEST_CASE("the internals that the adapter reads are where it believes them", "[B4]") {
  const File file(Log::journal);
  Connection connection = file.open();
  put_committed(connection, file.t, {{"a", "1"}, {"b", std::string(50'000, 'x')}});
  run(connection, "CREATE TABLE extra(x)");
  {
    Writing writing(connection);
    must_rc(snkv_bt_clear(connection.get(), file.t));
    must_rc(writing.transaction.commit());
  }
  std::uint32_t cookie = 0;
  std::uint32_t pages = 0;
  std::uint32_t free_pages = 0;
  {
    Reading reading(connection);
    cookie = reading.transaction.cookie();
    CHECK(snkv_bt_cookie(connection.get()) == cookie);
    snkv_bt_pages(connection.get(), &pages, &free_pages);
  }
  const std::uint32_t page_size = snkv_bt_page_size(connection.get());
  connection.close();
  // The offsets are those of the file format: sqlite.org/fileformat2.html, section 1.3.
  const std::string header = read_file(file.path()).substr(0, 100);
  CHECK(cookie == big_endian(header, 40));
  CHECK(pages == big_endian(header, 28));
  CHECK(free_pages == big_endian(header, 36));
  CHECK(free_pages > 0);
  CHECK(page_size == 4096);
  CHECK(big_endian(header, 16) >> 16 == page_size);
}

TEST_CASE("the adapter's own codes differ from the engine's", "[B4]") {
  CHECK(std::string(snkv_bt_errstr(moved)) == "cursor lost its position");
  CHECK(std::string(snkv_bt_errstr(poisoned)) == "an earlier write failed: roll back");
  CHECK(std::string(snkv_bt_errstr(busy)) == "database is locked");
  CHECK(std::string(snkv_bt_errstr(corrupt)) == "database disk image is malformed");
  CHECK(std::string(snkv_bt_errstr(SNKV_BT_FULL)) == "database or disk is full");
  CHECK(std::string(snkv_bt_errstr(SNKV_BT_NOTADB)) == "file is not a database");
  CHECK(std::string(snkv_bt_errstr(SNKV_BT_TOOBIG)) == "string or blob too big");
}
