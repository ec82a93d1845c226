/// \file
/// Looking for damaged rows, and removing them.
#pragma once

#include <snkv/vector/detail/collection/row_access.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace snkv {

namespace vector_detail {

/// Looks at all rows of a collection as of one transaction or snapshot.
class CollectionCheck {
 public:
  /// An entry that has a number, and nothing else wrong with it than its metadata may be.
  struct Claim {
    std::uint32_t number = 0;
    std::string key;
    std::int64_t expires_at = 0;
    std::uint64_t changed = 0;
    bool with_metadata = false;
  };

  /// `tables` are bound to it, and live longer than the check.
  CollectionCheck(const char* operation, const Collection& collection,
                  const CollectionTables& tables, CallerProgress& progress)
      : operation_(operation), image_(collection.image()), tables_(tables), progress_(progress) {
    vector_.resize(collection.config().dim);
  }

  [[nodiscard]] Error run() {
    if (Error error = read_state(operation_, tables_.meta, state_); error.failed()) return error;
    ItemCursor cursor(tables_.items, {});
    for (; cursor.valid(); cursor.next(), ++report_.entries) {
      if (report_.entries % 256 == 0 && !progress_(report_.entries, state_.live)) {
        return progress_.error(operation_);
      }
      ItemRow item;
      if (!cursor.read(item)) {
        drop(cursor.key(), "its row cannot be read");
        continue;
      }
      if (Error error = look(cursor.key(), item); error.failed()) return error;
    }
    if (cursor.status().failed()) return as_error_of(operation_, cursor.status());
    find_shared();
    if (Error error = find_orphans(); error.failed()) return error;
    if (report_.entries != state_.live) {
      find({}, "it counts " + std::to_string(state_.live) + " entries, and has " +
                   std::to_string(report_.entries));
    }
    return {};
  }

  [[nodiscard]] VectorCheckReport& report() noexcept { return report_; }
  /// Entries to be kept, in the order of their numbers.
  [[nodiscard]] const std::vector<Claim>& kept() const noexcept { return claims_; }
  [[nodiscard]] const std::vector<std::string>& to_drop() const noexcept { return to_drop_; }
  [[nodiscard]] const std::vector<std::string>& to_strip() const noexcept { return to_strip_; }
  [[nodiscard]] const std::vector<Bytes>& orphans() const noexcept { return orphans_; }

 private:
  void find(std::string_view key, std::string what) {
    ++report_.damaged;
    if (report_.rows.size() < VectorCheckReport::most) {
      report_.rows.push_back({std::string(key), std::move(what)});
    }
  }
  void drop(std::string_view key, std::string what) {
    to_drop_.emplace_back(key);
    find(key, std::move(what));
  }

  [[nodiscard]] Error look(std::string_view key, const ItemRow& item) {
    if (item.number >= state_.next_number) {
      drop(key, "its number is none of the collection");
      return {};
    }
    Error error =
        read_vector(operation_, tables_.vectors, item.number, vector_.size(), vector_.data());
    if (is_damage(error)) {
      drop(key, error.detail());
      return {};
    }
    if (error.failed()) return error;
    bool with_metadata = !item.metadata.empty();
    if (parse_metadata(item.metadata).is_discarded()) {
      to_strip_.emplace_back(key);
      find(key, "its metadata are no JSON object");
      with_metadata = false;
    }
    claims_.push_back(
        {item.number, std::string(key), item.expires_at, item.changed, with_metadata});
    return {};
  }

  /// Whether the number of an entry is known from elsewhere: the log, or a graph that was saved.
  [[nodiscard]] bool is_owner(const Claim& one) const {
    if (is_in_log(tables_.log, one.key, one.number, one.changed)) return true;
    return image_.read([&](const NameTable& names, auto&) {
      return names.contains(one.number) && names.key(one.number) == one.key &&
             names.changed(one.number) == one.changed;
    });
  }

