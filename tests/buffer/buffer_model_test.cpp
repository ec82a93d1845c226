// Random operations on a buffer and on a std::map, with flushes, reopening, and views that are kept
// meanwhile. SNKV_BUFFER_OPS: how many (20 000), SNKV_SEED: with which seed.
#include "support/catch.hpp"
#include "support/check.hpp"
#include "support/encrypted.hpp"
#include "support/fake_clock.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>
#include <snkv/write_buffer.hpp>

#include <cstdlib>
#include <iostream>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace {

using namespace snkv;
using namespace snkv::test;
using namespace std::chrono_literals;

std::uint64_t from_environment(const char* name, std::uint64_t fallback) {
  const char* text = std::getenv(name);
  return text == nullptr || *text == '\0' ? fallback : std::strtoull(text, nullptr, 10);
}

struct Entry {
  std::string value;
  std::optional<std::int64_t> expires_at;
};
using Model = std::map<std::string, Entry>;
using Live = std::map<std::string, std::string>;

class World {
 public:
  World(std::uint64_t seed, bool journal)
      : random_(seed),
        journal_(journal),
        store_(must(open_store(folder_.file("db"), {.clock = clock_.source()}))) {
    must(store_.create_column_family("second"));
    open_buffer();
  }

  void step() {
    const unsigned what = below(1000);
    if (what >= 995) return reopen();  // nothing else may hold the buffer
    const unsigned f = below(2);
    ColumnFamily family = of(f);
    Model& model = models_[f];
    const std::string key = random_key();
    if (what < 300) {
      const std::string value = random_value();
      PutOptions options;
      Entry entry{value, {}};
      if (below(10) == 0) {
        const std::int64_t ttl = 1 + below(50);
        options.ttl = std::chrono::milliseconds(ttl);
        entry.expires_at = clock_.now() + ttl;
      }
      REQUIRE_OK(family.put(key, value, options));
      model[key] = entry;
    } else if (what < 400) {
      REQUIRE(must(family.erase(key)) == is_live(model, key));
      if (is_live(model, key)) model.erase(key);
    } else if (what < 420) {
      const auto [low, high] = random_range();
      REQUIRE_OK(family.erase_range(low, high));
      model.erase(model.lower_bound(low), model.lower_bound(high));
    } else if (what < 425) {
      REQUIRE_OK(family.erase_prefix(key.substr(0, 1)));
      const std::string prefix = key.substr(0, 1);
      for (auto at = model.lower_bound(prefix);
           at != model.end() && at->first.starts_with(prefix);) {
        at = model.erase(at);
      }
    } else if (what < 426) {
      REQUIRE_OK(family.clear());
      model.clear();
    } else if (what < 460) {
      write_batch();
    } else if (what < 500) {
      const std::string value = random_value();
      const bool inserted = must(family.put_if_absent(key, value));
      REQUIRE(inserted == !is_live(model, key));
      if (inserted) model[key] = {value, {}};
    } else if (what < 530) {
      const std::string value = random_value();
      const auto current = live(model, key);
      const bool right = below(2) == 0;
      std::optional<BytesView> expected;
      if (right && current) expected = BytesView(*current);
      if (!right) expected = BytesView("surely not");
      const bool swapped = must(family.compare_and_swap(key, expected, value));
      REQUIRE(swapped == right);
      if (swapped) model[key] = {value, {}};
    } else if (what < 570) {
      const std::string counter = "n" + std::to_string(below(5));
      const auto current = live(model, counter);
      if (current && current->find_first_not_of("0123456789") != std::string::npos) return;
      const std::int64_t sum = (current ? std::stoll(*current) : 0) + 3;
      REQUIRE(must(family.increment(counter, 3)) == sum);
      model[counter] = {std::to_string(sum), current ? model[counter].expires_at : std::nullopt};
    } else if (what < 600) {
      const auto current = live(model, key);
      REQUIRE_OK(
          family.merge(key, [](std::optional<BytesView> before) -> Result<std::optional<Bytes>> {
            if (before && before->size() > 40) return std::optional<Bytes>();
            return std::optional<Bytes>(Bytes(BytesView((before ? before->str() : "") + "+")));
          }));
      if (current && current->size() > 40) {
        model.erase(key);
      } else {
        model[key] = {current.value_or("") + "+", {}};
      }
    } else if (what < 620) {
      const bool found = is_live(model, key);
      const std::int64_t at = clock_.now() + 1 + below(40);
      const auto done = below(2) == 0
                            ? family.expire_at(key, TimePoint(std::chrono::milliseconds(at)))
                            : family.persist(key);
      if (!found) {
        REQUIRE_ERRC(done, Errc::not_found);
      } else {
        REQUIRE_OK(done);
        const auto ttl = must(family.ttl(key));
        model[key].expires_at.reset();
        if (ttl) model[key].expires_at = clock_.now() + ttl->count();
      }
    } else if (what < 800) {
      check_key(family, model, key);
    } else if (what < 850) {
      walk(family, live_of(model));
    } else if (what < 870) {
      check_scan(family, live_of(model));
    } else if (what < 890) {
      REQUIRE(must(family.count_live()) == live_of(model).size());
      const auto [low, high] = random_range();
      const auto got = must(family.multi_get({BytesView(key), BytesView(low)}));
      compare(got[0], live(model, key));
      compare(got[1], live(model, low));
    } else if (what < 910) {
      clock_.advance(std::chrono::milliseconds(below(20)));
      kept_.clear();  // an iterator's clock stands still, the model's does not
    } else if (what < 930) {
      keep_view(f);
    } else if (what < 960) {
      check_kept();
    } else if (what < 990) {
      REQUIRE_OK(buffer_.flush());
    } else {
      // Who writes to the store is hidden by the buffer: so what is in it is flushed before.
      REQUIRE_OK(buffer_.flush());
      ColumnFamily direct =
          f == 0 ? store_.default_column_family() : must(store_.open_column_family("second"));
      REQUIRE_OK(direct.put(key, "direct"));
      model[key] = {"direct", {}};
    }
  }

