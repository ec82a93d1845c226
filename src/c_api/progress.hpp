/// \file
/// Progress functions of programs in C.
#pragma once

#include <snkv/c/kvstore.h>
#include <snkv/options.hpp>

#include <cstdint>

namespace snkv::c_api {

/// A progress function as the library takes it; none if it is NULL.
[[nodiscard]] inline Progress progress_of(KVProgress function, void* context) {
  if (function == nullptr) return {};
  return [function, context](std::uint64_t done, std::uint64_t total) {
    return function(context, done, total) == 0;
  };
}

}  // namespace snkv::c_api
