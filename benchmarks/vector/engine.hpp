/// \file
/// An index of vectors that takes part in the comparison.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace benchmark {

/// Vectors that lie one after the other, and queries with the true answers.
struct Dataset {
  std::string name;
  std::size_t dim = 0;
  bool cosine = false;  ///< else squared Euclidean
  std::vector<float> vectors{};
  std::vector<float> queries{};
  std::vector<std::uint32_t> truth{};  ///< the `truth_size` nearest of each query, in order
  static constexpr std::size_t truth_size = 10;

  [[nodiscard]] std::size_t size() const noexcept { return vectors.size() / dim; }
  [[nodiscard]] std::size_t query_count() const noexcept { return queries.size() / dim; }
  [[nodiscard]] std::span<const float> vector(std::size_t i) const {
    return std::span(vectors).subspan(i * dim, dim);
  }
  [[nodiscard]] std::span<const float> query(std::size_t i) const {
    return std::span(queries).subspan(i * dim, dim);
  }
};

/// M = 16 and ef_construction = 128 for all of them.
inline constexpr std::size_t links = 16;
inline constexpr std::size_t ef_construction = 128;

class VectorEngine {
 public:
  VectorEngine() = default;
  VectorEngine(const VectorEngine&) = delete;
  VectorEngine& operator=(const VectorEngine&) = delete;
  virtual ~VectorEngine() = default;

  /// Once, with 2 threads.
  virtual void build(const Dataset& data) = 0;
  /// The numbers of the `out.size()` nearest; one thread.
  virtual void search(const float* query, std::size_t ef, std::span<std::uint32_t> out) = 0;
  /// Bytes in memory; 0 if it does not tell.
  [[nodiscard]] virtual std::uint64_t memory() const { return 0; }
};

struct VectorEngineKind {
  std::string name;
  std::string setup;  ///< how it is built and used
  std::function<std::unique_ptr<VectorEngine>(const std::string& folder)> make;
};

// Ours, through VectorStore in a file: "f32", "i8", "i8, vectors in the file".
[[nodiscard]] VectorEngineKind snkv_engine(const std::string& type);
#if defined(BENCHMARK_HNSWLIB)
/// `shuffled`: it gets the vectors in a random order, not in that of the data.
[[nodiscard]] VectorEngineKind hnswlib_engine(bool shuffled);
#endif
#if defined(BENCHMARK_USEARCH)
/// "f32", "i8".
[[nodiscard]] VectorEngineKind usearch_engine(const std::string& type);
#endif
#if defined(BENCHMARK_FAISS)
[[nodiscard]] VectorEngineKind faiss_engine(const std::string& type);
#endif

}  // namespace benchmark
