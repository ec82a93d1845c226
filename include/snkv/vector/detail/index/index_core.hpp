/// \file
/// The index: vectors by labels, searched in a graph, or one by one where that is faster or has
/// to be exact. `VectorIndex` and `VectorStore` are made of it.
#pragma once

#include <snkv/vector/detail/base/number_set.hpp>
#include <snkv/vector/detail/index/compaction.hpp>
#include <snkv/vector/detail/index/generation.hpp>
#include <snkv/vector/detail/index/hnswlib_exchange.hpp>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace snkv::vector_detail {

struct IndexConfig {
  std::size_t dim = 0;
  Metric metric = Metric::cosine;
  ElementType type = ElementType::f32;
  std::uint32_t m = 16;
  std::uint32_t ef_construction = 128;
  bool keep_vectors = true;  ///< exact vectors in memory beside the codes of f16 and i8
};

struct Hit {
  Label label = 0;
  float distance = 0;
  friend bool operator<(const Hit& a, const Hit& b) noexcept {
    return a.distance != b.distance ? a.distance < b.distance : a.label < b.label;
  }
};

/// Which labels a search may return. Refers to what it is made of.
class LabelFilter {
 public:
  static constexpr std::uint64_t unknown = ~std::uint64_t{0};

  /// All.
  LabelFilter() noexcept = default;
  /// Those for whose number `accepts(number)` is true. `matches`: how many there are, at most, if
  /// that is known.
  template <class Accepts>
  explicit LabelFilter(Accepts& accepts, std::uint64_t matches = unknown) noexcept
      : object_(const_cast<void*>(static_cast<const void*>(&accepts))),
        call_([](void* object, std::uint32_t number) -> bool {
          return (*static_cast<Accepts*>(object))(number);
        }),
        matches_(matches) {}
  /// Whether the numbers of a set have to be asked, or match.
  enum class Asked : std::uint8_t { yes, no };
  /// All numbers that are not in the set are known not to match.
  [[nodiscard]] LabelFilter among(const NumberSet& numbers, Asked asked) const noexcept {
    LabelFilter narrowed = *this;
    narrowed.among_ = &numbers;
    narrowed.asked_ = asked;
    narrowed.matches_ = std::min<std::uint64_t>(matches_, numbers.count());
    return narrowed;
  }

  [[nodiscard]] bool all() const noexcept { return call_ == nullptr; }
  [[nodiscard]] bool operator()(Label label) const {
    return call_ == nullptr || call_(object_, number_of(label));
  }
  [[nodiscard]] std::uint64_t matches() const noexcept { return matches_; }
  /// Null: all.
  [[nodiscard]] const NumberSet* candidates() const noexcept { return among_; }
  /// Of a candidate.
  [[nodiscard]] bool accepts_candidate(std::uint32_t number) const {
    return asked_ == Asked::no || call_(object_, number);
  }

 private:
  void* object_ = nullptr;
  bool (*call_)(void*, std::uint32_t) = nullptr;
  std::uint64_t matches_ = unknown;
  const NumberSet* among_ = nullptr;
  Asked asked_ = Asked::yes;
};

struct SearchRequest {
  std::size_t k = 10;
  std::size_t ef = 64;
  bool exact = false;
  bool rerank = false;
  std::size_t oversample = 3;
  bool widen = true;  ///< keep all that are to be reranked, though that are more than `ef`
  std::optional<float> max_distance{};
  LabelFilter filter{};
};

/// Threads: everything may be called from all threads at once. Changes wait for each other for
/// moments. Searches wait for nothing. Linking and compaction run beside both, each in one caller
/// at a time.
class IndexCore {
 public:
  IndexCore(const IndexConfig& config, const Kernels& kernels)
      : config_(config), kernels_(&kernels), type_(config.type), current_(fresh()) {}

  /// As it is now.
  [[nodiscard]] IndexConfig config() const noexcept {
    IndexConfig now = config_;
    now.type = type();
    return now;
  }
  [[nodiscard]] ElementType type() const noexcept { return type_.load(std::memory_order_acquire); }
  [[nodiscard]] std::size_t size() const { return generation()->live(); }
  [[nodiscard]] std::shared_ptr<Generation> generation() const {
    const std::lock_guard lock(current_mutex_);
    return current_;
  }

