#include "buffer/buffer.hpp"

#include "base/printable.hpp"
#include "core/arguments.hpp"
#include "core/batch_reader.hpp"
#include "core/run.hpp"
#include "core/store_state.hpp"
#include "core/write_path.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <limits>
#include <utility>

namespace snkv::buffer {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* flush_operation = "flush";

/// Small enough for what a table takes to be near what it was given, large enough for few
/// allocations.
std::size_t block_size_for(std::size_t flush_bytes) noexcept {
  return std::clamp<std::size_t>(flush_bytes / 64, 1024, 1u << 20);
}

bool is_name(std::string_view name) noexcept {
  constexpr std::string_view allowed =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
  return !name.empty() && name.size() <= 64 && name.find_first_not_of(allowed) == name.npos;
}

/// The same error, told by the operation that is the next after the flush.
Error told_by(const char* operation, const Error& error) {
  return Error(error.code(), operation,
               fmt::format("the write buffer could not be flushed: {}", error.message()),
               error.extended());
}

}  // namespace

/// The right to add to the active table.
class Buffer::Turn {
 public:
  Turn() noexcept = default;
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ~Turn() { end(); }
  void take(Buffer& buffer) {
    buffer.turn_.lock();
    buffer.turn_owner_.store(std::this_thread::get_id(), std::memory_order_relaxed);
    buffer_ = &buffer;
  }
  void end() noexcept {
    if (buffer_ == nullptr) return;
    buffer_->turn_owner_.store({}, std::memory_order_relaxed);
    std::exchange(buffer_, nullptr)->turn_.unlock();
  }

 private:
  Buffer* buffer_ = nullptr;
};

// ---- Life ----

Buffer::Buffer(core::Target store, WriteBufferOptions options)
    : store_(std::move(store)), options_(std::move(options)) {
  active_ = new_table();
  tables_ = std::make_shared<const Tables>(Tables{active_, nullptr});
}

Buffer::~Buffer() {
  if (store_.store == nullptr) return;
  if (store_.store->fork_guard.forked()) {
    // Its thread is not here, and its file is the parent's.
    worker_.leak();
    static_cast<void>(journal_.release());
    return;
  }
  if (gone_ != nullptr) *gone_ = true;
  if (!closed_.load()) {
    {
      const std::lock_guard lock(state_mutex_);
      kept_error_ = Error();  // there is no next call to tell it
    }
    const Error error =
        gone_ == nullptr ? close() : Error(Errc::locked, "close", "in its own on_error");
    if (error.failed()) {
      const auto all = tables();
      std::uint64_t versions = 0;
      for (const Memtable* table : all->newest_first())
        versions += table == nullptr ? 0 : table->versions();
      try {
        core::log(
            store_, LogLevel::error,
            journal_ == nullptr
                ? fmt::format("the write buffer {} is lost with {} writes: {}", options_.name,
                              versions, error.message())
                : fmt::format("the write buffer {} ends, and {} writes wait in its journal: {}",
                              options_.name, versions, error.message()));
      } catch (...) {
        core::log(store_, LogLevel::error, "a write buffer could not be flushed at its end");
      }
    }
  }
  end();
}

std::shared_ptr<Memtable> Buffer::new_table() const {
  return std::make_shared<Memtable>(block_size_for(options_.flush_bytes));
}

Error Buffer::check(const char* operation) const {
  if (Error error = store_.store->check(operation); error.failed()) return error;
  if (closed_.load(std::memory_order_acquire))
    return Error(Errc::closed, operation, "the write buffer was closed");
  return {};
}

