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

/// For searches with a filter every vector is in one of a thousand groups, which are spread over
/// the data.
inline constexpr std::size_t groups = 1000;
[[nodiscard]] constexpr std::size_t group_of(std::size_t number) noexcept {
  return number * 7919 % groups;
}

class VectorEngine {
 public:
  VectorEngine() = default;
  VectorEngine(const VectorEngine&) = delete;
  VectorEngine& operator=(const VectorEngine&) = delete;
  virtual ~VectorEngine() = default;

  /// Once, with 2 threads. `grouped`: in a way that `search_groups` can use.
  virtual void build(const Dataset& data, bool grouped) = 0;
  /// The numbers of the `out.size()` nearest; one thread.
  virtual void search(const float* query, std::size_t ef, std::span<std::uint32_t> out) = 0;
  /// The same among those whose group is below `below`; false if it has no filters.
  virtual bool search_groups(const float* query, std::size_t ef, std::size_t below,
                             std::span<std::uint32_t> out) {
    static_cast<void>(query), static_cast<void>(ef), static_cast<void>(below),
        static_cast<void>(out);
    return false;
  }
  /// All queries in one call, with 2 threads; false if it has no such call.
  virtual bool search_batch(const Dataset& data, std::size_t ef) {
    static_cast<void>(data), static_cast<void>(ef);
    return false;
  }
  /// Saves, lets go of everything and opens it again; the seconds that the last part takes, 0 if it
  /// cannot.
  virtual double reopen() { return 0; }
  /// Bytes in memory; 0 if it does not tell.
  [[nodiscard]] virtual std::uint64_t memory() const { return 0; }
};

struct VectorEngineKind {
  std::string name;
  std::string setup;  ///< how it is built and used
  std::function<std::unique_ptr<VectorEngine>(const std::string& folder)> make;
};

/// Ours: VectorStore in a file, "f32", "i8", "i8, vectors in the file"; VectorIndex, "index f32",
/// "index i8".
[[nodiscard]] VectorEngineKind snkv_engine(const std::string& type);
/// The same out of a library that was made of `engine_snkv.cpp` and another version of snkv.
[[nodiscard]] VectorEngineKind other_snkv_engine(const std::string& library,
                                                 const std::string& type);
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