  void check_all() {
    for (unsigned f = 0; f < 2; ++f) check_scan(of(f), live_of(models_[f]));
    check_kept();
  }
  void check_store() {
    REQUIRE_OK(buffer_.close());
    check_scan(store_.default_column_family(), live_of(models_[0]));
    check_scan(must(store_.open_column_family("second")), live_of(models_[1]));
    const VerifyReport report = must(store_.verify());
    REQUIRE(report.journals_waiting == 0);
  }

 private:
  unsigned below(unsigned limit) { return static_cast<unsigned>(random_() % limit); }
  std::string random_key() {
    static const char* const starts[] = {"", "a", "ab", "abcdefgh", "b\xff", "\xff\xff"};
    return starts[below(6)] + std::to_string(below(60));
  }
  std::string random_value() {
    return std::string(below(30) == 0 ? below(5000) : below(60),
                       static_cast<char>('a' + below(26)));
  }
  std::pair<std::string, std::string> random_range() {
    std::string low = random_key();
    std::string high = random_key();
    if (high < low) std::swap(low, high);
    return {low, high};
  }
  ColumnFamily of(unsigned f) {
    return buffer_.family(f == 0 ? store_.default_column_family()
                                 : must(store_.open_column_family("second")));
  }
  [[nodiscard]] bool is_live(const Model& model, const std::string& key) const {
    const auto at = model.find(key);
    return at != model.end() && (!at->second.expires_at || *at->second.expires_at > clock_.now());
  }
  [[nodiscard]] std::optional<std::string> live(const Model& model, const std::string& key) const {
    return is_live(model, key) ? std::optional<std::string>(model.at(key).value) : std::nullopt;
  }
  [[nodiscard]] Live live_of(const Model& model) const {
    Live out;
    for (const auto& [key, entry] : model) {
      if (is_live(model, key)) out[key] = entry.value;
    }
    return out;
  }
  static void compare(const std::optional<Bytes>& got, const std::optional<std::string>& wanted) {
    REQUIRE(got.has_value() == wanted.has_value());
    if (got) REQUIRE(got->view() == *wanted);
  }

  void open_buffer() {
    buffer_ = must(WriteBuffer::open(store_, {.flush_bytes = 8000 + below(30000),
                                              .max_age = 0ms,
                                              .journal = journal_,
                                              .name = "model"}));
  }
  void reopen() {
    kept_.clear();
    if (below(2) == 0) {
      REQUIRE_OK(buffer_.close());
      REQUIRE_ERRC(buffer_.get("a"), Errc::closed);
    }
    buffer_ = WriteBuffer();  // flushes too
    if (below(3) == 0) {
      store_ = Store();
      store_ = must(open_store(folder_.file("db"), {.clock = clock_.source()}));
    }
    open_buffer();
  }

  void write_batch() {
    WriteBatch batch;
    const unsigned size = 1 + below(20);
    unsigned f = 0;
    for (unsigned i = 0; i < size; ++i) {
      const std::string key = random_key();
      Model& model = models_[f];
      switch (below(5)) {
        case 0:
          batch.erase(key);
          model.erase(key);
          break;
        case 1: {
          const auto [low, high] = random_range();
          batch.erase_range(low, high);
          model.erase(model.lower_bound(low), model.lower_bound(high));
          break;
        }
        case 2:
          f = 1 - f;
          batch.in_family(f == 0 ? "" : "second");
          break;
        default: {
          const std::string value = random_value();
          if (below(4) == 0) {
            batch.put(key, value, {.ttl = 30ms});
            model[key] = {value, clock_.now() + 30};
          } else {
            batch.put(key, value);
            model[key] = {value, {}};
          }
        }
      }
    }
    REQUIRE_OK(buffer_.write(batch));
  }

