/// \file
/// What a process has in memory of a collection: the index, whose the vectors are, and the index of
/// metadata.
#pragma once

#include <snkv/options.hpp>
#include <snkv/vector/detail/base/callbacks.hpp>
#include <snkv/vector/detail/filter/metadata_index.hpp>
#include <snkv/vector/detail/image/image_file.hpp>
#include <snkv/vector/detail/image/side_stream.hpp>
#include <snkv/vector/detail/index/index_core.hpp>
#include <snkv/vector/detail/rows/collection_tables.hpp>
#include <snkv/vector/detail/rows/damage.hpp>
#include <snkv/vector/detail/rows/names.hpp>
#include <snkv/vector/thread_pool.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace snkv::vector_detail {

static_assert(max_numbers == max_slots);

struct ImageOptions {
  std::array<std::uint8_t, 16> store{};  ///< which store it is of
  bool keep_vectors = true;
  std::size_t threads = 0;
  std::uint64_t memory_limit = 0;  ///< 0: none
};

/// Reads the vector of a number into `out`, as it was put; `out` has room for `dim` of them.
[[nodiscard]] inline Error read_vector(const char* operation, const core::Target& vectors,
                                       std::uint32_t number, std::size_t dim, float* out) {
  struct Visit {
    float* out;
    std::size_t dim;
    bool sound;
  } visit{out, dim, false};
  Error error = core::visit(
      vectors, vector_key(number).view(),
      [](void* context, BytesView row) {
        auto& to = *static_cast<Visit*>(context);
        if (row.size() != to.dim * sizeof(float)) return;
        std::memcpy(to.out, row.data(), row.size());
        to.sound = true;
      },
      &visit);
  if (error.failed() && !(error == Errc::not_found))
    return as_error_of(operation, std::move(error));
  bool finite = true;
  for (std::size_t i = 0; visit.sound && i < dim; ++i) finite = finite && std::isfinite(out[i]);
  if (visit.sound && finite) return {};
  return damaged(operation, "vector " + std::to_string(number) +
                                (visit.sound      ? " is not finite"
                                 : error.failed() ? " is missing"
                                                  : " has another size"));
}

/// The image of one collection, shared by all handles of the process. It changes in one way only:
/// `catch_up` reads from the log of the collection what was committed since.
///
/// Threads: any number, for every member.
class CollectionImage {
 public:
  CollectionImage(const CollectionConfig& config, const ImageOptions& options)
      : config_(config),
        options_(options),
        core_({config.dim, config.metric, config.type, config.m, config.ef_construction,
               options.keep_vectors},
              best_kernels<0>()),
        prepared_(config.dim),
        pool_(options.threads) {}
  CollectionImage(const CollectionImage&) = delete;
  CollectionImage& operator=(const CollectionImage&) = delete;

  /// As it is now.
  [[nodiscard]] CollectionConfig config() const noexcept {
    CollectionConfig now = config_;
    now.type = core_.type();
    return now;
  }
  /// Held by who changes the type of the codes.
  [[nodiscard]] std::mutex& type_mutex() noexcept { return type_mutex_; }
  /// Makes codes of another type: of the exact vectors in memory, beside searches, or else of those in the
  /// file, for which searches wait. Stopped by `progress`, nothing has changed, or the next search reads the
  /// rest. With `type_mutex` held.
  [[nodiscard]] Error set_type(const char* operation, const CollectionTables& tables, ElementType type,
                               CallerProgress& progress) {
    if (core_.has_exact()) {
      return core_.set_type(type, pool_, progress) ? Error() : progress.error(operation);
    }
    if (!progress(0, core_.size())) return progress.error(operation);
    {
      const std::lock_guard applying(apply_mutex_);
      const std::unique_lock lock(names_mutex_);
      // In this order: who sees the new epoch waits in `catch_up`, and who sees what is empty sees the epoch.
      applied_.store(0, std::memory_order_release);
      epoch_.fetch_add(1, std::memory_order_acq_rel);
      core_.clear(type);
      names_.clear();
      metadata_.clear();
    }
    Error error = catch_up(operation, tables, progress.function());
    if (!error.failed()) maintain(progress);
    if (!error.failed() && progress.stopped()) return progress.error(operation);
    return progress.explain(operation, std::move(error));
  }

