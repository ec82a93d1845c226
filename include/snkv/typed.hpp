/// \file
/// `TypedFamily<K, V>`: a column family whose keys and values are C++ types.
///
///     auto users = TypedFamily<std::uint64_t, std::string>::open(store, "users");
///     users->put(42, "Ada");
///     for (const auto& [id, name] : users->range(10, 100)) print(id, name);      // in the order
///     of the numbers
///
///     using Key = std::tuple<std::string, std::int64_t>;                           // sensor, time
///     auto samples = TypedFamily<Key, double>::open(store, "samples");
///     for (const auto& [key, sample] : samples->prefix("kitchen").reversed()) ...  // the latest
///     first
///
/// codec.hpp says which types there are, how they lie in the file, and how to add others. The names
/// of both codecs are recorded in the file when the family is first opened so: `schema_mismatch`
/// for whoever opens it with others. The raw calls of `family()` go on working.
///
/// It forwards to a `ColumnFamily`: errors, threads, durability and complexity are those of
/// entries.hpp. A value or key that its codec cannot read gives `corrupt` with family, key and
/// reason. A handle is cheap to copy and keeps the store open.
#pragma once

#include <snkv/codec.hpp>
#include <snkv/detail/codec_abi.hpp>
#include <snkv/store.hpp>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace snkv {

/// An entry of a `TypedFamily`.
template <class K, class V>
struct TypedEntry {
  K key;
  V value;

  friend bool operator==(const TypedEntry&, const TypedEntry&) = default;
};