  /// Finds entries with the same number.
  void find_shared() {
    std::sort(claims_.begin(), claims_.end(), [](const Claim& a, const Claim& b) {
      return std::tie(a.number, a.key) < std::tie(b.number, b.key);
    });
    std::vector<Claim> kept;
    kept.reserve(claims_.size());
    for (std::size_t i = 0; i < claims_.size();) {
      std::size_t end = i + 1;
      while (end < claims_.size() && claims_[end].number == claims_[i].number) ++end;
      std::size_t owner = end - i == 1 ? i : end;
      for (std::size_t k = i; k < end && owner == end; ++k) {
        if (is_owner(claims_[k])) owner = k;
      }
      for (; i < end; ++i) {
        if (i == owner) {
          kept.push_back(std::move(claims_[i]));
        } else {
          std::erase(to_strip_, claims_[i].key);
          drop(claims_[i].key, "its number is that of another entry too");
        }
      }
    }
    claims_ = std::move(kept);
  }

  [[nodiscard]] Error find_orphans() {
    RowCursor cursor(tables_.vectors, {}, /*keys_only=*/true);
    for (auto claim = claims_.begin(); cursor.valid(); cursor.next()) {
      bool owned = false;
      if (cursor.key().size() == 4) {
        const auto number = big_endian_at<std::uint32_t>(cursor.key(), 0);
        while (claim != claims_.end() && claim->number < number) ++claim;
        owned = claim != claims_.end() && claim->number == number;
      }
      if (owned) continue;
      ++report_.orphans;
      orphans_.emplace_back(cursor.key());
    }
    return as_error_of(operation_, cursor.status());
  }

  const char* operation_;
  const CollectionImage& image_;
  const CollectionTables& tables_;
  CallerProgress& progress_;
  StateRow state_;
  std::vector<float> vector_;
  VectorCheckReport report_;
  std::vector<Claim> claims_;
  std::vector<std::string> to_drop_;
  std::vector<std::string> to_strip_;  // of their metadata
  std::vector<Bytes> orphans_;
};

/// Makes the rows what a check says that can be kept.
[[nodiscard]] inline Error mend(CollectionCheck& check, const CollectionTables& tables,
                                RowWriter& writer) {
  bool was = false;
  for (const std::string& key : check.to_drop()) {
    if (Error error = core::erase(tables.items, key, {}, was); error.failed()) return error;
    ++check.report().removed;
  }
  for (const Bytes& key : check.orphans()) {
    if (Error error = core::erase(tables.vectors, key, {}, was); error.failed()) return error;
  }
  if (Error error = writer.start_log_anew(); error.failed()) return error;
  Bytes row;
  for (const std::string& key : check.to_strip()) {
    ItemRow item;
    Error error = core::get(tables.items, key, row);
    if (error.failed()) return error;
    if (!decode(row, item)) return damaged("repair", "a row has changed meanwhile");
    item.metadata = {};
    item.changed = writer.state().sequence;
    const RowBuilder stripped = item.encode();
    if (error = core::put(tables.items, key, stripped.view(), {}); error.failed()) return error;
    ++check.report().without_metadata;
  }
  return writer.count_anew(check.kept());
}

}  // namespace vector_detail

namespace vector_core {

using namespace vector_detail;  // NOLINT(google-build-using-namespace): the code behind these functions

SNKV_VECTOR_CODE Error verify(const Target& at, const Progress& progress, VectorCheckReport& report) {
  constexpr const char* operation = "verify";
  if (at.collection == nullptr) return closed(operation);
  return with_rows(operation, *at.collection, at.scope, [&](const CollectionTables& tables) {
    CallerProgress told(progress, &at.collection->image());
    CollectionCheck check(operation, *at.collection, tables, told);
    Error failed = check.run();
    report = std::move(check.report());
    return failed;
  });
}

SNKV_VECTOR_CODE Error repair(const Target& at, const Progress& progress, VectorCheckReport& report) {
  constexpr const char* operation = "repair";
  if (at.collection == nullptr) return closed(operation);
  if (at.scope != nullptr) return Error(Errc::invalid_argument, operation, "not inside a transaction");
  const auto work = [&](RowWriter& writer, const CollectionTables& tables) -> Error {
    CallerProgress told(progress, &at.collection->image());
    CollectionCheck check(operation, *at.collection, tables, told);
    Error failed = check.run();
    if (!failed.failed() && (check.report().damaged != 0 || check.report().orphans != 0)) {
      failed = as_error_of(operation, mend(check, tables, writer));
    }
    report = std::move(check.report());
    return failed;
  };
  return at.collection->write(operation, nullptr, {}, work);
}

}  // namespace vector_core
}  // namespace snkv
