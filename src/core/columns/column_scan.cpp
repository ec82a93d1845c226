/// \file
/// Walks through columns, and the functions of core_abi.hpp for them.
#include "core/columns/column_access.hpp"

#include <memory>

namespace snkv::core {
namespace {

constexpr const char* operation = "iterate column";

}  // namespace

/// Elements where they lie: in the pages of a snapshot, of which nobody writes; in a buffer if they
/// are sealed, cross from one chunk into the next, are not aligned, or belong to a transaction.
class ColumnScanState final : public ColumnScan {
 public:
  ColumnScanState(ColumnTarget column, std::uint32_t alignment) noexcept
      : column_(std::move(column)), alignment_(alignment) {}
  ColumnScanState(const ColumnScanState&) = delete;
  ColumnScanState& operator=(const ColumnScanState&) = delete;
  ~ColumnScanState() {
    if (!rows_) return;
    if (snapshot_ == nullptr) return;  // of a transaction: nothing is open between two steps
    if (snapshot_->store->fork_guard.forked()) {
      rows_->leak();
      others_->leak();
      return;
    }
    const std::lock_guard guard(snapshot_->mutex);
    const btree::Lock lock(snapshot_->reader->connection);
    rows_.reset();
    others_.reset();
  }

  [[nodiscard]] Error open(const ColumnSlice& slice) {
    if (column_.target.family == nullptr)
      return Error(Errc::closed, operation, "the handle is empty");
    if (Error error = column_.target.store->check(operation); error.failed()) return error;
    if (column_.target.scope == nullptr) {
      auto snapshot = std::make_shared<SnapshotState>();
      Error error = snapshot->open(operation, column_.target.store);
      if (error.failed()) return error;
      column_.target.scope = std::move(snapshot);
    }
    if (column_.target.scope->kind() == Scope::Kind::snapshot) {
      snapshot_ = std::static_pointer_cast<SnapshotState>(column_.target.scope);
    }
    in_place_ = snapshot_ != nullptr && !column_.target.store->options.expire_snapshots;
    return with_column(
        operation, column_, [&](const ReadView& view, const ColumnState& state) -> Error {
          ColumnRun run;
          if (Error error = resolve_slice(operation, column_.name, slice, state.length, run);
              error.failed()) {
            return error;
          }
          state_ = state;
          unit_ = state.unit();
          position_ = run.first * unit_;
          end_ = (run.first + run.count) * unit_;
          if (snapshot_ != nullptr) bind(view);
          return {};
        });
  }

  void next() noexcept {
    count = 0;
    if (status_.failed() || position_ >= end_) return;
    status_ = guarded(operation, column_.target, [&]() -> Error {
      if (snapshot_ != nullptr) return next_of_snapshot();
      return with_column(operation, column_,
                         [&](const ReadView& view, const ColumnState& state) -> Error {
                           // Between two steps the transaction may have changed the column.
                           state_ = state;
                           end_ = std::min(end_, state.extent());
                           if (position_ >= end_) return {};
                           bind(view);
                           struct Unbind {
                             ColumnScanState& scan;
                             ~Unbind() {
                               scan.reader_.reset();
                               scan.rows_.reset();
                               scan.others_.reset();
                             }
                           } const unbind{*this};
                           return step();
                         });
    });
    if (status_.failed()) count = 0;
  }

  [[nodiscard]] const Error& status() const noexcept { return status_; }
  void fail(Error error) noexcept {
    count = 0;
    status_ = std::move(error);
    end_ = 0;
  }

 private:
  void bind(const ReadView& view) {
    rows_.emplace(operation, column_.name, view.bt, *view.family, view.keys, state_.tag);
    others_.emplace(operation, column_.name, view.bt, *view.family, view.keys, state_.tag);
    reader_.emplace(*rows_, state_);
  }

  [[nodiscard]] Error next_of_snapshot() {
    if (Error error = column_.target.store->check(operation); error.failed()) return error;
    const std::lock_guard guard(snapshot_->mutex);
    if (Error error = snapshot_->check(operation); error.failed()) return error;
    const btree::Lock lock(snapshot_->reader->connection);
    return step();
  }

  [[nodiscard]] Error step() {
    return state_.kind == ColumnKind::fixed ? step_fixed() : step_variable();
  }

