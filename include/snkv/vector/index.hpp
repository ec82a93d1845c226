/// \file
/// `VectorIndex`: nearest neighbours in memory. Header-only: needs no library to link, and no file.
///
///     VectorIndex<384, Cosine> index = *VectorIndex<384, Cosine>::create();
///     index.put(42, embedding);
///     for (auto [label, distance] : *index.search(query, 10)) use(label, distance);
///
/// Exceptions: std::bad_alloc, when memory runs out; the index is as before then. What a filter or
/// a progress function of the caller throws is handed on, as by an algorithm of the standard
/// library; the index is whole then, and as if the function had asked to stop.
#pragma once

#include <snkv/expected.hpp>
#include <snkv/vector/detail/index/index_core.hpp>
#include <snkv/vector/detail/type.hpp>
#include <snkv/vector/metric.hpp>
#include <snkv/vector/thread_pool.hpp>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

namespace snkv {

struct VectorIndexOptions {
  /// Dimensions, 1 to `max_dimension`. 0 where the type says it; another one than the type's is
  /// refused.
  std::size_t dim = 0;
  /// Empty: that of the type, or cosine with `AnyMetric`. Another one than the type's is refused.
  std::optional<Metric> metric{};
  /// What the graph is walked on.
  ElementType dtype = ElementType::f32;
  /// Links of a vector on the upper levels of the graph; twice as many on the lowest. 2 to 64. More
  /// is better for recall at high dimensions, and costs 8 bytes a vector and time.
  std::uint32_t m = 16;
  /// How many candidates an insertion looks at, 4 to 4096. More is a better graph, built more
  /// slowly.
  std::uint32_t ef_construction = 128;
  /// How many candidates a search keeps unless it says otherwise, 1 to 65536. More is better
  /// recall.
  std::uint32_t ef_search = 64;
  /// With f16 or i8: keeps the exact vectors in memory too, for exact search, reranking, and
  /// training.
  bool keep_vectors = true;
  /// Threads for batches, the caller's own included; 0: as many as the machine has.
  std::size_t threads = 0;
};

struct VectorIndexSearch {
  /// Candidates; 0: the index's `ef_search`, or what reranking asks for, if that is more. At least
  /// k are kept whatever it is.
  std::size_t ef = 0;
  /// Compares with every vector instead of walking the graph.
  bool exact = false;
  /// With f16 or i8, and exact vectors kept: scores the best `oversample` * k of the candidates
  /// exactly.
  bool rerank = true;
  std::size_t oversample = 3;
  /// Drops what is farther; applied last.
  std::optional<float> max_distance{};
  /// Only labels for which it is true are found. Called from the thread that searches, possibly
  /// many times, and by `search_batch` from several threads at once; must not change the index.
  /// What it throws comes out of the search.
  std::function<bool(std::uint64_t label)> filter{};
};

struct Neighbor {
  std::uint64_t label = 0;
  float distance = 0;
  friend bool operator==(const Neighbor&, const Neighbor&) = default;
};

struct VectorIndexStats {
  std::size_t size = 0;  ///< Vectors.
  std::size_t dead = 0;  ///< Replaced or erased vectors that still take memory.
  std::size_t unlinked =
      0;               ///< Vectors that are found by scanning, because they are not linked yet.
  int top_level = -1;  ///< Of the graph; -1 when it is empty.
  ElementType dtype = ElementType::f32;  ///< In force: f32 before the quantizer of i8 is trained.
  std::uint64_t code_bytes = 0;  ///< Codes of f16 and i8; 0 as long as the graph is walked on f32.
  std::uint64_t link_bytes = 0;
  std::uint64_t vector_bytes = 0;  ///< Exact vectors.
  const char* kernels = "";        ///< Instruction set of the distance kernels.
};

inline namespace SNKV_EXPECTED_NAMESPACE {

/// A set of labelled vectors. Move-only handle.
///
/// Threads: any number may search while others change it. Changes wait for each other, but not for
/// a compaction; searches never wait for the insertion into the graph: what is not linked yet is
/// scanned. Complexity: search and insertion about O(log n); exact search O(n).
template <std::size_t Dim = dynamic_extent, class MetricTag = AnyMetric>
class VectorIndex {
 public:
  using Vector = std::span<const float>;
  /// Called between steps of long work, by the thread that asked for it, with what is done and what
  /// there is in all; false stops it. Must not change the index. What it throws stops the work,
  /// too, and comes out of the call.
  using ProgressFunction = std::function<bool(std::uint64_t done, std::uint64_t total)>;

  /// Fails with `invalid_argument` when an option is out of its range, with `dimension_mismatch` or
  /// `metric_mismatch` when it contradicts the type.
  [[nodiscard]] static Result<VectorIndex> create(VectorIndexOptions options = {}) {
    Error error = vector_detail::merge_type<Dim, MetricTag>("create", options.dim, options.metric);
    if (error.failed()) return Unexpected(std::move(error));
    if (!options.metric) options.metric = Metric::cosine;
    const auto refuse = [](std::string what) {
      return Unexpected(Error(Errc::invalid_argument, "create", std::move(what)));
    };
    if (options.dim < 1 || options.dim > max_dimension) return refuse("dim is not 1 to 65536");
    if (options.m < 2 || options.m > 64) return refuse("m is not 2 to 64");
    if (options.ef_construction < 4 || options.ef_construction > 4096) {
      return refuse("ef_construction is not 4 to 4096");
    }
    if (options.ef_search < 1 || options.ef_search > 65536)
      return refuse("ef_search is not 1 to 65536");
    if (to_string(*options.metric) == "unknown") return refuse("unknown metric");
    if (to_string(options.dtype) == "unknown") return refuse("unknown dtype");
    return VectorIndex(options);
  }

  /// Opens an index file of hnswlib 0.8 (`saveIndex`), with its graph and its labels. For `Cosine`
  /// its vectors must be of length 1, as those of hnswlib's Python package are with
  /// `space='cosine'`. Elements that are marked as deleted are left out. `options.m` and
  /// `options.ef_construction` are those of the file.
  ///
  /// `cant_open`, `corrupt`, `dimension_mismatch` where elements have another size, `bad_vector`,
  /// `exists` for a label that comes twice, `invalid_argument` for `L1`, which hnswlib has not; the
  /// message names file and reason. Whether the file was made for this metric it does not say.
  [[nodiscard]] static Result<VectorIndex> load_hnswlib(const std::string& path,
                                                        VectorIndexOptions options = {}) {
    constexpr const char* operation = "load_hnswlib";
    auto empty = create(options);
    if (!empty) return Unexpected(std::move(empty.error()));
    if (Error error = empty->check_exchange(operation); error.failed())
      return Unexpected(std::move(error));
    vector_detail::HnswlibReader reader;
    Error error = reader.open(operation, path, empty->dim());
    if (error.failed()) return Unexpected(std::move(error));
    options.m = reader.m();
    options.ef_construction =
        static_cast<std::uint32_t>(std::clamp<std::uint64_t>(reader.ef_construction(), 4, 4096));
    auto made = create(options);
    if (!made) return made;
    State& state = *made->state_;
    error = state.core.take_hnswlib(
        reader, [&](std::uint64_t label, const float* vector, vector_detail::Label& out) {
          return state.introduce(operation, path, label, vector, out);
        });
    if (error.failed()) return Unexpected(std::move(error));
    state.forget_dead();
    made->maintain({});
    return made;
  }
  /// Writes an index file that hnswlib 0.8 reads with `L2Space` or `InnerProductSpace` of `dim()`
  /// dimensions; for `Cosine` vectors of length 1 for the latter. Erased vectors are compacted away
  /// first. With f16 or i8 without exact vectors, those are written that the codes stand for. The
  /// file has its name when all of it is on the disk. Changes wait; searches go on.
  /// `invalid_argument` for `L1`. O(n).
  [[nodiscard]] Result<void> save_hnswlib(const std::string& path) {
    if (Error error = check_exchange("save_hnswlib"); error.failed())
      return Unexpected(std::move(error));
    const std::lock_guard lock(state_->change_mutex);
    maintain({});
    state_->core.compact(state_->pool, [](std::uint64_t, std::uint64_t) { return true; });
    const auto now = state_->core.generation();
    const auto label_of = [&](vector_detail::Slot slot) {
      return state_->label_of(vector_detail::number_of(now->graph.label(slot)));
    };
    Error error = vector_detail::write_hnswlib("save_hnswlib", path, *now, label_of);
    if (error.failed()) return Unexpected(std::move(error));
    return {};
  }

  [[nodiscard]] std::size_t dim() const noexcept { return state_->options.dim; }
  [[nodiscard]] Metric metric() const noexcept { return state_->metric; }
  [[nodiscard]] std::size_t size() const { return state_->core.size(); }
  [[nodiscard]] bool contains(std::uint64_t label) const {
    const std::shared_lock lock(state_->names_mutex);
    return state_->numbers.contains(label);
  }

  // ---- Changes ----

  /// Inserts a vector, or replaces the one of this label. `dimension_mismatch`, or `bad_vector` for
  /// NaN, infinity, and for cosine also length zero.
  [[nodiscard]] Result<void> put(std::uint64_t label, Vector vector) {
    return change("put", label, vector, false);
  }
  /// Inserts a vector; `exists` if the label has one.
  [[nodiscard]] Result<void> add(std::uint64_t label, Vector vector) {
    return change("add", label, vector, true);
  }

  /// `put` for many: `vectors` has those of all labels one after the other. All or nothing; of a
  /// label that comes twice the last vector counts. Links in parallel. Stopped by `progress`, also
  /// by an exception, the vectors are all there, and the rest is linked later.
  [[nodiscard]] Result<void> put_batch(std::span<const std::uint64_t> labels, Vector vectors,
                                       const ProgressFunction& progress = {}) {
    const std::size_t dim = state_->options.dim;
    if (vectors.size() != labels.size() * dim) {
      return Unexpected(Error(Errc::dimension_mismatch, "put_batch",
                              std::to_string(vectors.size()) + " numbers for " +
                                  std::to_string(labels.size()) + " vectors of " +
                                  std::to_string(dim)));
    }
    for (std::size_t i = 0; i < labels.size(); ++i) {
      Error error = check("put_batch", labels[i], vectors.subspan(i * dim, dim));
      if (error.failed()) return Unexpected(std::move(error));
    }
    std::unordered_map<std::uint64_t, std::size_t> last;
    for (std::size_t i = 0; i < labels.size(); ++i) last[labels[i]] = i;
    {
      const std::lock_guard lock(state_->change_mutex);
      std::vector<float> prepared(dim);
      state_->core.expect(
          labels.size(),
          [&](std::size_t i) {
            vector_detail::prepare_vector(state_->metric, vectors.data() + i * dim, dim,
                                          prepared.data());
            return prepared.data();
          },
          state_->pool);
      for (std::size_t i = 0; i < labels.size(); ++i) {
        if (last[labels[i]] == i) insert(labels[i], vectors.subspan(i * dim, dim));
      }
    }
    maintain(progress);
    return {};
  }

  /// Whether there was one.
  bool erase(std::uint64_t label) {
    {
      const std::lock_guard lock(state_->change_mutex);
      const std::optional<std::uint32_t> number = state_->forget(label);
      if (!number) return false;
      state_->core.erase(*number);
    }
    maintain({});
    return true;
  }

  /// Gives back the memory of replaced and erased vectors, and trains the quantizer on what there
  /// is now. Happens by itself when they are more than a fifth. O(n); searches and changes go on
  /// meanwhile. Stopped by `progress`, all is as before.
  void compact(const ProgressFunction& progress = {}) {
    state_->core.compact(state_->pool, [&](std::uint64_t done, std::uint64_t total) {
      return !progress || progress(done, total);
    });
  }

  // ---- Searches ----

  /// The k nearest, in order of their distance, then of their label; fewer only when there are
  /// fewer that match. `invalid_argument` for k = 0.
  [[nodiscard]] Result<std::vector<Neighbor>> search(Vector query, std::size_t k = 10,
                                                     const VectorIndexSearch& options = {}) const {
    if (k == 0) return Unexpected(Error(Errc::invalid_argument, "search", std::string("k is 0")));
    return find("search", query, k, options, std::nullopt, AnyLabel{});
  }
  /// The same among the labels for which `accepts(label)` is true, with less to do for each than
  /// with `options.filter`, which must be true too if it is given.
  template <std::predicate<std::uint64_t> Accepts>
  [[nodiscard]] Result<std::vector<Neighbor>> search_if(
      Vector query, std::size_t k, const Accepts& accepts,
      const VectorIndexSearch& options = {}) const {
    if (k == 0)
      return Unexpected(Error(Errc::invalid_argument, "search_if", std::string("k is 0")));
    return find("search_if", query, k, options, std::nullopt, accepts);
  }

  /// All within a distance, in the same order.
  [[nodiscard]] Result<std::vector<Neighbor>> search_radius(
      Vector query, float radius, const VectorIndexSearch& options = {}) const {
    return find("search_radius", query, 1, options, radius, AnyLabel{});
  }

  /// `search` for many queries, which lie one after the other, in parallel.
  [[nodiscard]] Result<std::vector<std::vector<Neighbor>>> search_batch(
      Vector queries, std::size_t k = 10, const VectorIndexSearch& options = {}) const {
    const std::size_t dim = state_->options.dim;
    if (queries.size() % dim != 0) {
      return Unexpected(Error(
          Errc::dimension_mismatch, "search_batch",
          std::to_string(queries.size()) + " numbers are not vectors of " + std::to_string(dim)));
    }
    const std::size_t count = queries.size() / dim;
    std::vector<std::vector<Neighbor>> found(count);
    Error error = state_->pool.each(count, [&](std::size_t i, std::size_t) {
      auto hits = search(queries.subspan(i * dim, dim), k, options);
      if (!hits) return hits.error();
      found[i] = *std::move(hits);
      return Error();
    });
    if (error.failed()) return Unexpected(std::move(error));
    return found;
  }

  [[nodiscard]] VectorIndexStats stats() const {
    const auto now = state_->core.generation();
    VectorIndexStats out;
    out.size = now->live();
    out.dead = now->graph.dead();
    const vector_detail::Slot linked = now->first_unlinked();
    out.unlinked = now->graph.size() - linked;
    out.top_level = now->graph.top_level();
    out.dtype = now->graph.codec().type();
    const bool are_exact = out.dtype == ElementType::f32;
    out.code_bytes = are_exact ? 0 : now->graph.code_bytes();
    out.link_bytes = now->graph.link_bytes();
    out.vector_bytes = are_exact ? now->graph.code_bytes() : now->vector_bytes();
    out.kernels = now->graph.codec().kernels().name;
    return out;
  }

 private:
  struct State {
    explicit State(const VectorIndexOptions& given)
        : options(given),
          metric(*given.metric),
          core({given.dim, *given.metric, given.dtype, given.m, given.ef_construction,
                given.keep_vectors},
               vector_detail::best_kernels<(Dim == dynamic_extent ? 0 : Dim)>()),
          pool(given.threads) {}

    const VectorIndexOptions options;
    const Metric metric;
    vector_detail::IndexCore core;
    mutable ThreadPool pool;
    std::mutex change_mutex;
    /// Guards what follows; held for moments only.
    mutable std::shared_mutex names_mutex;
    std::unordered_map<std::uint64_t, vector_detail::Label> numbers;
    std::vector<vector_detail::Label> owners;  // whose each number is now
    std::vector<std::uint32_t> free;           // has room for all of `owners`
    /// The label of each number, which filters read without the mutex. A number that has another
    /// label in the meantime has another owner too, which is looked at when the search is over.
    vector_detail::Segments labels{sizeof(std::uint64_t)};

    [[nodiscard]] std::uint64_t label_of(std::uint32_t number) const noexcept {
      return label_at(number).load(std::memory_order_acquire);
    }
    void name(std::uint32_t number, std::uint64_t label) noexcept {
      label_at(number).store(label, std::memory_order_release);
    }
    [[nodiscard]] std::atomic_ref<std::uint64_t> label_at(std::uint32_t number) const noexcept {
      return std::atomic_ref(*reinterpret_cast<std::uint64_t*>(labels.at(number)));
    }

    /// Gives a number to a label of a file.
    [[nodiscard]] Error introduce(const char* operation, const std::string& path,
                                  std::uint64_t label, const float* vector,
                                  vector_detail::Label& out) {
      const auto refuse = [&](Errc code, const char* why) {
        return Error(code, operation, path + ": label " + std::to_string(label) + why);
      };
      if (metric == Metric::cosine) {
        const double length = vector_detail::length(vector, options.dim);
        if (std::abs(length - 1.0) > 0.01) return refuse(Errc::bad_vector, " is not of length 1");
      }
      const auto number = static_cast<std::uint32_t>(owners.size());
      out = vector_detail::Label{1} << 32 | number;
      if (!numbers.try_emplace(label, out).second) return refuse(Errc::exists, " comes twice");
      labels.reserve(std::uint64_t{number} + 1);
      name(number, label);
      owners.push_back(out);
      free.reserve(owners.size());
      return {};
    }
    /// Takes the numbers away from labels whose vectors were deleted.
    void forget_dead() {
      const auto now = core.generation();
      for (std::uint32_t number = 0; number < owners.size(); ++number) {
        if (now->slot_of(number) == vector_detail::no_slot)
          static_cast<void>(forget(label_of(number)));
      }
    }

    /// Takes a label's number away from it. Nothing if it has none.
    std::optional<std::uint32_t> forget(std::uint64_t label) noexcept {
      const std::unique_lock lock(names_mutex);
      const auto found = numbers.find(label);
      if (found == numbers.end()) return std::nullopt;
      const std::uint32_t number = vector_detail::number_of(found->second);
      free.push_back(number);
      numbers.erase(found);
      return number;
    }
  };

  explicit VectorIndex(const VectorIndexOptions& options)
      : state_(std::make_unique<State>(options)) {}

  [[nodiscard]] Error check(const char* operation, std::optional<std::uint64_t> label,
                            Vector vector) const {
    const auto name = [&] {
      return label ? "label " + std::to_string(*label) : std::string("the query");
    };
    if (vector.size() != state_->options.dim) {
      return Error(Errc::dimension_mismatch, operation,
                   name() + " has " + std::to_string(vector.size()) + " dimensions, not " +
                       std::to_string(state_->options.dim));
    }
    bool zero = true;
    for (const float x : vector) {
      if (!std::isfinite(x)) return Error(Errc::bad_vector, operation, name() + ": not finite");
      zero = zero && x == 0;
    }
    if (zero && state_->metric == Metric::cosine) {
      return Error(Errc::bad_vector, operation, name() + ": length zero has no direction");
    }
    return {};
  }

  [[nodiscard]] Error check_exchange(const char* operation) const {
    if (state_->metric != Metric::l1) return {};
    return Error(Errc::invalid_argument, operation, std::string("hnswlib has no metric l1"));
  }

  [[nodiscard]] Result<void> change(const char* operation, std::uint64_t label, Vector vector,
                                    bool must_be_new) {
    Error error = check(operation, label, vector);
    if (error.failed()) return Unexpected(std::move(error));
    {
      const std::lock_guard lock(state_->change_mutex);
      if (must_be_new && contains(label)) {
        return Unexpected(Error(Errc::exists, operation, "label " + std::to_string(label)));
      }
      insert(label, vector);
    }
    maintain({});
    return {};
  }

  void insert(std::uint64_t label, Vector vector) {
    std::vector<float> prepared(vector.size());
    vector_detail::prepare_vector(state_->metric, vector.data(), vector.size(), prepared.data());
    struct Undo {
      State* state;
      std::uint64_t label;
      ~Undo() {
        if (state != nullptr) state->forget(label);
      }
    } undo{nullptr, label};
    vector_detail::Label mine = 0;
    {
      const std::unique_lock names(state_->names_mutex);
      state_->free.reserve(state_->owners.size() + 1);  // forgetting must not fail
      state_->labels.reserve(state_->owners.size() + 1);
      const auto [at, is_new] = state_->numbers.try_emplace(label, 0);
      if (is_new) {
        if (state_->free.empty()) {
          const auto number = static_cast<std::uint32_t>(state_->owners.size());
          state_->owners.push_back(number);
          state_->free.push_back(number);
        }
        const std::uint32_t number = state_->free.back();
        state_->free.pop_back();
        vector_detail::Label& owner = state_->owners[number];
        owner = ((owner >> 32) + 1) << 32 | number;
        state_->name(number, label);
        at->second = owner;
        undo.state = state_.get();
      }
      mine = at->second;
    }
    state_->core.put(mine, prepared.data());
    undo.state = nullptr;
  }

  void maintain(const ProgressFunction& progress) {
    state_->core.maintain(state_->pool, [&](std::uint64_t done, std::uint64_t total) {
      return !progress || progress(done, total);
    });
  }

  struct AnyLabel {
    [[nodiscard]] constexpr bool operator()(std::uint64_t) const noexcept { return true; }
  };

  template <class Accepts>
  [[nodiscard]] Result<std::vector<Neighbor>> find(const char* operation, Vector query,
                                                   std::size_t k, const VectorIndexSearch& options,
                                                   std::optional<float> radius,
                                                   const Accepts& accepts) const {
    Error error = check(operation, std::nullopt, query);
    if (error.failed()) return Unexpected(std::move(error));
    std::vector<float> prepared(query.size());
    vector_detail::prepare_vector(state_->metric, query.data(), query.size(), prepared.data());
    vector_detail::SearchRequest request;
    request.k = k;
    request.ef = options.ef != 0 ? options.ef : state_->options.ef_search;
    request.exact = options.exact;
    request.rerank = options.rerank;
    request.oversample = std::max<std::size_t>(1, options.oversample);
    request.widen = options.ef == 0;
    request.max_distance = options.max_distance;
    const auto accepted = [&](std::uint32_t number) {
      const std::uint64_t label = state_->label_of(number);
      return accepts(label) && (!options.filter || options.filter(label));
    };
    constexpr bool any = std::is_same_v<Accepts, AnyLabel>;
    if (!any || options.filter) request.filter = vector_detail::LabelFilter(accepted);
    std::vector<Neighbor> found;
    // A number that was given to another label meanwhile says nothing about the one it had: once
    // more.
    bool complete = false;
    for (int attempt = 0; !complete && attempt < 4; ++attempt) {
      const std::vector<vector_detail::Hit> hits =
          radius ? state_->core.search_radius(prepared.data(), *radius, request)
                 : state_->core.search(prepared.data(), request);
      found.clear();
      found.reserve(hits.size());
      const std::shared_lock lock(state_->names_mutex);
      for (const vector_detail::Hit& hit : hits) {
        const std::uint32_t number = vector_detail::number_of(hit.label);
        if (state_->owners[number] == hit.label)
          found.push_back({state_->label_of(number), hit.distance});
      }
      complete = found.size() == hits.size();
    }
    std::sort(found.begin(), found.end(), [](const Neighbor& a, const Neighbor& b) {
      return a.distance != b.distance ? a.distance < b.distance : a.label < b.label;
    });
    if (!radius && found.size() > k) found.resize(k);
    return found;
  }

  std::unique_ptr<State> state_;
};

}  // namespace SNKV_EXPECTED_NAMESPACE
}  // namespace snkv
