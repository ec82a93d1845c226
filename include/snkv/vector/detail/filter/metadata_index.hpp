/// \file
/// `MetadataIndex`: which documents match a filter, without looking at each of them.
#pragma once

#include <snkv/vector/detail/base/number_set.hpp>
#include <snkv/vector/detail/filter/metadata_run.hpp>
#include <snkv/vector/filter.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace snkv::vector_detail {

/// JSON documents by numbers. Every scalar at every path is indexed, also those in arrays.
///
/// The last documents that were put are kept as they are, and compared one by one. When they are
/// `most_recent`, their fields become a sorted run, and runs of about the same size are merged.
/// What is replaced or erased stays in its run until that is merged; `owners_` says for each number
/// in which run its document is, and so which entries count.
///
/// Threads: changes exclusive, the rest beside each other; the caller sees to it.
/// Complexity: equality and ranges O(log n + matches) for each condition; `$contains` of a text
/// also goes through the different texts of the field; `put` O(log n) on average.
class MetadataIndex {
 public:
  /// What matches a filter: certainly those in `possible` but not in `unsure`, no others than
  /// those in `possible`. Those in `unsure` have to be looked at.
  struct Matches {
    NumberSet possible;
    NumberSet unsure;  ///< a part of `possible`
    [[nodiscard]] bool exact() const noexcept { return unsure.empty(); }
  };

  /// Gives a number a document, in place of the one that it had. It has to be what its text is
  /// parsed to, so that the index agrees with the text. Throws std::bad_alloc, and has changed
  /// nothing then.
  void put(std::uint32_t number, Json document);
  /// Returns false if the number has no document.
  bool erase(std::uint32_t number) noexcept;
  void clear() noexcept { *this = MetadataIndex(); }

  [[nodiscard]] bool contains(std::uint32_t number) const noexcept {
    return number < owners_.size() && owners_[number] != nobody;
  }
  /// Documents.
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  /// Bytes.
  [[nodiscard]] std::uint64_t memory() const noexcept;

  /// The documents for which `Filter::matches` is true. Inexact are comparisons with arrays and
  /// objects, those with texts of more than `longest_text` bytes, and documents that are nested
  /// more than `deepest` deep. Throws std::bad_alloc.
  [[nodiscard]] Matches resolve(const FilterNode& filter) const;

  void write(ByteSink& sink) const;
  /// Takes the place of what there is. What cannot have been written by `write` is refused, and the
  /// index is empty then. Throws std::bad_alloc.
  void read(ByteSource& source);

 private:
  // Owners besides the runs, whose ids are 1 to `most_runs`.
  static constexpr std::uint8_t nobody = 0;
  static constexpr std::uint8_t most_runs = 250;
  static constexpr std::uint8_t no_fields = 253;
  static constexpr std::uint8_t irregular = 254;  ///< could not be indexed
  static constexpr std::uint8_t recent = 255;

  static constexpr std::size_t most_recent = 128;
  static constexpr int deepest = 32;
  /// A run is merged with those after it when they have more than a fourth of its documents.
  static constexpr std::uint64_t growth = 4;

  struct Recent {
    std::uint32_t number = 0;
    Json document;
    std::uint64_t memory = 0;
  };
  /// An entry of a run that is about to be made.
  struct Entry {
    const std::pair<const std::string, std::uint32_t>* path = nullptr;  // with its rank
    FieldKind kind{};
    std::uint32_t number = 0;
    FieldValue value{};
  };
  struct Span {
    const MetadataRun* run = nullptr;
    MetadataRun::Values values{};
  };

  [[nodiscard]] std::uint32_t bound() const noexcept {
    return static_cast<std::uint32_t>(owners_.size());
  }
  [[nodiscard]] NumberSet none() const noexcept { return NumberSet(bound()); }
  /// Documents that are in runs, or have no fields.
  [[nodiscard]] NumberSet indexed() const {
    return NumberSet::of_bits(
        bound(), std::vector<std::uint64_t>(indexed_.begin(),
                                            indexed_.begin() + static_cast<std::ptrdiff_t>(
                                                                   NumberSet::words_for(bound()))));
  }

