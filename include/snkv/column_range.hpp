/// \file
/// Loops over columns: `ColumnRange`, element by element, and `ColumnChunks`, in pieces where they
/// lie. Part of <snkv/column.hpp>.
///
///     auto loop = column.all();
///     for (double x : loop) ...
///     loop.status();                      // how it ended: ok, or an error
///
/// A loop reads from a snapshot that it takes when it is made, and that holds back the log like any
/// other, unless its column is bound to a transaction or a snapshot: then it reads from there. In a
/// transaction it sees changes that are made meanwhile, up to the length that the column had at its
/// beginning.
///
/// Each loop is to be gone through once. Threads: one at a time for each loop.
#pragma once

#include <snkv/column_element.hpp>
#include <snkv/detail/core_abi.hpp>
#include <snkv/expected.hpp>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>
#include <variant>

namespace snkv {
inline namespace SNKV_EXPECTED_NAMESPACE {
namespace facade {

struct CloseColumnScan {
  void operator()(core::ColumnScan* scan) const noexcept { core::close_column_scan(scan); }
};
using ColumnScanPointer = std::unique_ptr<core::ColumnScan, CloseColumnScan>;

}  // namespace facade

/// The elements of a column, or of a part of it, in pieces: a `std::span<const T>` each, in order.
///
/// A span lies where the store has its elements, without a copy, if the column is not encrypted and
/// does not belong to a transaction, and the span is aligned for T, as it is for all but a few
/// small pieces. Else it lies in a buffer of the loop. Either way it is good until the iterator
/// moves or the loop goes away. `T` has a fixed size and is not `bool`.
template <class T>
class ColumnChunks {
 public:
  class Iterator {
   public:
    using iterator_concept = std::input_iterator_tag;
    using iterator_category = std::input_iterator_tag;
    using value_type = std::span<const T>;
    using difference_type = std::ptrdiff_t;
    using pointer = const value_type*;
    using reference = value_type;

    Iterator() noexcept = default;
    explicit Iterator(core::ColumnScan* scan) noexcept : scan_(scan) {}
    [[nodiscard]] std::span<const T> operator*() const noexcept {
      // The bytes are those of objects of a trivially copyable type, which the file keeps as they
      // were.
      return {reinterpret_cast<const T*>(scan_->data), scan_->count};
    }
    /// Number of the first element of the piece.
    [[nodiscard]] std::uint64_t first() const noexcept { return scan_->first; }
    Iterator& operator++() noexcept {
      core::column_scan_next(*scan_);
      return *this;
    }
    void operator++(int) noexcept { ++*this; }
    [[nodiscard]] friend bool operator==(const Iterator& a, std::default_sentinel_t) noexcept {
      return a.scan_ == nullptr || a.scan_->count == 0;
    }

   private:
    core::ColumnScan* scan_ = nullptr;
  };

  explicit ColumnChunks(core::ColumnScan* scan) noexcept : scan_(scan) {}
  [[nodiscard]] Iterator begin() noexcept {
    core::column_scan_next(*scan_);
    return Iterator(scan_.get());
  }
  [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }
  /// How the loop ended, or why it did not begin.
  [[nodiscard]] Result<void> status() const {
    return facade::as_result(core::column_scan_status(*scan_));
  }

 private:
  facade::ColumnScanPointer scan_;
};

/// The elements of a column, or of a part of it, one by one: values of `T`; for `std::string` and
/// `Bytes` views that are good until the iterator moves.
template <facade::ColumnElement T>
class ColumnRange {
 public:
  using value_type = typename facade::ElementView<T>::Type;

  class Iterator {
   public:
    using iterator_concept = std::input_iterator_tag;
    using iterator_category = std::input_iterator_tag;
    using value_type = ColumnRange::value_type;
    using difference_type = std::ptrdiff_t;
    using pointer = void;
    using reference = value_type;

    Iterator() noexcept = default;
    explicit Iterator(ColumnRange* range) noexcept : range_(range) { range_->settle(); }
    [[nodiscard]] value_type operator*() const noexcept(facade::FixedElement<T>) {
      return range_->current(at_);
    }
    /// Number of the element.
    [[nodiscard]] std::uint64_t index() const noexcept { return range_->scan_->first + at_; }
    Iterator& operator++() noexcept(facade::FixedElement<T>) {
      if (++at_ == range_->scan_->count) {
        at_ = 0;
        core::column_scan_next(*range_->scan_);
      }
      if constexpr (!facade::FixedElement<T>) range_->settle(at_);
      return *this;
    }
    void operator++(int) noexcept(facade::FixedElement<T>) { ++*this; }
    [[nodiscard]] friend bool operator==(const Iterator& a, std::default_sentinel_t) noexcept {
      return a.ended();
    }

   private:
    [[nodiscard]] bool ended() const noexcept { return range_ == nullptr || range_->ended(); }

    ColumnRange* range_ = nullptr;
    std::uint64_t at_ = 0;
  };

  explicit ColumnRange(core::ColumnScan* scan) noexcept : scan_(scan) {}
  [[nodiscard]] Iterator begin() {
    core::column_scan_next(*scan_);
    return Iterator(this);
  }
  [[nodiscard]] std::default_sentinel_t end() const noexcept { return {}; }
  /// How the loop ended, or why it did not begin: also `corrupt` for an element that cannot be
  /// decoded.
  [[nodiscard]] Result<void> status() const {
    if (undecodable_.failed()) return Unexpected(Error(undecodable_));
    return facade::as_result(core::column_scan_status(*scan_));
  }

 private:
  static constexpr bool has_view = requires { typename ColumnElementTraits<T>::View; };

  [[nodiscard]] bool ended() const noexcept { return scan_->count == 0 || undecodable_.failed(); }
  /// Decodes an element before anybody looks, so that one that cannot be ends the loop.
  void settle(std::uint64_t at = 0) {
    if constexpr (!facade::FixedElement<T> && !has_view) {
      if (scan_->count == 0) return;
      Result<T> decoded = ColumnElementTraits<T>::decode(scan_->items[at]);
      if (decoded) {
        decoded_ = *std::move(decoded);
      } else {
        undecodable_ = std::move(decoded).error();
      }
    } else {
      static_cast<void>(at);
    }
  }
  [[nodiscard]] value_type current(std::uint64_t at) const {
    if constexpr (std::same_as<T, bool>) {
      return scan_->data[at] != std::byte{0};
    } else if constexpr (facade::FixedElement<T>) {
      T out;
      std::memcpy(&out, scan_->data + at * sizeof(T), sizeof(T));
      return out;
    } else if constexpr (has_view) {
      return ColumnElementTraits<T>::view(scan_->items[at]);
    } else {
      return decoded_;
    }
  }

  facade::ColumnScanPointer scan_;
  [[no_unique_address]] std::conditional_t<!facade::FixedElement<T> && !has_view, T, std::monostate>
      decoded_{};
  Error undecodable_;
};

}  // namespace SNKV_EXPECTED_NAMESPACE
}  // namespace snkv
