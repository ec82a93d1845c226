// Small collections of all kinds that cases damage, and calls of all kinds on what has become of
// them.
#pragma once

#include "regress/watched_cases.hpp"
#include "support/catch.hpp"
#include "support/check.hpp"
#include "support/temp_dir.hpp"

#include <snkv/vector/detail/image/side_stream.hpp>
#include <snkv/vector/detail/rows/damage.hpp>
#include <snkv/vector/store.hpp>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <random>
#include <sstream>

namespace snkv::test {

namespace vd = snkv::vector_detail;

inline constexpr std::size_t entries = 300;  // enough for i8 to be trained

inline std::uint64_t parameter(const char* name, std::uint64_t otherwise) {
  const char* const given = std::getenv(name);
  return given == nullptr ? otherwise : std::strtoull(given, nullptr, 10);
}

inline VectorStoreOptions options_of(std::size_t kind) {
  VectorStoreOptions options{.name = "c", .dim = 3, .m = 4, .ef_construction = 16, .threads = 1};
  options.metric = std::array{Metric::l2, Metric::cosine, Metric::inner_product}[kind % 3];
  options.dtype = std::array{ElementType::f32, ElementType::i8, ElementType::f16}[kind % 3];
  options.keep_vectors = kind < 3;
  return options;
}
inline constexpr std::size_t kinds = 6;

inline std::vector<float> vector_of(std::size_t i) {
  return {static_cast<float>(i % 17) + 1, static_cast<float>(i % 5), static_cast<float>(i)};
}

inline std::string key_of(std::size_t i) { return "k" + std::to_string(i); }

/// A store with all kinds of rows: entries that expire and have expired, free numbers, changes, and
/// a snapshot that is not the latest moment.
inline void make_store(const std::string& path, std::size_t kind) {
  auto collection = must(VectorStore<>::open(path, options_of(kind)));
  std::vector<std::string> keys;
  std::vector<std::vector<float>> vectors;
  for (std::size_t i = 0; i < entries; ++i) {
    keys.push_back(key_of(i));
    vectors.push_back(vector_of(i));
  }
  std::vector<VectorItem> items;
  for (std::size_t i = 0; i < entries; ++i) {
    VectorItem item{.key = keys[i], .vector = vectors[i]};
    if (i % 3 == 0) item.metadata = {{"n", i}, {"t", "x" + std::to_string(i % 7)}, {"a", {i, "b"}}};
    if (i % 10 == 0) item.ttl = std::chrono::hours(1);
    if (i % 50 == 11) item.expires_at = TimePoint(std::chrono::milliseconds(1000));
    items.push_back(std::move(item));
  }
  must(collection.put_batch(items));
  for (std::size_t i = 100; i < 120; ++i) must(collection.erase(key_of(i)));
  must(collection.save());
  for (std::size_t i = 200; i < 210; ++i) must(collection.put(key_of(i), vector_of(i + 1)));
  for (std::size_t i = 220; i < 230; ++i) must(collection.erase(key_of(i)));
}

/// The stores that cases are copies of.
class Originals {
 public:
  Originals() {
    for (std::size_t kind = 0; kind < kinds; ++kind) make_store(path(kind), kind);
  }
  /// Copies one for a case; returns its path, which is the same for all.
  [[nodiscard]] std::string copy(std::size_t kind) const {
    const std::string to = dir_.file("case.db");
    for (const char* suffix : {"", "-vectors-1", "-wal", "-shm"}) {
      std::filesystem::remove(to + suffix);
      if (std::filesystem::exists(path(kind) + suffix)) {
        std::filesystem::copy_file(path(kind) + suffix, to + suffix);
      }
    }
    return to;
  }

 private:
  [[nodiscard]] std::string path(std::size_t kind) const {
    return dir_.file("good" + std::to_string(kind) + ".db");
  }
  TempDir dir_;
};

inline const Originals& originals() {
  static const Originals all;
  return all;
}

inline std::int64_t bytes_of(const std::string& path) {
  std::int64_t sum = 0;
  for (const char* suffix : {"", "-vectors-1", "-wal"}) {
    std::error_code missing;
    const auto size = std::filesystem::file_size(path + suffix, missing);
    if (!missing) sum += static_cast<std::int64_t>(size);
  }
  return sum;
}

/// The codes of errors that calls of every kind give.
class Calls {
 public:
  template <class R>
  void note(const char* call, const R& result) {
    if (result) return;
    const Errc code = result.error().code();
    if (code == Errc::internal || code == Errc::ok || result.error().detail().empty()) {
      throw std::runtime_error(std::string(call) + ": " + result.error().message());
    }
    messages += std::string(call) + ": " + result.error().message() + "\n";
  }

