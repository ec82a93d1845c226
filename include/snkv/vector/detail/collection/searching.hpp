/// \file
/// Searching.
#pragma once

#include <snkv/vector/detail/collection/row_access.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace snkv {

namespace vector_detail {

/// `core::multi_get`, one by one where all at once fails: what cannot be read is `damaged` then.
[[nodiscard]] inline Error get_rows(const char* operation, const core::Target& from,
                                    const std::vector<BytesView>& keys,
                                    std::vector<std::optional<Bytes>>& rows,
                                    std::vector<bool>& damaged) {
  Error error = core::multi_get(from, keys.data(), keys.size(), rows.data());
  if (!is_damage(error)) return as_error_of(operation, error);
  for (std::size_t i = 0; i < keys.size(); ++i) {
    Bytes row;
    error = core::get(from, keys[i], row);
    rows[i].reset();
    if (!error.failed()) {
      rows[i] = std::move(row);
    } else if (is_damage(error)) {
      damaged[i] = true;
    } else if (!(error == Errc::not_found)) {
      return as_error_of(operation, std::move(error));
    }
  }
  return {};
}

/// The entries of a search or a scan, with what was asked for. `current` becomes false if one of
/// those that were found is not as it was. Those whose rows are damaged are left out, for good.
[[nodiscard]] inline Error fill(const char* operation, const Collection& collection,
                                std::vector<Found>& found,
                                const vector_core::Search& options, std::vector<VectorHit>& hits,
                                bool& current) {
  hits.clear();
  hits.reserve(found.size());
  if (!options.values && !options.metadata && !options.vectors) {
    for (auto& one : found) hits.push_back({std::move(one.key), one.distance});
    return {};
  }
  return with_rows(
      operation, collection, nullptr, [&](const CollectionTables& tables) -> Error {
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
        StateRow state;
        error = read_state(operation, tables.meta, state);
        if (error.failed()) return error;
        const bool is_latest = state.sequence == collection.image().applied();
        for (std::size_t i = 0; i < found.size(); ++i) {
          ItemRow item;
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
            error = read_metadata(operation, keys[i], item, hit.metadata);
          }
          if (!error.failed() && options.vectors) {
            hit.vector.resize(collection.config().dim);
            error = read_vector(operation, tables.vectors, item.number,
                                               hit.vector.size(), hit.vector.data());
          }
          if (is_damage(error)) {
            leave_out(i, error.detail());
            continue;
          }
          if (error.failed()) return error;
          hits.push_back(std::move(hit));
        }
        return {};
      });
}

/// What a search asks the collection; refers to `search`.
[[nodiscard]] inline Error query_of(const char* operation, const Collection& collection,
                                    std::span<const float> query, const vector_core::Search& search,
                                    CollectionQuery& out) {
  if (Error error = collection.check_vector(operation, query, {}); error.failed()) return error;
  const auto refuse = [&](const char* why) { return Error(Errc::invalid_argument, operation, why); };
  if (search.k == 0) return refuse("k is 0");
  if (search.ef > 65536) return refuse("ef is more than 65536");
  if (search.oversample == 0) return refuse("oversample is 0");
  if (search.radius && std::isnan(*search.radius)) return refuse("the radius is no number");
  if (search.max_distance && std::isnan(*search.max_distance)) return refuse("max_distance is no number");
  out.condition = condition_of(collection, search.condition);
  if (Error error = out.condition.error(operation); error.failed()) return error;
  // Those that are not wanted are found all the same, and left out.
  out.k = search.k + search.without.size();
  out.radius = search.radius;
  if (search.radius && search.max_distance) out.radius = std::min(*search.radius, *search.max_distance);
  out.ef = search.ef != 0 ? search.ef : collection.ef_search();
  out.widen = search.ef == 0;
  out.exact = search.exact;
  out.rerank = search.rerank;
  out.oversample = search.oversample;
  out.max_distance = search.max_distance;
  return {};
}

