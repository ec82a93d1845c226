// The second part of the demo: stores pictures of handwritten digits as vectors, with what they
// show as metadata and the pictures themselves as values, and recognises other ones by their
// neighbours.
//
//   digits [--store FILE] [--report FILE] [--train N] [--test N] [--exact N] FOLDER
//
// FOLDER has the four files of MNIST, FILE, which must not exist, is digits.db. N: how many
// pictures are stored, how many are recognised, and how many of these are compared with an exact
// search; all of them unless it is said. The report has the line "digits <rows>", which
// scripts/demo compares with what the sqlite3 command-line program finds in the file.
#include "progress.hpp"

#include <datasets/mnist.hpp>
#include <snkv/snkv.hpp>
#include <snkv/vector.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace demo;
using datasets::Pictures;
using Digits = snkv::VectorStore<784, snkv::L2>;

constexpr std::size_t k = 10;

[[noreturn]] void fail(const std::string& why) {
  std::fflush(stdout);
  std::fprintf(stderr, "\ndigits: %s\n", why.c_str());
  std::exit(1);
}

void expect(bool condition, const std::string& what) {
  if (!condition) fail(what);
}

template <class T>
T must(snkv::Result<T> result) {
  if (!result) fail(result.error().message());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

class Stopwatch {
 public:
  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
  }
  /// "1 234/s"
  [[nodiscard]] std::string rate(std::size_t count) const {
    const double rate = static_cast<double>(count) / std::max(seconds(), 1e-9);
    return human_count(static_cast<std::uint64_t>(rate)) + "/s";
  }

 private:
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

std::string key_of(std::size_t picture) {
  char key[32];
  std::snprintf(key, sizeof(key), "train:%05zu", picture);
  return key;
}

/// The shades of a picture, a byte each.
std::string image_of(std::span<const float> picture) {
  std::string image;
  for (const float shade : picture) image += static_cast<char>(shade * 255.0f + 0.5f);
  return image;
}

void store_pictures(Digits& digits, const Pictures& train) {
  constexpr std::size_t batch = 5000;
  const Stopwatch watch;
  {
    // Each batch is a transaction, and is linked into the graph on all cores.
    Progress progress("storing", train.size(), 0, "pictures");
    for (std::size_t begin = 0; begin < train.size(); begin += batch) {
      const std::size_t end = std::min(train.size(), begin + batch);
      std::vector<std::string> keys;
      std::vector<std::string> images;
      for (std::size_t i = begin; i < end; ++i) {
        keys.push_back(key_of(i));
        images.push_back(image_of(train[i]));
      }
      std::vector<snkv::VectorItem> items;
      for (std::size_t i = begin; i < end; ++i) {
        items.push_back({.key = keys[i - begin],
                         .vector = train[i],
                         .value = images[i - begin],
                         .metadata = {{"label", train.labels[i]}}});
      }
      must(digits.put_batch(items, [&](std::uint64_t done, std::uint64_t all) {
        progress.set(begin + (end - begin) * done / std::max<std::uint64_t>(all, 1));
        return true;
      }));
    }
  }
  const snkv::VectorStats stats = must(digits.stats());
  std::printf("stored        %s pictures of 784 numbers: %.1f s, %s; %s in memory, kernels %s\n",
              human_count(train.size()).c_str(), watch.seconds(), watch.rate(train.size()).c_str(),
              human_bytes(static_cast<double>(stats.memory_bytes)).c_str(), stats.kernels);
}

/// The label that most of the neighbours have; of several the one of the nearest.
int majority(const std::vector<snkv::VectorHit>& hits) {
  std::array<int, 10> votes{};
  for (const auto& hit : hits) ++votes[hit.metadata["label"].get<std::size_t>()];
  int best = -1;
  for (const auto& hit : hits) {
    const int label = hit.metadata["label"];
    if (best < 0 ||
        votes[static_cast<std::size_t>(label)] > votes[static_cast<std::size_t>(best)]) {
      best = label;
    }
  }
  return best;
}

void recognise(const Digits& digits, const Pictures& test) {
  constexpr std::size_t batch = 500;
  std::size_t right = 0;
  const Stopwatch watch;
  {
    Progress progress("recognising", test.size(), 0, "pictures");
    for (std::size_t begin = 0; begin < test.size(); begin += batch) {
      const std::size_t count = std::min(batch, test.size() - begin);
      const auto queries = std::span(test.vectors).subspan(begin * test.dim, count * test.dim);
      const auto found = must(digits.search_batch(queries, k, {.values = false}));
      for (std::size_t i = 0; i < count; ++i) right += majority(found[i]) == test.labels[begin + i];
      progress.set(begin + count);
    }
  }
  const double share = static_cast<double>(right) / static_cast<double>(test.size());
  std::printf("recognised    %s of %s by their 10 nearest: accuracy %.4f, %s on all cores\n",
              human_count(right).c_str(), human_count(test.size()).c_str(), share,
              watch.rate(test.size()).c_str());
  expect(share > 0.9, "too few are recognised");
}

void compare_with_exact(const Digits& digits, const Pictures& test, std::size_t most) {
  const std::size_t count = std::min(most, test.size());
  const auto queries = std::span(test.vectors).first(count * test.dim);
  std::vector<std::vector<snkv::VectorKey>> found;
  const Stopwatch graph;
  for (std::size_t i = 0; i < count; ++i) found.push_back(must(digits.search_keys(test[i], k)));
  const std::string graph_rate = graph.rate(count);

  constexpr std::size_t batch = 100;
  std::size_t common = 0;
  std::size_t all = 0;
  const Stopwatch exact;
  {
    Progress progress("searching exactly", count, 0, "pictures");
    for (std::size_t begin = 0; begin < count; begin += batch) {
      const std::size_t size = std::min(batch, count - begin);
      const auto truth =
          must(digits.search_keys_batch(queries.subspan(begin * test.dim, size * test.dim), k,
                                        snkv::VectorSearch{.exact = true}));
      for (std::size_t i = 0; i < size; ++i) {
        all += truth[i].size();
        for (const auto& hit : found[begin + i]) {
          // Equally far ones may take each other's place.
          common += hit.distance <= truth[i].back().distance;
        }
      }
      progress.set(begin + size);
    }
  }
  const double recall = static_cast<double>(common) / static_cast<double>(all);
  std::printf("recall@10     %.4f, %s pictures: %s by the graph on one core, %s exactly on all\n",
              recall, human_count(count).c_str(), graph_rate.c_str(), exact.rate(count).c_str());
  expect(recall >= 0.97, "too few of the true neighbours are found");
}

void search_with_filters(const Digits& digits, const Pictures& test) {
  const std::size_t count = std::min<std::size_t>(test.size(), 1000);
  const Stopwatch watch;
  for (std::size_t i = 0; i < count; ++i) {
    // Which sevens look like this four?
    const int label = (test.labels[i] + 3) % 10;
    const auto hits =
        must(digits.search(test[i], k, {.filter = snkv::field("label") == label, .values = false}));
    expect(hits.size() == k, "fewer than k with a filter");
    for (const auto& hit : hits) expect(hit.metadata["label"] == label, "a filter was ignored");
  }
  std::printf("filtered      10 nearest of another digit, for %s pictures: %s\n",
              human_count(count).c_str(), watch.rate(count).c_str());
}

struct Arguments {
  std::string folder;
  std::string store = "digits.db";
  std::string report;
  std::size_t train = std::numeric_limits<std::size_t>::max();
  std::size_t test = std::numeric_limits<std::size_t>::max();
  std::size_t exact = std::numeric_limits<std::size_t>::max();
};

Arguments parse(int count, char** values) {
  Arguments out;
  for (int i = 1; i < count; ++i) {
    const std::string_view word = values[i];
    const bool has_value = i + 1 < count;
    const auto number = [&] { return std::strtoull(values[++i], nullptr, 10); };
    if (word == "--store" && has_value) {
      out.store = values[++i];
    } else if (word == "--report" && has_value) {
      out.report = values[++i];
    } else if (word == "--train" && has_value) {
      out.train = number();
    } else if (word == "--test" && has_value) {
      out.test = number();
    } else if (word == "--exact" && has_value) {
      out.exact = number();
    } else if (!word.starts_with("--") && out.folder.empty()) {
      out.folder = word;
    } else {
      out.folder.clear();
      break;
    }
  }
  if (!out.folder.empty() && out.train >= k && out.test > 0 && out.exact > 0) return out;
  std::fprintf(stderr,
               "usage: digits [--store FILE] [--report FILE] [--train N] [--test N] "
               "[--exact N] FOLDER\n");
  std::exit(2);
}

/// What the first pictures find, in full.
std::vector<std::string> answers(const Digits& digits, const Pictures& test) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < std::min<std::size_t>(test.size(), 100); ++i) {
    for (const auto& hit : must(digits.search(test[i], k))) {
      expect(hit.value && hit.value->size() == test.dim, "a picture is missing");
      out.push_back(hit.key + ' ' + std::to_string(hit.distance) + hit.metadata.dump());
    }
  }
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments = parse(argc, argv);
  const Pictures train = must(datasets::load_mnist(arguments.folder, "train", arguments.train));
  const Pictures test = must(datasets::load_mnist(arguments.folder, "t10k", arguments.test));
  expect(!std::filesystem::exists(arguments.store), arguments.store + " is there already");

  std::vector<std::string> before;
  {
    Digits digits = must(Digits::open(arguments.store, {.name = "digits"}));
    store_pictures(digits, train);
    recognise(digits, test);
    compare_with_exact(digits, test, arguments.exact);
    search_with_filters(digits, test);
    before = answers(digits, test);
    must(digits.save());
  }

  const Stopwatch opening;
  Digits digits = must(Digits::open(arguments.store, {.name = "digits"}));
  const double seconds = opening.seconds();
  expect(must(digits.size()) == train.size(), "not all pictures are there again");
  const bool loaded = must(digits.stats()).loaded;
  if (loaded) expect(answers(digits, test) == before, "other answers after opening it again");
  std::printf(
      "opened again  in %.0f ms, the graph was %s; %s\n", seconds * 1000,
      loaded ? "read from beside the file" : "built anew",
      human_bytes(static_cast<double>(std::filesystem::file_size(arguments.store))).c_str());
  must(digits.store().integrity_check());

  if (!arguments.report.empty()) {
    std::ofstream out(arguments.report);
    out << "digits " << train.size() << '\n';
    out.close();
    expect(out.good(), "cannot write " + arguments.report);
  }
}
