// Snapshots of a collection: what is read is what was written, or it is refused.
#include "concurrency/threads.hpp"
#include "support/catch.hpp"
#include "support/check.hpp"
#include "support/temp_dir.hpp"
#include "vectors.hpp"

#include <snkv/snkv.hpp>
#include <snkv/vector/detail/image/image_file.hpp>
#include <snkv/vector/detail/image/side_stream.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

using namespace snkv;
using namespace snkv::test;
using namespace snkv::vector_detail;

namespace {

constexpr std::size_t dim = 20;

/// An image with what it has to have, by keys.
class Image {
 public:
  explicit Image(IndexConfig config) : index(config, best_kernels<0>()) {}

  void put(std::uint32_t number, std::vector<float> vector) {
    const std::string key = "key " + std::to_string(number) + std::string(number % 5, '.');
    const Label label = names.assign(number, key, ++sequence, number % 7 == 0 ? 1000 + number : 0);
    metadata.put(number, {{"n", number}, {"odd", number % 2 == 1}});
    index.put(label, vector.data());
    model[number] = std::move(vector);
  }
  void erase(std::uint32_t number) {
    names.forget(number);
    metadata.erase(number);
    index.erase(number);
    model.erase(number);
  }
  void link() {
    index.maintain(pool, [](std::uint64_t, std::uint64_t) { return true; });
  }
  [[nodiscard]] ImageStamp stamp() const { return {{1, 2, 3}, 4, sequence, 99}; }
  [[nodiscard]] std::vector<std::byte> bytes() {
    const FrozenImage frozen(stamp(), index, names, metadata);
    MemorySink sink;
    frozen.write(sink);
    return std::move(sink.bytes());
  }
  /// Whether it was accepted.
  bool load(ByteSource& source) {
    const ImageStamp read = read_stamp(source);
    read_image(source, read, index, names, metadata);
    sequence = read.sequence;
    return !source.error().failed();
  }

  IndexCore index;
  NameTable names;
  MetadataIndex metadata;
  std::map<std::uint32_t, std::vector<float>> model;
  std::uint64_t sequence = 0;
  ThreadPool pool{2};
};

IndexConfig config_of(ElementType type, bool keep_vectors = true) {
  return {.dim = dim,
          .metric = Metric::l2,
          .type = type,
          .m = 8,
          .ef_construction = 60,
          .keep_vectors = keep_vectors};
}

/// `size` entries, a tenth of them replaced and a tenth erased, the last few not linked.
void fill(Image& image, std::uint32_t size, std::uint64_t seed) {
  ClusteredVectors source(dim, 30, seed);
  for (std::uint32_t number = 0; number < size; ++number) image.put(number, source.next());
  image.link();
  for (std::uint32_t number = 0; number < size; number += 10) image.put(number, source.next());
  for (std::uint32_t number = 5; number < size; number += 10) image.erase(number);
  image.link();
  for (std::uint32_t number = size; number < size + 20; ++number) image.put(number, source.next());
}

std::vector<std::pair<Label, float>> nearest(const Image& image, const std::vector<float>& query) {
  SearchRequest request;
  request.k = 5;
  request.rerank = true;
  std::vector<std::pair<Label, float>> found;
  for (const Hit& hit : image.index.search(query.data(), request)) {
    found.emplace_back(hit.label, hit.distance);
  }
  return found;
}

/// Everything in it is what it was, searches included.
void require_equal(const Image& image, const Image& original, std::uint64_t seed) {
  REQUIRE(image.sequence == original.sequence);
  REQUIRE(image.index.size() == original.model.size());
  REQUIRE(image.names.live() == original.model.size());
  REQUIRE(image.metadata.size() == original.model.size());
  for (std::uint32_t number = 0; number < original.names.bound(); ++number) {
    REQUIRE(image.names.contains(number) == original.model.contains(number));
    REQUIRE(image.metadata.contains(number) == original.model.contains(number));
    REQUIRE(image.names.owner(number) == original.names.owner(number));
    REQUIRE(image.names.changed(number) == original.names.changed(number));
    REQUIRE(image.names.expires_at(number) == original.names.expires_at(number));
    if (!image.names.contains(number)) continue;
    REQUIRE(image.names.key(number) == original.names.key(number));
  }
  const Filter odd = field("odd") == true;
  REQUIRE(image.metadata.resolve(odd.node()).possible.count() ==
          original.metadata.resolve(odd.node()).possible.count());
  ClusteredVectors queries(dim, 30, seed);
  for (int i = 0; i < 200; ++i) {
    const std::vector<float> query = queries.next();
    REQUIRE(nearest(image, query) == nearest(original, query));
  }
}

/// Uses an image of which nothing is known but that it was accepted.
void use(Image& image, ClusteredVectors& source) {
  for (int i = 0; i < 3; ++i) static_cast<void>(nearest(image, source.next()));
  for (std::uint32_t number = 0; number < image.names.bound(); number += 50) {
    if (image.names.contains(number)) static_cast<void>(image.names.key(number).size());
  }
  static_cast<void>(image.metadata.resolve((field("n") > 10).node()));
  image.put(0, source.next());
  image.link();
}

}  // namespace

