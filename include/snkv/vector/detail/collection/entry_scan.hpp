/// \file
/// Entries in the order of their keys, and those that match a condition.
#pragma once

#include <snkv/vector/detail/collection/collection_search.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace snkv::vector_detail {

/// Looks at the rows of a collection as of one transaction or snapshot.
class EntryScan {
 public:
  /// `tables` are bound to it, and live longer than the scan.
  EntryScan(const char* operation, const Collection& collection, const CollectionTables& tables,
            const EntryCondition& condition)
      : operation_(operation), collection_(collection), tables_(tables), condition_(condition) {}

  /// Calls `use(key, item)` for each entry behind `after` that matches and has not expired, in the
  /// order of their keys, until it returns false or an error. The views are good during the call. Entries
  /// whose rows are damaged, or of which `use` says so, are left out.
  template <class Use>
  [[nodiscard]] Error run(std::string_view after, Use&& use) {
    now_ = core::now(tables_.meta);
    Error error = condition_.error(operation_);
    if (!error.failed()) error = ask_index();
    if (error.failed()) return error;
    // Some rows one by one cost as much as many in a row.
    constexpr std::uint64_t seek_cost = 8;
    if (resolved_ && numbers_.most() * seek_cost < state_.live) {
      std::vector<std::string> keys = few_keys(after);
      if (collection_.image().epoch() == epoch_) return run_few(keys, use);
      resolved_ = false;
    }
    ItemCursor cursor(tables_.items, after);
    for (; cursor.valid(); cursor.next()) {
      bool more = true;
      ItemRow item;
      if (!cursor.read(item)) {
        collection_.damage().note(cursor.key(), "its row cannot be read");
        continue;
      }
      error = offer(cursor.key(), item, use, more);
      if (error.failed() || !more) return error;
    }
    return as_error_of(operation_, cursor.status());
  }

 private:
  /// Uses the index of metadata when it is of the same moment as the rows.
  [[nodiscard]] Error ask_index() {
    resolved_ = false;
    if (Error error = read_state(operation_, tables_.meta, state_); error.failed()) return error;
    const CollectionImage& image = collection_.image();
    epoch_ = image.epoch();
    if (condition_.filter == nullptr || image.applied() != state_.sequence) return {};
    if (CallbackFrame::is_in(&image)) return {};  // its locks may be held
    image.read([&](const NameTable& names, const MetadataIndex& metadata) {
      numbers_.resolve(names, metadata, now_);
    });
    // It may have gone on between the question and the answer.
    resolved_ = image.applied() == state_.sequence;
    return {};
  }

  /// Keys of those that can match, sorted.
  [[nodiscard]] std::vector<std::string> few_keys(std::string_view after) const {
    std::vector<std::string> keys;
    collection_.image().read([&](const NameTable& names, auto&) {
      numbers_.for_each_candidate([&](std::uint32_t number) {
        if (names.contains(number) && names.key(number) > after) {
          keys.emplace_back(names.key(number));
        }
      });
    });
    std::sort(keys.begin(), keys.end());
    return keys;
  }

  template <class Use>
  [[nodiscard]] Error run_few(const std::vector<std::string>& keys, Use&& use) {
    Bytes row;
    for (const std::string& key : keys) {
      Error error = core::get(tables_.items, key, row);
      if (error == Errc::not_found) continue;
      bool more = true;
      ItemRow item;
      if (is_damage(error) || (!error.failed() && !decode(row, item))) {
        collection_.damage().note(key, "its row cannot be read");
        continue;
      }
      if (!error.failed()) error = offer(key, item, use, more);
      if (error.failed()) return as_error_of(operation_, std::move(error));
      if (!more) break;
    }
    return {};
  }

  template <class Use>
  [[nodiscard]] Error offer(std::string_view key, const ItemRow& item, Use&& use, bool& more) {
    if (item.expired(now_)) return {};
    const bool wanted = matches(key, item);
    if (Error error = condition_.error(operation_); error.failed()) return error;
    Error error = wanted ? use(key, item, more) : Error();
    if (!is_damage(error)) return error;
    collection_.damage().note(key, error.detail());
    more = true;
    return {};
  }

  [[nodiscard]] bool matches(std::string_view key, const ItemRow& item) {
    if (collection_.damage().shares_number(key)) return false;
    if (condition_.is_all()) return true;
    if (resolved_) {
      if (!numbers_.can_match(item.number)) return false;
      if (!numbers_.asks_rows()) return true;
    }
    const Json metadata = parse_metadata(item.metadata);
    if (!metadata.is_discarded()) return condition_.matches(key, metadata);
    collection_.damage().note(key, "its metadata are no JSON object");
    return false;
  }

  const char* operation_;
  const Collection& collection_;
  const CollectionTables& tables_;
  const EntryCondition condition_;
  NumberCondition numbers_{collection_, condition_};
  StateRow state_;
  std::int64_t now_ = 0;
  std::uint64_t epoch_ = 0;
  bool resolved_ = false;
};

}  // namespace snkv::vector_detail
