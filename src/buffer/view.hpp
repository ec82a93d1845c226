/// \file
/// What a buffer and its store had in them at one instant, and the cursor over both.
#pragma once

#include "buffer/table_cursor.hpp"
#include "core/cursor.hpp"

#include <snkv/detail/core_abi.hpp>

#include <cstdint>
#include <memory>

namespace snkv::buffer {

struct CloseCursor {
  void operator()(core::Cursor* cursor) const noexcept { core::close_cursor(cursor); }
};
using CursorHandle = std::unique_ptr<core::Cursor, CloseCursor>;

/// The tables, and the snapshot of the store that lies under them. Keeps both.
struct View {
  std::shared_ptr<const Tables> tables;
  Sequence as_of = 0;
  core::Target store;  ///< with the family that is read, bound to the snapshot
  std::int64_t now = 0;
};

[[nodiscard]] inline bool is_expired(const Version& version, std::int64_t now) noexcept {
  const auto at = version.expires_at();
  return at.has_value() && *at <= now;
}

/// Entries of the tables first, then those of the store that they say nothing of.
class MergedCursor final : public core::Cursor {
 public:
  MergedCursor(View view, core::KeyRange range, const ScanOptions& options);
  /// One that says why there is none.
  [[nodiscard]] static core::Cursor* failed(Error error) noexcept;

  void seek_first() noexcept;
  void seek_last() noexcept;
  void seek(BytesView key) noexcept;
  void seek_for_prev(BytesView key) noexcept;
  void next() noexcept;
  void prev() noexcept;
  [[nodiscard]] const Error& status() const noexcept { return status_; }

 private:
  explicit MergedCursor(Error error) noexcept;
  template <class Move>
  void guarded(Move&& move) noexcept;
  [[nodiscard]] bool is_empty() const noexcept;
  void forward_from(BytesView key);
  void choose(bool forward);
  /// Lets the store's cursor pass over a range that was erased.
  void skip_erased(const ErasedRange& range, bool forward);
  [[nodiscard]] bool in_range(BytesView at) const noexcept;

  View view_;
  core::KeyRange range_;
  ScanOptions options_;
  std::unique_ptr<TableCursor> tables_;
  CursorHandle store_;
  bool forward_ = true;
  Error status_;
};

}  // namespace snkv::buffer
