#include "buffer/view.hpp"

#include "core/user_code.hpp"

#include <new>
#include <utility>

namespace snkv::buffer {
namespace {

MergedCursor& self(core::Cursor& cursor) noexcept { return static_cast<MergedCursor&>(cursor); }

constexpr core::CursorMoves moves_of_merged{
    [](core::Cursor& cursor) noexcept { self(cursor).seek_first(); },
    [](core::Cursor& cursor) noexcept { self(cursor).seek_last(); },
    [](core::Cursor& cursor, BytesView key) noexcept { self(cursor).seek(key); },
    [](core::Cursor& cursor, BytesView key) noexcept { self(cursor).seek_for_prev(key); },
    [](core::Cursor& cursor) noexcept { self(cursor).next(); },
    [](core::Cursor& cursor) noexcept { self(cursor).prev(); },
    [](const core::Cursor& cursor) -> Error {
      return static_cast<const MergedCursor&>(cursor).status();
    },
    [](core::Cursor* cursor) noexcept { delete static_cast<MergedCursor*>(cursor); }};

/// For the case that there is no memory for one: it refers to nothing and never changes.
constexpr core::CursorMoves moves_of_unmade{
    [](core::Cursor&) noexcept {},
    [](core::Cursor&) noexcept {},
    [](core::Cursor&, BytesView) noexcept {},
    [](core::Cursor&, BytesView) noexcept {},
    [](core::Cursor&) noexcept {},
    [](core::Cursor&) noexcept {},
    [](const core::Cursor&) -> Error { return Error(Errc::no_memory, "iterate", ""); },
    [](core::Cursor*) noexcept {}};

}  // namespace

MergedCursor::MergedCursor(View view, core::KeyRange range, const ScanOptions& options)
    : view_(std::move(view)), range_(std::move(range)), options_(options) {
  moves = &moves_of_merged;
  tables_ = std::make_unique<TableCursor>(*view_.tables, view_.store.family->id, view_.as_of);
  store_.reset(core::open_cursor(view_.store, range_, options_));
  status_ = core::cursor_status(*store_);
}

MergedCursor::MergedCursor(Error error) noexcept : status_(std::move(error)) {
  moves = &moves_of_merged;
}

core::Cursor* MergedCursor::failed(Error error) noexcept {
  static core::Cursor unmade{{}, {}, false, &moves_of_unmade};
  auto* const cursor = new (std::nothrow) MergedCursor(std::move(error));
  return cursor == nullptr ? &unmade : cursor;
}

bool MergedCursor::is_empty() const noexcept {
  return range_.bounded_above && BytesView(range_.low) >= BytesView(range_.high);
}

bool MergedCursor::in_range(BytesView at) const noexcept {
  return at >= range_.low && (!range_.bounded_above || at < range_.high);
}

template <class Move>
void MergedCursor::guarded(Move&& move) noexcept {
  if (store_ == nullptr) return;  // never opened: the status says why
  try {
    valid = false;
    status_ = Error();
    move();
    if (!status_.failed()) status_ = core::cursor_status(*store_);
  } catch (...) {
    status_ = core::error_of_exception("iterate");
  }
  if (status_.failed()) valid = false;
}

void MergedCursor::forward_from(BytesView from) {
  const BytesView at = from < BytesView(range_.low) ? BytesView(range_.low) : from;
  tables_->seek(at);
  core::cursor_seek(*store_, at);
  choose(true);
}

void MergedCursor::seek_first() noexcept {
  guarded([&] {
    if (!is_empty()) forward_from(range_.low);
  });
}

void MergedCursor::seek(BytesView from) noexcept {
  guarded([&] {
    const Bytes copy(from);  // it may be the current key
    if (!is_empty()) forward_from(copy);
  });
}

void MergedCursor::seek_last() noexcept {
  guarded([&] {
    if (is_empty()) return;
    if (range_.bounded_above) {
      tables_->seek_before(range_.high, false);
    } else {
      tables_->seek_last();
    }
    core::cursor_last(*store_);
    choose(false);
  });
}

void MergedCursor::seek_for_prev(BytesView from) noexcept {
  if (range_.bounded_above && from >= BytesView(range_.high)) return seek_last();
  guarded([&] {
    if (is_empty()) return;
    const Bytes at(from);
    tables_->seek_before(at, true);
    core::cursor_seek_for_prev(*store_, at);
    choose(false);
  });
}

void MergedCursor::next() noexcept {
  if (!valid) return;
  guarded([&] {
    if (!forward_) {
      const Bytes at(key);
      tables_->seek(at);
      core::cursor_seek(*store_, at);
      if (tables_->get() != nullptr && tables_->get()->key() == at) tables_->next();
      if (store_->valid && store_->key == at) core::cursor_next(*store_);
      return choose(true);
    }
    const Version* const version = tables_->get();
    const bool both = version != nullptr && store_->valid && version->key() == store_->key;
    if (version != nullptr && version->key() == key) {
      tables_->next();
      if (both) core::cursor_next(*store_);
    } else {
      core::cursor_next(*store_);
    }
    choose(true);
  });
}

void MergedCursor::prev() noexcept {
  if (!valid) return;
  guarded([&] {
    if (forward_) {
      const Bytes at(key);
      tables_->seek_before(at, false);
      core::cursor_seek_for_prev(*store_, at);
      if (store_->valid && store_->key == at) core::cursor_prev(*store_);
      return choose(false);
    }
    const Version* const version = tables_->get();
    const bool both = version != nullptr && store_->valid && version->key() == store_->key;
    if (version != nullptr && version->key() == key) {
      tables_->prev();
      if (both) core::cursor_prev(*store_);
    } else {
      core::cursor_prev(*store_);
    }
    choose(false);
  });
}

void MergedCursor::skip_erased(const ErasedRange& range, bool forward) {
  if (forward) {
    // Beyond all keys there is nothing; a cursor past its end stays there.
    if (range.keys.bounded_above) {
      core::cursor_seek(*store_, range.keys.high);
    } else {
      core::cursor_last(*store_);
      if (store_->valid) core::cursor_next(*store_);
    }
    return;
  }
  core::cursor_seek_for_prev(*store_, range.keys.low);
  if (store_->valid && store_->key == BytesView(range.keys.low)) core::cursor_prev(*store_);
}

/// Goes on in one direction until one of the two is on an entry that is there.
void MergedCursor::choose(bool forward) {
  forward_ = forward;
  for (;;) {
    const Version* version = tables_->get();
    if (version != nullptr && !in_range(version->key())) version = nullptr;
    if (store_->valid) {
      const bool in_front = version == nullptr ||
                            (forward ? store_->key < version->key() : store_->key > version->key());
      if (in_front) {
        if (const ErasedRange* range = tables_->range_over(store_->key)) {
          skip_erased(*range, forward);
          continue;
        }
        key = store_->key;
        value = store_->value;
        valid = true;
        return;
      }
    } else if (core::cursor_status(*store_).failed()) {
      return;
    }
    if (version == nullptr) return;
    if (version->is_put() && !tables_->is_erased() && !is_expired(*version, view_.now)) {
      key = version->key();
      value = options_.keys_only ? BytesView() : version->value();
      valid = true;
      return;
    }
    const bool both = store_->valid && store_->key == version->key();
    if (forward) {
      tables_->next();
      if (both) core::cursor_next(*store_);
    } else {
      tables_->prev();
      if (both) core::cursor_prev(*store_);
    }
  }
}

}  // namespace snkv::buffer
