/// \file
/// Values that are changed in pieces where they are, and the functions of core_abi.hpp for them.
#include "base/printable.hpp"
#include "core/arguments.hpp"
#include "core/read_path.hpp"
#include "core/run.hpp"
#include "core/scope.hpp"
#include "core/store_state.hpp"
#include "core/write_path.hpp"

#include <snkv/detail/core_abi.hpp>

#include <fmt/format.h>
#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

namespace snkv::core {
namespace {

/// An offset that stands for the end of the value, whatever the transaction has made of it
/// meanwhile.
constexpr std::uint64_t at_end = UINT64_MAX;

/// What is shorter is rather written anew than kept in chunks.
constexpr std::uint64_t small_value = 512;

/// The value as its row has it at the moment.
struct EditedValue {
  std::optional<std::int64_t> expires_at;
  LargeValue large;
  Bytes content;  // if it is not a large one
  std::uint64_t size = 0;
};

}  // namespace

/// Works in the caller's transaction or one of its own. It remembers nothing of the value but its
/// key: each operation finds it anew, as whatever the transaction has made of it.
class BlobEditorState final : public BlobEditor {
 public:
  BlobEditorState() noexcept = default;
  BlobEditorState(const BlobEditorState&) = delete;
  BlobEditorState& operator=(const BlobEditorState&) = delete;
  ~BlobEditorState() {
    if (own_ && transaction_ != nullptr) transaction_->abandon();
  }

  [[nodiscard]] const Target& target() const noexcept { return target_; }

  [[nodiscard]] Error open(const char* operation, const Target& target, BytesView key,
                           const WriteOptions& options) {
    if (Error error = check_key(operation, key); error.failed()) return error;
    if (Error error = target.store->check(operation); error.failed()) return error;
    target_ = target;
    key_ = Bytes(key);
    if (target.scope == nullptr) {
      own_ = true;
      transaction_ = std::make_shared<TransactionState>();
      Error error = transaction_->open(operation, target.store, options);
      if (error.failed()) {
        transaction_.reset();
        return error;
      }
    } else if (target.scope->kind() == Scope::Kind::snapshot) {
      return Error(Errc::read_only, operation, "a snapshot cannot be written");
    } else {
      transaction_ = std::static_pointer_cast<TransactionState>(target.scope);
    }
    return with_value(operation, [](const WriteContext&, EditedValue&) { return Error(); });
  }

  [[nodiscard]] Error write(const char* operation, std::uint64_t offset, BytesView bytes) {
    return with_value(operation, [&](const WriteContext& context, EditedValue& value) -> Error {
      if (offset == at_end) offset = value.size;
      if (Error error = check_position(operation, offset, value.size); error.failed()) return error;
      const std::uint64_t end = offset + bytes.size();
      if (bytes.size() > max_value_size || end > max_value_size) {
        return check_value_size(operation, key_, std::max<std::uint64_t>(end, bytes.size()));
      }
      if (bytes.empty()) return {};
      return change(context.session, [&]() -> Error {
        if (value.large.id == 0) {
          value.content.resize_for_overwrite(std::max(value.size, end));
          std::memcpy(value.content.data() + offset, bytes.data(), bytes.size());
          return put(context, value);
        }
        if (Error error = write_chunks(context, value, offset, bytes); error.failed()) return error;
        value.large.size = std::max(value.size, end);
        return put(context, value);
      });
    });
  }

  [[nodiscard]] Error truncate(const char* operation, std::uint64_t length) {
    return with_value(operation, [&](const WriteContext& context, EditedValue& value) -> Error {
      if (Error error = check_position(operation, length, value.size); error.failed()) return error;
      if (length == value.size) return {};
      return change(context.session, [&]() -> Error {
        if (value.large.id == 0) {
          value.content.resize_for_overwrite(length);
          return put(context, value);
        }
        if (length < small_value) {
          value.content.resize_for_overwrite(length);
          if (length > 0) {
            Error error = read(context, value, 0, value.content.data(), length);
            if (error.failed()) return error;
          }
          value.large = {};
          return put(context, value);
        }
        return shorten(context, value, length);
      });
    });
  }

