/// \file
/// The door between the typed handles of store.hpp and the code behind them, which is compiled once (see
/// linkage.hpp). Nothing here depends on the standard that a client is compiled for: an error is returned,
/// what is asked for goes to the last argument, and stays as it is after an error.
#pragma once

#include <snkv/detail/core_abi.hpp>
#include <snkv/error.hpp>
#include <snkv/vector/detail/base/text_layout.hpp>
#include <snkv/vector/detail/filter/filter_node.hpp>
#include <snkv/vector/detail/linkage.hpp>
#include <snkv/vector/store_types.hpp>

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace snkv::vector_detail {
class Collection;
}  // namespace snkv::vector_detail

namespace snkv::vector_core {

/// What a handle refers to: a collection, and the transaction it is bound to, if any. Without a collection,
/// every use gives `closed`.
struct Target {
  std::shared_ptr<vector_detail::Collection> collection;
  std::shared_ptr<core::Scope> scope;
};

struct Traits {
  std::size_t dim = 0;
  Metric metric = Metric::cosine;
  ElementType dtype = ElementType::f32;
  std::string_view name{};  ///< As long as the collection.
};

/// Which entries; null: all. Refers to what the caller has.
struct Condition {
  const vector_detail::FilterNode* filter = nullptr;
  const VectorPredicate* predicate = nullptr;
};

/// `VectorSearch` with all that a search depends on.
struct Search {
  Condition condition{};
  std::size_t k = 10;  ///< Ignored with a radius.
  std::optional<float> radius{};
  std::size_t ef = 0;
  bool exact = false;
  bool rerank = true;
  std::size_t oversample = 3;
  std::optional<float> max_distance{};
  bool values = true;
  bool metadata = true;
  bool vectors = false;
  std::span<const std::string> without{};  ///< Keys that are not wanted, sorted.
};

/// `VectorQuery` likewise.
struct Listing {
  Condition condition{};
  std::string_view after{};
  std::size_t limit = 0;
  bool values = true;
  bool metadata = true;
  bool vectors = false;
};

using vector_detail::TextLayout;

/// `VectorExport` likewise.
struct TextExport {
  TextLayout layout = TextLayout::document;
  const vector_detail::FilterNode* filter = nullptr;
  bool values = true;
  bool pretty = false;
  const Progress* progress = nullptr;
};

struct HnswlibImport {
  const VectorKeyOf* key_of = nullptr;  ///< Null or empty: the label in decimal digits.
  const VectorImport* entries = nullptr;
};

/// What a put does where the key is there.
enum class Put : unsigned char { replace, only_new };

// ---- Handles ----

[[nodiscard]] SNKV_VECTOR_CODE Traits traits(const Target& at) noexcept;
/// The store, bound to nothing.
[[nodiscard]] SNKV_VECTOR_CODE core::Target store(const Target& at);
[[nodiscard]] SNKV_VECTOR_CODE Error values(const Target& at, core::Target& out);
[[nodiscard]] SNKV_VECTOR_CODE Error bind(const Target& at, const core::Target& transaction, Target& out);

// ---- Writing ----

[[nodiscard]] SNKV_VECTOR_CODE Error put(const Target& at, BytesView key, std::span<const float> vector,
                                         const VectorPut& options, Put mode);
/// With a key of its own making.
[[nodiscard]] SNKV_VECTOR_CODE Error put_new(const Target& at, std::span<const float> vector,
                                             const VectorPut& options, std::string& key);
[[nodiscard]] SNKV_VECTOR_CODE Error update(const Target& at, BytesView key, const VectorUpdate& change);
[[nodiscard]] SNKV_VECTOR_CODE Error put_batch(const Target& at, std::span<const VectorItem> items,
                                               const Progress& progress, const WriteOptions& options,
                                               Put mode);
[[nodiscard]] SNKV_VECTOR_CODE Error erase(const Target& at, BytesView key, const WriteOptions& options,
                                           bool& existed);
[[nodiscard]] SNKV_VECTOR_CODE Error erase_many(const Target& at, std::span<const BytesView> keys,
                                                const WriteOptions& options, std::uint64_t& erased);
[[nodiscard]] SNKV_VECTOR_CODE Error erase_if(const Target& at, const Condition& condition,
                                              const WriteOptions& options, std::uint64_t& erased);
[[nodiscard]] SNKV_VECTOR_CODE Error clear(const Target& at, const WriteOptions& options);

// ---- Reading ----

[[nodiscard]] SNKV_VECTOR_CODE Error get(const Target& at, BytesView key, Bytes& value);
[[nodiscard]] SNKV_VECTOR_CODE Error get_vector(const Target& at, BytesView key, std::vector<float>& vector);
[[nodiscard]] SNKV_VECTOR_CODE Error get_metadata(const Target& at, BytesView key, Json& metadata);
[[nodiscard]] SNKV_VECTOR_CODE Error get_item(const Target& at, BytesView key, VectorRecord& record);
[[nodiscard]] SNKV_VECTOR_CODE Error contains(const Target& at, BytesView key, bool& found);
[[nodiscard]] SNKV_VECTOR_CODE Error size(const Target& at, std::uint64_t& entries);
[[nodiscard]] SNKV_VECTOR_CODE Error count(const Target& at, const Condition& condition,
                                           std::uint64_t& entries);
[[nodiscard]] SNKV_VECTOR_CODE Error ids(const Target& at, std::string_view after, std::size_t limit,
                                         std::vector<std::string>& keys);
[[nodiscard]] SNKV_VECTOR_CODE Error items(const Target& at, const Listing& listing,
                                           std::vector<VectorRecord>& records);

// ---- Searching ----

/// Why a search would be refused.
[[nodiscard]] SNKV_VECTOR_CODE Error check_search(const char* operation, const Target& at,
                                                  std::span<const float> query, const Search& search);
[[nodiscard]] SNKV_VECTOR_CODE Error search(const char* operation, const Target& at,
                                            std::span<const float> query, const Search& search,
                                            std::vector<VectorHit>& hits);
[[nodiscard]] SNKV_VECTOR_CODE Error search_keys(const Target& at, std::span<const float> query,
                                                 const Search& search, std::vector<VectorKey>& keys);
/// `searches`: one for all queries, or one for each.
[[nodiscard]] SNKV_VECTOR_CODE Error search_batch(const Target& at, std::span<const float> queries,
                                                  std::span<const Search> searches,
                                                  std::vector<std::vector<VectorHit>>& hits);
[[nodiscard]] SNKV_VECTOR_CODE Error search_keys_batch(const Target& at, std::span<const float> queries,
                                                       std::span<const Search> searches,
                                                       std::vector<std::vector<VectorKey>>& keys);

// ---- Maintenance ----

[[nodiscard]] SNKV_VECTOR_CODE Error info(const Target& at, VectorInfo& out);
[[nodiscard]] SNKV_VECTOR_CODE Error stats(const Target& at, VectorStats& out);
[[nodiscard]] SNKV_VECTOR_CODE Error compact(const Target& at, const Progress& progress);
[[nodiscard]] SNKV_VECTOR_CODE Error save(const Target& at, const Progress& progress);
[[nodiscard]] SNKV_VECTOR_CODE Error purge_expired(const Target& at, std::uint64_t limit,
                                                   std::uint64_t& purged);
[[nodiscard]] SNKV_VECTOR_CODE Error verify(const Target& at, const Progress& progress,
                                            VectorCheckReport& report);
[[nodiscard]] SNKV_VECTOR_CODE Error repair(const Target& at, const Progress& progress,
                                            VectorCheckReport& report);
[[nodiscard]] SNKV_VECTOR_CODE Error set_dtype(const Target& at, ElementType type, const Progress& progress);
[[nodiscard]] SNKV_VECTOR_CODE Error drop_index(const Target& at);

// ---- Collections of a store ----

/// Why a collection can neither be opened nor made so, whatever there is.
[[nodiscard]] SNKV_VECTOR_CODE Error check_options(const VectorStoreOptions& options);
/// What to say where the store could not be opened and was not to be made, because the collection was not, or
/// could not be: `error`, unless it is that there is no file.
[[nodiscard]] SNKV_VECTOR_CODE Error explain_missing(std::string_view path, const VectorStoreOptions& options,
                                                     Error error);
[[nodiscard]] SNKV_VECTOR_CODE Error open(const core::Target& store, const VectorStoreOptions& options,
                                          Target& out);
[[nodiscard]] SNKV_VECTOR_CODE Error list(const core::Target& store, std::vector<std::string>& names);
[[nodiscard]] SNKV_VECTOR_CODE Error drop(const core::Target& store, std::string_view name, bool& existed);

// ---- Text ----

[[nodiscard]] SNKV_VECTOR_CODE Error export_text(const char* operation, const Target& at, std::ostream& out,
                                                 const TextExport& options, std::uint64_t& written);
[[nodiscard]] SNKV_VECTOR_CODE Error import_text(const char* operation, const Target& at, std::istream& in,
                                                 TextLayout layout, const VectorImport& options,
                                                 std::uint64_t& count);
/// Completes the options of a new collection from what stands before the entries, and goes back to the
/// beginning of the stream.
[[nodiscard]] SNKV_VECTOR_CODE Error complete_options(const char* operation, std::istream& in,
                                                      TextLayout layout, Refused refused,
                                                      VectorStoreOptions& options);

// ---- Index files of hnswlib ----

[[nodiscard]] SNKV_VECTOR_CODE Error import_hnswlib(const Target& at, const std::string& path,
                                                    const HnswlibImport& options, std::uint64_t& count);
/// The dimensions of its vectors.
[[nodiscard]] SNKV_VECTOR_CODE Error hnswlib_dimensions(const std::string& path, std::size_t& dim);

}  // namespace snkv::vector_core
