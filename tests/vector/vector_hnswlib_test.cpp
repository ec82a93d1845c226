// hnswlib is what holds elements and links, and its index files are read and written.
#include "support/catch.hpp"
#include "support/check.hpp"
#include "support/temp_dir.hpp"
#include "vectors.hpp"

#include <hnswlib/hnswlib.h>
#include <snkv/vector/index.hpp>

#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

using namespace snkv;
using namespace snkv::test;

namespace {

constexpr std::size_t dim = 24;
using AnyIndex = VectorIndex<dynamic_extent, AnyMetric>;
using Upstream = hnswlib::HierarchicalNSW<float>;
using Data = std::map<std::uint64_t, std::vector<float>>;

void normalise(std::vector<float>& vector) {
  vector_detail::prepare_vector(Metric::cosine, vector.data(), vector.size(), vector.data());
}

/// Labels are no numbers in a row.
Data make_data(Metric metric, std::size_t count, unsigned seed) {
  ClusteredVectors source(dim, 20, seed);
  Data data;
  for (std::size_t i = 0; i < count; ++i) {
    std::vector<float> vector = source.next();
    if (metric == Metric::cosine) normalise(vector);
    data[(std::uint64_t{1} << 40) + 7 * i] = std::move(vector);
  }
  return data;
}

std::unique_ptr<hnswlib::SpaceInterface<float>> space_of(Metric metric) {
  if (metric == Metric::l2) return std::make_unique<hnswlib::L2Space>(dim);
  return std::make_unique<hnswlib::InnerProductSpace>(dim);
}

std::set<std::uint64_t> labels_of(const std::vector<Neighbor>& hits) {
  std::set<std::uint64_t> out;
  for (const Neighbor& hit : hits) out.insert(hit.label);
  return out;
}
std::set<std::uint64_t> search(Upstream& index, const std::vector<float>& query, std::size_t k) {
  std::set<std::uint64_t> out;
  for (auto found = index.searchKnn(query.data(), k); !found.empty(); found.pop()) out.insert(found.top().second);
  return out;
}
/// With as many candidates a walk goes everywhere, and finds what it can reach.
constexpr std::size_t everywhere = 4000;

std::string contents_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

AnyIndex make(Metric metric, ElementType type = ElementType::f32) {
  return must(AnyIndex::create({.dim = dim, .metric = metric, .dtype = type, .threads = 2}));
}

void save_upstream(const std::string& path, const Data& data, Metric metric) {
  const auto space = space_of(metric);
  Upstream index(space.get(), data.size(), 16, 128);
  for (const auto& [label, vector] : data) index.addPoint(vector.data(), label);
  index.saveIndex(path);
}

}  // namespace

TEST_CASE("hnswlib's own search walks the elements of a graph") {
  const ElementType type = GENERATE(ElementType::f32, ElementType::f16, ElementType::i8);
  ClusteredVectors source(dim, 20, 5);
  std::vector<std::vector<float>> vectors;
  for (int i = 0; i < 2000; ++i) vectors.push_back(source.next());
  ThreadPool pool(1);
  const auto& kernels = vector_detail::best_kernels<dim>();
  auto quantizer = vector_detail::Quantizer::train(
      dim, vectors.size(), [&](std::size_t i) { return vectors[i].data(); }, pool);
  if (type != ElementType::i8) quantizer = {};
  vector_detail::Graph graph(vector_detail::Codec(Metric::l2, type, dim, kernels, quantizer), 16, 128);
  vector_detail::Scratch scratch(graph.codec());
  std::size_t clamped = 0;
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    graph.link(graph.append(vectors[i].data(), 5000 + i, clamped), scratch);
  }
  auto& upstream = graph.as_hnswlib();
  CHECK(upstream.cur_element_count == vectors.size());
  CHECK(upstream.M_ == 16);
  CHECK(upstream.data_size_ == graph.codec().stride());
  upstream.visited_list_pool_ = std::make_unique<hnswlib::VisitedListPool>(1, static_cast<int>(vectors.size()));
  upstream.setEf(100);
  std::size_t same = 0;
  for (vector_detail::Slot slot = 0; slot < 200; ++slot) {
    const auto found = upstream.searchKnn(graph.code(slot), 10);
    REQUIRE(found.size() == 10);
    graph.codec().prepare_code(graph.code(slot), scratch.query, scratch.numbers.data());
    graph.search(scratch, 100);
    std::vector<std::uint64_t> mine;
    for (std::size_t i = 0; i < 10; ++i) mine.push_back(graph.label(scratch.pool[i].slot));
    for (auto rest = found; !rest.empty(); rest.pop()) {
      same += std::count(mine.begin(), mine.end(), rest.top().second) != 0 ? 1u : 0u;
    }
  }
  CHECK(same >= 1980);
  graph.kill(7);
  CHECK(upstream.isMarkedDeleted(7));
}

