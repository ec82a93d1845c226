/// \file
/// The rows of a collection, to the byte (docs/file-format.md). Numbers in keys are big-endian, so
/// that they are in order; all others are little-endian.
#pragma once

#include <snkv/bytes.hpp>
#include <snkv/vector/metric.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <type_traits>

namespace snkv::vector_detail {

// What is written as it lies in memory: the numbers of vectors.
static_assert(std::endian::native == std::endian::little, "vectors are stored little-endian");

/// Puts a row together.
class RowBuilder {
 public:
  template <class T>
  RowBuilder& number(T value) {
    static_assert(std::is_integral_v<T>);
    char bytes[sizeof(T)];
    std::memcpy(bytes, &value, sizeof(T));
    bytes_.append(bytes, sizeof(T));
    return *this;
  }
  RowBuilder& text(std::string_view text) {
    bytes_ += text;
    return *this;
  }
  [[nodiscard]] BytesView view() const noexcept { return bytes_; }

 private:
  std::string bytes_;
};

/// Takes a row apart. What is missing reads as 0, and `ok` is false then.
class RowReader {
 public:
  explicit RowReader(BytesView row) noexcept : row_(row.view()) {}
  template <class T>
  [[nodiscard]] T number() noexcept {
    static_assert(std::is_integral_v<T>);
    T value{};
    if (row_.size() < sizeof(T)) {
      ok_ = false;
      row_ = {};
    } else {
      std::memcpy(&value, row_.data(), sizeof(T));
      row_.remove_prefix(sizeof(T));
    }
    return value;
  }
  [[nodiscard]] std::string_view rest() const noexcept { return row_; }
  [[nodiscard]] bool ok() const noexcept { return ok_; }
  [[nodiscard]] bool ok_and_at_end() const noexcept { return ok_ && row_.empty(); }

 private:
  std::string_view row_;
  bool ok_ = true;
};

/// A key: an optional tag, then big-endian numbers.
class RowKey {
 public:
  RowKey() noexcept = default;
  [[nodiscard]] static RowKey of_tag(char tag) noexcept {
    RowKey key;
    key.bytes_[key.size_++] = tag;
    return key;
  }
  template <class T>
  RowKey& number(T value) noexcept {
    static_assert(std::is_unsigned_v<T>);
    for (std::size_t shift = sizeof(T) * 8; shift > 0; shift -= 8) {
      bytes_[size_++] = static_cast<char>(value >> (shift - 8));
    }
    return *this;
  }
  [[nodiscard]] BytesView view() const noexcept { return {bytes_.data(), size_}; }

 private:
  std::array<char, 16> bytes_{};
  std::size_t size_ = 0;
};

template <class T>
[[nodiscard]] T big_endian_at(BytesView key, std::size_t offset) noexcept {
  static_assert(std::is_unsigned_v<T>);
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value = static_cast<T>(value << 8 | static_cast<unsigned char>(key.view()[offset + i]));
  }
  return value;
}

// ---- The catalog: family snkv_vectors ----

/// The record of a collection, under its name.
struct CollectionConfig {
  static constexpr std::uint8_t version = 1;
  static constexpr std::uint8_t dropped_flag = 1;

  std::uint32_t id = 0;
  std::uint32_t dim = 0;
  Metric metric = Metric::cosine;
  ElementType type = ElementType::f32;
  std::uint32_t m = 16;
  std::uint32_t ef_construction = 128;
  std::uint32_t ef_search = 64;
  bool dropped = false;  ///< only that there was an index is left of it

  friend bool operator==(const CollectionConfig&, const CollectionConfig&) = default;

  [[nodiscard]] RowBuilder encode() const {
    RowBuilder row;
    row.number(version)
        .number(static_cast<std::uint8_t>(dropped ? dropped_flag : 0))
        .number(static_cast<std::uint8_t>(metric))
        .number(static_cast<std::uint8_t>(type))
        .number(id)
        .number(dim)
        .number(m)
        .number(ef_construction)
        .number(ef_search);
    return row;
  }
};

