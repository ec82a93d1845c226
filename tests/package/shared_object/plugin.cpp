#include <snkv/snkv.hpp>

#include <cstdio>

extern "C" int run() {
  auto store = snkv::Store::open("plugin.db");
  if (!store || !store->put("key", "value")) return 1;
  auto value = store->get("key");
  return value && value->view() == "value" && std::remove("plugin.db") == 0 ? 0 : 1;
}
