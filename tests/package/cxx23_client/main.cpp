// A C++23 client of the core that was compiled as C++20.

#include <snkv/snkv.hpp>
#include <snkv/vector.hpp>
#include <snkv/vector/index.hpp>

#include <cstdio>
#include <expected>
#include <type_traits>

static_assert(__cplusplus > 202002L, "this client is there to test C++23");
static_assert(std::is_same_v<snkv::Result<int>::unexpected_type,
                             std::unexpected<snkv::Result<int>::error_type>>,
              "Result is std::expected under C++23");

namespace {

snkv::Result<void> fill(snkv::Store& store) {
  if (auto put = store.put("user:1", "alice"); !put) return put;
  return store.put("user:2", "bob");
}

}  // namespace

int main() {
  auto store = snkv::Store::open("client.db");
  if (!store) {
    std::fprintf(stderr, "open: %s\n", store.error().message().c_str());
    return 1;
  }
  if (auto filled = fill(*store); !filled) {
    std::fprintf(stderr, "put: %s\n", filled.error().message().c_str());
    return 1;
  }

  auto value = store->get("user:2");
  if (!value || value->view() != "bob") {
    std::fprintf(stderr, "get: not what was put\n");
    return 1;
  }

  int found = 0;
  for (auto [key, entry] : store->prefix("user:")) {
    if (key.view().starts_with("user:") && !entry.view().empty()) ++found;
  }
  if (found != 2) {
    std::fprintf(stderr, "prefix: %d entries in place of 2\n", found);
    return 1;
  }

  auto index = snkv::VectorIndex<2, snkv::L2>::create();
  const float here[] = {1, 2};
  if (!index || !index->put(7, here)) return 1;
  const auto near = index->search(here, 1);
  if (!near || near->size() != 1 || near->front().label != 7) {
    std::fprintf(stderr, "search: not what was put\n");
    return 1;
  }
  return (snkv::field("year") >= 2020).matches(snkv::Json{{"year", 2024}}) ? 0 : 1;
}
