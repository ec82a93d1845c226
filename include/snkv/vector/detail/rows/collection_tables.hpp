/// \file
/// The families of a collection, and the catalog of the collections of a store.
#pragma once

#include <snkv/detail/core_abi.hpp>
#include <snkv/vector/detail/rows/rows.hpp>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace snkv::vector_detail {

/// The error of an operation of the core as one of an operation on a collection.
[[nodiscard]] inline Error as_error_of(const char* operation, Error error) {
  if (!error.failed()) return error;
  const Errc code = error == Errc::dropped ? Errc::index_dropped : error.code();
  return Error(code, operation, error.detail(), error.extended());
}

[[nodiscard]] inline Error damaged(const char* operation, std::string_view what) {
  return Error(Errc::corrupt, operation, std::string(what));
}

/// A transaction that is rolled back unless it is committed.
class OwnTransaction {
 public:
  OwnTransaction() = default;
  OwnTransaction(const OwnTransaction&) = delete;
  OwnTransaction& operator=(const OwnTransaction&) = delete;
  ~OwnTransaction() {
    if (target_.scope != nullptr) core::abandon(target_);
  }
  [[nodiscard]] Error begin(const core::Target& store, const WriteOptions& options) {
    return core::begin(store, options, target_);
  }
  [[nodiscard]] const std::shared_ptr<core::Scope>& scope() const noexcept { return target_.scope; }
  [[nodiscard]] const core::Target& target() const noexcept { return target_; }
  [[nodiscard]] Error commit() { return core::commit(target_); }

 private:
  core::Target target_;
};

/// Where the rows of a collection are, and in which transaction or snapshot they are read and
/// written.
struct CollectionTables {
  core::Target items;
  core::Target vectors;
  core::Target log;
  core::Target meta;
  core::Target values;  ///< without a family if there is none

  [[nodiscard]] CollectionTables in(const std::shared_ptr<core::Scope>& scope) const {
    CollectionTables bound = *this;
    for (core::Target* target :
         {&bound.items, &bound.vectors, &bound.log, &bound.meta, &bound.values}) {
      target->scope = scope;
    }
    return bound;
  }
  [[nodiscard]] bool has_values() const noexcept { return values.family != nullptr; }
};

/// Reads where the collection stands.
[[nodiscard]] inline Error read_state(const char* operation, const core::Target& meta,
                                      StateRow& out) {
  struct Visit {
    StateRow* state;
    bool sound;
  } visit{&out, false};
  Error error = core::visit(
      meta, StateRow::key,
      [](void* context, BytesView row) {
        auto& to = *static_cast<Visit*>(context);
        to.sound = decode(row, *to.state);
      },
      &visit);
  if (error == Errc::not_found) return damaged(operation, "the state of the collection is missing");
  if (error.failed()) return as_error_of(operation, std::move(error));
  return visit.sound ? Error() : damaged(operation, "the state of the collection cannot be read");
}

/// For messages: at most 64 bytes of a key, those that cannot be printed as dots.
[[nodiscard]] inline std::string printable(BytesView key) {
  std::string out = "\"";
  for (const char c : key.view().substr(0, 64)) out += c >= ' ' && c <= '~' ? c : '.';
  return out + (key.size() > 64 ? "...\"" : "\"");
}

/// Takes the row of an entry apart: `corrupt` for what cannot be one in a collection of this state.
/// `out` refers to `row`.
[[nodiscard]] inline Error read_item_row(const char* operation, BytesView key, BytesView row,
                                         const StateRow& state, ItemRow& out) {
  const char* why = nullptr;
  if (!decode(row, out)) {
    why = " cannot be read";
  } else if (out.number >= state.next_number) {
    why = " has a number that there is not";
  } else if (out.changed == 0 || out.changed > state.sequence) {
    why = " is of a change that there was not";
  } else if (out.expires_at < 0) {
    why = " expires before 1970";
  }
  return why == nullptr ? Error() : damaged(operation, "the row of " + printable(key) + why);
}

/// `corrupt` if the state says that there are more numbers than there are rows for. Each number
/// belongs to an entry or is free, and what is kept in memory grows with the largest of them: so it
/// is not believed before it is looked for. A few are. O(pages of the entries, and free numbers).
[[nodiscard]] inline Error check_numbers(const char* operation, const CollectionTables& tables,
                                         const StateRow& state) {
  constexpr std::uint64_t few = 65536;
  if (state.next_number <= few) return {};
  std::uint64_t entries = 0;
  std::uint64_t free = 0;
  Error error = core::count(tables.items, entries);
  if (!error.failed()) error = core::count_range(tables.meta, core::prefix_range("f"), free);
  if (error.failed()) return as_error_of(operation, std::move(error));
  if (state.next_number <= entries + free + few) return {};
  return damaged(operation, "there are " + std::to_string(state.next_number) + " numbers for " +
                                std::to_string(entries) + " entries, and " + std::to_string(free) +
                                " are free");
}

