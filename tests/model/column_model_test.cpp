// Columns against std::vector: random operations on both kinds, in transactions, behind savepoints,
// seen from snapshots, after opening the file again, and read by another process.
//
//   column_model_test [--seed N] [--ops N]        (SNKV_SEED, SNKV_MODEL_OPS)
#include "support/child_process.hpp"
#include "support/encrypted.hpp"
#include "support/temp_dir.hpp"

#include <snkv/column.hpp>
#include <snkv/snkv.hpp>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace snkv;
using namespace snkv::test;

[[noreturn]] void wrong(const std::string& what) { throw std::runtime_error(what); }

template <class T>
T must_have(Result<T> result, const char* what) {
  if (!result) wrong(std::string(what) + ": " + result.error().message());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t below(std::uint64_t limit) { return engine_() % limit; }
  bool percent(std::uint64_t share) { return below(100) < share; }

 private:
  std::mt19937_64 engine_;
};

template <class T>
T element_of(Random& random) {
  if constexpr (std::same_as<T, std::string>) {
    const std::uint64_t kind = random.below(2000);
    const std::uint64_t size = kind == 0   ? random.below(30'000)
                               : kind < 10 ? random.below(4000)
                                           : random.below(60);
    return std::string(size, static_cast<char>(random.below(256)));
  } else if constexpr (std::same_as<T, std::int64_t>) {
    return static_cast<std::int64_t>(random.below(~std::uint64_t{0}));
  } else {
    T out{};
    for (auto& part : out)
      part = static_cast<std::remove_reference_t<decltype(part)>>(random.below(1000));
    return out;
  }
}

template <class T>
class World {
 public:
  World(std::uint64_t seed, std::string path) : random_(seed), path_(std::move(path)) { open(); }

  void run(std::uint64_t operations) {
    while (done_ < operations) {
      if (random_.percent(1)) {
        column_.reset();
        store_.reset();
        open();
      }
      if (random_.percent(3)) check_everything();
      random_.percent(25) ? transaction() : autocommits(1 + random_.below(40));
    }
    check_everything();
    must_have(store_->verify(), "verify");
    if (column_->name() != "c") wrong("the name");
  }

 private:
  void open() {
    static constexpr std::array<std::uint32_t, 3> pages = {4096, 8192, 32768};
    Options options{.sync = Sync::off};
    options.page_size = pages[random_.below(3)];
    store_ = must_have(open_store(path_, options), "open");
    column_ = must_have(Column<T>::open(*store_, "c"), "column");
  }

  std::vector<T> some(std::uint64_t most) {
    std::vector<T> out(random_.below(most + 1));
    for (T& element : out) element = element_of<T>(random_);
    return out;
  }
  /// A place, now and then one that counts from the end.
  ColumnIndex index(std::uint64_t at, std::uint64_t size) {
    return random_.percent(30) ? from_end(size - at) : ColumnIndex(at);
  }

  void step(Column<T>& column, std::vector<T>& model) {
    ++done_;
    const std::uint64_t size = model.size();
    const std::uint64_t first = size == 0 ? 0 : random_.below(size);
    const auto at = [&](std::uint64_t i) { return model.begin() + static_cast<std::ptrdiff_t>(i); };
    const std::uint64_t what = random_.below(1000);
    if (what < 500) {
      model.push_back(element_of<T>(random_));
      must_have(column.append(model.back()), "append");
    } else if (what < 560) {
      const auto elements = some(random_.percent(5) ? 3000 : 20);
      must_have(column.extend(elements), "extend");
      model.insert(model.end(), elements.begin(), elements.end());
    } else if (what < 660) {
      if (size == 0) return;
      const T element = element_of<T>(random_);
      must_have(column.set(index(first, size), element), "set");
      model[first] = element;
    } else if (what < 720) {
      const auto elements =
          some(std::min<std::uint64_t>(size - first, random_.percent(5) ? 2000 : 20));
      must_have(column.replace(index(first, size), elements), "replace");
      std::copy(elements.begin(), elements.end(), at(first));
    } else if (what < 800) {
      const auto elements = some(random_.percent(5) ? 3000 : 5);
      must_have(column.insert(index(first, size), elements), "insert");
      model.insert(at(first), elements.begin(), elements.end());
    } else if (what < 880) {
      const std::uint64_t most = random_.percent(10) ? 4000 : 8;
      const std::uint64_t last =
          first + random_.below(std::min<std::uint64_t>(size - first, most) + 1);
      must_have(column.erase(index(first, size), index(last, size)), "erase");
      model.erase(at(first), at(last));
    } else if (what < 890) {
      const auto elements = some(50);
      const std::uint64_t last =
          first + random_.below(std::min<std::uint64_t>(size - first, 100) + 1);
      must_have(column.splice(first, last, elements), "splice");
      model.erase(at(first), at(last));
      model.insert(at(first), elements.begin(), elements.end());
    } else if (what < 893) {
      const std::uint64_t length = random_.below(size + 500);
      const T fill = element_of<T>(random_);
      must_have(column.resize(length, fill), "resize");
      model.resize(length, fill);
    } else if (what < 894) {
      if (random_.percent(20)) {
        must_have(column.clear(), "clear");
        model.clear();
      }
    } else if (what < 950) {
      if (size == 0) return;
      if (must_have(column.at(index(first, size)), "at") != model[first]) wrong("at");
      if (column.at(size)) wrong("at behind the end");
    } else {
      const std::uint64_t last = std::min(size, first + random_.below(500));
      const auto step_size =
          static_cast<std::int64_t>(1 + random_.below(5)) * (random_.percent(30) ? -1 : 1);
      std::vector<T> expected;
      for (std::uint64_t i = 0; i < last - first;
           i += static_cast<std::uint64_t>(std::abs(step_size))) {
        expected.push_back(step_size > 0 ? model[first + i] : model[last - 1 - i]);
      }
      if (must_have(column.slice(index(first, size), index(last, size), step_size), "slice") !=
          expected) {
        wrong("slice");
      }
    }
    if (must_have(column.size(), "size") != model.size()) wrong("size");
    if (model.size() > most_elements) {
      must_have(column.erase(10, model.size() - 1000), "erase");
      model.erase(at(10), model.end() - 1000);
    }
  }

  void autocommits(std::uint64_t count) {
    std::optional<Snapshot> snapshot;
    std::vector<T> then;
    if (random_.percent(20)) {
      snapshot = must_have(store_->snapshot(), "snapshot");
      then = model_;
    }
    for (std::uint64_t i = 0; i < count; ++i) step(*column_, model_);
    if (snapshot) compare(column_->in(*snapshot), then, "snapshot");
  }

  void transaction() {
    std::vector<T> model = model_;
    Transaction transaction = must_have(store_->begin(), "begin");
    Column<T> inside = column_->in(transaction);
    const std::uint64_t count = 1 + random_.below(200);
    for (std::uint64_t i = 0; i < count; ++i) {
      if (random_.percent(3)) {
        Savepoint savepoint = must_have(transaction.savepoint(), "savepoint");
        std::vector<T> behind = model;
        for (std::uint64_t k = random_.below(20); k > 0; --k) step(inside, behind);
        if (random_.percent(50)) {
          must_have(savepoint.release(), "release");
          model = std::move(behind);
        } else {
          must_have(savepoint.rollback(), "rollback");
        }
      }
      // Appends that are not looked at between.
      for (std::uint64_t k = random_.below(30); k > 0; --k) {
        model.push_back(element_of<T>(random_));
        must_have(inside.append(model.back()), "append");
        ++done_;
      }
      step(inside, model);
    }
    if (random_.percent(10)) compare(inside, model, "transaction");
    if (random_.percent(70)) {
      must_have(transaction.commit(), "commit");
      model_ = std::move(model);
    }
  }

  static void compare(const Column<T>& column, const std::vector<T>& model, const char* where) {
    std::uint64_t at = 0;
    auto loop = column.all();
    for (const auto& element : loop) {
      if (at >= model.size() || T(element) != model[at])
        wrong(std::string(where) + ": element " + std::to_string(at));
      ++at;
    }
    must_have(loop.status(), where);
    if (at != model.size()) wrong(std::string(where) + ": length");
    if constexpr (facade::FixedElement<T>) {
      std::vector<T> together;
      auto chunks = column.chunks();
      for (const std::span<const T> piece : chunks)
        together.insert(together.end(), piece.begin(), piece.end());
      must_have(chunks.status(), where);
      if (together != model) wrong(std::string(where) + ": chunks");
    }
  }

  void check_everything() {
    compare(*column_, model_, "all");
    if (!random_.percent(10)) return;
    must_have(store_->verify(), "verify");
    // Another process, while this one has no store open: a fork must not share one.
    column_.reset();
    store_.reset();
    const std::string complaint = in_child([&]() -> std::string {
      auto store = open_store(path_, {});
      if (!store) return store.error().message();
      compare(must_have(Column<T>::open_existing(*store, "c"), "column"), model_,
              "another process");
      return "";
    });
    if (!complaint.empty()) wrong(complaint);
    open();
  }

  static constexpr std::size_t most_elements = sizeof(T) > 100 ? 4000 : 30'000;
  Random random_;
  std::string path_;
  std::uint64_t done_ = 0;
  std::optional<Store> store_;
  std::optional<Column<T>> column_;
  std::vector<T> model_;
};

template <class T>
std::string run(const char* name, std::uint64_t seed, std::uint64_t operations) {
  const TempDir folder;
  try {
    World<T>(seed, folder.file("model.db")).run(operations);
    return "";
  } catch (const std::exception& caught) {
    return std::string(name) + ": " + caught.what();
  }
}

std::uint64_t number(const char* name, std::uint64_t fallback) {
  const char* text = std::getenv(name);
  return text == nullptr ? fallback : std::strtoull(text, nullptr, 10);
}

}  // namespace

int main(int argc, char* argv[]) {
  std::uint64_t seed = number("SNKV_SEED", 1);
  std::uint64_t operations = number("SNKV_MODEL_OPS", 24'000);
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::string(argv[i]) == "--seed") seed = std::strtoull(argv[i + 1], nullptr, 10);
    if (std::string(argv[i]) == "--ops") operations = std::strtoull(argv[i + 1], nullptr, 10);
  }
  std::printf("seed %llu, %llu operations\n", static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(operations));
  std::fflush(stdout);
  std::string failure = run<std::int64_t>("int64", seed, operations / 2);
  if (failure.empty()) failure = run<std::string>("string", seed + 1, operations / 4);
  if (failure.empty())
    failure = run<std::array<float, 300>>("float[300]", seed + 2, operations / 8);
  if (failure.empty())
    failure = run<std::array<std::int16_t, 3>>("i16[3]", seed + 3, operations / 8);
  if (failure.empty()) return 0;
  std::fprintf(stderr, "FAILED: %s\n", failure.c_str());
  return 1;
}
