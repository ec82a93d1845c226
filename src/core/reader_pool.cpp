#include "core/reader_pool.hpp"

#include "core/counters.hpp"
#include "core/store_state.hpp"

namespace snkv::core {

std::unique_ptr<Reader> ReaderPool::take() noexcept {
  const unsigned mine = thread_number();
  for (unsigned i = 0; i < slots_.size(); ++i) {
    Slot& slot = slots_[(mine + i) % slots_.size()];
    if (slot.reader.load(std::memory_order_relaxed) == nullptr) continue;
    if (Reader* reader = slot.reader.exchange(nullptr)) return std::unique_ptr<Reader>(reader);
  }
  return nullptr;
}

void ReaderPool::give(std::unique_ptr<Reader> reader) noexcept {
  const unsigned mine = thread_number();
  for (unsigned i = 0; i < slots_.size() && !closed_.load(); ++i) {
    Slot& slot = slots_[(mine + i) % slots_.size()];
    Reader* expected = nullptr;
    if (!slot.reader.compare_exchange_strong(expected, reader.get())) continue;
    static_cast<void>(reader.release());
    // close() may have passed this slot just before: then it is for us to take the reader out again.
    if (closed_.load()) delete slot.reader.exchange(nullptr);
    return;
  }
}

void ReaderPool::close() noexcept {
  closed_.store(true);
  for (Slot& slot : slots_) delete slot.reader.exchange(nullptr);
}

void ReaderPool::leak() noexcept {
  for (Slot& slot : slots_) slot.reader.store(nullptr);
}

ReaderLease::~ReaderLease() {
  if (reader_ == nullptr) return;
  if (store_->fork_guard.forked()) {
    static_cast<void>(reader_.release());
  } else {
    store_->readers.give(std::move(reader_));
  }
}

Error ReaderLease::acquire(const char* operation, StoreState& store) {
  store_ = &store;
  reader_ = store.readers.take();
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

}  // namespace snkv::core
