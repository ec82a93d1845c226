/// \file
/// `VectorStore`: a collection of vectors with keys, values and JSON metadata in a store, searched
/// by distance and filtered by metadata.
///
///     auto docs = *VectorStore<384, Cosine>::open("app.db", {.name = "docs"});
///     docs.put("doc:1", embedding, {.value = "text", .metadata = {{"year", 2024}}});
///     auto hits = docs.search(query, 10, {.filter = field("year") >= 2020});
///     for (const auto& hit : *hits) use(hit.key, hit.distance, hit.metadata);
///
/// Every change is one transaction of the store, or a part of the caller's (`in`). The index in
/// memory follows the commits of all handles, threads and processes: a search sees what was
/// committed before it began. It is derived from the rows in the file, and made anew from them
/// whenever in doubt.
///
/// A `VectorStore` is a cheap handle: copies, and handles that are opened on the same `Store`,
/// share one index. Opening the same file twice makes two.
///
/// Threads: any number, for every member; a handle that is bound to a transaction: as the
/// transaction. Searches never wait for building or compaction.
///
/// Any call may fail with what reads and writes of a `Store` fail with (see entries.hpp);
/// `index_dropped` after `drop_index`; and `corrupt` when the rows in the file are damaged. A damaged row
/// costs its entry, not the collection: what finds entries leaves it out and tells the store's log, reading
/// it by its key gives `corrupt`, `VectorInfo::damaged` counts what is known, and `erase` or another `put`
/// removes it.
///
/// Functions of the caller, predicates and progress functions, may throw: it becomes `aborted`, as if a
/// progress function had asked to stop. They must not use the collection that calls them but to read by
/// key; else they get `locked` at once. Only `std::bad_alloc` is thrown.
#pragma once

#include <snkv/store.hpp>
#include <snkv/vector/detail/operations.hpp>
#include <snkv/vector/store_types.hpp>

#include <cstddef>
#include <cstdint>
#include <iosfwd>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace snkv {

