// The snapshot beside the file: used when it is a moment of this very history, and only then.
#include "support/check.hpp"
#include "support/fake_clock.hpp"
#include "support/files.hpp"
#include "support/temp_dir.hpp"
#include "vector/open_vectors.hpp"
#include "vector/vectors.hpp"

#include <snkv/vector/store.hpp>

#include <filesystem>
#include <string>
#include <vector>

namespace snkv::test {
namespace {

constexpr std::size_t dim = 8;

VectorStoreOptions by_hand(std::string_view name = "v") {
  return {.name = name, .dim = dim, .metric = Metric::l2, .threads = 2, .auto_save = false};
}
VectorStore<> open(const std::string& path) { return must(open_vectors<VectorStore<>>(path, by_hand())); }

void put_some(VectorStore<>& handle, int first, int count, std::uint64_t seed = 1) {
  ClusteredVectors vectors(dim, 5, seed);
  for (int i = first; i < first + count; ++i) {
    must(handle.put("k" + std::to_string(i), vectors.next(), {.metadata = {{"n", i}}}));
  }
}

std::string snapshot_of(const std::string& path) { return path + "-vectors-1"; }

/// Everything that a search can give, exactly.
std::vector<VectorKey> all_of(const VectorStore<>& handle) {
  return must(handle.search_keys(std::vector<float>(dim, 0.25f), 10'000, {.exact = true}));
}

/// The same store without a snapshot.
std::vector<VectorKey> rebuilt(const std::string& path, const TempDir& dir) {
  const std::string copy = dir.file("rebuilt.db");
  std::filesystem::remove(copy);
  std::filesystem::copy_file(path, copy);
  const VectorStore<> handle = open(copy);
  REQUIRE_FALSE(must(handle.stats()).loaded);
  return all_of(handle);
}

void copy_over(const std::string& from, const std::string& to) {
  std::filesystem::copy_file(from, to, std::filesystem::copy_options::overwrite_existing);
}

TEST_CASE("what was saved is read, and what came since is applied", "[vector][store]") {
  const auto dtype = GENERATE(ElementType::f32, ElementType::f16, ElementType::i8);
  const TempDir dir;
  const std::string path = dir.file("a.db");
  VectorStoreOptions options = by_hand();
  options.dtype = dtype;
  {
    auto handle = must(open_vectors<VectorStore<>>(path, options));
    put_some(handle, 0, 500);
    CHECK(must(handle.stats()).saved_sequence == 0);
    must(handle.save());
    VectorStats stats = must(handle.stats());
    CHECK(stats.saved_sequence == 500);
    CHECK(stats.log_entries == 0);
    CHECK(stats.can_save);
    put_some(handle, 490, 20, 2);
    must(handle.erase("k3"));
    must(handle.update("k4", {.metadata = {{"n", -4}}}));
    CHECK(must(handle.stats()).log_entries == 22);
  }
  const auto handle = must(open_vectors<VectorStore<>>(path, options));
  const VectorStats stats = must(handle.stats());
  CHECK(stats.loaded);
  CHECK(stats.live == 509);
  CHECK(stats.unlinked == 0);
  CHECK(must(handle.count(field("n") == -4)) == 1);
  CHECK(must(handle.count(field("n") >= 0)) == 508);
  CHECK_FALSE(must(handle.contains("k3")));
  if (dtype == ElementType::f32) CHECK(all_of(handle) == rebuilt(path, dir));
}

TEST_CASE("the last handle saves when much has changed", "[vector][store]") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  VectorStoreOptions options = by_hand();
  options.auto_save = true;
  {
    auto handle = must(open_vectors<VectorStore<>>(path, options));
    put_some(handle, 0, 200);
    const VectorStore<> copy = handle;
    handle = {};
    CHECK_FALSE(std::filesystem::exists(snapshot_of(path)));
  }
  CHECK(std::filesystem::exists(snapshot_of(path)));
  {
    auto handle = must(open_vectors<VectorStore<>>(path, options));
    CHECK(must(handle.stats()).loaded);
    must(handle.drop_index());
  }
  CHECK_FALSE(std::filesystem::exists(snapshot_of(path)));
}

TEST_CASE("while much is written the log stays short", "[vector][store]") {
  const bool saves = GENERATE(true, false);
  const TempDir dir;
  VectorStoreOptions options = by_hand();
  options.auto_save = saves;
  options.store.sync = Sync::off;
  auto handle = must(open_vectors<VectorStore<>>(dir.file("a.db"), options));
  ClusteredVectors vectors(dim, 5, 1);
  std::vector<std::vector<float>> points;
  for (int i = 0; i < 500; ++i) points.push_back(vectors.next());
  std::uint64_t longest = 0;
  for (int round = 0; round < 25; ++round) {
    std::vector<std::string> names;
    for (int i = 0; i < 500; ++i) names.push_back(std::to_string(i));
    std::vector<VectorItem> items;
    for (std::size_t i = 0; i < 500; ++i) items.push_back({.key = names[i], .vector = points[i]});
    must(handle.put_batch(items));
    longest = std::max(longest, must(handle.stats()).log_entries);
  }
  CHECK(longest <= (saves ? 4096u + 500u : 2u * 4096u + 500u));
  CHECK(std::filesystem::exists(snapshot_of(dir.file("a.db"))) == saves);
  CHECK(must(handle.size()) == 500);
}

TEST_CASE("another handle that is left behind by the log compares the rows", "[vector][store]") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  auto writer = open(path);
  put_some(writer, 0, 100);
  const auto reader = open(path);
  CHECK(all_of(reader) == all_of(writer));
  put_some(writer, 50, 100, 2);
  must(writer.erase("k7"));
  must(writer.save());
  CHECK(must(writer.stats()).log_entries == 0);
  CHECK(all_of(reader) == all_of(writer));
  CHECK(must(reader.stats()).dead <= 60);  // what did not change was left alone
  must(writer.clear());
  CHECK(all_of(reader).empty());
  put_some(writer, 0, 10, 3);
  CHECK(all_of(reader) == all_of(writer));
}

// The defect of the original (its stamp did not change on delete): a crash after deletes left a
// graph that passed the check, with the deleted vectors in it.
TEST_CASE("a snapshot from before an erase does not bring the erased back", "[vector][store]") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  {
    auto handle = open(path);
    put_some(handle, 0, 100);
    must(handle.save());
    copy_over(snapshot_of(path), dir.file("before"));
    for (int i = 0; i < 50; ++i) must(handle.erase("k" + std::to_string(i)));
  }
  {
    const auto handle = open(path);  // by the log
    CHECK(must(handle.stats()).loaded);
    CHECK(all_of(handle).size() == 50);
    CHECK(all_of(handle) == rebuilt(path, dir));
  }
  {
    auto handle = open(path);
    must(handle.save());
  }
  copy_over(dir.file("before"), snapshot_of(path));  // the log does not go back so far
  const auto handle = open(path);
  CHECK_FALSE(must(handle.stats()).loaded);
  CHECK(all_of(handle) == rebuilt(path, dir));
}

TEST_CASE("a snapshot of another history is not used", "[vector][store]") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  {
    auto handle = open(path);
    put_some(handle, 0, 100);
    must(handle.store().backup(dir.file("old.db")));
    put_some(handle, 100, 50);
    must(handle.save());
  }
  // The file is restored, and goes on with other changes up to the same number and beyond.
  std::filesystem::remove(path);
  copy_over(dir.file("old.db"), path);
  {
    const auto handle = open(path);
    CHECK_FALSE(must(handle.stats()).loaded);  // from the future
    CHECK(all_of(handle).size() == 100);
  }
  const int more = GENERATE(50, 60);
  auto handle = open(path);
  put_some(handle, 1000, more, 9);
  handle = {};
  handle = open(path);
  CHECK_FALSE(must(handle.stats()).loaded);
  CHECK(must(handle.contains("k1000")));
  CHECK(all_of(handle).size() == 100 + static_cast<std::size_t>(more));
}

