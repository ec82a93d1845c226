/// \file
/// Bodies of members of store.hpp: searching.
#pragma once

#include <snkv/vector/store.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace snkv {
inline namespace SNKV_EXPECTED_NAMESPACE {

namespace vector_facade {

/// `core::multi_get`, one by one where all at once fails: what cannot be read is `damaged` then.
[[nodiscard]] inline Error get_rows(const char* operation, const core::Target& from,
                                    const std::vector<BytesView>& keys,
                                    std::vector<std::optional<Bytes>>& rows,
                                    std::vector<bool>& damaged) {
  Error error = core::multi_get(from, keys.data(), keys.size(), rows.data());
  if (!vector_detail::is_damage(error)) return vector_detail::as_error_of(operation, error);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    Bytes row;
    error = core::get(from, keys[i], row);
    rows[i].reset();
    if (!error.failed()) {
      rows[i] = std::move(row);
    } else if (vector_detail::is_damage(error)) {
      damaged[i] = true;
    } else if (!(error == Errc::not_found)) {
      return vector_detail::as_error_of(operation, std::move(error));
    }
  }
  return {};
}

/// The entries of a search or a scan, with what was asked for. `current` becomes false if one of
/// those that were found is not as it was. Those whose rows are damaged are left out, for good.
[[nodiscard]] inline Error fill(const char* operation, const Collection& collection,
                                std::vector<vector_detail::Found>& found,
                                const VectorSearch& options, std::vector<VectorHit>& hits,
                                bool& current) {
  hits.clear();
  hits.reserve(found.size());
  if (!options.values && !options.metadata && !options.vectors) {
    for (auto& one : found) hits.push_back({std::move(one.key), one.distance});
    return {};
  }
  return vector_detail::with_rows(
      operation, collection, nullptr, [&](const vector_detail::CollectionTables& tables) -> Error {
        std::vector<BytesView> keys;
        keys.reserve(found.size());
        for (const auto& one : found) keys.emplace_back(one.key);
        std::vector<std::optional<Bytes>> rows(keys.size());
        std::vector<std::optional<Bytes>> values(keys.size());
        std::vector<bool> damaged(keys.size());
        Error error = get_rows(operation, tables.items, keys, rows, damaged);
        if (!error.failed() && options.values && tables.has_values()) {
          error = get_rows(operation, tables.values, keys, values, damaged);
          if (error == Errc::index_dropped) error = {};  // it is the family of the values that is gone
        }
        if (error.failed()) return error;
        const auto leave_out = [&](std::size_t i, std::string what) {
          collection.image().leave_out(found[i].number, found[i].key, std::move(what));
          current = false;
        };
        // If nothing was committed since, a row that is another one now was not changed by a commit.
        vector_detail::StateRow state;
        error = vector_detail::read_state(operation, tables.meta, state);
        if (error.failed()) return error;
        const bool is_latest = state.sequence == collection.image().applied();
        for (std::size_t i = 0; i < found.size(); ++i) {
          vector_detail::ItemRow item;
          if (damaged[i] || (rows[i] && !decode(*rows[i], item))) {
            leave_out(i, "its row or its value cannot be read");
            continue;
          }
          if (!rows[i] || item.number != found[i].number) {
            if (is_latest) leave_out(i, "its row is gone, or has another number");
            current = false;
            continue;
          }
          current = current && item.changed == found[i].changed;
          VectorHit hit{found[i].key, found[i].distance, std::move(values[i])};
          if (options.metadata) {
            error = vector_detail::read_metadata(operation, keys[i], item, hit.metadata);
          }
          if (!error.failed() && options.vectors) {
            hit.vector.resize(collection.config().dim);
            error = vector_detail::read_vector(operation, tables.vectors, item.number,
                                               hit.vector.size(), hit.vector.data());
          }
          if (vector_detail::is_damage(error)) {
            leave_out(i, error.detail());
            continue;
          }
          if (error.failed()) return error;
          hits.push_back(std::move(hit));
        }
        return {};
      });
}

/// What a search asks the collection; refers to `options`.
[[nodiscard]] inline Error query_of(const char* operation, const Collection& collection,
                                    std::span<const float> query, std::size_t k,
                                    std::optional<float> radius, const VectorSearch& options,
                                    vector_detail::CollectionQuery& out) {
  if (Error error = collection.check_vector(operation, query, {}); error.failed()) return error;
  const auto refuse = [&](const char* why) {
    return Error(Errc::invalid_argument, operation, why);
  };
  if (k == 0) return refuse("k is 0");
  if (options.ef > 65536) return refuse("ef is more than 65536");
  if (options.oversample == 0) return refuse("oversample is 0");
  if (radius && *radius != *radius) return refuse("the radius is no number");
  if (options.max_distance && *options.max_distance != *options.max_distance) {
    return refuse("max_distance is no number");
  }
  out.condition = condition_of(collection, options.filter, options.predicate);
  if (Error error = out.condition.error(operation); error.failed()) return error;
  out.k = k;
  out.radius = radius;
  if (radius && options.max_distance) out.radius = std::min(*radius, *options.max_distance);
  out.ef = options.ef != 0 ? options.ef : collection.ef_search();
  out.exact = options.exact;
  out.rerank = options.rerank;
  out.oversample = options.oversample;
  out.max_distance = options.max_distance;
  return {};
}

/// `without`: keys that are not wanted, sorted.
[[nodiscard]] inline Error search_hits(const char* operation, const Collection& collection,
                                       std::span<const float> query, std::size_t k,
                                       std::optional<float> radius, const VectorSearch& options,
                                       std::vector<VectorHit>& hits,
                                       std::span<const std::string> without = {}) {
  vector_detail::CollectionQuery asked;
  // Those that are not wanted are found all the same, and left out.
  Error error = query_of(operation, collection, query, k + without.size(), radius, options, asked);
  if (error.failed()) return error;
  vector_detail::CollectionSearch search(operation, collection, asked);
  std::vector<vector_detail::Found> found;
  // What is changed between the search and the reading of its rows is searched for again.
  for (int attempt = 0; attempt < 4; ++attempt) {
    if (error = search.run(query.data(), found); error.failed()) return error;
    if (!without.empty()) {
      std::erase_if(found, [&](const vector_detail::Found& one) {
        return std::binary_search(without.begin(), without.end(), one.key);
      });
      if (found.size() > k) found.resize(k);
    }
    bool current = true;
    if (error = fill(operation, collection, found, options, hits, current); error.failed()) {
      return error;
    }
    if (current) break;
  }
  return {};
}

[[nodiscard]] inline Error search_keys(const char* operation, const Collection& collection,
                                       std::span<const float> query, std::size_t k,
                                       const VectorSearch& options, std::vector<VectorKey>& keys) {
  vector_detail::CollectionQuery asked;
  Error error = query_of(operation, collection, query, k, std::nullopt, options, asked);
  if (error.failed()) return error;
  std::vector<vector_detail::Found> found;
  error = vector_detail::CollectionSearch(operation, collection, asked).run(query.data(), found);
  if (error.failed()) return error;
  keys.clear();
  keys.reserve(found.size());
  for (auto& one : found) keys.push_back({std::move(one.key), one.distance});
  return {};
}

/// Runs `search(query, options, out)` for each of many queries, on all threads.
template <class Hit, class Search>
[[nodiscard]] Result<std::vector<std::vector<Hit>>> batch(const char* operation,
                                                          const Collection* collection,
                                                          std::span<const float> queries,
                                                          std::span<const VectorSearch> options,
                                                          Search&& search) {
  if (collection == nullptr) return Unexpected(closed(operation));
  const std::size_t dim = collection->config().dim;
  if (queries.size() % dim != 0) {
    return Unexpected(Error(
        Errc::dimension_mismatch, operation,
        std::to_string(queries.size()) + " numbers are not vectors of " + std::to_string(dim)));
  }
  const std::size_t count = queries.size() / dim;
  if (options.size() != 1 && options.size() != count) {
    return Unexpected(Error(
        Errc::invalid_argument, operation,
        std::to_string(options.size()) + " options for " + std::to_string(count) + " queries"));
  }
  std::vector<std::vector<Hit>> found(count);
  Error error = collection->image().pool().each(count, [&](std::size_t i, std::size_t) {
    return search(queries.subspan(i * dim, dim), options.size() == 1 ? options[0] : options[i],
                  found[i]);
  });
  if (error.failed()) return Unexpected(std::move(error));
  return found;
}

}  // namespace vector_facade

