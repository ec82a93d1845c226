// Power cuts: a store is worked on while every call to the disk is recorded. Then, for moments all
// over the recording, images are made of what a power cut at that moment could have left, and
// opened:
// - with Sync::full, and after Store::sync, every unit that was acknowledged is there;
// - with Sync::normal, the store is as it was after some unit, and no later one is there in part;
// - the store is whole.
//
//   power_loss_test [--seed N] [--images N] [--lie]
//
// --lie: the disk only says that it syncs. The test must then fail, which shows that it can.
#include "disk_recorder.hpp"
#include "failure.hpp"
#include "workload.hpp"

#include "support/encrypted.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace snkv;
using namespace snkv::test;

struct Arguments {
  std::uint64_t seed = 1;
  std::uint64_t images = 10000;
  bool lie = false;
};

/// How the store of one recording is opened.
struct Scenario {
  const char* name;
  Journal journal;
  Sync sync;
  std::uint32_t page_size;
  std::uint32_t checkpoint;
  /// Checkpoints by a thread beside the writer: then a recording is another each time.
  bool beside = false;
  /// What every other unit asks for, whatever the store says.
  std::optional<Sync> others{};
  [[nodiscard]] Sync of(std::uint64_t number) const {
    return number % 2 == 0 && others ? *others : sync;
  }
};
constexpr Scenario scenarios[] = {
    {"log, full", Journal::wal, Sync::full, 4096, 20},
    {"log, full, large pages", Journal::wal, Sync::full, 16384, 30},
    {"log, normal", Journal::wal, Sync::normal, 4096, 20},
    {"log, normal, long log", Journal::wal, Sync::normal, 8192, 400},
    {"rollback journal, full", Journal::rollback, Sync::full, 4096, 1000},
    {"log, full, beside", Journal::wal, Sync::full, 4096, 20, true},
    {"log, normal, beside", Journal::wal, Sync::normal, 4096, 10, true},
    {"log, normal, others off", Journal::wal, Sync::normal, 4096, 20, false, Sync::off},
    {"log, off, others full", Journal::wal, Sync::off, 4096, 20, false, Sync::full},
    {"log, off, others full, beside", Journal::wal, Sync::off, 4096, 10, true, Sync::full},
};
constexpr std::uint64_t units = 60;
constexpr std::string_view counter_family = "default";
constexpr std::string_view counter_key = "unit";

/// The unit as a transaction that also counts it.
Result<void> carry_out(Store& store, const Unit& unit, std::uint64_t number,
                       std::optional<Sync> sync = {}) {
  auto transaction = store.begin({.sync = sync});
  if (!transaction) return Unexpected(transaction.error());
  for (const test::Change& change : unit.changes) {
    if (auto made = make_change(*transaction, change); !made) return made;
  }
  if (auto put = transaction->put(counter_key, patterned(40, number)); !put) return put;
  return transaction->commit();
}

/// What the store must contain after each unit, from none on.
class History {
 public:
  explicit History(std::uint64_t seed) {
    states_.emplace_back();
    for (std::uint64_t number = 1; number <= units; ++number) {
      units_.push_back(make_unit(seed, number, states_.back()));
      Expected next = states_.back();
      next.apply(units_.back());
      next.families.find(counter_family)
          ->second.insert_or_assign(std::string(counter_key), Expected::Stored{40, number});
      states_.push_back(std::move(next));
    }
  }
  [[nodiscard]] const Unit& unit(std::uint64_t number) const { return units_[number - 1]; }
  [[nodiscard]] const Expected& after(std::uint64_t number) const { return states_[number]; }
  /// The number of the unit that the store says it is at.
  [[nodiscard]] static std::uint64_t number_in(Store& store) {
    auto value = store.get(counter_key);
    if (!value && value.error() == Errc::not_found) return 0;
    require(value, "reading the counter");
    for (std::uint64_t number = 1; number <= units; ++number) {
      if (value->view() == patterned(40, number)) return number;
    }
    throw Failure{"a counter that nobody wrote"};
  }

 private:
  std::vector<Unit> units_;
  std::vector<Expected> states_;
};

/// Works on a store, closes it, and leaves the recording.
void record(const Scenario& scenario, const History& history, std::uint64_t seed,
            DiskRecording& recording, const std::string& path) {
  auto store = open_store(path, {.journal = scenario.journal,
                                 .sync = scenario.sync,
                                 .page_size = scenario.page_size,
                                 .wal_autocheckpoint = scenario.checkpoint,
                                 .background_checkpoints = scenario.beside});
  require(store, "open");
  Random random(seed);
  for (std::uint64_t number = 1; number <= units; ++number) {
    recording.begun(number);
    require(carry_out(*store, history.unit(number), number, scenario.of(number)), "a unit");
    if (scenario.of(number) == Sync::full) recording.durable(number);
    const std::uint64_t dice = random.below(20);
    if (dice == 0) {
      require(store->sync(), "sync");
      recording.durable(number);
    } else if (dice == 1) {
      require(store->checkpoint(random.percent(50) ? Checkpoint::truncate : Checkpoint::restart),
              "checkpoint");
    } else if (dice == 2) {
      require(store->vacuum(0), "vacuum");
    } else if (dice == 3) {
      require(store->compact(), "compact");
    }
  }
  require(store->close(), "close");
}

class PowerLoss {
 public:
  PowerLoss(const Scenario& scenario, std::uint64_t seed, bool lie)
      : scenario_(scenario), history_(seed), recording_(folder_.path()), seed_(seed), lie_(lie) {
    record(scenario_, history_, seed, recording_, folder_.file("store.db"));
    recording_.stop();
  }

