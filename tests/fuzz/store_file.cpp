// The file of a store, all of it.
#include "fuzz/stores.hpp"

namespace snkv::fuzz {

std::vector<std::string> seeds() {
  std::vector<std::string> all;
  const std::string path = folder().file("seed.db");
  for (const bool encrypted : {false, true}) {
    remove_store(path);
    Store store = must(test::poke_open(path, encrypted, small_options()));
    if (!encrypted) fill(store);
    must(store.put("key1", "value"));
    must(store.close());
    all.push_back(test::read_file(path));
  }
  return all;
}

void run(std::string_view input) {
  const std::string path = folder().file("case.db");
  remove_store(path);
  std::filesystem::remove(path + ".compact");
  test::write_file(path, input);
  poke_files(path, false);
  remove_store(path);
}

}  // namespace snkv::fuzz
