// Collections of vectors whose rows or snapshots say what is not so: an error or a rebuild, no more
// memory than the file is large and 64 MiB, and no more than a second.
//
// SNKV_HOSTILE_RUNS sets how many mutated stores and snapshots there are, SNKV_HOSTILE_SEED which
// ones.
#include "regress/hostile_collections.hpp"

using namespace snkv;
using namespace snkv::test;

TEST_CASE("the stores that are damaged are sound before") {
  for (std::size_t kind = 0; kind < kinds; ++kind) {
    Calls calls;
    REQUIRE(calls.use(originals().copy(kind), kind));
    INFO(calls.messages);
    CHECK(calls.messages.empty());
  }
}

TEST_CASE("a row of a change that there was not, under a number that there is not") {
  for (const std::uint64_t changed : {std::uint64_t{0}, ~std::uint64_t{0}}) {
    for (const std::uint32_t number : {0u, 5u, 65535u, 0x7ffffffeu, 0xffffffffu}) {
      INFO(changed << ' ' << number);
      CHECK(damaged_case(
                0,
                [&](const Store& store) {
                  std::string row = row_of(store, rows, key_of(5));
                  overwrite(row, 0, number);
                  overwrite(row, 12, changed);
                  set_row(store, rows, key_of(5), row);
                  std::string state = row_of(store, meta, "state");
                  without_snapshot(state);
                  set_row(store, meta, "state", state);
                },
                expect_open) == "");
    }
  }
}

TEST_CASE("more numbers than there are rows for are an error before there is memory for them") {
  for (const std::size_t kind : {0u, 1u}) {
    for (const std::uint32_t next : {0x03000000u, 0x7fffffffu, 0x80000000u, 0xffffffffu}) {
      INFO(kind << ' ' << next);
      const auto damage = [&](const Store& store, bool use_log) {
        std::string row = row_of(store, rows, key_of(205));
        std::string state = row_of(store, meta, "state");
        overwrite(row, 0, next - 1);
        overwrite(state, next_number_at, next);
        if (!use_log) without_snapshot(state);
        set_row(store, rows, key_of(205), row);
        // The vector is there: nothing else is wrong.
        const std::vector<float> vector = vector_of(206);
        set_row(store, "snkv_vector_1_vectors", vd::vector_key(next - 1).view(),
                BytesView(vector.data(), vector.size() * sizeof(float)));
        set_row(store, meta, "state", state);
        if (!use_log) return;
        // The change that put it names the same number.
        const auto log = family_of(store, "snkv_vector_1_log");
        std::vector<std::pair<std::string, std::string>> changes;
        {
          vd::RowCursor cursor(log, {});
          for (; cursor.valid(); cursor.next()) {
            std::string change = cursor.value().str();
            if (change.ends_with(key_of(205))) {
              overwrite(change, 1, next - 1);
              changes.emplace_back(cursor.key().str(), change);
            }
          }
        }
        REQUIRE(!changes.empty());
        for (const auto& [key, change] : changes) set_row(store, "snkv_vector_1_log", key, change);
      };
      CHECK(damaged_case(
                kind, [&](const Store& store) { damage(store, false); }, expect_corrupt) == "");
      CHECK(damaged_case(
                kind, [&](const Store& store) { damage(store, true); }, expect_corrupt) == "");
    }
  }
}

TEST_CASE("numbers may be sparse after many erasures") {
  const TempDir dir;
  const std::string path = dir.file("sparse.db");
  constexpr std::size_t many = 70'000;
  VectorStoreOptions options{
      .name = "c", .dim = 1, .metric = Metric::l2, .m = 2, .ef_construction = 4};
  options.auto_save = false;
  {
    auto collection = must(VectorStore<>::open(path, options));
    std::vector<std::string> keys;
    std::vector<float> numbers;
    for (std::size_t i = 0; i < many; ++i) keys.push_back(key_of(i));
    for (std::size_t i = 0; i < many; ++i) numbers.push_back(static_cast<float>(i));
    Store store = collection.store();
    // Without the graph, which takes longest: as rows are after such a history.
    must(collection.put(key_of(0), std::vector<float>{0}));
    auto transaction = must(store.begin());
    auto bound = must(collection.in(transaction));
    std::vector<VectorItem> items;
    for (std::size_t i = 1; i < many; ++i)
      items.push_back({.key = keys[i], .vector = {&numbers[i], 1}});
    must(bound.put_batch(items));
    const std::vector<BytesView> gone(keys.begin(), keys.end() - 1);
    must(bound.erase_many(gone));
    must(transaction.commit());
  }
  auto collection = must(VectorStore<>::open(path, options));
  const auto hits = must(collection.search(std::vector<float>{1}, 10));
  REQUIRE(hits.size() == 1);
  CHECK(hits[0].key == key_of(many - 1));
  must(collection.put("one more", std::vector<float>{1}));
  CHECK(must(collection.search(std::vector<float>{1}, 1))[0].key == "one more");
}

