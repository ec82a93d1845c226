// Processes that are killed while they write a whole store anew: copies, compactions, encryption, its
// removal, another key. Whenever it happens: the store is whole, the next open for writing leaves nothing
// unfinished beside it, the next copy to the same place nothing beside that, and what is encrypted is in no
// file as plain text. While encryption is being removed, nobody else can read the plain text.
//
//   unfinished_kill9_test [--cycles N] [--seed N] [--only NAME]
//
// Or SNKV_KILL_CYCLES, SNKV_SEED.
#include "failure.hpp"
#include "process.hpp"

#include "support/files.hpp"
#include "support/patterned.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace {

namespace fs = std::filesystem;
using namespace snkv;
using namespace snkv::test;
using Clock = std::chrono::steady_clock;

constexpr std::string_view canary = "CANARY in plain text";
constexpr int entries = 3000;
constexpr unsigned store_mode = 0640;

Secret key() { return Secret::key(std::string(Secret::key_size, 'k')); }

struct Scenario {
  std::string_view name;
  bool encrypted_before;
  bool encrypted_after;
};
constexpr Scenario scenarios[] = {
    {"backup", true, true},        {"backup_compact", true, true},
    {"backup_plain", false, false}, {"compact", true, true},
    {"compact_plain", false, false}, {"encrypt_existing", false, true},
    {"remove_encryption", true, false}, {"rotate_key", true, true},
};

Result<Store> open(const std::string& path, bool encrypted) {
  const Options options{.create_if_missing = false};
  return encrypted ? Store::open_encrypted(path, key(), options) : Store::open(path, options);
}

Result<void> carry_out(std::string_view what, const std::string& path, const std::string& copy) {
  if (what == "encrypt_existing") return Store::encrypt_existing(path, key());
  if (what == "remove_encryption") return Store::remove_encryption(path, key());
  auto store = open(path, !what.ends_with("_plain"));
  if (!store) return Unexpected(std::move(store).error());
  if (what.starts_with("compact")) return store->compact();
  if (what == "rotate_key") return store->rotate_key(key());
  return store->backup(copy, {.compact = what == "backup_compact"});
}

/// The process that is killed: says that it begins, and carries it out.
int run_child(const std::vector<std::string_view>& words) {
  ::umask(0);
  const char begins = '!';
  if (!write_all(4, &begins, 1)) return 2;
  const auto done = carry_out(words[1], std::string(words[2]), std::string(words[3]));
  if (done) return 0;
  std::fprintf(stderr, "%s\n", done.error().message().c_str());
  return 1;
}

