/// \file
/// How a collection is searched: with the index and the names in memory, and with rows where those
/// do not suffice.
#pragma once

#include <snkv/vector/detail/base/callbacks.hpp>
#include <snkv/vector/detail/collection/collection.hpp>
#include <snkv/vector/filter.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace snkv::vector_detail {

/// Which entries.
struct EntryCondition {
  const FilterNode* filter = nullptr;            ///< null: all
  std::shared_ptr<CallerPredicate> predicate{};  ///< null: all
  [[nodiscard]] bool is_all() const noexcept { return filter == nullptr && predicate == nullptr; }
  [[nodiscard]] bool matches(std::string_view key, const Json& metadata) const {
    return (filter == nullptr || vector_detail::matches(*filter, metadata)) &&
           (predicate == nullptr || (*predicate)(key, metadata));
  }
  /// Why it cannot be used, or what the predicate has thrown; ok if neither.
  [[nodiscard]] Error error(const char* operation) const {
    if (filter != nullptr) {
      if (Error error = error_of(operation, *filter); error.failed()) return error;
    }
    return predicate != nullptr && predicate->threw() ? predicate->error(operation) : Error();
  }
};

/// The metadata of a row; null if there are none, discarded if they are no object.
[[nodiscard]] inline Json parse_metadata(std::string_view text) {
  if (text.empty()) return {};
  Json metadata = parse_json(text);
  return metadata.is_object() ? metadata : Json(Json::value_t::discarded);
}

/// A condition on numbers, as of one moment: what the index of metadata says, and for the rest the
/// rows. Refers to what it is made of.
class NumberCondition {
 public:
  NumberCondition(const Collection& collection, const EntryCondition& condition)
      : collection_(collection), condition_(condition) {}

  /// Asks what is in memory.
  void resolve(const NameTable& names, const MetadataIndex& metadata, std::int64_t now) {
    bound_ = names.bound();
    live_ = names.live();
    expired_ = names.expired(now);
    has_matches_ = condition_.filter != nullptr;
    memo_.clear();
    if (!has_matches_) return;
    matches_ = metadata.resolve(*condition_.filter);
    asks_rows_ = condition_.predicate != nullptr || !matches_.exact();
    if (expired_ == nullptr) return;
    std::vector<std::uint32_t> gone;
    expired_->for_each([&](std::uint32_t number) {
      if (number < matches_.possible.bound()) gone.push_back(number);
    });
    matches_.possible.subtract(NumberSet::of(matches_.possible.bound(), std::move(gone)));
  }
  /// Whether every entry matches.
  [[nodiscard]] bool is_all() const noexcept { return condition_.is_all() && expired_ == nullptr; }
  /// Whether rows are needed to tell.
  [[nodiscard]] bool asks_rows() const noexcept {
    return has_matches_ ? asks_rows_ : condition_.predicate != nullptr;
  }
  /// Whether a lock on the names is held all the time.
  void set_locked(const NameTable* names) noexcept { locked_names_ = names; }

  [[nodiscard]] bool operator()(std::uint32_t number) {
    if (has_matches_) {
      if (!matches_.possible.contains(number)) return false;
      if (!asks_rows_) return true;
      if (condition_.predicate == nullptr && !matches_.unsure.contains(number)) return true;
    } else {
      if (expired_ != nullptr && number < expired_->bound() && expired_->contains(number)) {
        return false;
      }
      if (condition_.predicate == nullptr) return true;
    }
    const auto [at, is_new] = memo_.try_emplace(number, false);
    if (is_new) at->second = ask_row(number);
    return at->second;
  }
  /// Whether the index of metadata leaves it possible.
  [[nodiscard]] bool can_match(std::uint32_t number) const noexcept {
    return !has_matches_ || matches_.possible.contains(number);
  }
  /// How many match, at most.
  [[nodiscard]] std::uint64_t most() const noexcept {
    if (has_matches_) return matches_.possible.count();
    return expired_ == nullptr ? live_ : live_ - std::min<std::uint64_t>(live_, expired_->count());
  }
  /// Those that can match; null if it may be any.
  [[nodiscard]] const NumberSet* candidates() const noexcept {
    return has_matches_ ? &matches_.possible : nullptr;
  }
  /// Calls `use(number)` for all that can match, expired ones too.
  template <class Use>
  void for_each_candidate(Use&& use) const {
    if (has_matches_) {
      matches_.possible.for_each(use);
    } else {
      for (std::uint32_t number = 0; number < bound_; ++number) use(number);
    }
  }
  /// An error of the rows that were asked.
  [[nodiscard]] const Error& error() const noexcept { return error_; }

