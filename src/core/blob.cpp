#include "core/blob.hpp"

#include "base/printable.hpp"
#include "core/arguments.hpp"
#include "core/cursor.hpp"
#include "core/overlay.hpp"
#include "core/run.hpp"
#include "core/store_state.hpp"

#include <fmt/format.h>
#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace snkv::core {
namespace {

/// The same error, with the key in its message.
Error about(const char* operation, const Error& error, BytesView key) {
  const std::string name = base::printable(key);
  std::string detail = error.detail();
  if (detail.empty()) {
    detail = name;
  } else if (detail.find(name) == std::string::npos) {
    detail = fmt::format("{}: {}", name, detail);
  }
  return Error(error.code(), operation, std::move(detail), error.extended());
}

}  // namespace

// ---- Writing ----

Error BlobWriterState::open(const char* operation, const Target& target, BytesView key,
                            const BlobOptions& options) {
  if (Error error = check_key(operation, key); error.failed()) return error;
  if (Error error = target.store->check(operation); error.failed()) return error;
  if (options.size) {
    if (Error error = check_value_size(operation, key, *options.size); error.failed()) return error;
  }
  target_ = target;
  key_ = Bytes(key);
  options_ = options;
  std::shared_ptr<TransactionState> transaction;
  if (target.scope == nullptr) {
    own_ = true;
    transaction = std::make_shared<TransactionState>();
    Error error = transaction->open(operation, target.store, {.sync = options.sync});
    if (error.failed()) return error;
  } else if (target.scope->kind() == Scope::Kind::snapshot) {
    return Error(Errc::read_only, operation, "a snapshot cannot be written");
  } else if (target.scope->kind() == Scope::Kind::overlay) {
    return error_not_buffered(operation);
  } else {
    transaction = std::static_pointer_cast<TransactionState>(target.scope);
    if (Error error = transaction->check(operation); error.failed()) return error;
  }
  WriteSession& session = transaction->session();
  if (snkv_bt_poisoned(session.bt()) != 0) return Error(Errc::rollback_required, operation, "");
  const FamilyEntry* tables = nullptr;
  Error error = session.resolve(operation, *target.family, true, tables);
  if (error.failed()) return error;
  chunk_size_ = largest_chunk(session);
  value_ = session.begin_value(target.family->id, key);
  transaction_ = std::move(transaction);
  // Only to refuse what cannot be: the time runs from the end on.
  std::optional<std::int64_t> ignored;
  return expiry_at(operation, ignored);
}

Error BlobWriterState::expiry_at(const char* operation, std::optional<std::int64_t>& out) const {
  const std::int64_t now = own_ ? target_.store->now() : transaction_->session().now();
  return expiry(operation, {.ttl = options_.ttl, .expires_at = options_.expires_at}, now, out);
}

WriteContext BlobWriterState::context(const char* operation) const {
  return {operation, transaction_->session(), *target_.family};
}

Error BlobWriterState::check(const char* operation) const {
  const auto refuse = [&](Errc code, const char* why) {
    return Error(code, operation, fmt::format("{}: {}", base::printable(key_), why));
  };
  if (transaction_ == nullptr) return refuse(Errc::closed, "the writer has ended");
  if (Error error = transaction_->check_write(operation); error.failed()) {
    return about(operation, error, key_);
  }
  if (value_->lost) {
    return refuse(Errc::closed, "its transaction went back to a savepoint, or cleared the family");
  }
  if (snkv_bt_poisoned(transaction_->session().bt()) != 0) {
    return refuse(Errc::rollback_required, "an earlier write failed");
  }
  // Not only when the bytes go to the tables: what cannot be finished need not be taken.
  const FamilyEntry* tables = nullptr;
  return transaction_->session().resolve(operation, *target_.family, true, tables);
}

Error BlobWriterState::check_extent(const char* operation, std::uint64_t offset,
                                    std::uint64_t amount) const {
  if (offset > size) {
    return Error(Errc::invalid_argument, operation,
                 fmt::format("position {} is past the end of {}, which has {} bytes so far", offset,
                             base::printable(key_), size));
  }
  if (options_.size && amount > *options_.size - std::min(*options_.size, offset)) {
    return Error(Errc::invalid_argument, operation,
                 fmt::format("{} bytes at {} of {} go past its declared size of {}", amount, offset,
                             base::printable(key_), *options_.size));
  }
  if (amount > max_value_size) return check_value_size(operation, key_, amount);
  return check_value_size(operation, key_, offset + amount);
}

