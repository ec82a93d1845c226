/// \file
/// Read connections, one for each thread that reads at the same time, kept for reuse.
#pragma once

#include "btree/connection.hpp"
#include "core/catalog.hpp"

#include <snkv/error.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>

namespace snkv::core {

class StoreState;

/// A read connection. Used by whoever leased it, alone.
struct Reader {
  btree::Connection connection;
  /// Of the last transaction; good for this one if the cookie is the same.
  std::shared_ptr<const Catalog> catalog;
  /// Whether its read transaction was left open for the next one (`snkv_bt_keep_read`).
  bool kept = false;

  /// Makes `catalog` fit the transaction that is open on the connection.
  [[nodiscard]] Error refresh(const char* operation, std::uint32_t cookie, const Cipher* cipher,
                              SharedCatalog& shared) {
    if (catalog != nullptr && (catalog->cookie() == cookie || snkv_bt_breaks("S1"))) return {};
    catalog = shared.find(cookie);
    if (catalog != nullptr) return {};
    Error error = Catalog::load(operation, connection.get(), cookie, cipher, catalog);
    if (!error.failed()) shared.publish(catalog);
    return error;
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

  /// Counts a reader that keeps its transaction; true for the first of them.
  [[nodiscard]] bool count_kept() noexcept { return kept_.fetch_add(1) == 0; }
  void uncount_kept() noexcept { kept_.fetch_sub(1); }
  /// Readers that keep their transaction, idle or at work.
  [[nodiscard]] std::size_t kept() const noexcept { return kept_.load(); }

  /// Ends the kept transactions of all idle readers: they are in the way of a checkpoint.
  void release_all() noexcept;
  /// Ends those that nobody has used since the last call.
  void release_unused() noexcept;

 private:
  struct alignas(64) Slot {
    std::atomic<Reader*> reader{nullptr};
    std::atomic<bool> used{false};  // since the last `release_unused`
  };
  [[nodiscard]] Reader* find_idle() noexcept;
  void release(Slot& slot) noexcept;

  std::array<Slot, 32> slots_{};
  std::atomic<bool> closed_{false};
  std::atomic<std::size_t> kept_{0};
  std::atomic<unsigned> releasing_{0};  // callers that have a reader in hand for a moment
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

  /// Takes an idle reader or opens a new one, without a transaction.
  [[nodiscard]] Error acquire(const char* operation, StoreState& store);
  /// The same for `begin_read`: the reader may have kept its last transaction.
  [[nodiscard]] Error acquire_kept(const char* operation, StoreState& store);

  /// Begins a read transaction that sees the latest commit, or takes the kept one over if it does, with
  /// the catalog that fits. With the connection locked.
  [[nodiscard]] Error begin_read(const char* operation);
  /// Ends it, or leaves it open for the next one.
  void end_read() noexcept;
  /// Ends it in any case.
  void drop_read() noexcept;
  [[nodiscard]] Reader& operator*() const noexcept { return *reader_; }
  [[nodiscard]] Reader* operator->() const noexcept { return reader_.get(); }
  [[nodiscard]] Reader* get() const noexcept { return reader_.get(); }

 private:
  void set_kept(bool kept) noexcept;

  StoreState* store_ = nullptr;
  std::unique_ptr<Reader> reader_;
};

}  // namespace snkv::core
