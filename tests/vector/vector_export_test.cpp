// Entries as text: what is written comes back exactly, and what is malformed changes nothing.
#include "support/fake_clock.hpp"
#include "vector/collections.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <random>
#include <sstream>
#include <string>
#include <vector>

using namespace snkv;
using namespace snkv::test;
using namespace std::chrono_literals;

namespace {

using Plane = VectorStore<2, L2>;

bool is_lines() { return GENERATE(false, true); }

std::string exported(const VectorOperations& from, bool lines, const VectorExport& options = {}) {
  std::ostringstream out;
  const auto count = lines ? from.export_jsonl(out, options) : from.export_json(out, options);
  must(count);
  return out.str();
}

Result<std::uint64_t> import_text(VectorOperations& into, bool lines, const std::string& text,
                                  const VectorImport& options = {}) {
  std::istringstream in(text);
  return lines ? into.import_jsonl(in, options) : into.import_json(in, options);
}

/// Entries with everything that there can be.
void fill(VectorOperations& plane) {
  must(plane.put("a", at(1, 2), {.value = "text", .metadata = {{"tag", "x"}, {"n", 1}}}));
  must(plane.put("b\nquoted \" \\", at(0.1f, -3e-30f), {.value = BytesView("\x00\xff\x80", 3)}));
  must(plane.put(BytesView("\xc3\x28", 2), at(5, 6), {.value = ""}));
  must(plane.put("c", at(-0.0f, 16777217.0f), {.metadata = {{"nested", {{"list", {1, "two"}}}}}}));
  must(plane.put("\xc3\xa9", at(7, 8), {.value = "v", .ttl = 1h}));
}

}  // namespace

TEST_CASE("what is exported comes back exactly") {
  const bool lines = is_lines();
  const bool pretty = GENERATE(false, true);
  FakeClock clock;
  Plane from = plane({.store = {.clock = clock.source()}});
  fill(from);
  const std::string text = exported(from, lines, {.pretty = pretty});
  Plane into = plane({.store = {.clock = clock.source()}});
  CHECK(must(import_text(into, lines, text)) == 5);
  CHECK(shown(everything(into)) == shown(everything(from)));
  CHECK(must(into.size()) == 5);
  CHECK(keys_of(must(into.search(at(1, 2), 1))) == "a");
  CHECK(exported(into, lines, {.pretty = pretty}) == text);
  clock.advance(2h);
  CHECK(must(into.size()) == 4);
}

TEST_CASE("every float comes back with all its bits") {
  std::mt19937_64 random(71);
  std::vector<float> vector(4096);
  for (float& x : vector) {
    do {
      x = std::bit_cast<float>(static_cast<std::uint32_t>(random()));
    } while (!std::isfinite(x));
  }
  auto from = must(VectorStore<>::open_in_memory({.dim = vector.size(), .metric = Metric::l2}));
  auto into = must(VectorStore<>::open_in_memory({.dim = vector.size(), .metric = Metric::l2}));
  must(from.put("k", vector));
  must(import_text(into, false, exported(from, false)));
  const auto back = must(into.get_vector("k"));
  REQUIRE(back.size() == vector.size());
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < back.size(); ++i) {
    wrong += std::bit_cast<std::uint32_t>(back[i]) != std::bit_cast<std::uint32_t>(vector[i]);
  }
  CHECK(wrong == 0);
}

