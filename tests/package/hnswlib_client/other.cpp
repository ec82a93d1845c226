#include <hnswlib/hnswlib.h>

#include <snkv/vector/index.hpp>

#include <vector>

#if defined(__SSE__) && !defined(USE_SSE)
#error "a macro of hnswlib is gone"
#endif

unsigned long nearest_of_hnswlib(const std::vector<float>& vectors, std::size_t dim, const float* query) {
  hnswlib::L2Space space(dim);
  hnswlib::BruteforceSearch<float> all(&space, vectors.size() / dim);
  for (std::size_t i = 0; i < vectors.size() / dim; ++i) all.addPoint(vectors.data() + i * dim, i);
  return all.searchKnn(query, 1).top().second;
}
