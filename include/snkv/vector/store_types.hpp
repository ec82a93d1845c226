/// \file
/// What the calls of `VectorStore` take and give: options, items, hits, statistics. All are
/// aggregates: use designated initialisers.
#pragma once

#include <snkv/bytes.hpp>
#include <snkv/import_report.hpp>
#include <snkv/options.hpp>
#include <snkv/vector/filter.hpp>
#include <snkv/vector/metric.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace snkv {

/// The name of a collection unless another is given.
inline constexpr std::string_view default_collection = "vectors";

/// How a collection is opened, and how it is made when there is none.
struct VectorStoreOptions {
  // ---- Behaviour ----

  /// Of the collection: as of a column family (see store.hpp). The values of its entries are in the
  /// family of this name.
  std::string_view name = default_collection;
  /// Dimensions, 1 to `max_dimension`; 0: those of the type, or that the collection has. Stored; an open with
  /// another one, or another one than the type's, is refused with `dimension_mismatch`.
  std::size_t dim = 0;
  /// Empty: that of the type, or what the collection has; cosine for a new one. Stored; an open with another
  /// one, or another one than the type's, is refused with `metric_mismatch`.
  std::optional<Metric> metric{};
  /// What the graph is walked on. Empty: what the collection has; f32 for a new one. Stored; an
  /// open with another one is refused with `dtype_mismatch`. Stored vectors are always exact f32.
  std::optional<ElementType> dtype{};
  /// Make the collection when there is none. Not stored.
  bool create_if_missing = true;
  /// Fail with `exists` when there is one. Not stored.
  bool error_if_exists = false;

  // ---- Performance ----

  /// Links of a vector in the graph, 2 to 64; see `VectorIndexOptions`. Stored when the collection
  /// is made (16 if it is not given), and what is stored counts afterwards.
  std::optional<std::uint32_t> m{};
  /// How many candidates an insertion looks at, 4 to 4096. Stored likewise; 128 if not given.
  std::optional<std::uint32_t> ef_construction{};
  /// How many candidates a search keeps, 1 to 65536. Stored when the collection is made (64 if it
  /// is not given); given later it counts for this handle only.
  std::optional<std::uint32_t> ef_search{};
  /// With f16 or i8: keep the exact vectors in memory too, for exact search and reranking. Without,
  /// they are read from the file for that. Counts for the first of the handles that this process
  /// has open at one time. Not stored.
  bool keep_vectors = true;
  /// Threads for batches and for building, the caller's own included; 0: as many as the machine
  /// has. Counts for the first of the handles that this process has open at one time. Not stored.
  std::size_t threads = 0;
  /// Bytes that the index may take in memory; 0: any. What would need more fails with `no_memory`
  /// and changes nothing. Counts for the first handle. Not stored.
  std::uint64_t memory_limit = 0;
  /// Save the graph beside the file, so that the next open does not have to build it: when the last
  /// handle goes away, and now and then while much is written. Not for stores in memory and
  /// read-only ones. Not stored.
  bool auto_save = true;

  /// How the file is opened, where a path is given.
  Options store{};
  /// Called while the index is built or read at the opening. Returning false stops it: `aborted`.
  Progress progress{};
};

/// What goes with a vector that is put.
struct VectorPut {
  /// Empty: the value that the key has stays; a new key then has none.
  std::optional<BytesView> value{};
  /// An object; null: the metadata that the key has stay. `Json::object()`: none from now on.
  Json metadata{};
  /// Time until the entry expires, value and all; empty: never. Must be positive.
  std::optional<std::chrono::milliseconds> ttl{};
  /// When it expires, instead of `ttl`.
  std::optional<TimePoint> expires_at{};
  /// As in `WriteOptions`; ignored inside a transaction.
  std::optional<Sync> sync{};
};

/// One of a batch. The views must live until the call returns.
struct VectorItem {
  BytesView key;
  std::span<const float> vector{};
  std::optional<BytesView> value{};
  Json metadata{};
  std::optional<std::chrono::milliseconds> ttl{};
  std::optional<TimePoint> expires_at{};
};

/// What `update` changes. What is not named stays, the expiry included.
struct VectorUpdate {
  std::optional<std::span<const float>> vector{};
  std::optional<BytesView> value{};
  /// As in `VectorPut`.
  Json metadata{};
  std::optional<std::chrono::milliseconds> ttl{};
  std::optional<TimePoint> expires_at{};
  std::optional<Sync> sync{};
};

/// A key and its distance.
struct VectorKey {
  std::string key;
  float distance = 0;
  friend bool operator==(const VectorKey&, const VectorKey&) = default;
};

/// What a search finds. What was not asked for, or is not there, is empty.
struct VectorHit {
  std::string key;
  float distance = 0;
  std::optional<Bytes> value{};
  Json metadata{};  ///< An object, or null.
  std::vector<float> vector{};
};

/// An entry.
struct VectorRecord {
  std::string key;
  std::vector<float> vector{};
  std::optional<Bytes> value{};
  Json metadata{};  ///< An object, or null.
  std::optional<TimePoint> expires_at{};
};

/// What a collection is.
struct VectorInfo {
  std::string name;
  std::size_t dim = 0;
  Metric metric = Metric::cosine;
  ElementType dtype = ElementType::f32;
  std::uint32_t m = 0;
  std::uint32_t ef_construction = 0;
  std::uint32_t ef_search = 0;  ///< Of this handle.
  std::uint64_t count = 0;      ///< Entries that have not expired.
  /// Entries of which it is known that their rows are damaged. They are in `count`, but searches, filters
  /// and listings leave them out: see `VectorOperations::verify` and `repair`.
  std::uint64_t damaged = 0;
};