  [[nodiscard]] const ImageOptions& options() const noexcept { return options_; }
  [[nodiscard]] const IndexCore& index() const noexcept { return core_; }
  [[nodiscard]] ThreadPool& pool() noexcept { return pool_; }
  /// Entries whose rows cannot be used. They are not in the image.
  [[nodiscard]] DamageList& damage() noexcept { return damage_; }
  /// The change that the image has got to.
  [[nodiscard]] std::uint64_t applied() const noexcept {
    return applied_.load(std::memory_order_acquire);
  }
  /// Another number whenever the image was made empty, to be filled anew. Who has asked it before `catch_up`,
  /// and finds another one when he has read, has read something that was not complete.
  [[nodiscard]] std::uint64_t epoch() const noexcept { return epoch_.load(std::memory_order_acquire); }
  /// Changes that were in the log when it was looked at last.
  [[nodiscard]] std::uint64_t log_length() const noexcept {
    return applied() - std::min(applied(), log_start_.load(std::memory_order_relaxed));
  }
  void set_log_start(std::uint64_t sequence) noexcept {
    log_start_.store(sequence, std::memory_order_relaxed);
  }
  /// Whether it is worth trying to make the log shorter: not again at once when that has failed.
  [[nodiscard]] bool may_shorten_log(std::uint64_t changes_between) noexcept {
    const std::uint64_t now = applied();
    std::uint64_t next = next_shortening_.load(std::memory_order_relaxed);
    return now >= next && next_shortening_.compare_exchange_strong(next, now + changes_between / 4);
  }
  /// Whether it was read from what was saved.
  [[nodiscard]] bool loaded() const noexcept { return loaded_.load(std::memory_order_relaxed); }

  // ---- The snapshot beside the file ----

  /// The end of its path.
  [[nodiscard]] static std::string side_suffix(std::uint32_t id) {
    return "-vectors-" + std::to_string(id);
  }
  /// A moment of the image, to be saved.
  struct Moment {
    ImageStamp stamp;
    FrozenImage image;
  };
  [[nodiscard]] Moment freeze() {
    const std::lock_guard applying(apply_mutex_);
    const std::shared_lock lock(names_mutex_);
    const ImageStamp stamp{options_.store, config_.id, applied(), chain_};
    return {stamp, FrozenImage(stamp, core_, names_, metadata_)};
  }
  /// Held while a snapshot is written.
  [[nodiscard]] std::mutex& save_mutex() noexcept { return save_mutex_; }

  /// Those who count handles: the first one that comes, and whether the last one has gone.
  void add_handle() noexcept { handles_.fetch_add(1); }
  [[nodiscard]] bool drop_handle() noexcept { return handles_.fetch_sub(1) == 1; }

  /// Calls `use(names, metadata)`; nothing changes meanwhile, so it must be short.
  template <class Use>
  decltype(auto) read(Use&& use) const {
    const std::shared_lock lock(names_mutex_);
    return use(names_, metadata_);
  }

  /// An entry was found, and then its row was not what it was when it was taken over. With an empty key:
  /// whose number it is.
  void leave_out(std::uint32_t number, std::string_view key, std::string what) {
    const std::lock_guard lock(apply_mutex_);
    std::string owner;
    read([&](const NameTable& names, auto&) {
      if (names.contains(number)) owner = names.key(number);
    });
    if (owner.empty() || !(key.empty() || owner == key)) return;
    damage_.note(owner, std::move(what));
    erase(number);
  }

  /// Brings the image up to the latest commit. `tables` are bound to nothing.
  [[nodiscard]] Error catch_up(const char* operation, const CollectionTables& tables,
                               const Progress& progress = {}) {
    StateRow state;
    if (Error error = read_state(operation, tables.meta, state); error.failed()) return error;
    if (state.sequence == applied()) return {};
    const std::lock_guard lock(apply_mutex_);
    core::Target snapshot;
    Error error = core::snapshot(tables.meta, snapshot);
    if (error.failed()) return as_error_of(operation, std::move(error));
    const CollectionTables frozen = tables.in(snapshot.scope);
    if (error = read_state(operation, frozen.meta, state); error.failed()) return error;
    set_log_start(state.log_start);
    if (state.sequence == applied()) return {};
    if (applied() == 0) {
      if (error = load(operation, frozen, state, progress); error.failed()) return error;
    }
    const std::uint64_t from = applied();
    if (from < state.log_start || from > state.sequence || state.sequence - from > state.live) {
      error = compare(operation, frozen, state, progress);
    } else {
      error = replay(operation, frozen, from, state);
      // The log is made of what the rows say, which is the truth.
      if (is_damage(error)) error = compare(operation, frozen, state, progress);
    }
    if (error.failed()) return error;
    chain_ = state.chain;
    applied_.store(state.sequence, std::memory_order_release);
    return {};
  }

