#include <snkv/snkv.hpp>

#include <iostream>

int main() {
  auto store = snkv::Store::open("hello.db");  // Result<Store>; creates the file
  if (!store) {
    std::cerr << store.error().message() << '\n';
    return 1;
  }
  const bool stored = store->put("user:1", "alice") && store->put("user:2", "bob");

  auto name = store->get("user:2");  // Result<Bytes>; Errc::not_found if absent
  if (name) std::cout << "user 2 is " << *name << '\n';

  auto users = store->prefix("user:");  // in key order; also all() and range(low, high)
  for (auto [key, value] : users) std::cout << key << " = " << value << '\n';

  return stored && name && *name == "bob" && users.status() ? 0 : 1;
}
