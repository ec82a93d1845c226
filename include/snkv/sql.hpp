/// \file
/// `SqlRows`, what `Store::sql` gives: the rows of a query, for range-based `for`.
///
///     auto rows = store.sql("SELECT key, length(value) FROM sessions WHERE expires_at < ?", now);
///     for (const auto& row : *rows) use(row[0].blob(), row[1].int64());
///     if (!rows->status()) report(rows->status().error());   // did it end, or did it break?
///
/// Column families are tables: `key BLOB, expires_at INTEGER, value BLOB, large_id INTEGER,
/// large_size INTEGER`, with expired entries among the rows and the bytes of large values in side
/// tables (docs/file-format.md).
///
/// The rows are those of one moment, that of the call of `sql`. Until the last row was read, or the
/// object is destroyed, it holds back the write-ahead log like a snapshot, and counts as one.
///
/// Threads: one `SqlRows` belongs to one thread at a time; different ones are independent.
#pragma once

#include <snkv/detail/core_abi.hpp>
#include <snkv/expected.hpp>
#include <snkv/sql_value.hpp>

#include <cstddef>
#include <iterator>
#include <memory>
#include <string_view>
#include <utility>

namespace snkv {

/// The current row of a query. Valid, with all values taken from it, until the next row is read.
class SqlRow {
 public:
  [[nodiscard]] std::size_t size() const noexcept { return query_->columns; }
  /// A column, from 0; NULL when there are not so many.
  [[nodiscard]] SqlValue operator[](std::size_t column) const noexcept {
    return core::query_value(*query_, column);
  }

  /// Made by `SqlRows`.
  explicit SqlRow(const core::Query* query = nullptr) noexcept : query_(query) {}

 private:
  const core::Query* query_;
};

inline namespace SNKV_EXPECTED_NAMESPACE {

class SqlRows {
 public:
  /// An input iterator: one pass; copies share the position.
  class iterator {
   public:
    using value_type = SqlRow;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::input_iterator_tag;

    iterator() noexcept = default;
    [[nodiscard]] SqlRow operator*() const noexcept { return SqlRow(query_); }
    iterator& operator++() noexcept {
      core::query_next(*query_);
      return *this;
    }
    void operator++(int) noexcept { core::query_next(*query_); }
    friend bool operator==(const iterator& it, std::default_sentinel_t) noexcept {
      return it.query_ == nullptr || !it.query_->valid;
    }

   private:
    friend class SqlRows;
    explicit iterator(core::Query* query) noexcept : query_(query) {}
    core::Query* query_ = nullptr;
  };

  /// No rows and no columns.
  SqlRows() noexcept = default;
  /// Made by `Store::sql`.
  explicit SqlRows(core::Query* query) noexcept : query_(query) {}

  /// At the current row, the first one at first: a second loop goes on where the first one was
  /// left.
  [[nodiscard]] iterator begin() noexcept { return iterator(query_.get()); }
  [[nodiscard]] static std::default_sentinel_t end() noexcept { return {}; }

  [[nodiscard]] std::size_t column_count() const noexcept {
    return query_ == nullptr ? 0 : query_->columns;
  }
  /// The name of a column, as the query has it; lives as long as this object. Empty when there are
  /// not so many.
  [[nodiscard]] std::string_view column_name(std::size_t column) const noexcept {
    return query_ == nullptr ? std::string_view() : core::query_column_name(*query_, column);
  }

  /// Ok unless an error cut the rows short.
  [[nodiscard]] Result<void> status() const {
    return query_ == nullptr ? Result<void>() : facade::as_result(core::query_status(*query_));
  }

 private:
  struct Close {
    void operator()(core::Query* query) const noexcept { core::close_query(query); }
  };
  std::unique_ptr<core::Query, Close> query_;
};

}  // namespace SNKV_EXPECTED_NAMESPACE
}  // namespace snkv