TEST_CASE("the text is what docs/vector-search.md says") {
  Plane from = plane();
  must(from.put("a", at(1, 0.5f), {.value = "v", .metadata = {{"t", 1}}}));
  must(from.put(BytesView("\xff", 1), at(2, 3), {.value = BytesView("\xfe\x01", 2)}));
  const std::string parameters =
      R"("version":1,"dim":2,"metric":"euclidean","dtype":"f32","m":16,"ef_construction":128,)"
      R"("ef_search":64,"values":true,"count":2)";
  const std::string a = R"({"id":"a","vector":[1,0.5],"metadata":{"t":1},"value":"v"})";
  const std::string b = R"({"id_base64":"/w==","vector":[2,3],"value_base64":"/gE="})";
  CHECK(exported(from, false) == "{" + parameters + ",\"vectors\":[\n" + a + ",\n" + b + "\n]}\n");
  CHECK(exported(from, true) == "{" + parameters + "}\n" + a + "\n" + b + "\n");
  const std::string pretty = exported(from, false, {.filter = field("t") == 1, .pretty = true});
  CHECK(pretty ==
        "{\n  \"version\": 1,\n  \"dim\": 2,\n  \"metric\": \"euclidean\",\n  \"dtype\": \"f32\",\n"
        "  \"m\": 16,\n  \"ef_construction\": 128,\n  \"ef_search\": 64,\n  \"values\": true,\n"
        "  \"vectors\": [\n    {\n      \"id\": \"a\",\n      \"vector\": [1,0.5],\n"
        "      \"metadata\": {\"t\":1},\n      \"value\": \"v\"\n    }\n  ]\n}\n");
  CHECK(exported(plane(), false).ends_with("\"count\":0,\"vectors\":[\n]}\n"));
  CHECK(must(import_text(from, false, exported(plane(), false))) == 0);
}

TEST_CASE("what vctrs writes is understood") {
  Plane into = plane();
  CHECK(must(import_text(into, false,
                         R"({"version":1,"dim":2,"metric":"euclidean","vectors":[
                            {"id":"doc1","vector":[0.5,1.5],"metadata":{"title":"Hello"}},
                            {"id":"doc2","vector":[1e0,2],"unknown":{"a":[1,{"b":2}]}}]})")) == 2);
  CHECK(must(into.get_metadata("doc1")) == Json{{"title", "Hello"}});
  CHECK(must(into.get_metadata("doc2")).is_null());
  CHECK(must(into.get_vector("doc2")) == at(1, 2));
}

TEST_CASE("an import replaces entries as a whole; values only where the text has them") {
  const bool lines = is_lines();
  Plane from = plane();
  must(from.put("a", at(1, 1)));
  Plane into = plane();
  const auto fill_into = [&] {
    must(into.put("a", at(9, 9), {.value = "old", .metadata = {{"old", 1}}, .ttl = 1h}));
    must(into.put("other", at(3, 3), {.value = "stays"}));
  };
  fill_into();
  must(import_text(into, lines, exported(from, lines, {.values = false})));
  CHECK(shown(must(into.get_item("a"))) == "a (1.000000 1.000000 ) null =old");
  fill_into();
  must(import_text(into, lines, exported(from, lines)));
  CHECK(shown(must(into.get_item("a"))) == "a (1.000000 1.000000 ) null -");
  CHECK(must(into.get("other")).str() == "stays");
  CHECK(must(into.size()) == 2);

  fill_into();
  const auto before = shown(everything(into));
  CHECK(says(import_text(into, lines, exported(from, lines), {.only_new = true}), Errc::exists,
             "\"a\""));
  CHECK(shown(everything(into)) == before);
}