TEST_CASE("a snapshot that is put in place and not noted is recognised by the log",
          "[vector][store]") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  {
    auto handle = open(path);
    put_some(handle, 0, 100);
    must(handle.store().backup(dir.file("unnoted.db")));  // as after a crash before the commit
    must(handle.save());
  }
  std::filesystem::remove(path);
  copy_over(dir.file("unnoted.db"), path);
  const auto handle = open(path);
  const VectorStats stats = must(handle.stats());
  CHECK(stats.saved_sequence == 0);
  CHECK(stats.loaded);
  CHECK(all_of(handle).size() == 100);
}

TEST_CASE("a snapshot of another store, of another collection, or damaged, is not used",
          "[vector][store]") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  const std::string other = dir.file("b.db");
  for (const std::string& each : {path, other}) {
    auto handle = open(each);
    put_some(handle, 0, 60, each == path ? 1 : 2);
    must(handle.save());
    auto second = must(VectorStore<>::open(handle.store(), by_hand("w")));
    put_some(second, 0, 60, 3);
    must(second.save());
  }
  const std::string good = read_file(snapshot_of(path));
  const auto replace = [&](const std::string& bytes) { write_file(snapshot_of(path), bytes); };
  std::vector<std::string> bad{read_file(snapshot_of(other)), read_file(path + "-vectors-2"), "",
                               good.substr(0, 10), good.substr(0, good.size() / 2), good + "x"};
  for (std::size_t at = 0; at < good.size(); at += good.size() / 40 + 1) {
    bad.push_back(good);
    bad.back()[at] = static_cast<char>(bad.back()[at] ^ 0x10);
  }
  for (std::size_t i = 0; i < bad.size(); ++i) {
    CAPTURE(i);
    replace(bad[i]);
    auto handle = open(path);
    CHECK_FALSE(must(handle.stats()).loaded);
    CHECK(all_of(handle).size() == 60);
  }
  replace(good);
  auto handle = open(path);
  CHECK(must(handle.stats()).loaded);
  CHECK(all_of(handle) == rebuilt(path, dir));
  // Saving again repairs a damaged one.
  handle = {};
  replace(bad.back());
  handle = open(path);
  must(handle.save());
  handle = open(path);
  CHECK(must(open(path).stats()).loaded);
}

TEST_CASE("saving and opening can be stopped", "[vector][store]") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  auto handle = open(path);
  put_some(handle, 0, 300);
  const auto stop = [](std::uint64_t, std::uint64_t) { return false; };
  REQUIRE_ERRC(handle.save(stop), Errc::aborted);
  CHECK_FALSE(std::filesystem::exists(snapshot_of(path)));
  handle = {};
  VectorStoreOptions options = by_hand();
  options.progress = stop;
  REQUIRE_ERRC(open_vectors<VectorStore<>>(path, options), Errc::aborted);  // building
  handle = open(path);
  must(handle.save());
  handle = {};
  REQUIRE_ERRC(open_vectors<VectorStore<>>(path, options), Errc::aborted);  // reading
  std::uint64_t told = 0;
  options.progress = [&](std::uint64_t done, std::uint64_t total) {
    CHECK(done <= total);
    ++told;
    return true;
  };
  CHECK(must(must(open_vectors<VectorStore<>>(path, options)).stats()).loaded);
  CHECK(told > 0);
}

}  // namespace
}  // namespace snkv::test