  /// That nothing is written into a log that was cut off but its header, until that is safe: with the old
  /// header, a part of the old log would be taken for the latest state.
  void check_truncations() const {
    std::map<std::uint32_t, bool> cut;  // logs, and whether a truncation is not safe
    for (const DiskEvent& event : recording_.events()) {
      if (event.kind == DiskEvent::Kind::create && event.path.ends_with("-wal")) cut[event.file] = false;
      const auto log = cut.find(event.file);
      if (log == cut.end()) continue;
      if (event.kind == DiskEvent::Kind::truncate) log->second = event.offset == 0;
      if (event.kind == DiskEvent::Kind::sync) log->second = false;
      constexpr std::uint64_t header = 32;
      if (event.kind == DiskEvent::Kind::write && log->second && event.offset >= header) {
        throw Failure{std::string(scenario_.name) + ", seed " + std::to_string(seed_) +
                      ": frames in a log whose truncation is not safe"};
      }
    }
  }

  /// Images at moments spread over the whole recording.
  void check(std::uint64_t images) {
    const auto& events = recording_.events();
    Disk disk(lie_);
    Random random(seed_ ^ 0xc0ffee);
    std::uint64_t done = 0;
    for (std::size_t at = 0; at <= events.size(); ++at) {
      const std::uint64_t due = images * (at + 1) / (events.size() + 1);
      // Before anything is durable, a store without syncs need not even open.
      const bool may_be_damaged = scenario_.sync == Sync::off && disk.durable() == 0;
      if (may_be_damaged) done = due;
      for (; done < due; ++done) check_image(disk, random, at);
      if (at < events.size()) disk.play(events[at]);
    }
  }

  [[nodiscard]] std::size_t events() const noexcept { return recording_.events().size(); }
  [[nodiscard]] std::uint64_t lost() const noexcept { return lost_; }

 private:
  void check_image(const Disk& disk, Random& random, std::size_t at) {
    const TempDir image;
    disk.leave_image(random, image.path());
    try {
      auto store = open_store(image.file("store.db"),
                              {.journal = scenario_.journal, .page_size = scenario_.page_size});
      require(store, "open after the power cut");
      require(store->integrity_check(), "integrity check");
      const std::uint64_t number = History::number_in(*store);
      if (number < disk.durable()) {
        throw Failure{"unit " + std::to_string(disk.durable()) + " was durable, and only " +
                      std::to_string(number) + " are there"};
      }
      if (number > disk.begun()) throw Failure{"a unit that was not begun"};
      const std::string wrong = difference(*store, history_.after(number));
      if (!wrong.empty()) throw Failure{"after unit " + std::to_string(number) + ": " + wrong};
      if (number + 1 < disk.begun()) ++lost_;
      require(carry_out(*store, {}, units), "writing after the power cut");
      require(store->close(), "close");
    } catch (const Failure& failure) {
      throw Failure{std::string(scenario_.name) + ", seed " + std::to_string(seed_) + ", event " +
                    std::to_string(at) + " of " + std::to_string(recording_.events().size()) +
                    ": " + failure.what};
    }
  }

  const Scenario& scenario_;
  TempDir folder_;
  History history_;
  DiskRecording recording_;
  std::uint64_t seed_;
  bool lie_;
  std::uint64_t lost_ = 0;
};

Arguments parse(std::span<char*> words) {
  Arguments arguments;
  arguments.seed = environment_number("SNKV_SEED", arguments.seed);
  arguments.images = environment_number("SNKV_IMAGES", arguments.images);
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (word == "--lie") {
      arguments.lie = true;
    } else if (i + 1 < words.size() && word == "--seed") {
      arguments.seed = std::strtoull(words[++i], nullptr, 10);
    } else if (i + 1 < words.size() && word == "--images") {
      arguments.images = std::strtoull(words[++i], nullptr, 10);
    } else {
      std::fputs("usage: power_loss_test [--seed N] [--images N] [--lie]\n", stderr);
      std::exit(2);
    }
  }
  return arguments;
}

}  // namespace

int main(int argc, char* argv[]) {
  const Arguments arguments = parse(std::span<char*>(argv, static_cast<std::size_t>(argc)));
  prefer_memory_for_temporary_files();
  std::printf("seed %llu, %llu images\n", static_cast<unsigned long long>(arguments.seed),
              static_cast<unsigned long long>(arguments.images));
  std::fflush(stdout);
  // A recording for each few hundred images, so that many histories are seen.
  constexpr std::uint64_t images_each = 200;
  const auto start = std::chrono::steady_clock::now();
  std::uint64_t events = 0;
  std::uint64_t lost = 0;
  std::uint64_t rounds = 0;
  try {
    for (std::uint64_t done = 0; done < arguments.images; done += images_each, ++rounds) {
      PowerLoss run(scenarios[rounds % std::size(scenarios)], arguments.seed * 1000 + rounds,
                    arguments.lie);
      run.check_truncations();
      run.check(images_each);
      events += run.events();
      lost += run.lost();
    }
  } catch (const Failure& failure) {
    std::fprintf(stderr, "FAILED: %s\n", failure.what.c_str());
    return 1;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  std::printf(
      "%llu recordings of %llu events, %llu images lacked units that were not durable: "
      "all as promised; %.0f images/s\n",
      static_cast<unsigned long long>(rounds), static_cast<unsigned long long>(events),
      static_cast<unsigned long long>(lost), static_cast<double>(arguments.images) / took.count());
  return 0;
}
