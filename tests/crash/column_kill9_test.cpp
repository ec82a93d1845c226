// A process that changes columns is killed with SIGKILL at random moments, again and again on the
// same file. Each change, of thousands of elements over many pages, must have happened as a whole
// or not at all, and none that was acknowledged may be lost.
//
//   column_kill9_test [--seed N] [--cycles N] [--lie]
//
// `--lie` makes the writer commit half of each change first; a run that does not notice is
// worthless.
#include "process.hpp"

#include "support/encrypted.hpp"
#include "support/temp_dir.hpp"

#include <snkv/column.hpp>
#include <snkv/snkv.hpp>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace snkv;
using namespace snkv::test;

/// A change, known by its number.
struct Unit {
  enum class Kind { extend, replace, insert, erase };
  Kind kind;
  bool texts;
  std::uint64_t first;
  std::uint64_t count;
  std::uint64_t salt;

  [[nodiscard]] std::int64_t number(std::uint64_t i) const {
    return static_cast<std::int64_t>(salt * 1'000'003 + i);
  }
  [[nodiscard]] std::string text(std::uint64_t i) const {
    return std::to_string(number(i)) + std::string((salt + i) % 61, 't') +
           (i % 997 == 5 ? std::string(9000, 'L') : "");
  }
};

struct Model {
  std::vector<std::int64_t> numbers;
  std::vector<std::string> texts;
};

Unit make_unit(std::uint64_t seed, std::uint64_t number, const Model& model) {
  Random random(seed * 7919 + number);
  Unit unit{};
  unit.texts = random.percent(40);
  unit.salt = number;
  const std::uint64_t size = unit.texts ? model.texts.size() : model.numbers.size();
  const std::uint64_t most = unit.texts ? 4000 : 40'000;
  const std::uint64_t what = size < most ? 0 : size > 10 * most ? 95 : random.below(100);
  unit.kind = what < 50   ? Unit::Kind::extend
              : what < 80 ? Unit::Kind::replace
              : what < 92 ? Unit::Kind::insert
                          : Unit::Kind::erase;
  unit.count = 1 + random.below(most);
  unit.first = size == 0 ? 0 : random.below(size);
  if (unit.kind == Unit::Kind::replace || unit.kind == Unit::Kind::erase)
    unit.count = std::min(unit.count, size - unit.first);
  return unit;
}

template <class T>
std::vector<T> elements_of(const Unit& unit, std::uint64_t from, std::uint64_t to) {
  std::vector<T> out;
  for (std::uint64_t i = from; i < to; ++i) {
    if constexpr (std::same_as<T, std::string>) {
      out.push_back(unit.text(i));
    } else {
      out.push_back(unit.number(i));
    }
  }
  return out;
}

template <class T>
void apply_to(std::vector<T>& all, const Unit& unit) {
  const auto first = all.begin() + static_cast<std::ptrdiff_t>(unit.first);
  const auto fresh =
      unit.kind == Unit::Kind::erase ? std::vector<T>() : elements_of<T>(unit, 0, unit.count);
  switch (unit.kind) {
    case Unit::Kind::extend:
      all.insert(all.end(), fresh.begin(), fresh.end());
      break;
    case Unit::Kind::replace:
      std::copy(fresh.begin(), fresh.end(), first);
      break;
    case Unit::Kind::insert:
      all.insert(first, fresh.begin(), fresh.end());
      break;
    case Unit::Kind::erase:
      all.erase(first, first + static_cast<std::ptrdiff_t>(unit.count));
      break;
  }
}

void apply(Model& model, const Unit& unit) {
  unit.texts ? apply_to(model.texts, unit) : apply_to(model.numbers, unit);
}

template <class T>
Result<void> make_change(Column<T>& column, const Unit& unit, bool lie) {
  if (lie && unit.kind == Unit::Kind::extend && unit.count > 1) {
    auto half = column.extend(elements_of<T>(unit, 0, unit.count / 2));
    if (half) half = column.extend(elements_of<T>(unit, unit.count / 2, unit.count));
    if (!half) return Unexpected(half.error());
    return {};
  }
  const auto elements =
      unit.kind == Unit::Kind::erase ? std::vector<T>() : elements_of<T>(unit, 0, unit.count);
  switch (unit.kind) {
    case Unit::Kind::extend: {
      auto extended = column.extend(elements);
      if (!extended) return Unexpected(extended.error());
      return {};
    }
    case Unit::Kind::replace:
      return column.replace(unit.first, elements);
    case Unit::Kind::insert:
      return column.insert(unit.first, elements);
    case Unit::Kind::erase:
      return column.erase(unit.first, unit.first + unit.count);
  }
  return {};
}

Options options() { return {.sync = Sync::off, .wal_autocheckpoint = 200}; }

