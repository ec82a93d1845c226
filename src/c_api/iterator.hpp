/// \file
/// An iterator of the C interface. It can let go of what it reads from, and find its place again: at
/// the end of its transaction, and, with a rollback journal, for each write of its handle.
#pragma once

#include "c_api/session.hpp"

#include <optional>
#include <utility>

namespace snkv::c_api {

class IteratorCursor {
 public:
  enum class Direction { forward, reverse };

  IteratorCursor() = default;
  /// Over the keys with `prefix`; empty: over all.
  IteratorCursor(FamilyRef family, Bytes prefix, Direction direction)
      : family_(std::move(family)), prefix_(std::move(prefix)), direction_(direction) {}

  [[nodiscard]] Direction direction() const noexcept { return direction_; }
  [[nodiscard]] FamilyRef& family() noexcept { return family_; }
  [[nodiscard]] bool in_transaction() const noexcept { return in_transaction_; }

  /// Opens what it reads from, unless it is open.
  [[nodiscard]] Error open(Session& session);
  /// To the first key in its direction.
  [[nodiscard]] Error first(Session& session);
  [[nodiscard]] Error seek(Session& session, BytesView key);
  /// On in its direction; does nothing at an end.
  [[nodiscard]] Error advance(Session& session);

  [[nodiscard]] bool at_end() const noexcept { return !on_entry_; }
  /// Good until it moves. Not at an end.
  [[nodiscard]] Entry entry() const noexcept {
    return copies_ ? Entry{key_, value_} : iterator_->entry();
  }

  /// Lets go of what it reads from; the next move opens it again. Only an iterator that keeps copies
  /// still has its entry then: one of a transaction, or with a rollback journal.
  void suspend() noexcept { iterator_.reset(); }

 private:
  /// After a move: where it is, or why it stopped.
  [[nodiscard]] Error settle();

  FamilyRef family_;
  Bytes prefix_;
  Direction direction_ = Direction::forward;

  std::optional<Iterator> iterator_;
  bool in_transaction_ = false;  ///< what it reads from ends with the transaction
  bool copies_ = false;          ///< `key_` and `value_` are the entry
  bool on_entry_ = false;
  Bytes key_;
  Bytes value_;
};

}  // namespace snkv::c_api

struct KVIterator : snkv::c_api::Handle {
  static constexpr auto own_kind = snkv::c_api::Kind::iterator;
  KVStore* store = nullptr;
  std::uint64_t store_generation = 0;
  snkv::c_api::IteratorCursor cursor;
};