  [[nodiscard]] Error read_at(const char* operation, std::uint64_t offset, std::byte* out,
                              std::size_t amount, std::size_t& got) {
    return with_value(operation, [&](const WriteContext& context, EditedValue& value) -> Error {
      if (Error error = check_position(operation, offset, value.size); error.failed()) return error;
      const auto most =
          static_cast<std::size_t>(std::min<std::uint64_t>(amount, value.size - offset));
      Error error;
      if (most > 0 && value.large.id == 0) std::memcpy(out, value.content.data() + offset, most);
      if (most > 0 && value.large.id != 0) error = read(context, value, offset, out, most);
      if (!error.failed()) got = most;
      return error;
    });
  }

  [[nodiscard]] Error finish(const char* operation) {
    if (transaction_ == nullptr) return ended(operation);
    Error error;
    if (own_) {
      error = transaction_->commit();
      if (error == Errc::busy) return error;
    }
    transaction_.reset();
    return error;
  }

 private:
  [[nodiscard]] Error ended(const char* operation) const {
    return Error(Errc::closed, operation,
                 fmt::format("{}: the editor has ended", base::printable(key_)));
  }

  [[nodiscard]] Error check_position(const char* operation, std::uint64_t at,
                                     std::uint64_t bytes) const {
    if (at <= bytes) return {};
    return Error(Errc::invalid_argument, operation,
                 fmt::format("position {} is past the end of {}, which has {} bytes", at,
                             base::printable(key_), bytes));
  }

  /// Runs `body(context, value)` with the value as it is; `not_found` if there is none.
  template <class Body>
  [[nodiscard]] Error with_value(const char* operation, Body&& body) {
    if (transaction_ == nullptr) return ended(operation);
    if (Error error = transaction_->check_write(operation); error.failed()) return error;
    WriteSession& session = transaction_->session();
    if (snkv_bt_poisoned(session.bt()) != 0) return Error(Errc::rollback_required, operation, "");
    const btree::Lock lock(session.connection());
    const FamilyEntry* tables = nullptr;
    Error error = session.resolve(operation, *target_.family, true, tables);
    if (error.failed()) return error;
    EditedValue value;
    bool found = false;
    {
      const ReadView view = view_of(session, *tables);
      btree::Cursor cursor;
      const int rc = cursor.open(view.bt, tables->root, SNKV_BT_ROWS, false);
      if (rc != SNKV_BT_OK) return btree::engine_error(operation, rc, base::printable(key_));
      error = find_entry(operation, view, cursor.get(), key_, found, [&](const Row& row) -> Error {
        value.expires_at = row.expires_at;
        if (row.large_id == 0) {
          Error unreadable = copy_value(operation, view, row, value.content);
          value.size = value.content.size();
          return unreadable;
        }
        value.size = row.large_size;
        return large_of(operation, view, row, value.large);
      });
    }
    if (!error.failed() && !found) error = Error(Errc::not_found, operation, base::printable(key_));
    if (error.failed()) return error;
    size = value.size;
    return body(WriteContext{operation, session, *target_.family}, value);
  }

  [[nodiscard]] ReadView view_of(WriteSession& session, const FamilyEntry& tables) const {
    return {session.bt(), &tables, session.now(), target_.store.get(), session.keys()};
  }

  [[nodiscard]] Error read(const WriteContext& context, EditedValue& value, std::uint64_t offset,
                           std::byte* out, std::size_t amount) {
    const FamilyEntry* tables = nullptr;
    Error error = context.session.resolve(context.operation, context.family, true, tables);
    if (error.failed()) return error;
    return read_large_part(context.operation, view_of(context.session, *tables), key_, value.large,
                           offset, out, amount);
  }

  /// Sees to it that the size of the chunks is known.
  [[nodiscard]] Error find_chunk_size(const WriteContext& context, EditedValue& value) {
    if (value.large.chunk_size != 0) return {};
    std::byte first{};
    return read(context, value, 0, &first, 1);
  }

