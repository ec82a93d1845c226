/// \file
/// `BlobEditor`: changes a value in pieces where it is, without reading or writing the rest of it.
///
///     auto editor = BlobEditor::open(store, "log");
///     editor->append(line);
///     editor->write_at(offset, patch);
///     editor->truncate(size);
///     editor->finish();                          // only now do others see it
///
/// Outside of a transaction an editor is one: it holds the store's only write lock until it is
/// finished or destroyed, and what was not finished is undone. Opened in a transaction
/// (`BlobEditor::open(transaction, key)`, or with a family of it) it is a part of that: each call
/// changes the value for the transaction at once, and what undoes the transaction, or goes back to
/// a savepoint, undoes the change. Readers see the value before or after, never between.
///
/// The value keeps its expiry. It is the same as if it had been put as a whole, so all else can
/// read it.
///
/// Threads: one at a time for each object.
#pragma once

#include <snkv/entries.hpp>
#include <snkv/store.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace snkv {
inline namespace SNKV_EXPECTED_NAMESPACE {

/// Besides the errors named below any operation may give `closed` (finished, or its transaction has
/// ended), `not_found` (the transaction has erased the key), `rollback_required`, `full`,
/// `io_error`, `corrupt`, `tampered`, `no_memory`, `dropped`, `forked`.
class BlobEditor {
 public:
  /// Refers to nothing; every use gives `Errc::closed`.
  BlobEditor() noexcept = default;

  /// Opens the value of `key`, whatever its size: `not_found` if there is none, `invalid_argument`
  /// for an empty key, `read_only`, `busy`, `locked`. O(log n).
  [[nodiscard]] static Result<BlobEditor> open(const EntryWriter& where, BytesView key,
                                               const WriteOptions& options = {}) {
    core::BlobEditor* editor = nullptr;
    Error error = core::open_blob_editor(facade::Door::target(where), key, options, editor);
    return facade::as_result(std::move(error), BlobEditor(editor));
  }

  /// Size of the value in bytes, as of the last operation.
  [[nodiscard]] std::uint64_t size() const noexcept { return editor_ ? editor_->size : 0; }

  /// Puts bytes at a position, over what is there and beyond the end: `invalid_argument` if
  /// `offset` is larger than the size, `too_large`. O(log n + bytes).
  [[nodiscard]] Result<void> write_at(std::uint64_t offset, BytesView bytes) {
    return facade::as_result(core::blob_edit_write(editor_.get(), offset, bytes));
  }
  /// Adds bytes at the end.
  [[nodiscard]] Result<void> append(BytesView bytes) { return write_at(UINT64_MAX, bytes); }
  /// Makes it shorter; `invalid_argument` if it is shorter already. O(log n + bytes removed).
  [[nodiscard]] Result<void> truncate(std::uint64_t size) {
    return facade::as_result(core::blob_edit_truncate(editor_.get(), size));
  }
  /// Fills `buffer` from a position on; how many bytes there were. `invalid_argument` if `offset`
  /// is larger than the size. O(log n + bytes).
  [[nodiscard]] Result<std::size_t> read_at(std::uint64_t offset, std::span<std::byte> buffer) {
    std::size_t got = 0;
    Error error = core::blob_edit_read(editor_.get(), offset, buffer.data(), buffer.size(), got);
    return facade::as_result(std::move(error), std::move(got));
  }

  /// Ends the editor. Outside of a transaction it is then committed; after `busy` (possible with
  /// `Journal::rollback` only) it may be tried again.
  [[nodiscard]] Result<void> finish() {
    return facade::as_result(core::blob_edit_finish(editor_.get()));
  }
  /// Ends the editor; outside of a transaction undoes what it did.
  void cancel() noexcept { editor_.reset(); }

 private:
  explicit BlobEditor(core::BlobEditor* editor) noexcept : editor_(editor) {}
  struct Close {
    void operator()(core::BlobEditor* editor) const noexcept { core::close_blob_editor(editor); }
  };
  std::unique_ptr<core::BlobEditor, Close> editor_;
};

}  // namespace SNKV_EXPECTED_NAMESPACE
}  // namespace snkv
