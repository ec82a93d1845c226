/// \file
/// Opening and removing collections.
#pragma once

#include <snkv/vector/detail/collection/collection.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace snkv::vector_detail {

/// How a collection is opened.
struct CollectionOpening {
  std::string_view name;
  CollectionWish wish{};
  ImageOptions image{};
  bool auto_save = true;
  Progress progress{};
};

/// Why the wish cannot be fulfilled by any collection; ok otherwise.
[[nodiscard]] inline Error check_wish(const char* operation, const CollectionWish& wish) {
  const auto refuse = [&](const char* why) {
    return Error(Errc::invalid_argument, operation, why);
  };
  const auto outside = [](const auto& given, std::uint32_t least, std::uint32_t most) {
    return given && (*given < least || *given > most);
  };
  if (wish.dim > max_dimension) return refuse("dim is not 1 to 65536");
  if (wish.metric && to_string(*wish.metric) == "unknown") return refuse("unknown metric");
  if (wish.type && to_string(*wish.type) == "unknown") return refuse("unknown dtype");
  if (outside(wish.m, 2, 64)) return refuse("m is not 2 to 64");
  if (outside(wish.ef_construction, 4, 4096)) return refuse("ef_construction is not 4 to 4096");
  if (outside(wish.ef_search, 1, 65536)) return refuse("ef_search is not 1 to 65536");
  return {};
}

/// Why a collection can neither be opened nor made so, whatever there is; ok otherwise.
[[nodiscard]] inline Error check_opening(const char* operation, const CollectionOpening& opening) {
  if (Error error = check_wish(operation, opening.wish); error.failed()) return error;
  return core::check_family_name(operation, opening.name);
}

/// `target` is the store, bound to nothing.
class CollectionOpener {
 public:
  CollectionOpener(const char* operation, core::Target store)
      : operation_(operation), store_(std::move(store)) {}

  [[nodiscard]] Error open(const CollectionOpening& opening,
                           std::shared_ptr<Collection>& out) const {
    if (Error error = check_opening(operation_, opening); error.failed()) return error;
    CollectionConfig config;
    CollectionTables tables;
    if (Error error = find_or_create(opening, config, tables); error.failed()) return error;
    std::shared_ptr<CollectionImage> image;
    if (Error error = share_image(opening, config, image); error.failed()) return error;
    auto made = std::make_shared<Collection>(
        std::string(opening.name), store_, std::move(tables), std::move(image),
        HandleOptions{opening.wish.ef_search.value_or(config.ef_search), opening.auto_save});
    Error error = build(opening, *made);
    if (!error.failed()) error = follow_type(config.type, *made);
    if (error.failed()) {
      // What is there of it is no use to anybody, unless it is somebody's who is using it.
      if (!(error == Errc::locked)) core::detach(store_, image_name(config.id));
      return error;
    }
    out = std::move(made);
    return {};
  }

  /// Removes a collection with its values.
  [[nodiscard]] Error drop(std::string_view name, bool& existed) const {
    existed = false;
    if (Error error = core::check_family_name(operation_, name); error.failed()) return error;
    std::optional<CollectionConfig> config;
    Error error = CollectionCatalog(operation_, store_).find(name, config);
    if (error.failed() || !config) return error;
    OwnTransaction transaction;
    error = transaction.begin(store_, {});
    if (error.failed()) return as_error_of(operation_, std::move(error));
    const CollectionCatalog catalog(operation_, transaction.target());
    if (error = catalog.find(name, config); error.failed() || !config) return error;
    if (error = drop_values(catalog, transaction, name, *config); error.failed()) return error;
    if (!config->dropped) error = catalog.drop_index(name, *config);
    if (!error.failed()) error = catalog.remove_record(name);
    if (!error.failed()) error = as_error_of(operation_, transaction.commit());
    if (error.failed()) return error;
    forget(config->id);
    existed = true;
    return {};
  }

