// The filter language: its JSON form and its C++ form, and what they mean.
#include "support/catch.hpp"
#include "support/check.hpp"
#include "vectors.hpp"

#include <snkv/vector/filter.hpp>

#include <string>
#include <string_view>
#include <vector>

using namespace snkv;
using namespace snkv::test;

namespace {

bool fits(std::string_view filter, std::string_view metadata) {
  return must(Filter::parse(filter)).matches(Json::parse(metadata));
}

}  // namespace

TEST_CASE("the truth table of missing fields and other types") {
  struct Row {
    const char* filter;
    // Metadata where the field is missing, null, another type, an array that has it, equal,
    // greater.
    const char* truth;
  };
  const std::vector<std::string> metadata = {
      "{}", R"({"f":null})", R"({"f":"5"})", R"({"f":[1,5]})", R"({"f":5})", R"({"f":6})"};
  const Row rows[] = {
      {R"({"f":5})", "...++."},
      {R"({"f":{"$eq":5}})", "...++."},
      {R"({"f":{"$eq":5.0}})", "...++."},
      {R"({"f":null})", ".+...."},
      {R"({"f":{"$ne":5}})", "+++..+"},
      {R"({"f":{"$gt":5}})", ".....+"},
      {R"({"f":{"$gte":5}})", "...+++"},
      {R"({"f":{"$lt":5}})", "...+.."},
      {R"({"f":{"$lte":5}})", "...++."},
      {R"({"f":{"$in":[5,7]}})", "...++."},
      {R"({"f":{"$in":[]}})", "......"},
      {R"({"f":{"$nin":[5,7]}})", "+++..+"},
      {R"({"f":{"$exists":true}})", ".+++++"},
      {R"({"f":{"$exists":false}})", "+....."},
      {R"({"f":{"$between":[5,6]}})", "...+++"},
      {R"({"f":{"$contains":5}})", "...+.."},
      {R"({"f":{"$contains":"5"}})", "..+..."},
      {R"({"f":{"$prefix":"5"}})", "..+..."},
      {R"({"f":{"$gt":"4"}})", "..+..."},
      {R"({"f":{"$not":{"$gt":5}}})", "+++++."},
      {R"({"$not":{"f":5}})", "+++..+"},
      {R"({"f":[1,5]})", "...+.."},
      {R"({})", "++++++"},
  };
  for (const Row& row : rows) {
    std::string truth;
    for (const std::string& one : metadata) truth += fits(row.filter, one) ? '+' : '.';
    INFO(row.filter);
    CHECK(truth == row.truth);
  }
}

TEST_CASE("conditions are combined") {
  const char* const book = R"({"year":2021,"tag":"ai","price":10,"in print":true})";
  CHECK(fits(R"({"year":{"$gte":2020,"$lt":2022},"tag":"ai"})", book));
  CHECK_FALSE(fits(R"({"year":{"$gte":2020,"$lt":2021},"tag":"ai"})", book));
  CHECK(fits(R"({"$or":[{"tag":"db"},{"price":{"$lt":11}}]})", book));
  CHECK_FALSE(fits(R"({"$and":[{"tag":"ai"},{"price":{"$lt":10}}]})", book));
  CHECK(fits(
      R"({"$and":[{"$or":[{"tag":"ai"},{"tag":"db"}]},{"$not":{"year":1999}}],"in print":true})",
      book));
}

TEST_CASE("paths lead through objects and arrays") {
  const char* const nested =
      R"({"author":{"name":"Ada","born":1815},"a.b":1,"a":{"b":2},"parts":[{"n":1},{"n":7}]})";
  CHECK(fits(R"({"author.name":"Ada"})", nested));
  CHECK(fits(R"({"author.born":{"$lt":1900}})", nested));
  CHECK_FALSE(fits(R"({"author.died":{"$exists":true}})", nested));
  // A member of exactly this name comes first.
  CHECK(fits(R"({"a.b":1})", nested));
  CHECK_FALSE(fits(R"({"a.b":2})", nested));
  CHECK(fits(R"({"parts.n":7})", nested));
  CHECK_FALSE(fits(R"({"parts.n":8})", nested));
  CHECK(fits(R"({"author":{"$eq":{"born":1815,"name":"Ada"}}})", nested));
  CHECK_FALSE(fits(R"({"author.name.x":1})", nested));
}

