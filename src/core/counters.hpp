/// \file
/// The counters of `Stats`, kept in shards so that threads which count do not slow each other.
#pragma once

#include <snkv/stats.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace snkv::core {

/// A small number for the calling thread: consecutive for threads in order of first use.
[[nodiscard]] unsigned thread_number() noexcept;

class Counters {
 public:
  enum Id : std::size_t {
    puts,
    gets,
    deletes,
    iterations,
    errors,
    bytes_read,
    bytes_written,
    wal_commits,
    checkpoints,
    ttl_expired,
    ttl_purged,
    wal_over_limit,
    id_count
  };

  void add(Id id, std::uint64_t amount = 1) noexcept {
    shards_[thread_number() % shards_.size()].values[id].fetch_add(amount,
                                                                   std::memory_order_relaxed);
  }
  void sum_into(Stats& out) const noexcept;
  void reset() noexcept;

 private:
  struct alignas(64) Shard {
    std::array<std::atomic<std::uint64_t>, id_count> values{};
  };
  [[nodiscard]] std::uint64_t sum(Id id) const noexcept;

  std::array<Shard, 16> shards_{};
};

}  // namespace snkv::core
