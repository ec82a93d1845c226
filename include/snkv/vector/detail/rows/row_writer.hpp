/// \file
/// The one way in which the rows of a collection are changed.
#pragma once

#include <snkv/vector/detail/base/slots.hpp>
#include <snkv/vector/detail/filter/metadata_check.hpp>
#include <snkv/vector/detail/rows/collection_tables.hpp>
#include <snkv/vector/detail/rows/damage.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace snkv::vector_detail {

/// What shall become of an entry. What is empty stays as it is.
struct EntryChange {
  enum class Wanted { any, absent, present };

  BytesView key;
  const float* vector = nullptr;
  std::optional<BytesView> value{};
  std::optional<std::string> metadata{};     ///< JSON text; empty text: none
  std::optional<std::int64_t> expires_at{};  ///< 0: never
  Wanted wanted = Wanted::any;               ///< `exists` or `not_found` otherwise
};

/// The moment at which something expires, from the options of a write; 0: never.
[[nodiscard]] inline Error expiry_of(const char* operation, const PutOptions& options,
                                     std::int64_t now, std::int64_t& out) {
  const auto refuse = [&](const char* why) {
    return Error(Errc::invalid_argument, operation, why);
  };
  out = 0;
  if (options.ttl && options.expires_at) return refuse("both ttl and expires_at are given");
  if (options.expires_at) {
    out = options.expires_at->time_since_epoch().count();
    if (out < 0) return refuse("expires_at is before 1970");
    out = std::max<std::int64_t>(out, 1);  // 0 means never
  }
  if (options.ttl) {
    const std::int64_t ttl = options.ttl->count();
    if (ttl <= 0) return refuse("the ttl is not positive");
    if (ttl > std::numeric_limits<std::int64_t>::max() - now) return refuse("the ttl is too long");
    out = now + ttl;
  }
  return {};
}

/// Writes rows in one transaction, for one operation. After an error what was written has to be
/// rolled back. `finish` comes last.
class RowWriter {
 public:
  /// `tables` are bound to the transaction, and live longer than the writer.
  RowWriter(const char* operation, const CollectionTables& tables, std::size_t dim,
            const DamageList& damage)
      : operation_(operation), tables_(tables), dim_(dim), damage_(damage) {}

  [[nodiscard]] Error start() {
    now_ = core::now(tables_.meta);
    Error error = read_state(operation_, tables_.meta, state_);
    before_ = state_;
    return error;
  }
  [[nodiscard]] std::int64_t now() const noexcept { return now_; }
  [[nodiscard]] const StateRow& state() const noexcept { return state_; }

  [[nodiscard]] Error put(const EntryChange& change) {
    bool found = false;
    if (Error error = read(change.key, found); error.failed()) return error;
    if (broken_) {
      if (change.wanted == EntryChange::Wanted::absent) {
        return Error(Errc::exists, operation_, printable(change.key) + ", whose row is damaged");
      }
      if (change.wanted == EntryChange::Wanted::present) {
        return damaged(operation_, "the row of " + printable(change.key) + " cannot be read");
      }
      if (Error error = drop_broken(change.key); error.failed()) return error;
      found = false;
    }
    // An expired entry counts as absent; only its number is used again.
    const bool alive = found && !old_.expired(now_);
    if (alive && change.wanted == EntryChange::Wanted::absent) {
      return Error(Errc::exists, operation_, printable(change.key));
    }
    if (!alive && change.wanted == EntryChange::Wanted::present) {
      return Error(Errc::not_found, operation_, printable(change.key));
    }
    ItemRow item;
    item.number = old_.number;
    if (!found) {
      if (Error error = take_number(item.number); error.failed()) return error;
    }
    const std::int64_t expired_at = found ? old_.expires_at : 0;
    item.expires_at = change.expires_at.value_or(alive ? old_.expires_at : 0);
    item.metadata = change.metadata ? *change.metadata : alive ? old_.metadata : std::string_view();
    const bool had_metadata = found && !old_.metadata.empty();

    if (change.vector != nullptr) {
      Error error = core::put(tables_.vectors, vector_key(item.number).view(),
                              BytesView(change.vector, dim_ * sizeof(float)), {});
      if (error.failed()) return as_error_of(operation_, std::move(error));
    }
    const bool item_changes = change.vector != nullptr || !alive || change.metadata.has_value() ||
                              item.expires_at != expired_at;
    if (item_changes) {
      if (Error error = note(change.vector != nullptr ? ChangeKind::vector : ChangeKind::metadata,
                             item.number, change.key);
          error.failed()) {
        return error;
      }
      item.changed = state_.sequence;
      Error error = core::put(tables_.items, change.key, item.encode().view(), {});
      if (!error.failed() && item.expires_at != expired_at) {
        error = move_expiry(change.key, item.number, expired_at, item.expires_at);
      }
      if (error.failed()) return as_error_of(operation_, std::move(error));
      if (!found) ++state_.live;
      count_metadata(had_metadata, !item.metadata.empty());
    }
    return write_value(change, item.expires_at, item.expires_at != expired_at);
  }