  [[nodiscard]] Error write_chunks(const WriteContext& context, EditedValue& value,
                                   std::uint64_t offset, BytesView bytes) {
    if (Error error = find_chunk_size(context, value); error.failed()) return error;
    const std::uint64_t chunk_size = value.large.chunk_size;
    std::uint64_t there = value.size;
    for (std::size_t done = 0; done < bytes.size();) {
      const std::uint64_t index = (offset + done) / chunk_size;
      const std::uint64_t begin = index * chunk_size;
      const std::uint64_t within = offset + done - begin;
      const std::size_t amount = std::min<std::uint64_t>(chunk_size - within, bytes.size() - done);
      const std::uint64_t had = there <= begin ? 0 : std::min(chunk_size, there - begin);
      const std::uint64_t has = std::max<std::uint64_t>(had, within + amount);
      buffer_.resize_for_overwrite(has);
      if (had > 0 && (within > 0 || within + amount < had)) {
        Error error = read(context, value, begin, buffer_.data(), had);
        if (error.failed()) return error;
      }
      std::memcpy(buffer_.data() + within, bytes.data() + done, amount);
      Error error = write_chunk(context, key_, value.large, index, buffer_);
      if (error.failed()) return error;
      done += amount;
      there = std::max(there, begin + has);
      value.large.size = there;
    }
    return {};
  }

  [[nodiscard]] Error shorten(const WriteContext& context, EditedValue& value,
                              std::uint64_t length) {
    if (Error error = find_chunk_size(context, value); error.failed()) return error;
    const std::uint64_t chunk_size = value.large.chunk_size;
    const std::uint64_t last = (length - 1) / chunk_size;
    const std::uint64_t kept = length - last * chunk_size;
    if (std::min(chunk_size, value.size - last * chunk_size) != kept) {
      buffer_.resize_for_overwrite(kept);
      Error error = read(context, value, last * chunk_size, buffer_.data(), kept);
      if (!error.failed()) error = write_chunk(context, key_, value.large, last, buffer_);
      if (error.failed()) return error;
    }
    if (Error error = erase_chunks_from(context, key_, value.large.id, last + 1); error.failed())
      return error;
    value.large.size = length;
    return put(context, value);
  }

  [[nodiscard]] Error put(const WriteContext& context, const EditedValue& value) {
    NewEntry entry{key_, {}, value.expires_at, value.large};
    if (value.large.id == 0) entry.value = value.content;
    Error error = put_entry(context, entry);
    if (!error.failed()) size = value.large.id == 0 ? value.content.size() : value.large.size;
    return error;
  }

  Target target_;
  Bytes key_;
  std::shared_ptr<TransactionState> transaction_;  // null: finished
  bool own_ = false;
  Bytes buffer_;
};

namespace {

BlobEditorState& state(BlobEditor& editor) noexcept {
  return static_cast<BlobEditorState&>(editor);
}

Error empty_handle(const char* operation) {
  return Error(Errc::closed, operation, "the handle is empty");
}

}  // namespace

Error open_blob_editor(const Target& target, BytesView key, const WriteOptions& options,
                       BlobEditor*& out) {
  constexpr const char* operation = "blob_editor";
  return guarded(operation, target, [&]() -> Error {
    if (target.family == nullptr) return empty_handle(operation);
    auto editor = std::make_unique<BlobEditorState>();
    Error error = editor->open(operation, target, key, options);
    if (!error.failed()) out = editor.release();
    return error;
  });
}

Error blob_edit_write(BlobEditor* editor, std::uint64_t offset, BytesView bytes) {
  constexpr const char* operation = "blob edit write";
  if (editor == nullptr) return empty_handle(operation);
  return guarded(operation, state(*editor).target(),
                 [&] { return state(*editor).write(operation, offset, bytes); });
}

Error blob_edit_truncate(BlobEditor* editor, std::uint64_t size) {
  constexpr const char* operation = "blob edit truncate";
  if (editor == nullptr) return empty_handle(operation);
  return guarded(operation, state(*editor).target(),
                 [&] { return state(*editor).truncate(operation, size); });
}

Error blob_edit_read(BlobEditor* editor, std::uint64_t offset, std::byte* out, std::size_t size,
                     std::size_t& got) {
  constexpr const char* operation = "blob edit read";
  if (editor == nullptr) return empty_handle(operation);
  return guarded(operation, state(*editor).target(),
                 [&] { return state(*editor).read_at(operation, offset, out, size, got); });
}

Error blob_edit_finish(BlobEditor* editor) {
  constexpr const char* operation = "blob edit finish";
  if (editor == nullptr) return empty_handle(operation);
  return guarded(operation, state(*editor).target(),
                 [&] { return state(*editor).finish(operation); });
}

void close_blob_editor(BlobEditor* editor) noexcept {
  delete static_cast<BlobEditorState*>(editor);
}

}  // namespace snkv::core