/// What a collection shall be like; empty: as it is, or, for a new one, as by default.
struct CollectionWish {
  std::size_t dim = 0;
  std::optional<Metric> metric{};
  std::optional<ElementType> type{};
  std::optional<std::uint32_t> m{};
  std::optional<std::uint32_t> ef_construction{};
  std::optional<std::uint32_t> ef_search{};
  bool create_if_missing = true;
  bool error_if_exists = false;
};

/// The collections of a store: which there are, and making and removing them. All functions take a
/// target of the store that is bound to a transaction or a snapshot, or to nothing.
class CollectionCatalog {
 public:
  explicit CollectionCatalog(const char* operation, core::Target store)
      : operation_(operation), store_(std::move(store)) {}

  /// `found` is empty if there is no such collection.
  [[nodiscard]] Error find(std::string_view name, std::optional<CollectionConfig>& found) const {
    found.reset();
    core::Target catalog;
    Error error = core::internal_family(store_, catalog_name, core::FamilyMode::open, catalog);
    if (error == Errc::not_found) return {};
    Bytes row;
    if (!error.failed()) error = core::get(catalog, name, row);
    if (error == Errc::not_found) return {};
    if (error.failed()) return as_error_of(operation_, std::move(error));
    CollectionConfig config;
    switch (decode(row, config)) {
      case Decoded::ok:
        found = config;
        return {};
      case Decoded::newer_version:
        return Error(Errc::unsupported_version, operation_, "collection " + std::string(name));
      case Decoded::corrupt:
        break;
    }
    return damaged(operation_, "the record of the collection cannot be read");
  }

  /// Sorted; those without an index are left out.
  [[nodiscard]] Error list(std::vector<std::string>& names) const {
    names.clear();
    core::Target catalog;
    Error error = core::internal_family(store_, catalog_name, core::FamilyMode::open, catalog);
    if (error == Errc::not_found) return {};
    if (error.failed()) return as_error_of(operation_, std::move(error));
    const CursorOwner cursor(core::open_cursor(catalog, {}, {}));
    for (core::cursor_first(*cursor); cursor->valid; core::cursor_next(*cursor)) {
      CollectionConfig config;
      if (cursor->key == next_id_key()) continue;
      if (decode(cursor->value, config) == Decoded::corrupt) {
        return damaged(operation_, "the record of a collection cannot be read");
      }
      if (!config.dropped) names.push_back(cursor->key.str());
    }
    return as_error_of(operation_, core::cursor_status(*cursor));
  }

  /// The tables of a collection that is there. Their targets are bound to nothing.
  [[nodiscard]] Error tables(std::string_view name, std::uint32_t id, CollectionTables& out) const {
    for (const auto& [part, target] : parts(out)) {
      Error error =
          core::internal_family(store_, family_name(id, part), core::FamilyMode::open, *target);
      if (error == Errc::not_found)
        return Error(Errc::index_dropped, operation_, std::string(name));
      if (error.failed()) return as_error_of(operation_, std::move(error));
    }
    Error error = core::family(store_, name, core::FamilyMode::open, out.values);
    if (error == Errc::not_found) {
      out.values = {store_.store, nullptr, store_.scope};
    } else if (error.failed()) {
      return as_error_of(operation_, std::move(error));
    }
    out = out.in(nullptr);
    return {};
  }

  /// Why a collection is not what it shall be; ok if it is.
  [[nodiscard]] Error check(const CollectionConfig& config, const CollectionWish& wish) const {
    const auto differs = [&](Errc code, const std::string& is, const std::string& wished) {
      return Error(code, operation_, "the collection has " + is + ", not " + wished);
    };
    if (wish.dim != 0 && wish.dim != config.dim) {
      return differs(Errc::dimension_mismatch, std::to_string(config.dim) + " dimensions",
                     std::to_string(wish.dim));
    }
    if (wish.metric && *wish.metric != config.metric) {
      return differs(Errc::metric_mismatch, "the metric " + std::string(to_string(config.metric)),
                     std::string(to_string(*wish.metric)));
    }
    if (wish.type && *wish.type != config.type) {
      return differs(Errc::dtype_mismatch, "the dtype " + std::string(to_string(config.type)),
                     std::string(to_string(*wish.type)));
    }
    return {};
  }