  [[nodiscard]] Matches evaluate(const FilterNode& node) const;
  [[nodiscard]] Matches leaf(const FilterNode& node) const;
  void select(const FilterNode& node, FilterOperator op, const Json& operand,
              std::vector<Span>& certain, std::vector<Span>& unsure) const;
  void select_all(std::string_view path, FieldKind kind, std::vector<Span>& out) const;
  void select_numbers(std::string_view path, FieldKind kind, FilterOperator op, const Json& operand,
                      std::vector<Span>& out) const;
  void select_texts(std::string_view path, FieldKind kind, FilterOperator op,
                    const std::string& operand, std::vector<Span>& out) const;
  [[nodiscard]] NumberSet gather(const std::vector<Span>& spans) const;

  void settle();
  void merge(std::size_t first, const MetadataRun* fresh, std::uint32_t fresh_documents);
  void disown(std::uint32_t number) noexcept;
  void tidy() noexcept;
  static constexpr std::uint64_t too_deep = ~std::uint64_t{0};
  [[nodiscard]] static std::uint64_t memory_of(const Json& json, int depth) noexcept;

  std::vector<std::uint8_t> owners_;
  std::vector<std::uint64_t> indexed_;  // bits
  std::vector<std::uint32_t> irregulars_;
  std::vector<std::unique_ptr<MetadataRun>> runs_;  // the large ones first
  std::vector<Recent> recent_;
  std::uint64_t size_ = 0;
};

// ---- Changes ----

inline void MetadataIndex::put(std::uint32_t number, Json document) {
  if (recent_.size() >= most_recent && !(contains(number) && owners_[number] == recent)) settle();
  recent_.reserve(most_recent);
  irregulars_.reserve(irregulars_.size() + 1);
  const std::uint64_t memory = memory_of(document, deepest);
  if (number >= owners_.size()) {
    const std::size_t size = std::size_t{number} + 1;
    const std::size_t words = NumberSet::words_for(number + 1);
    if (indexed_.size() < words) indexed_.resize(std::max(words, indexed_.size() * 5 / 4));
    if (owners_.capacity() < size) owners_.reserve(std::max(size, owners_.size() * 5 / 4));
    owners_.resize(size);
  }
  disown(number);
  if (memory == too_deep) {
    irregulars_.push_back(number);
    owners_[number] = irregular;
  } else {
    recent_.push_back({number, std::move(document), memory});
    owners_[number] = recent;
  }
  ++size_;
  tidy();
}

inline bool MetadataIndex::erase(std::uint32_t number) noexcept {
  if (!contains(number)) return false;
  disown(number);
  tidy();
  return true;
}

inline void MetadataIndex::disown(std::uint32_t number) noexcept {
  const std::uint8_t owner = std::exchange(owners_[number], nobody);
  if (owner == nobody) return;
  --size_;
  if (owner == recent) {
    const auto at = std::find_if(recent_.begin(), recent_.end(),
                                 [&](const Recent& one) { return one.number == number; });
    if (at != recent_.end() - 1) *at = std::move(recent_.back());
    recent_.pop_back();
    return;
  }
  indexed_[number / 64] &= ~(std::uint64_t{1} << (number % 64));
  if (owner == irregular) {
    irregulars_.erase(std::find(irregulars_.begin(), irregulars_.end(), number));
  } else if (owner != no_fields) {
    for (const auto& run : runs_) {
      if (run->id == owner) ++run->stale;
    }
  }
}

/// Gives back the memory of runs that are mostly stale. Without memory for that, later.
inline void MetadataIndex::tidy() noexcept {
  for (std::size_t i = 0; i < runs_.size(); ++i) {
    const MetadataRun& run = *runs_[i];
    if (run.stale == run.documents) {
      runs_.erase(runs_.begin() + static_cast<std::ptrdiff_t>(i--));
    } else if (run.stale > run.documents / 2 && run.stale > most_recent) {
      try {
        merge(i, nullptr, 0);
      } catch (const std::bad_alloc&) {
      }
      return;
    }
  }
}

