// Imports leave out what is refused here and was accepted where it comes from, where that is wanted.
#include "compat/original_writer.hpp"
#include "support/files.hpp"
#include "vector/collections.hpp"

#include <snkv/vector/import.hpp>

#include <algorithm>
#include <cstring>
#include <limits>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

using namespace snkv;
using namespace snkv::test;

namespace {

const std::vector<std::string> good = {R"({"id":"a","vector":[1,1],"value":"A"})",
                                       R"({"id":"b","vector":[2,2],"metadata":{"n":1}})"};

/// Entries that are refused; in a document and as a line.
const std::vector<std::string> bad = {
    R"({"id":"","vector":[1,2],"value":"no key"})",
    R"({"vector":[1,2]})",
    R"({"id":7,"vector":[1,2]})",
    R"({"id":"m1","vector":[1,2],"metadata":5,"value":"kept"})",
    R"({"id":"m2","vector":[1,2],"metadata":[{"a":1}],"value":"kept"})",
    R"({"id":"zero","vector":[0,0],"value":"kept"})",
    R"({"id":"null","vector":[null,1],"value":"kept"})",
    R"({"id":"huge","vector":[1,1e39],"value":"kept"})",
    R"({"id":"short","vector":[1],"value":"kept"})",
    R"({"id":"long","vector":[1,2,3,[4],{"x":[5]}],"value":"kept"})",
    R"({"id":"text","vector":"abc","value":"kept"})",
    R"({"id":"object","vector":{"x":[1]},"value":"kept"})",
    R"({"id":"none","value":"kept"})",
    R"({"id":"late","vector":[1,2],"expires_at":"soon","value":"gone"})",
    R"({"id":"a","vector":[1,2]})",
    R"([1,{"id":"x","vector":[1,2]}])",
    R"(17)",
};

std::string text_of(bool lines, const std::vector<std::string>& entries) {
  std::string out = R"({"version":1,"dim":2,"metric":"cosine")";
  out += lines ? "}\n" : ",\"vectors\":[";
  for (std::size_t i = 0; i < entries.size(); ++i) {
    out += (lines || i == 0 ? "" : ",") + entries[i] + (lines ? "\n" : "");
  }
  return lines ? out : out + "]}";
}

Result<std::uint64_t> import_text(VectorOperations& into, bool lines, const std::string& text,
                                  const VectorImport& options) {
  std::istringstream in(text);
  return lines ? into.import_jsonl(in, options) : into.import_json(in, options);
}

using Directions = VectorStore<2, Cosine>;

}  // namespace

TEST_CASE("entries that are refused stop an import, or are left out and reported") {
  const bool lines = GENERATE(false, true);
  for (const std::string& one : bad) {
    INFO(one);
    const std::string text = text_of(lines, {good[0], one, good[1]});
    auto into = must(Directions::open_in_memory());
    CHECK_FALSE(import_text(into, lines, text, {}));
    CHECK(must(into.size()) == 0);

    SkippedEntries skipped;
    std::vector<std::string> told;
    CHECK(must(import_text(into, lines, text,
                           {.refused = Refused::skip,
                            .skipped = &skipped,
                            .on_skipped = [&](const SkippedEntry& entry) {
                              told.push_back(entry.place);
                            }})) == 2);
    CHECK(must(into.size()) == 2);
    REQUIRE(skipped.count == 1);
    REQUIRE(skipped.first.size() == 1);
    CHECK(skipped.first[0].place == (lines ? "line 3" : "vectors[1]"));
    CHECK_FALSE(skipped.first[0].reason.empty());
    CHECK_FALSE(skipped.first[0].kept_value);
    CHECK(told == std::vector<std::string>{skipped.first[0].place});
    CHECK(must(must(into.values()).count()) == 1);
  }
}

TEST_CASE("the value of an entry that is refused can be kept") {
  const bool lines = GENERATE(false, true);
  std::vector<std::string> all = good;
  all.insert(all.end(), bad.begin(), bad.end());
  auto into = must(Directions::open_in_memory());
  SkippedEntries skipped;
  CHECK(must(import_text(into, lines, text_of(lines, all),
                         {.refused = Refused::keep_value, .skipped = &skipped})) == 2);
  CHECK(skipped.count == bad.size());
  CHECK(skipped.kept_values == 10);
  CHECK(must(into.size()) == 2);
  CHECK(must(into.get("zero")).str() == "kept");
  CHECK(must(into.get("a")).str() == "A");
  CHECK_FALSE(into.get("late"));
  CHECK(must(must(into.values()).count()) == 11);
}

