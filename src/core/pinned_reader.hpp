/// \file
/// A read connection on loan for something long, which counts as a snapshot meanwhile.
#pragma once

#include "core/reader_pool.hpp"
#include "core/scope.hpp"
#include "core/store_state.hpp"

#include <memory>
#include <utility>

namespace snkv::core {

/// Keeps the store from being closed, and open. Unlike a `SnapshotState` it is never ended early.
/// What uses the connection must end before it.
class PinnedReader {
 public:
  [[nodiscard]] Error open(const char* operation, std::shared_ptr<StoreState> store) {
    if (Error error = store->check(operation); error.failed()) return error;
    store_ = std::move(store);
    if (Error error = pin_.add(operation, *store_, nullptr); error.failed()) return error;
    return reader_.acquire(operation, *store_);
  }
  [[nodiscard]] bool is_open() const noexcept { return reader_.get() != nullptr; }
  [[nodiscard]] StoreState& store() const noexcept { return *store_; }
  [[nodiscard]] btree::Connection& connection() const noexcept { return reader_->connection; }
  [[nodiscard]] Reader& reader() const noexcept { return *reader_; }

 private:
  std::shared_ptr<StoreState> store_;
  Pin pin_;
  ReaderLease reader_;
};

}  // namespace snkv::core
