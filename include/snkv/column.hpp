/// \file
/// `Column<T>`: an array of any length in the file of a store, in the store's transactions;
/// `Columns`, the list of them.
///
///     auto latency = Column<double>::open(store, "latency_ms");
///     latency->append(12.3);
///     latency->extend(samples);                               // any range
///     latency->at(-1); latency->read(first, std::span(out)); latency->slice(-100, from_end(0));
///     for (double x : latency->all()) ...
///     for (std::span<const double> piece : latency->chunks()) ...   // where they lie, no copy
///     store->transact([&](Transaction& t) -> Result<void> { return latency->in(t).append(1.0); });
///
/// A column is made for appending and reading: its elements fill the pages of a tree of their own,
/// and where an element of a fixed size lies follows from its number. Inserting or erasing far from
/// the end costs as much as rewriting one piece of a page, because from then on a tree of counts
/// says where the elements are.
///
/// Whose length. A handle keeps none. It sees the length, and the elements, as of its transaction
/// or snapshot
/// (`in`), or else as of the latest commit of any thread or process.
///
/// A change is one transaction, or a part of the one that the handle is bound to: it happens as a
/// whole or not at all, elements and length together. Outside of a transaction each `append` is a
/// commit; many of them belong into one, where an append costs some nanoseconds, and its elements
/// become part of the file with the commit, a savepoint, or the next reading of the column in this
/// transaction.
///
/// Numbers of elements are `ColumnIndex`: negative ones count from the end. Errors that any
/// operation may give besides those it names: `invalid_argument` (an index out of range, with the
/// length), `dropped`, `corrupt` (with the column and the elements that are damaged), `tampered` in
/// an encrypted store, `closed`, `forked`, `io_error`, `no_memory`; what writes also `read_only` (a
/// snapshot), `busy`, `locked`, `full`, `rollback_required`, `too_large`. After an error nothing
/// has changed, unless it was met half-way in a transaction, which then can only be rolled back.
///
/// Threads: as the store for handles that are bound to nothing; one at a time for those of a
/// transaction or a snapshot. Durability: as the store's commits, `WriteOptions::sync`. Changes of
/// columns are not told to `watch` or `changes_since`.
#pragma once