  // ---- Changes ----

  /// Found at once, by scanning, and by walking after `maintain`. Throws std::bad_alloc, and has
  /// changed nothing then.
  void put(Label label, const float* prepared) {
    const std::lock_guard lock(change_mutex_);
    if (next_ != nullptr) changed_.push_back(number_of(label));
    generation()->put(label, prepared);
  }
  /// To be told of many vectors before they are put: an empty index then trains its quantizer on
  /// them, and need not keep them in another form first. `vector_at(i)` gives one of `count`, as it
  /// is going to be put; null where that is not known after all. Throws std::bad_alloc, and has
  /// changed nothing then.
  template <class VectorAt>
  void expect(std::size_t count, VectorAt&& vector_at, ThreadPool& pool) {
    if (type() != ElementType::i8 || count < training_size) return;
    // A compaction has looked at the generation that there is, and would put its own in the place
    // of this one.
    const std::unique_lock compacting(compact_mutex_, std::try_to_lock);
    if (!compacting) return;
    const std::lock_guard lock(change_mutex_);
    if (generation()->graph.size() != 0) return;
    Quantizer quantizer = Quantizer::train(config_.dim, count, vector_at, pool);
    if (!quantizer.trained()) return;
    replace(std::make_shared<Generation>(
        Codec(config_.metric, ElementType::i8, config_.dim, *kernels_, std::move(quantizer)),
        config_.m, config_.ef_construction, config_.keep_vectors));
    trained_on_.store(count, std::memory_order_relaxed);
  }
  /// Returns false if the number has no vector.
  bool erase(std::uint32_t number) noexcept {
    const std::lock_guard lock(change_mutex_);
    if (!generation()->erase(number)) return false;
    if (next_ == nullptr) return true;
    try {
      changed_.push_back(number);
    } catch (const std::bad_alloc&) {
      lost_changes_ = true;
    }
    return true;
  }

  /// Links what is new, trains the quantizer when it is time, and compacts when a fifth is dead.
  /// What another thread is doing already is left to it, unless it has fallen far behind.
  /// `progress(done, total)` of the linking returns false to stop; the rest is done next time.
  template <class Progress>
  void maintain(ThreadPool& pool, Progress&& progress) {
    if (first_training_due()) {
      // Links are found faster on the codes, so first the codes.
      const std::unique_lock compacting(compact_mutex_, std::try_to_lock);
      if (compacting && first_training_due()) {
        static_cast<void>(change_codes(
            pool, [](std::uint64_t, std::uint64_t) { return true; }, Links::later));
      }
    }
    while (const std::uint64_t unlinked = this->unlinked()) {
      std::unique_lock linking(link_mutex_, std::defer_lock);
      if (unlinked > 4096 + size() / 32) {
        linking.lock();
      } else if (!linking.try_lock()) {
        return;  // who has it looks again after letting it go
      }
      if (!generation()->link_all(pool, progress)) return;
    }
    if (!compaction_due()) return;
    const std::unique_lock compacting(compact_mutex_, std::try_to_lock);
    if (compacting && compaction_due()) {
      static_cast<void>(make_compact(pool, [](std::uint64_t, std::uint64_t) { return true; }));
    }
  }

  /// Makes a graph of the living, with a quantizer trained on them, and gives back the memory of
  /// the dead. Returns false, and has changed nothing, when `progress(done, total)` returned false.
  template <class Progress>
  bool compact(ThreadPool& pool, Progress&& progress) {
    const std::lock_guard compacting(compact_mutex_);
    return make_compact(pool, progress);
  }