  /// `existed` is false for an entry that has expired, which is removed all the same.
  [[nodiscard]] Error erase(BytesView key, bool& existed) {
    existed = false;
    bool found = false;
    if (Error error = read(key, found); error.failed() || !found) return error;
    if (broken_) {
      existed = true;
      Error error = drop_broken(key);
      return error.failed() ? error : as_error_of(operation_, erase_value(key));
    }
    existed = !old_.expired(now_);
    if (Error error = note(ChangeKind::erase, old_.number, key); error.failed()) return error;
    count_one_less();
    count_metadata(!old_.metadata.empty(), false);
    bool was = false;
    Error error = core::erase(tables_.vectors, vector_key(old_.number).view(), {}, was);
    if (!error.failed() && old_.expires_at != 0) {
      error = move_expiry(key, old_.number, old_.expires_at, 0);
    }
    if (!error.failed()) error = core::put(tables_.meta, free_key(old_.number).view(), {}, {});
    if (!error.failed()) error = core::erase(tables_.items, key, {}, was);
    if (!error.failed()) error = erase_value(key);
    free_.clear();  // it was read without this number; the smallest is used first
    return as_error_of(operation_, std::move(error));
  }

  /// Erases the entry that a row of the order of expiries is of, if it has expired; and in any case that row,
  /// because nothing would ever get past one that is wrong.
  [[nodiscard]] Error purge(BytesView expiry, BytesView key, bool& existed) {
    existed = false;
    bool found = false;
    Error error = key.empty() ? Error() : read(key, found);
    if (error == Errc::invalid_argument) error = {};  // what can be no key
    if (error.failed()) return error;
    bool was = false;
    const bool is_its =
        found && !broken_ && expiry == expiry_key(old_.expires_at, old_.number).view();
    if (is_its && old_.expired(now_)) {
      existed = true;
      return erase(key, was);
    }
    return as_error_of(operation_, core::erase(tables_.meta, expiry, {}, was));
  }

  /// Every image has to look at all rows again.
  [[nodiscard]] Error start_log_anew() {
    if (Error error = check_sequence(); error.failed()) return error;
    ++state_.sequence;
    state_.chain = next_chain(state_.chain, state_.sequence, ChangeKind::erase, {});
    return trim_log(state_.sequence);
  }

  /// Makes what is derived from the rows of entries anew. `entries` are all of them, in the order of
  /// their numbers.
  template <class Entries>
  [[nodiscard]] Error count_anew(const Entries& entries) {
    Error error = core::clear(tables_.meta, {});
    state_.live = entries.size();
    state_.with_metadata = 0;
    state_.next_number = 0;
    // Numbers that are not listed are lost, which costs a little memory; a damaged number must not make
    // this list longer than the collection.
    std::uint64_t listed = 0;
    for (const auto& entry : entries) {
      for (; state_.next_number < entry.number && listed < 1024 + entries.size(); ++listed) {
        if (error.failed()) return as_error_of(operation_, std::move(error));
        error = core::put(tables_.meta, free_key(state_.next_number++).view(), {}, {});
      }
      state_.next_number = entry.number + 1;
      state_.with_metadata += entry.with_metadata ? 1 : 0;
      if (!error.failed() && entry.expires_at != 0) {
        error = move_expiry(entry.key, entry.number, 0, entry.expires_at);
      }
      if (error.failed()) return as_error_of(operation_, std::move(error));
    }
    free_.clear();
    return {};
  }

