// Many processes on one file: writers that are killed and come back, readers, a checkpointer.
//
//   multi_process_test [--seconds N] [--writers N] [--readers N] [--seed N] [--disk] [--lie]
//   multi_process_test --race [--rounds N]      32 processes create and open the same new file
//
// Every process checks what it sees (bank.hpp) and ends with an error when that is wrong:
// - a reader's next look is never older than any look of any reader that ended before it began;
// - a commit is visible to every process from the moment it was acknowledged;
// - at the end every acknowledged commit is there, and at most the one begun after it.
// `--lie` makes the writers acknowledge before they commit; a run that does not notice is
// worthless.
#include "bank.hpp"
#include "process.hpp"
#include "shared_board.hpp"

#include "support/encrypted.hpp"
#include "support/sqlite_cli.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <chrono>
#include <cstdio>
#include <span>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace snkv;
using namespace snkv::test;
using Clock = std::chrono::steady_clock;

struct FailedTest {
  std::string what;
};

[[noreturn]] void role_failed(std::string_view role, const std::string& what) {
  std::fprintf(stderr, "multi_process_test: %s %d: %s\n", std::string(role).c_str(),
               static_cast<int>(::getpid()), what.c_str());
  std::_Exit(3);
}

Options patient_options() {
  Options options;
  // Nobody should ever wait that long; `busy` is a failure here.
  options.busy_timeout = std::chrono::seconds{60};
  options.wal_autocheckpoint = 200;
  return options;
}

Store open_or_fail(std::string_view role, const std::string& path) {
  auto store = open_store(path, patient_options());
  if (!store) role_failed(role, store.error().message());
  return std::move(*store);
}

// ---- Roles ----

/// Commits numbered transactions until it is told to stop, or killed.
int writer(const std::string& path, const std::string& board_path, std::uint64_t self, bool lie,
           std::uint64_t seed) {
  SharedBoard board(board_path, SharedBoard::Mode::attach);
  Store store = open_or_fail("writer", path);
  Random random(seed);
  auto mine = read_number<std::uint64_t>(store, writer_key(self));
  if (!mine) role_failed("writer", mine.error().message());
  if (*mine < board->acknowledged[self]) role_failed("writer", "my acknowledged commit is gone");
  if (*mine > board->begun[self]) role_failed("writer", "a commit of mine that I never began");

  std::uint64_t number = *mine;
  while (board->stop == 0) {
    ++number;
    board->begun[self] = number;
    if (lie) board->acknowledged[self] = number;
    auto result = store.transact([&](Transaction& transaction) -> Result<void> {
      const std::uint64_t moves = 1 + random.below(4);
      for (std::uint64_t i = 0; i < moves; ++i) {
        auto moved = move_money(transaction, random);
        if (!moved) return moved;
      }
      auto total = read_number<std::uint64_t>(transaction, "total");
      if (!total) return Unexpected(total.error());
      auto written = transaction.put("total", std::to_string(*total + 1));
      if (written) written = transaction.put(writer_key(self), std::to_string(number));
      if (written) written = transaction.put(note_key(self), note(self, number));
      return written;
    });
    if (!result) role_failed("writer", result.error().message());
    board->acknowledged[self] = number;
    if (random.percent(10)) {
      auto transaction = store.begin();
      if (!transaction) role_failed("writer", transaction.error().message());
      auto written = transaction->put("total", "nonsense that is rolled back");
      if (!written) role_failed("writer", written.error().message());
    }
  }
  return 0;
}

/// What must be in every look that begins now.
struct Floor {
  explicit Floor(const Board& board, std::uint64_t writers) : total(board.newest_seen) {
    for (std::uint64_t i = 0; i < writers; ++i) acknowledged[i] = board.acknowledged[i];
  }
  std::uint64_t total;
  std::array<std::uint64_t, max_writers> acknowledged{};
};

