// The text of a filter, and what it says of some metadata.
#include "fuzz/fuzz.hpp"

#include <snkv/vector/filter.hpp>

namespace snkv::fuzz {

std::vector<std::string> seeds() {
  return {R"({"year": {"$gte": 2020}, "tag": {"$in": ["ai", "db"]}})",
          R"({"$or": [{"a": 1}, {"$and": [{"b": {"$lt": 2.5}}, {"c": {"$exists": true}}]}]})",
          R"({"$not": {"text": {"$contains": "x"}}})",
          R"({"a.b": {"$ne": null}, "n": {"$nin": [1, "1", false]}})",
          R"({"a": {"$eq": {"b": [1, 2, {"c": null}]}}})"};
}

void run(std::string_view input) {
  const auto filter = Filter::parse(input);
  judge("parse", filter);
  if (!filter) return;
  const Json items[] = {Json(nullptr), Json::object(), {{"a", 1}, {"b", 2.0}, {"tag", "ai"}, {"year", 2021}},
                        {{"a", {{"b", {1, "x", nullptr}}}}, {"text", "xyz"}, {"n", -1}}};
  for (const Json& item : items) {
    if (filter->matches(item) != filter->matches(item)) fail("a filter that changes its mind");
  }
}

}  // namespace snkv::fuzz