  /// Makes a collection that is not there, in the write transaction that the catalog is bound to.
  [[nodiscard]] Error create(std::string_view name, const CollectionWish& wish,
                             CollectionConfig& config) const {
    config = {};
    config.dim = static_cast<std::uint32_t>(wish.dim);
    config.metric = wish.metric.value_or(config.metric);
    config.type = wish.type.value_or(config.type);
    config.m = wish.m.value_or(config.m);
    config.ef_construction = wish.ef_construction.value_or(config.ef_construction);
    config.ef_search = wish.ef_search.value_or(config.ef_search);
    if (wish.dim == 0) {
      return Error(Errc::invalid_argument, operation_, "a new collection needs its dimensions");
    }
    core::Target catalog;
    Error error =
        core::internal_family(store_, catalog_name, core::FamilyMode::open_or_create, catalog);
    if (!error.failed()) error = take_id(catalog, config.id);
    CollectionTables made;
    for (const auto& [part, target] : parts(made)) {
      if (error.failed()) break;
      error = core::internal_family(store_, family_name(config.id, part), core::FamilyMode::create,
                                    *target);
      // Not `exists`: it is not the collection that is there.
      if (error == Errc::exists) {
        return damaged(operation_, "next_id of the catalog is the id of tables that are there");
      }
    }
    if (!error.failed()) {
      error = core::family(store_, name, core::FamilyMode::open_or_create, made.values);
    }
    if (!error.failed())
      error = core::put(made.meta, StateRow::key, StateRow().encode().view(), {});
    if (!error.failed()) error = core::put(catalog, name, config.encode().view(), {});
    return as_error_of(operation_, std::move(error));
  }

  /// Removes the tables of a collection, in the write transaction that the catalog is bound to;
  /// what is left says that there was one.
  [[nodiscard]] Error drop_index(std::string_view name, CollectionConfig config) const {
    CollectionTables none;
    for (const auto& [part, target] : parts(none)) {
      Error error = core::drop_internal_family(store_, family_name(config.id, part));
      if (error.failed()) return as_error_of(operation_, std::move(error));
    }
    config.dropped = true;
    return change_record(name, [&](const core::Target& catalog) {
      return core::put(catalog, name, config.encode().view(), {});
    });
  }
  /// Notes the type of the codes of a collection, in the write transaction that the catalog is bound to.
  [[nodiscard]] Error set_type(std::string_view name, CollectionConfig config, ElementType type) const {
    config.type = type;
    return change_record(name, [&](const core::Target& catalog) {
      return core::put(catalog, name, config.encode().view(), {});
    });
  }
  /// Removes what `drop_index` leaves.
  [[nodiscard]] Error remove_record(std::string_view name) const {
    return change_record(name, [&](const core::Target& catalog) {
      bool existed = false;
      return core::erase(catalog, name, {}, existed);
    });
  }

 private:
  struct CloseCursor {
    void operator()(core::Cursor* cursor) const noexcept { core::close_cursor(cursor); }
  };
  using CursorOwner = std::unique_ptr<core::Cursor, CloseCursor>;

  static constexpr std::string_view catalog_name = "snkv_vectors";
  /// No collection has this name.
  [[nodiscard]] static BytesView next_id_key() noexcept { return {"\0next_id", 8}; }

  [[nodiscard]] static std::string family_name(std::uint32_t id, std::string_view part) {
    return "snkv_vector_" + std::to_string(id) + "_" + std::string(part);
  }
  struct Part {
    std::string_view name;
    core::Target* target;
  };
  [[nodiscard]] static std::array<Part, 4> parts(CollectionTables& tables) noexcept {
    return {{{"items", &tables.items},
             {"vectors", &tables.vectors},
             {"log", &tables.log},
             {"meta", &tables.meta}}};
  }

  template <class Change>
  [[nodiscard]] Error change_record(std::string_view, Change&& change) const {
    core::Target catalog;
    Error error = core::internal_family(store_, catalog_name, core::FamilyMode::open, catalog);
    if (!error.failed()) error = change(catalog);
    return as_error_of(operation_, std::move(error));
  }

  /// An id that no collection had before.
  [[nodiscard]] Error take_id(const core::Target& catalog, std::uint32_t& id) const {
    id = 1;
    Bytes row;
    Error error = core::get(catalog, next_id_key(), row);
    if (error.failed() && !(error == Errc::not_found)) return error;
    if (!error.failed()) {
      RowReader reader(row);
      id = reader.number<std::uint32_t>();
      if (!reader.ok_and_at_end() || id == 0) {
        return damaged(operation_, "the catalog has no usable next_id");
      }
    }
    if (id == 0xffffffffu) return Error(Errc::full, operation_, "there are no more ids");
    return core::put(catalog, next_id_key(), RowBuilder().number(id + 1).view(), {});
  }

  const char* operation_;
  core::Target store_;
};

}  // namespace snkv::vector_detail
