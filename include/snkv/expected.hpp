/// \file
/// The one place that picks the `expected` type: `std::expected` where the standard library has it
/// (C++23), `tl::expected` otherwise (C++20; Debian package libexpected-dev).
///
/// Every class whose signatures mention `Result` lives in the inline namespace
/// `SNKV_EXPECTED_NAMESPACE`, so that objects compiled as C++20 and as C++23 can be linked into one
/// program with one compiled core: the two facades have different mangled names and never meet.
#pragma once

#if defined(__has_include)
#if __has_include(<version>)
#include <version>
#endif
#endif

#if defined(__cpp_lib_expected) && __cpp_lib_expected >= 202202L
#include <expected>
#define SNKV_EXPECTED_NAMESPACE with_std_expected
#define SNKV_EXPECTED_IMPL std
#elif defined(__has_include) && __has_include(<tl/expected.hpp>)
#include <tl/expected.hpp>
#define SNKV_EXPECTED_NAMESPACE with_tl_expected
#define SNKV_EXPECTED_IMPL tl
#else
#error "snkv needs std::expected (C++23) or <tl/expected.hpp> (Debian: apt-get install libexpected-dev)"
#endif

#include <snkv/error.hpp>

namespace snkv {
inline namespace SNKV_EXPECTED_NAMESPACE {

/// A value of type `T`, or the `Error` that kept it from being made.
template <class T>
using Result = SNKV_EXPECTED_IMPL::expected<T, Error>;

/// What a function that returns `Result<T>` returns on failure: `return Unexpected(error);`
using Unexpected = SNKV_EXPECTED_IMPL::unexpected<Error>;

namespace facade {

/// Turns the core's "Error that may be ok" into a `Result<void>`.
[[nodiscard]] inline Result<void> as_result(Error&& error) {
  if (error.failed()) return Unexpected(std::move(error));
  return {};
}

/// Turns the core's error and an output value into a `Result<T>`.
template <class T>
[[nodiscard]] inline Result<T> as_result(Error&& error, T&& value) {
  if (error.failed()) return Unexpected(std::move(error));
  return Result<T>(std::move(value));
}

}  // namespace facade
}  // namespace SNKV_EXPECTED_NAMESPACE
}  // namespace snkv
