// A process that writes, compacts and saves is killed, again and again. What was acknowledged is
// there, and searches answer as an index that is built from the rows.
#include "support/check.hpp"
#include "support/files.hpp"
#include "support/temp_dir.hpp"
#include "vector/open_vectors.hpp"
#include "vector/vectors.hpp"

#include <snkv/vector/store.hpp>

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <new>
#include <string>
#include <thread>
#include <vector>

namespace snkv::test {
namespace {

constexpr std::size_t dim = 16;
constexpr std::size_t keys = 300;

/// What the writer has been told is committed, in memory that outlives it.
struct Board {
  std::atomic<std::uint64_t> step{0};
  // What the step does, if it is a change.
  std::atomic<std::size_t> first{0};
  std::atomic<std::size_t> count{0};
  std::atomic<bool> erases{false};
  std::array<std::atomic<std::uint64_t>, keys> version{};  // 0: erased
  std::atomic<int> failed{0};
};

class SharedBoard {
 public:
  SharedBoard()
      : board_(new (::mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0)) Board) {}
  SharedBoard(const SharedBoard&) = delete;
  SharedBoard& operator=(const SharedBoard&) = delete;
  ~SharedBoard() { ::munmap(board_, sizeof(Board)); }
  Board* operator->() const noexcept { return board_; }

