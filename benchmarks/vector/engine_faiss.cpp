// Faiss: its HNSW graph over plain vectors, and over 8-bit codes.
#include "vector/engine.hpp"

#include <faiss/IndexHNSW.h>
#include <omp.h>

#include <cmath>

namespace benchmark {
namespace {

/// Its name has moved between versions.
using Number = decltype(faiss::Index::ntotal);

class Faiss final : public VectorEngine {
 public:
  explicit Faiss(bool quantized) : quantized_(quantized) {}

  void build(const Dataset& data, bool) override {
    dim_ = data.dim;
    cosine_ = data.cosine;
    // Of vectors of length 1 the nearest are the same for both metrics.
    const int dim = static_cast<int>(dim_);
    if (quantized_) {
      index_ = std::make_unique<faiss::IndexHNSWSQ>(dim, faiss::ScalarQuantizer::QT_8bit,
                                                    static_cast<int>(links));
    } else {
      index_ = std::make_unique<faiss::IndexHNSWFlat>(dim, static_cast<int>(links));
    }
    index_->hnsw.efConstruction = static_cast<int>(ef_construction);
    std::vector<float> vectors = data.vectors;
    for (std::size_t i = 0; cosine_ && i < data.size(); ++i) scale(vectors.data() + i * dim_);
    omp_set_num_threads(2);
    const auto count = static_cast<Number>(data.size());
    index_->train(count, vectors.data());
    index_->add(count, vectors.data());
    omp_set_num_threads(1);
  }

  void search(const float* query, std::size_t ef, std::span<std::uint32_t> out) override {
    index_->hnsw.efSearch = static_cast<int>(ef);
    std::vector<float> scaled(query, query + dim_);
    if (cosine_) scale(scaled.data());
    std::vector<Number> found(out.size());
    std::vector<float> distances(out.size());
    index_->search(1, scaled.data(), static_cast<Number>(out.size()), distances.data(),
                   found.data());
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::uint32_t>(found[i]);
  }

 private:
  void scale(float* vector) const {
    float square = 0;
    for (std::size_t d = 0; d < dim_; ++d) square += vector[d] * vector[d];
    const float factor = 1.0f / std::sqrt(square);
    for (std::size_t d = 0; d < dim_; ++d) vector[d] *= factor;
  }

  const bool quantized_;
  std::size_t dim_ = 0;
  bool cosine_ = false;
  std::unique_ptr<faiss::IndexHNSW> index_;
};

}  // namespace

VectorEngineKind faiss_engine(const std::string& type) {
  const bool quantized = type == "SQ8";
  return {
      quantized ? "faiss SQ8" : "faiss",
      std::string("IndexHNSW ") + (quantized ? "SQ8" : "flat") + " of the distribution, 1 thread",
      [quantized](const std::string&) { return std::make_unique<Faiss>(quantized); }};
}

}  // namespace benchmark
