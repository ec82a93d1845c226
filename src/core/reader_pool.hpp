/// \file
/// Read connections, one for each thread that reads at the same time, kept for reuse.
#pragma once

#include "btree/connection.hpp"
#include "core/catalog.hpp"

#include <snkv/error.hpp>

#include <array>
#include <atomic>
#include <memory>

namespace snkv::core {

class StoreState;

/// A read connection. Used by whoever leased it, alone.
struct Reader {
  btree::Connection connection;
  /// Of the last transaction; good for this one if the cookie is the same.
  std::shared_ptr<const Catalog> catalog;

  /// Makes `catalog` fit the transaction that is open on the connection.
  [[nodiscard]] Error refresh(const char* operation, std::uint32_t cookie) {
    if (catalog != nullptr && (catalog->cookie() == cookie || snkv_bt_breaks("S1"))) return {};
    return Catalog::load(operation, connection.get(), cookie, catalog);
  }
};

/// Threads: any number. A thread finds the reader it used last in a slot of its own, so that reads do
/// not contend, and its page cache is warm.
class ReaderPool {
 public:
  ReaderPool() noexcept = default;
  ReaderPool(const ReaderPool&) = delete;
  ReaderPool& operator=(const ReaderPool&) = delete;
  ~ReaderPool() { close(); }

  /// An idle reader, or nullptr: the caller then opens one.
  [[nodiscard]] std::unique_ptr<Reader> take() noexcept;
  /// Keeps the reader for later, or closes it when there is no room or the pool is closed.
  void give(std::unique_ptr<Reader> reader) noexcept;
  /// Closes idle readers now, and those still in use when they come back.
  void close() noexcept;
  /// In a forked child: forgets the readers without touching their files.
  void leak() noexcept;

 private:
  struct alignas(64) Slot {
    std::atomic<Reader*> reader{nullptr};
  };
  std::array<Slot, 32> slots_{};
  std::atomic<bool> closed_{false};
};

/// A reader on loan for the length of a scope.
class ReaderLease {
 public:
  ReaderLease() noexcept = default;
  ReaderLease(ReaderLease&&) noexcept = default;
  ReaderLease& operator=(ReaderLease&& other) noexcept {
    std::swap(store_, other.store_);
    std::swap(reader_, other.reader_);
    return *this;
  }
  ~ReaderLease();

  /// Takes an idle reader or opens a new one.
  [[nodiscard]] Error acquire(const char* operation, StoreState& store);
  [[nodiscard]] Reader& operator*() const noexcept { return *reader_; }
  [[nodiscard]] Reader* operator->() const noexcept { return reader_.get(); }
  [[nodiscard]] Reader* get() const noexcept { return reader_.get(); }

 private:
  StoreState* store_ = nullptr;
  std::unique_ptr<Reader> reader_;
};

}  // namespace snkv::core
