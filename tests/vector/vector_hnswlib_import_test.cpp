// Collections out of index files of hnswlib.
#include "support/catch.hpp"
#include "support/check.hpp"
#include "support/files.hpp"
#include "support/temp_dir.hpp"
#include "vectors.hpp"

#include <snkv/snkv.hpp>
#include <snkv/vector.hpp>
#include <snkv/vector/index.hpp>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

using namespace snkv;
using namespace snkv::test;

namespace {

constexpr std::size_t dim = 12;
using Points = VectorStore<dynamic_extent, AnyMetric>;
using Vectors = std::vector<std::vector<float>>;

Vectors make_vectors(std::size_t count) {
  ClusteredVectors source(dim, 10, 3);
  Vectors out;
  for (std::size_t i = 0; i < count; ++i) out.push_back(source.next());
  return out;
}

/// Labels are 1000 + 3 i.
std::uint64_t label_of(std::size_t i) { return 1000 + 3 * i; }
/// Not by hnswlib, whose `addPoint` reads past the end of what it has allocated.
void save(const Vectors& vectors, const std::string& path) {
  auto index = must(VectorIndex<dim, L2>::create({.m = 8, .ef_construction = 60, .threads = 1}));
  for (std::size_t i = 0; i < vectors.size(); ++i) must(index.put(label_of(i), vectors[i]));
  must(index.save_hnswlib(path));
}

/// Overwrites bytes of the element of a label, whose parts lie one behind the other: links, vector, label.
void change(const std::string& path, std::uint64_t label, std::size_t at, const void* bytes, std::size_t size) {
  constexpr std::size_t head = 96;
  constexpr std::size_t links = (2 * 8 + 1) * 4;
  constexpr std::size_t label_at = links + dim * sizeof(float);
  constexpr std::size_t element = label_at + sizeof(std::uint64_t);
  std::string file = read_file(path);
  for (std::size_t start = head; start + element <= file.size(); start += element) {
    if (std::memcmp(file.data() + start + label_at, &label, sizeof label) != 0) continue;
    std::memcpy(file.data() + start + at, bytes, size);
    write_file(path, file);
    return;
  }
  FAIL("there is no label " << label);
}
void mark_deleted(const std::string& path, std::uint64_t label) {
  constexpr char mark = 1;
  change(path, label, 2, &mark, 1);  // behind the number of links, of 16 bits
}

Points points_in(const Store& store, std::string_view name = "points") {
  return must(Points::open(store, {.name = name, .dim = dim, .metric = Metric::l2}));
}

}  // namespace

TEST_CASE("the elements of an index of hnswlib become entries") {
  const TempDir dir;
  const Vectors vectors = make_vectors(700);
  save(vectors, dir.file("index"));
  mark_deleted(dir.file("index"), label_of(5));
  mark_deleted(dir.file("index"), label_of(6));
  Store store = must(Store::open_in_memory());
  Points points = points_in(store);
  std::uint64_t last = 0;
  const auto progress = [&](std::uint64_t done, std::uint64_t total) {
    CHECK(done >= last);
    CHECK(done <= total);
    last = done;
    return true;
  };
  CHECK(must(points.import_hnswlib(dir.file("index"), {}, {.progress = progress})) == 698);
  CHECK(last > 700);
  CHECK(must(points.size()) == 698);
  REQUIRE_ERRC(points.get_vector(std::to_string(label_of(5))), Errc::not_found);
  for (const std::size_t i : {0u, 7u, 699u}) {
    CHECK(must(points.get_vector(std::to_string(label_of(i)))) == vectors[i]);
    CHECK(must(points.search_keys(vectors[i], 1)).front().key == std::to_string(label_of(i)));
  }
  CHECK(must(points.stats()).unlinked == 0);
  // A second time the same entries are replaced, or refused.
  CHECK(must(points.import_hnswlib(dir.file("index"))) == 698);
  CHECK(must(points.size()) == 698);
  REQUIRE_ERRC(points.import_hnswlib(dir.file("index"), {}, {.only_new = true}), Errc::exists);
}