  /// Whether it opened.
  bool use(const std::string& path, std::size_t kind) {
    auto opened = VectorStore<>::open(path, options_of(kind));
    note("open", opened);
    if (!opened) return false;
    read(*opened);
    note("put", opened->put("new", vector_of(500), {.metadata = {{"n", 500}}}));
    note("put", opened->put(key_of(7), vector_of(501)));
    note("update", opened->update(key_of(3), {.metadata = {{"n", 3}}}));
    note("erase", opened->erase(key_of(6)));
    note("erase_if", opened->erase_if(field("n") == 9));
    note("purge_expired", opened->purge_expired());
    note("compact", opened->compact());
    note("save", opened->save());
    read(*opened);
    return true;
  }

  std::string messages;

 private:
  void read(const VectorOperations& opened) {
    const std::vector<float> query = vector_of(4);
    note("search", opened.search(query, 50, {.vectors = true}));
    note("exact", opened.search(query, 5, {.exact = true}));
    note("filter", opened.search(query, 5, {.filter = field("n") < 70 || field("t") == "x1"}));
    note("radius", opened.search_radius(query, 100));
    note("count", opened.count(field("a") == "b"));
    note("ids", opened.ids());
    note("items", opened.items({.vectors = true}));
    for (std::size_t i = 0; i < 6; ++i) note("get_item", opened.get_item(key_of(i)));
    std::ostringstream text;
    note("export_json", opened.export_json(text));
    note("stats", opened.stats());
  }
};

inline core::Target family_of(const Store& store, std::string_view name) {
  core::Target out;
  Error error =
      core::internal_family(facade::Door::target(store), name, core::FamilyMode::open, out);
  if (error.failed()) throw std::runtime_error(error.message());
  return out;
}

inline void set_row(const Store& store, std::string_view family, BytesView key, BytesView value) {
  Error error = core::put(family_of(store, family), key, value, {});
  if (error.failed()) throw std::runtime_error(error.message());
}

inline std::string row_of(const Store& store, std::string_view family, BytesView key) {
  Bytes value;
  Error error = core::get(family_of(store, family), key, value);
  if (error.failed()) throw std::runtime_error(error.message());
  return value.str();
}

template <class T>
void overwrite(std::string& bytes, std::size_t offset, T value) {
  std::memcpy(bytes.data() + offset, &value, sizeof value);
}

/// One case, in a child: `damage(store)`, then all calls. Returns what they said, and what was
/// wrong first.
inline std::string damaged_case(std::size_t kind, const std::function<void(const Store&)>& damage,
                                const std::function<void(const Calls&)>& check = {}) {
  (void)originals();
  return watch_cases(1, [&](std::size_t) {
    const std::string path = originals().copy(kind);
    {
      const Store store = must(Store::open(path));
      damage(store);
    }
    Calls calls;
    calls.use(path, kind);
    if (check) check(calls);
    return bytes_of(path);
  });
}

inline void expect_corrupt(const Calls& calls) {
  if (calls.messages.find("open: ") == std::string::npos) throw std::runtime_error("it opened");
  if (calls.messages.find("collection \"c\"") == std::string::npos) {
    throw std::runtime_error("unnamed: " + calls.messages);
  }
}

/// A damaged row costs its entry, not the collection.
inline void expect_open(const Calls& calls) {
  if (calls.messages.find("open: ") != std::string::npos) throw std::runtime_error(calls.messages);
}

inline constexpr std::string_view meta = "snkv_vector_1_meta";
inline constexpr std::string_view rows = "snkv_vector_1_items";
inline constexpr std::size_t next_number_at = 41;

/// Damages in the state say that the snapshot is not used, so that the rows are looked at.
inline void without_snapshot(std::string& state) {
  overwrite<std::uint64_t>(state, 17, 1000000);  // log_start
  overwrite<std::uint64_t>(state, 1, 1000000);   // sequence
  overwrite<std::uint64_t>(state, 45, 0);
  overwrite<std::uint64_t>(state, 53, 0);
}

}  // namespace snkv::test