 private:
  [[nodiscard]] bool ask_row(std::uint32_t number) {
    if (error_.failed()) return false;
    std::string key;
    const auto copy_key = [&](const NameTable& names) {
      if (names.contains(number)) key = names.key(number);
    };
    if (locked_names_ != nullptr) {
      copy_key(*locked_names_);
    } else {
      collection_.image().read([&](const NameTable& names, auto&) { copy_key(names); });
    }
    if (key.empty()) return false;
    Error error = core::get(collection_.tables().items, key, row_);
    if (error == Errc::not_found) return false;
    ItemRow item;
    Json metadata;
    if (!error.failed() && decode(row_, item)) metadata = parse_metadata(item.metadata);
    if (is_damage(error) || item.number != number || metadata.is_discarded()) {
      // Locks may be held, so the image keeps the entry; whoever reads its row leaves it out for good.
      collection_.damage().note(key, "its row cannot be read");
      return false;
    }
    if (error.failed()) {
      error_ = std::move(error);
      return false;
    }
    const bool matches = condition_.matches(key, metadata);
    error_ = condition_.error("search");
    return matches;
  }

  const Collection& collection_;
  const EntryCondition condition_;
  std::uint32_t bound_ = 0;
  std::uint64_t live_ = 0;
  std::shared_ptr<const NumberSet> expired_;
  bool has_matches_ = false;
  bool asks_rows_ = false;
  MetadataIndex::Matches matches_;
  const NameTable* locked_names_ = nullptr;
  std::unordered_map<std::uint32_t, bool> memo_;
  Bytes row_;
  Error error_;
};

/// An entry that was found.
struct Found {
  std::string key;
  float distance = 0;
  std::uint32_t number = 0;
  std::uint64_t changed = 0;  ///< number of the change that made it what was found

  friend bool operator<(const Found& a, const Found& b) noexcept {
    return a.distance != b.distance ? a.distance < b.distance : a.key < b.key;
  }
};

struct CollectionQuery {
  EntryCondition condition{};
  std::size_t k = 10;  ///< ignored with a radius
  std::optional<float> radius{};
  std::size_t ef = 64;
  bool exact = false;
  bool rerank = true;
  std::size_t oversample = 3;
  bool widen = true;  ///< as in `SearchRequest`
  std::optional<float> max_distance{};
};

/// One search. Used by one thread, for one query.
class CollectionSearch {
 public:
  CollectionSearch(const char* operation, const Collection& collection,
                   const CollectionQuery& query)
      : operation_(operation), collection_(collection), query_(query) {}

  /// `vector` has been checked.
  [[nodiscard]] Error run(const float* vector, std::vector<Found>& out) {
    const std::size_t dim = collection_.config().dim;
    prepared_.resize(dim);
    prepare_vector(collection_.config().metric, vector, dim, prepared_.data());
    CollectionImage& image = collection_.image();
    NumberCondition accepts(collection_, query_.condition);
    constexpr int attempts = 4;
    for (int attempt = 1;; ++attempt) {
      const std::uint64_t epoch = image.epoch();
      if (Error error = collection_.catch_up(operation_); error.failed()) return error;
      out.clear();
      bool current = true;
      Error error;
      if (attempt < attempts) {
        const std::uint64_t version = image.applied();
        image.read([&](const NameTable& names, const MetadataIndex& metadata) {
          prepare(accepts, names, metadata);
        });
        error = search(accepts, version, nullptr, out, current);
      } else {
        // What others change meanwhile has spoiled it several times: now they wait.
        image.read([&](const NameTable& names, const MetadataIndex& metadata) {
          accepts.set_locked(&names);
          prepare(accepts, names, metadata);
          error = search(accepts, ~std::uint64_t{0}, &names, out, current);
        });
      }
      if (error.failed()) return error;
      if (image.epoch() != epoch) {
        attempt = 0;
        continue;
      }
      if (accepts.error().failed()) return as_error_of(operation_, accepts.error());
      // Whoever was left out made room for another one.
      if (leave_out() && current && attempt < attempts) continue;
      if (current || attempt == attempts) break;
    }
    image.maintain_soon();
    return {};
  }

  /// The distance between the query of the last `run` and a vector, exactly.
  class Exactly {
   public:
    Exactly(const Codec& codec, Metric metric, const float* prepared)
        : codec_(codec),
          metric_(metric),
          query_(codec.make_query()),
          code_(codec.stride()),
          vector_(codec.dim()) {
      codec_.prepare(prepared, query_);
    }
    /// Of a vector as it was put.
    [[nodiscard]] float operator()(const float* vector) {
      prepare_vector(metric_, vector, vector_.size(), vector_.data());
      codec_.encode(vector_.data(), code_.data());
      return codec_.score_one(query_, code_.data());
    }

