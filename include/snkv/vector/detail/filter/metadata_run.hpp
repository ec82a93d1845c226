/// \file
/// Fields of some documents, sorted by path and value: what `MetadataIndex` looks things up in.
#pragma once

#include <snkv/vector/detail/base/byte_stream.hpp>
#include <snkv/vector/filter.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace snkv::vector_detail {

/// What a value is sorted as. The values are part of the file format.
enum class FieldType : std::uint8_t {
  null = 0,
  boolean = 1,
  integer = 2,           ///< what fits into 64 bits with a sign
  unsigned_integer = 3,  ///< what is greater
  real = 4,
  text = 5,
  long_text = 6,  ///< longer than `longest_text`: only that there is one
  compound = 7,   ///< an array, an object, or not a number: only that there is one
};
inline constexpr std::size_t field_types = 8;
/// Texts up to this are in the index.
inline constexpr std::size_t longest_text = 512;

/// Whether a value is what the path leads to, or an element of the array there.
enum class FieldPlace : std::uint8_t { direct = 0, element = 1 };

struct FieldKind {
  FieldType type = FieldType::null;
  FieldPlace place = FieldPlace::direct;
  friend auto operator<=>(const FieldKind&, const FieldKind&) = default;
};

/// A value of a type that is known: numbers and booleans in `bits`, texts in `text`.
struct FieldValue {
  std::uint64_t bits = 0;
  std::string_view text{};
};

[[nodiscard]] inline std::pair<FieldType, FieldValue> field_of(const Json& json) {
  switch (json.type()) {
    case Json::value_t::null:
      return {FieldType::null, {}};
    case Json::value_t::boolean:
      return {FieldType::boolean, {json.get<bool>() ? 1u : 0u, {}}};
    case Json::value_t::number_integer:
      return {FieldType::integer, {std::bit_cast<std::uint64_t>(json.get<std::int64_t>()), {}}};
    case Json::value_t::number_unsigned: {
      const auto number = json.get<std::uint64_t>();
      return {
          std::in_range<std::int64_t>(number) ? FieldType::integer : FieldType::unsigned_integer,
          {number, {}}};
    }
    case Json::value_t::number_float: {
      const auto number = json.get<double>();
      if (std::isnan(number)) return {FieldType::compound, {}};
      return {FieldType::real, {std::bit_cast<std::uint64_t>(number == 0 ? 0.0 : number), {}}};
    }
    case Json::value_t::string: {
      const std::string& text = json.get_ref<const std::string&>();
      if (text.size() > longest_text) return {FieldType::long_text, {}};
      return {FieldType::text, {0, text}};
    }
    default:
      return {FieldType::compound, {}};
  }
}

/// What `field_of` was given, but for texts and compounds.
[[nodiscard]] inline Json json_of(FieldType type, std::uint64_t bits) {
  switch (type) {
    case FieldType::boolean:
      return bits != 0;
    case FieldType::integer:
      return std::bit_cast<std::int64_t>(bits);
    case FieldType::unsigned_integer:
      return bits;
    case FieldType::real:
      return std::bit_cast<double>(bits);
    default:
      return nullptr;
  }
}

/// Negative, zero or positive, for values of one type.
[[nodiscard]] inline int compare_fields(FieldType type, const FieldValue& a, const FieldValue& b) {
  const auto order = [](const auto& x, const auto& y) { return x < y ? -1 : y < x ? 1 : 0; };
  switch (type) {
    case FieldType::integer:
      return order(std::bit_cast<std::int64_t>(a.bits), std::bit_cast<std::int64_t>(b.bits));
    case FieldType::real:
      return order(std::bit_cast<double>(a.bits), std::bit_cast<double>(b.bits));
    case FieldType::text:
      return a.text.compare(b.text);
    default:
      return order(a.bits, b.bits);
  }
}

/// Calls `use(path, kind, value)` for all that paths lead to in a document, in the sense of
/// `any_at`. Returns false if a path is too long for that.
template <class Use>
class FieldVisitor {
 public:
  explicit FieldVisitor(Use& use) : use_(use) {}

  [[nodiscard]] bool visit(const Json& json) {
    if (json.is_array()) return elements(json);
    return !json.is_object() || members(json);
  }

 private:
  static constexpr std::size_t longest_path = 1024;

  /// An object that is being gone through, and where the paths that start there begin.
  struct Outer {
    const Json* object = nullptr;
    std::size_t start = 0;
    bool has_dots = false;
  };

