// Filters and documents of which there is very much: a chain of siblings is not depth, and real
// depth is an error, never a stack that overflows.
#include "support/catch.hpp"

#include <snkv/vector/filter.hpp>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

using namespace snkv;

namespace {

constexpr std::size_t many = 100'000;

std::string repeated(std::string_view part, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += part;
  return out;
}

/// `[[...[1]...]]`, made without recursion.
Json nested_arrays(std::size_t levels) {
  Json out = 1;
  for (std::size_t i = 0; i < levels; ++i) {
    Json outer = Json::array();
    outer.push_back(std::move(out));
    out = std::move(outer);
  }
  return out;
}

void refused_as_too_deep(const std::string& text) {
  const auto filter = Filter::parse(text);
  REQUIRE_FALSE(filter);
  CHECK(filter.error() == Errc::invalid_argument);
  INFO(filter.error().message());
  CHECK(filter.error().message().find("nested too deeply") != std::string::npos);
}

Filter equals(std::size_t i) { return field("n") == i; }

}  // namespace

TEST_CASE("text that is nested deeply is refused as a filter, wherever it is") {
  const std::string deep = repeated("[", 70'000) + repeated("]", 70'000);
  for (const char* before : {R"({"a":)", R"({"a":{"$eq":)", R"({"a":{"$ne":)", R"({"a":{"$in":[1,)",
                             R"({"a":{"$contains":)"}) {
    std::string text = before + deep;
    if (text.find("$in") != text.npos) text += ']';
    text += text.find('$') != text.npos ? "}}" : "}";
    refused_as_too_deep(text);
  }
  refused_as_too_deep(R"({"a":{"$eq":)" + repeated(R"({"a":)", 70'000) + "1" +
                      repeated("}", 70'000) + "}}");
  refused_as_too_deep(repeated(R"({"$and":[)", 70'000) + R"({"a":1})" + repeated("]}", 70'000));
  refused_as_too_deep(repeated(R"({"$not":)", 70'000) + R"({"a":1})" + repeated("}", 70'000));
  refused_as_too_deep(R"({"a":)" + repeated(R"({"$not":)", 70'000) + R"({"$eq":1})" +
                      repeated("}", 70'001));
  // What never ends is no JSON, however deep it begins.
  CHECK_FALSE(Filter::parse(repeated("[", 1'000'000)));
  CHECK_FALSE(Filter::parse(repeated(R"({"a":)", 1'000'000)));
}

TEST_CASE("brackets in texts are no depth") {
  const std::string brackets = repeated("[{", 1000) + R"(\"[\\)";
  const auto filter = Filter::parse(R"({"a":")" + brackets + R"("})");
  REQUIRE(filter);
  CHECK(filter->matches({{"a", repeated("[{", 1000) + R"("[\)"}}));
}

TEST_CASE("the deepest operand that is allowed, and the next one") {
  const auto text = [](std::size_t levels) {
    return R"({"a":{"$eq":)" + nested_arrays(levels).dump() + "}}";
  };
  const auto filter = Filter::parse(text(max_metadata_depth));
  REQUIRE(filter);
  CHECK(filter->matches({{"a", nested_arrays(max_metadata_depth)}}));
  refused_as_too_deep(text(max_metadata_depth + 1));
  const auto refused = Filter::from_json({{"a", nested_arrays(max_metadata_depth + 1)}});
  REQUIRE_FALSE(refused);
  CHECK(refused.error() == Errc::invalid_argument);
}

TEST_CASE("a long list of filters is as deep as one of them") {
  for (const char* op : {"$or", "$and"}) {
    std::string text = std::string(R"({")") + op + R"(":[)";
    for (std::size_t i = 0; i < many; ++i)
      text += (i > 0 ? R"(,{"n":)" : R"({"n":)") + std::to_string(i) + "}";
    text += "]}";
    INFO(op);
    const auto filter = Filter::parse(text);
    REQUIRE(filter);
    const bool any = op == std::string("$or");
    CHECK(filter->matches({{"n", many - 1}}) == any);
    CHECK_FALSE(filter->matches({{"n", many}}));
    CHECK((!*filter).matches({{"n", many - 1}}) != any);
  }
}

TEST_CASE("an object of very many fields is as deep as one of them") {
  Json conditions = Json::object();
  Json document = Json::object();
  for (std::size_t i = 0; i < 300'000; ++i) {
    conditions["f" + std::to_string(i)] = i;
    document["f" + std::to_string(i)] = i;
  }
  const auto filter = Filter::parse(conditions.dump());
  REQUIRE(filter);
  CHECK(filter->matches(document));
  document["f0"] = 1;
  CHECK_FALSE(filter->matches(document));
}

TEST_CASE("conditions that are joined one after the other in C++ stay flat") {
  Filter either = equals(0);
  Filter all = field("n") != 0;
  Filter from_the_front = equals(0);
  for (std::size_t i = 1; i < many; ++i) {
    either = either || equals(i);
    all = all && field("n") != i;
    from_the_front = equals(i) || from_the_front;
  }
  for (const std::size_t n : {std::size_t{0}, std::size_t{1}, many / 2, many - 1, many}) {
    INFO(n);
    const Json document{{"n", n}};
    CHECK(either.matches(document) == (n < many));
    CHECK(from_the_front.matches(document) == (n < many));
    CHECK(all.matches(document) == (n >= many));
  }
  Filter doubled = equals(7);
  for (int i = 0; i < 12; ++i) doubled = doubled || doubled;
  CHECK_FALSE(doubled.error("search").failed());
  CHECK(doubled.matches({{"n", 7}}));
  CHECK_FALSE(doubled.matches({{"n", 8}}));
}

TEST_CASE("negating again and again is no depth") {
  Filter filter = equals(1);
  for (std::size_t i = 0; i < many; ++i) filter = !filter;
  CHECK(filter.matches({{"n", 1}}));
  CHECK((!filter).matches({{"n", 2}}));
  CHECK_FALSE(filter.error("search").failed());
}

TEST_CASE("filters that are nested deeply in C++ say so, and match nothing") {
  Filter filter = equals(0);
  std::size_t levels = 1;
  while (!filter.error("search").failed() && levels < many) {
    filter = levels % 2 == 0 ? filter && field("m").exists() : filter || equals(levels);
    ++levels;
  }
  CHECK(levels > max_filter_depth);
  CHECK(filter.error("search") == Errc::invalid_argument);
  // So does what is made of it, also its opposite.
  for (std::size_t i = 0; i < many; ++i)
    filter = i % 2 == 0 ? filter && equals(i) : !filter || equals(i);
  for (const Filter& one :
       {filter, !filter, filter || field("n").exists(), field("n").exists() && !filter}) {
    CHECK(one.error("search").failed());
    CHECK_FALSE(one.matches({{"n", 0}}));
    CHECK_FALSE(one.is_all());
  }
}

TEST_CASE("a value in C++ that is nested more deeply than metadata can be equals nothing") {
  const Json deep = nested_arrays(70'000);
  const Json shallow = nested_arrays(max_metadata_depth);
  const Json document{{"a", 1}};
  CHECK_FALSE((field("a") == deep).matches(document));
  CHECK((field("a") != deep).matches(document));
  CHECK_FALSE(field("a").contains(deep).matches(document));
  CHECK_FALSE((field("a") > deep).matches(document));
  std::vector<Json> values;
  values.push_back(nested_arrays(70'000));
  values.push_back(1);
  CHECK(field("a").in(values).matches(document));
  CHECK_FALSE(field("b").in(values).matches(document));
  CHECK((field("a") == shallow).matches({{"a", shallow}}));
  // Nor is there anything in such a document.
  Json tower = Json::object();
  tower["a"] = nested_arrays(70'000);
  CHECK_FALSE((field("a") == shallow).matches(tower));
  CHECK((field("a").exists()).matches(tower));
}

TEST_CASE("a path with very many parts does not overflow the stack") {
  Json tower = 1;
  for (std::size_t i = 0; i < 50'000; ++i) {
    Json outer = Json::object();
    outer["a"] = std::move(tower);
    tower = std::move(outer);
  }
  const std::string path = "a" + repeated(".a", 49'999);
  CHECK_FALSE((field(path) == 1).matches(tower));
  CHECK((field("a" + repeated(".a", max_metadata_depth - 1)).exists()).matches(tower));
}
