/// \file
/// Memory that grows without moving.
#pragma once

#include <snkv/vector/detail/codes/kernels.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

namespace snkv::vector_detail {

/// An array of bytes at one address for good: addresses are reserved with the first growth, memory is taken as
/// it is needed. One thread grows it while others read what was there before. New bytes are zero.
///
/// Where the address space of the process is limited (`ulimit -v`), a sixteenth of the limit is reserved;
/// else twice the memory of the machine, beyond which an index would only swap.
class ReservedMemory {
 public:
  ReservedMemory() noexcept = default;
  ReservedMemory(const ReservedMemory&) = delete;
  ReservedMemory& operator=(const ReservedMemory&) = delete;
  ~ReservedMemory() {
    if (mapping_ != nullptr) ::munmap(mapping_, reserved_ + huge_page);
  }

  /// Null before the first growth.
  [[nodiscard]] char* data() const noexcept { return first_; }

  /// Makes the first `bytes` usable, of which there are never going to be more than `most`. Throws
  /// std::bad_alloc, and is as before then.
  void grow(std::size_t bytes, std::size_t most) {
    if (mapping_ == nullptr) reserve(bytes, most);
    const std::size_t page = bytes < huge_page ? small_page() : huge_page;
    const std::size_t end = std::min((bytes + page - 1) / page * page, reserved_);
    if (bytes > reserved_) throw std::bad_alloc();
    if (end <= usable_) return;
    if (::mprotect(first_ + usable_, end - usable_, PROT_READ | PROT_WRITE) != 0) throw std::bad_alloc();
    // Random reads of a large array spend as long on the page table as on the data otherwise.
    if (end >= 2 * huge_page) static_cast<void>(::madvise(first_, end / huge_page * huge_page, MADV_HUGEPAGE));
    usable_ = end;
  }

 private:
  static constexpr std::size_t huge_page = std::size_t{1} << 21;

  static std::size_t small_page() noexcept { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }
  static std::size_t reasonable() noexcept {
    ::rlimit limit{};
    if (::getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
      return limit.rlim_cur / 16;
    }
    return 2 * static_cast<std::size_t>(::sysconf(_SC_PHYS_PAGES)) * small_page();
  }

  void reserve(std::size_t bytes, std::size_t most) {
    const std::size_t wanted = std::max(std::min(most, reasonable()), bytes);
    const std::size_t size = (wanted + huge_page - 1) / huge_page * huge_page;
    void* const mapping = ::mmap(nullptr, size + huge_page, PROT_NONE,
                                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapping == MAP_FAILED) throw std::bad_alloc();
    mapping_ = mapping;
    reserved_ = size;
    const auto address = reinterpret_cast<std::uintptr_t>(mapping);
    first_ = static_cast<char*>(mapping) + (huge_page - address % huge_page) % huge_page;
  }

  void* mapping_ = nullptr;
  char* first_ = nullptr;
  std::size_t reserved_ = 0;
  std::size_t usable_ = 0;
};

}  // namespace snkv::vector_detail
