// Vectors in an encrypted store: none of them, no metadata and no value is in a file, and what is saved of
// the index is used only as it was written.
#include "support/check.hpp"
#include "support/child_process.hpp"
#include "support/files.hpp"
#include "support/temp_dir.hpp"

#include <snkv/vector/store.hpp>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace snkv::test {
namespace {

constexpr std::size_t dim = 8;
const std::string canary = "CANARY-0123456789-abcdefghijklmn";

Secret secret() { return Secret::key(std::string(Secret::key_size, 'v')); }

VectorStoreOptions options() {
  return {.name = "v", .dim = dim, .metric = Metric::l2, .threads = 2, .auto_save = false,
          .store = {.change_history = 1000}};
}

VectorStore<> open(const std::string& path) {
  return must(VectorStore<>::open_encrypted(path, secret(), options()));
}

/// The bytes of each are found in clear if they are anywhere.
std::vector<float> vector_of(int i) {
  std::vector<float> out;
  for (std::size_t at = 0; at < dim; ++at) {
    out.push_back(0.123457f + static_cast<float>(i) + 0.0137f * static_cast<float>(at));
  }
  return out;
}

constexpr int count = 200;

void fill(VectorStore<>& vectors) {
  for (int i = 0; i < count; ++i) {
    must(vectors.put("k" + std::to_string(i), vector_of(i),
                     {.value = canary, .metadata = {{"tag", canary}, {"n", i}}}));
  }
}

/// What is found where. In a child: reading a file of an open store drops the locks of the process.
std::string found_in(const TempDir& dir) {
  return in_child([&] {
    const std::vector<float> vector = vector_of(17);
    const std::string_view floats(reinterpret_cast<const char*>(vector.data()),
                                  vector.size() * sizeof(float));
    std::string found;
    for (const std::string& name : files_in(dir.path())) {
      const std::string bytes = read_file(dir.file(name));
      if (bytes.find(canary) != std::string::npos) found += "text in " + name + " ";
      // Of a vector any two numbers in a row are enough.
      for (std::size_t at = 0; at + 8 <= floats.size(); at += 4) {
        if (bytes.find(floats.substr(at, 8)) != std::string::npos) found += "vector in " + name + " ";
      }
    }
    return found;
  });
}

void check(const VectorStore<>& vectors) {
  CHECK(must(vectors.size()) == count);
  for (const int i : {0, 17, count - 1}) {
    const auto hits = must(vectors.search(vector_of(i), 1));
    REQUIRE(hits.size() == 1);
    CHECK(hits[0].key == "k" + std::to_string(i));
    CHECK(hits[0].value == canary);
  }
  CHECK(must(vectors.count(field("tag") == canary)) == count);
}

}  // namespace

TEST_CASE("the search finds what is written without encryption", "[vector]") {
  const TempDir dir;
  auto vectors = must(VectorStore<>::open(dir.file("a.db"), options()));
  fill(vectors);
  must(vectors.save());
  const std::string found = found_in(dir);
  CAPTURE(found);
  CHECK(found.find("text in a.db-vectors-1") != std::string::npos);
  CHECK(found.find("vector in a.db-vectors-1") != std::string::npos);
  CHECK(found.find("vector in a.db-wal") != std::string::npos);
}

TEST_CASE("no vector, no metadata and no value is ever in a file of an encrypted store", "[vector]") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  {
    auto vectors = open(path);
    fill(vectors);
    CHECK(found_in(dir) == "");
    must(vectors.save());
    CHECK(found_in(dir) == "");
    CHECK(std::filesystem::exists(path + "-vectors-1"));
    must(vectors.update("k3", {.metadata = {{"tag", canary}, {"n", -3}}}));
    must(vectors.erase("k4"));
    must(vectors.put("k4", vector_of(4), {.value = canary, .metadata = {{"tag", canary}, {"n", 4}}}));
    must(vectors.store().backup(dir.file("copy.db")));
    must(vectors.store().compact());
    CHECK(found_in(dir) == "");
    check(vectors);
    // The feed tells what changed, and nothing of it is written.
    const auto changes = must(vectors.store().changes_since(0));
    CHECK(std::any_of(changes.begin(), changes.end(), [](const Change& change) {
      return change.key == "k4" && change.kind == Change::Kind::erase;
    }));
  }
  CHECK(found_in(dir) == "");
  {
    auto vectors = open(path);
    CHECK(must(vectors.stats()).loaded);  // the saved index, and what came since by the log
    check(vectors);
    must(vectors.store().rotate_key(secret()));
    check(vectors);
    must(vectors.save());
    CHECK(found_in(dir) == "");
  }
  {
    const auto vectors = open(path);
    CHECK(must(vectors.stats()).loaded);
    check(vectors);
    must(vectors.store().verify());
  }
  check(must(VectorStore<>::open_encrypted(dir.file("copy.db"), secret(), options())));
  REQUIRE_ERRC(VectorStore<>::open(path, options()), Errc::auth_failed);
  REQUIRE_ERRC(VectorStore<>::open_encrypted(path, Secret::password("x"), options()), Errc::auth_failed);
}

TEST_CASE("an index that was saved with another key, or changed, is made anew", "[vector]") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  const std::string saved = path + "-vectors-1";
  {
    auto vectors = open(path);
    fill(vectors);
    must(vectors.save());
  }
  SECTION("as it is") { CHECK(must(open(path).stats()).loaded); }
  SECTION("a byte of it is another") {
    std::string bytes = read_file(saved);
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
    write_file(saved, bytes);
    CHECK_FALSE(must(open(path).stats()).loaded);
  }
  SECTION("the key was rotated") {
    {
      Store store = must(Store::open_encrypted(path, secret()));
      must(store.rotate_key(secret()));
    }
    CHECK_FALSE(must(open(path).stats()).loaded);
  }
  SECTION("it is that of the store before it was encrypted") {
    must(Store::remove_encryption(path, secret()));
    CHECK_FALSE(std::filesystem::exists(saved));
    {
      auto plain = must(VectorStore<>::open(path, options()));
      check(plain);
      must(plain.save());
    }
    std::filesystem::copy_file(saved, dir.file("plain"));
    must(Store::encrypt_existing(path, secret()));
    CHECK_FALSE(std::filesystem::exists(saved));
    std::filesystem::copy_file(dir.file("plain"), saved);
    CHECK_FALSE(must(open(path).stats()).loaded);
    std::filesystem::remove(dir.file("plain"));
    std::filesystem::remove(saved);
    CHECK(found_in(dir) == "");
  }
  check(open(path));
}

}  // namespace snkv::test