inline namespace SNKV_EXPECTED_NAMESPACE {

class VectorCursor;

/// What `VectorStore` does that does not depend on its template arguments.
class VectorOperations {
 public:
  using Vector = std::span<const float>;

  /// Refers to nothing; every use gives `Errc::closed`.
  VectorOperations() noexcept = default;

  [[nodiscard]] std::size_t dim() const noexcept;
  [[nodiscard]] Metric metric() const noexcept;
  [[nodiscard]] ElementType dtype() const noexcept;
  [[nodiscard]] std::string_view name() const noexcept;
  /// The store that the collection is in.
  [[nodiscard]] Store store() const;
  /// The family with the values. What is written to it directly is no change of the collection.
  [[nodiscard]] Result<ColumnFamily> values() const;

  // ---- Writing ----
  // Keys are as in a store. Besides the common errors: `dimension_mismatch`, `bad_vector` (NaN,
  // infinity, and for cosine length zero), `invalid_argument` (an empty key, metadata that are no
  // object, a ttl that is not positive), `too_large`, `no_memory` (the memory limit). Then nothing
  // has changed.

  /// Stores a vector under `key`, in place of what was there, the expiry included.
  [[nodiscard]] Result<void> put(BytesView key, Vector vector, const VectorPut& options = {});
  /// The same, but `exists` if the key is there.
  [[nodiscard]] Result<void> add(BytesView key, Vector vector, const VectorPut& options = {});
  /// Stores a vector under a key that the store makes; the key. Keys of one process are in the order in which
  /// they were made, as long as its clock goes on: 26 characters, the first 10 the time in milliseconds.
  [[nodiscard]] Result<std::string> put_new(Vector vector, const VectorPut& options = {});
  /// Another name for `put`.
  [[nodiscard]] Result<void> upsert(BytesView key, Vector vector, const VectorPut& options = {}) {
    return put(key, vector, options);
  }
  /// Changes parts of an entry: `not_found` if it is not there, `invalid_argument` if there is
  /// nothing to change.
  [[nodiscard]] Result<void> update(BytesView key, const VectorUpdate& change);

  /// `put` for many, all or nothing, in one transaction; of a key that comes twice the last item
  /// counts. Then they are linked into the graph on all threads. `progress` counts items, twice: as
  /// they are written, where stopping gives `aborted` and changes nothing, and as they are linked,
  /// where stopping leaves the rest to be found by scanning, and linked by a later write.
  [[nodiscard]] Result<void> put_batch(std::span<const VectorItem> items,
                                       const Progress& progress = {},
                                       const WriteOptions& options = {});
  /// The same, but `exists` if one of the keys is there, or comes twice.
  [[nodiscard]] Result<void> add_batch(std::span<const VectorItem> items,
                                       const Progress& progress = {},
                                       const WriteOptions& options = {});

  /// Removes an entry, value and all; whether there was one. After `drop_index` it removes the
  /// value.
  [[nodiscard]] Result<bool> erase(BytesView key, const WriteOptions& options = {});
  /// `erase` for many in one transaction; how many there were.
  [[nodiscard]] Result<std::uint64_t> erase_many(std::span<const BytesView> keys,
                                                 const WriteOptions& options = {});
  /// Removes what matches in one transaction; how many there were.
  [[nodiscard]] Result<std::uint64_t> erase_if(const Filter& filter,
                                               const WriteOptions& options = {});
  [[nodiscard]] Result<std::uint64_t> erase_if(const VectorPredicate& predicate,
                                               const WriteOptions& options = {});
  /// Removes all entries with their values. Other rows of the family with the values stay.
  [[nodiscard]] Result<void> clear(const WriteOptions& options = {});

  // ---- Reading by key ----

  /// The value: `not_found` if the key has none, in the family of the values. Works after
  /// `drop_index` too.
  [[nodiscard]] Result<Bytes> get(BytesView key) const;
  /// The vector as it was put; `not_found`.
  [[nodiscard]] Result<std::vector<float>> get_vector(BytesView key) const;
  /// The metadata, null if there are none; `not_found` if the key is not there.
  [[nodiscard]] Result<Json> get_metadata(BytesView key) const;
  /// All of an entry; `not_found`.
  [[nodiscard]] Result<VectorRecord> get_item(BytesView key) const;
  [[nodiscard]] Result<bool> contains(BytesView key) const;
  /// Entries that have not expired. O(pages of those that have).
  [[nodiscard]] Result<std::uint64_t> size() const;
  [[nodiscard]] Result<std::uint64_t> count() const { return size(); }
  /// Entries that match. By the index of metadata, without a scan, unless the handle is bound to a
  /// transaction.
  [[nodiscard]] Result<std::uint64_t> count(const Filter& filter) const;
  /// Keys in order, those behind `after`, at most `limit` (0: all).
  [[nodiscard]] Result<std::vector<std::string>> ids(std::string_view after = {},
                                                     std::size_t limit = 0) const;
  /// Entries in the order of their keys, page by page: `after` is the last key of the page before.
  [[nodiscard]] Result<std::vector<VectorRecord>> items(const VectorQuery& query = {}) const;

  // ---- Searching ----
  // In order of distance, then of the key; exactly min(k, matches) hits. Expired entries are never
  // found. `dimension_mismatch`, `bad_vector`, and `invalid_argument` for k = 0 and an ef above
  // 65536. A handle that is bound to a transaction searches what is committed.

  /// The k nearest with what `options` ask for.
  [[nodiscard]] Result<std::vector<VectorHit>> search(Vector query, std::size_t k = 10,
                                                      const VectorSearch& options = {}) const;
  /// The k nearest, keys and distances only: reads nothing from the file.
  [[nodiscard]] Result<std::vector<VectorKey>> search_keys(Vector query, std::size_t k = 10,
                                                           const VectorSearch& options = {}) const;
  /// All within a distance.
  [[nodiscard]] Result<std::vector<VectorHit>> search_radius(
      Vector query, float radius, const VectorSearch& options = {}) const;
  /// `search` for many queries, which lie one after the other, on all threads.
  [[nodiscard]] Result<std::vector<std::vector<VectorHit>>> search_batch(
      Vector queries, std::size_t k = 10, const VectorSearch& options = {}) const;
  /// The same with options for each query: `invalid_argument` if there are more or fewer of them.
  [[nodiscard]] Result<std::vector<std::vector<VectorHit>>> search_batch(
      Vector queries, std::size_t k, std::span<const VectorSearch> options) const;
  /// `search_keys` for many queries.
  [[nodiscard]] Result<std::vector<std::vector<VectorKey>>> search_keys_batch(
      Vector queries, std::size_t k = 10, const VectorSearch& options = {}) const;
  [[nodiscard]] Result<std::vector<std::vector<VectorKey>>> search_keys_batch(
      Vector queries, std::size_t k, std::span<const VectorSearch> options) const;
  /// A search that is continued as long as one likes.
  [[nodiscard]] Result<VectorCursor> cursor(Vector query, VectorSearch options = {}) const;

  // ---- Maintenance ----

  [[nodiscard]] Result<VectorInfo> info() const;
  /// O(vectors): it looks at the degrees of the graph.
  [[nodiscard]] Result<VectorStats> stats() const;
  /// Gives back the memory of replaced and erased vectors, trains the quantizer anew, and saves the
  /// graph where that is possible. Happens by itself when a fifth is dead. Searches and writes go
  /// on.
  [[nodiscard]] Result<void> compact(const Progress& progress = {});
  /// Saves the graph beside the file now, so that the next open is fast also after a crash. Does
  /// nothing for a store in memory; `read_only`.
  [[nodiscard]] Result<void> save(const Progress& progress = {});
  /// Removes expired entries, those first that expired first, at most `limit` (0: all), in
  /// transactions of bounded size; how many.
  [[nodiscard]] Result<std::uint64_t> purge_expired(std::uint64_t limit = 0);
  /// Reads all rows of the collection and looks whether they can be used. `Store::verify` does not know
  /// what they mean, so both belong together. Damaged rows are no error of the call: see the report. It is
  /// `corrupt` if the collection is, rather than its rows. O(entries).
  [[nodiscard]] Result<VectorCheckReport> verify(const Progress& progress = {}) const;
  /// Removes in one transaction what cannot be used: metadata that are no object from their entries, and
  /// other entries whose rows are damaged with all but their values, which `get` still gives. Counts
  /// everything anew. `invalid_argument` for a handle that is bound to a transaction. O(entries).
  [[nodiscard]] Result<VectorCheckReport> repair(const Progress& progress = {});
  /// From now on the graph is walked on codes of another type; the stored vectors are what they were. Beside
  /// searches where exact vectors are in memory (`VectorStoreOptions::keep_vectors`), or else searches wait
  /// until they are read from the file. Other processes, and other `Store`s of this one, go on with the codes
  /// they have until they open the collection anew. Stopped by `progress`, the type is what it was.
  /// `read_only`; `invalid_argument` for a handle that is bound to a transaction. O(n log n).
  [[nodiscard]] Result<void> set_dtype(ElementType dtype, const Progress& progress = {});
  /// Removes the vectors, the metadata and the index for ever; the values stay in their family.
  /// Later calls of any handle give `index_dropped`, except `get`, `erase`, `values` and `store`.
  [[nodiscard]] Result<void> drop_index();

  // ---- As text (docs/vector-search.md has the format) ----
  // Entry by entry, whatever the size. All of a call sees, or is, one transaction.

  /// Writes entries as one JSON document; how many. `io_error` when the stream fails.
  [[nodiscard]] Result<std::uint64_t> export_json(std::ostream& out,
                                                  const VectorExport& options = {}) const;
  /// The same as lines of JSON, one for each entry, the first one with the parameters.
  [[nodiscard]] Result<std::uint64_t> export_jsonl(std::ostream& out,
                                                   const VectorExport& options = {}) const;
  /// Puts what `export_json`, or vctrs, has written; how many entries. Other writers wait until the
  /// stream is read. Besides the errors of `put_batch`, which name the entry: `invalid_argument`
  /// for text that is malformed (the message has the line or the path), `exists` for an id that
  /// comes twice, `metric_mismatch`, `dimension_mismatch`, `unsupported_version`, `io_error` for a stream
  /// that fails or throws. Then nothing has changed. `VectorImport::refused` says that entries which are
  /// refused shall be left out instead.
  [[nodiscard]] Result<std::uint64_t> import_json(std::istream& in,
                                                  const VectorImport& options = {});
  /// The same for lines of JSON. The line with the parameters may be missing.
  [[nodiscard]] Result<std::uint64_t> import_jsonl(std::istream& in,
                                                   const VectorImport& options = {});

  // ---- Index files of hnswlib ----

  /// Puts the elements of an index file of hnswlib 0.8 (`saveIndex`), but for those that are marked as deleted,
  /// in one transaction, under the keys that `key_of` gives for their labels (empty: the labels in decimal
  /// digits); how many. They are linked into the graph of the collection: that of the file is not taken over
  /// (`VectorIndex::load_hnswlib` does). Which metric it was made for, the file does not say.
  ///
  /// Besides the errors of `put_batch`: `cant_open`, `corrupt` for what is no such file, or is damaged,
  /// `dimension_mismatch`, `exists` for a key that comes twice. Then nothing has changed. As in `import_json`,
  /// `VectorImport::refused` says that elements which are refused shall be left out instead.
  [[nodiscard]] Result<std::uint64_t> import_hnswlib(const std::string& path, const VectorKeyOf& key_of = {},
                                                     const VectorImport& options = {});

 protected:
  explicit VectorOperations(vector_core::Target target) noexcept : target_(std::move(target)) {}

  vector_core::Target target_;

 private:
  friend class VectorCursor;
  template <std::size_t, class>
  friend class VectorStore;
};

/// A collection. `Dim` and `MetricTag` may be left to the time of the opening: `VectorStore<>`.
template <std::size_t Dim = dynamic_extent, class MetricTag = AnyMetric>
class VectorStore : public VectorOperations {
 public:
  VectorStore() noexcept = default;

  /// Whether these options can open or make a collection: `invalid_argument` for what `open` would
  /// refuse whatever there is. Opens nothing.
  [[nodiscard]] static Result<void> check(const VectorStoreOptions& options);
  /// Opens the store in the file `path` and in it the collection; makes what is missing, unless the
  /// options say otherwise. Makes no file for a collection that is not to be made, or cannot be.
  /// Besides the errors of `Store::open`: `not_found`, `exists`, `dimension_mismatch`,
  /// `metric_mismatch`, `dtype_mismatch`, `invalid_argument` (the name, an option out of its range,
  /// a new collection without dimensions), `no_memory` (the memory limit), `aborted`,
  /// `index_dropped` (with `create_if_missing` false).
  [[nodiscard]] static Result<VectorStore> open(std::string_view path,
                                                const VectorStoreOptions& options = {});
  /// The same in an encrypted store (see `Store::open_encrypted`): values, vectors, metadata and
  /// what is saved of the index are encrypted, keys are not.
  [[nodiscard]] static Result<VectorStore> open_encrypted(std::string_view path, const Secret& secret,
                                                          const VectorStoreOptions& options = {},
                                                          const EncryptionOptions& encryption = {});
  /// The same in a store that is open.
  [[nodiscard]] static Result<VectorStore> open(const Store& store,
                                                const VectorStoreOptions& options = {});
  /// A new collection in a store that is open: `exists`.
  [[nodiscard]] static Result<VectorStore> create(const Store& store, VectorStoreOptions options) {
    options.error_if_exists = true;
    return open(store, options);
  }
  /// A new store in memory with a collection.
  [[nodiscard]] static Result<VectorStore> open_in_memory(const VectorStoreOptions& options = {});

  /// The same collection, for writes and reads inside a transaction of its store: they become a
  /// part of it, and reads by key see its writes. Searches see what is committed. Not to be used
  /// after the transaction has ended (`closed`). `invalid_argument` for a transaction of another
  /// store.
  [[nodiscard]] Result<VectorStore> in(const Transaction& transaction) const;

 private:
  explicit VectorStore(VectorOperations&& operations) noexcept
      : VectorOperations(std::move(operations)) {}
};

/// The collections of a store.
class VectorCollections {
 public:
  explicit VectorCollections(Store store) noexcept : store_(std::move(store)) {}

  /// A new one: `exists` if there is one.
  [[nodiscard]] Result<VectorStore<>> create(std::string_view name, VectorStoreOptions options);
  /// One that is there: `not_found`, or `index_dropped` if its index was dropped.
  [[nodiscard]] Result<VectorStore<>> open(std::string_view name, VectorStoreOptions options = {});
  [[nodiscard]] Result<VectorStore<>> get_or_create(std::string_view name,
                                                    VectorStoreOptions options);
  /// Names, sorted; those whose index was dropped are not among them.
  [[nodiscard]] Result<std::vector<std::string>> list() const;
  /// Removes a collection and its values; whether there was one. The family "default" is emptied of
  /// the values of the collection "default", and stays.
  [[nodiscard]] Result<bool> drop(std::string_view name);

  /// A new collection with what `VectorOperations::export_json`, or vctrs, has written, made with
  /// the parameters that stand before the entries where `options` have none. `exists`; after any
  /// error there is no collection.
  [[nodiscard]] Result<VectorStore<>> import_json(std::string_view name, std::istream& in,
                                                  VectorStoreOptions options = {},
                                                  const VectorImport& import = {});
  [[nodiscard]] Result<VectorStore<>> import_jsonl(std::string_view name, std::istream& in,
                                                   VectorStoreOptions options = {},
                                                   const VectorImport& import = {});

  /// A new collection with the elements of an index file of hnswlib, whose dimensions count where `options`
  /// have none. `exists`; after any error there is no collection.
  [[nodiscard]] Result<VectorStore<>> import_hnswlib(std::string_view name, const std::string& path,
                                                     const VectorKeyOf& key_of = {},
                                                     VectorStoreOptions options = {},
                                                     const VectorImport& import = {});

 private:
  Store store_;
};

/// A search that goes on: each `next` gives the hits after those before. Never gives a key twice.
/// What is written meanwhile may be missed, or come late.
class VectorCursor {
 public:
  /// The next k hits; fewer, or none, at the end.
  [[nodiscard]] Result<std::vector<VectorHit>> next(std::size_t k = 10);

 private:
  friend class VectorOperations;
  VectorCursor(VectorOperations from, VectorOperations::Vector query, VectorSearch options)
      : from_(std::move(from)), query_(query.begin(), query.end()), options_(std::move(options)) {}

  VectorOperations from_;
  std::vector<float> query_;
  VectorSearch options_;
  std::vector<std::string> given_;  // sorted
};

}  // namespace SNKV_EXPECTED_NAMESPACE
}  // namespace snkv

#include <snkv/vector/detail/store_members.hpp>
#if defined(SNKV_VECTOR_HEADER_ONLY)
#include <snkv/vector/detail/bodies.hpp>
#endif