inline namespace SNKV_EXPECTED_NAMESPACE {
namespace facade {

/// What a codec said of the bytes of an entry, with the entry's place.
[[nodiscard]] inline Error error_of_codec(const char* operation, std::string_view family,
                                          BytesView key, const char* what, const Error& error) {
  return Error(error.code(), operation,
               std::string("the ") + what + " of " + core::printable(key) + " in the family " +
                   core::printable(family) + ": " + error.detail());
}

template <class K, class V>
[[nodiscard]] Result<TypedEntry<K, V>> decode_entry(const char* operation, std::string_view family,
                                                    BytesView key, BytesView value) {
  Result<K> k = Codec<K>::decode(key);
  if (!k) return Unexpected(error_of_codec(operation, family, key, "key", k.error()));
  Result<V> v = Codec<V>::decode(value);
  if (!v) return Unexpected(error_of_codec(operation, family, key, "value", v.error()));
  return TypedEntry<K, V>{*std::move(k), *std::move(v)};
}

/// Whether a tuple begins with elements that these can be made to.
template <class K, class... Leading>
struct BeginsWith : std::false_type {};
template <class... Ts, class... Leading>
requires(sizeof...(Leading) <= sizeof...(Ts)) struct BeginsWith<std::tuple<Ts...>, Leading...> {
  static constexpr bool value = []<std::size_t... i>(std::index_sequence<i...>) {
    return (std::is_convertible_v<const Leading&, std::tuple_element_t<i, std::tuple<Ts...>>> &&
            ...);
  }
  (std::index_sequence_for<Leading...>());
};
template <class T, class U, class... Leading>
struct BeginsWith<std::pair<T, U>, Leading...> : BeginsWith<std::tuple<T, U>, Leading...> {};

}  // namespace facade

/// Entries of a `TypedFamily`, for range-based `for`. As `Range`: each `begin()` takes a snapshot;
/// `status` tells an end from an error, also when an entry cannot be decoded, which ends the pass.
template <class K, class V>
class TypedRange {
 public:
  /// An input iterator: one pass; copies share the position. What it refers to lives until it
  /// moves.
  class iterator {
   public:
    using value_type = TypedEntry<K, V>;
    using difference_type = std::ptrdiff_t;
    using iterator_concept = std::input_iterator_tag;

    iterator() noexcept = default;
    [[nodiscard]] const value_type& operator*() const noexcept { return *range_->entry_; }
    [[nodiscard]] const value_type* operator->() const noexcept { return &*range_->entry_; }
    iterator& operator++() {
      ++range_->at_;
      range_->settle();
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const iterator& it, std::default_sentinel_t) noexcept {
      return it.at_end();
    }

   private:
    [[nodiscard]] bool at_end() const noexcept { return !range_->entry_.has_value(); }

    friend class TypedRange;
    explicit iterator(TypedRange* range) noexcept : range_(range) {}
    TypedRange* range_ = nullptr;
  };

  TypedRange(Range range, std::string family) noexcept
      : range_(std::move(range)), family_(std::move(family)) {}

  /// The same entries in the opposite order.
  [[nodiscard]] TypedRange reversed() const { return TypedRange(range_.reversed(), family_); }

  [[nodiscard]] iterator begin() {
    error_ = Error();
    at_ = range_.begin();
    settle();
    return iterator(this);
  }
  [[nodiscard]] static std::default_sentinel_t end() noexcept { return {}; }

  /// How the last pass ended: ok, or the error that cut it short.
  [[nodiscard]] Result<void> status() const {
    return error_.failed() ? facade::as_result(Error(error_)) : range_.status();
  }

 private:
  void settle() {
    entry_.reset();
    if (at_ == range_.end()) return;
    const Entry raw = *at_;
    auto decoded = facade::decode_entry<K, V>("iterate", family_, raw.key, raw.value);
    if (decoded) {
      entry_.emplace(*std::move(decoded));
    } else {
      error_ = std::move(decoded).error();
    }
  }

  Range range_;
  std::string family_;  // its name, for messages
  Range::iterator at_;
  std::optional<TypedEntry<K, V>> entry_;
  Error error_;
};

template <class K, class V>
requires(facade::OrderedKey<K>&& facade::Encodable<V>) class TypedFamily {
 public:
  using Entry = TypedEntry<K, V>;

  /// Refers to nothing; every use gives `Errc::closed`.
  TypedFamily() noexcept = default;

  /// The family `name` of a store or transaction, which is made if there is none. Errors of
  /// `column_family`; `schema_mismatch` if its codecs are others.
  [[nodiscard]] static Result<TypedFamily> open(Store store, std::string_view name) {
    return make(store, name);
  }
  [[nodiscard]] static Result<TypedFamily> open(Transaction& transaction, std::string_view name) {
    return make(transaction, name);
  }
  /// A family that is open, as it is bound: also to a transaction, a snapshot or a write buffer.
  /// One whose codecs are not recorded is taken as it is; they are recorded if it can be written.
  [[nodiscard]] static Result<TypedFamily> of(ColumnFamily family) {
    Error error =
        core::bind_codecs(facade::Door::target(family), Codec<K>::name(), Codec<V>::name());
    if (error.failed()) return Unexpected(std::move(error));
    return TypedFamily(std::move(family));
  }
  /// The same family as a part of a `Transaction` or `Snapshot`, through a `WriteBuffer`, or, from
  /// one of these, of the `Store` itself.
  template <class Place>
  [[nodiscard]] Result<TypedFamily> in(Place& place) const {
    auto bound = [&] {
      if constexpr (requires { place.try_family(family_); }) {
        return place.try_family(family_);
      } else {
        return place.column_family(family_);
      }
    }();
    if (!bound) return Unexpected(std::move(bound).error());
    return TypedFamily(*std::move(bound));
  }

  /// The family with bytes for keys and values.
  [[nodiscard]] const ColumnFamily& family() const noexcept { return family_; }
  [[nodiscard]] ColumnFamily& family() noexcept { return family_; }
  [[nodiscard]] std::string_view name() const noexcept { return family_.name(); }

  // ---- Reading ----

  [[nodiscard]] Result<V> get(const K& key) const {
    const facade::Encoded<K> k(key);
    Result<Bytes> bytes = family_.get(k.view());
    if constexpr (std::same_as<V, Bytes>) {
      return bytes;
    } else {
      if (!bytes) return Unexpected(std::move(bytes).error());
      return decoded("get", k.view(), *bytes);
    }
  }
  [[nodiscard]] Result<bool> contains(const K& key) const {
    return family_.contains(facade::Encoded<K>(key).view());
  }
  /// In the order of the keys; absent ones are empty.
  [[nodiscard]] Result<std::vector<std::optional<V>>> multi_get(std::span<const K> keys) const {
    std::vector<facade::Encoded<K>> encoded;
    encoded.reserve(keys.size());
    for (const K& key : keys) encoded.emplace_back(key);
    std::vector<BytesView> views;
    views.reserve(keys.size());
    for (const auto& key : encoded) views.push_back(key.view());
    auto bytes = family_.multi_get(views);
    if (!bytes) return Unexpected(std::move(bytes).error());
    std::vector<std::optional<V>> out(keys.size());
    for (std::size_t i = 0; i < out.size(); ++i) {
      if (!(*bytes)[i]) continue;
      Result<V> value = decoded("multi_get", views[i], *(*bytes)[i]);
      if (!value) return Unexpected(std::move(value).error());
      out[i] = *std::move(value);
    }
    return out;
  }
  [[nodiscard]] Result<std::optional<std::chrono::milliseconds>> ttl(const K& key) const {
    return family_.ttl(facade::Encoded<K>(key).view());
  }
  [[nodiscard]] Result<std::uint64_t> count() const { return family_.count(); }
  [[nodiscard]] Result<std::uint64_t> count_range(const K& low, const K& high) const {
    return family_.count_range(facade::Encoded<K>(low).view(), facade::Encoded<K>(high).view());
  }
  /// The entry with the smallest key; empty if there is none.
  [[nodiscard]] Result<std::optional<Entry>> first() const {
    return decoded_entry("first", family_.first());
  }
  /// The one with the largest.
  [[nodiscard]] Result<std::optional<Entry>> last() const {
    return decoded_entry("last", family_.last());
  }

  /// All entries, in the order of the keys.
  [[nodiscard]] TypedRange<K, V> all() const { return typed(family_.all()); }
  /// Those with `low` <= key < `high`.
  [[nodiscard]] TypedRange<K, V> range(const K& low, const K& high) const {
    return typed(family_.range(facade::Encoded<K>(low).view(), facade::Encoded<K>(high).view()));
  }
  /// Those with `low` <= key.
  [[nodiscard]] TypedRange<K, V> from(const K& low) const {
    return typed(Range(facade::Door::target(family_),
                       {Bytes(facade::Encoded<K>(low).view()), {}, false}, {}));
  }
  /// Those with key < `high`.
  [[nodiscard]] TypedRange<K, V> until(const K& high) const {
    return typed(Range(facade::Door::target(family_),
                       {{}, Bytes(facade::Encoded<K>(high).view()), true}, {}));
  }
  /// Those whose tuples begin with these elements.
  template <class... Leading>
  requires(sizeof...(Leading) > 0 && facade::BeginsWith<K, Leading...>::value)
      [[nodiscard]] TypedRange<K, V> prefix(const Leading&... leading) const {
    EncodeBuffer bytes;
    [&]<std::size_t... i>(std::index_sequence<i...>) {
      (facade::encode_part<std::tuple_element_t<i, K>>(leading, bytes), ...);
    }
    (std::index_sequence_for<Leading...>());
    return typed(family_.prefix(bytes.view()));
  }
  /// Those whose text begins with this one.
  [[nodiscard]] TypedRange<K, V> prefix(
      std::string_view text) const requires std::same_as<K, std::string> {
    return typed(family_.prefix(text));
  }

  // ---- Writing ----

  // Besides the errors of `ColumnFamily`, that of the codec for a value that it refuses.

  [[nodiscard]] Result<void> put(const K& key, const V& value, const PutOptions& options = {}) {
    if (Error refused = check("put", key, value); refused.failed())
      return Unexpected(std::move(refused));
    return family_.put(facade::Encoded<K>(key).view(), facade::Encoded<V>(value).view(), options);
  }
  /// Tells whether it was stored.
  [[nodiscard]] Result<bool> put_if_absent(const K& key, const V& value,
                                           const PutOptions& options = {}) {
    if (Error refused = check("put_if_absent", key, value); refused.failed())
      return Unexpected(std::move(refused));
    return family_.put_if_absent(facade::Encoded<K>(key).view(), facade::Encoded<V>(value).view(),
                                 options);
  }
  /// Compares bytes: floating-point values are equal if their bits are. Tells whether it was
  /// stored.
  [[nodiscard]] Result<bool> compare_and_swap(const K& key, const std::optional<V>& expected,
                                              const V& desired, const PutOptions& options = {}) {
    if (Error refused = check("compare_and_swap", key, desired); refused.failed()) {
      return Unexpected(std::move(refused));
    }
    std::optional<facade::Encoded<V>> before;
    if (expected) before.emplace(*expected);
    return family_.compare_and_swap(
        facade::Encoded<K>(key).view(),
        before ? std::optional<BytesView>(before->view()) : std::nullopt,
        facade::Encoded<V>(desired).view(), options);
  }
  /// Replaces the value by `function(std::optional<V> current)`, which returns something a
  /// `Result<std::optional<V>>` can be made of: empty erases the entry, an error leaves everything
  /// as it was and is handed on.
  template <class Function>
  requires std::convertible_to<std::invoke_result_t<Function&, std::optional<V>>,
                               Result<std::optional<V>>>
  [[nodiscard]] Result<void> merge(const K& key, Function&& function,
                                   const PutOptions& options = {}) {
    const facade::Encoded<K> k(key);
    return family_.merge(
        k.view(),
        [&](std::optional<BytesView> bytes) -> Result<std::optional<Bytes>> {
          std::optional<V> current;
          if (bytes) {
            Result<V> value = decoded("merge", k.view(), *bytes);
            if (!value) return Unexpected(std::move(value).error());
            current = *std::move(value);
          }
          Result<std::optional<V>> next = function(std::move(current));
          if (!next) return Unexpected(std::move(next).error());
          if (!next->has_value()) return std::optional<Bytes>();
          if (Error refused = check("merge", key, **next); refused.failed())
            return Unexpected(std::move(refused));
          return std::optional<Bytes>(Bytes(facade::Encoded<V>(**next).view()));
        },
        options);
  }
  /// Tells whether it was there.
  [[nodiscard]] Result<bool> erase(const K& key, const WriteOptions& options = {}) {
    return family_.erase(facade::Encoded<K>(key).view(), options);
  }
  /// Erases those with `low` <= key < `high`; how many.
  [[nodiscard]] Result<std::uint64_t> erase_range(const K& low, const K& high,
                                                  const WriteOptions& options = {}) {
    return family_.erase_range(facade::Encoded<K>(low).view(), facade::Encoded<K>(high).view(),
                               options);
  }
  [[nodiscard]] Result<void> clear(const WriteOptions& options = {}) {
    return family_.clear(options);
  }
  /// Takes the entry with the smallest key out; empty if there is none. Of several that do this at
  /// the same time each gets another one. One that cannot be decoded stays where it is.
  [[nodiscard]] Result<std::optional<Entry>> pop_first(const WriteOptions& options = {}) {
    return pop(
        "pop_first", [this] { return family_.first(); }, options);
  }
  /// The one with the largest.
  [[nodiscard]] Result<std::optional<Entry>> pop_last(const WriteOptions& options = {}) {
    return pop(
        "pop_last", [this] { return family_.last(); }, options);
  }
  [[nodiscard]] Result<void> expire(const K& key, std::chrono::milliseconds ttl) {
    return family_.expire(facade::Encoded<K>(key).view(), ttl);
  }
  /// Removes the expiry.
  [[nodiscard]] Result<void> persist(const K& key) {
    return family_.persist(facade::Encoded<K>(key).view());
  }

 private:
  explicit TypedFamily(ColumnFamily family) noexcept : family_(std::move(family)) {}

  template <class Place>
  [[nodiscard]] static Result<TypedFamily> make(Place& place, std::string_view name) {
    auto family = place.column_family(name);
    if (!family) return Unexpected(std::move(family).error());
    return of(*std::move(family));
  }
  [[nodiscard]] Error check(const char* operation, const K& key, const V& value) const {
    if constexpr (requires { Codec<V>::check(value); }) {
      if (Result<void> fits = Codec<V>::check(value); !fits) {
        return facade::error_of_codec(operation, name(), facade::Encoded<K>(key).view(), "value",
                                      fits.error());
      }
    }
    return {};
  }
  [[nodiscard]] TypedRange<K, V> typed(Range range) const {
    return TypedRange<K, V>(std::move(range), std::string(family_.name()));
  }
  [[nodiscard]] Result<V> decoded(const char* operation, BytesView key, BytesView bytes) const {
    Result<V> value = Codec<V>::decode(bytes);
    if (!value) {
      return Unexpected(
          facade::error_of_codec(operation, family_.name(), key, "value", value.error()));
    }
    return value;
  }
  [[nodiscard]] Result<std::optional<Entry>> decoded_entry(
      const char* operation, Result<std::optional<OwnedEntry>> raw) const {
    if (!raw) return Unexpected(std::move(raw).error());
    if (!raw->has_value()) return std::optional<Entry>();
    auto entry = facade::decode_entry<K, V>(operation, family_.name(), (*raw)->key, (*raw)->value);
    if (!entry) return Unexpected(std::move(entry).error());
    return std::optional<Entry>(*std::move(entry));
  }

  template <class Find>
  [[nodiscard]] Result<std::optional<Entry>> pop(const char* operation, Find&& find,
                                                 const WriteOptions& options) {
    for (;;) {
      Result<std::optional<OwnedEntry>> raw = find();
      if (!raw) return Unexpected(std::move(raw).error());
      if (!raw->has_value()) return std::optional<Entry>();
      const Bytes& key = (*raw)->key;
      Result<K> k = Codec<K>::decode(key);
      if (!k) return Unexpected(facade::error_of_codec(operation, name(), key, "key", k.error()));
      std::optional<V> taken;
      const auto take = [&](std::optional<BytesView> bytes) -> Result<std::optional<Bytes>> {
        taken.reset();
        if (!bytes) return std::optional<Bytes>();  // another one was faster
        Result<V> value = decoded(operation, key, *bytes);
        if (!value) return Unexpected(std::move(value).error());
        taken = *std::move(value);
        return std::optional<Bytes>();
      };
      if (auto done = family_.merge(key, take, {.sync = options.sync}); !done) {
        return Unexpected(std::move(done).error());
      }
      if (taken) return std::optional<Entry>(Entry{*std::move(k), *std::move(taken)});
    }
  }

  ColumnFamily family_;
};

}  // namespace SNKV_EXPECTED_NAMESPACE
}  // namespace snkv