  /// Whether there are exact vectors, of which codes of another type can be made.
  [[nodiscard]] bool has_exact() const { return generation()->has_exact(); }
  /// Makes codes of another type, for which there have to be exact vectors. Returns false, and has changed
  /// nothing, when `progress(done, total)` returned false.
  template <class Progress>
  bool set_type(ElementType type, ThreadPool& pool, Progress&& progress) {
    const std::lock_guard compacting(compact_mutex_);
    const ElementType before = type_.exchange(type, std::memory_order_acq_rel);
    struct Undo {
      std::atomic<ElementType>* type;
      ElementType before;
      ~Undo() {
        if (type != nullptr) type->store(before, std::memory_order_release);
      }
    } undo{&type_, before};
    if (!make_compact(pool, progress)) return false;
    undo.type = nullptr;
    return true;
  }
  /// Forgets all vectors; those that come are of another type. Throws std::bad_alloc.
  void clear(ElementType type) {
    const std::lock_guard compacting(compact_mutex_);
    const std::lock_guard changing(change_mutex_);
    type_.store(type, std::memory_order_release);
    replace(fresh());
    trained_on_.store(0, std::memory_order_relaxed);
  }

  // ---- Snapshots ----

  /// What there is at one moment.
  struct Mark {
    std::shared_ptr<Generation> generation;
    Graph::Mark graph{};
    std::uint64_t trained_on = 0;
  };
  [[nodiscard]] Mark mark() {
    const std::lock_guard changing(change_mutex_);
    Mark mark{generation(), {}, trained_on_.load(std::memory_order_relaxed)};
    mark.graph = mark.generation->graph.mark();
    return mark;
  }
  /// Writes what there was at the moment of the mark; changes may go on.
  void write(ByteSink& sink, const Mark& mark) const {
    const Codec& codec = mark.generation->graph.codec();
    sink.number(static_cast<std::uint8_t>(codec.type()));
    sink.number(codec.quantizer().scale);
    sink.array(std::span(codec.quantizer().offset));
    sink.number(mark.trained_on);
    mark.generation->write(sink, mark.graph);
  }
  /// Takes the place of what there is, with `live` vectors of numbers below `bound`, whose labels
  /// are those for which `is_current` is true. It has to be the last in the source. What cannot
  /// have been written by `write` is refused, and nothing has changed then. Throws std::bad_alloc.
  template <class IsCurrent>
  void read(ByteSource& source, std::uint32_t bound, std::uint32_t live, IsCurrent&& is_current) {
    const auto type = static_cast<ElementType>(source.number<std::uint8_t>());
    Quantizer quantizer;
    quantizer.scale = source.number<float>();
    quantizer.offset = source.array<float>(config_.dim);
    const auto trained_on = source.number<std::uint64_t>();
    const bool trained = type == ElementType::i8;
    bool sound = (type == this->type() ||
                  (!trained && this->type() == ElementType::i8 && type == ElementType::f32)) &&
                 std::isfinite(quantizer.scale) && quantizer.trained() == trained &&
                 quantizer.offset.size() == (trained ? config_.dim : 0);
    for (const float offset : quantizer.offset) sound = sound && std::isfinite(offset);
    if (!source.require(sound, "the quantizer is damaged")) return;
    auto made = std::make_shared<Generation>(
        Codec(config_.metric, type, config_.dim, *kernels_, std::move(quantizer)), config_.m,
        config_.ef_construction, config_.keep_vectors);
    made->read(source, bound, is_current);
    if (!source.require(made->live() == live && source.remaining() == 0,
                        "the graph has other vectors than there are")) {
      return;
    }
    const std::lock_guard changing(change_mutex_);
    replace(std::move(made));
    trained_on_.store(static_cast<std::size_t>(trained_on), std::memory_order_relaxed);
  }

  // ---- Exchange with hnswlib ----

  /// Takes the place of what there is: an empty index, whose `m` is that of the file.
  template <class LabelFor>
  [[nodiscard]] Error take_hnswlib(HnswlibReader& reader, LabelFor&& label_for) {
    std::shared_ptr<Generation> made = fresh();
    if (Error error = read_hnswlib(reader, *made, label_for); error.failed()) return error;
    const std::lock_guard changing(change_mutex_);
    replace(std::move(made));
    return {};
  }