inline Result<std::vector<VectorHit>> VectorOperations::search(Vector query, std::size_t k,
                                                               const VectorSearch& options) const {
  if (collection_ == nullptr) return Unexpected(vector_facade::closed("search"));
  std::vector<VectorHit> hits;
  Error error =
      vector_facade::search_hits("search", *collection_, query, k, std::nullopt, options, hits);
  return facade::as_result(std::move(error), std::move(hits));
}

inline Result<std::vector<VectorKey>> VectorOperations::search_keys(
    Vector query, std::size_t k, const VectorSearch& options) const {
  if (collection_ == nullptr) return Unexpected(vector_facade::closed("search_keys"));
  std::vector<VectorKey> keys;
  Error error = vector_facade::search_keys("search_keys", *collection_, query, k, options, keys);
  return facade::as_result(std::move(error), std::move(keys));
}

inline Result<std::vector<VectorHit>> VectorOperations::search_radius(
    Vector query, float radius, const VectorSearch& options) const {
  if (collection_ == nullptr) return Unexpected(vector_facade::closed("search_radius"));
  std::vector<VectorHit> hits;
  Error error =
      vector_facade::search_hits("search_radius", *collection_, query, 1, radius, options, hits);
  return facade::as_result(std::move(error), std::move(hits));
}