  /// The caller has erased the values.
  [[nodiscard]] Error clear() {
    if (Error error = check_sequence(); error.failed()) return error;
    Error error = core::clear(tables_.items, {});
    if (!error.failed()) error = core::clear(tables_.vectors, {});
    if (!error.failed()) error = core::clear(tables_.log, {});
    if (!error.failed()) error = core::clear(tables_.meta, {});
    if (error.failed()) return as_error_of(operation_, std::move(error));
    ++state_.sequence;
    state_.chain = next_chain(state_.chain, state_.sequence, ChangeKind::erase, {});
    state_.log_start = state_.sequence;
    state_.live = 0;
    state_.with_metadata = 0;
    state_.next_number = 0;
    state_.saved_sequence = 0;
    state_.saved_chain = 0;
    free_.clear();
    return {};
  }

  /// Removes the changes up to `sequence` from the log.
  [[nodiscard]] Error trim_log(std::uint64_t sequence) {
    if (sequence <= state_.log_start) return {};
    core::KeyRange range{Bytes(), Bytes(change_key(sequence + 1).view()), true};
    std::uint64_t erased = 0;
    Error error = core::erase_range(tables_.log, range, {}, erased);
    if (error.failed()) return as_error_of(operation_, std::move(error));
    state_.log_start = sequence;
    return {};
  }
  /// Notes which graph was saved last.
  void set_saved(std::uint64_t sequence, std::uint64_t chain) noexcept {
    state_.saved_sequence = sequence;
    state_.saved_chain = chain;
  }

  [[nodiscard]] Error erase_value(BytesView key) {
    if (!tables_.has_values()) return {};
    bool was = false;
    Error error = core::erase(tables_.values, key, {}, was);
    // Who drops the family has removed the values.
    return error == Errc::dropped ? Error() : error;
  }

  [[nodiscard]] Error finish() {
    // What a damaged row had is not known.
    state_.with_metadata = std::min(state_.with_metadata, state_.live);
    if (state_ == before_) return {};
    return as_error_of(operation_,
                       core::put(tables_.meta, StateRow::key, state_.encode().view(), {}));
  }

  [[nodiscard]] static std::string printable(BytesView key) {
    return vector_detail::printable(key);
  }

 private:
  /// Reads the row of a key into `old_`.
  [[nodiscard]] Error read(BytesView key, bool& found) {
    old_ = {};
    broken_ = false;
    Error error = core::get(tables_.items, key, row_);
    found = !(error == Errc::not_found);
    if (!found) return {};
    if (error.failed() && !is_damage(error)) return as_error_of(operation_, std::move(error));
    broken_ = error.failed() || !decode(row_, old_) || old_.number >= state_.next_number ||
              damage_.shares_number(key.view());
    if (broken_) old_ = {};
    return {};
  }

  [[nodiscard]] Error check_sequence() const {
    if (state_.sequence < StateRow::max_sequence) return {};
    return damaged(operation_, "the state has a sequence that no collection gets to");
  }
  /// A state that counts too few of them is not made one that cannot be read.
  void count_metadata(bool before, bool after) noexcept {
    if (after) ++state_.with_metadata;
    if (before && state_.with_metadata > 0) --state_.with_metadata;
  }
  /// Removes a row of which it is not known what belongs to it. What does lie there under a number that
  /// nobody has is no trouble, and removed by a repair.
  [[nodiscard]] Error drop_broken(BytesView key) {
    broken_ = false;
    bool was = false;
    Error error = core::erase(tables_.items, key, {}, was);
    if (error.failed()) return as_error_of(operation_, std::move(error));
    count_one_less();
    return start_log_anew();
  }
  void count_one_less() noexcept {
    if (state_.live > 0) --state_.live;
  }

