// The smallest useful program: write, read and scan. Run in an empty directory.

#include <snkv/snkv.hpp>

#include <cstdio>

#if __cplusplus >= 202100L
#error "this client is there to test C++20"
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

  auto value = store->get("user:1");
  if (!value || value->view() != "alice") {
    std::fprintf(stderr, "get: not what was put\n");
    return 1;
  }

  int found = 0;
  for (auto [key, entry] : store->prefix("user:")) {
    if (key.view() == "user:1" && entry.view() == "alice") ++found;
  }
  if (found != 1) {
    std::fprintf(stderr, "prefix: %d entries in place of 1\n", found);
    return 1;
  }

  std::printf("snkv %s\n", SNKV_VERSION_STRING);
  return 0;
}