  bool members(const Json& object) {
    bool has_dots = false;
    for (const auto& [name, value] : object.items()) {
      has_dots = has_dots || name.find('.') != name.npos;
    }
    const std::size_t start = path_.size();
    outer_.push_back({&object, start, has_dots});
    bool all = true;
    for (auto member = object.begin(); member != object.end() && all; ++member) {
      path_ += member.key();
      all = path_.size() <= longest_path && value(member.value());
      path_.resize(start);
    }
    outer_.pop_back();
    return all;
  }

  bool elements(const Json& array) {
    return std::all_of(array.begin(), array.end(), [&](const Json& element) {
      return !element.is_object() || members(element);
    });
  }

  bool value(const Json& json) {
    if (!shadowed()) {
      give(json, FieldPlace::direct);
      if (json.is_array()) {
        for (const Json& element : json) give(element, FieldPlace::element);
      }
    }
    if (!json.is_structured()) return true;
    const std::size_t start = path_.size();
    path_ += '.';
    const bool all = json.is_array() ? elements(json) : members(json);
    path_.resize(start);
    return all;
  }

  void give(const Json& json, FieldPlace place) {
    const auto [type, field] = field_of(json);
    use_(std::string_view(path_), FieldKind{type, place}, field);
  }

  /// Whether an object on the way has a member of exactly the name that the path has from there.
  bool shadowed() const {
    for (std::size_t i = 0; i + 1 < outer_.size(); ++i) {
      const Outer& outer = outer_[i];
      if (outer.has_dots && outer.object->contains(std::string_view(path_).substr(outer.start)))
        return true;
    }
    return false;
  }

  Use& use_;
  std::string path_;
  std::vector<Outer> outer_;
};

/// Which documents have which values: columns in order of path and kind, each with its different
/// values in order, each with the numbers of its documents in order. Immutable but for counters.
class MetadataRun {
 public:
  /// Values [begin, end) of a column.
  struct Values {
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
  };

  std::uint8_t id = 0;
  std::uint32_t documents = 0;  ///< that it has been made of
  std::uint32_t stale = 0;      ///< of these, erased or replaced since

  [[nodiscard]] std::uint64_t memory() const noexcept {
    return columns_.capacity() * sizeof(Column) + values_.capacity() * sizeof(std::uint64_t) +
           (starts_.capacity() + numbers_.capacity()) * sizeof(std::uint32_t) + paths_.capacity() +
           texts_.capacity() + sizeof *this;
  }
  [[nodiscard]] std::span<const std::uint32_t> numbers() const noexcept { return numbers_; }
  /// The numbers of all documents of some values; those of one value are in order.
  [[nodiscard]] std::span<const std::uint32_t> numbers(Values values) const noexcept {
    return std::span(numbers_).subspan(starts_[values.begin],
                                       starts_[values.end] - starts_[values.begin]);
  }
  [[nodiscard]] std::string_view text(std::uint32_t value) const noexcept {
    const std::uint64_t bits = values_[value];
    return std::string_view(texts_).substr(bits >> text_bits, bits & text_mask);
  }

  /// The values of a column; none if there is no such column.
  [[nodiscard]] Values column(std::string_view path, FieldKind kind) const noexcept {
    const auto wanted = std::pair(path, kind);
    const auto at = std::partition_point(columns_.begin(), columns_.end(), [&](const Column& one) {
      return std::pair(path_of(one), one.kind) < wanted;
    });
    if (at == columns_.end() || std::pair(path_of(*at), at->kind) != wanted) return {};
    return values_of(static_cast<std::size_t>(at - columns_.begin()));
  }
  /// The first value of a column's for which `test(json)` is false; it must be true before, and
  /// false from there on.
  template <class Test>
  [[nodiscard]] std::uint32_t first_not(Values within, FieldType type, Test&& test) const {
    while (within.begin < within.end) {
      const std::uint32_t middle = within.begin + (within.end - within.begin) / 2;
      if (test(json_of(type, values_[middle]))) {
        within.begin = middle + 1;
      } else {
        within.end = middle;
      }
    }
    return within.begin;
  }
  template <class Test>
  [[nodiscard]] std::uint32_t first_text_not(Values within, Test&& test) const {
    while (within.begin < within.end) {
      const std::uint32_t middle = within.begin + (within.end - within.begin) / 2;
      if (test(text(middle))) {
        within.begin = middle + 1;
      } else {
        within.end = middle;
      }
    }
    return within.begin;
  }

  // ---- Making one ----

