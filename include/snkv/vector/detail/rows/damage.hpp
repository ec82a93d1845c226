/// \file
/// Rows of a collection that cannot be used: each costs its entry, not the collection.
#pragma once

#include <snkv/vector/detail/rows/collection_tables.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace snkv::vector_detail {

/// Whether an error says that what was read is not what was written.
[[nodiscard]] inline bool is_damage(const Error& error) noexcept {
  return error == Errc::corrupt || error == Errc::tampered;
}

/// What is known to be damaged, by key. The empty key stands for the collection itself.
///
/// Threads: any number.
class DamageList {
 public:
  /// `shares_number`: others have its number too, so what lies under that is not to be touched.
  void note(std::string_view key, std::string what, bool shares_number = false) {
    const std::lock_guard lock(mutex_);
    const auto [at, is_new] = rows_.insert_or_assign(std::string(key), Row{what, shares_number});
    if (is_new && !before_.contains(at->first)) untold_.emplace_back(key, std::move(what));
  }
  void forget(std::string_view key) {
    const std::lock_guard lock(mutex_);
    if (const auto at = rows_.find(key); at != rows_.end()) rows_.erase(at);
  }
  /// All rows are about to be looked at again. What is found anew then is no news.
  void begin() {
    const std::lock_guard lock(mutex_);
    before_ = std::exchange(rows_, {});
  }
  [[nodiscard]] std::uint64_t size() const {
    const std::lock_guard lock(mutex_);
    return rows_.size();
  }
  [[nodiscard]] bool shares_number(std::string_view key) const {
    const std::lock_guard lock(mutex_);
    const auto at = rows_.find(key);
    return at != rows_.end() && at->second.shares_number;
  }
  /// What nobody was told of yet: key, and what is wrong.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> take_news() {
    const std::lock_guard lock(mutex_);
    return std::exchange(untold_, {});
  }

 private:
  struct Row {
    std::string what;
    bool shares_number = false;
  };
  mutable std::mutex mutex_;
  std::map<std::string, Row, std::less<>> rows_;
  std::map<std::string, Row, std::less<>> before_;
  std::vector<std::pair<std::string, std::string>> untold_;
};

/// Closes a cursor of the core when it goes away.
class RowCursor {
 public:
  RowCursor(const core::Target& target, core::KeyRange range, bool keys_only = false)
      : cursor_(core::open_cursor(target, std::move(range), {.keys_only = keys_only})) {
    core::cursor_first(*cursor_);
  }
  RowCursor(const RowCursor&) = delete;
  RowCursor& operator=(const RowCursor&) = delete;
  ~RowCursor() { core::close_cursor(cursor_); }
  [[nodiscard]] bool valid() const noexcept { return cursor_->valid; }
  [[nodiscard]] BytesView key() const noexcept { return cursor_->key; }
  [[nodiscard]] BytesView value() const noexcept { return cursor_->value; }
  void next() noexcept { core::cursor_next(*cursor_); }
  [[nodiscard]] Error status() const { return core::cursor_status(*cursor_); }

 private:
  core::Cursor* cursor_;
};

/// The rows of entries in the order of their keys, those that cannot be read included.
class ItemCursor {
 public:
  /// Those behind `after`.
  ItemCursor(const core::Target& items, std::string_view after) : items_(items), last_(after) {
    reopen();
  }

  [[nodiscard]] bool valid() const noexcept { return unread_ || cursor_->valid(); }
  [[nodiscard]] std::string_view key() const noexcept {
    return unread_ ? std::string_view(*unread_) : cursor_->key().view();
  }
  /// Whether the row was read, and is one of an entry. `item` lives until the cursor moves.
  [[nodiscard]] bool read(ItemRow& item) const noexcept {
    return !unread_ && decode(cursor_->value(), item);
  }
  void next() {
    last_ = key();
    if (unread_) {
      unread_.reset();
      reopen();
    } else {
      cursor_->next();
      pass_unreadable();
    }
  }
  [[nodiscard]] const Error& status() const noexcept { return status_; }

 private:
  [[nodiscard]] core::KeyRange behind_last() const {
    core::KeyRange range;
    if (!last_.empty()) range.low = Bytes(last_ + '\0');
    return range;
  }
  void reopen() {
    cursor_.emplace(items_, behind_last());
    pass_unreadable();
  }
  /// A row that cannot be read ends a cursor, but not one that reads only keys.
  void pass_unreadable() {
    if (cursor_->valid()) return;
    status_ = cursor_->status();
    if (!is_damage(status_)) return;
    const RowCursor keys(items_, behind_last(), /*keys_only=*/true);
    if (!keys.valid()) return;  // there it does not go on either
    unread_ = keys.key().str();
    status_ = {};
  }

  const core::Target& items_;
  std::string last_;
  std::optional<RowCursor> cursor_;
  std::optional<std::string> unread_;
  Error status_;
};

/// Whether the log says that a change gave this number to this key.
[[nodiscard]] inline bool is_in_log(const core::Target& log, std::string_view key,
                                    std::uint32_t number, std::uint64_t changed) {
  Bytes row;
  ChangeRow change;
  return !core::get(log, change_key(changed).view(), row).failed() && decode(row, change) &&
         change.number == number && change.key == key;
}

}  // namespace snkv::vector_detail
