/// \file
/// The state behind an `Iterator`: a B-tree cursor confined to a key range, and the view it reads from.
#pragma once

#include "btree/connection.hpp"
#include "core/read_path.hpp"
#include "core/scope.hpp"

#include <snkv/detail/core_abi.hpp>

#include <memory>

namespace snkv::core {

/// What moves a cursor that is not one of a tree.
struct CursorMoves {
  void (*first)(Cursor&) noexcept;
  void (*last)(Cursor&) noexcept;
  void (*seek)(Cursor&, BytesView key) noexcept;
  void (*seek_for_prev)(Cursor&, BytesView key) noexcept;
  void (*next)(Cursor&) noexcept;
  void (*prev)(Cursor&) noexcept;
  Error (*status)(const Cursor&);
  void (*close)(Cursor*) noexcept;
};

class CursorState final : public Cursor {
 public:
  CursorState(KeyRange range, const ScanOptions& options) noexcept
      : range_(std::move(range)), options_(options) {}
  ~CursorState();

  /// Takes a snapshot of its own, or joins the target's. On failure the error is the status.
  void open(const Target& target);

  void seek_first() noexcept;
  void seek_last() noexcept;
  void seek_from(BytesView at) noexcept;
  void seek_for_prev(BytesView at) noexcept;
  void advance(bool forward) noexcept;

  [[nodiscard]] const Error& status() const noexcept { return status_; }

  /// For a cursor whose creation failed.
  void fail(Error error) noexcept {
    valid = false;
    status_ = std::move(error);
  }

 private:
  template <class Body>
  void guarded(const char* operation, Body&& body) noexcept;
  [[nodiscard]] Error position(int rc, int present, bool forward);
  [[nodiscard]] Error seek_tree(BytesView at, bool forward);
  [[nodiscard]] Error step(bool forward);
  /// A step within a page of a snapshot, which needs no lock; false if it takes more than that.
  [[nodiscard]] bool step_in_page(bool forward) noexcept;
  [[nodiscard]] bool in_range(BytesView at) const noexcept;
  [[nodiscard]] Error take_entry(const Row& row);
  /// The name of the family, in messages.
  [[nodiscard]] std::string name() const;

  const KeyRange range_;
  const ScanOptions options_;
  std::shared_ptr<StoreState> store_;
  std::shared_ptr<const Family> family_;
  /// The view: a snapshot (its own, or the caller's), or a transaction.
  std::shared_ptr<SnapshotState> snapshot_;
  std::shared_ptr<TransactionState> transaction_;
  snkv_bt* bt_ = nullptr;
  FamilyEntry entry_;  // of the snapshot; for a transaction, of the last move
  btree::Cursor tree_;
  Error status_;
  bool in_place_ = false;  // entries are views of pages that stay as they are

  const KeyRing* keys_ = nullptr;  // of the catalog that entry_ is from

  Bytes scratch_;
  /// In a transaction: copies of the current entry, which outlive the page under it [M2]. And what had to
  /// be put together or opened.
  Bytes key_copy_;
  Bytes value_copy_;
};

}  // namespace snkv::core