  /// Removes the index of a collection that is open, in `scope` or in a transaction of its own.
  [[nodiscard]] Error drop_index(const Collection& collection,
                                 const std::shared_ptr<core::Scope>& scope) const {
    if (Error error = collection.check_not_called(operation_); error.failed()) return error;
    core::Target target = store_;
    target.scope = scope;
    OwnTransaction transaction;
    if (scope == nullptr) {
      Error error = transaction.begin(store_, {});
      if (error.failed()) return as_error_of(operation_, std::move(error));
      target = transaction.target();
    }
    const CollectionCatalog catalog(operation_, target);
    std::optional<CollectionConfig> config;
    Error error = catalog.find(collection.name(), config);
    if (error.failed()) return error;
    if (!config || config->dropped || config->id != collection.config().id) {
      return Error(Errc::index_dropped, operation_, collection.name());
    }
    error = catalog.drop_index(collection.name(), *config);
    if (error.failed() || scope != nullptr) return error;
    error = as_error_of(operation_, transaction.commit());
    if (!error.failed()) forget(config->id);
    return error;
  }

  /// Notes the type of the codes of a collection that is open.
  [[nodiscard]] Error set_type(const Collection& collection, ElementType type) const {
    OwnTransaction transaction;
    Error error = transaction.begin(store_, {});
    if (error.failed()) return as_error_of(operation_, std::move(error));
    const CollectionCatalog catalog(operation_, transaction.target());
    std::optional<CollectionConfig> config;
    if (error = catalog.find(collection.name(), config); error.failed()) return error;
    if (!config || config->dropped || config->id != collection.config().id) {
      return Error(Errc::index_dropped, operation_, collection.name());
    }
    error = catalog.set_type(collection.name(), *config, type);
    return error.failed() ? error : as_error_of(operation_, transaction.commit());
  }

 private:
  /// Images of another layout, made by another version of the headers, are none of ours.
  [[nodiscard]] static std::string image_name(std::uint32_t id) {
    return "snkv vectors 1: " + std::to_string(id);
  }

  /// Lets go of what is left of a collection that was dropped.
  void forget(std::uint32_t id) const {
    core::detach(store_, image_name(id));
    // If that fails, it is a file that nobody will read: ids are not used again.
    static_cast<void>(core::remove_side_file(store_, CollectionImage::side_suffix(id)));
  }

  [[nodiscard]] Error find_or_create(const CollectionOpening& opening, CollectionConfig& config,
                                     CollectionTables& tables) const {
    bool refuse = opening.wish.error_if_exists;
    for (;;) {
      bool there = false;
      Error error = find(opening, refuse, config, tables, there);
      if (error.failed() || there) return error;
      error = create(opening);
      // Somebody else was faster: then it is there.
      if (error.failed() && !(error == Errc::exists && !refuse)) return error;
      refuse = false;
    }
  }

  [[nodiscard]] Error find(const CollectionOpening& opening, bool refuse, CollectionConfig& config,
                           CollectionTables& tables, bool& there) const {
    core::Target snapshot;
    Error error = core::snapshot(store_, snapshot);
    if (error.failed()) return as_error_of(operation_, std::move(error));
    const CollectionCatalog catalog(operation_, snapshot);
    std::optional<CollectionConfig> found;
    if (error = catalog.find(opening.name, found); error.failed()) return error;
    if (found && !found->dropped) {
      if (refuse) return exists(opening.name);
      if (error = catalog.check(*found, opening.wish); error.failed()) return error;
      if (error = catalog.tables(opening.name, found->id, tables); error.failed()) return error;
      config = *found;
      there = true;
      snapshot = {};
      return tables.has_values() || core::is_read_only(store_) ? Error()
                                                               : make_values(opening.name, tables);
    }
    if (opening.wish.create_if_missing) return {};
    return Error(found ? Errc::index_dropped : Errc::not_found, operation_,
                 "collection " + RowWriter::printable(opening.name));
  }

