/// \file
/// The thread of a buffer, and how a table becomes a transaction of the store.
#include "base/printable.hpp"
#include "buffer/buffer.hpp"
#include "core/run.hpp"
#include "core/store_state.hpp"
#include "core/write_path.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace snkv::buffer {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* operation = "flush";
constexpr std::chrono::milliseconds first_pause{100};
constexpr std::chrono::milliseconds longest_pause{10'000};

/// Rolls back unless it was committed.
class FlushTransaction {
 public:
  FlushTransaction() noexcept = default;
  FlushTransaction(const FlushTransaction&) = delete;
  FlushTransaction& operator=(const FlushTransaction&) = delete;
  ~FlushTransaction() {
    if (target.scope != nullptr) core::abandon(target);
  }
  core::Target target;
};

}  // namespace

void Buffer::run() noexcept {
  worker_id_ = std::this_thread::get_id();
  std::unique_lock lock(state_mutex_);
  while (!stopping_) {
    const auto now = Clock::now();
    if (tables_->frozen != nullptr) {
      if (retry_now_ || now >= retry_at_) {
        retry_now_ = false;
        lock.unlock();
        if (!flush_frozen()) return;
        lock.lock();
      } else {
        changed_.wait_until(lock, retry_at_);
      }
      continue;
    }
    // Not whether the table is empty: a writer notes the time just before it adds the first
    // version.
    if (!oldest_) {
      changed_.wait(lock);
      continue;
    }
    const auto due = *oldest_ + options_.max_age;
    if (now < due) {
      changed_.wait_until(lock, due);
      continue;
    }
    lock.unlock();
    // Not waited for: who has the turn may be closing the buffer, and waiting for this thread.
    const bool got = turn_.try_lock();
    if (got) {
      const bool due_still = [&] {
        const std::lock_guard state(state_mutex_);
        if (active_->empty()) oldest_.reset();  // the write failed
        return tables_->frozen == nullptr && oldest_.has_value() && !stopping_;
      }();
      try {
        if (due_still) rotate();
      } catch (...) {  // no memory for a new table: later
      }
      turn_.unlock();
    }
    lock.lock();
    if (!got) changed_.wait_for(lock, std::chrono::milliseconds(1));
  }
}

/// False if the buffer is not there any more.
bool Buffer::flush_frozen() noexcept {
  std::shared_ptr<const Tables> all;
  Sequence last = 0;
  {
    const std::lock_guard lock(state_mutex_);
    all = tables_;
    last = frozen_last_;
  }
  Error error;
  std::shared_ptr<Tables> after;
  try {
    after = std::make_shared<Tables>();
    error = write_out(*all->frozen, last);
  } catch (...) {
    error = core::error_of_exception(operation);
  }
  all.reset();
  {
    const std::lock_guard lock(state_mutex_);
    if (error.failed()) {
      ++failures_;
      last_error_ = error;
      kept_error_ = error;
      pause_ = pause_.count() == 0 ? first_pause : std::min(pause_ * 2, longest_pause);
      retry_at_ = Clock::now() + pause_;
    } else {
      ++flushes_;
      kept_error_ = Error();
      after->active = tables_->active;
      tables_ = std::move(after);
    }
  }
  changed_.notify_all();
  return !error.failed() || tell_error(error);
}

bool Buffer::tell_error(const Error& error) noexcept {
  if (!options_.on_error) return true;
  bool gone = false;
  {
    // The function may let go of the last handle.
    const std::shared_ptr<Buffer> self = weak_from_this().lock();
    if (self == nullptr) return true;
    gone_ = &gone;
    try {
      options_.on_error(error);
    } catch (...) {  // the caller's own affair
    }
  }
  if (gone) return false;
  gone_ = nullptr;
  return true;
}

Error Buffer::write_out(const Memtable& table, Sequence last) {
  if (journal_ != nullptr) journal_->flushing();
  struct Guard {
    Journal* journal;
    ~Guard() {
      if (journal != nullptr) journal->not_flushed();
    }
  } guard{journal_.get()};
  FlushTransaction transaction;
  const WriteOptions promise{promised_full_.load() ? std::optional<Sync>(Sync::full)
                                                   : options_.sync};
  if (Error error = core::begin(store_, promise, transaction.target); error.failed()) return error;
  // The families in the order of their tables' making, each in the order of its keys.
  auto families = table.families();
  std::sort(families.begin(), families.end(),
            [](const auto& a, const auto& b) { return a->id < b->id; });
  const Tables only{
      std::shared_ptr<Memtable>(std::shared_ptr<void>(), const_cast<Memtable*>(&table)), nullptr};
  for (const auto& family : families) {
    if (Error error = write_family(transaction.target, only, family); error.failed()) return error;
  }
  if (journal_ != nullptr) {
    if (Error error = journal_->erase_through(transaction.target, last); error.failed())
      return error;
  }
  if (Error error = core::commit(transaction.target); error.failed()) return error;
  if (journal_ != nullptr) {
    guard.journal = nullptr;
    journal_->flushed(last);
  }
  return {};
}

Error Buffer::write_family(const core::Target& transaction, const Tables& tables,
                           const std::shared_ptr<const core::Family>& family) {
  const core::Target target{store_.store, family, transaction.scope};
  return core::write_in_scope(operation, target, [&](core::WriteSession& session) -> Error {
    const core::FamilyEntry* entry = nullptr;
    if (Error error = session.resolve(operation, *family, true, entry); error.failed()) {
      if (!(error == Errc::dropped)) return error;
      core::log(store_, LogLevel::warning,
                fmt::format("writes that were buffered for the family {} went away with it",
                            base::printable(family->name)));
      return {};
    }
    return core::change(session, [&]() -> Error {
      const core::WriteContext context{operation, session, *family};
      TableCursor at(tables, family->id, newest);
      // What the store has is older than all ranges; what the table has is compared with them one
      // by one.
      for (const ErasedRange& range : at.ranges()) {
        const btree::Lock lock(session.connection());
        std::uint64_t erased = 0;
        if (Error error = core::erase_entries(context, range.keys, erased); error.failed())
          return error;
      }
      constexpr int steps_at_once = 64;  // in between others may look
      for (at.seek({}); at.get() != nullptr;) {
        const btree::Lock lock(session.connection());
        for (int i = 0; i < steps_at_once && at.get() != nullptr; ++i, at.next()) {
          if (at.is_erased()) continue;
          const Version& version = *at.get();
          bool existed = false;
          Error error =
              version.is_put()
                  ? core::put_entry(context, {version.key(), version.value(), version.expires_at()})
                  : core::erase_entry(context, version.key(), existed);
          if (error.failed()) return error;
        }
      }
      return {};
    });
  });
}

}  // namespace snkv::buffer