TEST_CASE("counts of the state that are too small do not pass below zero") {
  CHECK(damaged_case(0, [](const Store& store) {
          std::string state = row_of(store, meta, "state");
          overwrite<std::uint64_t>(state, 25, 0);  // entries
          overwrite<std::uint64_t>(state, 33, 0);  // those with metadata
          set_row(store, meta, "state", state);
        }) == "");
  CHECK(damaged_case(
            0,
            [](const Store& store) {
              std::string state = row_of(store, meta, "state");
              overwrite<std::uint64_t>(state, 33, 0);
              set_row(store, meta, "state", state);
            },
            [](const Calls& calls) {
              if (!calls.messages.empty()) throw std::runtime_error(calls.messages);
            }) == "");
  CHECK(damaged_case(0, [](const Store& store) {
          std::string state = row_of(store, meta, "state");
          without_snapshot(state);
          overwrite<std::uint64_t>(state, 1, std::uint64_t{1} << 62);
          set_row(store, meta, "state", state);
        }) == "");
}

TEST_CASE("expiries that are wrong are purged and nothing else is") {
  (void)originals();
  CHECK(watch_cases(1, [&](std::size_t) {
          const std::string path = originals().copy(0);
          const auto expiries = [&](const Store& store) {
            std::uint64_t rows_left = 0;
            static_cast<void>(
                core::count_range(family_of(store, meta), core::prefix_range("e"), rows_left));
            return rows_left;
          };
          const Store store = must(Store::open(path));
          const std::uint64_t before = expiries(store);
          for (std::uint32_t i = 0; i < 1000; ++i) {
            const std::string whose = i % 3 == 0 ? key_of(2) : i % 3 == 1 ? "nobody" : "";
            set_row(store, meta, vd::expiry_key(1 + i, i).view(), whose);
          }
          auto collection = must(VectorStore<>::open(store, options_of(0)));
          const std::uint64_t purged = must(collection.purge_expired());
          if (purged != 5) throw std::runtime_error(std::to_string(purged) + " were purged");
          if (!must(collection.contains(key_of(2))))
            throw std::runtime_error("one that was alive is gone");
          if (expiries(store) != before - 5) throw std::runtime_error("rows are left");
          return bytes_of(path);
        }) == "");
}

TEST_CASE("a catalog that gives ids twice") {
  CHECK(damaged_case(0, [](const Store& store) {
          set_row(store, "snkv_vectors", BytesView("\0next_id", 8), BytesView("\1\0\0\0", 4));
          const auto made = VectorStore<>::open(store, {.name = "d", .dim = 5});
          if (made || !(made.error() == Errc::corrupt)) throw std::runtime_error("no error");
          // Two collections, one of which has other dimensions than the tables.
          std::string record = row_of(store, "snkv_vectors", "c");
          overwrite<std::uint32_t>(record, 8, 65536);
          set_row(store, "snkv_vectors", "d", record);
          const auto first = must(VectorStore<>::open(store, options_of(0)));
          const auto second = VectorStore<>::open(store, {.name = "d"});
          if (second || !(second.error() == Errc::corrupt)) throw std::runtime_error("no error");
        }) == "");
}

TEST_CASE("vectors that have no direction, or are at the end of the range") {
  for (std::size_t kind = 0; kind < kinds; ++kind) {
    for (const float x : {0.0f, 3.4e38f, 1e-45f}) {
      INFO(kind << ' ' << x);
      CHECK(damaged_case(kind, [&](const Store& store) {
              for (std::uint32_t number = 0; number < entries; ++number) {
                const float to[3] = {x, number % 2 == 0 ? -x : x, number % 3 == 0 ? -x : x};
                set_row(store, "snkv_vector_1_vectors", vd::vector_key(number).view(),
                        BytesView(to, sizeof to));
              }
              std::string state = row_of(store, meta, "state");
              without_snapshot(state);
              set_row(store, meta, "state", state);
            }) == "");
    }
  }
}

