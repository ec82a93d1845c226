#include "core/original_cipher.hpp"

namespace snkv::core {

OriginalCipher::~OriginalCipher() = default;

Error OriginalCipher::unlock(const char* operation, const OriginalFile& file, BytesView) {
  if (file.root_of(family) == 0) return {};
  return Error(Errc::auth_failed, operation, file.path() + " is encrypted");
}

bool OriginalCipher::open(BytesView, Bytes&) const { return false; }

}  // namespace snkv::core
