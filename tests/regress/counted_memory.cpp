// The operators of a test that counts memory. What would be more than a gigabyte is refused, so
// that a defect does not cost the machine.
#include "regress/counted_memory.hpp"

#include <malloc.h>

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace {

std::atomic<std::int64_t> in_use{0};
std::atomic<std::int64_t> peak{0};

}  // namespace

namespace snkv::test {

std::int64_t memory_in_use() noexcept { return in_use.load(); }
std::int64_t memory_peak() noexcept { return peak.load(); }
void forget_peak() noexcept { peak.store(in_use.load()); }

}  // namespace snkv::test

#if SNKV_COUNTED_MEMORY

namespace {

constexpr std::size_t too_much = std::size_t{1} << 30;

void* counted(void* memory) {
  if (memory == nullptr) throw std::bad_alloc();
  const auto size = static_cast<std::int64_t>(::malloc_usable_size(memory));
  const std::int64_t now = in_use.fetch_add(size) + size;
  std::int64_t before = peak.load();
  while (now > before && !peak.compare_exchange_weak(before, now)) {
  }
  return memory;
}

/// Also what is refused was asked for.
void note_refused(std::size_t size) {
  const std::int64_t asked = in_use.load() + static_cast<std::int64_t>(size);
  std::int64_t before = peak.load();
  while (asked > before && !peak.compare_exchange_weak(before, asked)) {
  }
}

void* allocate(std::size_t size, std::size_t alignment) {
  if (size > too_much) {
    note_refused(size);
    throw std::bad_alloc();
  }
  if (alignment <= __STDCPP_DEFAULT_NEW_ALIGNMENT__)
    return counted(std::malloc(size == 0 ? 1 : size));
  return counted(std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment));
}

void release(void* memory) noexcept {
  if (memory == nullptr) return;
  in_use.fetch_sub(static_cast<std::int64_t>(::malloc_usable_size(memory)));
  std::free(memory);
}

}  // namespace

void* operator new(std::size_t size) { return allocate(size, 1); }
void* operator new[](std::size_t size) { return allocate(size, 1); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return allocate(size, static_cast<std::size_t>(alignment));
}
void* operator new[](std::size_t size, std::align_val_t alignment) {
  return allocate(size, static_cast<std::size_t>(alignment));
}
// A sanitizer has its own of these, and would not let what they give go to ours.
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  try {
    return allocate(size, 1);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
void* operator new[](std::size_t size, const std::nothrow_t& tag) noexcept {
  return operator new(size, tag);
}
void operator delete(void* memory) noexcept { release(memory); }
void operator delete[](void* memory) noexcept { release(memory); }
void operator delete(void* memory, std::size_t) noexcept { release(memory); }
void operator delete[](void* memory, std::size_t) noexcept { release(memory); }
void operator delete(void* memory, std::align_val_t) noexcept { release(memory); }
void operator delete[](void* memory, std::align_val_t) noexcept { release(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { release(memory); }
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept { release(memory); }

#endif