int reader(const std::string& path, const std::string& board_path, std::uint64_t writers,
           std::uint64_t seed) {
  SharedBoard board(board_path, SharedBoard::Mode::attach);
  Store store = open_or_fail("reader", path);
  Random random(seed);
  while (board->stop == 0) {
    const Floor floor(*board, writers);
    if (random.percent(40)) {
      auto snapshot = store.snapshot();
      if (!snapshot) role_failed("reader", snapshot.error().message());
      const Audit seen = audit(*snapshot, writers);
      if (!seen.wrong.empty()) role_failed("reader", seen.wrong);
      if (seen.total < floor.total) {
        role_failed("reader", "a snapshot shows total " + std::to_string(seen.total) + " after " +
                                  std::to_string(floor.total) + " was seen");
      }
      for (std::uint64_t i = 0; i < writers; ++i) {
        if (seen.writers[i] < floor.acknowledged[i]) {
          role_failed("reader", "an acknowledged commit is not visible in a new snapshot");
        }
      }
      Board::raise(board->newest_seen, seen.total);
      if (random.percent(20)) {
        std::this_thread::sleep_for(std::chrono::milliseconds{random.below(20)});
        const Audit again = audit(*snapshot, writers);
        if (!again.wrong.empty() || again.total != seen.total) {
          role_failed("reader", "a snapshot has changed: " + again.wrong);
        }
      }
    } else {
      const std::uint64_t which = random.below(writers);
      auto number = read_number<std::uint64_t>(store, writer_key(which));
      if (!number) role_failed("reader", number.error().message());
      if (*number < floor.acknowledged[which]) {
        role_failed("reader", "get: an acknowledged commit is not visible");
      }
      auto total = read_number<std::uint64_t>(store, "total");
      if (!total) role_failed("reader", total.error().message());
      if (*total < floor.total) role_failed("reader", "get: an older state after a newer one");
      Board::raise(board->newest_seen, *total);
    }
    board->reads.fetch_add(1);
  }
  return 0;
}

int checkpointer(const std::string& path, const std::string& board_path, std::uint64_t seed) {
  static constexpr std::array modes = {Checkpoint::passive, Checkpoint::full, Checkpoint::restart,
                                       Checkpoint::truncate};
  SharedBoard board(board_path, SharedBoard::Mode::attach);
  Options options = patient_options();
  options.busy_timeout = std::chrono::milliseconds{100};
  auto store = open_store(path, options);
  if (!store) role_failed("checkpointer", store.error().message());
  Random random(seed);
  while (board->stop == 0) {
    auto done = store->checkpoint(modes[random.below(modes.size())]);
    if (!done && !(done.error() == Errc::busy)) {
      role_failed("checkpointer", done.error().message());
    }
    board->checkpoints.fetch_add(1);
    std::this_thread::sleep_for(std::chrono::milliseconds{random.below(60)});
  }
  return 0;
}

/// Waits for the start signal, then opens the new file and leaves a mark in it.
int racer(const std::string& path, std::uint64_t self) {
  char byte = 0;
  while (::read(3, &byte, 1) > 0) {
  }
  Store store = open_or_fail("racer", path);
  auto family = store.column_family("marks");
  if (!family) role_failed("racer", family.error().message());
  auto written = family->put("racer:" + std::to_string(self), std::to_string(self));
  if (!written) role_failed("racer", written.error().message());
  auto value = family->get("racer:" + std::to_string(self));
  if (!value || value->view() != std::to_string(self)) role_failed("racer", "my mark is gone");
  return 0;
}

// ---- The coordinator ----

struct Arguments {
  std::uint64_t seconds = 30;
  std::uint64_t writers = 4;
  std::uint64_t readers = 4;
  std::uint64_t rounds = 20;
  std::uint64_t seed = 1;
  bool race = false;
  bool disk = false;
  bool lie = false;
};

struct Role {
  std::vector<std::string> words;  ///< Without the seed, which is new each time.
  bool may_be_killed = false;
  Child child;
};

