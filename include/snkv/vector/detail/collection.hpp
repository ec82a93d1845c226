/// \file
/// A collection that is open: its rows and its image, and how both are kept together.
#pragma once

#include <snkv/vector/detail/collection_image.hpp>
#include <snkv/vector/detail/row_writer.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace snkv::vector_detail {

/// Shared by the copies of a handle.
///
/// Threads: any number, for every member.
class Collection {
 public:
  Collection(std::string name, core::Target store, CollectionTables tables,
             std::shared_ptr<CollectionImage> image, std::uint32_t ef_search)
      : name_(std::move(name)),
        store_(std::move(store)),
        tables_(std::move(tables)),
        image_(std::move(image)),
        ef_search_(ef_search) {}
  Collection(const Collection&) = delete;
  Collection& operator=(const Collection&) = delete;

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// The store, bound to nothing.
  [[nodiscard]] const core::Target& store() const noexcept { return store_; }
  [[nodiscard]] const CollectionConfig& config() const noexcept { return image_->config(); }
  [[nodiscard]] CollectionImage& image() const noexcept { return *image_; }
  [[nodiscard]] std::uint32_t ef_search() const noexcept { return ef_search_; }
  /// Bound to nothing.
  [[nodiscard]] const CollectionTables& tables() const noexcept { return tables_; }

  /// Runs `work(RowWriter&, const CollectionTables&)` in the transaction `scope`, or in one of its
  /// own; all of it or nothing. Its own is followed by linking, of which `progress` is told; what
  /// is committed then stays, whatever becomes of the image.
  template <class Work>
  [[nodiscard]] Error write(const char* operation, const std::shared_ptr<core::Scope>& scope,
                            const WriteOptions& options, Work&& work,
                            const Progress& progress = {}) const {
    const auto run = [&](const CollectionTables& tables) {
      RowWriter writer(operation, tables, config().dim);
      Error error = writer.start();
      if (!error.failed()) error = work(writer, tables);
      if (!error.failed()) error = writer.finish();
      return error;
    };
    if (scope != nullptr) return within(operation, tables_.in(scope), run);
    {
      OwnTransaction transaction;
      Error error = transaction.begin(store_, options);
      if (error.failed()) return as_error_of(operation, std::move(error));
      error = run(tables_.in(transaction.scope()));
      if (!error.failed()) error = as_error_of(operation, transaction.commit());
      if (error.failed()) return error;
    }
    follow(operation, progress);
    return {};
  }

  [[nodiscard]] Error catch_up(const char* operation, const Progress& progress = {}) const {
    return image_->catch_up(operation, tables_, progress);
  }

  /// Why a vector is refused; ok if it is not.
  [[nodiscard]] Error check_vector(const char* operation, std::span<const float> vector,
                                   BytesView key) const {
    const auto whose = [&] {
      return key.empty() ? std::string("the query") : "the vector of " + RowWriter::printable(key);
    };
    if (vector.size() != config().dim) {
      return Error(Errc::dimension_mismatch, operation,
                   whose() + " has " + std::to_string(vector.size()) + " dimensions, not " +
                       std::to_string(config().dim));
    }
    bool zero = true;
    bool finite = true;
    for (const float x : vector) {
      finite = finite && std::isfinite(x);
      zero = zero && x == 0;
    }
    if (!finite) return Error(Errc::bad_vector, operation, whose() + " is not finite");
    if (zero && config().metric == Metric::cosine) {
      return Error(Errc::bad_vector, operation, whose() + " has length zero, hence no direction");
    }
    return {};
  }

 private:
  /// Runs `run(tables)` as a part of a caller's transaction.
  template <class Run>
  static Error within(const char* operation, const CollectionTables& tables, Run&& run) {
    std::uint64_t savepoint = 0;
    Error error = core::savepoint(tables.meta, savepoint);
    if (error.failed()) return as_error_of(operation, std::move(error));
    error = run(tables);
    if (!error.failed()) {
      return as_error_of(operation, core::savepoint_release(tables.meta, savepoint));
    }
    core::savepoint_abandon(tables.meta, savepoint);
    return error;
  }

  /// After a commit of our own. Whatever fails here is made up for by the next operation.
  void follow(const char* operation, const Progress& progress) const {
    try {
      if (catch_up(operation).failed()) return;
      image_->maintain([&](std::uint64_t done, std::uint64_t total) {
        return !progress || progress(done, total);
      });
    } catch (const std::bad_alloc&) {
    }
  }

  const std::string name_;
  const core::Target store_;
  const CollectionTables tables_;
  const std::shared_ptr<CollectionImage> image_;
  const std::uint32_t ef_search_;
};

}  // namespace snkv::vector_detail