  /// Somebody has dropped the family of the values.
  [[nodiscard]] Error make_values(std::string_view name, CollectionTables& tables) const {
    return as_error_of(operation_,
                       core::family(store_, name, core::FamilyMode::open_or_create, tables.values));
  }

  [[nodiscard]] Error exists(std::string_view name) const {
    return Error(Errc::exists, operation_, "collection " + RowWriter::printable(name));
  }

  [[nodiscard]] Error create(const CollectionOpening& opening) const {
    OwnTransaction transaction;
    Error error = transaction.begin(store_, {});
    if (error.failed()) return as_error_of(operation_, std::move(error));
    const CollectionCatalog catalog(operation_, transaction.target());
    std::optional<CollectionConfig> found;
    if (error = catalog.find(opening.name, found); error.failed()) return error;
    if (found && !found->dropped) return exists(opening.name);
    CollectionConfig config;
    error = catalog.create(opening.name, opening.wish, config);
    if (error.failed()) return error;
    return as_error_of(operation_, transaction.commit());
  }

  [[nodiscard]] Error share_image(const CollectionOpening& opening, const CollectionConfig& config,
                                  std::shared_ptr<CollectionImage>& out) const {
    struct Make {
      const CollectionConfig* config;
      ImageOptions options;
    } context{&config, opening.image};
    Error error = core::store_id(store_, context.options.store);
    if (error.failed()) return as_error_of(operation_, std::move(error));
    std::shared_ptr<void> image;
    error = core::attachment(
        store_, image_name(config.id),
        [](void* pointer) -> std::shared_ptr<void> {
          const auto& make = *static_cast<const Make*>(pointer);
          return std::make_shared<CollectionImage>(*make.config, make.options);
        },
        &context, image);
    if (error.failed()) return as_error_of(operation_, std::move(error));
    out = std::static_pointer_cast<CollectionImage>(std::move(image));
    CollectionConfig there = out->config();
    there.type = config.type;  // another process may have changed it, see `follow_type`
    if (there == config) return {};
    return damaged(operation_, "two collections have the same id");
  }

  /// Reads what is committed, and links it.
  [[nodiscard]] Error build(const CollectionOpening& opening, const Collection& collection) const {
    CallerProgress progress(opening.progress, &collection.image());
    Error error = collection.catch_up(operation_, progress.function());
    if (error.failed()) return progress.explain(operation_, std::move(error));
    collection.image().maintain(progress);
    return progress.stopped() ? progress.error(operation_) : Error();
  }

  /// Codes of the type that the collection has now.
  [[nodiscard]] Error follow_type(ElementType type, const Collection& collection) const {
    CollectionImage& image = collection.image();
    const std::lock_guard changing(image.type_mutex());
    if (image.config().type == type) return {};
    const Progress none;
    CallerProgress progress(none, &image);
    return image.set_type(operation_, collection.tables(), type, progress);
  }

  [[nodiscard]] Error drop_values(const CollectionCatalog& catalog,
                                  const OwnTransaction& transaction, std::string_view name,
                                  const CollectionConfig& config) const {
    core::Target values;
    Error error = core::family(transaction.target(), name, core::FamilyMode::open, values);
    if (error == Errc::not_found) return {};
    if (error.failed()) return as_error_of(operation_, std::move(error));
    if (name != "default") {
      return as_error_of(operation_, core::drop_family(transaction.target(), name));
    }
    // This family cannot be dropped, and has rows of its own.
    if (config.dropped) return {};
    CollectionTables tables;
    if (error = catalog.tables(name, config.id, tables); error.failed()) return error;
    tables = tables.in(transaction.scope());
    RowCursor cursor(tables.items, {});
    for (; cursor.valid(); cursor.next()) {
      bool was = false;
      error = core::erase(tables.values, cursor.key(), {}, was);
      if (error.failed()) return as_error_of(operation_, std::move(error));
    }
    return as_error_of(operation_, cursor.status());
  }

  const char* operation_;
  core::Target store_;
};

}  // namespace snkv::vector_detail