void start(Role& role, Random& random) {
  std::vector<std::string> words = role.words;
  words.push_back(std::to_string(random.next()));
  role.child = Child(std::move(words));
}

/// Keeps everybody running and kills at random until the time is up.
std::uint64_t torment(std::vector<Role>& roles, Random& random, std::uint64_t seconds) {
  std::uint64_t kills = 0;
  const auto end = Clock::now() + std::chrono::seconds{seconds};
  while (Clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds{10 + random.below(120)});
    for (Role& role : roles) {
      int status = 0;
      if (role.child.ended(status)) {
        throw FailedTest{role.words[0] + " ended: " + describe_status(status)};
      }
    }
    Role& victim = roles[random.below(roles.size())];
    if (!victim.may_be_killed) continue;
    if (random.percent(15)) {
      // A process that merely stands still, perhaps inside a transaction.
      victim.child.send(SIGSTOP);
      std::this_thread::sleep_for(std::chrono::milliseconds{random.below(100)});
      victim.child.send(SIGCONT);
      continue;
    }
    victim.child.kill_and_wait();
    start(victim, random);
    ++kills;
  }
  return kills;
}

void run_bank(const Arguments& arguments) {
  const TempDir folder;
  const std::string path = folder.file("bank.db");
  const std::string board_path = folder.file("board");
  SharedBoard board(board_path, SharedBoard::Mode::create);
  {
    Store store = open_or_fail("coordinator", path);
    auto opened = open_bank(store);
    if (!opened) throw FailedTest{opened.error().message()};
    auto closed = store.close();
    if (!closed) throw FailedTest{closed.error().message()};
  }
  std::vector<Role> roles;
  for (std::uint64_t i = 0; i < arguments.writers; ++i) {
    roles.push_back(
        {{"--writer", path, board_path, std::to_string(i), arguments.lie ? "lie" : "honest"},
         true,
         {}});
  }
  for (std::uint64_t i = 0; i < arguments.readers; ++i) {
    // One reader in two is killed, too: it must not leave anything locked.
    roles.push_back(
        {{"--reader", path, board_path, std::to_string(arguments.writers)}, i % 2 == 1, {}});
  }
  roles.push_back({{"--checkpointer", path, board_path}, true, {}});

  Random random(arguments.seed);
  for (Role& role : roles) start(role, random);
  const std::uint64_t kills = torment(roles, random, arguments.seconds);
  board->stop = 1;
  for (Role& role : roles) {
    const int status = role.child.wait();
    if (!exited_well(status)) {
      throw FailedTest{role.words[0] + " ended: " + describe_status(status)};
    }
  }

  Store store = open_or_fail("coordinator", path);
  const Audit last = audit(store, arguments.writers);
  if (!last.wrong.empty()) throw FailedTest{"at the end: " + last.wrong};
  for (std::uint64_t i = 0; i < arguments.writers; ++i) {
    if (last.writers[i] < board->acknowledged[i]) {
      throw FailedTest{"acknowledged commits of writer " + std::to_string(i) + " are lost"};
    }
    if (last.writers[i] > board->begun[i]) throw FailedTest{"a commit that nobody began"};
    if (last.writers[i] == 0) throw FailedTest{"writer " + std::to_string(i) + " never came in"};
  }
  if (last.total < board->newest_seen) throw FailedTest{"a state that was seen is gone"};
  if (board->reads == 0) throw FailedTest{"no reader ever came in"};
  auto intact = store.integrity_check();
  if (!intact) throw FailedTest{intact.error().message()};
  auto closed = store.close();
  if (!closed) throw FailedTest{closed.error().message()};
  const std::string verdict = sqlite_cli(path, "PRAGMA integrity_check;");
  if (verdict != "ok") throw FailedTest{"sqlite3: integrity_check: " + verdict};
  std::printf("%llu s: %llu commits, %llu reads, %llu checkpoints, %llu kills\n",
              static_cast<unsigned long long>(arguments.seconds),
              static_cast<unsigned long long>(last.total),
              static_cast<unsigned long long>(board->reads.load()),
              static_cast<unsigned long long>(board->checkpoints.load()),
              static_cast<unsigned long long>(kills));
}

