// Rows of a collection that are damaged: clear errors, no crash, and the rest of the file stays
// usable.
#include "support/sqlite_cli.hpp"
#include "vector/collections.hpp"

#include <filesystem>
#include <functional>
#include <set>
#include <sstream>
#include <string>
#include <vector>

using namespace snkv;
using namespace snkv::test;

namespace {

constexpr std::size_t entries = 300;  // enough for i8 to be trained

VectorStoreOptions options_of(ElementType type) {
  return {.name = "c", .dtype = type, .keep_vectors = false, .auto_save = false};
}

std::string key_of(std::size_t i) { return "k" + std::to_string(i); }

/// The codes of the errors that calls of every kind give.
class Calls {
 public:
  template <class R>
  void note(const char* call, const R& result) {
    if (result) return;
    codes_.insert(result.error().code());
    log_ += std::string(call) + ": " + result.error().message() + "\n";
  }

  void make(const std::string& path, ElementType type) {
    auto opened = VectorStore<2, L2>::open(path, options_of(type));
    note("open", opened);
    if (!opened) return;
    note("search", opened->search(at(3, 1), entries, {.vectors = true}));
    note("exact", opened->search(at(3, 1), 5, {.exact = true}));
    note("filter", opened->search(at(3, 1), 5, {.filter = field("n") < 7}));
    note("count", opened->count(field("n") < 7));
    note("ids", opened->ids());
    note("items", opened->items({.vectors = true}));
    for (std::size_t i = 0; i < 6; ++i) note("get_item", opened->get_item(key_of(i)));
    std::ostringstream text;
    note("export_json", opened->export_json(text));
    note("stats", opened->stats());
    note("put", opened->put("new", at(500, 500), {.metadata = {{"n", 500}}}));
    note("update", opened->update(key_of(3), {.metadata = {{"n", 3}}}));
    note("erase", opened->erase(key_of(3)));
    note("purge_expired", opened->purge_expired());
    note("compact", opened->compact());
    note("save", opened->save());
    note("search", opened->search(at(3, 1), 5));
    // What else is in the file is none of the damage's business.
    REQUIRE(must(opened->store().get("plain")).str() == "row");
    REQUIRE(must(must(opened->values()).count()) >= entries - 1);
  }

  [[nodiscard]] const std::set<Errc>& codes() const noexcept { return codes_; }
  [[nodiscard]] const std::string& log() const noexcept { return log_; }

 private:
  std::set<Errc> codes_;
  std::string log_;
};

void make_store(const std::string& path, ElementType type) {
  auto collection = must(VectorStore<2, L2>::open(path, options_of(type)));
  must(collection.store().put("plain", "row"));
  std::vector<std::string> keys;
  std::vector<std::vector<float>> vectors;
  for (std::size_t i = 0; i < entries; ++i) {
    keys.push_back(key_of(i));
    vectors.push_back(at(static_cast<float>(i), 1));
  }
  std::vector<VectorItem> items;
  for (std::size_t i = 0; i < entries; ++i) {
    items.push_back({.key = keys[i], .vector = vectors[i], .value = "v", .metadata = {{"n", i}}});
  }
  must(collection.put_batch(items));
}

}  // namespace

TEST_CASE("damaged rows of a collection are errors, and nothing else suffers") {
  const auto type = GENERATE(ElementType::f32, ElementType::i8);
  const TempDir dir;
  make_store(dir.file("good.db"), type);
  {
    std::filesystem::copy_file(dir.file("good.db"), dir.file("same.db"));
    Calls calls;
    calls.make(dir.file("same.db"), type);
    INFO(calls.log());
    REQUIRE(calls.codes().empty());
  }
  const std::string vectors = "UPDATE snkv_vector_1_vectors SET value = ";
  const std::string third = " WHERE key = x'00000003'";
  const std::string items = "UPDATE snkv_vector_1_items SET value = CAST(";
  const std::string k3 = " AS BLOB) WHERE key = CAST('k3' AS BLOB)";
  const std::string state = "UPDATE snkv_vector_1_meta SET value = CAST(";
  const std::string of_state = " AS BLOB) WHERE key = CAST('state' AS BLOB)";
  const std::string record = "UPDATE snkv_vectors SET value = CAST(";
  const std::string of_record = " AS BLOB) WHERE key = CAST('c' AS BLOB)";
  // Damaged rows of entries cost no more than these: tests/regress/damaged_vectors_test.cpp.
  const std::string entries_of[] = {
      vectors + "x'00'" + third,                      // too short
      vectors + "x'0000c07f0000c07f'" + third,        // no numbers
      items + "x'00'" + k3,                           // too short
      items + "x'04000000' || substr(value, 5)" + k3, // the number of another one
      items + "substr(value, 1, 20) || '{'" + k3,     // no JSON
  };
  const std::string damages[] = {
      "DELETE FROM snkv_vector_1_meta WHERE key = CAST('state' AS BLOB)",
      state + "substr(value, 1, 60)" + of_state,
      state + "x'09' || substr(value, 2)" + of_state,
      state + "substr(value, 1, 41) || x'00000000' || substr(value, 46)" + of_state,  // no numbers
      record + "substr(value, 1, 23)" + of_record,
      record + "substr(value, 1, 8) || x'00000000' || substr(value, 13)" +
          of_record,                                                            // no dimensions
      record + "substr(value, 1, 2) || x'07' || substr(value, 4)" + of_record,  // no metric
      record + "substr(value, 1, 12) || x'ffffffff' || substr(value, 17)" + of_record,  // m
  };
  const auto codes_of = [&](const std::string& damage) {
    const std::string path = dir.file("bad.db");
    std::filesystem::remove(path);
    std::filesystem::copy_file(dir.file("good.db"), path);
    sqlite_cli(path, damage);
    Calls calls;
    calls.make(path, type);
    UNSCOPED_INFO(calls.log());
    return calls.codes();
  };
  for (const std::string& damage : entries_of) {
    INFO(damage);
    const std::set<Errc> codes = codes_of(damage);
    CHECK((codes.empty() || codes == std::set<Errc>{Errc::corrupt}));
  }
  for (const std::string& damage : damages) {
    INFO(damage);
    CHECK(codes_of(damage) == std::set<Errc>{Errc::corrupt});
  }
}