  /// Links what is not linked yet, compacts when a fifth is dead, trains when it is time.
  template <class Progress>
  void maintain(Progress&& progress) {
    core_.maintain(pool_, progress);
  }
  /// The same in the background, if there is so much to link that searches feel it.
  void maintain_soon() {
    constexpr Slot bearable = 128;
    const auto now = core_.generation();
    const Slot linked = now->first_unlinked();
    if (now->graph.size() - linked <= bearable) return;
    if (maintaining_.exchange(true)) return;
    try {
      pool_.post([this] {
        try {
          maintain([](std::uint64_t, std::uint64_t) { return true; });
        } catch (...) {  // no memory: what is not linked is scanned
        }
        maintaining_.store(false);
      });
    } catch (...) {  // no thread, or no memory
      maintaining_.store(false);
    }
  }
  /// False when `progress` stopped it.
  template <class Progress>
  [[nodiscard]] bool compact(Progress&& progress) {
    if (!core_.compact(pool_, progress)) return false;
    const std::unique_lock lock(names_mutex_);
    names_.tidy();
    return true;
  }

  [[nodiscard]] std::uint64_t memory() const {
    const std::shared_lock lock(names_mutex_);
    return core_.memory() + names_.memory() + metadata_.memory();
  }
  /// `no_memory` if so many vectors more are too many.
  [[nodiscard]] Error check_memory(const char* operation, std::uint64_t more) const {
    if (options_.memory_limit == 0) return {};
    std::uint64_t needed = core_.memory() + core_.bytes_of(more);
    {
      const std::shared_lock lock(names_mutex_);
      needed += names_.memory_with(more) + metadata_.memory();
    }
    if (needed <= options_.memory_limit) return {};
    return Error(Errc::no_memory, operation,
                 "the index would take about " + std::to_string(needed) +
                     " bytes, the memory limit is " + std::to_string(options_.memory_limit));
  }

 private:
  /// Reads what was saved, if it is there and is an earlier moment of this very history. Whatever
  /// is wrong with it, it is only not used then: an error is `no_memory` or `aborted`.
  [[nodiscard]] Error load(const char* operation, const CollectionTables& frozen,
                           const StateRow& state, const Progress& progress) {
    if (Error error = check_memory(operation, state.live); error.failed()) return error;
    core::Target store = frozen.meta;
    store.scope = nullptr;
    SideSource source(pool_, progress);
    if (source.open(store, side_suffix(config_.id)).failed()) return {};
    const ImageStamp stamp = read_stamp(source);
    if (source.error().failed() || !is_ours(frozen, state, stamp)) return {};
    const std::unique_lock lock(names_mutex_);
    try {
      read_image(source, stamp, core_, names_, metadata_, state.next_number);
    } catch (const std::bad_alloc&) {
      // There may be room for what is made of the rows.
      source.refuse("there is no memory for it");
    } catch (...) {
      names_.clear();
      metadata_.clear();
      throw;
    }
    if (source.error().failed()) {
      names_.clear();
      metadata_.clear();
      const bool stopped = source.error() == Errc::aborted;
      return stopped ? as_error_of(operation, source.error()) : Error();
    }
    chain_ = stamp.chain;
    applied_.store(stamp.sequence, std::memory_order_release);
    loaded_.store(true, std::memory_order_relaxed);
    return {};
  }

  /// Whether a snapshot is of a moment that the log goes back to.
  [[nodiscard]] bool is_ours(const CollectionTables& frozen, const StateRow& state,
                             const ImageStamp& stamp) const {
    if (stamp.store != options_.store || stamp.collection != config_.id) return false;
    if (stamp.sequence < state.log_start || stamp.sequence > state.sequence) return false;
    if (stamp.sequence == state.saved_sequence) return stamp.chain == state.saved_chain;
    // It was put in place by somebody who did not get to noting that.
    Bytes row;
    ChangeRow change;
    return !core::get(frozen.log, change_key(stamp.sequence).view(), row).failed() &&
           decode(row, change) && change.chain == stamp.chain;
  }

