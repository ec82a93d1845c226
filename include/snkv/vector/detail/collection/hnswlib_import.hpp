/// \file
/// Entries out of index files of hnswlib.
#pragma once

#include <snkv/vector/detail/collection/row_access.hpp>
#include <snkv/vector/detail/graph/hnswlib_file.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

namespace snkv {

namespace vector_detail {

/// Puts the elements of a file, in one transaction.
class HnswlibImporter {
 public:
  HnswlibImporter(const char* operation, const Collection& collection, RowWriter& writer,
                  const vector_core::HnswlibImport& options, CallerProgress& progress)
      : operation_(operation),
        collection_(collection),
        writer_(writer),
        options_(options),
        progress_(progress),
        key_told_("key_of", &collection.image()),
        left_out_(options.entries->on_skipped, &collection.image()) {}

  [[nodiscard]] std::uint64_t count() const noexcept { return seen_.size(); }
  [[nodiscard]] SkippedEntries& skipped() noexcept { return left_out_.entries(); }

  [[nodiscard]] Error run(HnswlibReader& reader) {
    std::vector<float> vector(collection_.config().dim);
    std::vector<Slot> links(2 * std::size_t{reader.m()});
    for (Slot slot = 0; slot < reader.count(); ++slot) {
      if (slot % 256 == 0 && !progress_(slot, 2 * std::uint64_t{reader.count()})) {
        return progress_.error(operation_);
      }
      HnswlibReader::Element element;
      std::size_t link_count = 0;
      Error error = reader.next(element, vector.data(), links.data(), link_count);
      if (error == Errc::bad_vector) {
        error = leave_out(element.label, {}, std::move(error));
      } else if (!error.failed() && !element.is_deleted) {
        error = put(element.label, vector);
      }
      if (error.failed()) return error;
    }
    return {};
  }

 private:
  [[nodiscard]] Error put(std::uint64_t label, const std::vector<float>& vector) {
    std::string key;
    const bool made = key_told_.ask([&] {
      key = options_.key_of != nullptr && *options_.key_of ? (*options_.key_of)(label) : std::to_string(label);
      return true;
    });
    if (!made) return key_told_.error(operation_);
    if (Error error = check(label, key, vector); error.failed()) {
      return leave_out(label, key, std::move(error));
    }
    if (Error error = collection_.check_memory(operation_, writer_, 1); error.failed()) return error;
    EntryChange change{.key = key, .vector = vector.data()};
    if (options_.entries->only_new) change.wanted = EntryChange::Wanted::absent;
    Error error = writer_.put(change);
    if (error == Errc::exists) return leave_out(label, key, std::move(error));
    if (!error.failed()) seen_.insert(std::move(key));
    return error;
  }

  [[nodiscard]] Error check(std::uint64_t label, const std::string& key, const std::vector<float>& vector) const {
    const std::string whose = "label " + std::to_string(label);
    if (key.size() < min_key_size) return Error(Errc::invalid_argument, operation_, whose + ": the key is empty");
    if (key.size() > max_key_size) return Error(Errc::too_large, operation_, whose + ": the key is too large");
    if (seen_.contains(key)) {
      return Error(Errc::exists, operation_, whose + ": the key " + printable(key) + " comes twice");
    }
    return collection_.check_vector(operation_, vector, key);
  }

  /// The error of an element, unless such elements are left out.
  [[nodiscard]] Error leave_out(std::uint64_t label, const std::string& key, Error why) {
    if (options_.entries->refused == Refused::stop) return why;
    return left_out_.add(operation_, {key, "label " + std::to_string(label), why.detail(), false});
  }

  const char* operation_;
  const Collection& collection_;
  RowWriter& writer_;
  const vector_core::HnswlibImport& options_;
  CallerProgress& progress_;
  CallerFunction key_told_;
  LeftOut left_out_;
  std::unordered_set<std::string> seen_;
};

}  // namespace vector_detail

namespace vector_core {

using namespace vector_detail;  // NOLINT(google-build-using-namespace): the code behind these functions

SNKV_VECTOR_CODE Error import_hnswlib(const Target& at, const std::string& path, const HnswlibImport& options,
                                      std::uint64_t& count) {
  constexpr const char* operation = "import_hnswlib";
  if (at.collection == nullptr) return closed(operation);
  HnswlibReader reader;
  Error error = reader.open(operation, path, at.collection->config().dim);
  if (error.failed()) return error;
  std::uint64_t read = 0;
  SkippedEntries skipped;
  CallerProgress progress(options.entries->progress, &at.collection->image());
  const auto work = [&](RowWriter& writer, const CollectionTables&) {
    HnswlibImporter importer(operation, *at.collection, writer, options, progress);
    Error failed = importer.run(reader);
    read = importer.count();
    skipped = std::move(importer.skipped());
    return failed;
  };
  error = at.collection->write(operation, at.scope, {options.entries->sync}, work,
                                   linking_progress(progress, read));
  if (error.failed()) return error;
  if (options.entries->skipped != nullptr) *options.entries->skipped = std::move(skipped);
  count = read;
  return {};
}

SNKV_VECTOR_CODE Error hnswlib_dimensions(const std::string& path, std::size_t& dim) {
  HnswlibReader reader;
  Error error = reader.open("import_hnswlib", path, 0);
  if (!error.failed()) dim = reader.dim();
  return error;
}

}  // namespace vector_core
}  // namespace snkv
