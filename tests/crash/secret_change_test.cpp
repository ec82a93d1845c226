// Power cuts while it changes what opens a store: another password, another data key, encryption
// where there was none, and none where there was. Every call to the disk is recorded; for each
// moment of the change images are made of what a power cut could have left. Each must open with the
// old secret or with the new one, and with no other; with the new one if the change had returned.
// All entries are there, and the change can be made again.
//
//   secret_change_test [--lie]
//
// SNKV_SEED, and SNKV_IMAGES: the number of images of each moment. --lie: the disk only says that
// it syncs. The test must then fail, which shows that it can.
#include "disk_recorder.hpp"
#include "failure.hpp"

#include "support/patterned.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace snkv;
using namespace snkv::test;

/// What opens a store: nothing, or one of two keys.
enum class Opens : char { plain = '-', first = 'a', second = 'b' };
constexpr Opens ways[] = {Opens::plain, Opens::first, Opens::second};

Secret key(Opens way) { return Secret::key(std::string(Secret::key_size, static_cast<char>(way))); }

enum class What { change_password, rotate_key, encrypt_existing, remove_encryption };

struct Scenario {
  const char* name;
  What what;
  Journal journal;
  Opens before;
  Opens after;
};
constexpr Scenario scenarios[] = {
    {"change_password, log", What::change_password, Journal::wal, Opens::first, Opens::second},
    {"change_password, rollback", What::change_password, Journal::rollback, Opens::first,
     Opens::second},
    {"rotate_key, log", What::rotate_key, Journal::wal, Opens::first, Opens::first},
    {"rotate_key, rollback", What::rotate_key, Journal::rollback, Opens::first, Opens::first},
    {"encrypt_existing, log", What::encrypt_existing, Journal::wal, Opens::plain, Opens::first},
    {"encrypt_existing, rollback", What::encrypt_existing, Journal::rollback, Opens::plain,
     Opens::first},
    {"remove_encryption, log", What::remove_encryption, Journal::wal, Opens::first, Opens::plain},
    {"remove_encryption, rollback", What::remove_encryption, Journal::rollback, Opens::first,
     Opens::plain},
};

Result<Store> open(const std::string& path, Opens way, Journal journal) {
  const Options options{.journal = journal, .sync = Sync::full, .page_size = 4096};
  return way == Opens::plain ? Store::open(path, options)
                             : Store::open_encrypted(path, key(way), options);
}

