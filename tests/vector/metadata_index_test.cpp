// What the index of metadata finds is what the filter says of each document.
#include "support/catch.hpp"
#include "support/check.hpp"

#include <snkv/vector/detail/filter/metadata_index.hpp>

#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

using namespace snkv;
using namespace snkv::test;
using namespace snkv::vector_detail;

namespace {

/// Documents and filters that have something to do with each other.
class Documents {
 public:
  explicit Documents(std::uint64_t seed) : random_(seed) {}

  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
  bool percent(std::uint64_t share) { return below(100) < share; }

  /// Whether compounds, long texts and deep documents are made, which the index is not sure of.
  bool plain = false;

  std::string name() {
    static const std::vector<std::string> names{"a", "b", "a.b", "tag", "", "b.a", "a."};
    return names[below(names.size())];
  }
  std::string path() {
    std::string path = name();
    while (percent(40)) path += "." + name();
    return path;
  }

  Json scalar() {
    switch (below(8)) {
      case 0:
        return nullptr;
      case 1:
        return percent(50);
      case 2:
        return static_cast<std::int64_t>(below(10)) - 5;
      case 3:
        return static_cast<double>(below(20)) * 0.5 - 5;
      case 4:
        return large_number();
      case 5: {
        static const std::vector<std::string> texts{"", "a", "ab", "abc", "b", "\xc3\xa4", "Ab"};
        return texts[below(texts.size())];
      }
      case 6:
        if (!plain) return std::string(longest_text - 1 + below(3), percent(80) ? 'a' : 'b');
        return "ba";
      default:
        return std::string(1 + below(2), static_cast<char>('a' + below(3)));
    }
  }

  Json value(int depth) {
    if (depth > 0 && percent(25)) {
      Json array = Json::array();
      while (percent(60)) array.push_back(percent(70) ? scalar() : value(depth - 1));
      return array;
    }
    if (depth > 0 && percent(25)) return object(depth - 1);
    return scalar();
  }
  Json object(int depth) {
    Json object = Json::object();
    while (percent(65)) object[name()] = value(depth);
    return object;
  }
  Json document() {
    if (!plain && percent(1)) {
      Json deep = 1;
      for (int i = 0; i < 40; ++i) deep = percent(50) ? Json{{"a", deep}} : Json::array({deep});
      return {{"a", deep}};
    }
    if (!plain && percent(1)) return {{std::string(2000, 'a'), 1}, {"a", 1}};
    return object(3);
  }

  FilterPointer filter(int depth) {
    auto node = std::make_shared<FilterNode>();
    if (depth > 0 && percent(50)) {
      node->op = static_cast<FilterOperator>(below(3));
      for (std::uint64_t i = below(4); i > 0; --i) node->children.push_back(filter(depth - 1));
      return node;
    }
    node->op = static_cast<FilterOperator>(3 + below(9));
    node->path = path();
    if (node->op == FilterOperator::in) {
      node->operand = Json::array();
      while (percent(60)) node->operand.push_back(operand());
    } else {
      node->operand = operand();
    }
    return node;
  }

 private:
  Json large_number() {
    constexpr std::uint64_t edge = std::uint64_t{1} << 53;
    switch (below(6)) {
      case 0:
        return edge + below(4);
      case 1:
        return -static_cast<std::int64_t>(edge + below(4));
      case 2:
        return std::numeric_limits<std::uint64_t>::max() - below(2);
      case 3:
        return static_cast<double>(edge) + static_cast<double>(below(4));
      case 4:
        return 1.8446744073709552e19;
      default:
        return std::numeric_limits<std::int64_t>::max() - static_cast<std::int64_t>(below(2));
    }
  }
  Json operand() {
    if (plain || percent(80)) return scalar();
    if (percent(20)) return std::numeric_limits<double>::quiet_NaN();
    return value(2);
  }

