// Status matchers: they print the error's message, which a bare REQUIRE(result) cannot. Like all of
// Catch2 they belong on the main thread: other threads collect results, the main thread checks.
#pragma once

#include "support/catch.hpp"

#include <snkv/error.hpp>
#include <snkv/expected.hpp>

#include <source_location>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace snkv::test {

/// What is wrong with the outcome of a call that should have failed with `code` in an operation
/// whose name contains `operation`; empty when nothing is.
template <class R>
[[nodiscard]] std::string error_complaint(const R& result, Errc code, std::string_view operation) {
  const std::string wanted(to_string(code));
  if (result) return "succeeded, wanted " + wanted;
  const Error& error = result.error();
  const std::string message = error.message();
  if (error.code() != code) {
    return "wanted " + wanted + ", got " + std::string(to_string(error.code())) + ": " + message;
  }
  if (error.operation().empty()) return "the error names no operation: " + message;
  if (message.find(error.operation()) == std::string::npos) {
    return "the message does not name the operation: " + message;
  }
  if (error.operation().find(operation) == std::string_view::npos) {
    return "wanted the operation '" + std::string(operation) + "' named: " + message;
  }
  return {};
}

/// The value of a result that must be there; fails the test with the message of the error if not.
template <class R>
auto must(R&& result, std::source_location where = std::source_location::current()) {
  if (!result) {
    FAIL(where.file_name() << ":" << where.line() << ": " << result.error().message());
  }
  if constexpr (!std::is_void_v<typename std::remove_cvref_t<R>::value_type>) {
    return std::forward<R>(result).value();
  }
}

}  // namespace snkv::test

/// The `Result` is a success.
#define REQUIRE_OK(...)                                                        \
  do {                                                                         \
    auto&& snkv_result = (__VA_ARGS__);                                        \
    if (!snkv_result) FAIL(#__VA_ARGS__ ": " << snkv_result.error().message()); \
    SUCCEED();                                                                 \
  } while (false)

/// The `Result` is an error with this code, and its message names an operation.
#define REQUIRE_ERRC(expression, code) REQUIRE_ERROR(expression, code, "")

/// The same, and the operation's name contains `operation_name`.
#define REQUIRE_ERROR(expression, code, operation_name)                                  \
  do {                                                                                   \
    const std::string snkv_complaint =                                                   \
        ::snkv::test::error_complaint((expression), (code), (operation_name));           \
    if (!snkv_complaint.empty()) FAIL(#expression << ": " << snkv_complaint);            \
    SUCCEED();                                                                           \
  } while (false)