TEST_CASE("names take no more memory than was said before they came") {
  NameTable names;
  for (std::uint32_t number = 0; number < 4000;) {
    const std::uint32_t more = number % 7 == 0 ? 100 : 1;
    const std::uint64_t expected = names.memory_with(more);
    for (std::uint32_t i = 0; i < more; ++i, ++number) {
      static_cast<void>(names.assign(number, "the key of " + std::to_string(number), number + 1, 0));
    }
    CAPTURE(number, more);
    REQUIRE(names.memory() <= expected);
    REQUIRE(expected <= names.memory() * 2 + 4096);
  }
}

TEST_CASE("a snapshot is read as it was written") {
  const ElementType type = GENERATE(ElementType::f32, ElementType::f16, ElementType::i8);
  const bool keep_vectors = GENERATE(true, false);
  // Too few to train the quantizer, and enough; and none.
  const std::uint32_t size = GENERATE(0u, 100u, 2500u);
  CAPTURE(to_string(type), keep_vectors, size);
  Image original(config_of(type, keep_vectors));
  if (size != 0) fill(original, size, 41);
  const std::vector<std::byte> bytes = original.bytes();
  Image image(config_of(type, keep_vectors));
  MemorySource source(bytes);
  REQUIRE(image.load(source));
  require_equal(image, original, 41);
  // It can be written again, to the same bytes, and be changed as the original.
  CHECK(image.bytes() == bytes);
  ClusteredVectors more(dim, 30, 42);
  for (std::uint32_t number = 0; number < 300; ++number) {
    const std::vector<float> vector = more.next();
    image.put(number, vector);
    image.link();
    const auto found = nearest(image, vector);
    REQUIRE_FALSE(found.empty());
    REQUIRE(found[0].first == image.names.owner(number));
  }
  image.index.compact(image.pool, [](std::uint64_t, std::uint64_t) { return true; });
  CHECK(image.index.generation()->graph.dead() == 0);
}

TEST_CASE("a snapshot of the middle of linking keeps the links that there are") {
  const ElementType type = GENERATE(ElementType::f32, ElementType::i8);
  CAPTURE(to_string(type));
  Image original(config_of(type));
  ClusteredVectors source(dim, 30, 49);
  for (std::uint32_t number = 0; number < 5000; ++number) original.put(number, source.next());
  // Links go to slots all over the place, and are stopped after some of them.
  original.index.maintain(original.pool, [](std::uint64_t, std::uint64_t) { return false; });
  const auto linked_of = [](const Image& image) {
    const auto generation = image.index.generation();
    const Graph& graph = generation->graph;
    std::vector<Slot> linked;
    for (Slot slot = 0; slot < graph.size(); ++slot) {
      if (graph.is_linked(slot)) linked.push_back(slot);
    }
    return linked;
  };
  const std::vector<Slot> linked = linked_of(original);
  REQUIRE(linked.size() > 500);
  REQUIRE(linked.size() < 4500);
  REQUIRE(linked.back() > 4000);
  const std::vector<std::byte> bytes = original.bytes();
  Image image(config_of(type));
  MemorySource read(bytes);
  REQUIRE(image.load(read));
  CHECK(linked_of(image) == linked);
  CHECK(image.bytes() == bytes);
  require_equal(image, original, 49);  // the rest is scanned
  image.link();
  CHECK(linked_of(image).size() == 5000);
  std::size_t missed = 0;
  for (const auto& [number, vector] : image.model) {
    missed += nearest(image, vector).at(0).first == image.names.owner(number) ? 0 : 1;
  }
  CHECK(missed == 0);
}