/// A row that is damaged.
struct VectorDamage {
  std::string key;   ///< Empty: the collection itself.
  std::string what;  ///< What is wrong with it.
};

/// What `VectorOperations::verify` has found, or `repair` has mended.
struct VectorCheckReport {
  static constexpr std::size_t most = 100;
  std::uint64_t entries = 0;          ///< All that were looked at, those that expired included.
  std::uint64_t damaged = 0;          ///< Of these, those that cannot be used.
  std::uint64_t removed = 0;          ///< By `repair`: entries. Their values stay.
  std::uint64_t without_metadata = 0; ///< By `repair`: entries that have lost their metadata, not more.
  std::uint64_t orphans = 0;          ///< Vectors of no entry.
  std::vector<VectorDamage> rows;     ///< The first ones, at most `most`.
};

/// How a collection is, in memory and in the file.
struct VectorStats {
  VectorInfo info;

  // ---- The graph ----
  std::uint64_t live = 0;   ///< Vectors in it, those that expired and were not purged included.
  std::uint64_t dead = 0;   ///< Replaced or erased ones that still take memory.
  std::uint64_t slots = 0;  ///< All of these.
  std::uint64_t unlinked =
      0;  ///< Those that are found by scanning, because they are not linked yet.
  int levels = 0;
  double average_degree = 0;  ///< On the lowest level.
  std::uint32_t least_degree = 0;
  std::uint32_t largest_degree = 0;
  bool quantized = false;    ///< The graph is walked on 8-bit codes; false before they are trained.
  const char* kernels = "";  ///< Instruction set of the distance kernels.

  // ---- Bytes in memory ----
  std::uint64_t code_bytes = 0;  ///< Codes of f16 and i8; 0 as long as the graph is walked on f32.
  std::uint64_t link_bytes = 0;
  std::uint64_t vector_bytes = 0;    ///< Exact vectors.
  std::uint64_t name_bytes = 0;      ///< Keys and expiries.
  std::uint64_t metadata_bytes = 0;  ///< The index of metadata.
  std::uint64_t memory_bytes = 0;    ///< All of these.
  std::uint64_t memory_limit = 0;    ///< 0: none.

  // ---- The file ----
  std::uint64_t entries = 0;  ///< Rows, those that expired and were not purged included.
  std::uint64_t with_metadata = 0;
  std::uint64_t sequence = 0;     ///< Number of the latest change.
  std::uint64_t log_entries = 0;  ///< Changes that are kept for other handles and the next open.
  std::uint64_t saved_sequence =
      0;                  ///< The change that the saved graph has got to; 0: none is saved.
  bool can_save = false;  ///< Not for stores in memory and read-only ones.
  bool loaded = false;    ///< The graph was read from what was saved, not built, at the opening.
};

/// Any condition on an entry. May be called many times and from the threads of a batch; must not
/// change the collection.
using VectorPredicate = std::function<bool(std::string_view key, const Json& metadata)>;

/// The key of an entry that is made of a label of hnswlib.
using VectorKeyOf = std::function<std::string(std::uint64_t label)>;

/// How entries are read from text, and from files of other libraries.
struct VectorImport {
  /// Fail with `exists` when a key is there; otherwise its entry is replaced.
  bool only_new = false;
  /// Take vectors that were made for another metric.
  bool any_metric = false;
  /// What becomes of entries that are refused. Text that is no JSON is an error whatever this says, but in
  /// lines, where it is that of one entry. With `only_new`, a key that is there is refused too.
  Refused refused = Refused::stop;
  /// Gets what was left out; null: nobody does. Must live until the call returns.
  SkippedEntries* skipped = nullptr;
  /// Called for each entry that is left out.
  OnSkipped on_skipped{};
  /// As in `WriteOptions`; ignored inside a transaction.
  std::optional<Sync> sync{};
  /// As for `VectorOperations::put_batch`; the total is 0 as long as it is not known.
  Progress progress{};
};

inline namespace SNKV_EXPECTED_NAMESPACE {

/// How entries are written as text.
struct VectorExport {
  /// Only entries whose metadata fit.
  std::optional<Filter> filter{};
  bool values = true;
  /// JSON only: a line for each member.
  bool pretty = false;
  /// Counts entries; the total is 0 with a filter. Returning false stops it: `aborted`.
  Progress progress{};
};

/// How a search is made, and what its hits have.
struct VectorSearch {
  /// Only entries whose metadata fit.
  std::optional<Filter> filter{};
  /// Only entries for which it is true (and that pass `filter`). Reads the metadata of each
  /// candidate from the file, so a filter is faster.
  VectorPredicate predicate{};
  /// Candidates; 0: `ef_search`, or what reranking asks for, if that is more. At least k are kept whatever it
  /// is.
  std::size_t ef = 0;
  /// Compare with every vector that matches, exactly.
  bool exact = false;
  /// With f16 or i8: score the best `oversample` * k of the candidates exactly.
  bool rerank = true;
  std::size_t oversample = 3;
  /// Drop what is farther; applied last.
  std::optional<float> max_distance{};
  /// What hits have besides key and distance; ignored where only keys are asked for.
  bool values = true;
  bool metadata = true;
  bool vectors = false;
};

/// Which entries, in the order of their keys.
struct VectorQuery {
  std::optional<Filter> filter{};
  VectorPredicate predicate{};
  /// Those behind this key; empty: from the beginning.
  std::string_view after{};
  /// At most so many; 0: all. Fewer come only when there are no more.
  std::size_t limit = 0;
  bool values = true;
  bool metadata = true;
  bool vectors = false;
};

}  // namespace SNKV_EXPECTED_NAMESPACE
}  // namespace snkv
