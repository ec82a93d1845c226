// Whether this program runs under a sanitizer that has its own ideas of memory, for the few tests
// that ask for more than there is.
#pragma once

namespace snkv::test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool memory_is_sanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(memory_sanitizer)
inline constexpr bool memory_is_sanitized = true;
#else
inline constexpr bool memory_is_sanitized = false;
#endif
#else
inline constexpr bool memory_is_sanitized = false;
#endif

}  // namespace snkv::test
