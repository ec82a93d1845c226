// The bytes of a batch, which may come from outside: all of it is written, or nothing and an error.
#include "fuzz/fuzz.hpp"

#include <snkv/snkv.hpp>

namespace snkv::fuzz {

std::vector<std::string> seeds() {
  WriteBatch batch;
  batch.put("a", "1").put("b", std::string(300, 'x'), {.ttl = std::chrono::hours(1)}).erase("a").erase_range("c", "d");
  batch.in_family("users").put("k", "v").clear_family();
  WriteBatch none;
  return {batch.data().str(), none.data().str()};
}

void run(std::string_view input) {
  Store store = must(Store::open_in_memory());
  must(store.create_column_family("users"));
  must(store.put("before", "1"));
  const WriteBatch batch{BytesView(input)};
  const auto written = store.write(batch);
  judge("write", written);
  if (!written) {
    if (must(store.count()) != 1 || must(store.get("before")).str() != "1") fail("a refused batch has changed something");
  }
  const auto report = store.verify();
  judge("verify", report);
}

}  // namespace snkv::fuzz
