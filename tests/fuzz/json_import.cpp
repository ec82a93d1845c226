// The text of an import, as one array and as lines: all of it or nothing.
#include "fuzz/fuzz.hpp"

#include <snkv/vector/store.hpp>

#include <sstream>

namespace snkv::fuzz {

std::vector<std::string> seeds() {
  return {R"([{"id":"a","vector":[1,2],"metadata":{"n":1}},{"id":"b","vector":[0.5,-3e-30],"value":"text"}])",
          R"({"dim":2,"metric":"cosine","vectors":[{"id":"a","vector":[1,2]}]})",
          "{\"id\":\"a\",\"vector\":[1,2]}\n{\"id\":\"b\",\"vector\":[2,1],\"metadata\":{\"t\":[1,\"x\",null]}}\n"};
}

void run(std::string_view input) {
  for (const bool lines : {false, true}) {
    Store store = must(Store::open_in_memory());
    auto collection = must(VectorStore<>::open(store, {.name = "c", .dim = 2, .metric = Metric::l2, .threads = 1}));
    must(collection.put("before", std::vector<float>{1, 1}));
    std::istringstream in{std::string(input)};
    const auto count = lines ? collection.import_jsonl(in) : collection.import_json(in);
    judge("import", count);
    const std::uint64_t size = must(collection.size());
    if (!count && size != 1) fail("a refused import has left something");
    if (count && size > *count + 1) fail("more entries than were imported");
    judge("search", collection.search(std::vector<float>{1, 0}, 10));
    std::ostringstream out;
    must(collection.export_json(out));
  }
}

}  // namespace snkv::fuzz
