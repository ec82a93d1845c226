#include "fault/faults.hpp"

#include <atomic>
#include <cstdlib>
#include <new>
#include <utility>

namespace snkv::test {
namespace {

std::atomic<std::int64_t> live{0};
std::atomic<bool> counting{false};  // allocations are calls that may fail
thread_local bool paused = false;

struct {
  std::atomic<bool> with_engine{false};
  std::atomic<bool> persistent{false};
  std::atomic<std::uint64_t> n{0};
  std::atomic<std::uint64_t> calls{0};
  std::atomic<std::uint64_t> delivered{0};
} state;

bool fails() noexcept {
  if (!counting.load(std::memory_order_relaxed) || paused) return false;
  if (state.with_engine) return snkv_fault_call(SNKV_FAULT_MALLOC) != 0;
  const std::uint64_t call = state.calls.fetch_add(1) + 1;
  if (call < state.n || (call > state.n && !state.persistent)) return false;
  ++state.delivered;
  return true;
}

snkv_fault_kind engine_kind(Kind kind) {
  switch (kind) {
    case Kind::io: return SNKV_FAULT_IO;
    case Kind::full: return SNKV_FAULT_FULL;
    case Kind::short_read: return SNKV_FAULT_SHORT_READ;
    case Kind::sync: return SNKV_FAULT_SYNC;
    case Kind::shm: return SNKV_FAULT_SHM;
    case Kind::busy: return SNKV_FAULT_BUSY;
    case Kind::open: return SNKV_FAULT_OPEN;
    case Kind::engine_memory:
    case Kind::all_memory: return SNKV_FAULT_MALLOC;
    default: return SNKV_FAULT_NONE;
  }
}

}  // namespace

bool install_faults() { return snkv_fault_install() != 0; }

void arm(const Fault& fault) {
  state.with_engine = fault.kind == Kind::all_memory;
  state.persistent = fault.persistent;
  state.n = fault.n;
  state.calls = 0;
  state.delivered = 0;
  snkv_fault_arm(engine_kind(fault.kind), fault.n, fault.persistent ? 1 : 0);
  counting = fault.kind == Kind::memory || fault.kind == Kind::all_memory;
}

void disarm() {
  counting = false;
  snkv_fault_disarm();
}

std::uint64_t faults_delivered() { return state.delivered + snkv_fault_delivered(); }

std::uint64_t calls_counted() { return state.calls + snkv_fault_calls(); }

Paused::Paused() noexcept : before_(std::exchange(paused, true)) {}
Paused::~Paused() { paused = before_; }
bool is_paused() noexcept { return paused; }

std::int64_t live_blocks() { return live.load(); }

bool makes_sense(Kind kind, Errc code) {
  switch (kind) {
    case Kind::io:
      return code == Errc::io_error || code == Errc::cant_open;
    case Kind::full:
      return code == Errc::full;
    case Kind::short_read:
    case Kind::sync:
    case Kind::shm:
      return code == Errc::io_error;
    case Kind::busy:
      return code == Errc::busy || code == Errc::protocol;
    case Kind::open:
      return code == Errc::cant_open;
    default:
      return code == Errc::no_memory;
  }
}

void* allocate(std::size_t size, std::size_t alignment) noexcept {
  if (fails()) return nullptr;
  if (size == 0) size = 1;
  void* block = alignment == 0 ? std::malloc(size)
                               : std::aligned_alloc(alignment, (size + alignment - 1) / alignment *
                                                                   alignment);
  if (block != nullptr) live.fetch_add(1, std::memory_order_relaxed);
  return block;
}

void release(void* block) noexcept {
  if (block == nullptr) return;
  live.fetch_sub(1, std::memory_order_relaxed);
  std::free(block);
}

void* allocate_or_throw(std::size_t size, std::size_t alignment) {
  void* block = allocate(size, alignment);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

}  // namespace snkv::test

// The replaceable functions; the array forms come back to these.
using snkv::test::allocate;
using snkv::test::allocate_or_throw;
using snkv::test::release;

void* operator new(std::size_t size) { return allocate_or_throw(size, 0); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate_or_throw(size, static_cast<std::size_t>(alignment));
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return allocate(size, 0); }
void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
  return allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* block) noexcept { release(block); }
void operator delete(void* block, std::size_t) noexcept { release(block); }
void operator delete(void* block, std::align_val_t) noexcept { release(block); }
void operator delete(void* block, std::size_t, std::align_val_t) noexcept { release(block); }
void operator delete(void* block, const std::nothrow_t&) noexcept { release(block); }
