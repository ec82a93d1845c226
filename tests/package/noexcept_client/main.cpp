// A client compiled with -fno-exceptions -fno-rtti: errors are values all the way.

#include <snkv/snkv.hpp>

#include <cstdio>

#if defined(__cpp_exceptions) || defined(__cpp_rtti)
#error "this client is there to test -fno-exceptions -fno-rtti"
#endif

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
  if (store->get("user:2")) {
    std::fprintf(stderr, "get: a value for a key that was never put\n");
    return 1;
  }

  auto nowhere = snkv::Store::open("no/such/directory/client.db");
  if (nowhere) {
    std::fprintf(stderr, "open: a store in a directory that does not exist\n");
    return 1;
  }

  int found = 0;
  for (auto [key, entry] : store->prefix("user:")) {
    if (key.view() == "user:1" && entry.view() == "alice") ++found;
  }
  return found == 1 ? 0 : 1;
}
