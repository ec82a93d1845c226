// Reproducible bytes of any length: every byte value occurs, and two seeds or lengths differ.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace snkv::test {

inline std::string patterned(std::size_t size, std::uint64_t seed = 1) {
  std::string bytes(size, '\0');
  std::uint64_t state = seed * 0x9e3779b97f4a7c15u + size;
  for (char& byte : bytes) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    byte = static_cast<char>(state >> 56);
  }
  return bytes;
}

}  // namespace snkv::test