TEST_CASE("malformed documents change nothing, and the message says where") {
  Plane into = plane();
  must(into.put("a", at(1, 1), {.value = "v", .metadata = {{"t", 1}}}));
  const auto before = shown(everything(into));
  const std::uint64_t sequence = must(into.stats()).sequence;
  const auto refused = [&](const std::string& text, Errc code, const std::string& what) {
    INFO(text);
    const auto result = import_text(into, false, text);
    REQUIRE_FALSE(result);
    CHECK(result.error().code() == code);
    CHECK(result.error().message() ==
          "import_json: " + std::string(error_category().message(static_cast<int>(code))) + ": " +
              what);
    CHECK(shown(everything(into)) == before);
    CHECK(must(into.stats()).sequence == sequence);
  };
  const std::string good = R"({"id":"n","vector":[1,2]})";
  const auto records = [&](const std::string& bad) {
    return "{\"vectors\":[" + good + "," + bad + "]}";
  };
  constexpr Errc bad = Errc::invalid_argument;
  refused("[]", bad, "is no object");
  refused("17", bad, "is no object");
  refused("{}", bad, "there is no \"vectors\"");
  refused(R"({"vectors":{}})", bad, "\"vectors\" is no array");
  refused(R"({"vectors":7})", bad, "\"vectors\" is no array");
  refused(R"({"vectors":[],"vectors":[]})", bad, "\"vectors\" comes twice");
  refused(records("5"), bad, "vectors[1] is no object");
  refused(records("[]"), bad, "vectors[1] is no object");
  refused(records("{}"), bad, "vectors[1] has no id");
  refused(records(R"({"id":5,"vector":[1,2]})"), bad, "vectors[1].id is no text");
  refused(records(R"({"id_base64":"AA=","vector":[1,2]})"), bad,
          "vectors[1].id_base64 is no base64");
  refused(records(R"({"id":"x"})"), bad, "vectors[1] has no vector");
  refused(records(R"({"id":"x","vector":5})"), bad, "vectors[1].vector is no array of numbers");
  refused(records(R"({"id":"x","vector":{}})"), bad, "vectors[1].vector is no array of numbers");
  refused(records(R"({"id":"x","vector":[1,null]})"), bad, "vectors[1].vector[1] is no number");
  refused(records(R"({"id":"x","vector":[1,[2]]})"), bad, "vectors[1].vector[1] is no number");
  refused(records(R"({"id":"x","vector":[{}]})"), bad, "vectors[1].vector[0] is no number");
  refused(records(R"({"id":"x","vector":[1,2],"metadata":[]})"), bad,
          "vectors[1].metadata is no object");
  refused(records(R"({"id":"x","vector":[1,2],"value":1})"), bad, "vectors[1].value is no text");
  refused(records(R"({"id":"x","vector":[1,2],"value_base64":"?"})"), bad,
          "vectors[1].value_base64 is no base64");
  refused(records(R"({"id":"x","vector":[1,2],"expires_at":"soon"})"), bad,
          "vectors[1].expires_at is no time in milliseconds");
  refused(records(R"({"id":"x","vector":[1,2],"expires_at":18446744073709551615})"), bad,
          "vectors[1].expires_at is no time in milliseconds");
  refused(records(R"({"id":"x","vector":[1,2],"expires_at":-5})"), bad,
          "vectors[1]: expires_at is before 1970");
  refused(records(R"({"id":"n","vector":[1,2]})"), Errc::exists, "vectors[1]: \"n\" comes twice");
  refused(records(R"({"id":"x","vector":[1]})"), Errc::dimension_mismatch,
          "vectors[1]: the vector of \"x\" has 1 dimensions, not 2");
  refused(records(R"({"id":"x","vector":[1,2,3]})"), Errc::dimension_mismatch,
          "vectors[1].vector has more than 2 dimensions");
  refused(records(R"({"id":"x","vector":[1,1e39]})"), Errc::bad_vector,
          "vectors[1]: the vector of \"x\" is not finite");
  refused(R"({"version":2,"vectors":[]})", Errc::unsupported_version, "version is 2");
  refused(R"({"dim":3,"vectors":[]})", Errc::dimension_mismatch, "dim is 3, here it is 2");
  refused(R"({"vectors":[],"dim":3})", Errc::dimension_mismatch, "dim is 3, here it is 2");
  refused(R"({"metric":"cosine","vectors":[]})", Errc::metric_mismatch,
          "the metric is \"cosine\", here it is l2");
  refused(R"({"metric":"l9","vectors":[]})", bad, "unknown metric \"l9\"");
}