TEST_CASE("an index of hnswlib gives the same neighbours here") {
  const Metric metric = GENERATE(Metric::l2, Metric::inner_product, Metric::cosine);
  CAPTURE(to_string(metric));
  const TempDir dir;
  const std::string path = (dir.path() / "upstream.bin").string();
  const Data data = make_data(metric, everywhere, 21);
  save_upstream(path, data, metric);

  const auto space = space_of(metric);
  Upstream upstream(space.get(), path);
  upstream.setEf(everywhere);
  const AnyIndex index = must(AnyIndex::load_hnswlib(path, {.dim = dim, .metric = metric, .threads = 2}));
  CHECK(index.size() == data.size());
  CHECK(index.stats().unlinked == 0);
  ClusteredVectors source(dim, 20, 22);
  std::size_t different = 0;
  for (int i = 0; i < 2000; ++i) {
    std::vector<float> query = source.next();
    if (metric == Metric::cosine) normalise(query);
    const auto mine = labels_of(must(index.search(query, 10, {.ef = everywhere})));
    if (mine == search(upstream, query, 10)) continue;
    // Elements to which no link leads, which hnswlib does not find, are linked here.
    different += mine != labels_of(must(index.search(query, 10, {.exact = true}))) ? 1 : 0;
  }
  CHECK(different <= 2);  // two roundings of one distance
}

TEST_CASE("hnswlib gives the same neighbours for an index from here") {
  const Metric metric = GENERATE(Metric::l2, Metric::inner_product, Metric::cosine);
  const ElementType type = GENERATE(ElementType::f32, ElementType::i8);
  CAPTURE(to_string(metric), to_string(type));
  const TempDir dir;
  const std::string path = (dir.path() / "ours.bin").string();
  AnyIndex index = make(metric, type);
  const Data data = make_data(metric, everywhere, 23);
  for (const auto& [label, vector] : data) must(index.put(label, vector));
  // Of what was erased nothing is in the file.
  std::uint64_t erased = data.begin()->first;
  REQUIRE(index.erase(erased));
  must(index.save_hnswlib(path));

  const auto space = space_of(metric);
  Upstream upstream(space.get(), path);
  upstream.checkIntegrity();
  CHECK(upstream.cur_element_count == data.size() - 1);
  upstream.setEf(everywhere);
  ClusteredVectors source(dim, 20, 24);
  std::size_t different = 0;
  for (int i = 0; i < 2000; ++i) {
    std::vector<float> query = source.next();
    if (metric == Metric::cosine) normalise(query);
    different +=
        labels_of(must(index.search(query, 10, {.ef = everywhere, .oversample = 20}))) != search(upstream, query, 10) ? 1 : 0;
  }
  CHECK(different <= 2);
  // And back.
  const AnyIndex again = must(AnyIndex::load_hnswlib(path, {.dim = dim, .metric = metric, .dtype = type}));
  CHECK(again.size() == index.size());
  CHECK_FALSE(again.contains(erased));
}

TEST_CASE("what is marked as deleted in a file is not found, and its label is free") {
  const TempDir dir;
  const std::string path = (dir.path() / "upstream.bin").string();
  const Data data = make_data(Metric::l2, 500, 25);
  const auto space = space_of(Metric::l2);
  Upstream upstream(space.get(), data.size());
  for (const auto& [label, vector] : data) upstream.addPoint(vector.data(), label);
  const std::uint64_t deleted = data.rbegin()->first;
  upstream.markDelete(deleted);
  upstream.saveIndex(path);

  AnyIndex index = must(AnyIndex::load_hnswlib(path, {.dim = dim, .metric = Metric::l2}));
  CHECK(index.size() == data.size() - 1);
  CHECK_FALSE(index.contains(deleted));
  CHECK(must(index.search(data.at(deleted), 1)).front().label != deleted);
  must(index.add(deleted, data.at(deleted)));
  CHECK(must(index.search(data.at(deleted), 1)).front().label == deleted);
}

TEST_CASE("hnswlib finds the copies of an index from here") {
  const TempDir dir;
  const std::string path = (dir.path() / "copies.bin").string();
  AnyIndex index = make(Metric::l2);
  const Data data = make_data(Metric::l2, 40, 29);
  std::uint64_t label = 0;
  for (int copy = 0; copy < 50; ++copy) {
    for (const auto& [ignored, vector] : data) must(index.put(label++, vector));
  }
  must(index.save_hnswlib(path));
  const auto space = space_of(Metric::l2);
  Upstream upstream(space.get(), path);
  upstream.checkIntegrity();
  upstream.setEf(static_cast<std::size_t>(label));
  for (const auto& [ignored, vector] : data) {
    CHECK(search(upstream, vector, 50) == labels_of(must(index.search(vector, 50, {.ef = 2000}))));
  }
}