/// Makes a run of the recent documents.
inline void MetadataIndex::settle() {
  std::vector<Entry> entries;
  std::map<std::string, std::uint32_t, std::less<>> ranks;
  std::vector<std::uint8_t> becomes(recent_.size(), no_fields);
  std::uint32_t with_fields = 0;
  std::uint32_t number = 0;
  const auto add = [&](std::string_view path, FieldKind kind, const FieldValue& value) {
    auto at = ranks.find(path);
    if (at == ranks.end()) at = ranks.emplace(path, 0).first;
    entries.push_back({&*at, kind, number, value});
  };
  irregulars_.reserve(irregulars_.size() + recent_.size());
  for (std::size_t i = 0; i < recent_.size(); ++i) {
    const std::size_t before = entries.size();
    number = recent_[i].number;
    if (!FieldVisitor(add).visit(recent_[i].document)) {
      entries.resize(before);
      becomes[i] = irregular;
    } else if (entries.size() > before) {
      becomes[i] = most_runs;
      ++with_fields;
    }
  }
  std::uint32_t rank = 0;
  for (auto& path : ranks) path.second = rank++;
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    if (a.path != b.path) return a.path->second < b.path->second;
    if (a.kind != b.kind) return a.kind < b.kind;
    const int order = compare_fields(a.kind.type, a.value, b.value);
    return order != 0 ? order < 0 : a.number < b.number;
  });
  MetadataRun fresh;
  MetadataRun::Builder builder(fresh);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const Entry& entry = entries[i];
    const Entry* last = i == 0 ? nullptr : &entries[i - 1];
    const bool same_column =
        last != nullptr && last->path == entry.path && last->kind == entry.kind;
    const bool same_value =
        same_column && compare_fields(entry.kind.type, last->value, entry.value) == 0;
    if (!same_column) builder.column(entry.path->first, entry.kind);
    if (!same_value) builder.value(entry.value);
    if (!same_value || last->number != entry.number) builder.number(entry.number);
  }
  builder.finish();
  std::size_t first = runs_.size();
  std::uint64_t documents = with_fields;
  while (first > 0 && runs_[first - 1]->documents < growth * documents) {
    documents += runs_[--first]->documents;
  }
  if (with_fields != 0) merge(first, &fresh, with_fields);
  // Nothing below can fail.
  for (std::size_t i = 0; i < recent_.size(); ++i) {
    const std::uint32_t settled = recent_[i].number;
    if (becomes[i] == irregular) {
      irregulars_.push_back(settled);
    } else {
      NumberSet::set(indexed_, settled);
    }
    if (becomes[i] != most_runs) owners_[settled] = becomes[i];
  }
  recent_.clear();
}

/// Puts one run in the place of those from `first` on and `fresh`, or of `first` alone without it.
inline void MetadataIndex::merge(std::size_t first, const MetadataRun* fresh,
                                 std::uint32_t fresh_documents) {
  const std::size_t last = fresh != nullptr ? runs_.size() : first + 1;
  std::vector<const MetadataRun*> parts;
  std::uint32_t documents = fresh_documents;
  for (std::size_t i = first; i < last; ++i) {
    parts.push_back(runs_[i].get());
    documents += runs_[i]->documents - runs_[i]->stale;
  }
  if (fresh != nullptr) parts.push_back(fresh);
  auto made = std::make_unique<MetadataRun>(
      MetadataRun::merged(parts, [&](const MetadataRun& run, std::uint32_t number) {
        return &run == fresh || owners_[number] == run.id;
      }));
  made->documents = documents;
  std::array<bool, most_runs + 1> taken{};
  for (const auto& run : runs_) taken[run->id] = true;
  made->id =
      static_cast<std::uint8_t>(std::find(taken.begin() + 1, taken.end(), false) - taken.begin());
  runs_.reserve(runs_.size() + 1);
  // Nothing below can fail.
  for (const std::uint32_t number : made->numbers()) owners_[number] = made->id;
  runs_.erase(runs_.begin() + static_cast<std::ptrdiff_t>(first),
              runs_.begin() + static_cast<std::ptrdiff_t>(last));
  runs_.insert(runs_.begin() + static_cast<std::ptrdiff_t>(first), std::move(made));
}

// ---- Looking up ----