TEST_CASE("text that is no JSON changes nothing, and the message has line and column") {
  Plane into = plane();
  CHECK(
      says(import_text(into, false, "{\"vectors\":[\n{\"id\":\"a\",\"vector\":[1,2]},\n{\"id\" 5}"),
           Errc::invalid_argument, "line 3, column 7"));
  CHECK(says(import_text(into, false, R"({"vectors":[{"id":"a","vector":[1,2]}]} trailing)"),
             Errc::invalid_argument, "line 1"));
  CHECK(says(import_text(into, false, R"({"vectors":[{"id":"a","vector":[1,2]})"),
             Errc::invalid_argument, "unexpected end of input"));
  CHECK(says(import_text(into, false, ""), Errc::invalid_argument, "unexpected end of input"));
  CHECK(says(import_text(into, false, R"({"vectors":[{"id":"a","vector":[1,1e999]}]})"),
             Errc::invalid_argument, "number overflow"));
  CHECK(says(import_text(into, false, "{\"vectors\":[{\"id\":\"\xff\",\"vector\":[1,2]}]}"),
             Errc::invalid_argument, "ill-formed UTF-8"));
  CHECK(says(import_text(into, false, R"({"vectors":[{"id":"","vector":[1,2]}]})"),
             Errc::invalid_argument, "vectors[0]: "));
  CHECK(says(import_text(into, true, "{\"id\":\"a\",\"vector\":[1,2]}\n\n{\"id\" 5}\n"),
             Errc::invalid_argument, "line 3: parse error at line 1, column 7"));
  CHECK(says(
      import_text(into, true, "{\"id\":\"a\",\"vector\":[1,2]}\n{\"id\":\"b\",\"vector\":[1]}"),
      Errc::dimension_mismatch, "line 2: the vector of \"b\""));
  CHECK(says(import_text(into, true, "{\"id\":\"a\",\"vector\":[1,2]}\n5"), Errc::invalid_argument,
             "line 2 is no object"));
  CHECK(says(import_text(into, true, "{\"dim\":2}\n{\"dim\":2}\n"), Errc::invalid_argument,
             "line 2 has no id"));
  CHECK(says(import_text(into, true, "{\"dim\":3}\n"), Errc::dimension_mismatch, "dim is 3"));
  CHECK(must(into.size()) == 0);
  CHECK(must(import_text(into, true,
                         "{\"id\":\"a\",\"vector\":[1,2]}\r\n\n{\"id\":\"b\",\"vector\":[3,4]}")) ==
        2);
  CHECK(must(into.size()) == 2);
}

TEST_CASE("exports and imports report how far they are, and can be stopped") {
  const bool lines = is_lines();
  Plane from = plane();
  for (int i = 0; i < 600; ++i) {
    must(from.put("k" + std::to_string(i), at(static_cast<float>(i), 1)));
  }
  std::uint64_t last = 0;
  const std::string text =
      exported(from, lines, {.progress = [&](std::uint64_t done, std::uint64_t total) {
                 CHECK(total == 600);
                 CHECK(done >= last);
                 last = done;
                 return true;
               }});
  CHECK(last == 600);
  std::ostringstream out;
  const VectorExport stopped{.progress = [](auto...) { return false; }};
  CHECK(says(lines ? from.export_jsonl(out, stopped) : from.export_json(out, stopped),
             Errc::aborted, "export"));

  Plane into = plane();
  CHECK(says(import_text(into, lines, text, {.progress = [](auto...) { return false; }}),
             Errc::aborted, "import"));
  CHECK(must(into.size()) == 0);
  last = 0;
  must(import_text(into, lines, text, {.progress = [&](std::uint64_t done, std::uint64_t total) {
                     CHECK(total == 1200);
                     CHECK(done >= last);
                     last = done;
                     return true;
                   }}));
  CHECK(last == 1200);
  CHECK(must(into.stats()).unlinked == 0);
}