TEST_CASE("an empty index is saved and loaded") {
  const TempDir dir;
  const std::string path = (dir.path() / "empty.bin").string();
  AnyIndex index = make(Metric::l2);
  must(index.save_hnswlib(path));
  AnyIndex again = must(AnyIndex::load_hnswlib(path, {.dim = dim, .metric = Metric::l2}));
  CHECK(again.size() == 0);
  must(again.put(1, std::vector<float>(dim, 1.0f)));
  CHECK(must(again.search(std::vector<float>(dim, 1.0f), 1)).size() == 1);
}

TEST_CASE("files that do not fit are refused with the reason") {
  const TempDir dir;
  const std::string path = (dir.path() / "upstream.bin").string();
  Data data = make_data(Metric::l2, 100, 26);
  save_upstream(path, data, Metric::l2);
  const auto load = [&](const std::string& from, VectorIndexOptions options) {
    auto loaded = AnyIndex::load_hnswlib(from, options);
    REQUIRE_FALSE(loaded);
    CHECK(loaded.error().message().find(from) != std::string::npos);
    return loaded.error().code();
  };
  CHECK(load(path, {.dim = dim + 1, .metric = Metric::l2}) == Errc::dimension_mismatch);
  CHECK(load(path, {.dim = dim, .metric = Metric::cosine}) == Errc::bad_vector);
  CHECK(load((dir.path() / "none").string(), {.dim = dim, .metric = Metric::l2}) == Errc::cant_open);
  CHECK(load(dir.path().string(), {.dim = dim, .metric = Metric::l2}) == Errc::cant_open);
  const std::string fifo = (dir.path() / "fifo").string();
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  CHECK(load(fifo, {.dim = dim, .metric = Metric::l2}) == Errc::cant_open);
  const std::string text = (dir.path() / "text").string();
  std::ofstream(text) << std::string(500, 'x');
  CHECK(load(text, {.dim = dim, .metric = Metric::l2}) == Errc::corrupt);
  std::ofstream(text) << "short";
  CHECK(load(text, {.dim = dim, .metric = Metric::l2}) == Errc::corrupt);

  data.begin()->second[3] = std::numeric_limits<float>::quiet_NaN();
  save_upstream(path, data, Metric::l2);
  CHECK(load(path, {.dim = dim, .metric = Metric::l2}) == Errc::bad_vector);

  AnyIndex index = make(Metric::l2);
  auto saved = index.save_hnswlib((dir.path() / "no" / "such" / "folder").string());
  REQUIRE_FALSE(saved);
  CHECK(saved.error().code() == Errc::cant_open);
}

TEST_CASE("hnswlib has no metric l1") {
  const TempDir dir;
  auto index = must(AnyIndex::create({.dim = dim, .metric = Metric::l1}));
  REQUIRE_ERRC(index.save_hnswlib(dir.file("index")), Errc::invalid_argument);
  save_upstream(dir.file("index"), make_data(Metric::l2, 20, 1), Metric::l2);
  REQUIRE_ERRC(AnyIndex::load_hnswlib(dir.file("index"), {.dim = dim, .metric = Metric::l1}),
               Errc::invalid_argument);
}

TEST_CASE("damaged files give an error or an index that can be used") {
  const TempDir dir;
  const std::string path = (dir.path() / "upstream.bin").string();
  const std::string damaged = (dir.path() / "damaged.bin").string();
  const Data data = make_data(Metric::l2, 300, 27);
  save_upstream(path, data, Metric::l2);
  const std::string whole = contents_of(path);
  const unsigned seed = 28;
  CAPTURE(seed);
  std::mt19937 random(seed);
  const auto below = [&](std::size_t end) { return std::uniform_int_distribution<std::size_t>(0, end - 1)(random); };
  std::size_t refused = 0;
  for (int i = 0; i < 400; ++i) {
    std::string bytes = whole;
    switch (i % 4) {
      case 0: bytes[below(96)] = static_cast<char>(below(256)); break;             // the head
      case 1: bytes[below(bytes.size())] ^= static_cast<char>(1u << below(8)); break;
      case 2: bytes.resize(below(bytes.size())); break;
      default:  // a word
        for (std::size_t k = 0, at = below(bytes.size() - 8) / 4 * 4; k < 4; ++k) bytes[at + k] = '\xff';
    }
    std::ofstream(damaged, std::ios::binary) << bytes;
    auto loaded = AnyIndex::load_hnswlib(damaged, {.dim = dim, .metric = Metric::l2});
    if (!loaded) {
      ++refused;
      continue;
    }
    CHECK(loaded->size() <= 300);
    must(loaded->search(data.begin()->second, 10));
    must(loaded->put(1, data.begin()->second));
  }
  CHECK(refused >= 150);
}