TEST_CASE("the keys are what the caller makes of the labels") {
  const TempDir dir;
  save(make_vectors(50), dir.file("index"));
  Store store = must(Store::open_in_memory());
  Points points = points_in(store);
  const auto named = [](std::uint64_t label) { return "doc:" + std::to_string(label); };
  CHECK(must(points.import_hnswlib(dir.file("index"), named)) == 50);
  CHECK(must(points.contains("doc:1003")));

  Points others = points_in(store, "others");
  const auto same = [](std::uint64_t) { return std::string("one"); };
  REQUIRE_ERRC(others.import_hnswlib(dir.file("index"), same), Errc::exists);
  const auto none = [](std::uint64_t) { return std::string(); };
  REQUIRE_ERRC(others.import_hnswlib(dir.file("index"), none), Errc::invalid_argument);
  const auto long_one = [](std::uint64_t) { return std::string(max_key_size + 1, 'k'); };
  REQUIRE_ERRC(others.import_hnswlib(dir.file("index"), long_one), Errc::too_large);
  const auto throwing = [](std::uint64_t) -> std::string { throw std::runtime_error("no name"); };
  REQUIRE_ERRC(others.import_hnswlib(dir.file("index"), throwing), Errc::aborted);
  CHECK(must(others.size()) == 0);

  SkippedEntries skipped;
  CHECK(must(others.import_hnswlib(dir.file("index"), same, {.refused = Refused::skip, .skipped = &skipped})) == 1);
  CHECK(skipped.count == 49);
  CHECK(skipped.first.front().place.starts_with("label 1"));
}

TEST_CASE("all of a file is imported, or nothing") {
  const TempDir dir;
  save(make_vectors(600), dir.file("index"));
  const float nan = std::numeric_limits<float>::quiet_NaN();
  change(dir.file("index"), label_of(500), (2 * 8 + 1) * 4, &nan, sizeof nan);
  Store store = must(Store::open_in_memory());
  Points points = points_in(store);
  REQUIRE_ERRC(points.import_hnswlib(dir.file("index")), Errc::bad_vector);
  REQUIRE_ERRC(points.import_hnswlib(dir.file("none")), Errc::cant_open);
  REQUIRE_ERRC(points.import_hnswlib(dir.path().string()), Errc::cant_open);
  const auto stop = [](std::uint64_t done, std::uint64_t) { return done < 200; };
  REQUIRE_ERRC(points.import_hnswlib(dir.file("index"), {}, {.progress = stop}), Errc::aborted);
  auto narrow = must(Points::open(store, {.name = "narrow", .dim = 3, .metric = Metric::l2}));
  REQUIRE_ERRC(narrow.import_hnswlib(dir.file("index")), Errc::dimension_mismatch);
  REQUIRE_ERRC(Points().import_hnswlib(dir.file("index")), Errc::closed);
  CHECK(must(points.size()) == 0);

  SkippedEntries skipped;
  CHECK(must(points.import_hnswlib(dir.file("index"), {}, {.refused = Refused::skip, .skipped = &skipped})) == 599);
  CHECK(skipped.count == 1);

  // A part of a transaction.
  Points others = points_in(store, "others");
  save(make_vectors(40), dir.file("small"));
  Transaction transaction = must(store.begin());
  CHECK(must(must(others.in(transaction)).import_hnswlib(dir.file("small"))) == 40);
  must(transaction.rollback());
  CHECK(must(others.size()) == 0);
}

TEST_CASE("a new collection gets the dimensions of the file, or is not made") {
  const TempDir dir;
  const Vectors vectors = make_vectors(80);
  save(vectors, dir.file("index"));
  VectorCollections collections(must(Store::open_in_memory()));
  const auto made = must(collections.import_hnswlib("made", dir.file("index"), {}, {.metric = Metric::l2}));
  CHECK(made.dim() == dim);
  CHECK(must(made.size()) == 80);
  REQUIRE_ERRC(collections.import_hnswlib("made", dir.file("index")), Errc::exists);

  std::filesystem::resize_file(dir.file("index"), std::filesystem::file_size(dir.file("index")) - 10);
  REQUIRE_ERRC(collections.import_hnswlib("damaged", dir.file("index")), Errc::corrupt);
  REQUIRE_ERRC(collections.import_hnswlib("damaged", dir.file("index"), {}, {.dim = dim}), Errc::corrupt);
  std::ofstream(dir.file("text")) << "no index";
  REQUIRE_ERRC(collections.import_hnswlib("damaged", dir.file("text")), Errc::corrupt);
  CHECK(must(collections.list()) == std::vector<std::string>{"made"});
}
