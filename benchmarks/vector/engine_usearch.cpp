// usearch, in memory, compiled with -O3 -march=native and its own kernels.
#include "vector/engine.hpp"

#include <usearch/index_dense.hpp>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <utility>

namespace benchmark {
namespace {

using unum::usearch::index_dense_t;
using unum::usearch::metric_kind_t;
using unum::usearch::metric_punned_t;
using unum::usearch::scalar_kind_t;

class Usearch final : public VectorEngine {
 public:
  explicit Usearch(scalar_kind_t scalar) : scalar_(scalar) {}

  void build(const Dataset& data, bool) override {
    const metric_punned_t metric(
        data.dim, data.cosine ? metric_kind_t::cos_k : metric_kind_t::l2sq_k, scalar_);
    const unum::usearch::index_dense_config_t config(links, ef_construction, 64);
    auto made = index_dense_t::make(metric, config);
    if (!made) fail("make");
    index_ = std::move(made.index);
    if (!index_.try_reserve({data.size(), 2})) fail("reserve");
    std::atomic<std::size_t> next{0};
    const auto work = [&](std::size_t thread) {
      for (std::size_t i = next.fetch_add(1); i < data.size(); i = next.fetch_add(1)) {
        if (!index_.add(i, data.vector(i).data(), thread)) fail("add");
      }
    };
    std::thread other(work, 1);
    work(0);
    other.join();
  }

  void search(const float* query, std::size_t ef, std::span<std::uint32_t> out) override {
    index_.change_expansion_search(ef);
    auto found = index_.search(query, out.size(), 0);
    if (!found) fail("search");
    for (std::size_t i = 0; i < found.size() && i < out.size(); ++i) {
      out[i] = static_cast<std::uint32_t>(found[i].member.key);
    }
  }

  [[nodiscard]] std::uint64_t memory() const override { return index_.memory_usage(); }

 private:
  [[noreturn]] static void fail(const char* what) {
    std::fprintf(stderr, "usearch: %s failed\n", what);
    std::exit(1);
  }

  const scalar_kind_t scalar_;
  index_dense_t index_;
};

}  // namespace

VectorEngineKind usearch_engine(const std::string& type) {
  const bool quantized = type == "i8";
  return {
      "usearch " + type, "2.17.1, " + type + ", -O3 -march=native, its own kernels",
      [quantized](const std::string&) {
        return std::make_unique<Usearch>(quantized ? scalar_kind_t::i8_k : scalar_kind_t::f32_k);
      }};
}

}  // namespace benchmark