Error BlobWriterState::write(const char* operation, std::uint64_t offset, BytesView bytes) {
  if (Error error = check(operation); error.failed()) return error;
  if (stored_) {
    return Error(Errc::closed, operation,
                 fmt::format("{}: only finish can be called again", base::printable(key_)));
  }
  if (Error error = check_extent(operation, offset, bytes.size()); error.failed()) return error;
  const WriteContext where = context(operation);
  const btree::Lock lock(where.session.connection());
  return change(where.session, [&] { return store(where, offset, bytes); });
}

std::size_t BlobWriterState::chunk_end(std::uint64_t index) const noexcept {
  const std::uint64_t begin = index * chunk_size_;
  return size <= begin ? 0 : std::min<std::uint64_t>(chunk_size_, size - begin);
}

Error BlobWriterState::store(const WriteContext& where, std::uint64_t offset, BytesView bytes) {
  for (std::size_t done = 0; done < bytes.size();) {
    const std::uint64_t index = (offset + done) / chunk_size_;
    const std::uint64_t begin = (offset + done) % chunk_size_;
    const std::size_t amount = std::min<std::size_t>(chunk_size_ - begin, bytes.size() - done);
    if (Error error = load(where, index, begin, begin + amount); error.failed()) return error;
    std::memcpy(buffer_.data() + begin, bytes.data() + done, amount);
    dirty_ = true;
    done += amount;
    size = std::max(size, offset + done);
  }
  return {};
}

/// Makes the buffer hold a chunk, of which the bytes from `begin` to `end` are about to be
/// replaced.
Error BlobWriterState::load(const WriteContext& where, std::uint64_t index, std::uint64_t begin,
                            std::uint64_t end) {
  if (!buffer_.try_resize_for_overwrite(chunk_size_)) {
    return Error(Errc::no_memory, where.operation, base::printable(key_));
  }
  if (index == loaded_) return {};
  if (Error error = flush(where); error.failed()) return error;
  loaded_ = index;
  const std::size_t there = chunk_end(index);
  if (there == 0 || (begin == 0 && end >= there)) return {};
  const FamilyEntry* tables = nullptr;
  Error error = where.session.resolve(where.operation, where.family, true, tables);
  if (error.failed()) return error;
  const ReadView view{where.session.bt(), tables, where.session.now(), target_.store.get(),
                      where.session.keys()};
  LargeValue value{value_->id, size, chunk_size_, value_->tag};
  return read_large_part(where.operation, view, key_, value, index * chunk_size_, buffer_.data(),
                         there);
}

Error BlobWriterState::flush(const WriteContext& where) {
  if (!std::exchange(dirty_, false)) return {};
  if (value_->id == 0) {
    LargeValue begun;
    Error error = begin_large_value(where, key_, begun);
    if (error.failed()) return error;
    value_->id = begun.id;
    value_->tag = begun.tag;
  }
  const BytesView chunk(buffer_.data(), chunk_end(loaded_));
  return write_chunk(where, key_, {value_->id, size, chunk_size_, value_->tag}, loaded_, chunk);
}

Error BlobWriterState::put(const WriteContext& where) {
  NewEntry entry{key_, {}, {}};
  if (Error error = expiry_at(where.operation, entry.expires_at); error.failed()) return error;
  const btree::Lock lock(where.session.connection());
  return change(where.session, [&]() -> Error {
    if (value_->id == 0) {
      entry.value = BytesView(buffer_.data(), size);
    } else {
      if (Error error = flush(where); error.failed()) return error;
      entry.large = {value_->id, size, chunk_size_, value_->tag};
    }
    return put_entry(where, entry);
  });
}

