// VectorStore in a file: durable, and searched through its public interface.
#include "measure.hpp"
#include "vector/engine.hpp"

#include <snkv/vector/store.hpp>

#include <charconv>
#include <filesystem>

namespace benchmark {
namespace {

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

  void build(const Dataset& data) override {
    snkv::VectorStoreOptions options;
    options.dim = data.dim;
    options.metric = data.cosine ? snkv::Metric::cosine : snkv::Metric::l2;
    options.dtype = type_;
    options.keep_vectors = keep_vectors_;
    options.threads = 2;
    store_ = must(snkv::VectorStore<>::open(folder_ + "/store.db", options));
    std::vector<std::string> keys;
    for (std::size_t i = 0; i < data.size(); ++i) keys.push_back(std::to_string(i));
    std::vector<snkv::VectorItem> items(data.size());
    for (std::size_t i = 0; i < data.size(); ++i) {
      items[i].key = keys[i];
      items[i].vector = data.vector(i);
    }
    must(store_.put_batch(items));
    dim_ = data.dim;
  }

  void search(const float* query, std::size_t ef, std::span<std::uint32_t> out) override {
    const auto hits = must(store_.search_keys(std::span(query, dim_), out.size(), {.ef = ef}));
    for (std::size_t i = 0; i < hits.size(); ++i) {
      std::from_chars(hits[i].key.data(), hits[i].key.data() + hits[i].key.size(), out[i]);
    }
  }

  [[nodiscard]] std::uint64_t memory() const override { return must(store_.stats()).memory_bytes; }

 private:
  std::string folder_;
  snkv::ElementType type_;
  bool keep_vectors_;
  std::size_t dim_ = 0;
  snkv::VectorStore<> store_;
};

}  // namespace

VectorEngineKind snkv_engine(const std::string& type) {
  return {"snkv " + type, "VectorStore::search_keys, a store in a file, " + type,
          [type](const std::string& folder) {
            return std::make_unique<Snkv>(
                folder, type == "f32" ? snkv::ElementType::f32 : snkv::ElementType::i8,
                type != "i8, vectors in the file");
          }};
}

}  // namespace benchmark