  void check_key(const ColumnFamily& family, const Model& model, const std::string& key) {
    const auto wanted = live(model, key);
    REQUIRE(must(family.contains(key)) == wanted.has_value());
    const auto got = family.get(key);
    if (!wanted) {
      REQUIRE_ERRC(got, Errc::not_found);
      REQUIRE_ERRC(family.get_pinned(key), Errc::not_found);
      return;
    }
    REQUIRE(must(got).view() == *wanted);
    REQUIRE(must(family.get_pinned(key)).view().view() == *wanted);
    const auto ttl = must(family.ttl(key));
    REQUIRE(ttl.has_value() == model.at(key).expires_at.has_value());
    if (ttl) REQUIRE(ttl->count() == *model.at(key).expires_at - clock_.now());
  }

  static void check_scan(const ColumnFamily& family, const Live& wanted) {
    auto expected = wanted.begin();
    auto scan = family.all();
    for (auto [key, value] : scan) {
      REQUIRE(expected != wanted.end());
      REQUIRE(key.view() == expected->first);
      REQUIRE(value.view() == expected->second);
      ++expected;
    }
    REQUIRE_OK(scan.status());
    REQUIRE(expected == wanted.end());
    auto back = wanted.rbegin();
    auto reversed = family.all().reversed();
    for (auto [key, value] : reversed) {
      REQUIRE(back != wanted.rend());
      REQUIRE(key.view() == back->first);
      ++back;
    }
    REQUIRE_OK(reversed.status());
    REQUIRE(back == wanted.rend());
  }

  /// A random walk, in a range or in all.
  void walk(const ColumnFamily& family, const Live& all) {
    const auto [low, high] = random_range();
    const bool bounded = below(2) == 0;
    Live wanted = all;
    if (bounded) wanted = Live(all.lower_bound(low), all.lower_bound(high));
    Iterator at = bounded ? family.range(low, high).manual() : family.iterator();
    walk_on(at, wanted, 30);
  }
  void walk_on(Iterator& at, const Live& wanted, int steps) {
    auto expected = wanted.end();
    for (int i = 0; i < steps; ++i) {
      REQUIRE_OK(at.status());
      const std::string key = random_key();
      switch (expected == wanted.end() ? below(4) : below(12)) {
        case 0:
          at.seek_first();
          expected = wanted.begin();
          break;
        case 1:
          at.seek_last();
          expected = wanted.empty() ? wanted.end() : std::prev(wanted.end());
          break;
        case 2:
          at.seek(key);
          expected = wanted.lower_bound(key);
          break;
        case 3:
          at.seek_for_prev(key);
          expected = wanted.upper_bound(key);
          expected = expected == wanted.begin() ? wanted.end() : std::prev(expected);
          break;
        case 4:
        case 5:
        case 6:
          at.prev();
          expected = expected == wanted.begin() ? wanted.end() : std::prev(expected);
          break;
        default:
          at.next();
          ++expected;
      }
      REQUIRE(at.valid() == (expected != wanted.end()));
      if (!at.valid()) continue;
      REQUIRE(at.key().view() == expected->first);
      REQUIRE(at.value().view() == expected->second);
    }
  }

  void keep_view(unsigned f) {
    if (kept_.size() > 4) kept_.erase(kept_.begin());
    kept_.push_back({of(f).iterator(), live_of(models_[f])});
  }
  void check_kept() {
    for (auto& [iterator, wanted] : kept_) walk_on(iterator, wanted, 20);
  }

  struct Kept {
    Iterator iterator;
    Live wanted;
  };

  std::mt19937_64 random_;
  bool journal_;
  TempDir folder_;
  FakeClock clock_;
  Store store_;
  WriteBuffer buffer_;
  Model models_[2];
  std::vector<Kept> kept_;
};

void run(bool journal) {
  const std::uint64_t operations = from_environment("SNKV_BUFFER_OPS", 20'000) / 2;
  const std::uint64_t seed = from_environment("SNKV_SEED", 42) + (journal ? 1 : 0);
  INFO("seed " << seed);
  std::cout << "seed " << seed << ", " << operations << " operations, "
            << (journal ? "with" : "without") << " journal\n";
  World world(seed, journal);
  for (std::uint64_t i = 0; i < operations; ++i) {
    INFO("operation " << i);
    world.step();
    if (i % 1000 == 999) world.check_all();
  }
  world.check_all();
  world.check_store();
}

TEST_CASE("a buffer does what the model does, without a journal") { run(false); }
TEST_CASE("a buffer does what the model does, with a journal") { run(true); }

}  // namespace
