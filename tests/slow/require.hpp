// Checks for programs that are not Catch2's: a failure is an exception.
#pragma once

#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

namespace snkv::test {

inline void require(bool condition, const std::string& what) {
  if (!condition) throw std::runtime_error(what);
}

template <class R>
auto must(R&& result) {
  if (!result) throw std::runtime_error(result.error().message());
  if constexpr (!std::is_void_v<typename std::remove_cvref_t<R>::value_type>) {
    return std::forward<R>(result).value();
  }
}

}  // namespace snkv::test
