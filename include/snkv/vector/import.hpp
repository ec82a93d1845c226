/// \file
/// Taking over the vectors of databases that SNKV's C library wrote (see import.hpp):
///
///     import_original("old.db", "new.db", {.also = [](const OriginalStore& original, Store& store) {
///       auto vectors = import_original_vectors(original, store);
///       return vectors ? Result<void>() : Unexpected(vectors.error());
///     }});
#pragma once

#include <snkv/import.hpp>
#include <snkv/vector/detail/base/callbacks.hpp>
#include <snkv/vector/store.hpp>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace snkv {
inline namespace SNKV_EXPECTED_NAMESPACE {

/// What `import_original_vectors` does with vectors and metadata that are refused.
struct OriginalVectorsImport {
  /// The values are entries of the store already, so `skip` and `keep_value` are the same here: the entry
  /// stays, without vector and metadata.
  Refused refused = Refused::stop;
  /// Gets what was left out; null: nobody does. Must live until the call returns.
  SkippedEntries* skipped = nullptr;
  /// Called for each of them.
  OnSkipped on_skipped{};
};

namespace import_detail {

/// A configured value: text, or a number as text or in up to 8 bytes, the largest first.
struct OriginalValue {
  std::string text;

  [[nodiscard]] std::optional<std::uint64_t> number() const {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size()) return value;
    if (text.empty() || text.size() > 8 || text.front() >= ' ') return std::nullopt;
    value = 0;
    for (const char c : text) value = value << 8 | static_cast<unsigned char>(c);
    return value;
  }
  [[nodiscard]] bool is(std::string_view name, std::uint64_t as_number) const {
    return text == name || number() == as_number;
  }
  /// The number of a parameter, brought into the range that it has here; empty if it is none.
  [[nodiscard]] std::optional<std::uint32_t> parameter(std::uint32_t least, std::uint32_t most) const {
    const auto value = number();
    if (!value || *value == 0) return std::nullopt;
    return static_cast<std::uint32_t>(std::clamp<std::uint64_t>(*value, least, most));
  }
};

[[nodiscard]] inline std::optional<Metric> original_metric(const OriginalValue& value) {
  if (value.is("l2", 0) || value.text == "l2sq") return Metric::l2;
  if (value.is("cosine", 1) || value.text == "cos") return Metric::cosine;
  if (value.is("ip", 2)) return Metric::inner_product;
  return std::nullopt;
}
[[nodiscard]] inline ElementType original_type(const OriginalValue& value) {
  if (value.is("f16", 1)) return ElementType::f16;
  return value.is("i8", 2) ? ElementType::i8 : ElementType::f32;
}

/// The floats of a stored vector, the smallest byte of each first.
[[nodiscard]] inline std::vector<float> original_floats(BytesView bytes) {
  std::vector<float> floats(bytes.size() / 4);
  for (std::size_t i = 0; i < floats.size(); ++i) {
    std::uint32_t bits = 0;
    for (std::size_t j = 4; j-- > 0;) {
      bits = bits << 8 | std::to_integer<std::uint32_t>(bytes.data()[4 * i + j]);
    }
    std::memcpy(&floats[i], &bits, sizeof(bits));
  }
  return floats;
}

/// Walks through a family beside another one, both in order of their keys.
class OriginalCompanion {
 public:
  /// One that is not there is empty.
  [[nodiscard]] static Result<OriginalCompanion> open(const OriginalStore& original,
                                                      std::string_view family) {
    OriginalCompanion companion;
    auto scan = original.scan(family);
    if (scan) {
      companion.scan_ = std::make_unique<OriginalScan>(*std::move(scan));
      auto more = companion.advance();
      if (!more) return Unexpected(std::move(more).error());
    } else if (!(scan.error() == Errc::not_found)) {
      return Unexpected(std::move(scan).error());
    }
    return companion;
  }
  /// Whether it has an entry of the key. Keys must be asked for in order.
  [[nodiscard]] Result<bool> has(BytesView key) {
    while (scan_ && scan_->key() < key) {
      auto more = advance();
      if (!more) return Unexpected(std::move(more).error());
    }
    return scan_ && scan_->key() == key;
  }
  [[nodiscard]] BytesView value() const noexcept { return scan_->value(); }
  [[nodiscard]] std::optional<TimePoint> expires_at() const noexcept { return scan_->expires_at(); }

 private:
  [[nodiscard]] Result<void> advance() {
    auto more = scan_->next();
    if (!more) return Unexpected(std::move(more).error());
    if (!*more) scan_.reset();
    return {};
  }
  std::unique_ptr<OriginalScan> scan_;
};

/// The options of a collection like the one in the database, but for the name; dim is 0 if it is not known.
[[nodiscard]] inline Result<VectorStoreOptions> original_options(const OriginalStore& original,
                                                                 const OriginalVectors& families) {
  VectorStoreOptions options;
  // The file will get another name, under which what is saved would not be found.
  options.auto_save = false;
  auto scan = original.scan(families.configuration);
  if (!scan) return Unexpected(std::move(scan).error());
  for (;;) {
    auto more = scan->next();
    if (!more) return Unexpected(std::move(more).error());
    if (!*more) break;
    const OriginalValue value{scan->value().str()};
    if (scan->key() == "metric" || scan->key() == "space") options.metric = original_metric(value);
    if (scan->key() == "dtype") options.dtype = original_type(value);
    if (scan->key() == "ndim" && value.number().value_or(0) <= max_dimension) {
      options.dim = value.number().value_or(0);
    }
    if (scan->key() == "connectivity") options.m = value.parameter(2, 64);
    if (scan->key() == "expansion_add") options.ef_construction = value.parameter(4, 4096);
    if (scan->key() == "expansion_search") options.ef_search = value.parameter(1, 65536);
  }
  if (!options.metric) {
    return Unexpected(Error(Errc::corrupt, "import_original_vectors", "the metric is not known"));
  }
  return options;
}

/// Copies what the entries of the items are views of, and puts them in batches.
class OriginalLoader {
 public:
  OriginalLoader(VectorStore<> vectors, const OriginalVectorsImport& options)
      : vectors_(std::move(vectors)), options_(options), left_out_(options.on_skipped, this) {}

  /// Entries that were put.
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }

  /// Leaves an entry out, or gives the error of that.
  [[nodiscard]] Result<void> refuse(BytesView key, Error why) {
    if (options_.refused == Refused::stop || !is_refusal(why)) return Unexpected(std::move(why));
    const SkippedEntry entry{key.str(), {}, why.detail(), true};
    if (Error error = left_out_.tell("import_original_vectors", entry); error.failed()) {
      return Unexpected(std::move(error));
    }
    if (options_.skipped != nullptr) options_.skipped->add(entry);
    return {};
  }

  [[nodiscard]] Result<void> put(BytesView key, BytesView vector, BytesView value, Json metadata,
                                 std::optional<TimePoint> expires_at) {
    rows_.push_back({key.str(), original_floats(vector), value.str(), std::move(metadata), expires_at});
    return rows_.size() < 1000 ? Result<void>() : flush();
  }
  [[nodiscard]] Result<void> flush() {
    std::vector<VectorItem> items;
    for (const Row& row : rows_) {
      items.push_back({.key = row.key,
                       .vector = row.vector,
                       .value = BytesView(row.value),
                       .metadata = row.metadata,
                       .expires_at = row.expires_at});
    }
    auto result = vectors_.put_batch(items);
    if (result) count_ += items.size();
    // Which of them it is that is refused is found out one by one.
    if (!result && options_.refused != Refused::stop && is_refusal(result.error())) {
      result = put_each(items);
    }
    rows_.clear();
    return result;
  }

 private:
  [[nodiscard]] static bool is_refusal(const Error& error) noexcept {
    return error == Errc::invalid_argument || error == Errc::bad_vector ||
           error == Errc::dimension_mismatch || error == Errc::too_large || error == Errc::corrupt;
  }
  [[nodiscard]] Result<void> put_each(const std::vector<VectorItem>& items) {
    for (const VectorItem& item : items) {
      auto put = vectors_.put_batch(std::span<const VectorItem>(&item, 1));
      if (put) {
        ++count_;
        continue;
      }
      if (auto left_out = refuse(item.key, std::move(put).error()); !left_out) return left_out;
    }
    return {};
  }

  struct Row {
    std::string key;
    std::vector<float> vector;
    std::string value;
    Json metadata;
    std::optional<TimePoint> expires_at;
  };
  VectorStore<> vectors_;
  const OriginalVectorsImport& options_;
  vector_detail::LeftOut left_out_;
  std::uint64_t count_ = 0;
  std::vector<Row> rows_;
};