TEST_CASE("a log of many vectors of many dimensions, none of which is there") {
  const TempDir dir;
  const std::string path = dir.file("log.db");
  const VectorStoreOptions options{.name = "c",
                                   .dim = 65536,
                                   .metric = Metric::l2,
                                   .dtype = ElementType::i8,
                                   .m = 2,
                                   .ef_construction = 4,
                                   .threads = 1};
  {
    auto collection = must(VectorStore<>::open(path, options));
    must(collection.put("a", std::vector<float>(65536, 1)));
    const Store store = collection.store();
    std::string state = row_of(store, meta, "state");
    constexpr std::uint32_t changes = 4096;
    for (std::uint32_t i = 1; i < changes; ++i) {
      set_row(store, "snkv_vector_1_log", vd::change_key(i + 1).view(),
              vd::ChangeRow{vd::ChangeKind::vector, i, 7, "k" + std::to_string(i)}.encode().view());
    }
    overwrite<std::uint64_t>(state, 1, changes);
    overwrite<std::uint64_t>(state, 25, changes);
    overwrite<std::uint32_t>(state, next_number_at, changes);
    set_row(store, meta, "state", state);
  }
  CHECK(watch_cases(1, [&](std::size_t) {
          const auto opened = VectorStore<>::open(path, options);
          // The rows are the truth, and there is one.
          if (!opened || must(opened->ids()).size() != 1) throw std::runtime_error("not what the rows say");
          return bytes_of(path);
        }) == "");
}

namespace {

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t below(std::uint64_t bound) { return bound == 0 ? 0 : engine_() % bound; }
  /// One of the numbers that come out wrong where something is added, multiplied or cut off.
  std::uint64_t odd_number() {
    constexpr std::uint64_t numbers[] = {
        0,          1,          2,           299,        300,        301,
        65535,      65536,      0xffffff,    0x3000000,  0x7ffffffe, 0x7fffffff,
        0x80000000, 0xffffffff, 0x100000000, 1ull << 62, ~0ull >> 1, ~0ull};
    return numbers[below(std::size(numbers))];
  }

 private:
  std::mt19937_64 engine_;
};

void mutate_bytes(Random& random, std::string& bytes) {
  const std::uint64_t at = random.below(bytes.size() + 1);
  switch (random.below(7)) {
    case 0:
    case 1:
      if (at < bytes.size()) bytes[at] = static_cast<char>(random.below(256));
      break;
    case 2:
    case 3:
      if (at + 4 <= bytes.size())
        overwrite(bytes, at, static_cast<std::uint32_t>(random.odd_number()));
      break;
    case 4:
      if (at + 8 <= bytes.size()) overwrite(bytes, at, random.odd_number());
      break;
    case 5:
      bytes.resize(at);
      break;
    default:
      bytes.insert(at, 1 + random.below(9), static_cast<char>(random.below(256)));
  }
}

struct Row {
  std::string key;
  std::string value;
};

std::vector<Row> rows_of(const core::Target& family) {
  std::vector<Row> out;
  for (vd::RowCursor cursor(family, {}); cursor.valid(); cursor.next()) {
    out.push_back({cursor.key().str(), cursor.value().str()});
  }
  return out;
}

void mutate_row(Random& random, const Store& store) {
  constexpr std::string_view families[] = {meta,
                                           rows,
                                           "snkv_vector_1_log",
                                           meta,
                                           rows,
                                           "snkv_vector_1_log",
                                           "snkv_vector_1_vectors",
                                           "snkv_vectors"};
  const core::Target family = family_of(store, families[random.below(std::size(families))]);
  const std::vector<Row> all = rows_of(family);
  if (all.empty()) return;
  Row row = all[random.below(all.size())];
  // Most of the rows of meta are others.
  if (all.back().key == "state" && random.below(2) == 0) row = all.back();
  bool was = false;
  switch (random.below(8)) {
    case 0:
      static_cast<void>(core::erase(family, row.key, {}, was));
      return;
    case 1:
      mutate_bytes(random, row.key);
      break;
    case 2:
      row.value = all[random.below(all.size())].value;
      break;
    case 3: {
      const std::size_t depth = std::size_t{1} << random.below(17);
      row.value = row.value.substr(0, 20) + R"({"n":)" + std::string(depth, '[') +
                  std::string(depth, ']') + "}";
      break;
    }
    default:
      for (std::uint64_t i = 1 + random.below(3); i > 0; --i) mutate_bytes(random, row.value);
  }
  // An empty key is none.
  static_cast<void>(core::put(family, row.key, row.value, {}));
}

