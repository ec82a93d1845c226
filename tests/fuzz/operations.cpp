// A program of calls against a map that does the same, with transactions, savepoints and snapshots.
#include "fuzz/fuzz.hpp"

#include <snkv/snkv.hpp>

#include <map>
#include <optional>

namespace snkv::fuzz {
namespace {

using Model = std::map<std::string, std::string>;

/// A store in memory and what has to be in it.
class World {
 public:
  void run(Reader& reader) {
    for (int steps = 0; steps < 300 && !reader.at_end(); ++steps) step(reader);
    if (transaction_) rollback();
    compare(store_.all(), model_);
  }

 private:
  static std::string key(Reader& reader) { return "k" + std::string(reader.text(reader.byte() % 4)); }
  static std::string value(Reader& reader) {
    const std::uint8_t size = reader.byte();
    // Beyond 200, values that lie in a side table.
    return std::string(size < 200 ? size : std::size_t{size} * 100, static_cast<char>('a' + reader.byte() % 26));
  }

  template <class Target>
  static void compare_entry(const Target& target, const Model& model, const std::string& key) {
    const auto found = target.get(key);
    const auto expected = model.find(key);
    if (found.has_value() != (expected != model.end())) fail("get of " + key);
    if (found && found->str() != expected->second) fail("the value of " + key);
    if (!found && found.error().code() != Errc::not_found) fail(found.error().message());
  }
  static void compare(Range range, const Model& model) {
    auto expected = model.begin();
    for (auto [key, value] : range) {
      if (expected == model.end() || key != BytesView(expected->first) || value != BytesView(expected->second)) {
        fail("the scan is not the map");
      }
      ++expected;
    }
    if (!range.status() || expected != model.end()) fail("the scan ends too early");
  }

  template <class Target>
  void change(Target& target, Model& model, Reader& reader) {
    const std::string at = key(reader);
    switch (reader.byte() % 6) {
      case 0:
      case 1: {
        const std::string now = value(reader);
        must(target.put(at, now));
        model[at] = now;
        break;
      }
      case 2:
        if (must(target.erase(at)) != (model.erase(at) == 1)) fail("erase of " + at);
        break;
      case 3: {
        const std::string to = key(reader);
        if (!(at < to)) break;
        const auto first = model.lower_bound(at);
        const auto last = model.lower_bound(to);
        const auto count = static_cast<std::uint64_t>(std::distance(first, last));
        if (must(target.erase_range(at, to)) != count) fail("erase_range");
        model.erase(first, last);
        break;
      }
      case 4: {
        const std::string now = value(reader);
        if (must(target.put_if_absent(at, now)) != model.try_emplace(at, now).second) fail("put_if_absent");
        break;
      }
      default:
        compare_entry(target, model, at);
        if (must(target.count()) != model.size()) fail("count");
    }
  }

  void rollback() {
    must(transaction_->rollback());
    transaction_.reset();
  }
  void step(Reader& reader) {
    switch (reader.byte() % 10) {
      case 0:
        if (!transaction_) {
          transaction_.emplace(must(store_.begin()));
          inside_ = model_;
        }
        break;
      case 1:
        if (transaction_) {
          must(transaction_->commit());
          transaction_.reset();
          model_ = inside_;
        }
        break;
      case 2:
        if (transaction_) rollback();
        break;
      case 3:
        snapshot_.emplace(must(store_.snapshot()));
        seen_ = model_;
        break;
      case 4:
        if (snapshot_) compare(snapshot_->all(), seen_);
        break;
      case 5:
        compare(transaction_ ? transaction_->all() : store_.all(), transaction_ ? inside_ : model_);
        break;
      default:
        if (transaction_) {
          change(*transaction_, inside_, reader);
        } else {
          change(store_, model_, reader);
        }
    }
  }

  Store store_ = must(Store::open_in_memory({.page_size = 4096}));
  Model model_;
  std::optional<Transaction> transaction_;
  Model inside_;
  std::optional<Snapshot> snapshot_;
  Model seen_;
};

}  // namespace

std::vector<std::string> seeds() {
  std::vector<std::string> all;
  for (std::uint32_t seed = 1; seed <= 8; ++seed) {
    std::string program;
    std::uint32_t state = seed;
    for (int i = 0; i < 600; ++i) {
      state = state * 1664525u + 1013904223u;
      program += static_cast<char>(state >> 24);
    }
    all.push_back(std::move(program));
  }
  return all;
}

void run(std::string_view input) {
  Reader reader(input);
  World().run(reader);
}

}  // namespace snkv::fuzz