  /// Bytes of vectors, codes and links, also of those that a compaction is just making.
  [[nodiscard]] std::uint64_t memory() const {
    const std::lock_guard lock(current_mutex_);
    return current_->memory() + (next_ != nullptr ? next_->memory() : 0);
  }
  /// Bytes that so many more vectors take.
  [[nodiscard]] std::uint64_t bytes_of(std::uint64_t vectors) const { return generation()->bytes_of(vectors); }

  // ---- Searches ----

  /// In order of distance, then label. At least min(k, matches) hits; more when the last ones are
  /// equally far, so that the caller may order them by something else. The answer is one of the
  /// time of the call: a vector that is replaced or erased meanwhile may still be in it.
  [[nodiscard]] std::vector<Hit> search(const float* prepared, const SearchRequest& request) const {
    for (int attempt = 0;; ++attempt) {
      const auto now = generation();
      const Slot before = now->graph.size();
      std::vector<Hit> hits = search_in(*now, prepared, request);
      // Labels whose vector was replaced meanwhile may have taken the place of others.
      if (hits.size() >= request.k || attempt == 3 || now->graph.size() == before) return hits;
    }
  }

  /// All within `radius`, by scanning or by walking until nothing nearer is left.
  [[nodiscard]] std::vector<Hit> search_radius(const float* prepared, float radius,
                                               SearchRequest request) const {
    request.max_distance = radius;
    for (request.k = 64;; request.k *= 4) {
      request.ef = std::max(request.ef, request.k * 2);
      std::vector<Hit> hits = search(prepared, request);
      const std::size_t live = size();
      if (hits.size() < request.k || request.k >= live) return hits;
    }
  }

 private:
  /// As many vectors are needed before the ranges say something.
  static constexpr std::size_t training_size = 256;

  /// Until the quantizer can be trained, vectors are kept as they are.
  [[nodiscard]] static ElementType untrained(ElementType type) noexcept {
    return type == ElementType::i8 ? ElementType::f32 : type;
  }
  [[nodiscard]] std::shared_ptr<Generation> fresh() const {
    return std::make_shared<Generation>(Codec(config_.metric, untrained(type()), config_.dim, *kernels_),
                                        config_.m, config_.ef_construction, config_.keep_vectors);
  }

  void replace(std::shared_ptr<Generation> made) noexcept {
    const std::lock_guard lock(current_mutex_);
    current_.swap(made);
  }

  [[nodiscard]] std::uint64_t unlinked() const {
    const auto now = generation();
    const Slot linked = now->first_unlinked();
    return now->graph.size() - linked;
  }

  [[nodiscard]] bool compaction_due() const {
    if (retraining_due()) return true;
    const auto now = generation();
    return now->graph.dead() > 64 && now->graph.dead() > now->graph.size() / 5;
  }

  /// Tells changes of the time of a compaction from others.
  class Recording {
   public:
    Recording(IndexCore& core, const Compaction& compaction) : core_(core) {
      const std::lock_guard changing(core.change_mutex_);
      // What was not linked when the compaction looked.
      const Graph& graph = core.generation()->graph;
      for (Slot slot = compaction.copied(); slot < graph.size(); ++slot) {
        core.changed_.push_back(number_of(graph.label(slot)));
      }
      core.set_next(compaction.made());
    }
    Recording(const Recording&) = delete;
    Recording& operator=(const Recording&) = delete;
    ~Recording() {
      const std::lock_guard changing(core_.change_mutex_);
      core_.end_recording();
    }

   private:
    IndexCore& core_;
  };
  void set_next(std::shared_ptr<Generation> next) noexcept {
    const std::lock_guard lock(current_mutex_);
    next_.swap(next);
  }
  /// With `change_mutex_` held.
  void end_recording() noexcept {
    set_next(nullptr);
    changed_ = {};
    lost_changes_ = false;
  }

  /// With `compact_mutex_` held.
  template <class Progress>
  bool make_compact(ThreadPool& pool, Progress&& progress) {
    const auto go_on = [](std::uint64_t, std::uint64_t) { return true; };
    {
      const std::lock_guard linking(link_mutex_);
      generation()->link_all(pool, go_on);
    }
    if (!change_codes(pool, progress, Links::now)) return false;
    const std::lock_guard linking(link_mutex_);
    generation()->link_all(pool, go_on);
    return true;
  }