/// Changes the snapshot of a case: `change(content)`; then the checksums are those of what there
/// is.
template <class Change>
void change_snapshot(const std::string& path, Change&& change) {
  const Store store = must(Store::open(path));
  const core::Target& target = facade::Door::target(store);
  ThreadPool pool(1);
  std::string content;
  {
    vd::SideSource source(pool);
    if (source.open(target, "-vectors-1").failed()) throw std::runtime_error("no snapshot");
    content.resize(source.remaining());
    source.read(content.data(), content.size());
    if (source.error().failed()) throw std::runtime_error(source.error().message());
  }
  change(content);
  vd::SideSink sink(pool);
  if (sink.create(target, "-vectors-1").failed())
    throw std::runtime_error("cannot write a snapshot");
  sink.write(content.data(), content.size());
  if (sink.finish().failed() || sink.publish().failed())
    throw std::runtime_error("cannot write a snapshot");
}

/// Where the names begin: behind the version, the stamp and the configuration.
constexpr std::size_t names_at = 4 + 16 + 4 + 8 + 8 + 8 + 1 + 1 + 4 + 4;

}  // namespace

TEST_CASE("snapshots that say that they are larger than they are") {
  (void)originals();
  for (const std::uint64_t size : {std::uint64_t{1} << 31, std::uint64_t{61} << 30}) {
    for (const std::uint64_t length :
         {std::uint64_t{1} << 27, std::uint64_t{0x7fffffff}, ~std::uint64_t{0}}) {
      for (const bool whole : {false, true}) {
        INFO(size << ' ' << length << ' ' << whole);
        CHECK(watch_cases(1, [&](std::size_t) {
                const std::string path = originals().copy(0);
                change_snapshot(path, [&](std::string& content) {
                  if (!whole) overwrite(content, names_at, length);
                  content.resize(std::size_t{1} << 19);
                });
                const std::int64_t bytes = bytes_of(path);
                std::filesystem::resize_file(path + "-vectors-1", size);
                Calls calls;
                const bool opened = calls.use(path, 0);
                if (!opened || !calls.messages.empty()) throw std::runtime_error(calls.messages);
                return bytes;
              }) == "");
      }
    }
  }
}

TEST_CASE("mutated rows") {
  const std::uint64_t seed = parameter("SNKV_HOSTILE_SEED", 1);
  const std::uint64_t runs = parameter("SNKV_HOSTILE_RUNS", 60);
  INFO("seed " << seed);
  (void)originals();
  CHECK(watch_cases(runs, [&](std::size_t i) {
          Random random(seed * 1'000'003 + i);
          const std::size_t kind = random.below(kinds);
          const std::string path = originals().copy(kind);
          {
            const Store store = must(Store::open(path));
            for (std::uint64_t n = 1 + random.below(3); n > 0; --n) mutate_row(random, store);
          }
          // Half of them are read from their rows, the others from the snapshot and the log.
          if (random.below(2) == 0) std::filesystem::remove(path + "-vectors-1");
          Calls calls;
          for (int times = 0; times < 2; ++times) calls.use(path, kind);
          return bytes_of(path);
        }) == "");
}

TEST_CASE("mutated snapshots whose checksums are right") {
  const std::uint64_t seed = parameter("SNKV_HOSTILE_SEED", 1);
  const std::uint64_t runs = parameter("SNKV_HOSTILE_RUNS", 60);
  INFO("seed " << seed);
  (void)originals();
  CHECK(watch_cases(runs, [&](std::size_t i) {
          Random random(seed * 1'000'033 + i);
          const std::size_t kind = random.below(kinds);
          const std::string path = originals().copy(kind);
          change_snapshot(path, [&](std::string& content) {
            const std::size_t kept = random.below(4) == 0 ? 0 : names_at;
            for (std::uint64_t n = 1 + random.below(3); n > 0; --n) {
              std::string rest = content.substr(std::min(kept, content.size()));
              mutate_bytes(random, rest);
              content.replace(std::min(kept, content.size()), std::string::npos, rest);
            }
          });
          if (random.below(4) == 0) {
            const auto size = std::filesystem::file_size(path + "-vectors-1");
            std::filesystem::resize_file(path + "-vectors-1", random.below(2 * size + 1));
          }
          Calls calls;
          // What can be made anew never keeps a collection from being opened.
          if (!calls.use(path, kind)) throw std::runtime_error(calls.messages);
          calls.use(path, kind);
          return bytes_of(path);
        }) == "");
}
