/// \file
/// Opening, listing and removing the collections of a store.
#pragma once

#include <snkv/vector/detail/collection/collection_open.hpp>
#include <snkv/vector/detail/operations.hpp>

#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace snkv {

namespace vector_detail {

[[nodiscard]] inline CollectionOpening opening_of(const VectorStoreOptions& options) {
  CollectionOpening opening{options.name};
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

}  // namespace vector_detail

namespace vector_core {

using namespace vector_detail;  // NOLINT(google-build-using-namespace): the code behind these functions

SNKV_VECTOR_CODE Error check_options(const VectorStoreOptions& options) {
  return check_opening("open", opening_of(options));
}

SNKV_VECTOR_CODE Error explain_missing(std::string_view path, const VectorStoreOptions& options, Error error) {
  constexpr const char* operation = "open";
  if (!options.store.create_if_missing || options.store.read_only) return error;
  if (::access(std::string(path).c_str(), F_OK) == 0 || errno != ENOENT) return error;
  if (!options.create_if_missing) {
    return Error(Errc::not_found, operation,
                 "collection " + printable(options.name) + ": there is no file " + std::string(path));
  }
  return Error(Errc::invalid_argument, operation, "a new collection needs its dimensions");
}

SNKV_VECTOR_CODE Error open(const core::Target& store, const VectorStoreOptions& options, Target& out) {
  std::shared_ptr<Collection> collection;
  Error error = CollectionOpener("open", store).open(opening_of(options), collection);
  if (!error.failed()) out = {std::move(collection), nullptr};
  return error;
}

SNKV_VECTOR_CODE Error list(const core::Target& store, std::vector<std::string>& names) {
  return CollectionCatalog("list", store).list(names);
}

SNKV_VECTOR_CODE Error drop(const core::Target& store, std::string_view name, bool& existed) {
  return CollectionOpener("drop", store).drop(name, existed);
}

}  // namespace vector_core
}  // namespace snkv
