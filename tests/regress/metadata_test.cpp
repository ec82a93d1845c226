// Metadata that JSON text does not keep is refused at every door, and nothing has changed then.
#include "vector/collections.hpp"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

using namespace snkv;
using namespace snkv::test;

namespace {

struct Unfit {
  Json metadata;
  std::string why;
};

std::vector<Unfit> refused_metadata() {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  const Json discarded = Json::parse("{", nullptr, false);
  Json deep = 1;
  for (int i = 0; i < 65; ++i) deep = Json::array({std::move(deep)});
  Json very_deep = 1;
  for (int i = 0; i < 2000; ++i) very_deep = Json::array({std::move(very_deep)});
  std::vector<Unfit> all;
  const auto add = [&](Json metadata, std::string why) {
    all.push_back({std::move(metadata), "the metadata of \"doc:1\": " + why});
  };
  add(discarded, "$ is a discarded value");
  add({{"a", discarded}}, "$.a is a discarded value");
  add({{"a", {{"b", {1, discarded}}}}}, "$.a.b[1] is a discarded value");
  add({{"a", {1, 2, nan}}}, "$.a[2] is NaN");
  add({{"a", {{"x y", infinity}}}}, "$.a[\"x y\"] is infinite");
  add({{"a", -infinity}}, "$.a is infinite");
  add({{"a", Json::binary({1, 2})}}, "$.a is binary");
  add({{"a", "\xff"}}, "$.a is no UTF-8");
  add({{"a", {{"\xc3\x28", 1}}}}, "$.a has a member whose name is no UTF-8");
  add(Json::array({1}), "$ is no object");
  add("text", "$ is no object");
  add({{"a", std::move(deep)}}, "is nested more than 64 levels deep");
  add({{"a", std::move(very_deep)}}, "is nested more than 64 levels deep");
  return all;
}

}  // namespace

TEST_CASE("metadata that text does not keep are refused at every door") {
  auto docs = plane();
  must(docs.put("doc:1", at(1, 1), {.value = "old", .metadata = {{"n", 1}}}));
  const std::vector<std::string> before = shown(everything(docs));
  for (const Unfit& one : refused_metadata()) {
    INFO(one.why);
    const std::vector<float> vector = at(2, 2);
    const VectorItem items[] = {{.key = "fine", .vector = vector},
                                {.key = "doc:1", .vector = vector, .metadata = one.metadata}};
    CHECK(says(docs.put("doc:1", vector, {.metadata = one.metadata}), Errc::invalid_argument,
               one.why));
    CHECK(says(docs.update("doc:1", {.metadata = one.metadata}), Errc::invalid_argument, one.why));
    CHECK(says(docs.put_batch(items), Errc::invalid_argument, one.why));
    CHECK(says(docs.add_batch(items), Errc::invalid_argument, one.why));
    auto txn = must(docs.store().begin());
    auto inside = must(docs.in(txn));
    CHECK(says(inside.put("doc:1", vector, {.metadata = one.metadata}), Errc::invalid_argument,
               one.why));
    must(txn.commit());
    CHECK(shown(everything(docs)) == before);
  }
  CHECK(must(docs.search(at(1, 1), 5, {.filter = field("n") == 1})).size() == 1);
}

TEST_CASE("what is kept comes back as it was, through a file") {
  const TempDir dir;
  const Json metadata = {{"whole", std::numeric_limits<std::uint64_t>::max()},
                         {"least", std::numeric_limits<std::int64_t>::min()},
                         {"small", std::numeric_limits<double>::denorm_min()},
                         {"large", std::numeric_limits<double>::max()},
                         {"zero", -0.0},
                         {"text", "\xef\xbf\xbd \xf0\x9f\x98\x80"},
                         {"\xef\xbf\xbd", nullptr}};
  {
    auto docs = must(VectorStore<2, L2>::open(dir.file("a.db"), {.auto_save = false}));
    must(docs.put("doc:1", at(1, 1), {.metadata = metadata}));
  }
  auto docs = must(VectorStore<2, L2>::open(dir.file("a.db")));
  const Json found = must(docs.get_metadata("doc:1"));
  CHECK(found == metadata);
  CHECK(std::signbit(found["zero"].get<double>()));
}