   private:
    const Codec& codec_;
    const Metric metric_;
    Codec::Query query_;
    AlignedBuffer code_;
    std::vector<float> vector_;
  };

 private:
  void prepare(NumberCondition& accepts, const NameTable& names,
               const MetadataIndex& metadata) const {
    accepts.resolve(names, metadata, core::now(collection_.tables().meta));
  }

  /// `locked` is null unless the lock on the names is held. `current` becomes false when something
  /// changed meanwhile that makes the answer wrong.
  [[nodiscard]] Error search(NumberCondition& accepts, std::uint64_t version,
                             const NameTable* locked, std::vector<Found>& out, bool& current) {
    const CollectionImage& image = collection_.image();
    const auto now = image.index().generation();
    const bool quantized = now->graph.codec().type() != ElementType::f32;
    const bool rows_needed = quantized && !now->has_exact();
    if (query_.exact && rows_needed) return scan_rows(*now, accepts, locked, out, current);

    SearchRequest request;
    request.k = query_.k;
    request.ef = query_.ef;
    request.exact = query_.exact;
    request.rerank = query_.rerank;
    request.oversample = query_.oversample;
    request.widen = query_.widen;
    request.max_distance = query_.max_distance;
    const bool rerank_from_rows = rows_needed && query_.rerank;
    if (rerank_from_rows) {
      request.k *= query_.oversample;
      if (!query_.widen) request.k = std::min(request.k, std::max(query_.ef, query_.k));
      request.max_distance.reset();
    }
    const bool masked = !accepts.is_all();
    if (masked) {
      request.filter = LabelFilter(accepts, accepts.most());
      if (const NumberSet* numbers = accepts.candidates()) {
        using Asked = LabelFilter::Asked;
        request.filter =
            request.filter.among(*numbers, accepts.asks_rows() ? Asked::yes : Asked::no);
      }
    }
    const std::vector<Hit> hits =
        query_.radius ? image.index().search_radius(prepared_.data(), *query_.radius, request)
                      : image.index().search(prepared_.data(), request);
    out.reserve(hits.size());
    const auto name = [&](const NameTable& names) {
      for (const Hit& hit : hits) {
        const std::uint32_t number = number_of(hit.label);
        const std::uint64_t changed = names.changed(number);
        if (!names.is_current(hit.label) || (masked && changed > version)) {
          current = false;
          continue;
        }
        out.push_back({std::string(names.key(number)), hit.distance, number, changed});
      }
    };
    if (locked != nullptr) {
      name(*locked);
    } else {
      image.read([&](const NameTable& names, auto&) { name(names); });
    }
    if (rerank_from_rows && current) {
      if (Error error = rerank_by_rows(*now, out, current); error.failed()) return error;
    }
    cut(out);
    return {};
  }

  void cut(std::vector<Found>& out) const {
    std::sort(out.begin(), out.end());
    if (!query_.radius && out.size() > query_.k) out.resize(query_.k);
    const std::optional<float> limit = query_.radius ? query_.radius : query_.max_distance;
    while (limit && !out.empty() && !(out.back().distance <= *limit)) out.pop_back();
  }

  /// Replaces distances of codes by those of the vectors in the file.
  [[nodiscard]] Error rerank_by_rows(const Generation& now, std::vector<Found>& found,
                                     bool& current) {
    core::Target snapshot;
    Error error = core::snapshot(collection_.tables().meta, snapshot);
    if (error.failed()) return as_error_of(operation_, std::move(error));
    const CollectionTables frozen = collection_.tables().in(snapshot.scope);
    Exactly exactly(now.exact_codec, collection_.config().metric, prepared_.data());
    std::vector<float> vector(collection_.config().dim);
    if (error = check_still(frozen, found, current); error.failed() || !current) return error;
    std::vector<Found> sound;
    sound.reserve(found.size());
    for (Found& one : found) {
      error = read_vector(operation_, frozen.vectors, one.number, vector.size(), vector.data());
      if (is_damage(error)) {
        damaged_.push_back({one.number, one.key, error.detail()});
        continue;
      }
      if (error.failed()) return error;
      one.distance = exactly(vector.data());
      sound.push_back(std::move(one));
    }
    found = std::move(sound);
    return {};
  }