TEST_CASE("lines that are no JSON are entries that are refused") {
  auto into = must(Directions::open_in_memory());
  const std::string text = text_of(true, {good[0], R"({"id":"x","vector":[NaN,1]})",
                                          R"({"id":"y","vector":[1,2],"metadata":{"a":NaN}})",
                                          R"({"id":"z","vec)", "{\"id\":\"\xff\",\"vector\":[1,2]}",
                                          R"({"id":"big","vector":[1,1e999]})", good[1]});
  CHECK(says(import_text(into, true, text, {}), Errc::invalid_argument, "line 3: parse error"));
  SkippedEntries skipped;
  CHECK(must(import_text(into, true, text, {.refused = Refused::skip, .skipped = &skipped})) == 2);
  CHECK(skipped.count == 5);
  // In a document nobody knows where the next entry begins.
  CHECK_FALSE(import_text(into, false, text_of(false, {good[0], R"({"id":"x","vector":[NaN,1]})"}),
                          {.refused = Refused::skip}));
}

TEST_CASE("the list of what was left out is bounded, and its function may throw") {
  auto into = must(Directions::open_in_memory());
  const std::vector<std::string> all(1000, bad[5]);
  SkippedEntries skipped;
  CHECK(must(import_text(into, true, text_of(true, all),
                         {.refused = Refused::skip, .skipped = &skipped})) == 0);
  CHECK(skipped.count == 1000);
  CHECK(skipped.first.size() == SkippedEntries::most);
  CHECK(says(import_text(into, true, text_of(true, {good[0], bad[5]}),
                         {.refused = Refused::skip,
                          .on_skipped = [](const SkippedEntry&) { throw std::runtime_error("no"); }}),
             Errc::aborted, "no"));
  CHECK(must(into.size()) == 0);
}

TEST_CASE("a new collection takes its dimensions from the first entry that is one") {
  for (const bool lines : {false, true}) {
    auto store = must(Store::open_in_memory());
    VectorCollections collections(store);
    std::string text;
    for (const std::string& one : {bad[6], good[0]}) text += one + (lines ? "\n" : "");
    if (!lines) text = "{\"vectors\":[" + bad[6] + "," + good[0] + "]}";
    std::istringstream in(text);
    const VectorImport options{.refused = Refused::skip};
    auto made = must(lines ? collections.import_jsonl("c", in, {.metric = Metric::cosine}, options)
                           : collections.import_json("c", in, {.dim = 2}, options));
    CHECK(made.dim() == 2);
    CHECK(must(made.size()) == 1);
  }
}

namespace {

std::string floats(const std::vector<float>& vector) {
  std::string bytes(vector.size() * sizeof(float), '\0');
  std::memcpy(bytes.data(), vector.data(), bytes.size());
  return bytes;
}

}  // namespace

TEST_CASE("vectors of the original that are refused stop the import, or are left out") {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const OriginalFamilies families = {
      {"default", {{"a", "A"}, {"b", "B"}, {"c", "C"}, {"d", "D"}, {"e", "E"}, {"f", "F"}, {"g", "G"}}},
      {"__snkv_vec__",
       {{"a", "12345"},
        {"b", floats({1, 2})},
        {"c", floats({0, 0})},
        {"d", floats({nan, 1})},
        {"e", floats({3, 1})},
        {"f", floats({4, 1})},
        {"g", floats({5, 1})}}},
      {"__snkv_vec_tags__", {{"e", "[1]"}, {"f", "{"}, {"g", R"({"n":1})"}}},
      {"__snkv_vec_meta__", {{"ndim", "2"}, {"metric", "cosine"}}},
  };
  const TempDir dir;
  write_file(dir.file("old.db"), original_database(families));
  SkippedEntries skipped;
  std::uint64_t vectors = 0;
  const auto import = [&](const std::string& to, Refused refused) {
    return import_original(
        dir.file("old.db"), dir.file(to),
        {.also = [&](const OriginalStore& original, Store& store) -> Result<void> {
          auto imported = import_original_vectors(
              original, store, {.refused = refused, .skipped = &skipped});
          if (!imported) return Unexpected(std::move(imported).error());
          vectors = *imported;
          return {};
        }});
  };
  CHECK_FALSE(import("stopped.db", Refused::stop));
  CHECK(must(import("new.db", Refused::skip)).entries == 7);
  CHECK(vectors == 2);
  REQUIRE(skipped.count == 5);
  std::string keys;
  for (const SkippedEntry& entry : skipped.first) keys += entry.key;
  std::sort(keys.begin(), keys.end());
  CHECK(keys == "acdef");
  auto docs = must(VectorStore<>::open(dir.file("new.db"), {.name = "default"}));
  CHECK(must(docs.ids()) == std::vector<std::string>{"b", "g"});
  CHECK(must(docs.get("c")).str() == "C");
}
