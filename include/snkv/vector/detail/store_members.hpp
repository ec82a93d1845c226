/// \file
/// Members of the handles of store.hpp: each of them calls the function of its name in
/// operations.hpp.
#pragma once

#include <snkv/vector/detail/type.hpp>
#include <snkv/vector/store.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace snkv {
inline namespace SNKV_EXPECTED_NAMESPACE {

namespace vector_facade {

/// Null: all. Refers to the filter.
[[nodiscard]] inline const vector_detail::FilterNode* node_of(
    const std::optional<Filter>& filter) noexcept {
  return filter && !filter->is_all() ? &filter->node() : nullptr;
}
/// Refers to both.
[[nodiscard]] inline vector_core::Condition condition_of(
    const std::optional<Filter>& filter, const VectorPredicate& predicate) noexcept {
  return {node_of(filter), predicate ? &predicate : nullptr};
}

/// Refers to `options`.
[[nodiscard]] inline vector_core::Search search_of(std::size_t k,
                                                   const VectorSearch& options) noexcept {
  return {.condition = condition_of(options.filter, options.predicate),
          .k = k,
          .ef = options.ef,
          .exact = options.exact,
          .rerank = options.rerank,
          .oversample = options.oversample,
          .max_distance = options.max_distance,
          .values = options.values,
          .metadata = options.metadata,
          .vectors = options.vectors};
}
[[nodiscard]] inline std::vector<vector_core::Search> searches_of(
    std::size_t k, std::span<const VectorSearch> options) {
  std::vector<vector_core::Search> searches;
  searches.reserve(options.size());
  for (const VectorSearch& one : options) searches.push_back(search_of(k, one));
  return searches;
}

/// The options with what the type says of a collection, which they must not contradict.
template <std::size_t Dim, class MetricTag>
[[nodiscard]] Result<VectorStoreOptions> options_of(VectorStoreOptions options) {
  Error error = vector_detail::merge_type<Dim, MetricTag>("open", options.dim, options.metric);
  if (error.failed()) return Unexpected(std::move(error));
  return options;
}

/// Opens the store of a collection by `open(store_options)`. There is a new file only where the
/// collection is to be made, and can be.
template <class Open>
[[nodiscard]] Result<Store> open_file(std::string_view path, const VectorStoreOptions& options,
                                      Open&& open) {
  if (Error error = vector_core::check_options(options); error.failed())
    return Unexpected(std::move(error));
  Options wanted = options.store;
  wanted.create_if_missing =
      wanted.create_if_missing && options.create_if_missing && options.dim != 0;
  auto store = open(wanted);
  if (store || wanted.create_if_missing) return store;
  return Unexpected(vector_core::explain_missing(path, options, std::move(store).error()));
}

/// Makes a collection and fills it by `fill(collection)`, or there is none.
template <class Fill>
[[nodiscard]] Result<VectorStore<>> filled_collection(VectorCollections& collections,
                                                      std::string_view name,
                                                      const VectorStoreOptions& options,
                                                      Fill&& fill) {
  auto created = collections.create(name, options);
  if (!created) return created;
  auto count = fill(*created);
  if (count) return created;
  *created = VectorStore<>();
  (void)collections.drop(name);
  return Unexpected(std::move(count).error());
}

[[nodiscard]] inline Result<VectorStore<>> import_text(
    const char* operation, VectorCollections& collections, std::string_view name, std::istream& in,
    VectorStoreOptions options, VectorImport import, vector_core::TextLayout layout) {
  Error error = vector_core::complete_options(operation, in, layout, import.refused, options);
  if (error.failed()) return Unexpected(std::move(error));
  import.any_metric = true;  // the caller has chosen it, or it is the one of the text
  return filled_collection(collections, name, options, [&](VectorStore<>& made) {
    return layout == vector_core::TextLayout::document ? made.import_json(in, import)
                                                       : made.import_jsonl(in, import);
  });
}

}  // namespace vector_facade

// ---- Handles ----

inline std::size_t VectorOperations::dim() const noexcept {
  return vector_core::traits(target_).dim;
}
inline Metric VectorOperations::metric() const noexcept {
  return vector_core::traits(target_).metric;
}
inline ElementType VectorOperations::dtype() const noexcept {
  return vector_core::traits(target_).dtype;
}
inline std::string_view VectorOperations::name() const noexcept {
  return vector_core::traits(target_).name;
}
inline Store VectorOperations::store() const {
  return target_.collection == nullptr ? Store() : facade::Door::store(vector_core::store(target_));
}
inline Result<ColumnFamily> VectorOperations::values() const {
  core::Target values;
  Error error = vector_core::values(target_, values);
  return facade::as_result(std::move(error), ColumnFamily(std::move(values)));
}

// ---- Writing ----

inline Result<void> VectorOperations::put(BytesView key, Vector vector, const VectorPut& options) {
  return facade::as_result(
      vector_core::put(target_, key, vector, options, vector_core::Put::replace));
}
inline Result<void> VectorOperations::add(BytesView key, Vector vector, const VectorPut& options) {
  return facade::as_result(
      vector_core::put(target_, key, vector, options, vector_core::Put::only_new));
}
inline Result<std::string> VectorOperations::put_new(Vector vector, const VectorPut& options) {
  std::string key;
  Error error = vector_core::put_new(target_, vector, options, key);
  return facade::as_result(std::move(error), std::move(key));
}
inline Result<void> VectorOperations::update(BytesView key, const VectorUpdate& change) {
  return facade::as_result(vector_core::update(target_, key, change));
}
inline Result<void> VectorOperations::put_batch(std::span<const VectorItem> items,
                                                const Progress& progress,
                                                const WriteOptions& options) {
  return facade::as_result(
      vector_core::put_batch(target_, items, progress, options, vector_core::Put::replace));
}
inline Result<void> VectorOperations::add_batch(std::span<const VectorItem> items,
                                                const Progress& progress,
                                                const WriteOptions& options) {
  return facade::as_result(
      vector_core::put_batch(target_, items, progress, options, vector_core::Put::only_new));
}
inline Result<bool> VectorOperations::erase(BytesView key, const WriteOptions& options) {
  bool existed = false;
  Error error = vector_core::erase(target_, key, options, existed);
  return facade::as_result(std::move(error), std::move(existed));
}
inline Result<std::uint64_t> VectorOperations::erase_many(std::span<const BytesView> keys,
                                                          const WriteOptions& options) {
  std::uint64_t erased = 0;
  Error error = vector_core::erase_many(target_, keys, options, erased);
  return facade::as_result(std::move(error), std::move(erased));
}
inline Result<std::uint64_t> VectorOperations::erase_if(const Filter& filter,
                                                        const WriteOptions& options) {
  std::uint64_t erased = 0;
  Error error = vector_core::erase_if(target_, {&filter.node(), nullptr}, options, erased);
  return facade::as_result(std::move(error), std::move(erased));
}
inline Result<std::uint64_t> VectorOperations::erase_if(const VectorPredicate& predicate,
                                                        const WriteOptions& options) {
  if (!predicate) {
    return Unexpected(Error(Errc::invalid_argument, "erase_if", "the predicate is empty"));
  }
  std::uint64_t erased = 0;
  Error error = vector_core::erase_if(target_, {nullptr, &predicate}, options, erased);
  return facade::as_result(std::move(error), std::move(erased));
}
inline Result<void> VectorOperations::clear(const WriteOptions& options) {
  return facade::as_result(vector_core::clear(target_, options));
}

// ---- Reading by key ----

inline Result<Bytes> VectorOperations::get(BytesView key) const {
  Bytes value;
  Error error = vector_core::get(target_, key, value);
  return facade::as_result(std::move(error), std::move(value));
}
inline Result<std::vector<float>> VectorOperations::get_vector(BytesView key) const {
  std::vector<float> vector;
  Error error = vector_core::get_vector(target_, key, vector);
  return facade::as_result(std::move(error), std::move(vector));
}
inline Result<Json> VectorOperations::get_metadata(BytesView key) const {
  Json metadata;
  // Not `as_result`: a `Json` makes a value of anything, an error included.
  if (Error error = vector_core::get_metadata(target_, key, metadata); error.failed()) {
    return Unexpected(std::move(error));
  }
  return metadata;
}
inline Result<VectorRecord> VectorOperations::get_item(BytesView key) const {
  VectorRecord record;
  Error error = vector_core::get_item(target_, key, record);
  return facade::as_result(std::move(error), std::move(record));
}
inline Result<bool> VectorOperations::contains(BytesView key) const {
  bool found = false;
  Error error = vector_core::contains(target_, key, found);
  return facade::as_result(std::move(error), std::move(found));
}
inline Result<std::uint64_t> VectorOperations::size() const {
  std::uint64_t entries = 0;
  Error error = vector_core::size(target_, entries);
  return facade::as_result(std::move(error), std::move(entries));
}
inline Result<std::uint64_t> VectorOperations::count(const Filter& filter) const {
  std::uint64_t entries = 0;
  Error error = vector_core::count(target_, {&filter.node(), nullptr}, entries);
  return facade::as_result(std::move(error), std::move(entries));
}
inline Result<std::vector<std::string>> VectorOperations::ids(std::string_view after,
                                                              std::size_t limit) const {
  std::vector<std::string> keys;
  Error error = vector_core::ids(target_, after, limit, keys);
  return facade::as_result(std::move(error), std::move(keys));
}
inline Result<std::vector<VectorRecord>> VectorOperations::items(const VectorQuery& query) const {
  std::vector<VectorRecord> records;
  Error error =
      vector_core::items(target_,
                         {.condition = vector_facade::condition_of(query.filter, query.predicate),
                          .after = query.after,
                          .limit = query.limit,
                          .values = query.values,
                          .metadata = query.metadata,
                          .vectors = query.vectors},
                         records);
  return facade::as_result(std::move(error), std::move(records));
}

// ---- Searching ----

inline Result<std::vector<VectorHit>> VectorOperations::search(Vector query, std::size_t k,
                                                               const VectorSearch& options) const {
  std::vector<VectorHit> hits;
  Error error =
      vector_core::search("search", target_, query, vector_facade::search_of(k, options), hits);
  return facade::as_result(std::move(error), std::move(hits));
}
inline Result<std::vector<VectorKey>> VectorOperations::search_keys(
    Vector query, std::size_t k, const VectorSearch& options) const {
  std::vector<VectorKey> keys;
  Error error =
      vector_core::search_keys(target_, query, vector_facade::search_of(k, options), keys);
  return facade::as_result(std::move(error), std::move(keys));
}
inline Result<std::vector<VectorHit>> VectorOperations::search_radius(
    Vector query, float radius, const VectorSearch& options) const {
  vector_core::Search search = vector_facade::search_of(1, options);
  search.radius = radius;
  std::vector<VectorHit> hits;
  Error error = vector_core::search("search_radius", target_, query, search, hits);
  return facade::as_result(std::move(error), std::move(hits));
}
inline Result<std::vector<std::vector<VectorHit>>> VectorOperations::search_batch(
    Vector queries, std::size_t k, std::span<const VectorSearch> options) const {
  std::vector<std::vector<VectorHit>> hits;
  Error error =
      vector_core::search_batch(target_, queries, vector_facade::searches_of(k, options), hits);
  return facade::as_result(std::move(error), std::move(hits));
}
inline Result<std::vector<std::vector<VectorHit>>> VectorOperations::search_batch(
    Vector queries, std::size_t k, const VectorSearch& options) const {
  return search_batch(queries, k, std::span<const VectorSearch>(&options, 1));
}
inline Result<std::vector<std::vector<VectorKey>>> VectorOperations::search_keys_batch(
    Vector queries, std::size_t k, std::span<const VectorSearch> options) const {
  std::vector<std::vector<VectorKey>> keys;
  Error error = vector_core::search_keys_batch(target_, queries,
                                               vector_facade::searches_of(k, options), keys);
  return facade::as_result(std::move(error), std::move(keys));
}
inline Result<std::vector<std::vector<VectorKey>>> VectorOperations::search_keys_batch(
    Vector queries, std::size_t k, const VectorSearch& options) const {
  return search_keys_batch(queries, k, std::span<const VectorSearch>(&options, 1));
}

inline Result<VectorCursor> VectorOperations::cursor(Vector query, VectorSearch options) const {
  Error error =
      vector_core::check_search("cursor", target_, query, vector_facade::search_of(1, options));
  if (error.failed()) return Unexpected(std::move(error));
  return VectorCursor(*this, query, std::move(options));
}
inline Result<std::vector<VectorHit>> VectorCursor::next(std::size_t k) {
  vector_core::Search search = vector_facade::search_of(k, options_);
  search.without = given_;
  std::vector<VectorHit> hits;
  Error error = vector_core::search("next", from_.target_, query_, search, hits);
  if (error.failed()) return Unexpected(std::move(error));
  for (const VectorHit& hit : hits) {
    given_.insert(std::lower_bound(given_.begin(), given_.end(), hit.key), hit.key);
  }
  return hits;
}

// ---- Maintenance ----

inline Result<VectorInfo> VectorOperations::info() const {
  VectorInfo out;
  Error error = vector_core::info(target_, out);
  return facade::as_result(std::move(error), std::move(out));
}
inline Result<VectorStats> VectorOperations::stats() const {
  VectorStats out;
  Error error = vector_core::stats(target_, out);
  return facade::as_result(std::move(error), std::move(out));
}
inline Result<void> VectorOperations::compact(const Progress& progress) {
  return facade::as_result(vector_core::compact(target_, progress));
}
inline Result<void> VectorOperations::save(const Progress& progress) {
  return facade::as_result(vector_core::save(target_, progress));
}
inline Result<std::uint64_t> VectorOperations::purge_expired(std::uint64_t limit) {
  std::uint64_t purged = 0;
  Error error = vector_core::purge_expired(target_, limit, purged);
  return facade::as_result(std::move(error), std::move(purged));
}
inline Result<VectorCheckReport> VectorOperations::verify(const Progress& progress) const {
  VectorCheckReport report;
  Error error = vector_core::verify(target_, progress, report);
  return facade::as_result(std::move(error), std::move(report));
}
inline Result<VectorCheckReport> VectorOperations::repair(const Progress& progress) {
  VectorCheckReport report;
  Error error = vector_core::repair(target_, progress, report);
  return facade::as_result(std::move(error), std::move(report));
}
inline Result<void> VectorOperations::set_dtype(ElementType dtype, const Progress& progress) {
  return facade::as_result(vector_core::set_dtype(target_, dtype, progress));
}
inline Result<void> VectorOperations::drop_index() {
  return facade::as_result(vector_core::drop_index(target_));
}

// ---- Text ----

inline Result<std::uint64_t> VectorOperations::export_json(std::ostream& out,
                                                           const VectorExport& options) const {
  std::uint64_t written = 0;
  Error error = vector_core::export_text("export_json", target_, out,
                                         {.layout = vector_core::TextLayout::document,
                                          .filter = vector_facade::node_of(options.filter),
                                          .values = options.values,
                                          .pretty = options.pretty,
                                          .progress = &options.progress},
                                         written);
  return facade::as_result(std::move(error), std::move(written));
}
inline Result<std::uint64_t> VectorOperations::export_jsonl(std::ostream& out,
                                                            const VectorExport& options) const {
  std::uint64_t written = 0;
  Error error = vector_core::export_text("export_jsonl", target_, out,
                                         {.layout = vector_core::TextLayout::lines,
                                          .filter = vector_facade::node_of(options.filter),
                                          .values = options.values,
                                          .progress = &options.progress},
                                         written);
  return facade::as_result(std::move(error), std::move(written));
}
inline Result<std::uint64_t> VectorOperations::import_json(std::istream& in,
                                                           const VectorImport& options) {
  std::uint64_t count = 0;
  Error error = vector_core::import_text("import_json", target_, in,
                                         vector_core::TextLayout::document, options, count);
  return facade::as_result(std::move(error), std::move(count));
}
inline Result<std::uint64_t> VectorOperations::import_jsonl(std::istream& in,
                                                            const VectorImport& options) {
  std::uint64_t count = 0;
  Error error = vector_core::import_text("import_jsonl", target_, in,
                                         vector_core::TextLayout::lines, options, count);
  return facade::as_result(std::move(error), std::move(count));
}

inline Result<std::uint64_t> VectorOperations::import_hnswlib(const std::string& path,
                                                              const VectorKeyOf& key_of,
                                                              const VectorImport& options) {
  std::uint64_t count = 0;
  Error error = vector_core::import_hnswlib(target_, path, {&key_of, &options}, count);
  return facade::as_result(std::move(error), std::move(count));
}

// ---- Opening ----

template <std::size_t Dim, class MetricTag>
Result<VectorStore<Dim, MetricTag>> VectorStore<Dim, MetricTag>::open(
    const Store& store, const VectorStoreOptions& given) {
  auto options = vector_facade::options_of<Dim, MetricTag>(given);
  if (!options) return Unexpected(std::move(options).error());
  vector_core::Target target;
  Error error = vector_core::open(facade::Door::target(store), *options, target);
  if (error.failed()) return Unexpected(std::move(error));
  return VectorStore(VectorOperations(std::move(target)));
}
template <std::size_t Dim, class MetricTag>
Result<void> VectorStore<Dim, MetricTag>::check(const VectorStoreOptions& given) {
  auto options = vector_facade::options_of<Dim, MetricTag>(given);
  if (!options) return Unexpected(std::move(options).error());
  return facade::as_result(vector_core::check_options(*options));
}
template <std::size_t Dim, class MetricTag>
Result<VectorStore<Dim, MetricTag>> VectorStore<Dim, MetricTag>::open(
    std::string_view path, const VectorStoreOptions& given) {
  auto options = vector_facade::options_of<Dim, MetricTag>(given);
  if (!options) return Unexpected(std::move(options).error());
  auto store = vector_facade::open_file(
      path, *options, [&](const Options& wanted) { return Store::open(path, wanted); });
  if (!store) return Unexpected(std::move(store).error());
  return open(*store, *options);
}
template <std::size_t Dim, class MetricTag>
Result<VectorStore<Dim, MetricTag>> VectorStore<Dim, MetricTag>::open_encrypted(
    std::string_view path, const Secret& secret, const VectorStoreOptions& given,
    const EncryptionOptions& encryption) {
  auto options = vector_facade::options_of<Dim, MetricTag>(given);
  if (!options) return Unexpected(std::move(options).error());
  auto store = vector_facade::open_file(path, *options, [&](const Options& wanted) {
    return Store::open_encrypted(path, secret, wanted, encryption);
  });
  if (!store) return Unexpected(std::move(store).error());
  return open(*store, *options);
}
template <std::size_t Dim, class MetricTag>
Result<VectorStore<Dim, MetricTag>> VectorStore<Dim, MetricTag>::open_in_memory(
    const VectorStoreOptions& options) {
  auto store = Store::open_in_memory(options.store);
  if (!store) return Unexpected(std::move(store).error());
  return open(*store, options);
}
template <std::size_t Dim, class MetricTag>
Result<VectorStore<Dim, MetricTag>> VectorStore<Dim, MetricTag>::in(
    const Transaction& transaction) const {
  vector_core::Target bound;
  Error error = vector_core::bind(target_, facade::Door::target(transaction), bound);
  if (error.failed()) return Unexpected(std::move(error));
  return VectorStore(VectorOperations(std::move(bound)));
}

inline Result<VectorStore<>> VectorCollections::create(std::string_view name,
                                                       VectorStoreOptions options) {
  options.name = name;
  options.error_if_exists = true;
  return VectorStore<>::open(store_, options);
}
inline Result<VectorStore<>> VectorCollections::open(std::string_view name,
                                                     VectorStoreOptions options) {
  options.name = name;
  options.create_if_missing = false;
  return VectorStore<>::open(store_, options);
}
inline Result<VectorStore<>> VectorCollections::get_or_create(std::string_view name,
                                                              VectorStoreOptions options) {
  options.name = name;
  return VectorStore<>::open(store_, options);
}
inline Result<std::vector<std::string>> VectorCollections::list() const {
  std::vector<std::string> names;
  Error error = vector_core::list(facade::Door::target(store_), names);
  return facade::as_result(std::move(error), std::move(names));
}
inline Result<bool> VectorCollections::drop(std::string_view name) {
  bool existed = false;
  Error error = vector_core::drop(facade::Door::target(store_), name, existed);
  return facade::as_result(std::move(error), std::move(existed));
}
inline Result<VectorStore<>> VectorCollections::import_json(std::string_view name, std::istream& in,
                                                            VectorStoreOptions options,
                                                            const VectorImport& import) {
  return vector_facade::import_text("import_json", *this, name, in, std::move(options), import,
                                    vector_core::TextLayout::document);
}
inline Result<VectorStore<>> VectorCollections::import_jsonl(std::string_view name,
                                                             std::istream& in,
                                                             VectorStoreOptions options,
                                                             const VectorImport& import) {
  return vector_facade::import_text("import_jsonl", *this, name, in, std::move(options), import,
                                    vector_core::TextLayout::lines);
}

inline Result<VectorStore<>> VectorCollections::import_hnswlib(std::string_view name,
                                                               const std::string& path,
                                                               const VectorKeyOf& key_of,
                                                               VectorStoreOptions options,
                                                               const VectorImport& import) {
  if (options.dim == 0) {
    if (Error error = vector_core::hnswlib_dimensions(path, options.dim); error.failed()) {
      return Unexpected(std::move(error));
    }
  }
  return vector_facade::filled_collection(*this, name, options, [&](VectorStore<>& made) {
    return made.import_hnswlib(path, key_of, import);
  });
}

}  // namespace SNKV_EXPECTED_NAMESPACE
}  // namespace snkv
