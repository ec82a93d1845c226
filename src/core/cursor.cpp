#include "core/cursor.hpp"

#include "base/printable.hpp"
#include "core/store_state.hpp"
#include "core/user_code.hpp"
#include "core/write_session.hpp"

namespace snkv::core {
namespace {

constexpr const char* operation = "iterate";

std::uint32_t size32(BytesView bytes) { return static_cast<std::uint32_t>(bytes.size()); }

}  // namespace

std::string CursorState::name() const { return base::printable(family_->name); }

CursorState::~CursorState() {
  if (!tree_.is_open()) return;
  if (store_->fork_guard.forked()) {
    tree_.leak();
    return;
  }
  if (snapshot_ != nullptr) {
    const std::lock_guard guard(snapshot_->mutex);
    const btree::Lock lock(snapshot_->reader->connection);
    tree_.close();
  } else if (snkv_bt_is_dead(tree_.get()) != 0) {
    tree_.close();  // the transaction has ended; even the connection may be gone
  } else {
    const btree::Lock lock(transaction_->session().connection());
    tree_.close();
  }
}

void CursorState::open(const Target& target) {
  if (target.store == nullptr || target.family == nullptr) {
    return fail(Error(Errc::closed, operation, "the handle is empty"));
  }
  if (Error error = target.store->check(operation); error.failed()) return fail(std::move(error));
  store_ = target.store;
  family_ = target.family;
  store_->counters.add(Counters::iterations);
  if (target.scope == nullptr) {
    auto snapshot = std::make_shared<SnapshotState>();
    if (Error error = snapshot->open(operation, store_); error.failed()) {
      return fail(std::move(error));
    }
    snapshot_ = std::move(snapshot);
  } else if (target.scope->kind() == Scope::Kind::snapshot) {
    snapshot_ = std::static_pointer_cast<SnapshotState>(target.scope);
  } else {
    transaction_ = std::static_pointer_cast<TransactionState>(target.scope);
  }
  in_place_ = snapshot_ != nullptr && !store_->options.expire_snapshots;
  entry_.family = family_;
  // So that an unknown family is told at once, not at the first seek.
  guarded(operation, [&] { return Error(); });
}

/// Runs `body` with the view locked and the family resolved; an error becomes the status.
template <class Body>
void CursorState::guarded(const char* caller, Body&& body) noexcept {
  const auto run = [&](snkv_bt* bt, const Catalog& catalog) -> Error {
    const FamilyEntry* found = catalog.find(family_->id);
    if (found == nullptr) return Error(Errc::dropped, caller, name());
    if (Error error = check_name(caller, *found); error.failed()) return error;
    if (!found->is_readable) return Error(Errc::schema_mismatch, caller, found->altered);
    if (found->root != entry_.root) tree_.close();
    entry_.root = found->root;
    entry_.large_root = found->large_root;
    bt_ = bt;
    keys_ = catalog.keys();
    // Savepoints and changes of the schema close the cursors of their transaction.
    if (!tree_.is_open() || snkv_bt_is_dead(tree_.get()) != 0) {
      const int rc = tree_.open(bt, entry_.root, SNKV_BT_ROWS, false);
      if (rc != SNKV_BT_OK) return btree::engine_error(caller, rc, name());
    }
    return body();
  };
  try {
    if (store_ == nullptr) return;  // never opened: the status says why
    Error error;
    if (transaction_ != nullptr) {
      error = transaction_->check(caller);
      if (!error.failed()) {
        WriteSession& session = transaction_->session();
        const btree::Lock lock(session.connection());
        error = snkv_bt_poisoned(session.bt()) != 0 ? Error(Errc::rollback_required, caller, "")
                                                    : run(session.bt(), session.catalog());
      }
    } else if (store_->fork_guard.forked()) {
      error = Error(Errc::forked, caller, "");
    } else if (snapshot_ != nullptr && snapshot_->reader.get() != nullptr) {
      const std::lock_guard guard(snapshot_->mutex);
      error = snapshot_->check(caller);
      if (!error.failed()) {
        const btree::Lock lock(snapshot_->reader->connection);
        error = run(lock.get(), *snapshot_->reader->catalog);
      }
    } else {
      return;  // the snapshot could not be taken: the status says why
    }
    status_ = std::move(error);
    if (status_.failed()) {
      valid = false;
      store_->counters.add(Counters::errors);
    }
  } catch (...) {
    fail(error_of_exception(caller));
  }
}

bool CursorState::in_range(BytesView at) const noexcept {
  if (at < BytesView(range_.low)) return false;
  return !range_.bounded_above || at < BytesView(range_.high);
}

void CursorState::seek_first() noexcept {
  guarded("seek_first", [&]() -> Error {
    if (!range_.low.empty()) return seek_tree(range_.low, true);
    int present = 0;
    const int rc = snkv_bt_first(tree_.get(), &present);
    return position(rc, present, true);
  });
}

void CursorState::seek_last() noexcept {
  guarded("seek_last", [&]() -> Error {
    int present = 0;
    int rc = SNKV_BT_OK;
    if (range_.bounded_above) {
      int order = 0;
      rc = snkv_bt_seek(tree_.get(), range_.high.data(), size32(range_.high), &order);
      present = snkv_bt_valid(tree_.get());
      // The bound is exclusive: an exact hit is one too far.
      if (rc == SNKV_BT_OK && present != 0 && order >= 0) rc = snkv_bt_prev(tree_.get(), &present);
    } else {
      rc = snkv_bt_last(tree_.get(), &present);
    }
    return position(rc, present, false);
  });
}

void CursorState::seek_from(BytesView at) noexcept {
  guarded("seek", [&] { return seek_tree(at < BytesView(range_.low) ? range_.low : at, true); });
}

void CursorState::seek_for_prev(BytesView at) noexcept {
  if (range_.bounded_above && at >= BytesView(range_.high)) return seek_last();
  guarded("seek_for_prev", [&] { return seek_tree(at, false); });
}

void CursorState::advance(bool forward) noexcept {
  if (!valid || (in_place_ && keys_ == nullptr && step_in_page(forward))) return;
  guarded(forward ? "next" : "prev", [&] { return step(forward); });
}

bool CursorState::step_in_page(bool forward) noexcept {
  if (store_->fork_guard.forked()) return false;
  BytesView content;
  std::optional<std::int64_t> expires_at;
  do {
    const void* record = nullptr;
    std::uint32_t size = 0;
    if (snkv_bt_step_in_page(tree_.get(), forward ? 1 : 0, &record, &size) == 0) return false;
    if (!plain_row({record, size}, key, content, expires_at)) {
      guarded(operation, [&] { return position(SNKV_BT_OK, 1, forward); });
      return true;
    }
  } while (expires_at && *expires_at <= snapshot_->now);
  value = options_.keys_only ? BytesView() : content;
  valid = forward ? !range_.bounded_above || key < BytesView(range_.high)
                  : !(key < BytesView(range_.low));
  return true;
}

/// Goes to the nearest key on this side of `at`, itself included.
Error CursorState::seek_tree(BytesView at, bool forward) {
  int order = 0;
  int rc = snkv_bt_seek(tree_.get(), at.data(), size32(at), &order);
  int present = snkv_bt_valid(tree_.get());
  if (rc == SNKV_BT_OK && present != 0 && forward && order < 0) {
    rc = snkv_bt_next(tree_.get(), &present);
  } else if (rc == SNKV_BT_OK && present != 0 && !forward && order > 0) {
    rc = snkv_bt_prev(tree_.get(), &present);
  }
  return position(rc, present, forward);
}

Error CursorState::step(bool forward) {
  int present = 0;
  int rc = forward ? snkv_bt_next(tree_.get(), &present) : snkv_bt_prev(tree_.get(), &present);
  if (rc != SNKV_BT_MOVED) return position(rc, present, forward);

  // A write of this transaction took the position: find it again by our own copy of the key [K3].
  int order = 0;
  rc = snkv_bt_seek(tree_.get(), key_copy_.data(), size32(key_copy_), &order);
  present = snkv_bt_valid(tree_.get());
  if (rc == SNKV_BT_OK && present != 0) {
    if (forward && order <= 0) rc = snkv_bt_next(tree_.get(), &present);
    if (!forward && order >= 0) rc = snkv_bt_prev(tree_.get(), &present);
  }
  return position(rc, present, forward);
}

/// Takes the entry that the tree's cursor is on, or the next live one in this direction.
Error CursorState::position(int rc, int present, bool forward) {
  valid = false;
  const std::int64_t now = transaction_ != nullptr ? transaction_->session().now() : snapshot_->now;
  const ReadView view{bt_, &entry_, now, store_.get(), keys_};
  while (rc == SNKV_BT_OK && present != 0) {
    Row row;
    rc = read_row(tree_.get(), scratch_, row);
    if (rc != SNKV_BT_OK) break;
    if (!in_range(row.key)) return {};
    bool live = false;
    if (Error error = is_live(operation, view, row, live); error.failed()) return error;
    if (live) return take_entry(row);
    rc = forward ? snkv_bt_next(tree_.get(), &present) : snkv_bt_prev(tree_.get(), &present);
  }
  return rc == SNKV_BT_OK ? Error() : btree::engine_error(operation, rc, name());
}

Error CursorState::take_entry(const Row& row) {
  BytesView content;
  if (!options_.keys_only) {
    const ReadView view{bt_, &entry_, 0, store_.get(), keys_};
    Error error = row_value(operation, view, row, value_copy_, content);
    if (error.failed()) return error;
  }
  // Nothing writes on a snapshot's connection, and the tree's cursor keeps the page in memory.
  key = row.key;
  if (!in_place_) {
    key_copy_ = Bytes(row.key);
    key = key_copy_;
    if (content.data() != value_copy_.data()) {
      value_copy_ = Bytes(content);
      content = value_copy_;
    }
  }
  value = content;
  valid = true;
  return {};
}

}  // namespace snkv::core
