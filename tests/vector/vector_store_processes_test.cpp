// Two processes on one collection: what one commits the other finds in its next search.
#include "support/check.hpp"
#include "support/child_process.hpp"
#include "support/temp_dir.hpp"
#include "vector/open_vectors.hpp"
#include "vector/vectors.hpp"

#include <snkv/vector/store.hpp>

#include <poll.h>
#include <unistd.h>

#include <array>
#include <stdexcept>
#include <string>
#include <vector>

namespace snkv::test {
namespace {

constexpr std::size_t dim = 4;

/// Pipes that carry one number at a time, in both directions.
struct Link {
  Link() {
    if (::pipe(there.data()) != 0 || ::pipe(back.data()) != 0) throw std::runtime_error("no pipe");
  }
  ~Link() {
    for (const int end : {there[0], there[1], back[0], back[1]}) ::close(end);
  }
  static void send(const std::array<int, 2>& pipe, int number) {
    if (::write(pipe[1], &number, sizeof number) != sizeof number)
      throw std::runtime_error("write");
  }
  static int receive(const std::array<int, 2>& pipe) {
    pollfd waiting{pipe[0], POLLIN, 0};
    if (::poll(&waiting, 1, 60'000) != 1) throw std::runtime_error("the other process is silent");
    int number = 0;
    if (::read(pipe[0], &number, sizeof number) != sizeof number) throw std::runtime_error("read");
    return number;
  }
  std::array<int, 2> there{};
  std::array<int, 2> back{};
};

std::array<float, dim> vector_of(int i) {
  return {static_cast<float>(i % 17), static_cast<float>(i), static_cast<float>(i % 5), 1};
}

VectorStore<dim, L2> open(const std::string& path) {
  return must(
      open_vectors<VectorStore<dim, L2>>(path, {.name = "v", .threads = 1, .store = {.sync = Sync::off}}));
}

TEST_CASE("a search finds what another process has committed before it", "[vector][store]") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  must(open(path).store().sync());  // made before the fork, closed before it
  constexpr int rounds = 400;
  Link link;
  // The child searches. It says "go on" by the number that it has found.
  const ::pid_t child = ::fork();
  if (child == 0) {
    int bad = 0;
    try {
      auto vectors = open_vectors<VectorStore<dim, L2>>(path, {.name = "v", .threads = 1});
      Link::send(link.back, vectors ? 0 : -1);
      for (int i = 1; i <= rounds && vectors; ++i) {
        const int committed = Link::receive(link.there);
        const auto hits =
            vectors->search_keys(vector_of(committed), 1, {.filter = field("n") == committed});
        const auto plain = vectors->search_keys(vector_of(committed), 1);
        const std::string key = "k" + std::to_string(committed);
        const bool found = hits && hits->size() == 1 && (*hits)[0].key == key && plain &&
                           (*plain)[0].key == key && (*plain)[0].distance == 0;
        // Every third is erased at once; then it is gone for the next search.
        Link::send(link.back, found ? committed : -committed);
        if (committed % 3 == 0) {
          static_cast<void>(Link::receive(link.there));
          const auto gone =
              vectors->search_keys(vector_of(committed), 1, {.filter = field("n") == committed});
          Link::send(link.back, gone && gone->empty() ? committed : -committed);
        }
      }
    } catch (...) {
      bad = 1;
    }
    ::_exit(bad);
  }
  auto vectors = open(path);
  REQUIRE(Link::receive(link.back) == 0);
  for (int i = 1; i <= rounds; ++i) {
    CAPTURE(i);
    const std::string key = "k" + std::to_string(i);
    must(vectors.put(key, vector_of(i), {.value = key, .metadata = {{"n", i}}}));
    Link::send(link.there, i);
    REQUIRE(Link::receive(link.back) == i);
    if (i % 3 == 0) {
      must(vectors.erase(key));
      Link::send(link.there, 0);
      REQUIRE(Link::receive(link.back) == i);
    }
    if (i % 50 == 0) must(vectors.save());
    if (i % 120 == 0) must(vectors.clear());
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("a handle gives forked in a child, and goes away quietly there", "[vector][store]") {
  const TempDir dir;
  auto vectors = open(dir.file("a.db"));
  must(vectors.put("a", vector_of(1)));
  ClusteredVectors points(dim, 2, 5);
  std::vector<float> queries;
  for (int i = 0; i < 8; ++i) {
    const auto next = points.next();
    queries.insert(queries.end(), next.begin(), next.end());
  }
  CHECK(must(vectors.search_batch(queries, 1)).size() == 8);
  const std::string report = in_child([&]() -> std::string {
    const auto found = vectors.search_keys(vector_of(1), 1);
    if (found || found.error().code() != Errc::forked) return "search_keys";
    const auto put = vectors.put("b", vector_of(2));
    if (put || put.error().code() != Errc::forked) return "put";
    vectors = VectorStore<dim, L2>();
    return {};
  });
  CHECK(report.empty());
  CHECK(must(vectors.search_batch(queries, 1)).size() == 8);
}

}  // namespace
}  // namespace snkv::test
