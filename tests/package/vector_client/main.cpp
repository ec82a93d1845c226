// Collections of vectors as a client uses them.

#include <snkv/snkv.hpp>
#include <snkv/vector.hpp>

#include <cstdio>
#include <string>
#include <vector>

namespace {

int failed(const char* what) {
  std::fprintf(stderr, "%s\n", what);
  return 1;
}

}  // namespace

int main() {
  auto docs = snkv::VectorStore<4, snkv::L2>::open_in_memory({.name = "docs"});
  if (!docs) return failed(docs.error().message().c_str());
  for (int i = 0; i < 50; ++i) {
    const std::vector<float> vector{static_cast<float>(i), 1, 2, 3};
    const std::string key = "doc:" + std::to_string(i);
    if (auto put = docs->put(key, vector, {.value = "text", .metadata = {{"year", 2000 + i}}}); !put) {
      return failed(put.error().message().c_str());
    }
  }
  const std::vector<float> query{10, 1, 2, 3};
  const auto hits = docs->search(query, 3, {.filter = snkv::field("year") >= 2020});
  if (!hits || hits->size() != 3 || hits->front().key != "doc:20") return failed("search");
  if (hits->front().metadata["year"] != 2020 || hits->front().value->view() != "text") return failed("hit");

  // What was refused tells why, whatever the standard of the client.
  const auto refused = docs->put("x", std::vector<float>{1});
  if (refused || refused.error() != snkv::Errc::dimension_mismatch) return failed("a vector of another size");

  auto store = docs->store();
  auto transaction = store.begin();
  if (!transaction) return failed("begin");
  auto bound = docs->in(*transaction);
  if (!bound || !bound->erase("doc:20") || !transaction->commit()) return failed("a transaction");
  const auto keys = docs->search_keys(query, 1, {.predicate = [](std::string_view, const snkv::Json& metadata) {
                                        return metadata["year"] >= 2020;
                                      }});
  return keys && keys->size() == 1 && keys->front().key == "doc:21" ? 0 : failed("search_keys");
}
