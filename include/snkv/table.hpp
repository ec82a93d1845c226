/// \file
/// `Table`: several columns of one length, appended and read by row.
///
///     auto trades = Table<std::int64_t, double, std::string>::open(store, "trades", {"time",
///     "price", "symbol"}); trades->append({now, 12.5, "SNKV"}); for (const auto& [time, price,
///     symbol] : *trades->rows(-100, from_end(0))) ... trades->column<1>().chunks(); // one column,
///     as any other
///
/// The columns are called `trades.time` and so on, and are columns like others: they may be read
/// one by one. What changes one of them alone makes their lengths differ; the table then gives
/// `schema_mismatch` with the lengths, until they agree again. Views, transactions, threads and
/// durability are those of `Column`.
#pragma once

#include <snkv/column.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <ranges>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace snkv {
inline namespace SNKV_EXPECTED_NAMESPACE {

template <facade::ColumnElement... Ts>
requires(sizeof...(Ts) > 0) class Table {
 public:
  using Row = std::tuple<Ts...>;
  using Names = std::array<std::string_view, sizeof...(Ts)>;

  /// Refers to nothing; every use gives `Errc::closed`.
  Table() noexcept = default;

  /// The table `name` with these columns, made if there are none: in one transaction. Errors as of
  /// `Column::open`.
  [[nodiscard]] static Result<Table> open(const EntryReader& where, std::string_view name,
                                          const Names& fields) {
    Table out;
    out.target_ = facade::Door::target(where);
    // All of its columns or none.
    if (out.target_.scope == nullptr) {
      core::Target transaction;
      if (Error error = out.open_columns(where, name, fields, core::FamilyMode::open);
          !error.failed())
        return out;
      if (Error error = core::begin(out.target_, {}, transaction); error.failed()) {
        return Unexpected(std::move(error));
      }
      Transaction inside(transaction);
      Error error = out.open_columns(inside, name, fields, core::FamilyMode::open_or_create);
      if (error.failed()) return Unexpected(std::move(error));
      if (auto committed = inside.commit(); !committed)
        return Unexpected(std::move(committed).error());
      out = out.in(where);
      return out;
    }
    Error error = out.open_columns(where, name, fields, core::FamilyMode::open_or_create);
    return facade::as_result(std::move(error), std::move(out));
  }

  /// The same table as a part of a transaction, as a snapshot has it, or of the latest commit (a
  /// store).
  [[nodiscard]] Table in(const EntryReader& where) const {
    Table out;
    out.target_ = facade::Door::target(where);
    std::apply([&](const auto&... columns) { out.columns_ = {columns.in(where)...}; }, columns_);
    return out;
  }

  /// A column of it, in the same view.
  template <std::size_t I>
  [[nodiscard]] const auto& column() const noexcept {
    return std::get<I>(columns_);
  }

  /// Number of rows; `schema_mismatch` if the columns differ in length.
  [[nodiscard]] Result<std::uint64_t> size() const {
    return in_one_view([](const Table& view) { return view.length(); });
  }

  /// The row `index`; `invalid_argument` if there is none. O(columns * log n).
  [[nodiscard]] Result<Row> row(ColumnIndex index) const {
    return in_one_view([&](const Table& view) -> Result<Row> {
      if (auto checked = view.length(); !checked) return Unexpected(std::move(checked).error());
      Row out;
      Error error = view.each([&]<std::size_t I>(const auto& column) -> Error {
        auto element = column.at(index);
        if (!element) return std::move(element).error();
        std::get<I>(out) = *std::move(element);
        return {};
      });
      return facade::as_result(std::move(error), std::move(out));
    });
  }

  /// The rows from `first` to before `last`, as of one moment; clipped to what there is, like
  /// `Column::slice`.
  [[nodiscard]] Result<std::vector<Row>> rows(ColumnIndex first = 0,
                                              ColumnIndex last = from_end(0)) const {
    return in_one_view([&](const Table& view) -> Result<std::vector<Row>> {
      if (auto checked = view.length(); !checked) return Unexpected(std::move(checked).error());
      std::vector<Row> out;
      Error error = view.each([&]<std::size_t I>(const auto& column) -> Error {
        auto elements = column.slice(first, last);
        if (!elements) return std::move(elements).error();
        out.resize(elements->size());
        for (std::size_t i = 0; i < elements->size(); ++i)
          std::get<I>(out[i]) = std::move((*elements)[i]);
        return {};
      });
      return facade::as_result(std::move(error), std::move(out));
    });
  }

  /// Puts a row at the end, all of it or nothing.
  [[nodiscard]] Result<void> append(const Row& row, const WriteOptions& options = {}) {
    if (target_.scope != nullptr) return append_inside(row);
    return in_transaction(options, [&](Table& inside) { return inside.append_inside(row); });
  }

  /// Puts all rows of a range at the end, all of them or none; how many they were.
  template <std::ranges::input_range R>
  requires std::convertible_to<std::ranges::range_reference_t<R>, Row>
  [[nodiscard]] Result<std::uint64_t> extend(R&& range, const WriteOptions& options = {}) {
    std::uint64_t count = 0;
    auto done = in_transaction(options, [&](Table& inside) -> Result<void> {
      for (auto&& element : range) {
        const Row row = std::forward<decltype(element)>(element);
        if (auto appended = inside.append_inside(row); !appended) return appended;
        ++count;
      }
      return {};
    });
    if (!done) return Unexpected(std::move(done).error());
    return count;
  }

  /// Removes the rows from `first` to before `last`.
  [[nodiscard]] Result<void> erase(ColumnIndex first, ColumnIndex last,
                                   const WriteOptions& options = {}) {
    return in_transaction(options, [&](Table& inside) -> Result<void> {
      if (auto checked = inside.length(); !checked) return Unexpected(std::move(checked).error());
      return facade::as_result(inside.each([&]<std::size_t I>(auto& column) -> Error {
        auto erased = column.erase(first, last);
        return erased ? Error() : std::move(erased).error();
      }));
    });
  }

 private:
  /// Calls `use<I>(column)` until one gives an error.
  template <class Self, class Use>
  [[nodiscard]] static Error each_of(Self& self, Use&& use) {
    Error error;
    [&]<std::size_t... Is>(std::index_sequence<Is...>) {
      static_cast<void>(
          (... && !(error = use.template operator()<Is>(std::get<Is>(self.columns_))).failed()));
    }
    (std::index_sequence_for<Ts...>());
    return error;
  }
  template <class Use>
  [[nodiscard]] Error each(Use&& use) {
    return each_of(*this, use);
  }
  template <class Use>
  [[nodiscard]] Error each(Use&& use) const {
    return each_of(*this, use);
  }

  [[nodiscard]] Error open_columns(const EntryReader& where, std::string_view name,
                                   const Names& fields, core::FamilyMode mode) {
    return each([&]<std::size_t I>(auto& column) -> Error {
      using Which = std::remove_reference_t<decltype(column)>;
      const std::string full = std::string(name) + "." + std::string(fields[I]);
      auto opened = mode == core::FamilyMode::open ? Which::open_existing(where, full)
                                                   : Which::open(where, full);
      if (!opened) return std::move(opened).error();
      column = *std::move(opened);
      return {};
    });
  }

  [[nodiscard]] Result<std::uint64_t> length() const {
    std::array<std::uint64_t, sizeof...(Ts)> lengths{};
    Error error = each([&]<std::size_t I>(const auto& column) -> Error {
      auto size = column.size();
      if (!size) return std::move(size).error();
      lengths[I] = *size;
      return {};
    });
    if (error.failed()) return Unexpected(std::move(error));
    for (std::size_t i = 1; i < lengths.size(); ++i) {
      if (lengths[i] == lengths[0]) continue;
      std::string what;
      static_cast<void>(each([&]<std::size_t I>(const auto& column) -> Error {
        what += (I == 0 ? "" : ", ") + std::string(column.name()) + " has " +
                std::to_string(lengths[I]);
        return {};
      }));
      return Unexpected(
          Error(Errc::schema_mismatch, "table", "the columns differ in length: " + what));
    }
    return lengths[0];
  }

  [[nodiscard]] Result<void> append_inside(const Row& row) {
    return facade::as_result(each([&]<std::size_t I>(auto& column) -> Error {
      auto appended = column.append(std::get<I>(row));
      return appended ? Error() : std::move(appended).error();
    }));
  }

  /// Runs `body(table)` with all columns as of one moment.
  template <class Body>
  [[nodiscard]] std::invoke_result_t<Body&, const Table&> in_one_view(Body&& body) const {
    if (target_.scope != nullptr || target_.store == nullptr) return body(*this);
    core::Target view;
    if (Error error = core::snapshot(target_, view); error.failed())
      return Unexpected(std::move(error));
    return body(in(Snapshot(view)));
  }

  /// Runs `body(table)` in a transaction of its own, or behind a savepoint of the one that it is
  /// bound to.
  template <class Body>
  [[nodiscard]] Result<void> in_transaction(const WriteOptions& options, Body&& body) {
    facade::ColumnWrites writes(core::ColumnTarget{target_, {}});
    if (Error error = writes.begin(options); error.failed()) return Unexpected(std::move(error));
    Table inside = in(facade::Door::store(writes.column().target));
    if (Result<void> done = body(inside); !done) return done;
    // In a transaction lengths that differ are noticed here at the latest.
    if (auto checked = inside.length(); !checked) return Unexpected(std::move(checked).error());
    return facade::as_result(writes.end());
  }

  core::Target target_;
  std::tuple<Column<Ts>...> columns_;
};

}  // namespace SNKV_EXPECTED_NAMESPACE
}  // namespace snkv