  /// Takes columns in order, their values in order, and their numbers in order. What stays without
  /// numbers is left out.
  class Builder {
   public:
    explicit Builder(MetadataRun& run) : run_(run) {}
    void column(std::string_view path, FieldKind kind) {
      path_ = path;
      kind_ = kind;
      column_open_ = false;
    }
    void value(const FieldValue& value) {
      value_ = value;
      value_open_ = false;
    }
    void number(std::uint32_t number) {
      if (!column_open_) open_column();
      if (!value_open_) open_value();
      if (run_.numbers_.size() == std::numeric_limits<std::uint32_t>::max()) throw std::bad_alloc();
      run_.numbers_.push_back(number);
    }
    void finish() {
      run_.starts_.push_back(static_cast<std::uint32_t>(run_.numbers_.size()));
      run_.columns_.shrink_to_fit();
      run_.values_.shrink_to_fit();
      run_.starts_.shrink_to_fit();
      run_.numbers_.shrink_to_fit();
      run_.paths_.shrink_to_fit();
      run_.texts_.shrink_to_fit();
    }

   private:
    void open_column() {
      const bool same_path = !run_.columns_.empty() && run_.path_of(run_.columns_.back()) == path_;
      const std::uint32_t at = same_path ? run_.columns_.back().path_offset
                                         : static_cast<std::uint32_t>(run_.paths_.size());
      if (!same_path) {
        if (run_.paths_.size() + path_.size() > std::numeric_limits<std::uint32_t>::max()) {
          throw std::bad_alloc();
        }
        run_.paths_ += path_;
      }
      run_.columns_.push_back({at,
                               static_cast<std::uint32_t>(path_.size()),
                               static_cast<std::uint32_t>(run_.values_.size()),
                               kind_,
                               {}});
      column_open_ = true;
      value_open_ = false;
    }
    void open_value() {
      std::uint64_t bits = value_.bits;
      if (kind_.type == FieldType::text) {
        bits = std::uint64_t{run_.texts_.size()} << text_bits | value_.text.size();
        run_.texts_ += value_.text;
      }
      run_.values_.push_back(bits);
      run_.starts_.push_back(static_cast<std::uint32_t>(run_.numbers_.size()));
      value_open_ = true;
    }

    MetadataRun& run_;
    std::string_view path_;
    FieldKind kind_{};
    FieldValue value_{};
    bool column_open_ = false;
    bool value_open_ = false;
  };

  /// One of several together; of a number's entries those are taken for which `counts(run,
  /// number)`. No number counts in two of them.
  template <class Counts>
  [[nodiscard]] static MetadataRun merged(std::span<const MetadataRun* const> runs,
                                          Counts&& counts) {
    MetadataRun made;
    Builder builder(made);
    std::vector<Place> places(runs.size());
    std::vector<std::size_t> same;
    std::vector<std::uint32_t> numbers;
    for (;;) {
      same.clear();
      for (std::size_t i = 0; i < runs.size(); ++i) {
        if (places[i].column == runs[i]->columns_.size()) continue;
        const int order = same.empty() ? -1
                                       : compare_columns(*runs[i], places[i].column, *runs[same[0]],
                                                         places[same[0]].column);
        if (order < 0) same.clear();
        if (order <= 0) same.push_back(i);
      }
      if (same.empty()) break;
      const Column& column = runs[same[0]]->columns_[places[same[0]].column];
      builder.column(runs[same[0]]->path_of(column), column.kind);
      for (const std::size_t i : same) places[i].values = runs[i]->values_of(places[i].column);
      merge_values(runs, places, same, column.kind.type, counts, numbers, builder);
      for (const std::size_t i : same) ++places[i].column;
    }
    builder.finish();
    return made;
  }

  // ---- As bytes ----

  void write(ByteSink& sink) const {
    sink.array(std::span(columns_));
    sink.array(std::span(values_));
    sink.array(std::span(starts_));
    sink.array(std::span(numbers_));
    sink.array(std::span(paths_));
    sink.array(std::span(texts_));
  }

  /// What cannot have been written by `write` is refused. Numbers have to be below `bound`.
  void read(ByteSource& source, std::uint32_t bound) {
    constexpr std::uint64_t most = std::numeric_limits<std::uint32_t>::max();
    columns_ = source.array<Column>(most);
    values_ = source.array<std::uint64_t>(most);
    starts_ = source.array<std::uint32_t>(most);
    numbers_ = source.array<std::uint32_t>(most);
    const auto paths = source.array<char>(most);
    paths_.assign(paths.begin(), paths.end());
    const auto texts = source.array<char>();
    texts_.assign(texts.begin(), texts.end());
    if (!source.require(is_sound(bound), "the metadata index is damaged")) *this = MetadataRun();
  }

 private:
  struct Column {
    std::uint32_t path_offset;
    std::uint32_t path_length;
    std::uint32_t first_value;
    FieldKind kind;
    std::uint8_t padding[2];
  };
  static_assert(sizeof(Column) == 16);

  /// A text is its offset and its length.
  static constexpr unsigned text_bits = 24;
  static constexpr std::uint64_t text_mask = (1u << text_bits) - 1;
  static_assert(longest_text <= text_mask);

