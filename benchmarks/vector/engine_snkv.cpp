// VectorStore in a file: durable, and searched through its public interface; and VectorIndex. It
// compiles against earlier versions too, so that one run can compare them.
#include "measure.hpp"
#include "vector/engine.hpp"

#include <snkv/vector/index.hpp>
#include <snkv/vector/store.hpp>

#include <charconv>
#include <chrono>
#include <filesystem>
#include <optional>

namespace benchmark {
namespace {

snkv::Metric metric_of(const Dataset& data) {
  return data.cosine ? snkv::Metric::cosine : snkv::Metric::l2;
}

class Snkv final : public VectorEngine {
 public:
  Snkv(std::string folder, snkv::ElementType type, bool keep_vectors)
      : folder_(std::move(folder)), type_(type), keep_vectors_(keep_vectors) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  ~Snkv() override {
    store_ = {};
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  void build(const Dataset& data, bool grouped) override {
    options_.dim = data.dim;
    options_.metric = metric_of(data);
    options_.dtype = type_;
    options_.keep_vectors = keep_vectors_;
    options_.threads = 2;
    open();
    std::vector<std::string> keys;
    for (std::size_t i = 0; i < data.size(); ++i) keys.push_back(std::to_string(i));
    std::vector<snkv::VectorItem> items(data.size());
    for (std::size_t i = 0; i < data.size(); ++i) {
      items[i].key = keys[i];
      items[i].vector = data.vector(i);
      if (grouped) items[i].metadata = {{"group", group_of(i)}};
    }
    must(store_.put_batch(items));
    dim_ = data.dim;
  }

  void search(const float* query, std::size_t ef, std::span<std::uint32_t> out) override {
    numbers_of(must(store_.search_keys(std::span(query, dim_), out.size(), {.ef = ef})), out);
  }
  bool search_groups(const float* query, std::size_t ef, std::size_t below,
                     std::span<std::uint32_t> out) override {
    if (below != below_) filter_ = snkv::field("group") < static_cast<int>(below_ = below);
    numbers_of(
        must(store_.search_keys(std::span(query, dim_), out.size(), {.filter = filter_, .ef = ef})),
        out);
    return true;
  }
  bool search_batch(const Dataset& data, std::size_t ef) override {
    must(store_.search_keys_batch(data.queries, Dataset::truth_size, {.ef = ef}));
    return true;
  }
  double reopen() override {
    must(store_.save());
    store_ = {};
    const auto start = std::chrono::steady_clock::now();
    open();
    if (!must(store_.stats()).loaded) std::abort();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }

  [[nodiscard]] std::uint64_t memory() const override { return must(store_.stats()).memory_bytes; }

 private:
  void open() { store_ = must(snkv::VectorStore<>::open(folder_ + "/store.db", options_)); }
  static void numbers_of(const std::vector<snkv::VectorKey>& hits, std::span<std::uint32_t> out) {
    for (std::size_t i = 0; i < hits.size(); ++i) {
      std::from_chars(hits[i].key.data(), hits[i].key.data() + hits[i].key.size(), out[i]);
    }
  }

  std::string folder_;
  snkv::ElementType type_;
  bool keep_vectors_;
  std::size_t dim_ = 0;
  std::size_t below_ = 0;
  snkv::Filter filter_;
  snkv::VectorStoreOptions options_;
  snkv::VectorStore<> store_;
};

class SnkvIndex final : public VectorEngine {
 public:
  explicit SnkvIndex(snkv::ElementType type) : type_(type) {}

  void build(const Dataset& data, bool) override {
    index_ = must(snkv::VectorIndex<snkv::dynamic_extent, snkv::AnyMetric>::create(
        {.dim = data.dim, .metric = metric_of(data), .dtype = type_, .threads = 2}));
    std::vector<std::uint64_t> labels(data.size());
    for (std::size_t i = 0; i < data.size(); ++i) labels[i] = i;
    must(index_->put_batch(labels, data.vectors));
    dim_ = data.dim;
  }

  void search(const float* query, std::size_t ef, std::span<std::uint32_t> out) override {
    numbers_of(must(index_->search(std::span(query, dim_), out.size(), {.ef = ef})), out);
  }
  bool search_groups(const float* query, std::size_t ef, std::size_t below,
                     std::span<std::uint32_t> out) override {
    search_if(*index_, query, ef, out,
              [below](std::uint64_t label) { return group_of(label) < below; });
    return true;
  }
  [[nodiscard]] std::uint64_t memory() const override {
    const snkv::VectorIndexStats stats = index_->stats();
    return stats.code_bytes + stats.link_bytes + stats.vector_bytes;
  }

 private:
  /// Before there was `search_if`, the condition was one of the options.
  template <class Index, class Accepts>
  void search_if(Index& index, const float* query, std::size_t ef, std::span<std::uint32_t> out,
                 Accepts accepts) {
    const std::span vector(query, dim_);
    if constexpr (requires { index.search_if(vector, out.size(), accepts, {.ef = ef}); }) {
      numbers_of(must(index.search_if(vector, out.size(), accepts, {.ef = ef})), out);
    } else {
      numbers_of(must(index.search(vector, out.size(), {.ef = ef, .filter = accepts})), out);
    }
  }
  static void numbers_of(const std::vector<snkv::Neighbor>& hits, std::span<std::uint32_t> out) {
    for (std::size_t i = 0; i < hits.size(); ++i)
      out[i] = static_cast<std::uint32_t>(hits[i].label);
  }

  snkv::ElementType type_;
  std::size_t dim_ = 0;
  std::optional<snkv::VectorIndex<snkv::dynamic_extent, snkv::AnyMetric>> index_;
};

}  // namespace

VectorEngineKind snkv_engine(const std::string& type) {
  const snkv::ElementType element =
      type.ends_with("f32") ? snkv::ElementType::f32 : snkv::ElementType::i8;
  if (type.starts_with("index")) {
    return {"snkv " + type, "VectorIndex, " + type,
            [element](const std::string&) { return std::make_unique<SnkvIndex>(element); }};
  }
  return {"snkv " + type, "VectorStore::search_keys, a store in a file, " + type,
          [type, element](const std::string& folder) {
            return std::make_unique<Snkv>(folder, element, type != "i8, vectors in the file");
          }};
}

}  // namespace benchmark

// The one name of a library that is made of this file.
extern "C" __attribute__((visibility("default"))) void snkv_benchmark_engine(
    const std::string& type, benchmark::VectorEngineKind& kind) {
  kind = benchmark::snkv_engine(type);
}
