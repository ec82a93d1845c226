// The world of the model test: the store under test with all its live handles on one side, the
// oracle on the other, and the rules that say which outcome of a call is right.
#pragma once

#include "generators.hpp"
#include "model.hpp"

#include "support/fake_clock.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace snkv::model {

/// One way to run the store.
struct Config {
  std::string_view name;
  std::uint32_t page_size = 8192;
  Journal journal = Journal::wal;
  bool memory = false;
  bool convert = false;  ///< Change the journal mode at a reopen now and then.
  bool views = true;     ///< Snapshots and iterators outside of transactions.
  std::uint64_t plain_keys = 400;
  std::size_t cache_size = 8u << 20;
  std::uint32_t wal_autocheckpoint = 1000;
  bool beside = true;  ///< Checkpoints by a thread.
};

/// The store did something else than the oracle. Caught in main, which prints how to replay it.
struct Mismatch {
  std::string what;
};

/// Error codes a call may end with; `Errc::ok` is one of them.
class Outcome {
 public:
  Outcome() noexcept = default;
  Outcome(std::initializer_list<Errc> codes) noexcept {
    for (const Errc code : codes) add(code);
  }
  void add(Errc code) noexcept { mask_ |= std::uint64_t{1} << static_cast<unsigned>(code); }
  void remove(Errc code) noexcept { mask_ &= ~(std::uint64_t{1} << static_cast<unsigned>(code)); }
  [[nodiscard]] bool allows(Errc code) const noexcept {
    return ((mask_ >> static_cast<unsigned>(code)) & 1) != 0;
  }
  [[nodiscard]] bool empty() const noexcept { return mask_ == 0; }
  [[nodiscard]] std::string describe() const;

 private:
  std::uint64_t mask_ = 0;
};

/// Where a call goes: one of the two stores, the open transaction, or one that has ended.
enum class Place : std::uint8_t { first_store, second_store, transaction, ended_transaction };

/// A handle of a column family that is kept for later, whatever happens to the family meanwhile.
struct FamilyHandle {
  ColumnFamily family;
  std::string name;
  std::uint64_t incarnation = 0;
  Place place = Place::first_store;
  std::uint64_t transaction_serial = 0;
};

/// What an operation on entries works with.
struct Access {
  EntryWriter* writer = nullptr;
  Place place = Place::first_store;
  std::string name;
  std::uint64_t incarnation = 0;
};

struct LiveIterator {
  Iterator iterator;
  std::shared_ptr<const Entries> frozen;  ///< What it sees; null: the transaction as it is now.
  std::string name;                       ///< Of the family, for those of a transaction.
  std::uint64_t incarnation = 0;
  std::uint64_t transaction_serial = 0;
  Bounds bounds;
  bool keys_only = false;
  std::int64_t now = 0;
  bool valid = false;
  std::string key;  ///< Where it stands, if valid.
  Value value;
  int store = 0;
};

/// A value that is held: pinned, or open for reading in pieces.
struct LiveValue {
  PinnedValue pinned;
  BlobReader reader;
  bool is_pinned = false;
  bool frozen = false;  ///< Not of the transaction, which may change or lose it.
  std::string name;
  std::uint64_t incarnation = 0;
  std::uint64_t transaction_serial = 0;
  std::string key;
  Value value;
  std::uint64_t position = 0;  ///< Of the reader.
  int store = 0;
};

/// When an entry shall expire, as a call is told.
struct Expiry {
  std::optional<std::chrono::milliseconds> ttl;
  std::optional<TimePoint> at;

  [[nodiscard]] PutOptions options() const { return {.ttl = ttl, .expires_at = at}; }
  [[nodiscard]] bool refused(std::int64_t now) const {
    return (ttl && (ttl->count() <= 0 || ttl->count() > end_of_time - now)) ||
           (at && at->time_since_epoch().count() < 0);
  }
  [[nodiscard]] std::int64_t moment(std::int64_t now) const {
    return ttl ? now + ttl->count() : at ? at->time_since_epoch().count() : never;
  }
  [[nodiscard]] std::string describe() const;
};