  /// Whether what is not linked yet when a generation takes the place of another one gets its links
  /// before that, as far as possible.
  enum class Links : std::uint8_t { now, later };

  /// With `compact_mutex_` held. Makes a graph of the living, with codes that suit them. What is
  /// not linked in the old one is not linked in the new one either, or only with `Links::now`.
  template <class Progress>
  bool change_codes(ThreadPool& pool, Progress&& progress, Links links) {
    const auto old = generation();
    Codec codec = old->graph.codec();
    std::size_t trained_on = trained_on_.load(std::memory_order_relaxed);
    if (type() == ElementType::i8 && old->live() >= training_size && old->has_exact()) {
      std::vector<Slot> living;
      living.reserve(old->live());
      for (Slot slot = 0; slot < old->graph.size(); ++slot) {
        if (!old->graph.is_dead(slot)) living.push_back(slot);
      }
      trained_on = living.size();
      codec = Codec(config_.metric, ElementType::i8, config_.dim, *kernels_,
                    Quantizer::train(
                        config_.dim, living.size(),
                        [&](std::size_t i) { return old->exact(living[i]); }, pool));
    }
    if (codec.type() != type() && codec.type() != untrained(type())) {
      codec = Codec(config_.metric, untrained(type()), config_.dim, *kernels_);
    }
    Compaction compaction(*old, std::move(codec), config_.keep_vectors);
    const Recording recording(*this, compaction);
    if (!compaction.run(pool, progress)) return false;
    // Most of what came since is taken over and linked beside further changes, the last of it with
    // the changes stopped.
    std::vector<std::uint32_t> changed;
    for (int round = 0; round < 8; ++round) {
      {
        const std::lock_guard changing(change_mutex_);
        if (changed_.size() < 64 && round > 0) break;
        changed.clear();
        changed.swap(changed_);
      }
      compaction.catch_up(changed);
      if (links == Links::later) continue;
      compaction.made()->link_all(pool, [](std::uint64_t, std::uint64_t) { return true; });
    }
    {
      const std::lock_guard changing(change_mutex_);
      if (lost_changes_) throw std::bad_alloc();
      compaction.catch_up(changed_);
      replace(compaction.made());
      trained_on_.store(trained_on, std::memory_order_relaxed);
      end_recording();
    }
    return true;
  }

  /// Whether there are enough vectors to train a quantizer for the first time, and most of them
  /// have no links yet.
  [[nodiscard]] bool first_training_due() const {
    const auto now = generation();
    const Slot linked = now->first_unlinked();
    return now->graph.codec().type() != ElementType::i8 && retraining_due() &&
           now->graph.size() - linked > linked;
  }

  /// When there is enough to train on for the first time, or much more than there was, or the
  /// ranges no longer hold what comes.
  [[nodiscard]] bool retraining_due() const {
    if (type() != ElementType::i8) return false;
    const auto now = generation();
    const std::size_t live = now->live();
    if (live < training_size || !now->has_exact()) return false;
    if (now->graph.codec().type() != ElementType::i8) return true;
    const std::size_t trained_on = trained_on_.load(std::memory_order_relaxed);
    if (live < 2 * trained_on) return false;
    const double components =
        static_cast<double>(now->graph.size()) * static_cast<double>(config_.dim);
    return live >= 16 * trained_on || static_cast<double>(now->clamped()) > 0.005 * components;
  }