void fill(Store& store) {
  for (int i = 0; i < entries; ++i) {
    require(store.put("key" + std::to_string(i), std::string(canary) + patterned(250, i)), "put");
  }
  require(store.put("large", std::string(canary) + patterned(60'000)), "put");
  for (int i = 0; i < entries; i += 3) require(store.erase("key" + std::to_string(i)), "erase");
}

void check_entries(const Store& store) {
  require(store.verify(), "verify");
  for (int i = 0; i < entries; ++i) {
    const auto value = store.get("key" + std::to_string(i));
    const bool there = i % 3 != 0;
    if (there != value.has_value() ||
        (there && value->view() != std::string(canary) + patterned(250, i))) {
      throw Failure{"a wrong entry"};
    }
  }
}

/// What the parent has of one scenario.
class Kills {
 public:
  Kills(const Scenario& scenario, std::uint64_t seed) : scenario_(scenario), random_(seed) {
    const std::string path = folder_.file("s.db");
    auto made = scenario.encrypted_before ? Store::open_encrypted(path, key()) : Store::open(path);
    require(made, "open");
    fill(*made);
    require(made->close(), "close");
    base_ = read_file(path);
    fs::remove(path);
    const auto start = Clock::now();
    cycle({});  // how long it takes
    duration_ = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start);
  }

  void cycle() {
    const auto most = static_cast<std::uint64_t>(duration_.count());
    cycle(std::chrono::microseconds(random_.below(most + most / 8 + 1)));
  }
  [[nodiscard]] std::uint64_t killed() const noexcept { return killed_; }
  [[nodiscard]] std::uint64_t unfinished() const noexcept { return unfinished_; }

 private:
  void cycle(std::optional<std::chrono::microseconds> until) {
    const TempDir folder;
    const std::string path = folder.file("s.db");
    const std::string elsewhere = folder.file("elsewhere");
    fs::create_directory(elsewhere);
    const std::string copy = (random_.percent(50) ? elsewhere + '/' : folder.file("")) + "copy.db";
    write_file(path, base_);
    fs::permissions(path, fs::perms(store_mode));
    if (!run(path, copy, until)) return;
    check_secrecy(folder.path());
    if (count(folder.path()) > (fs::exists(copy) ? 2u : 1u)) ++unfinished_;
    open_again(path);
    require_only(folder.path(), "after the open", {"s.db", fs::exists(copy) ? "copy.db" : ""}, copy);
    check_plain_text(path, folder.path());
    if (scenario_.name.starts_with("backup")) copy_again(folder.path(), path, copy);
  }

  /// Whether it was killed.
  bool run(const std::string& path, const std::string& copy,
           std::optional<std::chrono::microseconds> until) {
    Pipe output;
    Child child({"--child", std::string(scenario_.name), path, copy}, -1, output.write_end());
    output.close_write();
    char begins = 0;
    if (::read(output.read_end(), &begins, 1) != 1) throw Failure{"the child did not begin"};
    if (until) {
      ::usleep(static_cast<::useconds_t>(until->count()));
      child.send(SIGKILL);
    }
    const int status = child.wait();
    if (WIFSIGNALED(status)) {
      ++killed_;
      return true;
    }
    if (!exited_well(status)) throw Failure{"the child: " + describe_status(status)};
    return until.has_value();  // it was faster, and has to leave everything in order all the same
  }

  static std::size_t count(const fs::path& folder) {
    std::size_t files = 0;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      const std::string name = entry.path().filename().string();
      if (entry.is_regular_file() && !name.ends_with("-wal") && !name.ends_with("-shm")) ++files;
    }
    return files;
  }

  /// Right after the kill.
  void check_secrecy(const fs::path& folder) const {
    if (!scenario_.encrypted_before) return;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      if (!entry.is_regular_file()) continue;
      if (read_file(entry.path().string()).find(canary) == std::string::npos) continue;
      // Removed encryption: the store itself, when it is done, or what only its owner can read, until the
      // moment at which it becomes the store.
      if (!scenario_.encrypted_after && entry.path().filename() == "s.db") continue;
      struct ::stat info {};
      const bool found = ::stat(entry.path().c_str(), &info) == 0;
      if (scenario_.encrypted_after || !found || (info.st_mode & 0777 & ~store_mode) != 0) {
        throw Failure{"plain text in " + entry.path().filename().string()};
      }
    }
  }

  void open_again(const std::string& path) {
    auto store = open(path, scenario_.encrypted_before);
    is_encrypted_ = scenario_.encrypted_before;
    if (!store && scenario_.encrypted_before != scenario_.encrypted_after) {
      is_encrypted_ = scenario_.encrypted_after;
      store = open(path, is_encrypted_);
    }
    require(store, "open afterwards");
    check_entries(*store);
    require(store->close(), "close afterwards");
    struct ::stat info {};
    if (::stat(path.c_str(), &info) != 0 || (info.st_mode & 0777) != store_mode) {
      throw Failure{"another mode"};
    }
  }

  static void require_only(const fs::path& folder, const char* when,
                           const std::vector<std::string>& names, const std::string& copy) {
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      const std::string name = entry.path().filename().string();
      if (name == "elsewhere" || std::find(names.begin(), names.end(), name) != names.end()) continue;
      // What is beside a copy is for the next copy to that place.
      if (entry.path().string().starts_with(copy)) continue;
      throw Failure{std::string(when) + " there is still " + name};
    }
  }

  void check_plain_text(const std::string& path, const fs::path& folder) const {
    if (!is_encrypted_) return;
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      if (entry.is_regular_file() &&
          read_file(entry.path().string()).find(canary) != std::string::npos) {
        throw Failure{"plain text beside " + path + ": " + entry.path().filename().string()};
      }
    }
  }

  void copy_again(const fs::path& folder, const std::string& path, const std::string& copy) const {
    fs::remove(copy);
    require(carry_out(scenario_.name, path, copy), "the copy once more");
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      const std::string name = entry.path().filename().string();
      if (name != "elsewhere" && name != "s.db" && name != "copy.db") {
        throw Failure{"after the next copy there is still " + name};
      }
    }
    struct ::stat info {};
    if (::stat(copy.c_str(), &info) != 0 || (info.st_mode & 0777) != store_mode) {
      throw Failure{"the copy has another mode"};
    }
    auto store = open(copy, scenario_.encrypted_before);
    require(store, "open the copy");
    check_entries(*store);
  }

  const Scenario& scenario_;
  Random random_;
  TempDir folder_;
  std::string base_;
  std::chrono::microseconds duration_{};
  bool is_encrypted_ = false;
  std::uint64_t killed_ = 0;
  std::uint64_t unfinished_ = 0;
};

}  // namespace

int main(int argc, char* argv[]) {
  const std::vector<std::string_view> words(argv + 1, argv + argc);
  if (words.size() == 4 && words[0] == "--child") return run_child(words);
  std::uint64_t cycles = environment_number("SNKV_KILL_CYCLES", 12);
  std::uint64_t seed = environment_number("SNKV_SEED", 1);
  std::string_view only;
  for (std::size_t i = 0; i + 1 < words.size(); i += 2) {
    if (words[i] == "--cycles") cycles = std::stoull(std::string(words[i + 1]));
    if (words[i] == "--seed") seed = std::stoull(std::string(words[i + 1]));
    if (words[i] == "--only") only = words[i + 1];
  }
  prefer_memory_for_temporary_files();
  std::printf("seed %llu, %llu kills of each\n", static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(cycles));
  std::fflush(stdout);
  for (const Scenario& scenario : scenarios) {
    if (!only.empty() && scenario.name != only) continue;
    std::uint64_t cycle = 0;
    try {
      Kills kills(scenario, seed);
      // Some are done before they can be killed.
      for (; kills.killed() < cycles && cycle < 10 * cycles; ++cycle) kills.cycle();
      std::printf("%s: %llu killed, %llu left something unfinished\n", scenario.name.data(),
                  static_cast<unsigned long long>(kills.killed()),
                  static_cast<unsigned long long>(kills.unfinished()));
      std::fflush(stdout);
    } catch (const Failure& failure) {
      std::fprintf(stderr, "FAILED: %s, seed %llu, cycle %llu: %s\n", scenario.name.data(),
                   static_cast<unsigned long long>(seed), static_cast<unsigned long long>(cycle),
                   failure.what.c_str());
      return 1;
    }
  }
  return 0;
}
