/// \file
/// Errors of the library as Python exceptions, which are defined in snkv/_errors.py.
#pragma once

#include "python.hpp"

#include <snkv/error.hpp>
#include <snkv/expected.hpp>

#include <utility>

namespace snkv_python {

/// Raises the exception that belongs to the error's code.
[[noreturn]] void raise(const snkv::Error& error);

/// The value of a result, or its error as an exception.
template <class T>
T value_of(snkv::Result<T>&& result) {
  if (!result) raise(result.error());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

}  // namespace snkv_python
