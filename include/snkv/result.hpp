/// \file
/// Two ways to go on from a `Result` without looking at it: `value_or_throw`, and `SNKV_TRY` in
/// functions that return a `Result` themselves.
///
///     auto store = snkv::value_or_throw(snkv::Store::open("app.db"));   // or an exception that
///     says why not
///
///     snkv::Result<int> visits(snkv::Store& store) {
///       SNKV_TRY(auto count, store.increment("visits"));                // or return the error
///       return static_cast<int>(count);
///     }
///
/// Threads: no shared state.
#pragma once

#include <snkv/expected.hpp>

#include <exception>
#include <string>
#include <type_traits>
#include <utility>

namespace snkv {

/// What `value_or_throw` throws: an `Error`.
class Exception : public std::exception {
 public:
  explicit Exception(Error error) : error_(std::move(error)), message_(error_.message()) {}

  /// `Error::message`. Lives as long as the exception.
  [[nodiscard]] const char* what() const noexcept override { return message_.c_str(); }
  [[nodiscard]] const std::string& message() const noexcept { return message_; }
  [[nodiscard]] Errc code() const noexcept { return error_.code(); }
  [[nodiscard]] const Error& error() const noexcept { return error_; }

 private:
  Error error_;
  std::string message_;
};

inline namespace SNKV_EXPECTED_NAMESPACE {

#if defined(__cpp_exceptions)
/// The value, or an `Exception` with the error. Not there with -fno-exceptions.
template <class T>
T value_or_throw(Result<T>&& result) {
  if (!result) throw Exception(std::move(result).error());
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}
/// A copy of the value.
template <class T>
T value_or_throw(const Result<T>& result) {
  if (!result) throw Exception(result.error());
  if constexpr (!std::is_void_v<T>) return *result;
}
#endif

}  // namespace SNKV_EXPECTED_NAMESPACE
}  // namespace snkv

#define SNKV_DETAIL_JOIN_(a, b) a##b
#define SNKV_DETAIL_JOIN(a, b) SNKV_DETAIL_JOIN_(a, b)
#define SNKV_DETAIL_TRY(result, variable, ...)                       \
  auto result = (__VA_ARGS__);                                       \
  if (!result) return ::snkv::Unexpected(std::move(result).error()); \
  variable = *std::move(result)

/// Declares or assigns `variable` from the value of an expression that gives a `Result`, or returns
/// its error from the function: `SNKV_TRY(auto value, store.get("key"));`. Several statements: not
/// for an `if` without braces.
#define SNKV_TRY(variable, ...) \
  SNKV_DETAIL_TRY(SNKV_DETAIL_JOIN(snkv_result_, __LINE__), variable, __VA_ARGS__)

/// The same for a `Result<void>`, or for a value that nobody wants: `SNKV_TRY_VOID(store.put("key",
/// "value"));`.
#define SNKV_TRY_VOID(...)                                       \
  do {                                                           \
    if (auto snkv_result = (__VA_ARGS__); !snkv_result)          \
      return ::snkv::Unexpected(std::move(snkv_result).error()); \
  } while (false)
