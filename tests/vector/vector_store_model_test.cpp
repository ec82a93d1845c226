// VectorStore against a map: random operations through several handles, of which one has the file
// open for itself, in and outside of transactions; what is rolled back leaves no trace.
#include "support/check.hpp"
#include "support/fake_clock.hpp"
#include "support/temp_dir.hpp"
#include "vector/open_vectors.hpp"
#include "vector/vectors.hpp"

#include <snkv/vector/store.hpp>

#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace snkv::test {
namespace {

using namespace std::chrono_literals;

struct Wanted {
  std::vector<float> vector;
  std::string value;
  Json metadata;
  std::int64_t expires_at = 0;
};
using Model = std::map<std::string, Wanted>;

class Run {
 public:
  Run(std::uint64_t seed, Metric metric, ElementType dtype)
      : random_(seed), points_(dim, 6, seed), metric_(metric), dtype_(dtype) {
    for (int i = 0; i < 2; ++i) {
      stores_.push_back(must(open_store(dir_.file("vectors.db"), {.clock = clock_.source()})));
    }
    for (int i = 0; i < 3; ++i) open(stores_[static_cast<std::size_t>(i) % 2]);
  }

  void step(int number) {
    VectorStore<>& handle = handles_[random_() % handles_.size()];
    switch (random_() % 12) {
      case 0:
        return transaction(handle);
      case 1:
        return batch(handle);
      case 2:
        clock_.advance(std::chrono::milliseconds(random_() % 2000));
        return;
      case 3:
        return check_search(handle);
      case 4:
        if (number % 7 == 0) return maintain(handle);
        [[fallthrough]];
      default:
        return change(handle, model_);
    }
  }

  void check() {
    for (VectorStore<>& handle : handles_) {
      check_rows(handle);
      check_search(handle);
    }
  }

  void reopen() {
    handles_.clear();
    for (Store& store : stores_) must(store.close());
    stores_.clear();
    for (int i = 0; i < 2; ++i) {
      stores_.push_back(must(open_store(dir_.file("vectors.db"), {.clock = clock_.source()})));
      open(stores_.back());
    }
  }

 private:
  static constexpr std::size_t dim = 8;

  void open(Store& store) {
    handles_.push_back(must(VectorStore<>::open(
        store, {.name = "m", .dim = dim, .metric = metric_, .dtype = dtype_, .threads = 2})));
  }
  std::string some_key() { return "key " + std::to_string(random_() % 200); }
  Json some_metadata() {
    return {{"n", random_() % 10}, {"tag", random_() % 2 == 0 ? "even" : "odd"}};
  }
  bool alive(const Model& model, const std::string& key) const {
    const auto at = model.find(key);
    return at != model.end() && !expired(at->second);
  }
  bool expired(const Wanted& wanted) const {
    return wanted.expires_at != 0 && wanted.expires_at <= clock_.now();
  }

  void put(VectorStore<>& handle, Model& model) {
    const std::string key = some_key();
    const bool there = alive(model, key);
    Wanted next;
    if (there) {
      next.value = model[key].value;
      next.metadata = model[key].metadata;
    }
    next.vector = points_.next();
    VectorPut options;
    std::string value;
    if (!there || random_() % 2 == 0) {
      value = next.value = std::to_string(random_());
      options.value = value;
    }
    if (random_() % 2 == 0) options.metadata = next.metadata = some_metadata();
    if (random_() % 8 == 0) {
      options.metadata = Json::object();
      next.metadata = Json();
    }
    if (random_() % 4 == 0) {
      options.ttl = std::chrono::milliseconds(1 + random_() % 20000);
      next.expires_at = clock_.now() + options.ttl->count();
    }
    const bool adds = random_() % 4 == 0;
    const auto result =
        adds ? handle.add(key, next.vector, options) : handle.put(key, next.vector, options);
    if (adds && there) {
      REQUIRE_ERRC(result, Errc::exists);
      return;
    }
    REQUIRE_OK(result);
    model[key] = next;
  }

  void update(VectorStore<>& handle, Model& model) {
    const std::string key = some_key();
    VectorUpdate change;
    const std::vector<float> vector = points_.next();
    const Json metadata = some_metadata();
    const bool moves = random_() % 2 == 0;
    if (moves) change.vector = vector;
    if (!moves || random_() % 2 == 0) change.metadata = metadata;
    if (!alive(model, key)) {
      REQUIRE_ERRC(handle.update(key, change), Errc::not_found);
      return;
    }
    REQUIRE_OK(handle.update(key, change));
    if (moves) model[key].vector = vector;
    if (!change.metadata.is_null()) model[key].metadata = metadata;
  }

  void change(VectorStore<>& handle, Model& model) {
    switch (random_() % 10) {
      case 0:
      case 1:
      case 2: {
        const std::string key = some_key();
        const bool there = alive(model, key);
        CHECK(must(handle.erase(key)) == there);
        model.erase(key);
        return;
      }
      case 3:
        return update(handle, model);
      case 4: {
        const std::uint64_t n = random_() % 10;
        std::uint64_t matching = 0;
        for (auto at = model.begin(); at != model.end();) {
          const bool matches = at->second.metadata.is_object() && at->second.metadata["n"] == n &&
                               !expired(at->second);
          matching += matches ? 1 : 0;
          at = matches ? model.erase(at) : std::next(at);
        }
        CHECK(must(handle.erase_if(field("n") == n)) == matching);
        return;
      }
      default:
        return put(handle, model);
    }
  }

