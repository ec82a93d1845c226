// The system's SQLite and the one inside snkv in one process: two versions, neither disturbed.

#include <snkv/snkv.hpp>
#include <sqlite3.h>

#include <cstdio>
#include <string_view>

namespace {

int count_row(void* count, int, char**, char**) {
  ++*static_cast<int*>(count);
  return 0;
}

}  // namespace

int main() {
  auto store = snkv::Store::open("client.db");
  if (!store) {
    std::fprintf(stderr, "open: %s\n", store.error().message().c_str());
    return 1;
  }
  if (auto put = store->put("user:1", "alice"); !put) {
    std::fprintf(stderr, "put: %s\n", put.error().message().c_str());
    return 1;
  }

  // The header is the system's; the function must be too.
  if (std::string_view(sqlite3_libversion()) != SQLITE_VERSION) {
    std::fprintf(stderr, "sqlite3_libversion: %s, but the header is %s\n", sqlite3_libversion(),
                 SQLITE_VERSION);
    return 1;
  }

  sqlite3* database = nullptr;
  int rows = 0;
  if (sqlite3_open(":memory:", &database) != SQLITE_OK ||
      sqlite3_exec(database, "create table t(x); insert into t values (1), (2); select x from t",
                   count_row, &rows, nullptr) != SQLITE_OK ||
      rows != 2) {
    std::fprintf(stderr, "system SQLite: %s\n", sqlite3_errmsg(database));
    return 1;
  }

  auto value = store->get("user:1");
  if (!value || value->view() != "alice") {
    std::fprintf(stderr, "get: not what was put\n");
    return 1;
  }
  sqlite3_close(database);
  std::printf("system SQLite %s beside snkv %s\n", sqlite3_libversion(), SNKV_VERSION_STRING);
  return 0;
}