  /// Whether what was found is as it was, in a snapshot.
  [[nodiscard]] Error check_still(const CollectionTables& frozen, const std::vector<Found>& found,
                                  bool& current) const {
    StateRow state;
    if (Error error = read_state(operation_, frozen.meta, state); error.failed()) return error;
    if (state.sequence == collection_.image().applied()) return {};
    Bytes row;
    for (const Found& one : found) {
      ItemRow item;
      Error error = core::get(frozen.items, one.key, row);
      if (error.failed() && !(error == Errc::not_found)) return as_error_of(operation_, error);
      if (error.failed() || !decode(row, item) || item.number != one.number ||
          item.changed != one.changed) {
        current = false;
        return {};
      }
    }
    return {};
  }

  /// Compares with every vector in the file that matches.
  [[nodiscard]] Error scan_rows(const Generation& now, NumberCondition& accepts,
                                const NameTable* locked, std::vector<Found>& out, bool& current) {
    core::Target snapshot;
    Error error = core::snapshot(collection_.tables().meta, snapshot);
    if (error.failed()) return as_error_of(operation_, std::move(error));
    const CollectionTables frozen = collection_.tables().in(snapshot.scope);
    StateRow state;
    if (error = read_state(operation_, frozen.meta, state); error.failed()) return error;
    Exactly exactly(now.exact_codec, collection_.config().metric, prepared_.data());
    std::vector<float> vector(collection_.config().dim);
    std::vector<std::pair<float, std::uint32_t>> scored;
    const std::size_t k = query_.radius ? ~std::size_t{0} : query_.k;
    // A vector of nobody is left of a row that was damaged.
    const auto has_owner = [&](std::uint32_t number) {
      if (locked != nullptr) return locked->contains(number);
      return collection_.image().read(
          [&](const NameTable& names, auto&) { return names.contains(number); });
    };
    RowCursor cursor(frozen.vectors, {});
    for (; cursor.valid(); cursor.next()) {
      if (cursor.key().size() != 4) continue;
      const auto number = big_endian_at<std::uint32_t>(cursor.key(), 0);
      if (!has_owner(number) || !accepts(number)) continue;
      if (cursor.value().size() != vector.size() * sizeof(float)) {
        damaged_.push_back({number, {}, "its vector has another size"});
        continue;
      }
      std::memcpy(vector.data(), cursor.value().data(), cursor.value().size());
      if (!std::all_of(vector.begin(), vector.end(), [](float x) { return std::isfinite(x); })) {
        damaged_.push_back({number, {}, "its vector is not finite"});
        continue;
      }
      const float distance = exactly(vector.data());
      if (query_.radius && !(distance <= *query_.radius)) continue;
      scored.emplace_back(distance, number);
      if (k < scored.size() / 4) keep_nearest(scored, k);
    }
    if (error = cursor.status(); error.failed()) return as_error_of(operation_, std::move(error));
    keep_nearest(scored, k);
    const auto name = [&](const NameTable& names) {
      // The numbers mean what they mean in the snapshot only if nothing changed since.
      current = state.sequence == collection_.image().applied();
      for (const auto& [distance, number] : scored) {
        if (names.contains(number)) {
          out.push_back({std::string(names.key(number)), distance, number, names.changed(number)});
        }
      }
    };
    if (locked != nullptr) {
      name(*locked);
    } else {
      collection_.image().read([&](const NameTable& names, auto&) { name(names); });
    }
    cut(out);
    return {};
  }

  /// Takes those whose rows turned out to be damaged out of the image; whether there were any. With no
  /// lock held.
  [[nodiscard]] bool leave_out() {
    for (const Damaged& one : damaged_) {
      collection_.image().leave_out(one.number, one.key, one.what);
    }
    const bool some = !damaged_.empty();
    damaged_.clear();
    return some;
  }

  /// The k nearest, and those that are as far as the last of them.
  static void keep_nearest(std::vector<std::pair<float, std::uint32_t>>& scored, std::size_t k) {
    if (scored.size() <= k) return;
    std::nth_element(scored.begin(), scored.begin() + static_cast<std::ptrdiff_t>(k - 1),
                     scored.end());
    const float last = scored[k - 1].first;
    scored.erase(std::remove_if(scored.begin() + static_cast<std::ptrdiff_t>(k), scored.end(),
                                [&](const auto& one) { return one.first > last; }),
                 scored.end());
  }

  const char* operation_;
  const Collection& collection_;
  const CollectionQuery& query_;
  std::vector<float> prepared_;
  struct Damaged {
    std::uint32_t number;
    std::string key;
    std::string what;
  };
  std::vector<Damaged> damaged_;
};

}  // namespace snkv::vector_detail