TEST_CASE("snapshots of other kinds of collections are refused") {
  Image original(config_of(ElementType::f16));
  fill(original, 300, 43);
  const std::vector<std::byte> bytes = original.bytes();
  const auto refused = [&](IndexConfig config) {
    Image image(config);
    MemorySource source(bytes);
    return !image.load(source) && image.index.size() == 0;
  };
  IndexConfig other = config_of(ElementType::f16);
  CHECK_FALSE(refused(other));
  other.dim = dim + 1;
  CHECK(refused(other));
  other = config_of(ElementType::f16);
  other.metric = Metric::cosine;
  CHECK(refused(other));
  other = config_of(ElementType::f16);
  other.m = 9;
  CHECK(refused(other));
  CHECK(refused(config_of(ElementType::i8)));
  // Kept vectors can be left out, but not made.
  CHECK_FALSE(refused(config_of(ElementType::f16, false)));
  Image without(config_of(ElementType::f16, false));
  fill(without, 300, 43);
  const std::vector<std::byte> fewer = without.bytes();
  Image wants(config_of(ElementType::f16));
  MemorySource source(fewer);
  CHECK_FALSE(wants.load(source));
}

TEST_CASE("a snapshot that is written beside changes is of one moment") {
  const ElementType type = GENERATE(ElementType::f32, ElementType::i8);
  CAPTURE(to_string(type));
  Image image(config_of(type));
  fill(image, 3000, 44);
  const auto then = image.model;
  const ImageStamp stamp = image.stamp();
  std::optional<FrozenImage> frozen(std::in_place, stamp, image.index, image.names, image.metadata);
  std::atomic<bool> stop{false};
  MemorySink sink;
  std::thread writer([&] {
    ClusteredVectors source(dim, 30, 45);
    for (std::uint32_t i = 0; i < 2000 || !stop.load(); ++i) {
      if (i % 3 == 0) {
        image.erase(i % 3000);
      } else {
        image.put(i % 3500, source.next());
      }
      image.link();
    }
  });
  // Some of it is written while there is more of everything already.
  while (image.index.generation()->graph.size() < 3500) std::this_thread::yield();
  frozen->write(sink);
  stop.store(true);
  writer.join();
  Image read(config_of(type));
  MemorySource source(sink.bytes());
  REQUIRE(read.load(source));
  REQUIRE(read.sequence == stamp.sequence);
  REQUIRE(read.index.size() == then.size());
  std::size_t missed = 0;
  for (const auto& [number, vector] : then) {
    const auto found = nearest(read, vector);
    REQUIRE_FALSE(found.empty());
    if (found[0].first != read.names.owner(number)) ++missed;
  }
  CHECK(missed <= then.size() / 200);
}

TEST_CASE("damaged snapshots are refused by the parser, or lead nowhere") {
  const ElementType type = GENERATE(ElementType::f32, ElementType::i8);
  const std::uint64_t seed = 46;
  CAPTURE(to_string(type), seed);
  Image original(config_of(type));
  fill(original, 400, seed);
  const std::vector<std::byte> good = original.bytes();
  // Where the graph begins, of which most bytes are numbers that may be anything.
  ClusteredVectors random(dim, 5, seed);
  std::size_t refused = 0;
  constexpr int mutations = 1500;
  for (int i = 0; i < mutations; ++i) {
    std::vector<std::byte> bytes = good;
    switch (random.random() % 4) {
      case 0:
        bytes.resize(random.random() % bytes.size());
        break;
      case 1: {
        // A word, which may be a length or a link.
        const std::uint32_t values[] = {0, 1, 0x7fffffff, 0xffffffff, 0x80000000, 420};
        const std::uint32_t value = values[random.random() % 6];
        std::memcpy(&bytes[random.random() % (bytes.size() / 4) * 4], &value, sizeof value);
        break;
      }
      case 2:
        // The beginning of one, the end of another.
        std::swap_ranges(bytes.begin(), bytes.begin() + 64,
                         bytes.begin() + static_cast<std::ptrdiff_t>(
                                             64 + random.random() % (bytes.size() - 128)));
        break;
      default:
        bytes[random.random() % bytes.size()] ^= static_cast<std::byte>(1u << random.random() % 8);
    }
    MemorySource source(bytes);
    Image image(config_of(type));
    if (!image.load(source)) {
      ++refused;
      REQUIRE(image.index.size() == 0);
      continue;
    }
    use(image, random);
  }
  CHECK(refused > mutations / 4);
}