void run_race(const Arguments& arguments) {
  constexpr std::uint64_t racers = 32;
  for (std::uint64_t round = 0; round < arguments.rounds; ++round) {
    const TempDir folder;
    const std::string path = folder.file("race.db");
    std::vector<Child> children;
    {
      // They all wait for the end of this pipe.
      Pipe gate;
      for (std::uint64_t i = 0; i < racers; ++i) {
        children.emplace_back(std::vector<std::string>{"--racer", path, std::to_string(i)},
                              gate.read_end());
      }
      gate.close_write();
    }
    for (Child& child : children) {
      const int status = child.wait();
      if (!exited_well(status)) throw FailedTest{"a racer ended: " + describe_status(status)};
    }
    Store store = open_or_fail("coordinator", path);
    auto family = store.open_column_family("marks");
    if (!family) throw FailedTest{family.error().message()};
    auto count = family->count();
    if (!count || *count != racers) throw FailedTest{"marks are missing"};
    auto intact = store.integrity_check();
    if (!intact) throw FailedTest{intact.error().message()};
  }
  std::printf("%llu rounds of %llu processes\n", static_cast<unsigned long long>(arguments.rounds),
              static_cast<unsigned long long>(racers));
}

[[noreturn]] void usage() {
  std::fputs(
      "usage: multi_process_test [--seconds N] [--writers N] [--readers N] [--seed N]"
      " [--disk] [--lie] | --race [--rounds N]\n",
      stderr);
  std::exit(2);
}

Arguments parse(std::span<char*> words) {
  Arguments arguments;
  arguments.seconds = environment_number("SNKV_SECONDS", arguments.seconds);
  arguments.seed = environment_number("SNKV_SEED", arguments.seed);
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (word == "--race") {
      arguments.race = true;
      continue;
    }
    if (word == "--disk") {
      arguments.disk = true;
      continue;
    }
    if (word == "--lie") {
      arguments.lie = true;
      continue;
    }
    if (i + 1 == words.size()) usage();
    const std::uint64_t value = std::strtoull(words[++i], nullptr, 10);
    if (word == "--seconds")
      arguments.seconds = value;
    else if (word == "--writers")
      arguments.writers = value;
    else if (word == "--readers")
      arguments.readers = value;
    else if (word == "--rounds")
      arguments.rounds = value;
    else if (word == "--seed")
      arguments.seed = value;
    else
      usage();
  }
  if (arguments.writers == 0 || arguments.writers > max_writers) usage();
  return arguments;
}

}  // namespace

int main(int argc, char* argv[]) {
  const std::span<char*> words(argv, static_cast<std::size_t>(argc));
  const std::string_view role = argc > 1 ? words[1] : "";
  const auto number = [&](std::size_t at) { return std::strtoull(words[at], nullptr, 10); };
  try {
    if (role == "--writer") {
      return writer(words[2], words[3], number(4), std::string_view(words[5]) == "lie", number(6));
    }
    if (role == "--reader") return reader(words[2], words[3], number(4), number(5));
    if (role == "--checkpointer") return checkpointer(words[2], words[3], number(4));
    if (role == "--racer") return racer(words[2], number(3));

    const Arguments arguments = parse(words);
    if (!arguments.disk) prefer_memory_for_temporary_files();
    if (arguments.race) {
      run_race(arguments);
    } else {
      std::printf("seed %llu\n", static_cast<unsigned long long>(arguments.seed));
      std::fflush(stdout);
      run_bank(arguments);
    }
  } catch (const FailedTest& failed) {
    std::fprintf(stderr, "FAILED: %s\n", failed.what.c_str());
    return 1;
  } catch (const std::exception& caught) {
    std::fprintf(stderr, "FAILED: %s\n", caught.what());
    return 1;
  }
  return 0;
}