template <class T>
T must_have(Result<T> result, const char* what) {
  if (!result) throw std::runtime_error(std::string(what) + ": " + result.error().message());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

/// Works until it is killed. Reports each unit that was committed.
int writer(std::span<char*> words) {
  const std::uint64_t seed = std::strtoull(words[3], nullptr, 10);
  std::uint64_t number = std::strtoull(words[4], nullptr, 10);
  auto store = must_have(open_store(words[2], options()), "open");
  auto numbers = must_have(Column<std::int64_t>::open(store, "numbers"), "column");
  auto texts = must_have(Column<std::string>::open(store, "texts"), "column");
  Model model;
  model.numbers = must_have(numbers.slice(0), "slice");
  model.texts = must_have(texts.slice(0), "slice");
  const bool lie = words[5][0] == 'l';
  for (;; ++number) {
    const Unit unit = make_unit(seed, number, model);
    must_have(unit.texts ? make_change(texts, unit, lie) : make_change(numbers, unit, lie),
              "change");
    if (!write_all(4, &number, sizeof number)) return 0;
    apply(model, unit);
  }
}

std::string difference(const Store& store, const Model& model) {
  const auto numbers = Column<std::int64_t>::open_existing(store, "numbers");
  const auto texts = Column<std::string>::open_existing(store, "texts");
  if (!numbers || !texts)
    return model.numbers.empty() && model.texts.empty() ? "" : "a column is not there";
  if (must_have(numbers->slice(0), "slice") != model.numbers) return "the numbers differ";
  if (must_have(texts->slice(0), "slice") != model.texts) return "the texts differ";
  return "";
}

std::string run(std::uint64_t seed, std::uint64_t cycles, bool lie) {
  const TempDir folder;
  const std::string path = folder.file("columns.db");
  Random random(seed);
  Model model;
  std::uint64_t next = 1;
  std::uint64_t kept = 0;
  for (std::uint64_t cycle = 0; cycle < cycles; ++cycle) {
    Pipe pipe;
    Child child(
        {"--writer", path, std::to_string(seed), std::to_string(next), lie ? "lie" : "honest"}, -1,
        pipe.write_end());
    pipe.close_write();
    std::uint64_t first = 0;
    std::string reports;
    if (random.percent(90) && ::read(pipe.read_end(), &first, sizeof first) == sizeof first) {
      reports.assign(reinterpret_cast<const char*>(&first), sizeof first);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random.below(15'000)));
    child.send(SIGKILL);
    const int status = child.wait();
    if (!WIFSIGNALED(status)) return "the writer ended by itself: " + describe_status(status);
    reports += read_to_end(pipe.read_end());
    for (std::size_t at = 0; at + sizeof next <= reports.size(); at += sizeof next) {
      std::uint64_t number = 0;
      std::memcpy(&number, reports.data() + at, sizeof number);
      if (number != next) return "reports out of order";
      apply(model, make_unit(seed, next++, model));
    }
    const auto store = must_have(open_store(path, options()), "open after a kill");
    if (cycle % 10 == 9 || cycle + 1 == cycles) must_have(store.verify(), "verify");
    if (difference(store, model).empty()) continue;
    apply(model, make_unit(seed, next++, model));
    ++kept;
    if (const std::string wrong = difference(store, model); !wrong.empty()) {
      return "cycle " + std::to_string(cycle) + ", unit " + std::to_string(next - 1) + ": " + wrong;
    }
  }
  std::printf("%llu units, %llu of them committed but not acknowledged\n",
              static_cast<unsigned long long>(next - 1), static_cast<unsigned long long>(kept));
  return "";
}

}  // namespace

int main(int argc, char* argv[]) {
  const std::span<char*> words(argv, static_cast<std::size_t>(argc));
  std::string failure;
  std::uint64_t seed = environment_number("SNKV_SEED", 1);
  std::uint64_t cycles = environment_number("SNKV_KILL_CYCLES", 25);
  bool lie = false;
  try {
    if (argc >= 6 && std::string_view(words[1]) == "--writer") return writer(words);
    for (std::size_t i = 1; i < words.size(); ++i) {
      if (std::string_view(words[i]) == "--lie") lie = true;
      if (std::string_view(words[i]) == "--seed" && i + 1 < words.size())
        seed = std::strtoull(words[++i], nullptr, 10);
      if (std::string_view(words[i]) == "--cycles" && i + 1 < words.size())
        cycles = std::strtoull(words[++i], nullptr, 10);
    }
    prefer_memory_for_temporary_files();
    std::printf("seed %llu, %llu cycles\n", static_cast<unsigned long long>(seed),
                static_cast<unsigned long long>(cycles));
    failure = run(seed, cycles, lie);
  } catch (const std::exception& caught) {
    failure = caught.what();
  }
  if (failure.empty()) return 0;
  std::fprintf(stderr, "FAILED: %s\n", failure.c_str());
  return 1;
}