inline MetadataIndex::Matches MetadataIndex::resolve(const FilterNode& filter) const {
  Matches found = evaluate(filter);
  std::vector<std::uint32_t> matching;
  for (const Recent& one : recent_) {
    if (matches(filter, one.document)) matching.push_back(one.number);
  }
  found.possible.unite(NumberSet::of(bound(), std::move(matching)));
  if (!irregulars_.empty()) {
    const NumberSet others = NumberSet::of(bound(), irregulars_);
    found.possible.unite(others);
    found.unsure.unite(others);
  }
  return found;
}

/// Of the indexed documents alone.
inline MetadataIndex::Matches MetadataIndex::evaluate(const FilterNode& node) const {
  switch (node.op) {
    case FilterOperator::all: {
      if (node.children.empty()) return {indexed(), none()};
      Matches found = evaluate(*node.children[0]);
      for (std::size_t i = 1; i < node.children.size() && !found.possible.empty(); ++i) {
        const Matches other = evaluate(*node.children[i]);
        found.possible.intersect(other.possible);
        found.unsure.unite(other.unsure);
        found.unsure.intersect(found.possible);
      }
      return found;
    }
    case FilterOperator::any:
    case FilterOperator::none: {
      Matches found{none(), none()};
      for (const FilterPointer& child : node.children) {
        const Matches other = evaluate(*child);
        if (found.unsure.empty() && other.unsure.empty()) {
          found.possible.unite(other.possible);
          continue;
        }
        NumberSet certain = found.possible;
        certain.subtract(found.unsure);
        NumberSet more = other.possible;
        more.subtract(other.unsure);
        certain.unite(more);
        found.possible.unite(other.possible);
        found.unsure.unite(other.unsure);
        found.unsure.subtract(certain);
      }
      if (node.op == FilterOperator::any) return found;
      NumberSet others = indexed();
      found.possible.subtract(found.unsure);
      others.subtract(found.possible);
      return {std::move(others), std::move(found.unsure)};
    }
    default:
      return leaf(node);
  }
}

inline MetadataIndex::Matches MetadataIndex::leaf(const FilterNode& node) const {
  std::vector<Span> certain;
  std::vector<Span> unsure;
  switch (node.op) {
    case FilterOperator::exists:
      for (std::size_t type = 0; type < field_types; ++type) {
        select_all(node.path, {static_cast<FieldType>(type), FieldPlace::direct}, certain);
      }
      break;
    case FilterOperator::in:
      for (const Json& one : node.operand) {
        select(node, FilterOperator::equal, one, certain, unsure);
      }
      break;
    default:
      select(node, node.op, node.operand, certain, unsure);
  }
  Matches found{gather(certain), gather(unsure)};
  if (!found.unsure.empty()) {
    found.unsure.subtract(found.possible);
    found.possible.unite(found.unsure);
  }
  return found;
}

/// Adds where one comparison with a value is true, and where it may be.
inline void MetadataIndex::select(const FilterNode& node, FilterOperator op, const Json& operand,
                                  std::vector<Span>& certain, std::vector<Span>& unsure) const {
  const bool contains = op == FilterOperator::contains;
  for (const FieldPlace place : {FieldPlace::direct, FieldPlace::element}) {
    // Whoever contains something is a text, or an array with an element that is equal.
    const bool part = contains && place == FieldPlace::direct;
    const FilterOperator here = contains && !part ? FilterOperator::equal : op;
    const auto kind = [&](FieldType type) { return FieldKind{type, place}; };
    if (operand.is_string()) {
      const std::string& text = operand.get_ref<const std::string&>();
      select_texts(node.path, kind(FieldType::text), here, text, certain);
      if (here != FilterOperator::equal || text.size() > longest_text) {
        select_all(node.path, kind(FieldType::long_text), unsure);
      }
    } else if (here == FilterOperator::prefix || part) {
      continue;
    } else if (operand.is_number()) {
      for (const FieldType type :
           {FieldType::integer, FieldType::unsigned_integer, FieldType::real}) {
        select_numbers(node.path, kind(type), here, operand, certain);
      }
    } else if (operand.is_boolean()) {
      select_numbers(node.path, kind(FieldType::boolean), here, operand, certain);
    } else if (here == FilterOperator::equal) {
      // Other types have no order.
      if (operand.is_null()) {
        select_all(node.path, kind(FieldType::null), certain);
      } else {
        select_all(node.path, kind(FieldType::compound), unsure);
      }
    }
  }
}