  /// How far `merged` is in a run.
  struct Place {
    std::size_t column = 0;
    Values values{};
  };

  [[nodiscard]] std::string_view path_of(const Column& column) const noexcept {
    return std::string_view(paths_).substr(column.path_offset, column.path_length);
  }
  [[nodiscard]] Values values_of(std::size_t column) const noexcept {
    return {columns_[column].first_value, column + 1 < columns_.size()
                                              ? columns_[column + 1].first_value
                                              : static_cast<std::uint32_t>(values_.size())};
  }
  [[nodiscard]] FieldValue value(FieldType type, std::uint32_t at) const noexcept {
    if (type == FieldType::text) return {0, text(at)};
    return {values_[at], {}};
  }
  [[nodiscard]] static int compare_columns(const MetadataRun& a, std::size_t i,
                                           const MetadataRun& b, std::size_t k) noexcept {
    const Column& x = a.columns_[i];
    const Column& y = b.columns_[k];
    const int order = a.path_of(x).compare(b.path_of(y));
    if (order != 0) return order;
    return x.kind < y.kind ? -1 : y.kind < x.kind ? 1 : 0;
  }

  template <class Counts>
  static void merge_values(std::span<const MetadataRun* const> runs, std::vector<Place>& places,
                           const std::vector<std::size_t>& columns, FieldType type,
                           const Counts& counts, std::vector<std::uint32_t>& numbers,
                           Builder& builder) {
    std::vector<std::size_t> same;
    for (;;) {
      same.clear();
      FieldValue least;
      for (const std::size_t i : columns) {
        if (places[i].values.begin == places[i].values.end) continue;
        const FieldValue here = runs[i]->value(type, places[i].values.begin);
        const int order = same.empty() ? -1 : compare_fields(type, here, least);
        if (order < 0) {
          same.clear();
          least = here;
        }
        if (order <= 0) same.push_back(i);
      }
      if (same.empty()) return;
      builder.value(least);
      numbers.clear();
      for (const std::size_t i : same) {
        const std::uint32_t at = places[i].values.begin++;
        for (const std::uint32_t number : runs[i]->numbers({at, at + 1})) {
          if (counts(*runs[i], number)) numbers.push_back(number);
        }
      }
      if (same.size() > 1) std::sort(numbers.begin(), numbers.end());
      for (const std::uint32_t number : numbers) builder.number(number);
    }
  }

  [[nodiscard]] bool is_sound(std::uint32_t bound) const {
    if (starts_.size() != values_.size() + 1 || starts_.front() != 0 ||
        starts_.back() != numbers_.size()) {
      return false;
    }
    for (std::size_t i = 0; i < values_.size(); ++i) {
      if (starts_[i] >= starts_[i + 1]) return false;
      for (std::size_t k = starts_[i]; k < starts_[i + 1]; ++k) {
        if (k >= numbers_.size() || numbers_[k] >= bound) return false;
        if (k > starts_[i] && numbers_[k - 1] >= numbers_[k]) return false;
      }
    }
    std::uint32_t first_value = 0;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      const Column& column = columns_[i];
      if (column.path_offset > paths_.size() ||
          column.path_length > paths_.size() - column.path_offset ||
          static_cast<std::size_t>(column.kind.type) >= field_types ||
          static_cast<std::size_t>(column.kind.place) > 1 || column.first_value != first_value) {
        return false;
      }
      if (i > 0 && compare_columns(*this, i - 1, *this, i) >= 0) return false;
      const Values values = values_of(i);
      if (values.end <= values.begin || values.end > values_.size()) return false;
      if (!are_sound(column.kind.type, values)) return false;
      first_value = values.end;
    }
    return first_value == values_.size();
  }
  [[nodiscard]] bool are_sound(FieldType type, Values values) const {
    for (std::uint32_t at = values.begin; at < values.end; ++at) {
      if (type == FieldType::text) {
        const std::uint64_t offset = values_[at] >> text_bits;
        if (offset > texts_.size() || (values_[at] & text_mask) > texts_.size() - offset)
          return false;
      }
      if (type == FieldType::real && std::isnan(std::bit_cast<double>(values_[at]))) return false;
      if (at > values.begin && compare_fields(type, value(type, at - 1), value(type, at)) >= 0) {
        return false;
      }
    }
    return true;
  }

  std::vector<Column> columns_;
  std::vector<std::uint64_t> values_;
  std::vector<std::uint32_t> starts_;  // of the numbers of each value, and the end
  std::vector<std::uint32_t> numbers_;
  std::string paths_;
  std::string texts_;
};

}  // namespace snkv::vector_detail