Error Buffer::open() {
  constexpr const char* operation = "open write buffer";
  core::StoreState& store = *store_.store;
  const auto refuse = [&](const char* why) {
    return Error(Errc::invalid_argument, operation, why);
  };
  if (Error error = store.check(operation); error.failed()) return error;
  if (options_.flush_bytes == 0) return refuse("flush_bytes is zero");
  if (options_.max_age.count() < 0) return refuse("max_age is negative");
  if (!is_name(options_.name)) {
    return Error(Errc::invalid_argument, operation,
                 fmt::format("the name {} is not 1 to 64 letters, digits, '_' and '-'",
                             base::printable(options_.name)));
  }
  if (options_.journal && store.in_memory) return refuse("a store in memory can have no journal");
  if (store.options.read_only)
    return Error(Errc::read_only, operation, "the store was opened read-only");
  if (Error error = core::UserCode::check_write(operation, store); error.failed()) return error;
  if (!store.buffers.add(options_.name)) {
    return Error(Errc::busy, operation,
                 fmt::format("the write buffer {} is open already", options_.name));
  }
  registered_ = true;
  promised_full_ = options_.sync.value_or(store.options.sync) == Sync::full;
  bool waits = false;
  if (Error error = Journal::exists(store_, options_.name, waits); error.failed()) return error;
  if (options_.journal || waits) {
    journal_ = std::make_unique<Journal>(store_, options_.name, options_.sync);
    if (Error error = journal_->open(operation); error.failed()) return error;
    if (Error error = replay(); error.failed()) return error;
    if (options_.journal) {
      if (Error error = journal_->begin(operation); error.failed()) return error;
    } else {
      Error error = journal_->drop(operation);
      if (error.failed()) return error;
      journal_.reset();
    }
  }
  closed_ = false;
  worker_.start([this] { run(); });
  return {};
}

/// Writes to the store what a former owner has left.
Error Buffer::replay() {
  constexpr const char* operation = "open write buffer";
  std::vector<std::shared_ptr<const core::Family>> families;
  Error error =
      core::with_catalog(operation, store_, [&](snkv_bt*, const core::Catalog& catalog) -> Error {
        for (const core::FamilyEntry& entry : catalog.families()) families.push_back(entry.family);
        return {};
      });
  if (error.failed()) return error;
  std::shared_ptr<Memtable> table = new_table();
  Sequence last = 0;
  const auto write = [&]() -> Error {
    if (last == 0) return {};
    Error failed = write_out(*table, last);
    table = new_table();
    return failed;
  };
  error = journal_->replay(operation, [&](const Record& record) -> Error {
    if (table->bytes() >= options_.flush_bytes || table->range_count() >= Memtable::most_ranges) {
      if (Error failed = write(); failed.failed()) return failed;
    }
    BytesView rest = record.operations;
    buffer::Operation step;
    while (!rest.empty()) {
      if (!take_operation(rest, step)) {
        return Error(Errc::corrupt, operation,
                     fmt::format("the journal {} is damaged", options_.name));
      }
      const auto family = std::find_if(families.begin(), families.end(),
                                       [&](const auto& one) { return one->id == step.family; });
      if (family == families.end()) continue;  // it was dropped since, with all that it had
      table->add_family(*family);
      // Later operations of a record are newer; their numbers need not be those that they had.
      ++last_sequence_;
      switch (step.tag) {
        case 'P':
          table->add(step.family, step.first, Version::Kind::put, step.second, 0, last_sequence_);
          break;
        case 'X':
          table->add(step.family, step.first, Version::Kind::put_expiring, step.second,
                     step.expires_at, last_sequence_);
          break;
        case 'D':
          table->add(step.family, step.first, Version::Kind::erase, {}, 0, last_sequence_);
          break;
        default:
          table->add_range(step.family, {Bytes(step.first), Bytes(step.second), step.tag == 'R'},
                           last_sequence_);
      }
      ++replayed_;
    }
    last = record.last;
    return {};
  });
  if (!error.failed()) error = write();
  if (error.failed()) return error;
  last_sequence_ = journal_->last_flushed();
  visible_ = last_sequence_;
  return {};
}

Error Buffer::close() {
  constexpr const char* operation = "close";
  if (Error error = check(operation); error.failed()) return error;
  Turn turn;
  if (Error error = take_turn(operation, turn); error.failed()) return error;
  if (Error error = empty_tables(operation); error.failed()) return error;
  closed_.store(true, std::memory_order_release);
  turn.end();
  end();
  return {};
}