inline void MetadataIndex::select_all(std::string_view path, FieldKind kind,
                                      std::vector<Span>& out) const {
  for (const auto& run : runs_) {
    const MetadataRun::Values values = run->column(path, kind);
    if (values.begin != values.end) out.push_back({run.get(), values});
  }
}

/// Of numbers and booleans.
inline void MetadataIndex::select_numbers(std::string_view path, FieldKind kind, FilterOperator op,
                                          const Json& operand, std::vector<Span>& out) const {
  const auto compares = [&](auto&& test) {
    return [&operand, test](const Json& value) { return test(compare_json(value, operand)); };
  };
  for (const auto& run : runs_) {
    MetadataRun::Values values = run->column(path, kind);
    if (values.begin == values.end) continue;
    const MetadataRun::Values all = values;
    const auto first_not = [&](auto&& test) {
      return run->first_not(all, kind.type, compares(test));
    };
    switch (op) {
      case FilterOperator::equal:
        values.begin = first_not([](auto order) { return order < 0; });
        values.end = first_not([](auto order) { return order <= 0; });
        break;
      case FilterOperator::greater:
        values.begin = first_not([](auto order) { return !(order > 0); });
        break;
      case FilterOperator::greater_equal:
        values.begin = first_not([](auto order) { return !(order >= 0); });
        break;
      case FilterOperator::less:
        values.end = first_not([](auto order) { return order < 0; });
        break;
      case FilterOperator::less_equal:
        values.end = first_not([](auto order) { return order <= 0; });
        break;
      default:
        continue;
    }
    if (values.begin < values.end) out.push_back({run.get(), values});
  }
}

inline void MetadataIndex::select_texts(std::string_view path, FieldKind kind, FilterOperator op,
                                        const std::string& operand, std::vector<Span>& out) const {
  for (const auto& run : runs_) {
    MetadataRun::Values values = run->column(path, kind);
    if (values.begin == values.end) continue;
    const MetadataRun::Values all = values;
    const auto less = [&](std::string_view text) { return text < operand; };
    const auto less_equal = [&](std::string_view text) { return text <= operand; };
    switch (op) {
      case FilterOperator::equal:
        values.begin = run->first_text_not(all, less);
        values.end = run->first_text_not(all, less_equal);
        break;
      case FilterOperator::greater:
        values.begin = run->first_text_not(all, less_equal);
        break;
      case FilterOperator::greater_equal:
        values.begin = run->first_text_not(all, less);
        break;
      case FilterOperator::less:
        values.end = run->first_text_not(all, less);
        break;
      case FilterOperator::less_equal:
        values.end = run->first_text_not(all, less_equal);
        break;
      case FilterOperator::prefix:
        values.begin = run->first_text_not(all, less);
        values.end = run->first_text_not(all, [&](std::string_view text) {
          return text < operand || text.starts_with(operand);
        });
        break;
      case FilterOperator::contains:
        for (std::uint32_t at = all.begin; at < all.end; ++at) {
          if (run->text(at).find(operand) != std::string_view::npos) {
            out.push_back({run.get(), {at, at + 1}});
          }
        }
        continue;
      default:
        continue;
    }
    if (values.begin < values.end) out.push_back({run.get(), values});
  }
}

/// The documents of some values, those that are stale left out.
inline NumberSet MetadataIndex::gather(const std::vector<Span>& spans) const {
  std::uint64_t most = 0;
  for (const Span& span : spans) most += span.run->numbers(span.values).size();
  const auto each = [&](auto&& use) {
    for (const Span& span : spans) {
      for (const std::uint32_t number : span.run->numbers(span.values)) {
        if (owners_[number] == span.run->id) use(number);
      }
    }
  };
  if (NumberSet::is_few(most, bound())) {
    std::vector<std::uint32_t> list;
    list.reserve(most);
    each([&](std::uint32_t number) { list.push_back(number); });
    return NumberSet::of(bound(), std::move(list));
  }
  std::vector<std::uint64_t> bits(NumberSet::words_for(bound()));
  each([&](std::uint32_t number) { NumberSet::set(bits, number); });
  return NumberSet::of_bits(bound(), std::move(bits));
}

