/// \file
/// Opening and closing.
#include "c_api/iterator.hpp"
#include "c_api/options.hpp"
#include "c_api/session.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

namespace snkv::c_api {
namespace {

constexpr int default_page_size = 4096;
constexpr int default_cache_pages = 2000;

Error refuse(const char* why) { return Error(Errc::invalid_argument, "open", why); }

Error journal_of(int mode, Journal& out) {
  switch (mode) {
    case KVSTORE_JOURNAL_DELETE:
      out = Journal::rollback;
      return {};
    case KVSTORE_JOURNAL_WAL:
      out = Journal::wal;
      return {};
    default:
      return refuse("there is no such journal mode");
  }
}

/// 0 is the default here, whatever the constant of that value is called.
Error sync_of(int level, Sync& out) {
  switch (level) {
    case 0:
    case KVSTORE_SYNC_NORMAL:
      out = Sync::normal;
      return {};
    case KVSTORE_SYNC_FULL:
      out = Sync::full;
      return {};
    case KVSTORE_SYNC_OFF:
      out = Sync::off;
      return {};
    default:
      return refuse("there is no such sync level");
  }
}

}  // namespace

Error options_of(const KVStoreConfig& config, Options& out) {
  const int smallest = std::min({config.cacheSize, config.pageSize, config.busyTimeout,
                                 config.walSizeLimit});
  if (smallest < 0) return refuse("a field of the config is negative");
  const int journal = config.journalMode == 0 ? KVSTORE_JOURNAL_WAL : config.journalMode;
  if (Error error = journal_of(journal, out.journal); error.failed()) return error;
  if (Error error = sync_of(config.syncLevel, out.sync); error.failed()) return error;
  const int page_size = config.pageSize == 0 ? default_page_size : config.pageSize;
  if (page_size < 512 || page_size > 65536 || !std::has_single_bit(static_cast<unsigned>(page_size))) {
    return refuse("the page size is no power of two from 512 to 65536");
  }
  out.page_size = static_cast<std::uint32_t>(std::max(page_size, default_page_size));
  const int cache_pages = config.cacheSize == 0 ? default_cache_pages : config.cacheSize;
  out.cache_size = static_cast<std::size_t>(cache_pages) * out.page_size;
  out.read_only = config.readOnly != 0;
  out.allow_hard_links = config.allowHardLinks != 0;
  out.busy_timeout = std::chrono::milliseconds(config.busyTimeout);
  // Commits are counted here, pages are not. The log is bounded all the same, by `wal_size_limit`.
  out.wal_autocheckpoint = 0;
  out.wal_size_limit = 64u << 20;
  return {};
}

bool in_memory(const char* filename) noexcept {
  return filename == nullptr || std::strcmp(filename, ":memory:") == 0;
}

namespace {

/// Makes the handle of a store that was opened.
int give_out(Store store, const Options& options, const KVStoreConfig& config,
             std::optional<Secret> secret, KVStore** out) {
  KVStore* handle = handles<KVStore>().take();
  Session& session = handle->session.emplace(std::move(store), options);
  session.secret = std::move(secret);
  session.rollback_journal = options.journal == Journal::rollback;
  session.serialised = config.fullMutex != 0;
  session.commits_per_checkpoint = static_cast<std::uint64_t>(config.walSizeLimit);
  handle->kind.store(Kind::store, std::memory_order_release);
  *out = handle;
  return KVSTORE_OK;
}

int open(const char* filename, const KVStoreConfig& config, const Options& options, KVStore** out) {
  auto store = in_memory(filename) ? Store::open_in_memory(options) : Store::open(filename, options);
  if (!store) return failed_to_open(store.error());
  return give_out(*std::move(store), options, config, std::nullopt, out);
}

int open_with_password(const char* filename, BytesView password, const KVStoreConfig& config,
                       KVStore** out) {
  Options options;
  if (Error error = options_of(config, options); error.failed()) return failed_to_open(error);
  Secret secret = Secret::password(password);
  auto store = open_encrypted(filename, secret, options);
  if (!store) return failed_to_open(store.error());
  return give_out(*std::move(store), options, config, std::move(secret), out);
}

/// Ends everything that was made from the handle, and the store.
int close(KVStore* handle) {
  Session& session = *handle->session;
  int code = KVSTORE_OK;
  if (session.transaction) code = session.done(session.transaction->rollback());
  session.suspend_iterators(true);
  {
    const std::lock_guard lock(session.children_mutex);
    for (KVColumnFamily* family : session.families) family->family = FamilyRef();
    for (KVIterator* iterator : session.iterators) iterator->cursor = IteratorCursor();
  }
  session.transaction.reset();
  session.snapshot.reset();
  const int closed = session.done(session.store.close());
  handle->session.reset();
  handles<KVStore>().give_back(handle);
  return code != KVSTORE_OK ? code : closed;
}

}  // namespace
}  // namespace snkv::c_api

using namespace snkv::c_api;

extern "C" {

int kvstore_open_v2(const char* filename, KVStore** store, const KVStoreConfig* config) {
  if (store == nullptr) return failed_to_open(refuse("no room for the handle"));
  *store = nullptr;
  return guarded([&] {
    const KVStoreConfig wanted = config == nullptr ? KVStoreConfig{} : *config;
    snkv::Options options;
    if (snkv::Error error = options_of(wanted, options); error.failed()) return failed_to_open(error);
    return open(filename, wanted, options, store);
  });
}

int kvstore_open(const char* filename, KVStore** store, int journal_mode) {
  if (store == nullptr) return failed_to_open(refuse("no room for the handle"));
  *store = nullptr;
  return guarded([&] {
    snkv::Options options;
    snkv::Error error = options_of({}, options);
    // There is no default to be meant here, and SNKV's number of the rollback journal is 0.
    const int journal = journal_mode == 0 ? KVSTORE_JOURNAL_DELETE : journal_mode;
    if (!error.failed()) error = journal_of(journal, options.journal);
    if (error.failed()) return failed_to_open(error);
    return open(filename, {}, options, store);
  });
}

int kvstore_open_encrypted(const char* filename, const void* password, int password_size,
                           KVStore** store, const KVStoreConfig* config) {
  if (store == nullptr) return failed_to_open(refuse("no room for the handle"));
  *store = nullptr;
  const auto secret = buffer(password, password_size);
  if (!secret) return failed_to_open(refuse("the password is no buffer"));
  return guarded([&] {
    return open_with_password(filename, *secret, config == nullptr ? KVStoreConfig{} : *config, store);
  });
}

int kvstore_close(KVStore* store) {
  if (store == nullptr) return KVSTORE_OK;
  return with_session(store, Access::alone, [&](Session&) { return close(store); });
}

}
