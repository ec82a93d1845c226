/// \file
/// What the examples need besides snkv: each of them is a test of what it says.
#pragma once

#include <snkv/snkv.hpp>

#include <cstdlib>
#include <iostream>
#include <string_view>
#include <utility>

/// Ends the program when something is not as the example says.
inline void expect(bool condition, std::string_view what) {
  if (condition) return;
  std::cerr << "not as expected: " << what << '\n';
  std::exit(1);
}

/// The value of a result, or the end of the program with the message of its error.
/// An application would look at the error instead: see 07_errors.cpp.
template <class T>
T must(snkv::Result<T> result) {
  if (!result) {
    std::cerr << result.error().message() << '\n';
    std::exit(1);
  }
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}