 private:
  Board* board_;
};

VectorStoreOptions options(ElementType dtype) {
  return {.name = "v",
          .dim = dim,
          .metric = Metric::l2,
          .dtype = dtype,
          .threads = 2,
          .store = {.sync = Sync::off}};
}

/// Writes until it is killed.
[[noreturn]] void write_for_ever(const std::string& path, ElementType dtype, std::uint64_t seed,
                                 const SharedBoard& board) {
  auto opened = open_vectors<VectorStore<>>(path, options(dtype));
  if (!opened) {
    board->failed = 1;
    ::_exit(1);
  }
  VectorStore<>& handle = *opened;
  ClusteredVectors vectors(dim, 8, seed);
  for (;;) {
    board->count = 0;  // what it said was of the step before
    const std::uint64_t version = ++board->step;
    const std::size_t number = vectors.random() % keys;
    const std::string key = "k" + std::to_string(number);
    const std::string value = std::to_string(version);
    const std::uint64_t action = vectors.random() % 24;
    board->first = number;
    board->erases = action >= 2 && action <= 4;
    board->count = action < 2 ? 0 : action == 5 ? 20 : 1;
    bool good = true;
    switch (action) {
      case 0:
        good = handle.save().has_value();
        break;
      case 1:
        good = handle.compact().has_value();
        break;
      case 2:
      case 3:
      case 4:
        good = handle.erase(key).has_value();
        if (good) board->version[number] = 0;
        break;
      case 5: {
        std::vector<std::vector<float>> batch;
        std::vector<std::string> names;
        std::vector<VectorItem> items;
        for (std::size_t i = 0; i < 20; ++i) {
          batch.push_back(vectors.next());
          names.push_back("k" + std::to_string((number + i) % keys));
        }
        for (std::size_t i = 0; i < 20; ++i) {
          items.push_back({.key = names[i],
                           .vector = batch[i],
                           .value = value,
                           .metadata = {{"version", version}}});
        }
        good = handle.put_batch(items).has_value();
        for (std::size_t i = 0; i < 20 && good; ++i) {
          board->version[(number + i) % keys] = version;
        }
        break;
      }
      default:
        good = handle.put(key, vectors.next(), {.value = value, .metadata = {{"version", version}}})
                   .has_value();
        if (good) board->version[number] = version;
    }
    if (!good) {
      board->failed = 1;
      ::_exit(1);
    }
  }
}

using Rows = std::map<std::string, std::vector<float>>;

/// Searches answer as the rows say.
void check_searches(VectorStore<>& handle, const Rows& rows, std::uint64_t seed) {
  ClusteredVectors vectors(dim, 8, seed);
  for (int q = 0; q < 5; ++q) {
    const std::vector<float> query = vectors.next();
    std::vector<std::pair<double, std::string>> expected;
    for (const auto& [key, vector] : rows) {
      expected.emplace_back(exact_distance(Metric::l2, query, vector), key);
    }
    std::sort(expected.begin(), expected.end());
    const auto exact = must(handle.search_keys(query, 10, {.exact = true}));
    REQUIRE(exact.size() == std::min<std::size_t>(10, rows.size()));
    for (std::size_t i = 0; i < exact.size(); ++i) CHECK(exact[i].key == expected[i].second);
    // Every entry can be reached, none comes twice, none is left that was erased.
    std::map<std::string, int> reached;
    for (const VectorKey& hit : must(handle.search_keys(query, keys + 1, {.ef = 1000}))) {
      ++reached[hit.key];
    }
    CHECK(reached.size() == rows.size());
    for (const auto& [key, times] : reached) CHECK((times == 1 && rows.contains(key)));
  }
}

TEST_CASE("a writer that is killed leaves what it has committed, and an index that fits",
          "[vector][store]") {
  const char* given = std::getenv("SNKV_KILL_CYCLES");
  const int cycles = given != nullptr ? std::atoi(given) : 300;
  const auto dtype = GENERATE(ElementType::f32, ElementType::i8);
  const std::uint64_t seed = dtype == ElementType::f32 ? 1 : 2;
  CAPTURE(seed);
  const TempDir dir;
  const std::string path = dir.file("a.db");
  const SharedBoard board;
  std::mt19937_64 random(seed);
  int loaded = 0;
  for (int cycle = 0; cycle < cycles / 2; ++cycle) {
    CAPTURE(cycle);
    const ::pid_t child = ::fork();
    REQUIRE(child >= 0);
    const std::uint64_t child_seed = random();
    if (child == 0) write_for_ever(path, dtype, child_seed, board);
    const std::uint64_t start = board->step;
    // Not before it has done something, so that the cycles do not all end in the opening.
    const std::uint64_t steps = random() % 40;
    for (int i = 0; i < 20'000 && board->step < start + steps && board->failed == 0; ++i) {
      std::this_thread::sleep_for(std::chrono::microseconds(500));
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 2000));
    ::kill(child, SIGKILL);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(board->failed == 0);

    const bool rebuild = cycle % 10 == 9;
    if (rebuild) {
      for (const auto& file : std::filesystem::directory_iterator(dir.path())) {
        if (file.path().string().find("-vectors-") != std::string::npos) {
          std::filesystem::remove(file.path());
        }
      }
    }
    auto handle = must(open_vectors<VectorStore<>>(path, options(dtype)));
    loaded += must(handle.stats()).loaded ? 1 : 0;
    Rows rows;
    for (const VectorRecord& record : must(handle.items({.vectors = true}))) {
      rows[record.key] = record.vector;
      // Value and metadata are of one put.
      const std::string version = std::to_string(record.metadata["version"].get<std::uint64_t>());
      CHECK(record.value->view() == version);
    }
    CHECK(must(handle.size()) == rows.size());
    for (std::size_t number = 0; number < keys; ++number) {
      const std::uint64_t version = board->version[number];
      const auto value = handle.get("k" + std::to_string(number));
      const std::uint64_t found = value ? std::stoull(value->str()) : 0;
      // The last step may have been committed and not told of.
      const bool pending = (number + keys - board->first) % keys < board->count;
      const std::uint64_t next = board->erases ? 0 : board->step.load();
      CHECK((found == version || (pending && found == next)));
      board->version[number] = found;
    }
    check_searches(handle, rows, random());
    if (cycle % 25 == 24) must(handle.store().verify());
  }
  CHECK(loaded > cycles / 4);
}

}  // namespace
}  // namespace snkv::test
