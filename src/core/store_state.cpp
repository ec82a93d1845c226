#include "core/store_state.hpp"

#include "core/user_code.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <limits>
#include <mutex>
#include <new>
#include <pthread.h>
#include <system_error>
#include <utility>
#include <vector>

namespace snkv::core {

namespace {

std::string real_path_of(std::filesystem::path path) {
  std::error_code failed;
  std::string known = path.string();
  path = std::filesystem::absolute(path, failed);  // what is not there yet would stay relative
  if (failed) return known;  // the folder that the process is in was removed
  known = path.string();
  for (int links = 0; links < 40; ++links) {
    path = std::filesystem::weakly_canonical(path, failed);
    // A link to a file that is not there yet was not followed.
    if (failed) return known;
    if (!std::filesystem::is_symlink(path, failed)) break;
    path = path.parent_path() / std::filesystem::read_symlink(path, failed);
  }
  return path.string();
}

/// The open stores of this process, so that one which wants to checkpoint can ask those on the same file
/// to let go of the reads that they keep.
struct OpenStores {
  std::mutex mutex;
  std::vector<StoreState*> stores;
};
OpenStores& open_stores() {
  static OpenStores* const instance = [] {
    static OpenStores* const made = new OpenStores;  // outlives stores in static storage
    // A thread that holds the lock does not exist in a forked child.
    ::pthread_atfork([] { made->mutex.lock(); }, [] { made->mutex.unlock(); },
                     [] { made->mutex.unlock(); });
    return made;
  }();
  return *instance;
}

}  // namespace

void StoreState::release_kept_reads() noexcept {
  readers.release_all();
  if (in_memory) return;
  OpenStores& all = open_stores();
  const std::lock_guard lock(all.mutex);
  for (StoreState* other : all.stores) {
    if (other != this && other->file == file && !other->fork_guard.forked()) {
      other->readers.release_all();
    }
  }
}

bool StoreState::others_open() const noexcept {
  OpenStores& all = open_stores();
  const std::lock_guard lock(all.mutex);
  return std::any_of(all.stores.begin(), all.stores.end(), [&](const StoreState* other) {
    return other != this && other->file == file && !other->closed_.load() && !other->fork_guard.forked();
  });
}

StoreState::StoreState(std::string given_path, bool memory, Options opts)
    : path(std::move(given_path)),
      file(memory ? path : real_path_of(path)),
      in_memory(memory),
      options(std::move(opts)),
      latencies(options.latency_histograms),
      feed(options.change_history),
      session(*this),
      keeps_reads_(options.keep_reads && options.journal == Journal::wal &&
                   !snkv_bt_without("keep")),
      checkpoints_beside_(options.background_checkpoints && !memory && !snkv_bt_without("beside")),
      promised_sync_(sync_level()) {
  OpenStores& all = open_stores();
  const std::lock_guard lock(all.mutex);
  for (const StoreState* other : all.stores) {
    if (other->file == file && !other->fork_guard.forked()) checkpointing_ = other->checkpointing_;
  }
  if (checkpointing_ == nullptr) checkpointing_ = std::make_shared<std::mutex>();
  all.stores.push_back(this);
}

StoreState::~StoreState() {
  if (!fork_guard.forked()) {
    OpenStores& all = open_stores();
    const std::lock_guard lock(all.mutex);
    std::erase(all.stores, this);
  }
  if (fork_guard.forked()) {
    // The parent's locks and log are not ours to touch: only forget them.
    readers.leak();
    watcher.leak();
    writer.leak();
    housekeeper_.leak();
    checkpointer_.leak();
    releaser.leak();
    attachments.leak();
    return;
  }
  housekeeper_.stop();
  checkpointer_.stop();
  releaser.stop();
  readers.close();
  watcher.close();
  // Nobody else can be told.
  if (const Error place = last_look("close"); place.failed()) log(LogLevel::error, place.detail());
  writer.close();
}

Error StoreState::close() {
  if (Error error = check("close"); error.failed()) return error;
  if (Error error = UserCode::check_end("close", *this); error.failed()) return error;
  // Its short turns at writing are no reason to refuse; if there is another, it goes on.
  housekeeper_.stop();
  Error place;
  Error error = close_if_unused(place);
  if (!error.failed()) {
    attachments.clear();
    return place;
  }
  if (options.housekeeping_interval.count() > 0) {
    housekeeper_.start(*this, options.housekeeping_interval);
  }
  return error;
}

/// `place` tells of a store that is closed whether it was where it should be.
Error StoreState::close_if_unused(Error& place) {
  WriteQueue::Waiter turn;
  if (Error error = queue.enter("close", turn, WriteQueue::Clock::now()); error.failed()) {
    return Error(Errc::busy, "close", "a transaction is open");
  }
  if (!buffers.close_if_empty()) {
    queue.leave(turn);
    return Error(Errc::busy, "close", "a write buffer is open");
  }
  if (!pins.close_if_empty()) {
    buffers.reopen();
    queue.leave(turn);
    return Error(Errc::busy, "close", "an iterator or a snapshot is open");
  }
  closed_.store(true, std::memory_order_release);
  checkpointer_.stop();
  releaser.stop();
  readers.close();
  watcher.close();
  place = last_look("close");
  writer.close();
  queue.leave(turn);
  return {};
}

std::int64_t StoreState::now() const {
  if (options.clock) {
    // A clock that reads from its store must not be asked again.
    if (UserCode::inside(*this, UserCode::Kind::clock)) return last_now_.load();
    const UserCode user_code(*this, UserCode::Kind::clock);
    const std::int64_t told = options.clock();
    last_now_.store(told);
    return told;
  }
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::int64_t StoreState::now_or_before() const noexcept {
  try {
    return now();
  } catch (...) {
    return last_now_.load();
  }
}

Error StoreState::enter_write_queue(const char* operation, WriteQueue::Waiter& waiter) {
  if (Error error = check(operation); error.failed()) return error;
  if (Error error = UserCode::check_write(operation, *this); error.failed()) return error;
  if (options.read_only) return Error(Errc::read_only, operation, "the store was opened read-only");
  const auto deadline = WriteQueue::Clock::now() + options.busy_timeout;
  if (Error error = queue.enter(operation, waiter, deadline); error.failed()) return error;
  if (waiter.done) return {};
  Error error = check(operation);  // it may have been closed while we waited
  const snkv_bt_place place = place_.load();
  if (!error.failed() && place != SNKV_BT_IN_PLACE) error = error_moved(operation, place);
  if (error.failed()) queue.leave(waiter);
  return error;
}

Error StoreState::write(const char* operation, const WriteOperation& work) {
  // Enough to share one fsync among many threads, few enough that nobody waits long for others' work.
  constexpr std::size_t largest_group = 64;

  WriteQueue::Waiter place;
  place.operation = &work;
  if (Error error = enter_write_queue(operation, place); error.failed()) return error;
  if (place.done) return std::move(place.result);

  std::vector<WriteQueue::Waiter*> followers;
  try {
    followers = queue.followers(place, largest_group);
  } catch (const std::bad_alloc&) {
    followers.clear();
  }
  if (!carry_out_group(operation, place, followers)) {
    // Each for itself, so that what fails fails alone.
    place.result = carry_out(operation, work);
    for (WriteQueue::Waiter* follower : followers) {
      follower->result = carry_out(operation, *follower->operation);
    }
  }
  after_commit();
  Error result = std::move(place.result);
  queue.leave(place, followers);
  feed.deliver(*this);
  return result;
}

namespace {

/// Runs an operation. One that ran out of memory may have stopped anywhere.
Error run(const WriteOperation& work, WriteSession& session, const char* operation) noexcept {
  try {
    return work(session);
  } catch (const std::bad_alloc&) {
    snkv_bt_poison(session.bt());
    return Error(Errc::no_memory, operation, "");
  } catch (...) {
    // Only a function of the caller throws anything else, and those run before anything is changed.
    return error_of_exception(operation);
  }
}

}  // namespace

Error StoreState::carry_out(const char* operation, const WriteOperation& work) noexcept {
  if (Error error = session.begin(operation, work.sync); error.failed()) return error;
  Error error = run(work, session, operation);
  if (error.failed()) {
    session.rollback();
    return error;
  }
  error = session.commit(operation);
  if (error == Errc::busy) session.rollback();
  return error;
}

bool StoreState::carry_out_group(const char* operation, WriteQueue::Waiter& head,
                                 const std::vector<WriteQueue::Waiter*>& followers) noexcept {
  if (followers.empty()) return false;
  const auto level = [this](const WriteQueue::Waiter& waiter) {
    return waiter.operation->sync.value_or(options.sync);
  };
  Sync strongest = level(head);
  for (const WriteQueue::Waiter* follower : followers) strongest = std::max(strongest, level(*follower));
  if (session.begin(operation, strongest).failed()) return false;
  head.result = run(*head.operation, session, operation);
  for (WriteQueue::Waiter* follower : followers) {
    if (snkv_bt_poisoned(session.bt()) != 0) break;
    follower->result = run(*follower->operation, session, operation);
  }
  if (snkv_bt_poisoned(session.bt()) != 0) {
    session.rollback();
    return false;
  }
  const Error error = session.commit(operation);
  if (error == Errc::busy) session.rollback();
  return !error.failed();
}

namespace {

/// The log may have so many times the pages at which copying begins before writers wait for it.
constexpr std::uint64_t longest_log = 4;

}  // namespace

std::uint32_t StoreState::checkpoint_interval() const noexcept {
  if (options.wal_size_limit == 0) return options.wal_autocheckpoint;
  // Half of the limit is left to the next transaction.
  std::uint64_t pages = options.wal_size_limit / 2 / snkv_bt_page_size(writer.get());
  if (checkpoints_beside_) pages /= longest_log;
  return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(pages, 1, options.wal_autocheckpoint));
}

void StoreState::after_commit() noexcept {
  const std::uint32_t frames = snkv_bt_take_wal_frames(writer.get());
  limit_log(frames);
  if (options.wal_autocheckpoint == 0) return;
  const std::uint32_t interval = checkpoint_interval();
  if (frames < interval || frames < copied_) {  // it has been started anew
    next_checkpoint_ = interval;
    copied_ = 0;
    if (frames < interval) return;
  }
  const bool beside = checkpoints_beside_ && frames < interval * longest_log;
  if (beside) {
    if (checkpointer_.working()) return;
    const std::optional<CheckpointResult> result = checkpointer_.take_result();
    if (result && result->wal_frames <= frames) {
      copied_ = result->checkpointed;
      // Where nobody was in the way, what was written meanwhile is next.
      if (copied_ == result->wal_frames) next_checkpoint_ = 0;
    }
  }
  // While a snapshot keeps the log from being recycled, trying at every commit would read the whole
  // log's index each time for nothing.
  if (frames < next_checkpoint_) return;
  next_checkpoint_ = frames + interval / 4 + 1;
  // Only a log that was copied whole is started anew, so the last of it is copied while nobody writes.
  const bool last = copied_ > 0 && frames - copied_ <= interval / 8;
  if (beside && !last && checkpointer_.request(*this)) return;
  CheckpointResult result;
  if (!try_checkpoint(writer, result).failed() && result.checkpointed == result.wal_frames) {
    // The log starts anew, and its mark must not be that of the last one.
    next_checkpoint_ = interval;
    copied_ = 0;
  }
}

int StoreState::promise(std::optional<Sync> sync, int& level) noexcept {
  level = sync_level(sync);
  const int before = promised_sync_.load(std::memory_order_relaxed);
  if (level > before) {
    const std::lock_guard no_checkpoint(*checkpointing_);
    // What the commit stands on must be as safe as it is, and nothing of it was synced.
    if (before == static_cast<int>(Sync::off)) {
      if (const int rc = snkv_bt_sync(writer.get(), 1); rc != SNKV_BT_OK) return rc;
    }
    promised_sync_.store(level);
  } else {
    // A log that is started anew without the syncs between what is there and what takes its place takes
    // back the promises of all commits before.
    level = std::max(level, std::min(before, static_cast<int>(Sync::normal)));
  }
  return SNKV_BT_OK;
}

Error StoreState::try_checkpoint(btree::Connection& connection, CheckpointResult& out) noexcept {
  // A failure is no failure of the commit, which has happened: the next one tries again.
  Error error = checkpoint(connection, "checkpoint", Checkpoint::passive, {}, out);
  if (error.failed() && !(error == Errc::busy)) tell_of_failed_checkpoint(error);
  return error;
}

void StoreState::tell_of_failed_checkpoint(const Error& error) noexcept {
  counters.add(Counters::errors);
  if (!options.log) return;
  try {
    log(LogLevel::error, "the log cannot be copied into the file: " + error.message());
  } catch (const std::bad_alloc&) {
    log(LogLevel::error, "the log cannot be copied into the file");
  }
}

void StoreState::limit_log(std::uint32_t frames) noexcept {
  if (options.wal_size_limit == 0 || options.journal != Journal::wal) return;
  const std::uint64_t bytes = std::uint64_t{frames} * snkv_bt_page_size(writer.get());
  if (bytes <= options.wal_size_limit) {
    next_limit_ = 0;
    return;
  }
  // When it was in vain, not at every commit again: only after the log has grown by a part of the limit.
  if (bytes < next_limit_) return;
  next_limit_ = bytes + options.wal_size_limit / 8;
  // Reads that are under way end soon; snapshots do not.
  constexpr std::chrono::milliseconds patience{20};
  CheckpointResult result;
  Error error;
  bool snapshots_to_blame = false;
  do {
    error = checkpoint("checkpoint", Checkpoint::restart, patience, result);
    if (!error.failed()) {
      next_limit_ = 0;
      return;
    }
    // Anything but `busy` is not for the sake of a snapshot; nor is `busy` if nothing was looked at: then
    // another process has its checkpoint.
    snapshots_to_blame = error == Errc::busy && result.wal_frames > 0;
  } while (snapshots_to_blame && options.expire_snapshots && pins.expire_oldest());
  counters.add(Counters::wal_over_limit);
  WalPressure pressure{bytes, 0, {}};
  pressure.snapshots = pins.count(pressure.oldest_snapshot_age);
  if (snapshots_to_blame) {
    log(LogLevel::warning, "the log is over its size limit: a snapshot or iterator holds it back");
  } else if (error == Errc::busy) {
    log(LogLevel::warning, "the log is over its size limit: another process is copying it");
  } else {
    tell_of_failed_checkpoint(error);
  }
  if (!options.on_wal_limit) return;
  const UserCode user_code(*this, UserCode::Kind::reads);
  try {
    options.on_wal_limit(pressure);
  } catch (...) {
    // The caller's own affair: the commit has happened.
  }
}

void StoreState::empty_idle_log() noexcept {
  if (options.read_only || options.journal != Journal::wal) return;
  WriteQueue::Waiter place;
  if (queue.enter("checkpoint", place, WriteQueue::Clock::now()).failed()) return;
  if (!closed_.load() && snkv_bt_wal_bytes(writer.get()) > 0) {
    CheckpointResult result;
    const Error error = checkpoint("checkpoint", Checkpoint::truncate, {}, result);
    if (!error.failed()) log(LogLevel::info, "emptied the log");
  }
  queue.leave(place);
}

void StoreState::log(LogLevel level, std::string_view message) const noexcept {
  // What the log itself does to the store has nobody to be told to.
  if (!options.log || UserCode::inside(*this, UserCode::Kind::log)) return;
  try {
    const std::lock_guard lock(log_mutex_);
    const UserCode user_code(*this, UserCode::Kind::log);
    options.log(level, message);
  } catch (...) {
    // What a log throws must not change what it is told about.
  }
}

Error StoreState::checkpoint(btree::Connection& connection, const char* operation, Checkpoint mode,
                             std::chrono::milliseconds patience, CheckpointResult& out) {
  const std::lock_guard one_at_a_time(*checkpointing_);
  // Idle readers must not be in the way of the copying, nor of the log's new start after it.
  release_kept_reads();
  const btree::Lock lock(connection);
  // The file that has the name now would get none of it.
  if (Error error = check_place(operation, lock.get()); error.failed()) return error;
  const Stopwatch stopwatch(latencies, TimedOperation::checkpoint);
  int rc = snkv_bt_set_sync(lock.get(), promised_sync_.load());
  if (rc == SNKV_BT_OK) {
    snkv_bt_set_busy_timeout(lock.get(), static_cast<int>(patience.count()));
    rc = snkv_bt_checkpoint(lock.get(), static_cast<int>(mode), &out.wal_frames, &out.checkpointed);
    snkv_bt_set_busy_timeout(lock.get(), static_cast<int>(options.busy_timeout.count()));
  }
  release_kept_reads();
  if (rc != SNKV_BT_OK) return btree::engine_error(operation, rc);
  counters.add(Counters::checkpoints);
  return {};
}

}  // namespace snkv::core
