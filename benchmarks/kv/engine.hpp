/// \file
/// What the benchmark asks of a key-value engine, whoever made it. One adapter each, as thin as the
/// engine allows, in engine_*.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace benchmark {

/// What a write that has returned survives. Engines are only compared at the same level.
enum class Durability {
  none,     ///< the end of the process; a power cut may damage everything, because nothing is ever synced
  process,  ///< the end of the process: nothing is synced for a single write
  disk,     ///< a power cut: each write is synced
};

[[nodiscard]] constexpr const char* to_string(Durability durability) noexcept {
  switch (durability) {
    case Durability::none:
      return "nothing ever synced";
    case Durability::process:
      return "not synced";
    default:
      return "synced";
  }
}

struct EngineOptions {
  std::string folder;  ///< exists, and is for this engine alone
  Durability durability = Durability::process;
};

struct Entry {
  std::string_view key;
  std::string_view value;
};

enum class Direction { forward, reverse };

/// Adds up bytes, so that a scan cannot skip any of them.
[[nodiscard]] inline std::uint64_t touch(std::string_view bytes) noexcept {
  std::uint64_t sum = 0;
  std::size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, 8);
    sum += word;
  }
  for (; at < bytes.size(); ++at) sum += static_cast<unsigned char>(bytes[at]);
  return sum;
}

/// What one thread works with. Every failure ends the program.
class Session {
 public:
  Session() = default;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  virtual ~Session() = default;

  virtual void put(std::string_view key, std::string_view value) = 0;
  virtual void erase(std::string_view key) = 0;
  /// All in one transaction.
  virtual void put_batch(std::span<const Entry> entries) = 0;

  /// Of the latest state, or of the snapshot between `pin` and `unpin`. The value is copied out, once, into
  /// memory of the session, where it stays until the next call.
  virtual std::optional<std::string_view> get(std::string_view key) = 0;
  virtual bool contains(std::string_view key) = 0;
  /// How many there are; adds up their bytes.
  virtual std::size_t multi_get(std::span<const std::string> keys, std::uint64_t& sum) = 0;
  virtual void pin() = 0;
  virtual void unpin() = 0;

  /// Touches every byte of every entry; how many there are.
  virtual std::size_t scan(Direction direction, std::uint64_t& sum) = 0;
  /// The same for the entries with this prefix.
  virtual std::size_t scan_prefix(std::string_view prefix, std::uint64_t& sum) = 0;
  /// The same for at most `most` entries from `key` on.
  virtual std::size_t scan_from(std::string_view key, std::size_t most, std::uint64_t& sum) = 0;
};

class Engine {
 public:
  Engine() = default;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;
  virtual ~Engine() = default;
  [[nodiscard]] virtual std::unique_ptr<Session> session() = 0;
  /// Brings everything to its resting place, before the size is measured.
  virtual void settle() {}
};

struct EngineKind {
  std::string name;
  std::string setup;  ///< how it is configured, for the report
  std::function<std::unique_ptr<Engine>(const EngineOptions&)> open;
  Durability weakest = Durability::process;  ///< what it can do without
};

/// All that this program was built with; snkv is the first.
[[nodiscard]] std::vector<EngineKind> engine_kinds();

/// Ends the program.
[[noreturn]] void fail(std::string_view engine, std::string_view what);

/// The write buffer first, and those that collect writes in memory of the same size.
[[nodiscard]] std::vector<EngineKind> buffer_kinds(bool journal, std::size_t bytes);

EngineKind snkv_kind();
EngineKind snkv_buffer_kind(bool journal, std::size_t bytes);
EngineKind rocksdb_buffer_kind(std::size_t bytes);
EngineKind leveldb_buffer_kind(std::size_t bytes);
EngineKind sqlite_kind();
EngineKind lmdb_kind();
EngineKind rocksdb_kind();
EngineKind leveldb_kind();

}  // namespace benchmark
