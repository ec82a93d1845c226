#include "core/counters.hpp"

namespace snkv::core {

unsigned thread_number() noexcept {
  static std::atomic<unsigned> next{0};
  thread_local const unsigned number = next.fetch_add(1, std::memory_order_relaxed);
  return number;
}

std::uint64_t Counters::sum(Id id) const noexcept {
  std::uint64_t total = 0;
  for (const Shard& shard : shards_) total += shard.values[id].load(std::memory_order_relaxed);
  return total;
}

void Counters::sum_into(Stats& out) const noexcept {
  out.puts = sum(puts);
  out.gets = sum(gets);
  out.deletes = sum(deletes);
  out.iterations = sum(iterations);
  out.errors = sum(errors);
  out.bytes_read = sum(bytes_read);
  out.bytes_written = sum(bytes_written);
  out.wal_commits = sum(wal_commits);
  out.checkpoints = sum(checkpoints);
  out.ttl_expired = sum(ttl_expired);
  out.ttl_purged = sum(ttl_purged);
  out.wal_over_limit = sum(wal_over_limit);
}

void Counters::reset() noexcept {
  for (Shard& shard : shards_) {
    for (auto& value : shard.values) value.store(0, std::memory_order_relaxed);
  }
}

}  // namespace snkv::core