/// Without a flush.
void Buffer::end() noexcept {
  closed_.store(true, std::memory_order_release);
  {
    const std::lock_guard lock(state_mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  worker_.stop();
  if (journal_ != nullptr) journal_->close();
  if (std::exchange(registered_, false)) store_.store->buffers.remove(options_.name);
}

Error Buffer::stats(WriteBufferStats& out) {
  if (Error error = check("stats"); error.failed()) return error;
  WriteBufferStats now;
  if (journal_ != nullptr) now.journal_bytes = journal_->tail_bytes();
  const std::lock_guard lock(state_mutex_);
  for (const Memtable* table : tables_->newest_first()) {
    if (table == nullptr) continue;
    now.memory += table->bytes();
    now.versions += table->versions();
  }
  now.flushing = tables_->frozen != nullptr;
  now.flushes = flushes_;
  now.failed_flushes = failures_;
  now.replayed = replayed_;
  now.waits = waits_;
  out = now;
  return {};
}

// ---- Reading ----

std::shared_ptr<const Tables> Buffer::tables(Sequence* as_of) const {
  const std::lock_guard lock(state_mutex_);
  if (as_of != nullptr) *as_of = visible_.load(std::memory_order_acquire);
  return tables_;
}

/// `now` is asked for when an expiry is met; null: what has expired counts.
Buffer::Says Buffer::look_up(const Tables& tables, std::uint32_t family, BytesView key,
                             Sequence as_of, std::int64_t* now, const Version*& version) const {
  for (const Memtable* table : tables.newest_first()) {
    if (table == nullptr) continue;
    const Found found = table->find(family, key, as_of);
    if (found.version != nullptr && found.version->sequence() > found.erased) {
      version = found.version;
      if (!version->is_put()) return Says::erased;
      if (now == nullptr || !version->expires_at()) return Says::put;
      if (*now < 0) *now = store_.store->now();
      return is_expired(*version, *now) ? Says::erased : Says::put;
    }
    if (found.erased != 0) return Says::erased;
  }
  return Says::nothing;
}

Error Buffer::get(const char* operation, const core::Target& target, BytesView key, Bytes& value) {
  if (Error error = check(operation); error.failed()) return error;
  if (Error error = core::check_key(operation, key); error.failed()) return error;
  Sequence as_of = 0;
  const auto all = tables(&as_of);
  std::int64_t now = -1;
  const Version* version = nullptr;
  switch (look_up(*all, target.family->id, key, as_of, &now, version)) {
    case Says::put:
      store_.store->counters.add(core::Counters::gets);
      store_.store->counters.add(core::Counters::bytes_read, version->value().size());
      value = Bytes(version->value());
      return {};
    case Says::erased:
      store_.store->counters.add(core::Counters::gets);
      return Error(Errc::not_found, operation, base::printable(key));
    default:
      // Who writes to the buffer after this moment is concurrent with the call.
      return core::get(under(target), key, value);
  }
}

Error Buffer::find(const char* operation, const core::Target& target, BytesView key, Bytes& value,
                   std::optional<std::int64_t>& expires_at) const {
  Sequence as_of = 0;
  const auto all = tables(&as_of);
  std::int64_t now = -1;
  const Version* version = nullptr;
  switch (look_up(*all, target.family->id, key, as_of, &now, version)) {
    case Says::put:
      value = Bytes(version->value());
      expires_at = version->expires_at();
      return {};
    case Says::erased:
      return Error(Errc::not_found, operation, base::printable(key));
    default:
      return core::get_entry(operation, under(target), key, value, expires_at);
  }
}

Error Buffer::contains(const core::Target& target, BytesView key, bool& found) {
  constexpr const char* operation = "contains";
  if (Error error = check(operation); error.failed()) return error;
  if (Error error = core::check_key(operation, key); error.failed()) return error;
  Sequence as_of = 0;
  const auto all = tables(&as_of);
  std::int64_t now = -1;
  const Version* version = nullptr;
  const Says says = look_up(*all, target.family->id, key, as_of, &now, version);
  if (says == Says::nothing) return core::contains(under(target), key, found);
  found = says == Says::put;
  return {};
}

Error Buffer::ttl(const core::Target& target, BytesView key,
                  std::optional<std::chrono::milliseconds>& remaining) {
  constexpr const char* operation = "ttl";
  if (Error error = check(operation); error.failed()) return error;
  if (Error error = core::check_key(operation, key); error.failed()) return error;
  Sequence as_of = 0;
  const auto all = tables(&as_of);
  std::int64_t now = -1;
  const Version* version = nullptr;
  switch (look_up(*all, target.family->id, key, as_of, &now, version)) {
    case Says::put:
      remaining.reset();
      if (const auto at = version->expires_at()) remaining = std::chrono::milliseconds(*at - now);
      return {};
    case Says::erased:
      return Error(Errc::not_found, operation, base::printable(key));
    default:
      return core::ttl(under(target), key, remaining);
  }
}

Error Buffer::view(const char* operation, const core::Target& target, View& out) const {
  if (Error error = check(operation); error.failed()) return error;
  // What is taken first are the tables: a flush that is committed meanwhile is then seen twice, as
  // the same. But a table to which writes were added since must not have been flushed, so it must
  // still be the active one.
  constexpr int attempts = 4;
  for (int attempt = 0;; ++attempt) {
    std::unique_lock<std::mutex> no_rotation;
    if (attempt == attempts) no_rotation = std::unique_lock(state_mutex_);
    {
      std::unique_lock<std::mutex> lock;
      if (!no_rotation.owns_lock()) lock = std::unique_lock(state_mutex_);
      out.tables = tables_;
      out.as_of = visible_.load(std::memory_order_acquire);
    }
    core::Target snapshot;
    if (Error error = core::snapshot(under(target), snapshot); error.failed()) return error;
    out.store = {store_.store, target.family, snapshot.scope};
    out.now = core::now(out.store);
    if (no_rotation.owns_lock()) return {};
    const std::lock_guard lock(state_mutex_);
    if (tables_->active == out.tables->active) return {};
  }
}

core::Cursor* Buffer::open_cursor(const core::Target& target, core::KeyRange range,
                                  const ScanOptions& options) noexcept {
  constexpr const char* operation = "iterate";
  try {
    View now;
    if (Error error = view(operation, target, now); error.failed())
      return MergedCursor::failed(std::move(error));
    return new MergedCursor(std::move(now), std::move(range), options);
  } catch (...) {
    return MergedCursor::failed(core::error_of_exception(operation));
  }
}

Error Buffer::multi_get(const core::Target& target, const BytesView* keys, std::size_t count,
                        std::optional<Bytes>* values) {
  constexpr const char* operation = "multi_get";
  for (std::size_t i = 0; i < count; ++i) {
    if (Error error = core::check_key(operation, keys[i]); error.failed()) return error;
  }
  View now;
  if (Error error = view(operation, target, now); error.failed()) return error;
  std::vector<BytesView> others;
  std::vector<std::size_t> places;
  std::vector<std::optional<Bytes>> found(count);
  for (std::size_t i = 0; i < count; ++i) {
    const Version* version = nullptr;
    const Says says =
        look_up(*now.tables, target.family->id, keys[i], now.as_of, &now.now, version);
    if (says == Says::put) found[i].emplace(version->value());
    if (says != Says::nothing) continue;
    others.push_back(keys[i]);
    places.push_back(i);
  }
  std::vector<std::optional<Bytes>> rest(others.size());
  if (Error error = core::multi_get(now.store, others.data(), others.size(), rest.data());
      error.failed()) {
    return error;
  }
  for (std::size_t i = 0; i < places.size(); ++i) found[places[i]] = std::move(rest[i]);
  std::move(found.begin(), found.end(), values);
  return {};
}

Error Buffer::count(const char* operation, const core::Target& target, const core::Counted& counted,
                    std::uint64_t& entries) {
  View now;
  if (Error error = view(operation, target, now); error.failed()) return error;
  return count_in(operation, now, counted, entries);
}

/// What the store counts, and the difference that the tables make.
Error Buffer::count_in(const char*, const View& view, const core::Counted& counted,
                       std::uint64_t& entries) const {
  const core::KeyRange all;
  const core::KeyRange& range = counted.range == nullptr ? all : *counted.range;
  if (range.bounded_above && BytesView(range.low) >= BytesView(range.high)) {
    entries = 0;
    return {};
  }
  const auto in_store = [&](const core::KeyRange& part, std::uint64_t& out) -> Error {
    if (!counted.live_only) return core::count_range(view.store, part, out);
    out = 0;
    const CursorHandle cursor(
        core::open_cursor(view.store, core::KeyRange(part), {.keys_only = true}));
    for (core::cursor_first(*cursor); cursor->valid; core::cursor_next(*cursor)) ++out;
    return core::cursor_status(*cursor);
  };
  std::uint64_t total = 0;
  Error error = counted.range != nullptr ? in_store(range, total)
                : counted.live_only      ? core::count_live(view.store, total)
                                         : core::count(view.store, total);
  if (error.failed()) return error;
  TableCursor tables(*view.tables, view.store.family->id, view.as_of);
  // Erased ranges, put together where they overlap.
  std::vector<core::KeyRange> erased;
  for (const ErasedRange& one : tables.ranges()) {
    core::KeyRange part = one.keys;
    if (BytesView(part.low) < BytesView(range.low)) part.low = range.low;
    if (range.bounded_above &&
        (!part.bounded_above || BytesView(part.high) > BytesView(range.high))) {
      part.high = range.high;
      part.bounded_above = true;
    }
    if (!part.bounded_above || BytesView(part.low) < BytesView(part.high))
      erased.push_back(std::move(part));
  }
  std::sort(erased.begin(), erased.end(),
            [](const auto& a, const auto& b) { return BytesView(a.low) < BytesView(b.low); });
  std::vector<core::KeyRange> disjoint;
  for (core::KeyRange& part : erased) {
    core::KeyRange* const before = disjoint.empty() ? nullptr : &disjoint.back();
    if (before == nullptr ||
        (before->bounded_above && BytesView(before->high) < BytesView(part.low))) {
      disjoint.push_back(std::move(part));
    } else if (before->bounded_above &&
               (!part.bounded_above || BytesView(part.high) > BytesView(before->high))) {
      before->high = std::move(part.high);
      before->bounded_above = part.bounded_above;
    }
  }
  for (const core::KeyRange& part : disjoint) {
    std::uint64_t gone = 0;
    if (Error failed = in_store(part, gone); failed.failed()) return failed;
    total -= std::min(total, gone);
  }
  std::int64_t delta = 0;
  for (tables.seek(range.low); const Version* version = tables.get(); tables.next()) {
    const BytesView key = version->key();
    if (range.bounded_above && key >= BytesView(range.high)) break;
    if (version->is_put() && !tables.is_erased() &&
        !(counted.live_only && is_expired(*version, view.now)))
      ++delta;
    if (tables.range_over(key) != nullptr) continue;  // the store's is not counted any more
    core::KeyRange one{Bytes(key), Bytes(key), true};
    one.high.resize_for_overwrite(key.size() + 1);
    one.high.data()[key.size()] = std::byte{0};
    std::uint64_t there = 0;
    if (Error failed = in_store(one, there); failed.failed()) return failed;
    delta -= static_cast<std::int64_t>(there);
  }
  entries = static_cast<std::uint64_t>(static_cast<std::int64_t>(total) + delta);
  return {};
}

// ---- Writing ----

Error Buffer::take_turn(const char* operation, Turn& turn) {
  if (Error error = check(operation); error.failed()) return error;
  if (Error error = core::UserCode::check_write(operation, *store_.store); error.failed())
    return error;
  const auto thread = std::this_thread::get_id();
  if (turn_owner_.load(std::memory_order_relaxed) == thread ||
      worker_id_.load(std::memory_order_relaxed) == thread) {
    return Error(Errc::locked, operation,
                 "this function was called by the write buffer, which has to go on first");
  }
  turn.take(*this);
  if (Error error = check(operation); error.failed()) {
    turn.end();
    return error;
  }
  Error error = take_kept_error(operation);
  if (error.failed()) turn.end();
  return error;
}

/// Told once, by the first call after the flush that failed.
Error Buffer::take_kept_error(const char* operation) {
  const std::lock_guard lock(state_mutex_);
  if (!kept_error_.failed()) return {};
  const Error kept = std::exchange(kept_error_, Error());
  return told_by(operation, kept);
}

/// With the turn: what was written goes to the flush, and a new table takes what comes.
void Buffer::rotate() {
  make_pending_safe();
  auto fresh = std::make_shared<Tables>();
  fresh->active = new_table();
  {
    const std::lock_guard lock(state_mutex_);
    fresh->frozen = std::exchange(active_, fresh->active);
    frozen_last_ = last_sequence_;
    oldest_.reset();
    tables_ = std::move(fresh);
    pause_ = {};
    retry_at_ = {};
  }
  changed_.notify_all();
}

Error Buffer::wait_for_flush(const char* operation, std::unique_lock<std::mutex>& state,
                             bool retry) {
  if (tables_->frozen == nullptr) return {};
  if (retry) {
    retry_now_ = true;
    changed_.notify_all();
  }
  const std::uint64_t before = failures_;
  changed_.wait(state,
                [&] { return tables_->frozen == nullptr || failures_ != before || stopping_; });
  if (tables_->frozen == nullptr) return {};
  if (failures_ == before) return Error(Errc::closed, operation, "the write buffer was closed");
  kept_error_ = Error();  // told here
  return told_by(operation, last_error_);
}

Error Buffer::admit(const char* operation, std::size_t bytes, bool ranges) {
  const bool has_room =
      active_->empty() || (active_->bytes_with(bytes) <= options_.flush_bytes &&
                           (!ranges || active_->range_count() < Memtable::most_ranges));
  if (has_room) return {};
  {
    std::unique_lock state(state_mutex_);
    if (tables_->frozen != nullptr) {
      ++waits_;
      if (options_.when_full == WhenFull::refuse) {
        return Error(Errc::busy, operation, "both tables of the write buffer are full");
      }
      if (Error error = wait_for_flush(operation, state, false); error.failed()) return error;
    }
  }
  rotate();
  return {};
}

/// Everything that is buffered goes to the store.
Error Buffer::empty_tables(const char* operation) {
  std::unique_lock state(state_mutex_);
  if (Error error = wait_for_flush(operation, state, true); error.failed()) return error;
  if (active_->empty()) return {};
  state.unlock();
  rotate();
  state.lock();
  return wait_for_flush(operation, state, true);
}

Error Buffer::flush() {
  if (Error error = check(flush_operation); error.failed()) return error;
  Turn turn;
  if (Error error = take_turn(flush_operation, turn); error.failed()) return error;
  return empty_tables(flush_operation);
}

Error Buffer::make_safe(const char* operation, const std::shared_ptr<Group>& group) {
  const std::lock_guard one_at_a_time(commit_mutex_);
  if (group->done) return group->error;
  {
    const std::lock_guard lock(pending_mutex_);
    pending_.reset();  // it is this one: those before it are done
  }
  Error error;
  try {
    error = journal_->append(operation, group->records, group->last, group->safe);
  } catch (...) {
    error = core::error_of_exception(operation);
  }
  if (error.failed()) {
    for (Version* version : group->versions) Memtable::undo(*version);
    if (group->has_ranges) group->table->undo_ranges(group->first, group->last);
  } else {
    visible_.store(group->last, std::memory_order_release);
  }
  group->error = error;
  group->done = true;
  group->table.reset();
  return error;
}

void Buffer::make_pending_safe() {
  std::shared_ptr<Group> group;
  {
    const std::lock_guard lock(pending_mutex_);
    group = pending_;
  }
  // An error is told to those whose writes they are.
  if (group != nullptr) static_cast<void>(make_safe("write", group));
  // One that is being made safe is done when this lock is free.
  const std::lock_guard lock(commit_mutex_);
}

Error Buffer::write_steps(const char* operation, Turn& turn, const Step* steps, std::size_t count,
                          std::optional<Sync> sync) {
  Memtable* const table = active_.get();
  if (options_.max_age.count() > 0 && table->empty()) {
    {
      const std::lock_guard lock(state_mutex_);
      oldest_ = Clock::now();
    }
    changed_.notify_all();
  }
  const bool safe = sync == Sync::full || promised_full_.load(std::memory_order_relaxed);
  if (sync == Sync::full) promised_full_ = true;
  std::shared_ptr<Group> group;
  std::unique_lock<std::mutex> pending;
  std::size_t begin = 0;
  std::size_t versions_before = 0;
  std::vector<Version*> own;
  std::vector<Version*>* made = &own;
  const Sequence first = last_sequence_ + 1;
  bool has_ranges = false;
  try {
    if (journal_ != nullptr) {
      pending = std::unique_lock(pending_mutex_);
      if (pending_ == nullptr) {
        pending_ = std::make_shared<Group>();
        pending_->first = first;
        pending_->table = active_;
      }
      group = pending_;
      made = &group->versions;
      versions_before = made->size();
      begin = group->records.size();
      static_cast<void>(begin_record(group->records));
    }
    made->reserve(made->size() + count);
    for (std::size_t i = 0; i < count; ++i) {
      const Step& step = steps[i];
      const std::uint32_t family = (*step.family)->id;
      table->add_family(*step.family);
      if (group != nullptr) {
        append_operation(group->records,
                         {step.tag, family, step.first, step.second, step.expires_at});
      }
      const Sequence sequence = ++last_sequence_;
      switch (step.tag) {
        case 'P':
          made->push_back(
              table->add(family, step.first, Version::Kind::put, step.second, 0, sequence));
          break;
        case 'X':
          made->push_back(table->add(family, step.first, Version::Kind::put_expiring, step.second,
                                     step.expires_at, sequence));
          break;
        case 'D':
          made->push_back(table->add(family, step.first, Version::Kind::erase, {}, 0, sequence));
          break;
        default:
          table->add_range(family, {Bytes(step.first), Bytes(step.second), step.tag == 'R'},
                           sequence);
          has_ranges = true;
      }
    }
  } catch (...) {
    for (std::size_t i = versions_before; i < made->size(); ++i) Memtable::undo(*(*made)[i]);
    if (has_ranges) table->undo_ranges(first, last_sequence_);
    if (group != nullptr) {
      made->resize(versions_before);
      group->records.resize(std::min(begin, group->records.size()));
      if (group->records.empty()) pending_.reset();
    }
    return core::error_of_exception(operation);
  }
  if (group == nullptr) {
    visible_.store(last_sequence_, std::memory_order_release);
    return {};
  }
  end_record(group->records, begin, last_sequence_);
  group->last = last_sequence_;
  group->has_ranges = group->has_ranges || has_ranges;
  group->safe = group->safe || safe;
  pending.unlock();
  turn.end();
  return make_safe(operation, group);
}

template <class Through>
Error Buffer::write(const char* operation, Turn& turn, const Step* steps, std::size_t count,
                    std::optional<Sync> sync, Through&& through) {
  std::size_t bytes = 0;
  bool ranges = false;
  for (std::size_t i = 0; i < count; ++i) {
    bytes += Memtable::size_of(steps[i].first.size(), steps[i].second.size());
    ranges = ranges || steps[i].tag == 'R' || steps[i].tag == 'U';
  }
  if (bytes > options_.flush_bytes) {
    if (Error error = empty_tables(operation); error.failed()) return error;
    return through();
  }
  if (Error error = admit(operation, bytes, ranges); error.failed()) return error;
  return write_steps(operation, turn, steps, count, sync);
}

Error Buffer::put(const core::Target& target, BytesView key, BytesView value,
                  const PutOptions& options) {
  constexpr const char* operation = "put";
  if (Error error = core::check_key(operation, key); error.failed()) return error;
  if (Error error = core::check_value(operation, key, value); error.failed()) return error;
  std::optional<std::int64_t> at;
  if (options.ttl || options.expires_at) {
    Error error = core::expiry(operation, options, store_.store->now(), at);
    if (error.failed()) return error;
  }
  Turn turn;
  if (Error error = take_turn(operation, turn); error.failed()) return error;
  store_.store->counters.add(core::Counters::puts);
  return write_one(operation, turn, {at ? 'X' : 'P', &target.family, key, value, at.value_or(0)},
                   options.sync, [&] { return core::put(under(target), key, value, options); });
}

Error Buffer::erase(const core::Target& target, BytesView key, const WriteOptions& options,
                    bool& existed) {
  constexpr const char* operation = "erase";
  if (Error error = core::check_key(operation, key); error.failed()) return error;
  Turn turn;
  if (Error error = take_turn(operation, turn); error.failed()) return error;
  make_pending_safe();
  bool found = false;
  if (Error error = contains(target, key, found); error.failed()) return error;
  if (found) {
    // An entry that has expired may be there too, and goes with the purge.
    Error error = write_one(operation, turn, {'D', &target.family, key, {}, 0}, options.sync, [&] {
      bool ignored = false;
      return core::erase(under(target), key, options, ignored);
    });
    if (error.failed()) return error;
  }
  existed = found;
  return {};
}

Error Buffer::erase_range(const char* operation, const core::Target& target,
                          const core::KeyRange& range, const WriteOptions& options,
                          std::uint64_t* erased) {
  Turn turn;
  if (Error error = take_turn(operation, turn); error.failed()) return error;
  make_pending_safe();
  std::uint64_t number = 0;
  if (erased != nullptr) {
    View now;
    if (Error error = view(operation, target, now); error.failed()) return error;
    if (Error error = count_in(operation, now, {&range}, number); error.failed()) return error;
  }
  if (erased == nullptr || number > 0) {
    Error error =
        write_one(operation, turn,
                  {range.bounded_above ? 'R' : 'U', &target.family, range.low, range.high, 0},
                  options.sync, [&] {
                    std::uint64_t ignored = 0;
                    return core::erase_range(under(target), range, options, ignored);
                  });
    if (error.failed()) return error;
  }
  if (erased != nullptr) *erased = number;
  return {};
}

Error Buffer::set_expiry(const char* operation, const core::Target& target, BytesView key,
                         const PutOptions& options) {
  if (Error error = core::check_key(operation, key); error.failed()) return error;
  std::optional<std::int64_t> at;
  if (Error error = core::expiry(operation, options, store_.store->now(), at); error.failed())
    return error;
  Turn turn;
  if (Error error = take_turn(operation, turn); error.failed()) return error;
  make_pending_safe();
  Bytes value;
  std::optional<std::int64_t> before;
  if (Error error = find(operation, target, key, value, before); error.failed()) return error;
  return write_one(operation, turn, {at ? 'X' : 'P', &target.family, key, value, at.value_or(0)},
                   options.sync,
                   [&] { return core::set_expiry(operation, under(target), key, options); });
}

Error Buffer::update(const char* operation, const core::Target& target, BytesView key,
                     const PutOptions& options, bool keeps_expiry, core::UpdateFunction decide,
                     void* context) {
  if (Error error = core::check_key(operation, key); error.failed()) return error;
  std::optional<std::int64_t> at;
  if (Error error = core::expiry(operation, options, store_.store->now(), at); error.failed())
    return error;
  Turn turn;
  if (Error error = take_turn(operation, turn); error.failed()) return error;
  make_pending_safe();
  Bytes current;
  std::optional<std::int64_t> before;
  Error error = find(operation, target, key, current, before);
  const bool found = !error.failed();
  if (error.failed() && !(error == Errc::not_found)) return error;
  core::Update decision = core::Update::keep;
  Bytes desired;
  {
    const BytesView seen = current;
    const core::UserCode user_code(*store_.store, core::UserCode::Kind::reads);
    error = decide(context, found ? &seen : nullptr, desired, decision);
  }
  if (error.failed() || decision == core::Update::keep) return error;
  if (decision == core::Update::erase) {
    return write_one(operation, turn, {'D', &target.family, key, {}, 0}, options.sync, [&] {
      bool ignored = false;
      return core::erase(under(target), key, {.sync = options.sync}, ignored);
    });
  }
  if (Error bad = core::check_value(operation, key, desired); bad.failed()) return bad;
  if (keeps_expiry && !at) at = found ? before : std::nullopt;
  PutOptions through{.sync = options.sync};
  if (at) through.expires_at = TimePoint(std::chrono::milliseconds(*at));
  return write_one(operation, turn, {at ? 'X' : 'P', &target.family, key, desired, at.value_or(0)},
                   options.sync, [&] { return core::put(under(target), key, desired, through); });
}

/// In the order of the batch: its operations get numbers in that order, and are visible, flushed
/// and replayed together.
Error Buffer::write_batch(const core::Target& target, BytesView batch,
                          const WriteOptions& options) {
  constexpr const char* operation = "write";
  if (Error error = core::check_batch(batch); error.failed()) return error;
  std::deque<std::shared_ptr<const core::Family>> families{target.family};
  const std::shared_ptr<const core::Family>* family = &families.front();
  std::vector<Step> steps;
  core::BatchReader reader(batch);
  core::BatchStep step;
  std::int64_t now = -1;
  while (!reader.at_end()) {
    if (!reader.next(step)) return core::error_malformed_batch();
    switch (step.tag) {
      case 'F': {
        if (step.first.empty()) {
          family = &families.front();
          break;
        }
        core::Target named;
        Error error = core::family(under(target), step.first.view(), core::FamilyMode::open, named);
        if (error.failed()) return Error(error.code(), operation, error.detail(), error.extended());
        family = &families.emplace_back(named.family);
        break;
      }
      case 'C':
        steps.push_back({'U', family, {}, {}, 0});
        break;
      case 'R':
        steps.push_back({'R', family, step.first, step.second, 0});
        break;
      case 'T':
        if (now < 0) now = store_.store->now();
        if (step.number > std::numeric_limits<std::int64_t>::max() - now) {
          return Error(Errc::invalid_argument, operation, "the ttl is too long");
        }
        steps.push_back({'X', family, step.first, step.second, now + step.number});
        break;
      default:
        steps.push_back({step.tag, family, step.first, step.second, step.number});
    }
  }
  if (steps.empty()) return {};
  Turn turn;
  if (Error error = take_turn(operation, turn); error.failed()) return error;
  return write(operation, turn, steps.data(), steps.size(), options.sync,
               [&] { return core::write_batch(under(target), batch, options); });
}

}  // namespace snkv::buffer