TEST_CASE("numbers are compared by their value") {
  CHECK(fits(R"({"n":1})", R"({"n":1.0})"));
  CHECK(fits(R"({"n":{"$gt":-1}})", R"({"n":18446744073709551615})"));
  CHECK_FALSE(fits(R"({"n":-1})", R"({"n":18446744073709551615})"));
  CHECK_FALSE(fits(R"({"n":9007199254740993})", R"({"n":9007199254740992})"));
  CHECK(fits(R"({"n":{"$lt":9007199254740993}})", R"({"n":9007199254740992})"));
  CHECK_FALSE(fits(R"({"n":1})", R"({"n":true})"));
  CHECK_FALSE(fits(R"({"n":{"$gte":0}})", R"({"n":true})"));
  CHECK(fits(R"({"n":{"$gt":false}})", R"({"n":true})"));
}

TEST_CASE("metadata that is no object has no fields") {
  CHECK_FALSE(fits(R"({"f":1})", "null"));
  CHECK(fits(R"({"f":{"$ne":1}})", "null"));
  CHECK(fits("{}", "17"));
}

TEST_CASE("the C++ form means the same") {
  const std::vector<std::pair<Filter, const char*>> pairs = {
      {field("f") == 5, R"({"f":5})"},
      {field("f") != 5, R"({"f":{"$ne":5}})"},
      {field("f") > 5, R"({"f":{"$gt":5}})"},
      {field("f") <= "x", R"({"f":{"$lte":"x"}})"},
      {field("f").in({5, "x"}), R"({"f":{"$in":[5,"x"]}})"},
      {!field("f").in({5}), R"({"f":{"$nin":[5]}})"},
      {field("f").between(1, 5), R"({"f":{"$between":[1,5]}})"},
      {field("f").exists(), R"({"f":{"$exists":true}})"},
      {field("f").contains("x"), R"({"f":{"$contains":"x"}})"},
      {field("f").starts_with("x"), R"({"f":{"$prefix":"x"}})"},
      {field("f") >= 5 && field("g") < 2, R"({"f":{"$gte":5},"g":{"$lt":2}})"},
      {field("f") == true || !(field("g") == nullptr),
       R"({"$or":[{"f":true},{"$not":{"g":null}}]})"},
      {Filter(), "{}"},
  };
  const std::vector<std::string> metadata = {"{}",
                                             R"({"f":5})",
                                             R"({"f":6,"g":1})",
                                             R"({"f":"x"})",
                                             R"({"f":["x",5]})",
                                             R"({"f":"xyz"})",
                                             R"({"f":true,"g":null})",
                                             R"({"f":null})",
                                             R"({"f":5.0,"g":1.5})"};
  for (const auto& [filter, json] : pairs) {
    const Filter parsed = must(Filter::parse(json));
    for (const std::string& one : metadata) {
      INFO(json << " on " << one);
      CHECK(filter.matches(Json::parse(one)) == parsed.matches(Json::parse(one)));
    }
  }
  CHECK(Filter().is_all());
  CHECK(must(Filter::parse("{}")).is_all());
  CHECK_FALSE((field("f") == 5).is_all());
}

TEST_CASE("what is no filter is refused, with the place") {
  const auto refused = [](std::string_view filter, std::string_view what) {
    INFO(filter);
    CHECK(says(Filter::parse(filter), Errc::invalid_argument, what));
  };
  refused("", "no JSON");
  refused("{", "no JSON");
  refused("[]", "a filter is an object");
  refused("17", "a filter is an object");
  refused(R"({"price":{"$foo":1}})", "unknown operator $foo (at price.$foo)");
  refused(R"({"$foo":1})", "unknown operator $foo (at $foo)");
  refused(R"({"$or":[{"a":1},{"b":{"$regex":"x"}}]})",
          "unknown operator $regex (at $or[1].b.$regex)");
  refused(R"({"$or":[]})", "array of filters (at $or)");
  refused(R"({"$and":{"a":1}})", "array of filters (at $and)");
  refused(R"({"$not":5})", "a filter is an object (at $not)");
  refused(R"({"a":{}})", "no operator (at a)");
  refused(R"({"a":{"b":1}})", "use $eq (at a.b)");
  refused(R"({"a":{"$gt":null}})", "needs a number");
  refused(R"({"a":{"$lte":[1]}})", "needs a number");
  refused(R"({"a":{"$in":5}})", "needs an array");
  refused(R"({"a":{"$nin":{}}})", "needs an array");
  refused(R"({"a":{"$exists":1}})", "needs true or false");
  refused(R"({"a":{"$prefix":1}})", "needs a string");
  refused(R"({"a":{"$between":[1]}})", "array of two");
  refused(R"({"a":{"$between":[1,"x"]}})", "array of two");
  refused(R"({"a":{"$not":1}})", "needs operators");
  std::string deep = R"({"a":1})";
  for (int i = 0; i < 100; ++i) deep = R"({"$not":)" + deep + "}";
  refused(deep, "nested too deeply");
}
