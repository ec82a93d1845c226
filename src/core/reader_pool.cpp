#include "core/reader_pool.hpp"

#include "core/counters.hpp"
#include "core/store_state.hpp"

#include <thread>

namespace snkv::core {

Reader* ReaderPool::find_idle() noexcept {
  const unsigned mine = thread_number();
  for (unsigned i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[(mine + i) % slots_.size()];
    if (slot.reader.load(std::memory_order_relaxed) == nullptr) continue;
    if (Reader* reader = slot.reader.exchange(nullptr)) return reader;
  }
  return nullptr;
}

std::unique_ptr<Reader> ReaderPool::take() noexcept {
  Reader* reader = find_idle();
  // One that is away only to have its transaction ended comes back before another could be opened.
  while (reader == nullptr && releasing_.load() > 0) {
    std::this_thread::yield();
    reader = find_idle();
  }
  return std::unique_ptr<Reader>(reader);
}

void ReaderPool::give(std::unique_ptr<Reader> reader) noexcept {
  const unsigned mine = thread_number();
  for (unsigned i = 0; i < slots_.size() && !closed_.load(); ++i) {
    Slot& slot = slots_[(mine + i) % slots_.size()];
    Reader* expected = nullptr;
    // Before it can be seen there; of no harm to another that is.
    if (!slot.used.load(std::memory_order_relaxed)) slot.used.store(true, std::memory_order_relaxed);
    if (!slot.reader.compare_exchange_strong(expected, reader.get())) continue;
    static_cast<void>(reader.release());
    // close() may have passed this slot just before: then it is for us to take the reader out again.
    if (closed_.load()) delete slot.reader.exchange(nullptr);
    return;
  }
  if (reader->kept) uncount_kept();
}

void ReaderPool::close() noexcept {
  closed_.store(true);
  for (Slot& slot : slots_) delete slot.reader.exchange(nullptr);
}

void ReaderPool::leak() noexcept {
  for (Slot& slot : slots_) slot.reader.store(nullptr);
}

void ReaderPool::release(Slot& slot) noexcept {
  if (slot.reader.load(std::memory_order_relaxed) == nullptr) return;
  releasing_.fetch_add(1);
  if (std::unique_ptr<Reader> reader{slot.reader.exchange(nullptr)}) {
    if (reader->kept) {
      const btree::Lock lock(reader->connection);
      snkv_bt_release_read(lock.get());
      reader->kept = false;
      uncount_kept();
    }
    Reader* expected = nullptr;
    if (!closed_.load() && slot.reader.compare_exchange_strong(expected, reader.get())) {
      static_cast<void>(reader.release());
      if (closed_.load()) delete slot.reader.exchange(nullptr);
    } else {
      give(std::move(reader));
    }
  }
  releasing_.fetch_sub(1);
}

void ReaderPool::release_all() noexcept {
  if (kept() == 0) return;
  for (Slot& slot : slots_) release(slot);
}

void ReaderPool::release_unused() noexcept {
  for (Slot& slot : slots_) {
    if (!slot.used.exchange(false, std::memory_order_relaxed)) release(slot);
  }
}

ReaderLease::~ReaderLease() {
  if (reader_ == nullptr) return;
  if (store_->fork_guard.forked()) {
    static_cast<void>(reader_.release());
  } else {
    store_->readers.give(std::move(reader_));
  }
}

Error ReaderLease::acquire_kept(const char* operation, StoreState& store) {
  store_ = &store;
  reader_ = store.readers.take();
  if (reader_ != nullptr && snkv_bt_is_outdated(reader_->connection.get()) != 0) reader_.reset();
  if (reader_ != nullptr) return {};
  // Ours only when it is whole: whatever a lease has goes to the pool.
  auto fresh = std::make_unique<Reader>();
  Error error = store.open_connection(operation, fresh->connection, StoreState::Role::reader);
  if (error.failed()) {
    // Closed between our look and the opening: then that is what is to be told.
    if (Error closed = store.check(operation); closed.failed()) error = std::move(closed);
  }
  if (!error.failed()) reader_ = std::move(fresh);
  return error;
}

Error ReaderLease::acquire(const char* operation, StoreState& store) {
  Error error = acquire_kept(operation, store);
  if (!error.failed() && reader_->kept) {
    const btree::Lock lock(reader_->connection);
    snkv_bt_release_read(lock.get());
    set_kept(false);
  }
  return error;
}

void ReaderLease::set_kept(bool kept) noexcept {
  if (reader_->kept == kept) return;
  reader_->kept = kept;
  if (!kept) {
    store_->readers.uncount_kept();
  } else if (store_->readers.count_kept()) {
    store_->releaser.wake();
  }
}

Error ReaderLease::begin_read(const char* operation) {
  std::uint32_t cookie = 0;
  const int rc = snkv_bt_begin_read(reader_->connection.get(), &cookie);
  if (rc != SNKV_BT_OK) {
    set_kept(false);
    return btree::engine_error(operation, rc, "beginning a read transaction");
  }
  struct Guard {
    ReaderLease* lease;
    ~Guard() {
      if (lease != nullptr) lease->drop_read();
    }
  } guard{this};
  Error error = reader_->refresh(operation, cookie, store_->cipher.get(),  // may throw
                                 store_->shared_catalog);
  if (!error.failed()) guard.lease = nullptr;
  return error;
}

void ReaderLease::end_read() noexcept {
  // Who ends the transactions of idle readers is started before there is one.
  if (store_->keeps_reads() && store_->releaser.ensure(*store_)) {
    set_kept(snkv_bt_keep_read(reader_->connection.get()) != 0);
  } else {
    drop_read();
  }
}

void ReaderLease::drop_read() noexcept {
  snkv_bt_end_read(reader_->connection.get());
  set_kept(false);
}

}  // namespace snkv::core