  /// Applies the changes after number `from`. Each number is looked at once, as it is now.
  [[nodiscard]] Error replay(const char* operation, const CollectionTables& frozen,
                             std::uint64_t from, const StateRow& state) {
    struct Touched {
      std::uint32_t number;
      bool erased;
      bool vector;
      std::string key;
    };
    std::vector<Touched> touched;
    std::unordered_map<std::uint32_t, std::size_t> places;
    std::uint64_t largest = 0;
    std::uint64_t expected = from + 1;
    RowCursor cursor(frozen.log, {Bytes(change_key(from + 1).view()), Bytes(), false});
    for (; cursor.valid(); cursor.next(), ++expected) {
      ChangeRow row;
      if (cursor.key().size() != 8 || big_endian_at<std::uint64_t>(cursor.key(), 0) != expected ||
          !decode(cursor.value(), row) || row.number >= state.next_number) {
        return damaged(operation, "change " + std::to_string(expected) + " cannot be read");
      }
      largest = std::max<std::uint64_t>(largest, row.number);
      const auto [at, is_new] = places.try_emplace(row.number, touched.size());
      if (is_new) touched.push_back({row.number, false, false, {}});
      Touched& one = touched[at->second];
      one.erased = row.kind == ChangeKind::erase;
      one.vector = one.vector || row.kind == ChangeKind::vector;
      one.key = row.key;
    }
    if (Error error = cursor.status(); error.failed()) return as_error_of(operation, error);
    if (expected != state.sequence + 1) return damaged(operation, "the log ends too early");
    // A change takes the smallest number that is free.
    if (largest >= bound() + touched.size()) {
      if (Error error = check_numbers(operation, frozen, state); error.failed()) return error;
    }
    if (Error error = check_memory(operation, touched.size()); error.failed()) return error;

    std::vector<std::uint32_t> numbers;
    for (const Touched& one : touched) {
      if (one.vector && !one.erased) numbers.push_back(one.number);
    }
    Error unread;
    core_.expect(
        numbers.size(),
        [&](std::size_t i) -> const float* {
          if (!unread.failed()) unread = prepare(operation, frozen, numbers[i]);
          return unread.failed() ? nullptr : prepared_.data();
        },
        pool_);
    // Damaged rows cost their entries, below, and here only that the quantizer is trained later.
    if (unread.failed() && !is_damage(unread)) return unread;
    Bytes row;
    for (const Touched& one : touched) {
      damage_.forget(one.key);
      if (one.erased) {
        erase(one.number);
        continue;
      }
      Error error = core::get(frozen.items, one.key, row);
      if (error.failed() && !(error == Errc::not_found)) return as_error_of(operation, error);
      ItemRow item;
      if (error.failed()) return damaged(operation, printable(one.key) + " of the log is missing");
      if (error = read_item_row(operation, one.key, row, state, item); error.failed()) return error;
      if (item.number != one.number) {
        return damaged(operation, printable(one.key) + " has another number than in the log");
      }
      if (error = take(operation, frozen, one.key, item, one.vector); error.failed()) return error;
    }
    return {};
  }

  /// Makes the image equal to the rows, by looking at each of them.
  [[nodiscard]] Error compare(const char* operation, const CollectionTables& frozen,
                              const StateRow& state, const Progress& progress) {
    const std::uint64_t known = read([](const NameTable& names, auto&) { return names.live(); });
    const std::uint64_t more = state.live > known ? state.live - known : 0;
    if (Error error = check_memory(operation, more); error.failed()) return error;
    if (state.next_number > bound()) {
      if (Error error = check_numbers(operation, frozen, state); error.failed()) return error;
    }
    damage_.begin();
    std::vector<bool> seen(state.next_number);
    std::uint64_t done = 0;
    ItemCursor cursor(frozen.items, {});
    for (; cursor.valid(); cursor.next(), ++done) {
      if (done % 256 == 0 && progress && !progress(done, state.live)) {
        return Error(Errc::aborted, operation, "");
      }
      const std::string_view key = cursor.key();
      ItemRow item;
      if (!cursor.read(item)) {
        damage_.note(key, "its row cannot be read");
        continue;
      }
      if (item.number >= state.next_number) {
        damage_.note(key, "its number is none of the collection");
        continue;
      }
      Error error = seen[item.number] ? share(operation, frozen, key, item)
                                      : compare_one(operation, frozen, key, item);
      if (error.failed()) return error;
      seen[item.number] = true;
    }
    if (Error error = cursor.status(); error.failed()) return as_error_of(operation, error);
    if (done != state.live) {
      damage_.note({}, "it counts " + std::to_string(state.live) + " entries, and has " +
                           std::to_string(done));
    }
    const std::uint32_t end = bound();
    for (std::uint32_t number = 0; number < end; ++number) {
      if (number >= seen.size() || !seen[number]) erase(number);
    }
    return {};
  }

  /// One more than the largest number that is known.
  [[nodiscard]] std::uint32_t bound() const {
    return read([](const NameTable& names, auto&) { return names.bound(); });
  }