  [[nodiscard]] std::vector<Hit> search_in(Generation& now, const float* prepared,
                                           const SearchRequest& request) const {
    const LabelFilter& filter = request.filter;
    const std::uint64_t matches = std::min<std::uint64_t>(now.live(), filter.matches());
    const auto k = static_cast<std::size_t>(std::min<std::uint64_t>(request.k, matches));
    if (k == 0) return {};
    const bool exact_codes = now.graph.codec().type() == ElementType::f32;
    const bool rerank = request.rerank && !exact_codes && now.has_exact();
    const std::size_t wanted = rerank ? std::max(k, k * request.oversample) : k;
    const std::size_t ef = std::max(request.ef, request.widen ? wanted : k);
    const std::size_t fetch = std::min(wanted, ef);

    const Generation::Loan loan(now);
    Scratch& scratch = *loan;
    std::vector<Scored> found;
    bool complete = false;
    // A walk scores some twenty new slots for each one that it keeps, and more when few match. A
    // scan scores what can match, or looks at everything.
    const double share = static_cast<double>(matches) / static_cast<double>(now.live());
    const double walk_cost = 20.0 * static_cast<double>(ef) / share;
    const double scan_cost = filter.candidates() != nullptr ? static_cast<double>(matches)
                                                            : static_cast<double>(now.graph.size());
    if (!request.exact && walk_cost < scan_cost) {
      now.graph.codec().prepare(prepared, scratch.query);
      // What matches may lie far away: then the walk gives up when scanning would have been
      // cheaper.
      const auto budget = static_cast<std::size_t>(scan_cost);
      complete = walk(now, scratch, ef, budget, filter, found);
      if (complete && rerank) rerank_all(now, prepared, fetch, found);
      if (complete && found.size() >= k) return cut(now, std::move(found), k, request.max_distance);
      found.clear();
    }
    scan(now, scratch, prepared, request.exact || rerank, k, filter, found);
    return cut(now, std::move(found), k, request.max_distance);
  }

  bool walk(const Generation& now, Scratch& scratch, std::size_t ef, std::size_t budget,
            const LabelFilter& filter, std::vector<Scored>& found) const {
    const Graph& graph = now.graph;
    const auto living = [&](Slot slot) { return !graph.is_dead(slot); };
    bool complete = true;
    const Pool* pool = &scratch.pool;
    // Before the walk: what is linked while it goes on may be missed by it.
    std::vector<Slot>& unlinked = scratch.batch;
    unlinked.clear();
    const Slot end = graph.size();
    for (Slot slot = now.first_unlinked(); slot < end; ++slot) {
      if (!graph.is_linked(slot) && living(slot) && filter(graph.label(slot))) {
        unlinked.push_back(slot);
      }
    }
    if (!filter.all()) {
      complete = graph.search_filtered(scratch, ef, budget, [&](Slot slot) {
        return living(slot) && filter(graph.label(slot));
      });
      pool = &scratch.accepted;
    } else if (graph.dead() != 0) {
      complete = graph.search_filtered(scratch, ef, budget, living);
      pool = &scratch.accepted;
    } else {
      graph.search(scratch, ef);
    }
    if (!complete) return false;
    // A vector that was replaced before the walk came to it was passed over: its successor has come meanwhile.
    for (Slot slot = end; slot < graph.size(); ++slot) {
      if (living(slot) && filter(graph.label(slot))) unlinked.push_back(slot);
    }
    for (std::size_t i = 0; i < pool->size(); ++i) found.push_back((*pool)[i]);
    if (unlinked.empty()) return true;
    std::size_t i = 0;
    graph.score_each(
        scratch.query, [&] { return i < unlinked.size() ? unlinked[i++] : no_slot; },
        [&](Slot scored, float distance) {
          found.push_back({distance, scored});
        });
    std::sort(found.begin(), found.end());
    found.erase(std::unique(found.begin(), found.end(),
                            [](const Scored& a, const Scored& b) { return a.slot == b.slot; }),
                found.end());
    return true;
  }

