// The index first, then hnswlib; the other file has them the other way round.
#include <snkv/vector/index.hpp>

#include <hnswlib/hnswlib.h>

#include <cstdio>
#include <vector>

#if defined(USE_SSE) || defined(PORTABLE_ALIGN32) || defined(HNSWERR)
#error "macros of hnswlib came with the header of snkv"
#endif

unsigned long nearest_of_hnswlib(const std::vector<float>& vectors, std::size_t dim, const float* query);

int main() {
  constexpr std::size_t dim = 8;
  constexpr std::size_t count = 500;
  auto index = snkv::VectorIndex<dim, snkv::L2>::create();
  if (!index) return 1;
  std::vector<float> vectors(dim * count);
  unsigned state = 1;
  for (float& x : vectors) {
    state = state * 1664525u + 1013904223u;
    x = static_cast<float>(state >> 16) / 65536.0f;
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (!index->put(i, {vectors.data() + i * dim, dim})) return 1;
  }
  hnswlib::L2Space space(dim);
  hnswlib::HierarchicalNSW<float> mine(&space, count);
  for (std::size_t i = 0; i < count; ++i) mine.addPoint(vectors.data() + i * dim, i);
  int different = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const float* const query = vectors.data() + i * dim;
    const auto hits = index->search({query, dim}, 1);
    different += !hits || hits->front().label != mine.searchKnn(query, 1).top().second ||
                 hits->front().label != nearest_of_hnswlib(vectors, dim, query);
  }
  std::printf("%d of %zu differ\n", different, count);
  return different == 0 ? 0 : 1;
}