/// A value that is being written in pieces inside the transaction.
struct LiveWriter {
  BlobWriter writer;
  std::string name;
  std::uint64_t incarnation = 0;
  std::uint64_t transaction_serial = 0;
  std::string key;
  Expiry expiry;
  std::optional<std::uint64_t> size;
  std::string content;
  bool lost = false;  ///< It can go on no more.
};

/// A batch, and what is in it.
struct KeptBatch {
  struct Step {
    enum class Kind : std::uint8_t { put, erase, erase_range, clear, family };
    Kind kind = Kind::put;
    std::string key;  ///< Or the lower bound, or the name of the family.
    std::string high;
    Value value;
    Expiry expiry;
  };
  WriteBatch batch;
  std::vector<Step> steps;
};

/// The changes that the feed of one store has not told yet.
struct ExpectedFeed {
  std::vector<Change> changes;
  std::uint64_t most = 0;  ///< As how many it may tell them.
  std::uint64_t commits = 0;
  std::uint64_t told = 0;  ///< Up to this sequence number all was compared.
};

struct LiveSnapshot {
  Snapshot snapshot;
  State state;
  std::int64_t now = 0;
  int store = 0;
};

class World {
 public:
  World(const Config& config, std::uint64_t seed);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // ---- Reporting ----

  /// Notes what is about to be done; the last lines are printed on failure.
  void trace(std::string line);
  [[nodiscard]] const std::deque<std::string>& traced() const noexcept { return trace_; }
  [[noreturn]] void fail(const std::string& what) const { throw Mismatch{what}; }
  void require(bool condition, std::string_view what) const {
    if (!condition) fail(std::string(what));
  }
  /// Fails unless the result is one that `allowed` names; whether it succeeded.
  template <class R>
  bool expect(const R& result, const Outcome& allowed, std::string_view operation) const {
    const Errc code = result ? Errc::ok : result.error().code();
    if (statistics != nullptr) ++(*statistics)[{std::string(operation), code}];
    if (!allowed.allows(code)) {
      fail(std::string(operation) + ": " + (result ? "it succeeded" : result.error().message()) +
           "; allowed: " + allowed.describe());
    }
    return static_cast<bool>(result);
  }

  /// By how much what is stored of a value is longer than the value: not 0 in an encrypted store.
  [[nodiscard]] std::size_t seal_size() const noexcept;

  // ---- Picking ----

  /// An entry operation's target: any store or the transaction, any family, handles old and new.
  [[nodiscard]] Access pick_access();
  [[nodiscard]] Place pick_place();
  /// The same for writing: seldom what would wait for the other store's transaction.
  [[nodiscard]] Access pick_writer();
  [[nodiscard]] Place pick_write_place();
  /// Whether a write there fails only after a while: with a log the writers' lock is asked for
  /// again and again for a tenth of a second, even with a busy timeout of 0.
  [[nodiscard]] bool would_wait(Place place) const noexcept;
  [[nodiscard]] static Place store_place(int store) {
    return store == 0 ? Place::first_store : Place::second_store;
  }
  [[nodiscard]] Value new_value() { return values.value(rng, entry_bytes() > max_entry_bytes); }

  // ---- The rules ----

  [[nodiscard]] bool open_store(int store) const { return stores[index(store)].has_value(); }
  [[nodiscard]] bool in_transaction() const noexcept { return oracle.open.has_value(); }
  /// Stores whose handles share one open file: a store in memory is the same through both.
  [[nodiscard]] bool same_store(int a, int b) const noexcept {
    return a == b || (config.memory && a >= 0 && b >= 0);
  }
  [[nodiscard]] bool rollback_journal() const noexcept {
    return !config.memory && journal == Journal::rollback;
  }
  /// Whether nothing ever keeps the automatic checkpoints from emptying the log.
  [[nodiscard]] bool watches_log() const noexcept {
    return !config.memory && !config.views && journal == Journal::wal;
  }
  /// Whether anything but the transaction holds a read view of the file.
  [[nodiscard]] bool views_open() const noexcept;
  [[nodiscard]] bool views_open_on(int store) const noexcept;
  /// Whether it shows anything: those of an ended transaction do not, and hold nothing open.
  [[nodiscard]] bool is_open(const LiveIterator& live) const noexcept;
  [[nodiscard]] bool is_open(const LiveValue& live) const noexcept;