  void scan(const Generation& now, Scratch& scratch, const float* prepared, bool exact,
            std::size_t k, const LabelFilter& filter, std::vector<Scored>& found) const {
    const Graph& graph = now.graph;
    Slot slot = 0;
    std::optional<NumberSet::Cursor> candidates;
    if (filter.candidates() != nullptr) candidates.emplace(*filter.candidates());
    const auto next = [&]() -> Slot {
      if (candidates) {
        for (std::uint32_t number = 0; candidates->next(number);) {
          const Slot at = now.slot_of(number);
          if (at != no_slot && filter.accepts_candidate(number)) return at;
        }
        return no_slot;
      }
      for (; slot < graph.size(); ++slot) {
        if (!graph.is_dead(slot) && filter(graph.label(slot))) return slot++;
      }
      return no_slot;
    };
    // The k best, with those that are as far as the last of them.
    const auto keep = [&](Slot scored, float distance) {
      found.push_back({distance, scored});
      if (found.size() < 4 * k + 64) return;
      std::nth_element(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(k - 1),
                       found.end());
      const float last = found[k - 1].distance;
      found.erase(std::remove_if(found.begin() + static_cast<std::ptrdiff_t>(k), found.end(),
                                 [&](const Scored& s) { return s.distance > last; }),
                  found.end());
    };
    if (exact && now.has_exact() && graph.codec().type() != ElementType::f32) {
      score_exactly(now, prepared, next, keep);
    } else {
      graph.codec().prepare(prepared, scratch.query);
      graph.score_each(scratch.query, next, keep);
    }
    std::sort(found.begin(), found.end());
  }

  template <class Next, class Use>
  static void score_exactly(const Generation& now, const float* prepared, Next&& next, Use&& use) {
    Codec::Query query = now.exact_codec.make_query();
    now.exact_codec.prepare(prepared, query);
    constexpr std::size_t batch = 64;
    Slot slots[batch];
    const std::byte* vectors[batch];
    float distances[batch];
    for (bool more = true; more;) {
      std::size_t count = 0;
      for (; count < batch; ++count) {
        const Slot slot = next();
        if (slot == no_slot) {
          more = false;
          break;
        }
        slots[count] = slot;
        vectors[count] = reinterpret_cast<const std::byte*>(now.exact(slot));
      }
      now.exact_codec.score(query, vectors, count, 2, distances);
      for (std::size_t i = 0; i < count; ++i) use(slots[i], distances[i]);
    }
  }

  static void rerank_all(const Generation& now, const float* prepared, std::size_t fetch,
                         std::vector<Scored>& found) {
    if (found.size() > fetch) found.resize(fetch);
    std::vector<Scored> scored;
    scored.reserve(found.size());
    std::size_t i = 0;
    score_exactly(
        now, prepared, [&] { return i < found.size() ? found[i++].slot : no_slot; },
        [&](Slot slot, float distance) {
          scored.push_back({distance, slot});
        });
    std::sort(scored.begin(), scored.end());
    found = std::move(scored);
  }

  /// Hits of the k nearest, and of those as far as the last.
  static std::vector<Hit> cut(const Generation& now, std::vector<Scored> found, std::size_t k,
                              std::optional<float> max_distance) {
    std::vector<Hit> hits;
    hits.reserve(k);
    for (const Scored& scored : found) {
      if (hits.size() >= k && scored.distance > hits[k - 1].distance) break;
      if (max_distance && !(scored.distance <= *max_distance)) break;
      const Label label = now.graph.label(scored.slot);
      if (now.graph.is_dead(scored.slot)) {
        // It was alive a moment ago. If it was replaced since, both of its vectors may be here.
        const Slot newer = now.slot_of(number_of(label));
        if (std::any_of(found.begin(), found.end(),
                        [&](const Scored& other) { return other.slot == newer; })) {
          continue;
        }
      }
      hits.push_back({label, scored.distance});
    }
    std::sort(hits.begin(), hits.end());
    return hits;
  }

  const IndexConfig config_;
  const Kernels* kernels_;
  std::atomic<ElementType> type_;
  std::mutex compact_mutex_;
  std::mutex link_mutex_;
  std::mutex change_mutex_;
  mutable std::mutex current_mutex_;
  std::shared_ptr<Generation> current_;
  /// What a compaction is making. Changed with `change_mutex_` held too.
  std::shared_ptr<Generation> next_;
  // Guarded by `change_mutex_`: numbers that were changed since the compaction began.
  std::vector<std::uint32_t> changed_;
  bool lost_changes_ = false;
  std::atomic<std::size_t> trained_on_{0};
};

}  // namespace snkv::vector_detail
