/// \file
/// Bodies of the members of store.hpp that open, look after and remove collections.
#pragma once

#include <snkv/vector/detail/collection_open.hpp>
#include <snkv/vector/store.hpp>

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace snkv {
inline namespace SNKV_EXPECTED_NAMESPACE {

namespace vector_facade {

using vector_detail::Collection;

[[nodiscard]] inline vector_detail::CollectionOpening opening_of(const VectorStoreOptions& options) {
  vector_detail::CollectionOpening opening{options.name};
  opening.wish = {.dim = options.dim,
                  .metric = options.metric,
                  .type = options.dtype,
                  .m = options.m,
                  .ef_construction = options.ef_construction,
                  .ef_search = options.ef_search,
                  .create_if_missing = options.create_if_missing,
                  .error_if_exists = options.error_if_exists};
  opening.image = {.keep_vectors = options.keep_vectors,
                   .threads = options.threads,
                   .memory_limit = options.memory_limit};
  opening.auto_save = options.auto_save;
  opening.progress = options.progress;
  return opening;
}

[[nodiscard]] inline Error open_collection(const Store& store, const VectorStoreOptions& options,
                                           const vector_detail::Kernels& kernels,
                                           std::shared_ptr<Collection>& out) {
  vector_detail::CollectionOpening opening = opening_of(options);
  opening.kernels = &kernels;
  return vector_detail::CollectionOpener("open", facade::Door::target(store)).open(opening, out);
}

/// What the type says of a collection goes before the options.
template <std::size_t Dim, class MetricTag>
[[nodiscard]] VectorStoreOptions options_of(VectorStoreOptions options) {
  if constexpr (Dim != dynamic_extent) options.dim = Dim;
  if constexpr (vector_detail::metric_of<MetricTag>) {
    options.metric = *vector_detail::metric_of<MetricTag>;
  }
  return options;
}

/// Opens the store of a collection by `open(store_options)`. There is a new file only where the
/// collection is to be made, and can be.
template <class Open>
[[nodiscard]] Result<Store> open_file(std::string_view path, const VectorStoreOptions& options,
                                      Open&& open) {
  constexpr const char* operation = "open";
  if (Error error = vector_detail::check_opening(operation, opening_of(options)); error.failed()) {
    return Unexpected(std::move(error));
  }
  Options wanted = options.store;
  wanted.create_if_missing = wanted.create_if_missing && options.create_if_missing && options.dim != 0;
  auto store = open(wanted);
  if (store || wanted.create_if_missing) return store;
  if (!options.store.create_if_missing || options.store.read_only) return store;
  if (::access(std::string(path).c_str(), F_OK) == 0 || errno != ENOENT) return store;
  if (!options.create_if_missing) {
    return Unexpected(Error(Errc::not_found, operation,
                            "collection " + vector_detail::printable(options.name) +
                                ": there is no file " + std::string(path)));
  }
  return Unexpected(Error(Errc::invalid_argument, operation,
                          std::string("a new collection needs its dimensions")));
}

[[nodiscard]] inline VectorInfo info_of(const Collection& collection, std::uint64_t count) {
  const vector_detail::CollectionConfig& config = collection.config();
  return {.name = collection.name(),
          .dim = config.dim,
          .metric = config.metric,
          .dtype = config.type,
          .m = config.m,
          .ef_construction = config.ef_construction,
          .ef_search = collection.ef_search(),
          .count = count,
          .damaged = collection.damage().size()};
}

inline void add_degrees(const vector_detail::Graph& graph, VectorStats& out) {
  std::vector<vector_detail::Slot> links(graph.capacity(0));
  std::uint64_t sum = 0;
  std::uint64_t counted = 0;
  for (vector_detail::Slot slot = 0; slot < graph.size(); ++slot) {
    if (graph.is_dead(slot) || !graph.is_linked(slot) || graph.is_copy(slot)) continue;
    const auto degree = static_cast<std::uint32_t>(graph.links_of(slot, 0, links.data()));
    out.least_degree = counted == 0 ? degree : std::min(out.least_degree, degree);
    out.largest_degree = std::max(out.largest_degree, degree);
    sum += degree;
    ++counted;
  }
  if (counted != 0) out.average_degree = static_cast<double>(sum) / static_cast<double>(counted);
}

}  // namespace vector_facade

// ---- Maintenance ----

inline Result<VectorInfo> VectorOperations::info() const {
  auto count = size();
  if (!count) return Unexpected(Error(count.error().code(), "info", count.error().detail()));
  return vector_facade::info_of(*collection_, *count);
}

inline Result<VectorStats> VectorOperations::stats() const {
  constexpr const char* operation = "stats";
  if (collection_ == nullptr) return Unexpected(vector_facade::closed(operation));
  Error error = collection_->catch_up(operation);
  vector_detail::StateRow state;
  if (!error.failed()) {
    error = vector_detail::read_state(operation, collection_->tables().meta, state);
  }
  if (error.failed()) return Unexpected(std::move(error));
  auto count = size();
  if (!count) return Unexpected(Error(count.error().code(), operation, count.error().detail()));

  const vector_detail::CollectionImage& image = collection_->image();
  const auto now = image.index().generation();
  VectorStats out;
  out.info = vector_facade::info_of(*collection_, *count);
  out.live = now->live();
  out.dead = now->graph.dead();
  out.slots = now->graph.size();
  const vector_detail::Slot linked = now->first_unlinked();
  out.unlinked = out.slots - std::min<std::uint64_t>(linked, out.slots);
  out.levels = now->graph.top_level() + 1;
  vector_facade::add_degrees(now->graph, out);
  out.quantized = now->graph.codec().type() == ElementType::i8;
  out.kernels = now->graph.codec().kernels().name;

  out.code_bytes = now->graph.code_bytes();
  out.link_bytes = now->graph.link_bytes();
  out.vector_bytes = now->vector_bytes();
  image.read([&](const auto& names, const auto& metadata) {
    out.name_bytes = names.memory();
    out.metadata_bytes = metadata.memory();
  });
  out.memory_bytes = image.memory();
  out.memory_limit = image.options().memory_limit;

  out.entries = state.live;
  out.with_metadata = state.with_metadata;
  out.sequence = state.sequence;
  out.log_entries = state.sequence - state.log_start;
  out.saved_sequence = state.saved_sequence;
  out.can_save = collection_->can_save();
  out.loaded = image.loaded();
  return out;
}

inline Result<void> VectorOperations::compact(const Progress& progress) {
  constexpr const char* operation = "compact";
  if (collection_ == nullptr) return Unexpected(vector_facade::closed(operation));
  Error error = collection_->catch_up(operation);
  if (error.failed()) return Unexpected(std::move(error));
  vector_detail::CallerProgress told(progress, &collection_->image());
  if (!collection_->image().compact(told)) return Unexpected(told.error(operation));
  if (!collection_->saves_by_itself() || collection_->damage().size() != 0) return {};
  return facade::as_result(collection_->save(operation, {}));
}

inline Result<void> VectorOperations::save(const Progress& progress) {
  constexpr const char* operation = "save";
  if (collection_ == nullptr) return Unexpected(vector_facade::closed(operation));
  if (core::is_read_only(collection_->store())) {
    return Unexpected(Error(Errc::read_only, operation, "the store was opened read-only"));
  }
  if (!collection_->can_save()) return facade::as_result(collection_->catch_up(operation));
  vector_detail::CallerProgress told(progress, &collection_->image());
  return facade::as_result(
      told.explain(operation, collection_->save(operation, told.function())));
}

inline Result<std::uint64_t> VectorOperations::purge_expired(std::uint64_t limit) {
  constexpr const char* operation = "purge_expired";
  // A transaction is short enough not to keep other writers waiting.
  constexpr std::uint64_t most = 256;
  if (collection_ == nullptr) return Unexpected(vector_facade::closed(operation));
  std::uint64_t purged = 0;
  for (;;) {
    const std::uint64_t left = limit == 0 ? ~std::uint64_t{0} : limit - purged;
    const std::uint64_t wanted = scope_ == nullptr ? std::min(most, left) : left;
    std::uint64_t found = 0;
    std::uint64_t gone = 0;
    const auto purge = [&](vector_detail::RowWriter& writer,
                           const vector_detail::CollectionTables& tables) -> Error {
      std::vector<std::pair<Bytes, std::string>> rows;
      vector_detail::RowCursor cursor(
          tables.meta, {Bytes(vector_detail::expiry_key(0, 0).view()),
                        Bytes(vector_detail::expiry_key(writer.now() + 1, 0).view()), true});
      for (; cursor.valid() && rows.size() < wanted; cursor.next()) {
        rows.emplace_back(Bytes(cursor.key()), cursor.value().str());
      }
      Error error = vector_detail::as_error_of(operation, cursor.status());
      for (const auto& [row, key] : rows) {
        bool existed = false;
        if (error.failed()) break;
        error = writer.purge(row, key, existed);
        gone += existed ? 1 : 0;
      }
      found = rows.size();
      return error;
    };
    Error error = collection_->write(operation, scope_, {}, purge);
    if (error.failed()) return Unexpected(std::move(error));
    purged += gone;
    if (found < wanted || (limit != 0 && purged == limit)) return purged;
  }
}

inline Result<void> VectorOperations::drop_index() {
  constexpr const char* operation = "drop_index";
  if (collection_ == nullptr) return Unexpected(vector_facade::closed(operation));
  return facade::as_result(vector_detail::CollectionOpener(operation, collection_->store())
                               .drop_index(*collection_, scope_));
}

// ---- Opening ----

template <std::size_t Dim, class MetricTag>
Result<VectorStore<Dim, MetricTag>> VectorStore<Dim, MetricTag>::open(
    const Store& store, const VectorStoreOptions& given) {
  const auto options = vector_facade::options_of<Dim, MetricTag>(given);
  std::shared_ptr<vector_detail::Collection> collection;
  Error error = vector_facade::open_collection(
      store, options, vector_detail::best_kernels<(Dim == dynamic_extent ? 0 : Dim)>(), collection);
  if (error.failed()) return Unexpected(std::move(error));
  return VectorStore(VectorOperations(std::move(collection)));
}

template <std::size_t Dim, class MetricTag>
Result<void> VectorStore<Dim, MetricTag>::check(const VectorStoreOptions& options) {
  const auto wanted = vector_facade::options_of<Dim, MetricTag>(options);
  return facade::as_result(vector_detail::check_opening("open", vector_facade::opening_of(wanted)));
}

template <std::size_t Dim, class MetricTag>
Result<VectorStore<Dim, MetricTag>> VectorStore<Dim, MetricTag>::open(
    std::string_view path, const VectorStoreOptions& options) {
  auto store = vector_facade::open_file(
      path, vector_facade::options_of<Dim, MetricTag>(options),
      [&](const Options& wanted) { return Store::open(path, wanted); });
  if (!store) return Unexpected(std::move(store).error());
  return open(*store, options);
}

template <std::size_t Dim, class MetricTag>
Result<VectorStore<Dim, MetricTag>> VectorStore<Dim, MetricTag>::open_encrypted(
    std::string_view path, const Secret& secret, const VectorStoreOptions& options,
    const EncryptionOptions& encryption) {
  auto store = vector_facade::open_file(
      path, vector_facade::options_of<Dim, MetricTag>(options), [&](const Options& wanted) {
        return Store::open_encrypted(path, secret, wanted, encryption);
      });
  if (!store) return Unexpected(std::move(store).error());
  return open(*store, options);
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
  auto bound = bound_to(transaction);
  if (!bound) return Unexpected(std::move(bound).error());
  return VectorStore(*std::move(bound));
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
  Error error = vector_detail::CollectionCatalog("list", facade::Door::target(store_)).list(names);
  return facade::as_result(std::move(error), std::move(names));
}
inline Result<bool> VectorCollections::drop(std::string_view name) {
  bool existed = false;
  Error error =
      vector_detail::CollectionOpener("drop", facade::Door::target(store_)).drop(name, existed);
  return facade::as_result(std::move(error), std::move(existed));
}

}  // namespace SNKV_EXPECTED_NAMESPACE
}  // namespace snkv