  /// The entries a call at this place sees; null when its family is gone.
  [[nodiscard]] const Entries* entries_of(const Access& access) const;
  [[nodiscard]] const State& state_at(Place place) const {
    return place == Place::transaction ? oracle.open->state : oracle.committed;
  }
  [[nodiscard]] State& state_at(Place place) {
    return place == Place::transaction ? oracle.open->state : oracle.committed;
  }
  [[nodiscard]] std::int64_t now_at(Place place) const {
    return place == Place::transaction ? oracle.open->now : clock.now();
  }
  [[nodiscard]] Outcome read_outcome(const Access& access) const;
  [[nodiscard]] Outcome write_outcome(const Access& access) const;
  /// A write that concerns no existing family, e.g. creating one.
  [[nodiscard]] Outcome write_outcome(Place place) const;

  // ---- What was done ----
  // To the oracle, once the store has done it.

  void put(const Access& access, const std::string& key, Entry entry);
  void erase(const Access& access, const std::string& key);
  void clear(const Access& access);
  void erase_range(const Access& access, const Bounds& bounds);
  void commit();
  /// Changes of one operation, for the feed: one commit, or with `apart` nobody knows how many.
  void note(Place place, std::vector<Change> changes, bool apart = false);
  /// The writers of the transaction that work on this family (empty: on any) are lost.
  void lose_writers(std::string_view name = {});
  [[nodiscard]] ExpectedFeed& feed(int store) { return feeds[config.memory ? 0 : index(store)]; }

  // ---- Opening and closing ----

  void open(int store);
  void end_transaction_handles();
  [[nodiscard]] std::uint64_t entry_bytes() const;

  static constexpr std::size_t index(int store) { return static_cast<std::size_t>(store); }
  /// A file that belongs to the test alone.
  [[nodiscard]] std::string scratch_file(std::string_view name);

  static constexpr std::uint64_t max_entry_bytes = 3u << 20;
  /// So many changes are kept for `changes_since`.
  static constexpr std::size_t change_history = 1000;

  Config config;
  Rng rng;
  KeyGenerator keys;
  ValueGenerator values;
  test::FakeClock clock;
  Oracle oracle;
  Journal journal;

  std::unique_ptr<test::TempDir> folder;
  std::string path;  ///< Empty for a store in memory.

  // Destroyed from the last to the first.
  std::array<std::optional<Store>, 2> stores;
  bool second_is_read_only = false;
  std::vector<FamilyHandle> handles;
  std::vector<LiveSnapshot> snapshots;
  std::vector<LiveIterator> iterators;
  std::vector<LiveValue> live_values;
  std::vector<KeptBatch> batches;
  std::array<ExpectedFeed, 2> feeds;
  Transaction transaction;
  int transaction_store = 0;
  std::uint64_t transaction_serial = 0;
  /// After a commit that gave `busy` (rollback journal): SQLite lets no new reader in.
  bool commit_pending = false;
  std::vector<Savepoint> savepoints;
  std::vector<LiveWriter> writers;

  std::uint64_t operations_done = 0;
  std::size_t trace_length = 60;
  /// How often each call ended how, when somebody wants to know.
  using Statistics = std::map<std::pair<std::string, Errc>, std::uint64_t>;
  Statistics* statistics = nullptr;

 private:
  std::deque<std::string> trace_;
  mutable std::uint64_t entry_bytes_ = 0;
  mutable std::uint64_t entry_bytes_at_ = 0;
};

/// How a place is called in the trace.
[[nodiscard]] std::string_view to_string(Place place);

/// The family as it is called in the trace: where and which.
[[nodiscard]] std::string describe(const Access& access);

}  // namespace snkv::model
