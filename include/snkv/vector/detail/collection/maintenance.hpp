/// \file
/// What handles say of their collections, and looking after those.
#pragma once

#include <snkv/vector/detail/collection/collection_open.hpp>
#include <snkv/vector/detail/collection/row_access.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace snkv {

namespace vector_detail {

[[nodiscard]] inline VectorInfo info_of(const Collection& collection, std::uint64_t count) {
  const CollectionConfig config = collection.config();
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

inline void add_degrees(const Graph& graph, VectorStats& out) {
  std::vector<Slot> links(graph.capacity(0));
  std::uint64_t sum = 0;
  std::uint64_t counted = 0;
  for (Slot slot = 0; slot < graph.size(); ++slot) {
    if (graph.is_dead(slot) || !graph.is_linked(slot) || graph.is_copy(slot)) continue;
    const auto degree = static_cast<std::uint32_t>(graph.links_of(slot, 0, links.data()));
    out.least_degree = counted == 0 ? degree : std::min(out.least_degree, degree);
    out.largest_degree = std::max(out.largest_degree, degree);
    sum += degree;
    ++counted;
  }
  if (counted != 0) out.average_degree = static_cast<double>(sum) / static_cast<double>(counted);
}

}  // namespace vector_detail

namespace vector_core {

using namespace vector_detail;  // NOLINT(google-build-using-namespace): the code behind these functions

SNKV_VECTOR_CODE Traits traits(const Target& at) noexcept {
  if (at.collection == nullptr) return {};
  const CollectionConfig config = at.collection->config();
  return {config.dim, config.metric, config.type, at.collection->name()};
}

SNKV_VECTOR_CODE core::Target store(const Target& at) {
  return at.collection == nullptr ? core::Target() : at.collection->store();
}

SNKV_VECTOR_CODE Error values(const Target& at, core::Target& out) {
  constexpr const char* operation = "values";
  if (at.collection == nullptr) return closed(operation);
  core::Target target = at.collection->tables().values;
  if (target.family == nullptr) return Error(Errc::not_found, operation, at.collection->name());
  target.scope = at.scope;
  out = std::move(target);
  return {};
}

SNKV_VECTOR_CODE Error bind(const Target& at, const core::Target& transaction, Target& out) {
  constexpr const char* operation = "in";
  if (at.collection == nullptr) return closed(operation);
  if (transaction.scope == nullptr) return Error(Errc::closed, operation, "the transaction has ended");
  if (transaction.store != at.collection->store().store) {
    return Error(Errc::invalid_argument, operation, "the transaction is one of another store");
  }
  out = {at.collection, transaction.scope};
  return {};
}

SNKV_VECTOR_CODE Error info(const Target& at, VectorInfo& out) {
  constexpr const char* operation = "info";
  std::uint64_t count = 0;
  if (Error error = size(at, count); error.failed()) return Error(error.code(), operation, error.detail());
  out = info_of(*at.collection, count);
  return {};
}

SNKV_VECTOR_CODE Error stats(const Target& at, VectorStats& out) {
  constexpr const char* operation = "stats";
  if (at.collection == nullptr) return closed(operation);
  Error error = at.collection->catch_up(operation);
  StateRow state;
  if (!error.failed()) error = read_state(operation, at.collection->tables().meta, state);
  if (error.failed()) return error;
  std::uint64_t count = 0;
  if (error = size(at, count); error.failed()) return Error(error.code(), operation, error.detail());

  const CollectionImage& image = at.collection->image();
  const auto now = image.index().generation();
  out.info = info_of(*at.collection, count);
  out.live = now->live();
  out.dead = now->graph.dead();
  out.slots = now->graph.size();
  const Slot linked = now->first_unlinked();
  out.unlinked = out.slots - std::min<std::uint64_t>(linked, out.slots);
  out.levels = now->graph.top_level() + 1;
  add_degrees(now->graph, out);
  out.quantized = now->graph.codec().type() == ElementType::i8;
  out.kernels = now->graph.codec().kernels().name;

  const bool are_exact = now->graph.codec().type() == ElementType::f32;
  out.code_bytes = are_exact ? 0 : now->graph.code_bytes();
  out.link_bytes = now->graph.link_bytes();
  out.vector_bytes = are_exact ? now->graph.code_bytes() : now->vector_bytes();
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
  out.can_save = at.collection->can_save();
  out.loaded = image.loaded();
  return {};
}

SNKV_VECTOR_CODE Error compact(const Target& at, const Progress& progress) {
  constexpr const char* operation = "compact";
  if (at.collection == nullptr) return closed(operation);
  if (Error error = at.collection->catch_up(operation); error.failed()) return error;
  CallerProgress told(progress, &at.collection->image());
  if (!at.collection->image().compact(told)) return told.error(operation);
  if (!at.collection->saves_by_itself() || at.collection->damage().size() != 0) return {};
  return at.collection->save(operation, {});
}

SNKV_VECTOR_CODE Error save(const Target& at, const Progress& progress) {
  constexpr const char* operation = "save";
  if (at.collection == nullptr) return closed(operation);
  if (core::is_read_only(at.collection->store())) {
    return Error(Errc::read_only, operation, "the store was opened read-only");
  }
  if (!at.collection->can_save()) return at.collection->catch_up(operation);
  CallerProgress told(progress, &at.collection->image());
  return told.explain(operation, at.collection->save(operation, told.function()));
}

SNKV_VECTOR_CODE Error purge_expired(const Target& at, std::uint64_t limit, std::uint64_t& purged) {
  constexpr const char* operation = "purge_expired";
  // A transaction is short enough not to keep other writers waiting.
  constexpr std::uint64_t most = 256;
  if (at.collection == nullptr) return closed(operation);
  purged = 0;
  for (;;) {
    const std::uint64_t left = limit == 0 ? ~std::uint64_t{0} : limit - purged;
    const std::uint64_t wanted = at.scope == nullptr ? std::min(most, left) : left;
    std::uint64_t found = 0;
    std::uint64_t gone = 0;
    const auto purge = [&](RowWriter& writer,
                           const CollectionTables& tables) -> Error {
      std::vector<std::pair<Bytes, std::string>> rows;
      RowCursor cursor(
          tables.meta, {Bytes(expiry_key(0, 0).view()),
                        Bytes(expiry_key(writer.now() + 1, 0).view()), true});
      for (; cursor.valid() && rows.size() < wanted; cursor.next()) {
        rows.emplace_back(Bytes(cursor.key()), cursor.value().str());
      }
      Error error = as_error_of(operation, cursor.status());
      for (const auto& [row, key] : rows) {
        bool existed = false;
        if (error.failed()) break;
        error = writer.purge(row, key, existed);
        gone += existed ? 1 : 0;
      }
      found = rows.size();
      return error;
    };
    Error error = at.collection->write(operation, at.scope, {}, purge);
    if (error.failed()) return error;
    purged += gone;
    if (found < wanted || (limit != 0 && purged == limit)) return {};
  }
}

SNKV_VECTOR_CODE Error set_dtype(const Target& at, ElementType type, const Progress& progress) {
  constexpr const char* operation = "set_dtype";
  if (at.collection == nullptr) return closed(operation);
  if (to_string(type) == "unknown") return Error(Errc::invalid_argument, operation, "unknown dtype");
  if (at.scope != nullptr) return Error(Errc::invalid_argument, operation, "not inside a transaction");
  const Collection& collection = *at.collection;
  if (core::is_read_only(collection.store())) {
    return Error(Errc::read_only, operation, "the store was opened read-only");
  }
  if (Error error = collection.catch_up(operation); error.failed()) return error;
  CollectionImage& image = collection.image();
  {
    const std::lock_guard changing(image.type_mutex());
    const ElementType before = image.config().type;
    if (before == type) return {};
    CallerProgress told(progress, &image);
    Error error = image.set_type(operation, collection.tables(), type, told);
    if (!error.failed()) error = CollectionOpener(operation, collection.store()).set_type(collection, type);
    if (error.failed()) {
      const Progress none;
      CallerProgress back(none, &image);
      if (image.config().type == type) static_cast<void>(image.set_type(operation, collection.tables(), before, back));
      return error;
    }
  }
  // What is saved has the codes of before.
  if (!collection.saves_by_itself() || collection.damage().size() != 0) return {};
  return collection.save(operation, {});
}

SNKV_VECTOR_CODE Error drop_index(const Target& at) {
  constexpr const char* operation = "drop_index";
  if (at.collection == nullptr) return closed(operation);
  return CollectionOpener(operation, at.collection->store()).drop_index(*at.collection, at.scope);
}

}  // namespace vector_core
}  // namespace snkv
