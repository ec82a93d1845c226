/// \file
/// Codes and messages of the C interface, and the wall that no exception passes.
#pragma once

#include <snkv/bytes.hpp>
#include <snkv/c/kvstore.h>
#include <snkv/error.hpp>

#include <limits>
#include <new>
#include <optional>
#include <string>

namespace snkv::c_api {

/// The code of an error; `KVSTORE_OK` if it is none.
[[nodiscard]] int code_of(const Error& error) noexcept;

/// Runs the body of a function of the interface, which returns a code.
template <class Body>
[[nodiscard]] int guarded(Body&& body) noexcept {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return KVSTORE_NOMEM;
  } catch (...) {
    return KVSTORE_ERROR;
  }
}

/// Remembers why this thread could not open or restore something, for `kvstore_errmsg(NULL)`; gives the code.
int failed_to_open(const Error& error) noexcept;
/// The message of that, or "no error".
[[nodiscard]] const char* open_failure() noexcept;

/// The bytes of two arguments, empty if they are no buffer. `nullptr` with 0 bytes is an empty one.
[[nodiscard]] inline std::optional<BytesView> buffer(const void* data, int size) noexcept {
  if (size < 0 || (data == nullptr && size > 0)) return std::nullopt;
  return BytesView(data, static_cast<std::size_t>(size));
}

/// The same for a value, which has at most 10 MiB. The size is looked at first: programs for SNKV's library
/// count on a larger one being refused without a look at the bytes.
constexpr int largest_value = 10 << 20;
[[nodiscard]] inline std::optional<BytesView> value_buffer(const void* data, int size) noexcept {
  return size > largest_value ? std::nullopt : buffer(data, size);
}

/// An allocated copy for the caller, also of nothing; `nullptr` if there is no memory.
[[nodiscard]] void* copy_out(BytesView bytes) noexcept;

/// Sizes are `int` here; larger things do not fit the file.
[[nodiscard]] inline int as_int(std::uint64_t number) noexcept {
  constexpr auto most = std::numeric_limits<int>::max();
  return number > static_cast<std::uint64_t>(most) ? most : static_cast<int>(number);
}

}  // namespace snkv::c_api