enum class Decoded { ok, corrupt, newer_version };

[[nodiscard]] inline Decoded decode(BytesView bytes, CollectionConfig& out) noexcept {
  RowReader row(bytes);
  const auto version = row.number<std::uint8_t>();
  if (version > CollectionConfig::version) return Decoded::newer_version;
  out.dropped = (row.number<std::uint8_t>() & CollectionConfig::dropped_flag) != 0;
  out.metric = static_cast<Metric>(row.number<std::uint8_t>());
  out.type = static_cast<ElementType>(row.number<std::uint8_t>());
  out.id = row.number<std::uint32_t>();
  out.dim = row.number<std::uint32_t>();
  out.m = row.number<std::uint32_t>();
  out.ef_construction = row.number<std::uint32_t>();
  out.ef_search = row.number<std::uint32_t>();
  const bool sound = row.ok_and_at_end() && version == CollectionConfig::version && out.id != 0 &&
                     to_string(out.metric) != "unknown" && to_string(out.type) != "unknown" &&
                     out.dim >= 1 && out.dim <= max_dimension && out.m >= 2 && out.m <= 64 &&
                     out.ef_construction >= 4 && out.ef_construction <= 4096 &&
                     out.ef_search >= 1 && out.ef_search <= 65536;
  return sound ? Decoded::ok : Decoded::corrupt;
}

// ---- Items: family snkv_vector_<id>_items ----

/// A number is less than this, as many slots a graph has at most.
inline constexpr std::uint32_t max_numbers = 0x7fffffff;

/// The row of an entry, under its key.
struct ItemRow {
  std::uint32_t number = 0;
  std::int64_t expires_at = 0;  ///< milliseconds since the Unix epoch; 0: never
  std::uint64_t changed = 0;    ///< number of the change that wrote the row
  std::string_view metadata{};  ///< JSON text of an object; empty if there are none

  [[nodiscard]] bool expired(std::int64_t now) const noexcept {
    return expires_at != 0 && expires_at <= now;
  }
  [[nodiscard]] RowBuilder encode() const {
    RowBuilder row;
    row.number(number).number(expires_at).number(changed).text(metadata);
    return row;
  }
};

/// `out` refers to `bytes`. False if this is no such row.
[[nodiscard]] inline bool decode(BytesView bytes, ItemRow& out) noexcept {
  RowReader row(bytes);
  out.number = row.number<std::uint32_t>();
  out.expires_at = row.number<std::int64_t>();
  out.changed = row.number<std::uint64_t>();
  out.metadata = row.rest();
  return row.ok();
}

// ---- Changes: family snkv_vector_<id>_log ----

enum class ChangeKind : std::uint8_t {
  vector = 1,    ///< a vector was put, and what goes with it
  metadata = 2,  ///< metadata or the expiry changed
  erase = 3,
};

/// A change, under its sequence number.
struct ChangeRow {
  ChangeKind kind = ChangeKind::vector;
  std::uint32_t number = 0;
  std::uint64_t chain = 0;
  std::string_view key{};

  [[nodiscard]] RowBuilder encode() const {
    RowBuilder row;
    row.number(static_cast<std::uint8_t>(kind)).number(number).number(chain).text(key);
    return row;
  }
};

/// `out` refers to `bytes`.
[[nodiscard]] inline bool decode(BytesView bytes, ChangeRow& out) noexcept {
  RowReader row(bytes);
  const auto kind = row.number<std::uint8_t>();
  out.kind = static_cast<ChangeKind>(kind);
  out.number = row.number<std::uint32_t>();
  out.chain = row.number<std::uint64_t>();
  out.key = row.rest();
  return row.ok() && kind >= 1 && kind <= 3 && !out.key.empty();
}