  [[nodiscard]] Error compare_one(const char* operation, const CollectionTables& frozen,
                                  std::string_view key, const ItemRow& item) {
    const bool same = read([&](const NameTable& names, auto&) {
      return names.is(item.number, key, item.changed);
    });
    return same ? Error() : take(operation, frozen, key, item, true);
  }

  /// A number that another entry has too. The log may know whose it is; else nobody gets it, because a
  /// wrong vector is worse than none.
  [[nodiscard]] Error share(const char* operation, const CollectionTables& frozen,
                            std::string_view key, const ItemRow& item) {
    std::string other;
    std::uint64_t changed = 0;
    read([&](const NameTable& names, auto&) {
      if (!names.contains(item.number)) return;
      other = names.key(item.number);
      changed = names.changed(item.number);
    });
    const bool is_others = !other.empty() && is_in_log(frozen.log, other, item.number, changed);
    if (!other.empty() && !is_others) {
      damage_.note(other, "its number is that of another entry too", true);
      erase(item.number);
    }
    if (!is_others && is_in_log(frozen.log, key, item.number, item.changed)) {
      return take(operation, frozen, key, item, true);
    }
    damage_.note(key, "its number is that of another entry too", true);
    return {};
  }

  /// Takes an entry over. Where its rows cannot be used it is left out, and whoever had its number.
  [[nodiscard]] Error take(const char* operation, const CollectionTables& frozen,
                           std::string_view key, const ItemRow& item, bool with_vector) {
    Error error = put(operation, frozen, key, item, with_vector);
    if (!is_damage(error)) return error;
    damage_.note(key, error.detail());
    erase(item.number);
    return {};
  }

  /// Reads a vector into `prepared_`, in the form in which it is compared.
  [[nodiscard]] Error prepare(const char* operation, const CollectionTables& frozen,
                              std::uint32_t number) {
    float* to = prepared_.data();
    Error error = read_vector(operation, frozen.vectors, number, config_.dim, to);
    if (error.failed()) return error;
    if (config_.metric == Metric::cosine && !(length(to, config_.dim) > 0)) {
      return damaged(operation, "vector " + std::to_string(number) + " has no direction");
    }
    prepare_vector(config_.metric, to, config_.dim, to);
    return {};
  }
  [[nodiscard]] Error put(const char* operation, const CollectionTables& frozen,
                          std::string_view key, const ItemRow& item, bool with_vector) {
    // Who was left out, and is put again in parts, needs its vector too.
    with_vector = with_vector || !read([&](const NameTable& names, auto&) {
      return names.contains(item.number) && names.key(item.number) == key;
    });
    if (with_vector) {
      if (Error error = prepare(operation, frozen, item.number); error.failed()) return error;
    }
    Json document = Json::object();
    if (!item.metadata.empty()) {
      document = parse_json(item.metadata);
      if (!document.is_object()) return damaged(operation, "metadata are no JSON object");
    }
    // All of it or nothing, for who reads.
    const std::unique_lock lock(names_mutex_);
    const Label label = names_.assign(item.number, key, 0, item.expires_at);
    metadata_.put(item.number, std::move(document));
    if (with_vector) core_.put(label, prepared_.data());
    names_.set_changed(item.number, item.changed);
    return {};
  }

  void erase(std::uint32_t number) {
    const std::unique_lock lock(names_mutex_);
    names_.forget(number);
    metadata_.erase(number);
    static_cast<void>(core_.erase(number));
    names_.tidy();
  }

  const CollectionConfig config_;
  const ImageOptions options_;
  IndexCore core_;
  std::mutex apply_mutex_;
  std::vector<float> prepared_;  // guarded by apply_mutex_
  std::uint64_t chain_ = 0;      // guarded by apply_mutex_: that of `applied_`
  std::atomic<std::uint64_t> applied_{0};
  std::atomic<std::uint64_t> log_start_{0};
  std::atomic<std::uint64_t> next_shortening_{0};
  std::atomic<bool> loaded_{false};
  std::atomic<int> handles_{0};
  std::mutex save_mutex_;
  std::mutex type_mutex_;
  std::atomic<std::uint64_t> epoch_{0};
  /// Shared for moments by searches; exclusive for each entry that changes.
  mutable std::shared_mutex names_mutex_;
  NameTable names_;
  MetadataIndex metadata_;
  DamageList damage_;
  std::atomic<bool> maintaining_{false};
  ThreadPool pool_;  // the last, so that it ends first: its tasks use the rest
};

}  // namespace snkv::vector_detail