TEST_CASE("a side file is what was written to it, or it is refused") {
  const TempDir dir;
  const std::string path = (dir.path() / "store.db").string();
  const Store store = must(Store::open(path));
  const auto& target = facade::Door::target(store);
  ThreadPool pool(2);
  Image original(config_of(ElementType::f32));
  fill(original, 5000, 47);
  const auto save = [&] {
    SideSink sink(pool);
    REQUIRE_FALSE(sink.create(target, "-vectors-1").failed());
    const FrozenImage frozen(original.stamp(), original.index, original.names, original.metadata);
    frozen.write(sink);
    REQUIRE_FALSE(sink.error().failed());
    REQUIRE_FALSE(sink.finish().failed());
    REQUIRE_FALSE(sink.publish().failed());
  };
  {
    SideSource source(pool);
    REQUIRE(source.open(target, "-vectors-1") == Errc::not_found);
  }
  save();
  save();  // in the place of the first
  const std::string file = path + "-vectors-1";
  const auto load = [&] {
    SideSource source(pool);
    if (source.open(target, "-vectors-1").failed()) return false;
    Image image(config_of(ElementType::f32));
    if (!image.load(source)) return false;
    require_equal(image, original, 47);
    return true;
  };
  REQUIRE(load());
  const std::vector<char> good = [&] {
    std::ifstream in(file, std::ios::binary);
    return std::vector<char>(std::istreambuf_iterator<char>(in), {});
  }();
  REQUIRE(good.size() > 3 * 262144);  // several chunks
  const auto write = [&](const std::vector<char>& bytes) {
    std::ofstream(file, std::ios::binary | std::ios::trunc)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  };
  ClusteredVectors random(2, 1, 48);
  for (int i = 0; i < 500; ++i) {
    std::vector<char> bytes = good;
    switch (i % 5) {
      case 0:
        bytes.resize(random.random() % bytes.size());
        break;
      case 1:
        // A whole chunk is missing, or is there twice.
        if (i % 2 == 0) {
          bytes.erase(bytes.begin() + 72, bytes.begin() + 72 + 262144 + 16);
        } else {
          bytes.insert(bytes.begin() + 72, good.begin() + 72, good.begin() + 72 + 262144 + 16);
        }
        break;
      case 2:
        // Two chunks have changed places.
        std::swap_ranges(bytes.begin() + 72, bytes.begin() + 72 + 262144 + 16,
                         bytes.begin() + 72 + 262144 + 16);
        break;
      case 3:
        bytes[random.random() % 72] ^= static_cast<char>(1 << random.random() % 8);
        break;
      default:
        bytes[random.random() % bytes.size()] ^= static_cast<char>(1 << random.random() % 8);
    }
    write(bytes);
    CAPTURE(i);
    REQUIRE_FALSE(load());
  }
  write(good);
  REQUIRE(load());
}

