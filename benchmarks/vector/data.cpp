#include "vector/data.hpp"

#include "measure.hpp"

#include <snkv/vector/index.hpp>

#if defined(SNKV_MNIST_DIR)
#include <datasets/mnist.hpp>
#endif
#if defined(SNKV_WORDS_FILE)
#include <datasets/words.hpp>
#endif

#include <algorithm>
#include <random>
#include <utility>

namespace benchmark {
namespace {

Dataset clusters(std::string name, std::size_t dim, std::size_t count, std::size_t queries) {
  constexpr std::size_t centres = 1000;
  Dataset data{std::move(name), dim, false};
  std::mt19937_64 random(42);
  // Nearly normal: the sum of some uniform numbers.
  const auto normal = [&] {
    float sum = -2;
    for (int i = 0; i < 4; ++i) sum += static_cast<float>(random() >> 40) * 0x1p-24f;
    return sum;
  };
  std::vector<float> middle(centres * data.dim);
  for (float& x : middle) x = normal();
  const auto add = [&](std::vector<float>& to, std::size_t vectors) {
    for (std::size_t i = 0; i < vectors; ++i) {
      const std::size_t centre = random() % centres;
      for (std::size_t d = 0; d < data.dim; ++d) {
        to.push_back(middle[centre * data.dim + d] + 0.5f * normal());
      }
    }
  };
  add(data.vectors, count);
  add(data.queries, queries);
  return data;
}

#if defined(SNKV_MNIST_DIR)
Dataset mnist(std::size_t most, std::size_t queries) {
  auto train = must(datasets::load_mnist(SNKV_MNIST_DIR, "train", most));
  auto test = must(datasets::load_mnist(SNKV_MNIST_DIR, "t10k", queries));
  Dataset data{"mnist", train.dim, false};
  data.vectors = std::move(train.vectors);
  data.queries = std::move(test.vectors);
  return data;
}
#endif

#if defined(SNKV_WORDS_FILE)
Dataset words(std::size_t most, std::size_t queries) {
  Dataset data{"words", 100, true};
  must(datasets::load_words(SNKV_WORDS_FILE, [&](const std::string&, std::span<const float> v) {
    data.vectors.insert(data.vectors.end(), v.begin(), v.end());
    return true;
  }));
  // The queries are some of the last 10 000, which are not in the index.
  const std::size_t all = data.size();
  const std::size_t last = all - 10'000;
  for (std::size_t i = 0; i < queries; ++i) {
    const auto query = data.vector(last + i * 10'000 / queries);
    data.queries.insert(data.queries.end(), query.begin(), query.end());
  }
  data.vectors.resize(std::min(most, last) * data.dim);
  return data;
}
#endif

}  // namespace

void find_truth(Dataset& data, const std::function<bool(std::size_t)>& accepts) {
  auto index = must(
      snkv::VectorIndex<>::create({.dim = data.dim,
                                   .metric = data.cosine ? snkv::Metric::cosine : snkv::Metric::l2,
                                   .m = 2,
                                   .ef_construction = 4}));
  std::vector<std::uint64_t> labels(data.size());
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = i;
  // Not linked: only scanned.
  must(index.put_batch(labels, data.vectors, [](auto, auto) { return false; }));
  data.truth.clear();
  for (std::size_t q = 0; q < data.query_count(); ++q) {
    for (const auto& hit :
         must(index.search_if(data.query(q), Dataset::truth_size, accepts, {.exact = true}))) {
      data.truth.push_back(static_cast<std::uint32_t>(hit.label));
    }
  }
}

std::vector<std::string> dataset_names() {
  std::vector<std::string> names;
#if defined(SNKV_MNIST_DIR)
  names.emplace_back("mnist");
#endif
#if defined(SNKV_WORDS_FILE)
  names.emplace_back("words");
#endif
  names.emplace_back("clusters");
  return names;
}

Dataset load_dataset(const std::string& name, std::size_t most, std::size_t queries) {
  Dataset data;
#if defined(SNKV_MNIST_DIR)
  if (name == "mnist") data = mnist(most, queries);
#endif
#if defined(SNKV_WORDS_FILE)
  if (name == "words") data = words(most, queries);
#endif
  if (name == "clusters") data = clusters(name, 128, std::min<std::size_t>(most, 100'000), queries);
  if (name == "wide") data = clusters(name, 1536, std::min<std::size_t>(most, 50'000), queries);
  if (name.starts_with("scale-")) {
    data = clusters(name, 100,
                    std::min<std::size_t>(most, std::strtoull(name.c_str() + 6, nullptr, 10)),
                    queries);
  }
  if (data.dim == 0) {
    std::cerr << "there is no dataset " << name << '\n';
    std::exit(2);
  }
  find_truth(data, [](std::size_t) { return true; });
  return data;
}

double recall_of(const Dataset& data, const std::vector<std::uint32_t>& found) {
  std::size_t hits = 0;
  constexpr std::size_t k = Dataset::truth_size;
  for (std::size_t q = 0; q < data.query_count(); ++q) {
    for (std::size_t i = 0; i < k; ++i) {
      const auto first = found.begin() + static_cast<std::ptrdiff_t>(q * k);
      hits += std::find(first, first + k, data.truth[q * k + i]) != first + k ? 1 : 0;
    }
  }
  return static_cast<double>(hits) / static_cast<double>(data.query_count() * k);
}

}  // namespace benchmark