[[nodiscard]] inline Error search_hits(const char* operation, const Collection& collection,
                                       std::span<const float> query, const vector_core::Search& search,
                                       std::vector<VectorHit>& hits) {
  CollectionQuery asked;
  Error error = query_of(operation, collection, query, search, asked);
  if (error.failed()) return error;
  CollectionSearch run(operation, collection, asked);
  std::vector<Found> found;
  // What is changed between the search and the reading of its rows is searched for again.
  for (int attempt = 0; attempt < 4; ++attempt) {
    if (error = run.run(query.data(), found); error.failed()) return error;
    if (!search.without.empty()) {
      std::erase_if(found, [&](const Found& one) {
        return std::binary_search(search.without.begin(), search.without.end(), one.key);
      });
      if (found.size() > search.k) found.resize(search.k);
    }
    bool current = true;
    if (error = fill(operation, collection, found, search, hits, current); error.failed()) return error;
    if (current) break;
  }
  return {};
}

[[nodiscard]] inline Error search_keys(const char* operation, const Collection& collection,
                                       std::span<const float> query, const vector_core::Search& search,
                                       std::vector<VectorKey>& keys) {
  CollectionQuery asked;
  Error error = query_of(operation, collection, query, search, asked);
  if (error.failed()) return error;
  std::vector<Found> found;
  error = CollectionSearch(operation, collection, asked).run(query.data(), found);
  if (error.failed()) return error;
  keys.clear();
  keys.reserve(found.size());
  for (auto& one : found) keys.push_back({std::move(one.key), one.distance});
  return {};
}

/// Runs `run(query, search, out)` for each of many queries, on all threads.
template <class Hit, class Run>
[[nodiscard]] Error search_many(const char* operation, const Collection& collection,
                                std::span<const float> queries,
                                std::span<const vector_core::Search> searches,
                                std::vector<std::vector<Hit>>& out, Run&& run) {
  const std::size_t dim = collection.config().dim;
  if (queries.size() % dim != 0) {
    return Error(Errc::dimension_mismatch, operation,
                 std::to_string(queries.size()) + " numbers are not vectors of " + std::to_string(dim));
  }
  const std::size_t count = queries.size() / dim;
  if (searches.size() != 1 && searches.size() != count) {
    return Error(Errc::invalid_argument, operation,
                 std::to_string(searches.size()) + " options for " + std::to_string(count) + " queries");
  }
  out.resize(count);
  return collection.image().pool().each(count, [&](std::size_t i, std::size_t) {
    return run(queries.subspan(i * dim, dim), searches.size() == 1 ? searches[0] : searches[i], out[i]);
  });
}

}  // namespace vector_detail

namespace vector_core {

using namespace vector_detail;  // NOLINT(google-build-using-namespace): the code behind these functions

SNKV_VECTOR_CODE Error check_search(const char* operation, const Target& at, std::span<const float> query,
                                    const Search& search) {
  if (at.collection == nullptr) return closed(operation);
  CollectionQuery asked;
  return query_of(operation, *at.collection, query, search, asked);
}

SNKV_VECTOR_CODE Error search(const char* operation, const Target& at, std::span<const float> query,
                              const Search& search, std::vector<VectorHit>& hits) {
  if (at.collection == nullptr) return closed(operation);
  return search_hits(operation, *at.collection, query, search, hits);
}

SNKV_VECTOR_CODE Error search_keys(const Target& at, std::span<const float> query, const Search& search,
                                   std::vector<VectorKey>& keys) {
  constexpr const char* operation = "search_keys";
  if (at.collection == nullptr) return closed(operation);
  return vector_detail::search_keys(operation, *at.collection, query, search, keys);
}

SNKV_VECTOR_CODE Error search_batch(const Target& at, std::span<const float> queries,
                                    std::span<const Search> searches,
                                    std::vector<std::vector<VectorHit>>& hits) {
  constexpr const char* operation = "search_batch";
  if (at.collection == nullptr) return closed(operation);
  return search_many(operation, *at.collection, queries, searches, hits,
                     [&](std::span<const float> query, const Search& search, std::vector<VectorHit>& out) {
                       return search_hits(operation, *at.collection, query, search, out);
                     });
}

SNKV_VECTOR_CODE Error search_keys_batch(const Target& at, std::span<const float> queries,
                                         std::span<const Search> searches,
                                         std::vector<std::vector<VectorKey>>& keys) {
  constexpr const char* operation = "search_keys_batch";
  if (at.collection == nullptr) return closed(operation);
  return search_many(operation, *at.collection, queries, searches, keys,
                     [&](std::span<const float> query, const Search& search, std::vector<VectorKey>& out) {
                       return vector_detail::search_keys(operation, *at.collection, query, search, out);
                     });
}

}  // namespace vector_core
}  // namespace snkv