TEST_CASE("each chunk of a side file belongs to its place, and the last one is the last") {
  const bool encrypted = GENERATE(false, true);
  CAPTURE(encrypted);
  const TempDir dir;
  const std::string path = (dir.path() / "store.db").string();
  const std::string key(Secret::key_size, 'k');
  const Store store =
      must(encrypted ? Store::open_encrypted(path, Secret::key(key)) : Store::open(path));
  const auto& target = facade::Door::target(store);
  ThreadPool pool(2);
  constexpr std::size_t chunk_size = 262144;
  constexpr std::ptrdiff_t header = 72;
  constexpr std::ptrdiff_t whole = chunk_size + 16;
  // Nothing but the tags can tell one chunk from another.
  const std::vector<std::byte> content(5 * chunk_size, std::byte{42});
  SideSink sink(pool);
  REQUIRE_FALSE(sink.create(target, "-vectors-1").failed());
  sink.write(content.data(), 1000);  // so that some chunks go through the buffer, others do not
  sink.write(content.data() + 1000, content.size() - 1000);
  REQUIRE_FALSE(sink.error().failed());
  REQUIRE_FALSE(sink.finish().failed());
  REQUIRE_FALSE(sink.publish().failed());
  const std::string file = path + "-vectors-1";
  std::vector<char> good;
  {
    std::ifstream in(file, std::ios::binary);
    good.assign(std::istreambuf_iterator<char>(in), {});
  }
  REQUIRE(good.size() == header + 5 * whole + 16);  // and an empty chunk
  const auto reads = [&](const std::vector<char>& bytes) {
    std::ofstream(file, std::ios::binary | std::ios::trunc)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    SideSource source(pool);
    if (source.open(target, "-vectors-1").failed()) return false;
    std::vector<std::byte> all(static_cast<std::size_t>(source.remaining()));
    source.read(all.data(), all.size());
    if (source.error().failed()) return false;
    const bool equal = all == content;
    REQUIRE(equal);
    return true;
  };
  REQUIRE(reads(good));
  const auto at = [&](std::vector<char>& bytes, int chunk) {
    return bytes.begin() + header + chunk * whole;
  };
  for (int one = 0; one < 5; ++one) {
    CAPTURE(one);
    for (int other = one + 1; other < 5; ++other) {
      std::vector<char> bytes = good;
      std::swap_ranges(at(bytes, one), at(bytes, one) + whole, at(bytes, other));
      CHECK_FALSE(reads(bytes));
    }
    std::vector<char> bytes = good;
    bytes.erase(at(bytes, one), at(bytes, one) + whole);
    CHECK_FALSE(reads(bytes));
    bytes = good;
    bytes.insert(at(bytes, one), at(good, one), at(good, one) + whole);
    CHECK_FALSE(reads(bytes));
    bytes = good;
    bytes.erase(at(bytes, one + 1), bytes.end());  // it ends there, with whole chunks
    CHECK_FALSE(reads(bytes));
  }
  REQUIRE(reads(good));
}

TEST_CASE("side files come and go as a whole") {
  const TempDir dir;
  const std::string path = (dir.path() / "store.db").string();
  const Store store = must(Store::open(path));
  const auto files = [&] {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(dir.path())) {
      if (entry.path().filename().string().find("-vectors-") != std::string::npos) ++count;
    }
    return count;
  };
  const std::byte some[3]{};
  ThreadPool pool(1);
  {
    SideSink sink(pool);
    REQUIRE_FALSE(sink.create(facade::Door::target(store), "-vectors-7").failed());
    sink.write(some, sizeof some);
    CHECK(files() == 1);
  }
  CHECK(files() == 0);
  // What a killed process left behind is removed by the next, what another writes is not.
  std::ofstream(path + "-vectors-7.tmp-1-1") << "left";
  SideSink first(pool);
  REQUIRE_FALSE(first.create(facade::Door::target(store), "-vectors-7").failed());
  SideSink second(pool);
  REQUIRE_FALSE(second.create(facade::Door::target(store), "-vectors-7").failed());
  CHECK(files() == 2);
  REQUIRE_FALSE(first.finish().failed());
  REQUIRE_FALSE(first.publish().failed());
  {
    SideSource source(pool);
    REQUIRE_FALSE(source.open(facade::Door::target(store), "-vectors-7").failed());
    CHECK(source.remaining() == 0);
    std::byte nothing{};
    source.read(&nothing, 1);
    CHECK(source.error() == Errc::corrupt);
  }
  second.write(some, sizeof some);
  REQUIRE_FALSE(second.finish().failed());
  REQUIRE_FALSE(second.publish().failed());
  CHECK(files() == 1);
  REQUIRE_FALSE(core::remove_side_file(facade::Door::target(store), "-vectors-7").failed());
  REQUIRE_FALSE(core::remove_side_file(facade::Door::target(store), "-vectors-7").failed());
  CHECK(files() == 0);

  SideSink refused(pool);
  CHECK(refused.create(facade::Door::target(store), "-wal") == Errc::invalid_argument);
  CHECK(refused.create(facade::Door::target(store), "-vectors-../x") == Errc::invalid_argument);
  const Store in_memory = must(Store::open_in_memory());
  CHECK(refused.create(facade::Door::target(in_memory), "-vectors-1") == Errc::invalid_argument);
  const Store read_only = must(Store::open(path, {.read_only = true}));
  CHECK(refused.create(facade::Door::target(read_only), "-vectors-1") == Errc::read_only);
  std::ofstream(path + "-vectors-8") << std::string(200, 'x');
  SideSource source(pool);
  CHECK(source.open(facade::Door::target(store), "-vectors-8") == Errc::corrupt);
}