Error BlobWriterState::finish(const char* operation) {
  if (Error error = check(operation); error.failed()) return error;
  const WriteContext where = context(operation);
  if (!stored_) {
    if (options_.size && size != *options_.size) {
      return Error(Errc::invalid_argument, operation,
                   fmt::format("{} has {} bytes, its declared size is {}", base::printable(key_),
                               size, *options_.size));
    }
    if (Error error = put(where); error.failed()) return error;
    stored_ = true;
    where.session.end_value(value_);
  }
  if (own_) {
    Error error = transaction_->commit();
    if (error == Errc::busy) return about(operation, error, key_);
    if (error.failed()) {
      cancel();
      return about(operation, error, key_);
    }
  }
  transaction_.reset();
  Counters& counters = target_.store->counters;
  counters.add(Counters::puts);
  counters.add(Counters::bytes_written, key_.size() + size);
  return {};
}

void BlobWriterState::cancel() noexcept {
  const std::shared_ptr<TransactionState> transaction = std::move(transaction_);
  transaction_ = nullptr;
  if (transaction == nullptr) return;
  if (own_) return transaction->abandon();
  try {
    if (transaction->check("cancel").failed()) return;
    WriteSession& session = transaction->session();
    value_->lost = true;
    if (value_->id != 0) {
      // What cannot be erased now, because the transaction must be taken back to a savepoint first,
      // is erased when it commits.
      if (snkv_bt_poisoned(session.bt()) != 0) return;
      const WriteContext where{"cancel", session, *target_.family};
      if (erase_chunks(where, key_, value_->id).failed()) return;
    }
    session.end_value(value_);
  } catch (const std::bad_alloc&) {
    return;  // as above
  }
}

// ---- Reading ----

Error BlobReaderState::open(const char* operation, const Target& target, BytesView key) {
  if (Error error = check_key(operation, key); error.failed()) return error;
  target.store->counters.add(Counters::gets);
  target_ = target;
  key_ = Bytes(key);
  if (target.scope == nullptr) {
    if (Error error = target.store->check(operation); error.failed()) return error;
    auto snapshot = std::make_shared<SnapshotState>();
    if (Error error = snapshot->open(operation, target.store); error.failed()) return error;
    target_.scope = std::move(snapshot);
  }
  bool found = false;
  Error error = with_view(operation, target_, [&](const ReadView& view, snkv_bt_cursor* cursor) {
    return find_entry(operation, view, cursor, key_, found, [&](const Row& row) -> Error {
      size = row.large_size;
      if (row.large_id != 0) return large_of(operation, view, row, large_);
      Error unreadable = copy_value(operation, view, row, inline_);
      size = inline_.size();
      return unreadable;
    });
  });
  if (error.failed()) return about(operation, error, key_);
  return found ? Error() : Error(Errc::not_found, operation, base::printable(key));
}

/// In a transaction the value may be replaced between two reads.
Error BlobReaderState::check_unchanged(const char* operation, const ReadView& view,
                                       snkv_bt_cursor* cursor) const {
  bool found = false;
  bool same = false;
  Error error = find_entry(operation, view, cursor, key_, found, [&](const Row& row) -> Error {
    if (row.large_id != large_.id) return {};
    same = row.large_size == large_.size;
    if (large_.id != 0) return {};
    Bytes buffer;
    BytesView value;
    Error unreadable = row_value(operation, view, row, buffer, value);
    same = value == BytesView(inline_);
    return unreadable;
  });
  if (error.failed() || same) return error;
  return Error(Errc::closed, operation, "the value was changed");
}

Error BlobReaderState::read(const char* operation, std::uint64_t offset, std::byte* out,
                            std::size_t amount, std::size_t& got) {
  if (offset > size) {
    return Error(Errc::invalid_argument, operation,
                 fmt::format("position {} is past the end of {}, which has {} bytes", offset,
                             base::printable(key_), size));
  }
  const auto most = static_cast<std::size_t>(std::min<std::uint64_t>(amount, size - offset));
  Error error =
      with_view(operation, target_, [&](const ReadView& view, snkv_bt_cursor* cursor) -> Error {
        if (target_.scope->kind() == Scope::Kind::transaction) {
          Error changed = check_unchanged(operation, view, cursor);
          if (changed.failed()) return changed;
        }
        if (most == 0) return {};
        if (large_.id != 0) {
          return read_large_part(operation, view, key_, large_, offset, out, most);
        }
        std::memcpy(out, inline_.data() + offset, most);
        return {};
      });
  if (error.failed()) return about(operation, error, key_);
  target_.store->counters.add(Counters::bytes_read, most);
  got = most;
  return {};
}