// ---- Memory and bytes ----

/// About what a document takes, or `too_deep`.
inline std::uint64_t MetadataIndex::memory_of(const Json& json, int depth) noexcept {
  // What a node of a tree and its allocation cost.
  constexpr std::uint64_t for_each_member = 80;
  if (depth == 0) return too_deep;
  std::uint64_t sum = sizeof(Json);
  if (json.is_string()) sum += json.get_ref<const std::string&>().capacity();
  for (auto part = json.begin(); json.is_structured() && part != json.end(); ++part) {
    const std::uint64_t inner = memory_of(*part, depth - 1);
    if (inner == too_deep) return too_deep;
    sum += inner;
    if (json.is_object()) sum += for_each_member + part.key().capacity();
  }
  return sum;
}

inline std::uint64_t MetadataIndex::memory() const noexcept {
  std::uint64_t sum = owners_.capacity() + indexed_.capacity() * sizeof(std::uint64_t) +
                      irregulars_.capacity() * sizeof(std::uint32_t) +
                      recent_.capacity() * sizeof(Recent);
  for (const auto& run : runs_) sum += run->memory();
  for (const Recent& one : recent_) sum += one.memory;
  return sum;
}

inline void MetadataIndex::write(ByteSink& sink) const {
  sink.array(std::span(owners_));
  sink.number(std::uint64_t{runs_.size()});
  for (const auto& run : runs_) {
    sink.number(run->id);
    run->write(sink);
  }
  sink.number(std::uint64_t{recent_.size()});
  for (const Recent& one : recent_) {
    const std::string document = one.document.dump(-1, ' ', false, Json::error_handler_t::replace);
    sink.number(one.number);
    sink.array(std::span(document));
  }
}

inline void MetadataIndex::read(ByteSource& source) {
  clear();
  MetadataIndex made;
  made.owners_ = source.array<std::uint8_t>(std::numeric_limits<std::uint32_t>::max());
  made.indexed_.resize(NumberSet::words_for(made.bound()));
  std::array<std::uint32_t, 256> documents{};
  for (std::uint32_t number = 0; number < made.bound(); ++number) {
    std::uint8_t& owner = made.owners_[number];
    ++documents[owner];
    if (owner == irregular) {
      made.irregulars_.push_back(number);
    } else if (owner == recent) {
      owner = nobody;  // until it is put
    } else if (owner != nobody) {
      NumberSet::set(made.indexed_, number);
    }
    if (owner != nobody) ++made.size_;
  }
  std::array<bool, 256> known{};
  known[nobody] = known[no_fields] = known[irregular] = known[recent] = true;
  const auto runs = source.number<std::uint64_t>();
  source.require(runs <= most_runs, "there are too many runs of metadata");
  for (std::uint64_t i = 0; i < runs && !source.error().failed(); ++i) {
    auto run = std::make_unique<MetadataRun>();
    run->id = source.number<std::uint8_t>();
    run->documents = documents[run->id];
    if (!source.require(run->id <= most_runs && !std::exchange(known[run->id], true),
                        "a run of metadata is there twice")) {
      return;
    }
    const std::uint8_t id = run->id;
    run->read(source, made.bound());
    run->id = id;
    run->documents = documents[id];
    made.runs_.push_back(std::move(run));
  }
  for (std::size_t owner = 0; owner < known.size(); ++owner) {
    source.require(documents[owner] == 0 || known[owner], "a run of metadata is missing");
  }
  const auto recent_documents = source.number<std::uint64_t>();
  source.require(recent_documents == documents[recent] && recent_documents <= most_recent,
                 "recent metadata is missing");
  for (std::uint64_t i = 0; i < recent_documents && !source.error().failed(); ++i) {
    const auto number = source.number<std::uint32_t>();
    const auto text = source.array<char>();
    Json document = parse_json({text.data(), text.size()});
    if (!source.require(!document.is_discarded() && number < made.bound() && !made.contains(number),
                        "metadata of a document is damaged")) {
      return;
    }
    made.put(number, std::move(document));
  }
  if (!source.error().failed()) *this = std::move(made);
}

}  // namespace snkv::vector_detail
