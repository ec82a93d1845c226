// Defects of the encryption of the original SNKV library, each told first, then shown not to be here.
#include "support/check.hpp"
#include "support/files.hpp"
#include "support/patterned.hpp"
#include "support/sqlite_cli.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <string>

using namespace snkv;
using namespace snkv::test;

namespace {

constexpr EncryptionOptions cheap{.opslimit = 2, .memlimit = 19u << 20};

Secret secret() { return Secret::password("hunter2"); }

std::string blob(const std::string& text) { return "CAST('" + text + "' AS BLOB)"; }

}  // namespace

// (e) What was encrypted was bound to nothing: moved under another key, the value of that one was read as
// the value of this one, so whoever can write the file makes one user's rights those of another.
TEST_CASE("(e) a value that was moved under another key is not its value") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  {
    Store store = must(Store::open_encrypted(path, secret(), {}, cheap));
    REQUIRE_OK(store.put("role:admin", "may do everything"));
    REQUIRE_OK(store.put("role:guest", "may look around 1"));
    ColumnFamily other = must(store.column_family("other"));
    REQUIRE_OK(other.put("role:guest", "of another family"));
  }
  const std::string from = GENERATE_COPY("SELECT value FROM \"default\" WHERE key=" + blob("role:admin"),
                                         "SELECT value FROM other WHERE key=" + blob("role:guest"));
  CAPTURE(from);
  sqlite_cli(path, "UPDATE \"default\" SET value=(" + from + ") WHERE key=" + blob("role:guest"));
  const Store store = must(Store::open_encrypted(path, secret()));
  const auto value = store.get("role:guest");
  REQUIRE_ERROR(value, Errc::tampered, "get");
  CHECK(value.error().message().find("role:guest") != std::string::npos);
  CHECK(must(store.get("role:admin")) == BytesView("may do everything"));
  REQUIRE_ERRC(store.verify(), Errc::tampered);
}

// (i) A store was encrypted where it lay: its unused pages kept the values as they were, 162 of them when it
// was counted.
TEST_CASE("(i) nothing can be read in the file of a store that was encrypted later") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  const std::string canary = "CANARY-of-the-plain-store";
  {
    Store store = must(Store::open(path));
    for (int i = 0; i < 500; ++i) REQUIRE_OK(store.put("key" + std::to_string(i), canary + patterned(200)));
    REQUIRE_OK(store.put("large", canary + patterned(50'000)));
    REQUIRE_OK(store.erase_prefix("key3"));
  }
  REQUIRE(read_file(path).find(canary) != std::string::npos);
  REQUIRE_OK(Store::encrypt_existing(path, secret(), {}, cheap));
  for (const std::string& name : files_in(dir.path())) {
    CAPTURE(name);
    CHECK(read_file(dir.file(name)).find(canary) == std::string::npos);
  }
  const Store store = must(Store::open_encrypted(path, secret()));
  CHECK(must(store.get("key1")) == BytesView(canary + patterned(200)));
}

// (i) What a file said about the cost of its password was believed: 1 kilobyte of memory made it crash, and
// terabytes were asked for.
TEST_CASE("(i) no costs of a password that a file can name do any harm") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  { REQUIRE_OK(Store::open_encrypted(path, secret(), {}, cheap)); }
  const std::string header = sqlite_cli(path, "SELECT hex(value) FROM snkv_meta WHERE key='keys'");
  for (const std::size_t at : {16, 24}) {  // passes, bytes of memory
    for (const char* const number : {"0000000000000000", "0000000000000001", "0000000000000400",
                                     "7FFFFFFFFFFFFFFF", "FFFFFFFFFFFFFFFF"}) {
      CAPTURE(at, number);
      std::string hostile = header;
      hostile.replace(2 * at, 16, number);
      sqlite_cli(path, "UPDATE snkv_meta SET value=x'" + hostile + "' WHERE key='keys'");
      const auto store = Store::open_encrypted(path, secret());
      REQUIRE_FALSE(store);
      // Refused before anything is computed.
      CHECK((store.error() == Errc::corrupt || store.error() == Errc::too_large));
    }
  }
}