  std::mt19937_64 random_;
};

using Model = std::map<std::uint32_t, Json>;

void compare(const MetadataIndex& index, const Model& model, const FilterNode& filter,
             bool must_be_exact) {
  const MetadataIndex::Matches found = index.resolve(filter);
  std::uint64_t possible = 0;
  std::uint64_t unsure = 0;
  for (const auto& [number, document] : model) {
    const bool fits = matches(filter, document);
    const bool is_possible = found.possible.contains(number);
    const bool is_unsure = found.unsure.contains(number);
    possible += is_possible ? 1 : 0;
    unsure += is_unsure ? 1 : 0;
    if (fits == is_possible || (is_unsure && is_possible)) continue;
    CAPTURE(number, document.dump(), fits, is_possible, is_unsure, filter.path,
            static_cast<int>(filter.op), filter.operand.dump());
    FAIL("the index and the filter disagree");
  }
  // Nothing that is not there.
  REQUIRE(found.possible.count() == possible);
  REQUIRE(found.unsure.count() == unsure);
  REQUIRE(found.exact() == (unsure == 0));
  if (must_be_exact) REQUIRE(found.exact());
  std::uint32_t last = 0;
  std::uint64_t listed = 0;
  found.possible.for_each([&](std::uint32_t number) {
    REQUIRE((listed == 0 || number > last));
    last = number;
    ++listed;
  });
  REQUIRE(listed == possible);
}

MetadataIndex reread(const MetadataIndex& index) {
  MemorySink sink;
  index.write(sink);
  MemorySource source(sink.bytes());
  MetadataIndex read;
  read.read(source);
  REQUIRE_FALSE(source.error().failed());
  REQUIRE(source.remaining() == 0);
  return read;
}

}  // namespace

TEST_CASE("the index finds what the filter says of each document") {
  const std::uint64_t seed = GENERATE(1, 2, 3, 4);
  const bool plain = GENERATE(false, true);
  CAPTURE(seed, plain);
  Documents documents(seed);
  documents.plain = plain;
  MetadataIndex index;
  Model model;
  for (int step = 0; step < 40; ++step) {
    // Sometimes few changes between the filters, sometimes many, sometimes mostly erasing.
    const std::uint64_t changes = documents.percent(50) ? 20 : 400;
    const bool shrinks = documents.percent(20);
    for (std::uint64_t i = 0; i < changes; ++i) {
      const auto number = static_cast<std::uint32_t>(documents.below(1500));
      if (documents.percent(shrinks ? 80 : 20)) {
        REQUIRE(index.erase(number) == (model.erase(number) != 0));
      } else {
        model[number] = documents.document();
        index.put(number, model[number]);
      }
    }
    REQUIRE(index.size() == model.size());
    if (step % 10 == 9) index = reread(index);
    for (int i = 0; i < 40; ++i) {
      compare(index, model, *documents.filter(3), plain);
    }
    compare(index, model, FilterNode{}, plain);
  }
  for (std::uint32_t number = 0; number < 1600; ++number) {
    REQUIRE(index.contains(number) == model.contains(number));
  }
}

TEST_CASE("all operators, on many documents of the usual kind") {
  MetadataIndex index;
  Model model;
  for (std::uint32_t i = 0; i < 20000; ++i) {
    model[i] = {{"year", 1900 + i % 125},
                {"tag", i % 3 == 0 ? Json::array({"ai", "db"}) : Json("t" + std::to_string(i % 7))},
                {"author", {{"name", "author " + std::to_string(i)}, {"age", i % 90}}},
                {"price", i * 0.25}};
    index.put(i, model[i]);
  }
  for (const char* text :
       {R"({"year":2020})", R"({"year":{"$gte":2020,"$lt":2022}})", R"({"tag":"ai"})",
        R"({"tag":{"$contains":"d"}})", R"({"tag":{"$contains":"t"}})",
        R"({"author.name":"author 77"})", R"({"author.name":{"$prefix":"author 199"}})",
        R"({"price":{"$between":[10,12.5]},"tag":{"$nin":["t1","t2"]}})",
        R"({"$or":[{"year":1950},{"author.age":{"$gt":88}}]})", R"({"missing":{"$exists":false}})",
        R"({"year":{"$ne":1901}})"}) {
    CAPTURE(text);
    compare(index, model, must(Filter::parse(text)).node(), true);
  }
  const auto few = index.resolve(must(Filter::parse(R"({"author.name":"author 77"})")).node());
  CHECK(few.possible.count() == 1);
  CHECK(few.possible.contains(77));
}

