// A program that searches a store, to be compiled with and without flags for the machine it runs
// on. Prints how many queries it answered in a second.
//
//     vector_client STORE QUERIES ROUNDS
//
// QUERIES is a file of vectors, one after the other, as floats. The first round is to warm up; the
// best of the others counts.
#include "measure.hpp"

#include <snkv/vector/store.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <span>
#include <vector>

int main(int argc, char** argv) {
  using benchmark::must;
  if (argc != 4) return 2;
  snkv::VectorStoreOptions options;
  options.threads = 1;
  const auto store = must(snkv::VectorStore<>::open(argv[1], options));
  std::ifstream in(argv[2], std::ios::binary | std::ios::ate);
  std::vector<float> queries(static_cast<std::size_t>(in.tellg()) / sizeof(float));
  in.seekg(0);
  in.read(reinterpret_cast<char*>(queries.data()),
          static_cast<std::streamsize>(queries.size() * sizeof(float)));
  const std::size_t dim = store.dim();
  const std::size_t count = queries.size() / dim;
  double best = 0;
  for (int round = std::atoi(argv[3]); round >= 0; --round) {
    const auto start = std::chrono::steady_clock::now();
    for (std::size_t q = 0; q < count; ++q) {
      must(store.search_keys(std::span(queries).subspan(q * dim, dim), 10));
    }
    const double passed =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    best = std::max(best, static_cast<double>(count) / passed);
  }
  std::printf("%.1f\n", best);
  return 0;
}
