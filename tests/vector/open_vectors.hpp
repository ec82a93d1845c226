// Collections in a file, for suites that run on encrypted stores too (support/encrypted.hpp).
#pragma once

#include "support/encrypted.hpp"

#include <snkv/vector/store.hpp>

#include <string_view>

namespace snkv::test {

/// `Vectors::open(path, options)`, or `open_encrypted` in a run with encryption.
template <class Vectors>
Result<Vectors> open_vectors(std::string_view path, const VectorStoreOptions& options = {}) {
  if (!encrypting()) return Vectors::open(path, options);
  return Vectors::open_encrypted(path, test_secret(), options);
}

}  // namespace snkv::test