  [[nodiscard]] Error note(ChangeKind kind, std::uint32_t number, BytesView key) {
    if (Error error = check_sequence(); error.failed()) return error;
    ++state_.sequence;
    state_.chain = next_chain(state_.chain, state_.sequence, kind, key);
    const ChangeRow row{kind, number, state_.chain, key.view()};
    return as_error_of(operation_, core::put(tables_.log, change_key(state_.sequence).view(),
                                             row.encode().view(), {}));
  }

  /// A number for a new entry: a free one if there is one.
  [[nodiscard]] Error take_number(std::uint32_t& number) {
    if (state_.free_numbers() == 0) {
      if (state_.next_number >= max_numbers) {
        return Error(Errc::full, operation_, "a collection has at most 2147483647 entries");
      }
      number = state_.next_number++;
      return {};
    }
    if (free_.empty()) {
      if (Error error = read_free(); error.failed()) return error;
    }
    if (free_.empty()) {  // they were lost with damaged rows
      number = state_.next_number++;
      return state_.next_number < max_slots
                 ? Error()
                 : Error(Errc::full, operation_, "a collection has at most 2147483647 entries");
    }
    number = free_.back();
    free_.pop_back();
    bool was = false;
    return as_error_of(operation_, core::erase(tables_.meta, free_key(number).view(), {}, was));
  }

  [[nodiscard]] Error read_free() {
    constexpr std::size_t most = 1024;
    core::Cursor* opened =
        core::open_cursor(tables_.meta, core::prefix_range("f"), {.keys_only = true});
    const std::unique_ptr<core::Cursor, void (*)(core::Cursor*)> cursor(opened, core::close_cursor);
    for (core::cursor_first(*cursor); cursor->valid && free_.size() < most;
         core::cursor_next(*cursor)) {
      if (cursor->key.size() != 5) continue;
      const auto number = big_endian_at<std::uint32_t>(cursor->key, 1);
      if (number >= state_.next_number) continue;
      free_.push_back(number);
    }
    std::reverse(free_.begin(), free_.end());
    return as_error_of(operation_, core::cursor_status(*cursor));
  }

  [[nodiscard]] Error move_expiry(BytesView key, std::uint32_t number, std::int64_t from,
                                  std::int64_t to) {
    Error error;
    bool was = false;
    if (from != 0) error = core::erase(tables_.meta, expiry_key(from, number).view(), {}, was);
    if (!error.failed() && to != 0) {
      error = core::put(tables_.meta, expiry_key(to, number).view(), key, {});
    }
    return error;
  }

  [[nodiscard]] Error write_value(const EntryChange& change, std::int64_t expires_at,
                                  bool expiry_changes) {
    if (!tables_.has_values()) return {};
    PutOptions options;
    if (expires_at != 0) options.expires_at = TimePoint(std::chrono::milliseconds(expires_at));
    Error error;
    if (change.value) {
      error = core::put(tables_.values, change.key, *change.value, options);
    } else if (expiry_changes) {
      error = core::set_expiry(operation_, tables_.values, change.key, options);
      if (error == Errc::not_found || error == Errc::dropped) error = {};
    }
    // Not `index_dropped`: it is the family of the values that is gone.
    if (!error.failed()) return error;
    return Error(error.code(), operation_, error.detail(), error.extended());
  }

  const char* operation_;
  const CollectionTables& tables_;
  const std::size_t dim_;
  const DamageList& damage_;
  std::int64_t now_ = 0;
  StateRow state_;
  StateRow before_;
  Bytes row_;
  ItemRow old_;                      // refers to row_
  bool broken_ = false;              // the row that was read last cannot be used
  std::vector<std::uint32_t> free_;  // the smallest last; all are free still
};

/// The text of metadata as rows have it, and the one check of all metadata that come from outside.
/// Null: `out` stays empty.
[[nodiscard]] inline Error metadata_text(const char* operation, BytesView key, const Json& metadata,
                                         std::optional<std::string>& out) {
  out.reset();
  if (metadata.is_null()) return {};
  if (const std::string wrong = check_metadata(metadata); !wrong.empty()) {
    return Error(Errc::invalid_argument, operation,
                 "the metadata of " + RowWriter::printable(key) + ": " + wrong);
  }
  out.emplace();
  if (!metadata.empty()) *out = metadata.dump();
  return {};
}

}  // namespace snkv::vector_detail