TEST_CASE("few numbers and many are gone through alike") {
  using snkv::vector_detail::NumberSet;
  constexpr std::uint32_t bound = 1000;
  for (const std::uint32_t step : {1U, 3U, 64U, 999U, 1000U}) {
    CAPTURE(step);
    std::vector<std::uint32_t> numbers;
    std::vector<std::uint64_t> bits(NumberSet::words_for(bound));
    for (std::uint32_t number = step - 1; number < bound; number += step) {
      numbers.push_back(number);
      NumberSet::set(bits, number);
    }
    for (const NumberSet& set : {NumberSet::of(bound, numbers), NumberSet::of_bits(bound, bits)}) {
      std::vector<std::uint32_t> met;
      NumberSet::Cursor cursor(set);
      for (std::uint32_t number = 0; cursor.next(number);) met.push_back(number);
      CHECK(met == numbers);
    }
  }
  std::uint32_t number = 0;
  const NumberSet nothing;
  CHECK_FALSE(NumberSet::Cursor(nothing).next(number));
  const NumberSet no_bits = NumberSet::of_bits(0, {});
  CHECK_FALSE(NumberSet::Cursor(no_bits).next(number));
}

TEST_CASE("the index is compact, and gives the memory of the dead back") {
  constexpr std::uint32_t size = 50000;
  MetadataIndex index;
  for (std::uint32_t i = 0; i < size; ++i) index.put(i, {{"label", i % 10}, {"time", i}});
  // Two entries a document, and 12 bytes for each different value.
  CHECK(index.memory() < size * (4 + 4 + 12 + 4));
  const std::uint64_t before = index.memory();
  for (int round = 0; round < 3; ++round) {
    for (std::uint32_t i = 0; i < size; ++i) index.put(i, {{"label", i % 10}, {"time", i + 1}});
  }
  CHECK(index.memory() < before * 2);
  for (std::uint32_t i = 0; i < size; ++i) REQUIRE(index.erase(i));
  CHECK_FALSE(index.erase(0));
  CHECK(index.size() == 0);
  CHECK(index.memory() < before / 4);
  CHECK(index.resolve(FilterNode{}).possible.empty());
}

TEST_CASE("damaged bytes of the index are refused, or lead nowhere") {
  Documents documents(7);
  MetadataIndex index;
  for (std::uint32_t i = 0; i < 700; ++i) index.put(i, documents.document());
  MemorySink sink;
  index.write(sink);
  const std::vector<std::byte> good = sink.bytes();
  std::size_t refused = 0;
  constexpr int mutations = 2000;
  for (int i = 0; i < mutations; ++i) {
    std::vector<std::byte> bytes = good;
    if (i % 4 == 0) {
      bytes.resize(documents.below(bytes.size()));
    } else {
      for (std::uint64_t flips = 1 + documents.below(3); flips > 0; --flips) {
        bytes[documents.below(bytes.size())] ^= static_cast<std::byte>(1u << documents.below(8));
      }
    }
    MemorySource source(bytes);
    MetadataIndex read;
    read.read(source);
    if (source.error().failed()) {
      ++refused;
      REQUIRE(read.size() == 0);
      continue;
    }
    for (int k = 0; k < 3; ++k) static_cast<void>(read.resolve(*documents.filter(2)));
    read.put(1, documents.document());
    read.erase(2);
  }
  // Many a flip makes another value of a number or letter, which only a checksum can tell.
  CHECK(refused > mutations / 3);
}