/// Puts what is in these families into the collection `name`.
[[nodiscard]] inline Result<std::uint64_t> import_collection(const OriginalStore& original,
                                                             const Store& store,
                                                             const OriginalVectors& families,
                                                             const std::string& name,
                                                             const OriginalVectorsImport& options) {
  const auto damaged = [](BytesView key, const char* what) {
    return Error(Errc::corrupt, "import_original_vectors", key.str() + ": " + what);
  };
  auto scan = original.scan(families.vectors);
  if (!scan) return Unexpected(std::move(scan).error());
  auto values = OriginalCompanion::open(original, "default");
  if (!values) return Unexpected(std::move(values).error());
  auto metadata = OriginalCompanion::open(original, families.metadata);
  if (!metadata) return Unexpected(std::move(metadata).error());

  std::optional<OriginalLoader> loader;
  std::size_t size = 0;
  for (;;) {
    auto more = scan->next();
    if (!more) return Unexpected(std::move(more).error());
    if (!*more) break;
    if (!loader) {
      auto collection = original_options(original, families);
      if (!collection) return Unexpected(std::move(collection).error());
      collection->name = name;
      if (collection->dim == 0) collection->dim = scan->value().size() / 4;
      size = collection->dim * 4;
      auto vectors = VectorStore<>::open(store, *collection);
      if (!vectors) return Unexpected(std::move(vectors).error());
      loader.emplace(*std::move(vectors), options);
    }
    if (scan->value().size() != size) {
      auto left_out = loader->refuse(scan->key(), damaged(scan->key(), "the vector has a wrong size"));
      if (!left_out) return Unexpected(std::move(left_out).error());
      continue;
    }
    // What has expired was left out of the new store.
    auto alive = store.contains(scan->key());
    auto has_value = values->has(scan->key());
    auto has_metadata = metadata->has(scan->key());
    if (!alive) return Unexpected(std::move(alive).error());
    if (!has_value) return Unexpected(std::move(has_value).error());
    if (!has_metadata) return Unexpected(std::move(has_metadata).error());
    if (!*alive || !*has_value) continue;
    Json object;
    if (*has_metadata) {
      object = vector_detail::parse_json(metadata->value().view());
      if (!object.is_object()) {
        auto left_out =
            loader->refuse(scan->key(), damaged(scan->key(), "the metadata are no JSON object"));
        if (!left_out) return Unexpected(std::move(left_out).error());
        continue;
      }
    }
    auto put = loader->put(scan->key(), scan->value(), values->value(), std::move(object),
                           values->expires_at());
    if (!put) return Unexpected(std::move(put).error());
  }
  if (!loader) return std::uint64_t{0};
  auto flushed = loader->flush();
  if (!flushed) return Unexpected(std::move(flushed).error());
  return loader->count();
}

}  // namespace import_detail

/// Puts the vectors and the metadata of a database into the collection "default" of `store`, which has
/// its entries already; how many. The collection gets the parameters of the index, brought into the ranges
/// that they have here. None, and no collection, if it has no vectors. Vectors whose keys have
/// no value, or have expired, are left out. `corrupt` if a vector has another size than the others, or
/// metadata are no JSON object; `bad_vector` for NaN, and for cosine length zero; unless `options` say that
/// such entries shall be left out.
///
/// If programs of several versions of the library have put vectors into the database, those of the youngest
/// go to "default", and those of the others to collections that are called like the families they are in.
[[nodiscard]] inline Result<std::uint64_t> import_original_vectors(
    const OriginalStore& original, const Store& store, const OriginalVectorsImport& options = {}) {
  std::uint64_t imported = 0;
  std::string name = "default";
  for (const OriginalVectors& families : original.vectors()) {
    if (imported > 0) name = families.vectors;
    auto added = import_detail::import_collection(original, store, families, name, options);
    if (!added) return added;
    imported += *added;
  }
  return imported;
}

}  // namespace SNKV_EXPECTED_NAMESPACE
}  // namespace snkv