TEST_CASE("a stream that fails is an error") {
  Plane some = plane();
  must(some.put("a", at(1, 2)));
  std::ostringstream out;
  out.setstate(std::ios::badbit);
  CHECK(says(some.export_json(out), Errc::io_error, "stream"));
  CHECK(says(some.export_jsonl(out), Errc::io_error, "stream"));
  std::istringstream in("{}");
  in.setstate(std::ios::badbit);
  CHECK(says(some.import_json(in), Errc::io_error, "stream"));
  CHECK(says(some.import_jsonl(in), Errc::io_error, "stream"));
}

TEST_CASE("inside a transaction an import is a part of it, and an export sees it") {
  const bool lines = is_lines();
  Plane from = plane();
  fill(from);
  const std::string text = exported(from, lines);
  auto store = must(Store::open_in_memory());
  auto into = must(Plane::open(store, {.name = "points"}));
  {
    auto transaction = must(store.begin());
    auto bound = must(into.in(transaction));
    CHECK(must(import_text(bound, lines, text)) == 5);
    CHECK(says(import_text(bound, lines, text + "?"), Errc::invalid_argument, "import"));
    CHECK(must(bound.size()) == 5);
    CHECK(exported(bound, lines).find("\"count\":5") != std::string::npos);
    must(transaction.rollback());
  }
  CHECK(must(into.size()) == 0);
  CHECK(must(into.search(at(1, 2), 3)).empty());
  auto transaction = must(store.begin());
  auto bound = must(into.in(transaction));
  must(import_text(bound, lines, text));
  must(transaction.commit());
  CHECK(keys_of(must(into.search(at(1, 2), 1))) == "a");
}

TEST_CASE("a collection is made anew from its export, with its parameters") {
  const bool lines = is_lines();
  auto store = must(Store::open_in_memory());
  VectorCollections collections(store);
  auto from = must(collections.create("from", {.dim = 2,
                                               .metric = Metric::inner_product,
                                               .dtype = ElementType::i8,
                                               .m = 8,
                                               .ef_construction = 40,
                                               .ef_search = 33}));
  must(from.put("a", at(1, 2), {.value = "v"}));
  const std::string text = exported(from, lines);
  const auto make = [&](const std::string& from_text, std::string_view name,
                        const VectorStoreOptions& options = {}) {
    std::istringstream in(from_text);
    return lines ? collections.import_jsonl(name, in, options)
                 : collections.import_json(name, in, options);
  };
  auto copy = must(make(text, "copy"));
  const VectorInfo info = must(copy.info());
  CHECK(info.dim == 2);
  CHECK(info.metric == Metric::inner_product);
  CHECK(info.dtype == ElementType::i8);
  CHECK(info.m == 8);
  CHECK(info.ef_construction == 40);
  CHECK(info.ef_search == 33);
  CHECK(shown(everything(copy)) == shown(everything(from)));
  CHECK(must(must(make(text, "other", {.metric = Metric::l2, .m = 5})).info()).m == 5);

  CHECK(says(make(text, "copy"), Errc::exists, "copy"));
  CHECK(must(copy.size()) == 1);
  // Bad text leaves no collection behind.
  const std::string bad = lines ? text + "{}\n" : text + "?";
  CHECK(says(make(bad, "bad"), Errc::invalid_argument, "import"));
  CHECK(says(make("", "bad"), Errc::invalid_argument, "import"));
  CHECK(says(make(R"({"dim":2,"dtype":"f64","vectors":[]})", "bad"), Errc::invalid_argument,
             "unknown dtype \"f64\""));
  CHECK(says(make(R"({"dim":70000,"vectors":[]})", "bad"), Errc::invalid_argument, "dim"));
  CHECK(must(collections.list()) == std::vector<std::string>{"copy", "from", "other"});
  if (lines) {
    // Without the first line.
    CHECK(must(must(make("{\"id\":\"a\",\"vector\":[1,2,3]}\n", "bare")).info()).dim == 3);
  }
}