inline Result<std::vector<std::vector<VectorHit>>> VectorOperations::search_batch(
    Vector queries, std::size_t k, std::span<const VectorSearch> options) const {
  constexpr const char* operation = "search_batch";
  return vector_facade::batch<VectorHit>(
      operation, collection_.get(), queries, options,
      [&](Vector query, const VectorSearch& chosen, std::vector<VectorHit>& hits) {
        return vector_facade::search_hits(operation, *collection_, query, k, std::nullopt, chosen,
                                          hits);
      });
}
inline Result<std::vector<std::vector<VectorHit>>> VectorOperations::search_batch(
    Vector queries, std::size_t k, const VectorSearch& options) const {
  return search_batch(queries, k, std::span<const VectorSearch>(&options, 1));
}

inline Result<std::vector<std::vector<VectorKey>>> VectorOperations::search_keys_batch(
    Vector queries, std::size_t k, std::span<const VectorSearch> options) const {
  constexpr const char* operation = "search_keys_batch";
  return vector_facade::batch<VectorKey>(
      operation, collection_.get(), queries, options,
      [&](Vector query, const VectorSearch& chosen, std::vector<VectorKey>& keys) {
        return vector_facade::search_keys(operation, *collection_, query, k, chosen, keys);
      });
}
inline Result<std::vector<std::vector<VectorKey>>> VectorOperations::search_keys_batch(
    Vector queries, std::size_t k, const VectorSearch& options) const {
  return search_keys_batch(queries, k, std::span<const VectorSearch>(&options, 1));
}

inline Result<VectorCursor> VectorOperations::cursor(Vector query, VectorSearch options) const {
  constexpr const char* operation = "cursor";
  if (collection_ == nullptr) return Unexpected(vector_facade::closed(operation));
  vector_detail::CollectionQuery asked;
  Error error =
      vector_facade::query_of(operation, *collection_, query, 1, std::nullopt, options, asked);
  if (error.failed()) return Unexpected(std::move(error));
  return VectorCursor(*this, query, std::move(options));
}

inline Result<std::vector<VectorHit>> VectorCursor::next(std::size_t k) {
  constexpr const char* operation = "next";
  if (from_.collection_ == nullptr) return Unexpected(vector_facade::closed(operation));
  if (k == 0) return Unexpected(Error(Errc::invalid_argument, operation, "k is 0"));
  std::vector<VectorHit> hits;
  Error error = vector_facade::search_hits(operation, *from_.collection_, query_, k, std::nullopt,
                                           options_, hits, given_);
  if (error.failed()) return Unexpected(std::move(error));
  for (const VectorHit& hit : hits) {
    given_.insert(std::lower_bound(given_.begin(), given_.end(), hit.key), hit.key);
  }
  return hits;
}

}  // namespace SNKV_EXPECTED_NAMESPACE
}  // namespace snkv