// ---- The rest: family snkv_vector_<id>_meta ----

/// Where a collection stands, under "state".
struct StateRow {
  static constexpr std::uint8_t version = 1;
  static constexpr std::string_view key = "state";
  /// There is always a next change, however many there have been.
  static constexpr std::uint64_t max_sequence = std::uint64_t{1} << 62;

  std::uint64_t sequence = 0;  ///< of the latest change
  /// Tells histories with the same numbers apart; see `next_chain`.
  std::uint64_t chain = 0;
  std::uint64_t log_start = 0;  ///< changes up to this one are not in the log
  std::uint64_t live = 0;       ///< entries, expired ones included
  std::uint64_t with_metadata = 0;
  std::uint32_t next_number = 0;     ///< smaller ones belong to entries, or are free
  std::uint64_t saved_sequence = 0;  ///< of the graph that was saved last; 0: none
  std::uint64_t saved_chain = 0;

  friend bool operator==(const StateRow&, const StateRow&) = default;

  [[nodiscard]] std::uint64_t free_numbers() const noexcept { return next_number - live; }
  [[nodiscard]] RowBuilder encode() const {
    RowBuilder row;
    row.number(version)
        .number(sequence)
        .number(chain)
        .number(log_start)
        .number(live)
        .number(with_metadata)
        .number(next_number)
        .number(saved_sequence)
        .number(saved_chain);
    return row;
  }
};

[[nodiscard]] inline bool decode(BytesView bytes, StateRow& out) noexcept {
  RowReader row(bytes);
  const auto version = row.number<std::uint8_t>();
  out.sequence = row.number<std::uint64_t>();
  out.chain = row.number<std::uint64_t>();
  out.log_start = row.number<std::uint64_t>();
  out.live = row.number<std::uint64_t>();
  out.with_metadata = row.number<std::uint64_t>();
  out.next_number = row.number<std::uint32_t>();
  out.saved_sequence = row.number<std::uint64_t>();
  out.saved_chain = row.number<std::uint64_t>();
  return row.ok_and_at_end() && version == StateRow::version && out.live <= out.next_number &&
         out.next_number <= max_numbers && out.sequence <= StateRow::max_sequence &&
         out.log_start <= out.sequence && out.saved_sequence <= out.sequence &&
         out.with_metadata <= out.live;
}

/// The number that a change gives its history: it depends on all changes before, and on chance, so
/// that two files that were one and then changed differently never agree.
[[nodiscard]] inline std::uint64_t next_chain(std::uint64_t chain, std::uint64_t sequence,
                                              ChangeKind kind, BytesView key) {
  static const std::uint64_t salt = [] {
    std::random_device random;
    return std::uint64_t{random()} << 32 | random();
  }();
  const auto mix = [](std::uint64_t x) {  // the finalizer of splitmix64
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
  };
  std::uint64_t hash = mix(chain ^ salt);
  hash = mix(hash ^ sequence ^ static_cast<std::uint64_t>(kind) << 56);
  for (const char c : key.view()) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return mix(hash);
}

/// In meta: a number that may be given to a new entry.
[[nodiscard]] inline RowKey free_key(std::uint32_t number) noexcept {
  return RowKey::of_tag('f').number(number);
}
/// In meta: an entry that expires, with its key as the value, in the order of time.
[[nodiscard]] inline RowKey expiry_key(std::int64_t expires_at, std::uint32_t number) noexcept {
  return RowKey::of_tag('e').number(static_cast<std::uint64_t>(expires_at)).number(number);
}
/// In vectors: the place of a number's vector.
[[nodiscard]] inline RowKey vector_key(std::uint32_t number) noexcept {
  return RowKey().number(number);
}
/// In log: the place of a change.
[[nodiscard]] inline RowKey change_key(std::uint64_t sequence) noexcept {
  return RowKey().number(sequence);
}

}  // namespace snkv::vector_detail
