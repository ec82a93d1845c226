#include "core/sodium.hpp"

#include <sodium.h>

namespace snkv::core {

bool sodium_ready() noexcept {
  // A static of a function: threads that come first wait for each other.
  static const bool ready = sodium_init() >= 0;
  return ready;
}

}  // namespace snkv::core
