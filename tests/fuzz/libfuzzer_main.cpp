// Where libFuzzer comes in. An empty corpus begins with the seeds: `scripts/fuzz` has them written first.
#include "fuzz/fuzz.hpp"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  snkv::fuzz::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