  [[nodiscard]] Error step_fixed() {
    const std::uint64_t size = state_.element_size;
    first = position_ / size;
    if (Error error = reader_->seek(position_); error.failed()) return error;
    if (reader_->end() - position_ < size) {
      // One that begins in this chunk and ends in another.
      buffer_.resize_for_overwrite(size);
      for (std::uint64_t done = 0; done < size;) {
        if (Error error = reader_->seek(position_ + done); error.failed()) return error;
        const std::uint64_t skip = position_ + done - reader_->begin();
        const std::size_t piece = std::min(size - done, reader_->count() - skip);
        std::memcpy(buffer_.data() + done, reader_->chunk().data() + skip, piece);
        done += piece;
      }
      data = buffer_.data();
      count = 1;
      position_ += size;
      return {};
    }
    const std::uint64_t amount = (std::min(reader_->end(), end_) - position_) / size;
    data = reader_->chunk().data() + (position_ - reader_->begin());
    if (!in_place_ || reinterpret_cast<std::uintptr_t>(data) % alignment_ != 0) {
      buffer_.resize_for_overwrite(amount * size);
      std::memcpy(buffer_.data(), data, amount * size);
      data = buffer_.data();
    }
    count = amount;
    position_ += amount * size;
    return {};
  }

  /// A piece ends with an element that has rows of its own, so that there is one of them in memory
  /// at most.
  [[nodiscard]] Error step_variable() {
    first = position_;
    views_.clear();
    if (Error error = reader_->seek(position_); error.failed()) return error;
    BytesView base = reader_->chunk();
    if (!in_place_) {
      buffer_ = Bytes(base);
      base = buffer_;
    }
    const std::uint64_t to = std::min(reader_->end(), end_);
    while (position_ < to) {
      ColumnItem item;
      if (Error error = reader_->raw_item(position_, item); error.failed()) return error;
      if (item.reference) {
        BytesView content;
        Error error = reader_->item(position_, *others_, large_, content);
        if (error.failed()) return error;
        views_.push_back(content);
        ++position_;
        break;
      }
      views_.emplace_back(base.data() + (item.content.data() - reader_->chunk().data()),
                          item.content.size());
      ++position_;
    }
    items = views_.data();
    count = views_.size();
    return {};
  }

  ColumnTarget column_;  // with a scope
  const std::uint32_t alignment_;
  std::shared_ptr<SnapshotState> snapshot_;  // null: in a transaction
  bool in_place_ = false;
  ColumnState state_;
  std::uint64_t unit_ = 1;
  std::uint64_t position_ = 0;
  std::uint64_t end_ = 0;
  std::optional<ColumnRows> rows_;
  std::optional<ColumnRows> others_;
  std::optional<ColumnReader> reader_;
  Bytes buffer_;
  Bytes large_;
  std::vector<BytesView> views_;
  Error status_;
};

namespace {

ColumnScanState& state(ColumnScan& scan) noexcept { return static_cast<ColumnScanState&>(scan); }

/// What stands for a walk that there was no memory for.
ColumnScanState& unmade_scan() noexcept {
  static ColumnScanState scan({}, 1);
  static const bool failed = (scan.fail(Error(Errc::no_memory, operation, "")), true);
  static_cast<void>(failed);
  return scan;
}

}  // namespace

ColumnScan* open_column_scan(const ColumnTarget& column, const ColumnSlice& slice,
                             std::uint32_t alignment) noexcept {
  ColumnScanState* scan = nullptr;
  Error error = guarded(operation, column.target, [&]() -> Error {
    scan = new ColumnScanState(column, alignment);
    return scan->open(slice);
  });
  if (scan == nullptr) {
    scan = new (std::nothrow) ColumnScanState({}, 1);
    if (scan == nullptr) return &unmade_scan();
  }
  if (error.failed()) scan->fail(std::move(error));
  return scan;
}

void close_column_scan(ColumnScan* scan) noexcept {
  if (scan != &unmade_scan()) delete static_cast<ColumnScanState*>(scan);
}

void column_scan_next(ColumnScan& scan) noexcept { state(scan).next(); }

Error column_scan_status(const ColumnScan& scan) {
  return static_cast<const ColumnScanState&>(scan).status();
}

}  // namespace snkv::core
