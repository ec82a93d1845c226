// A database of SNKV's C library, read and taken over.
#include "compat/original_writer.hpp"
#include "fuzz/fuzz.hpp"

#include <snkv/import.hpp>

namespace snkv::fuzz {

std::vector<std::string> seeds() {
  return {test::original_database({{"default", {{"k1", "v1"}, {"k2", std::string(300, 'x')}}}, {"users", {{"u", "1"}}}}),
          test::original_first_page()};
}

void run(std::string_view input) {
  const std::string from = folder().file("from.db");
  const std::string to = folder().file("to.db");
  remove_store(from);
  remove_store(to);
  test::write_file(from, input);
  const auto report = import_original(from, to);
  judge("import_original", report);
  if (report) {
    auto store = must(Store::open(to));
    judge("verify", store.verify());
    must(store.close());
  }
  remove_store(from);
  remove_store(to);
}

}  // namespace snkv::fuzz