// ---- The functions of core_abi.hpp ----

namespace {

BlobWriterState& state(BlobWriter& writer) noexcept {
  return static_cast<BlobWriterState&>(writer);
}
BlobReaderState& state(BlobReader& reader) noexcept {
  return static_cast<BlobReaderState&>(reader);
}

Error empty_handle(const char* operation) {
  return Error(Errc::closed, operation, "the handle is empty");
}

}  // namespace

Error open_blob_writer(const Target& target, BytesView key, const BlobOptions& options,
                       BlobWriter*& out) {
  constexpr const char* operation = "blob_writer";
  return guarded(operation, target, [&]() -> Error {
    auto writer = std::make_unique<BlobWriterState>();
    Error error = writer->open(operation, target, key, options);
    if (!error.failed()) out = writer.release();
    return error;
  });
}

Error blob_write(BlobWriter* writer, std::uint64_t offset, BytesView bytes) {
  constexpr const char* operation = "blob write";
  if (writer == nullptr) return empty_handle(operation);
  return guarded(operation, state(*writer).target(),
                 [&] { return state(*writer).write(operation, offset, bytes); });
}

Error blob_finish(BlobWriter* writer) {
  constexpr const char* operation = "blob finish";
  if (writer == nullptr) return empty_handle(operation);
  return guarded(operation, state(*writer).target(),
                 [&] { return state(*writer).finish(operation); });
}

void blob_cancel(BlobWriter* writer) noexcept {
  if (writer != nullptr) state(*writer).cancel();
}

void close_blob_writer(BlobWriter* writer) noexcept {
  delete static_cast<BlobWriterState*>(writer);
}

Error open_blob_reader(const Target& target, BytesView key, BlobReader*& out) {
  constexpr const char* operation = "blob_reader";
  return guarded(operation, target, [&]() -> Error {
    auto reader = std::make_unique<BlobReaderState>();
    Error error = reader->open(operation, target, key);
    if (!error.failed()) out = reader.release();
    return error;
  });
}

Error blob_read(BlobReader* reader, std::uint64_t offset, std::byte* out, std::size_t size,
                std::size_t& got) {
  constexpr const char* operation = "blob read";
  if (reader == nullptr) return empty_handle(operation);
  return guarded(operation, state(*reader).target(),
                 [&] { return state(*reader).read(operation, offset, out, size, got); });
}

void close_blob_reader(BlobReader* reader) noexcept {
  delete static_cast<BlobReaderState*>(reader);
}

Error open_pinned(const Target& target, BytesView key, Cursor*& out) {
  constexpr const char* operation = "get_pinned";
  return guarded(operation, target, [&]() -> Error {
    if (Error error = check_key(operation, key); error.failed()) return error;
    target.store->counters.add(Counters::gets);
    if (Overlay* over = overlay_of(target)) {
      KeyRange one{Bytes(key), Bytes(key), true};
      one.high.resize_for_overwrite(key.size() + 1);
      one.high.data()[key.size()] = std::byte{0};
      struct Close {
        void operator()(Cursor* cursor) const noexcept { close_cursor(cursor); }
      };
      std::unique_ptr<Cursor, Close> merged(over->open_cursor(target, std::move(one), {}));
      cursor_first(*merged);
      if (Error error = cursor_status(*merged); error.failed()) return about(operation, error, key);
      if (!merged->valid) return Error(Errc::not_found, operation, base::printable(key));
      out = merged.release();
      return {};
    }
    // Just this key: so no neighbour is read when it is absent.
    KeyRange range{Bytes(key), Bytes(key), true};
    range.high.resize_for_overwrite(key.size() + 1);
    range.high.data()[key.size()] = std::byte{0};
    auto cursor = std::make_unique<CursorState>(std::move(range), ScanOptions{});
    cursor->open(target);
    cursor->seek_first();
    if (cursor->status().failed()) return about(operation, cursor->status(), key);
    if (!cursor->valid) return Error(Errc::not_found, operation, base::printable(key));
    target.store->counters.add(Counters::bytes_read, cursor->value.size());
    out = cursor.release();
    return {};
  });
}

}  // namespace snkv::core
