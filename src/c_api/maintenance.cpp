/// \file
/// Messages, counts, and what keeps the file in order.
#include "c_api/options.hpp"
#include "c_api/progress.hpp"
#include "c_api/session.hpp"

namespace snkv::c_api {
namespace {

const char* last_message(KVStore* store) {
  thread_local std::string text;
  text.clear();
  (void)with_session(store, Access::read, [&](Session& session) {
    text = session.message();
    return KVSTORE_OK;
  });
  return text.empty() ? "no error" : text.c_str();
}

int stats(Session& session, KVStoreStats& out) {
  auto found = session.store.stats();
  if (!found) return session.fail(found.error());
  out.nPuts = found->puts;
  // The store counts what looks for a key as a get, be it for its value or not. The counts are kept
  // without locks, so the one may be ahead of the other.
  const std::uint64_t other = session.other_gets;
  out.nGets = found->gets > other ? found->gets - other : 0;
  out.nDeletes = found->deletes;
  out.nIterations = session.iterations;
  out.nErrors = found->errors + session.refusals;
  out.nBytesRead = found->bytes_read;
  out.nBytesWritten = found->bytes_written;
  out.nWalCommits = found->wal_commits;
  out.nCheckpoints = found->checkpoints;
  out.nTtlExpired = found->ttl_expired;
  out.nTtlPurged = found->ttl_purged;
  out.nDbPages = found->db_pages;
  return KVSTORE_OK;
}

int reset_stats(Session& session) {
  session.iterations = 0;
  session.refusals = 0;
  session.other_gets = 0;
  return session.done(session.store.reset_stats());
}

int integrity_check(Session& session, char** message) {
  auto result = session.store.integrity_check();
  if (!result && message != nullptr) {
    *message = static_cast<char*>(copy_out(result.error().message()));
  }
  return session.done(result);
}

int vacuum(Session& session, int pages) {
  if (pages < 0) return session.refuse("incremental_vacuum", "the number of pages is negative");
  if (session.in_transaction()) {
    return session.fail(Error(Errc::locked, "incremental_vacuum", "a transaction is open"));
  }
  if (session.rollback_journal) session.suspend_iterators(true);
  return session.done(session.store.vacuum(static_cast<std::uint32_t>(pages)));
}

int checkpoint(Session& session, int mode, int* log_pages, int* copied_pages) {
  if (mode < KVSTORE_CHECKPOINT_PASSIVE || mode > KVSTORE_CHECKPOINT_TRUNCATE) {
    return session.refuse("checkpoint", "there is no such mode");
  }
  if (session.transaction) {
    return session.fail(Error(Errc::busy, "checkpoint", "a transaction for writing is open"));
  }
  auto result = session.store.checkpoint(static_cast<Checkpoint>(mode));
  if (!result) return session.fail(result.error());
  if (log_pages != nullptr) *log_pages = as_int(result->wal_frames);
  if (copied_pages != nullptr) *copied_pages = as_int(result->checkpointed);
  return KVSTORE_OK;
}

int restore(const char* backup, const char* filename, const Progress& progress) {
  if (in_memory(backup) || in_memory(filename)) {
    return failed_to_open(Error(Errc::invalid_argument, "restore", "a store in memory is in no file"));
  }
  const auto restored = Store::restore(backup, filename, progress);
  return restored ? KVSTORE_OK : failed_to_open(restored.error());
}

static_assert(static_cast<int>(Checkpoint::passive) == KVSTORE_CHECKPOINT_PASSIVE);
static_assert(static_cast<int>(Checkpoint::full) == KVSTORE_CHECKPOINT_FULL);
static_assert(static_cast<int>(Checkpoint::restart) == KVSTORE_CHECKPOINT_RESTART);
static_assert(static_cast<int>(Checkpoint::truncate) == KVSTORE_CHECKPOINT_TRUNCATE);

}  // namespace
}  // namespace snkv::c_api

namespace api = snkv::c_api;
using api::Access;
using api::Session;

extern "C" {

const char* kvstore_errmsg(KVStore* store) {
  if (store == nullptr) return api::open_failure();
  const char* message = "no error";
  (void)api::guarded([&] {
    message = api::last_message(store);
    return KVSTORE_OK;
  });
  return message;
}

int kvstore_stats(KVStore* store, KVStoreStats* stats) {
  if (stats != nullptr) *stats = KVStoreStats{};
  return api::with_session(store, Access::read, [&](Session& session) {
    if (stats == nullptr) return session.refuse("stats", "no room for the result");
    return api::stats(session, *stats);
  });
}

int kvstore_stats_reset(KVStore* store) {
  return api::with_session(store, Access::read, api::reset_stats);
}

int kvstore_integrity_check(KVStore* store, char** message) {
  if (message != nullptr) *message = nullptr;
  return api::with_session(store, Access::read, [&](Session& session) {
    return api::integrity_check(session, message);
  });
}

int kvstore_incremental_vacuum(KVStore* store, int pages) {
  return api::with_session(store, Access::write,
                           [&](Session& session) { return api::vacuum(session, pages); });
}

int kvstore_checkpoint(KVStore* store, int mode, int* log_pages, int* copied_pages) {
  if (log_pages != nullptr) *log_pages = 0;
  if (copied_pages != nullptr) *copied_pages = 0;
  return api::with_session(store, Access::read, [&](Session& session) {
    return api::checkpoint(session, mode, log_pages, copied_pages);
  });
}

int kvstore_restore(const char* backup, const char* filename, KVProgress progress, void* context) {
  return api::guarded([&] {
    return api::restore(backup, filename, api::progress_of(progress, context));
  });
}

}