void fill(Store& store) {
  for (int i = 0; i < 40; ++i)
    require(store.put("key" + std::to_string(i), patterned(60, i)), "put");
  require(store.put("big", patterned(30'000, 1)), "put");
  require(store.put("later", "expires", {.expires_at = TimePoint(std::chrono::hours(1'000'000))}),
          "put");
  auto other = store.column_family("other");
  require(other, "family");
  require(other->put("one", "of the other family"), "put");
}

/// Keys and values of all families, each with the name of its family.
using Everything = std::map<std::string, std::string, std::less<>>;

Everything everything_of(const Store& store) {
  Everything all;
  for (const char* name : {"default", "other"}) {
    auto family = store.open_column_family(name);
    require(family, "family");
    Range entries = family->all();
    for (auto [at, value] : entries) all[std::string(name) + '/' + at.str()] = value.str();
    require(entries.status(), "scan");
  }
  return all;
}

Result<void> change(const Scenario& scenario, const std::string& path) {
  switch (scenario.what) {
    case What::encrypt_existing:
      return Store::encrypt_existing(path, key(scenario.after));
    case What::remove_encryption:
      return Store::remove_encryption(path, key(scenario.before));
    default:
      break;
  }
  auto store = open(path, scenario.before, scenario.journal);
  require(store, "open");
  return scenario.what == What::change_password
             ? store->change_password(key(scenario.before), key(scenario.after))
             : store->rotate_key(key(scenario.before));
}

constexpr std::uint64_t made = 1;
constexpr std::uint64_t changed = 2;

class Changes {
 public:
  Changes(const Scenario& scenario, std::uint64_t seed, bool lie)
      : scenario_(scenario), recording_(folder_.path()), seed_(seed), lie_(lie) {
    const std::string path = folder_.file("store.db");
    {
      auto store = open(path, scenario.before, scenario.journal);
      require(store, "open");
      fill(*store);
      everything_ = everything_of(*store);
      require(store->close(), "close");
    }
    recording_.durable(made);
    recording_.begun(changed);
    require(change(scenario, path), "change");
    recording_.durable(changed);
    recording_.stop();
  }

  /// The number of images.
  std::uint64_t check(std::uint64_t images) {
    Disk disk(lie_);
    Random random(seed_);
    std::uint64_t done = 0;
    const auto& events = recording_.events();
    for (std::size_t at = 0; at < events.size(); ++at) {
      disk.play(events[at]);
      if (disk.durable() < made) continue;
      // Where one file takes the place of another there are more ways to go wrong.
      const std::uint64_t some = disk.is_renaming() ? 20 * images : images;
      for (std::uint64_t i = 0; i < some; ++i, ++done) check_image(disk, random, at);
    }
    return done;
  }
  [[nodiscard]] std::uint64_t with_old() const noexcept { return with_old_; }
  [[nodiscard]] std::uint64_t with_new() const noexcept { return with_new_; }

 private:
  void check_image(const Disk& disk, Random& random, std::size_t at) {
    const TempDir image;
    disk.leave_image(random, image.path());
    const std::string path = image.file("store.db");
    try {
      const Opens way = only_way(path);
      ++(way == scenario_.after ? with_new_ : with_old_);
      if (way != scenario_.before && way != scenario_.after)
        throw Failure{"neither the old nor the new"};
      if (disk.durable() == changed && way != scenario_.after)
        throw Failure{"the change was undone"};
      check_contents(path, way);
      if (way == scenario_.before) require(change(scenario_, path), "the change once more");
      check_contents(path, scenario_.after);
    } catch (const Failure& failure) {
      throw Failure{std::string(scenario_.name) + ", seed " + std::to_string(seed_) + ", event " +
                    std::to_string(at) + ": " + failure.what};
    }
  }

  /// The one way that opens it.
  [[nodiscard]] Opens only_way(const std::string& path) const {
    std::optional<Opens> found;
    for (const Opens way : ways) {
      const auto store = open(path, way, scenario_.journal);
      if (!store) {
        // A wrong one is called so; anything else is damage.
        const Errc wanted = way == Opens::plain || store.error() == Errc::auth_failed
                                ? Errc::auth_failed
                                : Errc::invalid_argument;
        if (!(store.error() == wanted)) throw Failure{"open: " + store.error().message()};
        continue;
      }
      if (found) throw Failure{"two secrets open it"};
      found = way;
    }
    if (!found) throw Failure{"nothing opens it"};
    return *found;
  }

  void check_contents(const std::string& path, Opens way) const {
    const auto store = open(path, way, scenario_.journal);
    require(store, "open again");
    require(store->verify(), "verify");
    if (everything_of(*store) != everything_) throw Failure{"other entries"};
  }

  const Scenario& scenario_;
  TempDir folder_;
  DiskRecording recording_;
  Everything everything_;
  std::uint64_t seed_;
  bool lie_;
  std::uint64_t with_old_ = 0;
  std::uint64_t with_new_ = 0;
};

}  // namespace

int main(int argc, char* argv[]) {
  const std::vector<std::string_view> words(argv + 1, argv + argc);
  const bool lie = std::find(words.begin(), words.end(), "--lie") != words.end();
  const std::uint64_t seed = environment_number("SNKV_SEED", 1);
  const std::uint64_t images = environment_number("SNKV_IMAGES", 3);
  prefer_memory_for_temporary_files();
  std::printf("seed %llu, %llu images of each moment\n", static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(images));
  std::fflush(stdout);
  try {
    for (const Scenario& scenario : scenarios) {
      Changes changes(scenario, seed, lie);
      const std::uint64_t done = changes.check(images);
      std::printf("%s: %llu images, %llu with the old secret, %llu with the new one\n",
                  scenario.name, static_cast<unsigned long long>(done),
                  static_cast<unsigned long long>(changes.with_old()),
                  static_cast<unsigned long long>(changes.with_new()));
      std::fflush(stdout);
      const bool both = scenario.before == scenario.after || changes.with_old() > 0;
      if (!both || changes.with_new() == 0) throw Failure{"the images do not tell anything"};
    }
  } catch (const Failure& failure) {
    std::fprintf(stderr, "FAILED: %s\n", failure.what.c_str());
    return 1;
  }
  return 0;
}