  void batch(VectorStore<>& handle) {
    std::vector<std::string> keys;
    std::vector<std::vector<float>> vectors;
    for (std::size_t i = 0; i < 20; ++i) {
      keys.push_back(some_key());
      vectors.push_back(points_.next());
    }
    std::vector<VectorItem> items;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      items.push_back({.key = keys[i],
                       .vector = vectors[i],
                       .value = keys[i],
                       .metadata = {{"n", i % 10}, {"tag", "batch"}}});
    }
    REQUIRE_OK(handle.put_batch(items));
    for (std::size_t i = 0; i < keys.size(); ++i) {
      model_[keys[i]] = {vectors[i], keys[i], items[i].metadata, 0};
    }
  }

  void transaction(VectorStore<>& handle) {
    Store store = handle.store();
    Transaction transaction = must(store.begin());
    VectorStore<> inside = must(handle.in(transaction));
    Model copy = model_;
    const std::uint64_t steps = 1 + random_() % 6;
    for (std::uint64_t i = 0; i < steps; ++i) change(inside, copy);
    std::uint64_t alive_ones = 0;
    for (const auto& [key, wanted] : copy) alive_ones += expired(wanted) ? 0 : 1;
    CHECK(must(inside.size()) == alive_ones);
    if (random_() % 2 == 0) {
      must(transaction.rollback());
    } else {
      must(transaction.commit());
      model_ = std::move(copy);
    }
  }

  void maintain(VectorStore<>& handle) {
    switch (random_() % 4) {
      case 0:
        return must(handle.compact());
      case 1:
        static_cast<void>(must(handle.purge_expired(random_() % 3)));
        return;
      case 2:
        if (random_() % 4 != 0) return;
        must(handle.clear());
        model_.clear();
        return;
      default:
        return must(handle.save());
    }
  }

  void check_rows(VectorStore<>& handle) {
    std::vector<std::string> keys;
    for (const auto& [key, wanted] : model_) {
      if (expired(wanted)) {
        CHECK_FALSE(must(handle.contains(key)));
        continue;
      }
      keys.push_back(key);
      const VectorRecord record = must(handle.get_item(key));
      CHECK(record.vector == wanted.vector);
      CHECK(record.value.has_value());
      CHECK(record.value->view() == wanted.value);
      CHECK(record.metadata == wanted.metadata);
      CHECK(record.expires_at.has_value() == (wanted.expires_at != 0));
    }
    CHECK(must(handle.ids()) == keys);
    CHECK(must(handle.size()) == keys.size());
    for (std::uint64_t n = 0; n < 10; ++n) {
      std::vector<std::string> matching;
      for (const std::string& key : keys) {
        const Json& metadata = model_[key].metadata;
        if (metadata.is_object() && metadata["n"] == n) matching.push_back(key);
      }
      CHECK(must(handle.count(field("n") == n)) == matching.size());
      std::vector<std::string> listed;
      for (const auto& record : must(handle.items({.filter = field("n") == n}))) {
        listed.push_back(record.key);
      }
      CHECK(listed == matching);
    }
  }

  void check_search(VectorStore<>& handle) {
    const std::vector<float> query = points_.next();
    const std::uint64_t n = random_() % 10;
    for (const bool filtered : {false, true}) {
      std::vector<std::pair<float, std::string>> expected;
      for (const auto& [key, wanted] : model_) {
        if (expired(wanted)) continue;
        if (filtered && !(wanted.metadata.is_object() && wanted.metadata["n"] <= n)) continue;
        expected.emplace_back(static_cast<float>(exact_distance(metric_, query, wanted.vector)),
                              key);
      }
      std::sort(expected.begin(), expected.end());
      VectorSearch options{.exact = true};
      if (filtered) options.filter = field("n") <= n;
      const auto hits = must(handle.search(query, 7, options));
      REQUIRE(hits.size() == std::min<std::size_t>(7, expected.size()));
      for (std::size_t i = 0; i < hits.size(); ++i) {
        CHECK(hits[i].key == expected[i].second);
        CHECK(std::abs(hits[i].distance - expected[i].first) <=
              1e-4f * (1 + std::abs(expected[i].first)));
        CHECK(hits[i].metadata == model_[hits[i].key].metadata);
        CHECK(hits[i].value->view() == model_[hits[i].key].value);
      }
      // All of them, by walking; of so few none is missed.
      const auto keys = must(
          handle.search_keys(query, expected.size() + 1, {.filter = options.filter, .ef = 400}));
      CHECK(keys.size() == expected.size());
    }
  }

  TempDir dir_;
  FakeClock clock_;
  std::mt19937_64 random_;
  ClusteredVectors points_;
  const Metric metric_;
  const ElementType dtype_;
  std::vector<Store> stores_;
  std::vector<VectorStore<>> handles_;
  Model model_;
};

TEST_CASE("random operations through several handles agree with a map", "[vector][store]") {
  const auto [metric, dtype, seed] = GENERATE(table<Metric, ElementType, std::uint64_t>({
      {Metric::cosine, ElementType::f32, 1},
      {Metric::l2, ElementType::f32, 2},
      {Metric::inner_product, ElementType::f16, 3},
      {Metric::l2, ElementType::i8, 4},
      {Metric::l1, ElementType::i8, 5},
  }));
  CAPTURE(seed, to_string(metric), to_string(dtype));
  Run run(seed, metric, dtype);
  for (int i = 0; i < 1200; ++i) {
    CAPTURE(i);
    run.step(i);
    if (i % 150 == 149) run.check();
    if (i % 400 == 399) {
      run.reopen();
      run.check();
    }
  }
}

}  // namespace
}  // namespace snkv::test