#include <snkv/column_element.hpp>
#include <snkv/column_range.hpp>
#include <snkv/column_types.hpp>
#include <snkv/store.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <limits>
#include <memory>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace snkv {
inline namespace SNKV_EXPECTED_NAMESPACE {

namespace facade {

/// Elements as the core takes them, of a part of a range.
template <ColumnElement T>
class ColumnBatch {
 public:
  static constexpr std::size_t full_bytes = 1 << 20;

  void add(const T& element) {
    ++count_;
    if constexpr (FixedElement<T>) {
      bytes_.insert(bytes_.end(), reinterpret_cast<const std::byte*>(&element),
                    reinterpret_cast<const std::byte*>(&element) + sizeof(T));
    } else {
      const BytesView encoded = ColumnElementTraits<T>::encode(element, scratch_);
      sizes_.push_back(encoded.size());
      bytes_.insert(bytes_.end(), encoded.data(), encoded.data() + encoded.size());
    }
  }
  [[nodiscard]] bool full() const noexcept {
    return bytes_.size() + 16 * sizes_.size() >= full_bytes;
  }
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  [[nodiscard]] core::ColumnData data() {
    if constexpr (FixedElement<T>) {
      return {BytesView(bytes_.data(), bytes_.size()), nullptr, count_};
    } else {
      items_.clear();
      std::size_t at = 0;
      for (const std::size_t size : sizes_) {
        items_.emplace_back(bytes_.data() + at, size);
        at += size;
      }
      return {{}, items_.data(), items_.size()};
    }
  }
  void clear() noexcept {
    bytes_.clear();
    sizes_.clear();
    count_ = 0;
  }

 private:
  std::vector<std::byte> bytes_;
  std::vector<std::size_t> sizes_;
  std::vector<BytesView> items_;
  Bytes scratch_;
  std::uint64_t count_ = 0;
};

/// Several writes that happen together: in a transaction of their own, or behind a savepoint of the
/// caller's.
class ColumnWrites {
 public:
  explicit ColumnWrites(core::ColumnTarget column) : column_(std::move(column)) {}
  ColumnWrites(const ColumnWrites&) = delete;
  ColumnWrites& operator=(const ColumnWrites&) = delete;
  ~ColumnWrites() {
    if (!open_) return;
    if (own_) {
      core::abandon(column_.target);
    } else {
      core::savepoint_abandon(column_.target, savepoint_);
    }
  }
  [[nodiscard]] Error begin(const WriteOptions& options) {
    own_ = column_.target.scope == nullptr;
    Error error;
    if (own_) {
      core::Target transaction;
      error = core::begin(column_.target, options, transaction);
      if (!error.failed()) column_.target.scope = transaction.scope;
    } else {
      error = core::savepoint(column_.target, savepoint_);
    }
    open_ = !error.failed();
    return error;
  }
  [[nodiscard]] Error end() {
    Error error =
        own_ ? core::commit(column_.target) : core::savepoint_release(column_.target, savepoint_);
    if (!error.failed()) open_ = false;
    return error;
  }
  [[nodiscard]] bool is_open() const noexcept { return open_; }
  [[nodiscard]] const core::ColumnTarget& column() const noexcept { return column_; }

 private:
  core::ColumnTarget column_;
  bool own_ = false;
  bool open_ = false;
  std::uint64_t savepoint_ = 0;
};

}  // namespace facade

template <facade::ColumnElement T>
class Column {
 public:
  using value_type = T;

  /// Refers to nothing; every use gives `Errc::closed`.
  Column() noexcept = default;

  /// The column `name`, made if there is none, in a store, or as a part of a transaction. Names
  /// have 1 to 255 bytes of UTF-8 without NUL. `schema_mismatch`, with both types, for a column of
  /// another type; `invalid_argument` (the name); in a snapshot `not_found`. O(log n).
  [[nodiscard]] static Result<Column> open(const EntryReader& where, std::string_view name) {
    return open_as(where, name, core::FamilyMode::open_or_create);
  }
  /// A new column; `exists` if there is one of that name.
  [[nodiscard]] static Result<Column> create(const EntryReader& where, std::string_view name) {
    return open_as(where, name, core::FamilyMode::create);
  }
  /// The column `name`; `not_found` if there is none.
  [[nodiscard]] static Result<Column> open_existing(const EntryReader& where,
                                                    std::string_view name) {
    return open_as(where, name, core::FamilyMode::open);
  }

  /// The same column as a part of a transaction, as a snapshot has it, or of the latest commit (a
  /// store).
  [[nodiscard]] Column in(const EntryReader& where) const {
    Column out;
    out.column_ = {{facade::Door::target(where).store, column_.target.family,
                    facade::Door::target(where).scope},
                   column_.name};
    return out;
  }

  /// The name that it was opened with.
  [[nodiscard]] std::string_view name() const noexcept { return column_.name; }

  // ---- Reading ----

  /// Number of elements. O(log n).
  [[nodiscard]] Result<std::uint64_t> size() const {
    std::uint64_t out = 0;
    Error error = core::column_size(column_, out);
    return facade::as_result(std::move(error), std::move(out));
  }

  /// The element `index`; `invalid_argument` if there is none. O(log n).
  [[nodiscard]] Result<T> at(ColumnIndex index) const {
    std::vector<T> unused;
    Reading reading{nullptr, 0, &unused, {}};
    T element{};
    if constexpr (facade::FixedElement<T>) reading.out = reinterpret_cast<std::byte*>(&element);
    std::uint64_t got = 0;
    Error error = core::column_read("column at", column_,
                                    {index, from_end(0), 1, 1, core::ColumnSlice::Must::element},
                                    reading.sink(), got);
    if (!error.failed()) error = std::move(reading.undecodable);
    if (error.failed()) return Unexpected(std::move(error));
    if constexpr (facade::FixedElement<T>) {
      normalise(&element, 1);
      return element;
    } else {
      return std::move(unused.front());
    }
  }

  /// Fills `out` from the element `first` on; how many there were, fewer than asked for only at the
  /// end. `invalid_argument` if `first` is behind the end. Numbers are copied as they lie, arrays
  /// as the rows of one matrix. O(log n + elements).
  [[nodiscard]] Result<std::size_t> read(ColumnIndex first, std::span<T> out) const {
    std::vector<T> elements;
    Reading reading{facade::FixedElement<T> ? reinterpret_cast<std::byte*>(out.data()) : nullptr,
                    0,
                    &elements,
                    {}};
    std::uint64_t got = 0;
    const core::ColumnSlice wanted{first, from_end(0), 1, out.size(),
                                   core::ColumnSlice::Must::place};
    Error error = core::column_read("column read", column_, wanted, reading.sink(), got);
    if (!error.failed()) error = std::move(reading.undecodable);
    if (error.failed()) return Unexpected(std::move(error));
    if constexpr (facade::FixedElement<T>) {
      normalise(out.data(), got);
    } else {
      std::ranges::move(elements, out.begin());
    }
    return std::size_t{got};
  }

  /// The elements from `first` to before `last`, every `step`th of them; from behind if `step` is
  /// negative, beginning with the one before `last`. Like a slice of a list it is clipped to what
  /// there is. `invalid_argument` for a step of 0. O(log n + elements from first to last, if they
  /// are close together).
  [[nodiscard]] Result<std::vector<T>> slice(ColumnIndex first, ColumnIndex last = from_end(0),
                                             std::int64_t step = 1) const {
    std::vector<T> elements;
    Reading reading{nullptr, 0, &elements, {}};
    std::uint64_t got = 0;
    const core::ColumnSlice wanted{first, last, step};
    Error error;
    if constexpr (std::same_as<T, bool>) {
      std::vector<std::byte> raw;
      Reading bytes{nullptr, 0, nullptr, {}, &raw};
      error = core::column_read("column slice", column_, wanted, bytes.sink(), got);
      for (const std::byte element : raw) elements.push_back(element != std::byte{0});
    } else {
      error = core::column_read("column slice", column_, wanted, reading.sink(), got);
    }
    if (!error.failed()) error = std::move(reading.undecodable);
    return facade::as_result(std::move(error), std::move(elements));
  }

  /// A loop over the elements from `first` to before `last`, clipped (see column_range.hpp).
  [[nodiscard]] ColumnRange<T> all(ColumnIndex first = 0, ColumnIndex last = from_end(0)) const {
    return ColumnRange<T>(core::open_column_scan(column_, {first, last}, 1));
  }
  /// The same in pieces, where they lie. For elements of a fixed size.
  [[nodiscard]] ColumnChunks<T> chunks(ColumnIndex first = 0, ColumnIndex last = from_end(0)) const
      requires(facade::FixedElement<T> && !std::same_as<T, bool>) {
    return ColumnChunks<T>(core::open_column_scan(column_, {first, last}, alignof(T)));
  }

  [[nodiscard]] Result<ColumnStats> stats() const {
    ColumnStats out;
    Error error = core::column_stats(column_, out);
    return facade::as_result(std::move(error), std::move(out));
  }

  // ---- Writing ----

  /// Puts an element at the end. In a transaction O(1); else a commit.
  [[nodiscard]] Result<void> append(const T& element, const WriteOptions& options = {}) {
    if constexpr (facade::FixedElement<T>) {
      if (tail_ != nullptr && static_cast<std::size_t>(tail_->end - tail_->next) >= sizeof(T)) {
        std::memcpy(tail_->next, &element, sizeof(T));
        tail_->next += sizeof(T);
        return {};
      }
      return append_bytes({&element, sizeof(T)}, options);
    } else {
      if (Error refused = check("column append", std::span<const T>(&element, 1));
          refused.failed()) {
        return Unexpected(std::move(refused));
      }
      Bytes scratch;
      const BytesView encoded = ColumnElementTraits<T>::encode(element, scratch);
      if (tail_ != nullptr && tail_->next != nullptr && encoded.size() < (std::size_t{1} << 31) &&
          static_cast<std::size_t>(tail_->end - tail_->next) >= encoded.size() + 4) {
        const auto size = static_cast<std::uint32_t>(encoded.size());
        std::memcpy(tail_->next, &size, 4);
        if (size != 0) std::memcpy(tail_->next + 4, encoded.data(), size);
        tail_->next += 4 + std::size_t{size};
        return {};
      }
      return append_bytes(encoded, options);
    }
  }

  /// Puts all elements of a range at the end; how many they were. All of them or none, also if they
  /// are made while they are read and that throws. A contiguous range of T is taken as it lies.
  /// O(elements).
  template <std::ranges::input_range R>
  requires std::convertible_to<std::ranges::range_reference_t<R>, T>
  [[nodiscard]] Result<std::uint64_t> extend(R&& range, const WriteOptions& options = {}) {
    constexpr const char* operation = "column extend";
    if constexpr (std::ranges::contiguous_range<R> && std::ranges::sized_range<R> &&
                  std::same_as<std::ranges::range_value_t<R>, T>) {
      const auto size = static_cast<std::size_t>(std::ranges::size(range));
      return insert_span(operation, from_end(0), std::span<const T>(std::ranges::data(range), size),
                         options);
    } else {
      facade::ColumnBatch<T> batch;
      facade::ColumnWrites writes(column_);
      std::uint64_t total = 0;
      const auto write = [&](const core::ColumnTarget& column) -> Error {
        total += batch.count();
        Error error =
            core::column_splice(operation, column, from_end(0), from_end(0), batch.data(), options);
        batch.clear();
        return error;
      };
      for (auto&& element : range) {
        if (batch.full()) {
          if (!writes.is_open()) {
            if (Error error = writes.begin(options); error.failed())
              return Unexpected(std::move(error));
          }
          if (Error error = write(writes.column()); error.failed())
            return Unexpected(std::move(error));
        }
        const T converted = static_cast<T>(std::forward<decltype(element)>(element));
        if (Error refused = check(operation, std::span<const T>(&converted, 1)); refused.failed()) {
          return Unexpected(std::move(refused));
        }
        batch.add(converted);
      }
      Error error = write(writes.is_open() ? writes.column() : column_);
      if (!error.failed() && writes.is_open()) error = writes.end();
      return facade::as_result(std::move(error), std::move(total));
    }
  }

  /// Changes one element; `invalid_argument` if there is none. O(log n).
  [[nodiscard]] Result<void> set(ColumnIndex index, const T& element,
                                 const WriteOptions& options = {}) {
    const std::span<const T> one(&element, 1);
    if (Error refused = check("column set", one); refused.failed())
      return Unexpected(std::move(refused));
    Elements elements(one);
    return facade::as_result(
        core::column_replace("column set", column_, index, elements.data(), options));
  }

  /// Changes as many elements as `elements` has, from `first` on; `invalid_argument` if there are
  /// not so many. O(log n + elements).
  [[nodiscard]] Result<void> replace(ColumnIndex first, std::span<const T> elements,
                                     const WriteOptions& options = {}) {
    if (Error refused = check("column replace", elements); refused.failed())
      return Unexpected(std::move(refused));
    Elements data(elements);
    return facade::as_result(
        core::column_replace("column replace", column_, first, data.data(), options));
  }
  /// Puts elements in the place of those from `first` to before `last`, which may be fewer or more.
  [[nodiscard]] Result<void> splice(ColumnIndex first, ColumnIndex last,
                                    std::span<const T> elements, const WriteOptions& options = {}) {
    if (Error refused = check("column splice", elements); refused.failed())
      return Unexpected(std::move(refused));
    Elements data(elements);
    return facade::as_result(
        core::column_splice("column splice", column_, first, last, data.data(), options));
  }

  /// Puts elements before the one with the number `index`, which may be the end. O(log n +
  /// elements): what is behind does not move.
  [[nodiscard]] Result<void> insert(ColumnIndex index, std::span<const T> elements,
                                    const WriteOptions& options = {}) {
    auto inserted = insert_span("column insert", index, elements, options);
    if (!inserted) return Unexpected(std::move(inserted).error());
    return {};
  }
  [[nodiscard]] Result<void> insert(ColumnIndex index, const T& element,
                                    const WriteOptions& options = {}) {
    return insert(index, std::span<const T>(&element, 1), options);
  }

  /// Removes the elements from `first` to before `last`. O(log n + elements); space goes to other
  /// uses of the file.
  [[nodiscard]] Result<void> erase(ColumnIndex first, ColumnIndex last,
                                   const WriteOptions& options = {}) {
    return facade::as_result(
        core::column_splice("column erase", column_, first, last, {}, options));
  }

  /// Makes it shorter, or longer by copies of `fill`. O(difference).
  [[nodiscard]] Result<void> resize(std::uint64_t length, const T& fill = T(),
                                    const WriteOptions& options = {}) {
    if (Error refused = check("column resize", std::span<const T>(&fill, 1)); refused.failed()) {
      return Unexpected(std::move(refused));
    }
    Bytes scratch;
    return facade::as_result(
        core::column_resize(column_, length, bytes_of_element(fill, scratch), options));
  }
  /// Removes all elements. O(pages).
  [[nodiscard]] Result<void> clear(const WriteOptions& options = {}) {
    return facade::as_result(
        core::column_splice("column clear", column_, 0, from_end(0), {}, options));
  }

 private:
  /// Where elements go that the core reads.
  struct Reading {
    std::byte* out = nullptr;  // if the place is known before
    std::uint64_t at = 0;
    std::vector<T>* elements = nullptr;
    Error undecodable;
    std::vector<std::byte>* raw = nullptr;

    [[nodiscard]] core::ColumnSink sink() noexcept { return {this, &reserve, &item}; }
    static std::byte* reserve(void* context, std::uint64_t count) {
      auto& self = *static_cast<Reading*>(context);
      if constexpr (facade::FixedElement<T> && std::same_as<T, bool>) {
        if (self.raw != nullptr) {
          self.raw->resize(count);
          return self.raw->data();
        }
      } else if constexpr (facade::FixedElement<T>) {
        if (self.out == nullptr) {
          self.elements->resize(count);
          return reinterpret_cast<std::byte*>(self.elements->data());
        }
      } else {
        self.elements->reserve(count);
      }
      return self.out;
    }
    static void item(void* context, BytesView bytes) {
      if constexpr (!facade::FixedElement<T>) {
        auto& self = *static_cast<Reading*>(context);
        if (self.undecodable.failed()) return;
        Result<T> decoded = ColumnElementTraits<T>::decode(bytes);
        if (decoded) {
          self.elements->push_back(*std::move(decoded));
        } else {
          self.undecodable = std::move(decoded).error();
        }
      } else {
        static_cast<void>(context);
        static_cast<void>(bytes);
      }
    }
  };

  /// Elements as the core takes them; good as long as the span.
  class Elements {
   public:
    explicit Elements(std::span<const T> elements) : elements_(elements) {
      if constexpr (!facade::FixedElement<T>) {
        scratch_.resize(elements.size());
        items_.reserve(elements.size());
        for (std::size_t i = 0; i < elements.size(); ++i) {
          items_.push_back(ColumnElementTraits<T>::encode(elements[i], scratch_[i]));
        }
      }
    }
    [[nodiscard]] core::ColumnData data() const noexcept {
      if constexpr (facade::FixedElement<T>) {
        return {BytesView(elements_.data(), elements_.size_bytes()), nullptr, elements_.size()};
      } else {
        return {{}, items_.data(), items_.size()};
      }
    }

   private:
    std::span<const T> elements_;
    std::vector<BytesView> items_;
    std::vector<Bytes> scratch_;
  };

  [[nodiscard]] static Result<Column> open_as(const EntryReader& where, std::string_view name,
                                              core::FamilyMode mode) {
    const std::string type = ColumnElementTraits<T>::name();
    core::ColumnType wanted{type, ColumnElementTraits<T>::size, 1};
    if constexpr (facade::FixedElement<T>) wanted.granule = ColumnElementTraits<T>::granule;
    Column out;
    Error error = core::open_column(facade::Door::target(where), name, wanted, mode, out.column_);
    return facade::as_result(std::move(error), std::move(out));
  }

  /// Of types that have elements which are refused.
  [[nodiscard]] Error check([[maybe_unused]] const char* operation,
                            [[maybe_unused]] std::span<const T> elements) const {
    if constexpr (requires { ColumnElementTraits<T>::check(elements[0]); }) {
      for (const T& element : elements) {
        if (Result<void> fits = ColumnElementTraits<T>::check(element); !fits) {
          const Error& why = fits.error();
          return Error(why.code(), operation, column_.name + ": " + why.detail());
        }
      }
    }
    return {};
  }

  [[nodiscard]] Result<std::uint64_t> insert_span(const char* operation, ColumnIndex index,
                                                  std::span<const T> elements,
                                                  const WriteOptions& options) {
    if (Error refused = check(operation, elements); refused.failed())
      return Unexpected(std::move(refused));
    Elements data(elements);
    Error error = core::column_splice(operation, column_, index, index, data.data(), options);
    return facade::as_result(std::move(error), std::uint64_t{elements.size()});
  }

  [[nodiscard]] Result<void> append_bytes(BytesView bytes, const WriteOptions& options) {
    return facade::as_result(core::column_append(column_, bytes, options, tail_));
  }

  [[nodiscard]] static BytesView bytes_of_element(const T& element, Bytes& scratch) {
    if constexpr (facade::FixedElement<T>) {
      static_cast<void>(scratch);
      return {&element, sizeof(T)};
    } else {
      return ColumnElementTraits<T>::encode(element, scratch);
    }
  }

  /// A byte that is no bool, in a damaged file, must not become one.
  static void normalise([[maybe_unused]] T* elements, [[maybe_unused]] std::size_t count) noexcept {
    if constexpr (std::same_as<T, bool>) {
      auto* const bytes = reinterpret_cast<unsigned char*>(elements);
      for (std::size_t i = 0; i < count; ++i) bytes[i] = bytes[i] != 0 ? 1 : 0;
    }
  }

  core::ColumnTarget column_;
  std::shared_ptr<core::ColumnTail> tail_;  // of the transaction that it is bound to
};

/// The columns of a store, as of the latest commit, or of a transaction or a snapshot.
class Columns {
 public:
  explicit Columns(const EntryReader& where) : target_(facade::Door::target(where)) {}

  /// All columns in the order of their names, as of one moment. O(columns).
  [[nodiscard]] Result<std::vector<ColumnInfo>> list() const {
    std::vector<ColumnInfo> out;
    Error error = core::list_columns(target_, out);
    return facade::as_result(std::move(error), std::move(out));
  }
  /// Removes a column with all its elements: `not_found`. Its handles then give `dropped`, also
  /// when there is another one of that name. O(pages).
  [[nodiscard]] Result<void> drop(std::string_view name) {
    return facade::as_result(core::drop_column(target_, name));
  }
  /// Gives a column another name: `not_found`, `exists`. Its handles stay good. O(log n).
  [[nodiscard]] Result<void> rename(std::string_view from, std::string_view to) {
    return facade::as_result(core::rename_column(target_, from, to));
  }

 private:
  core::Target target_;
};

}  // namespace SNKV_EXPECTED_NAMESPACE
}  // namespace snkv
