/// \file
/// An open database of SNKV's C library: its file, and the key of its values.
#pragma once

#include "core/original_cipher.hpp"
#include "core/original_file.hpp"

#include <snkv/detail/core_abi.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace snkv::core {

class Original {
 public:
  OriginalFile file;
  OriginalCipher cipher;
};

/// The entries of a family with their expiries, which are in a tree of their own. Both trees are in
/// the order of the keys, so one walk through each is enough.
class OriginalScan : public OriginalCursor {
 public:
  OriginalScan(std::shared_ptr<const Original> original, std::uint32_t root,
               std::uint32_t expiries_root, bool sealed);

  [[nodiscard]] Error next(const char* operation);
  [[nodiscard]] std::uint64_t pages_read() const noexcept;

 private:
  [[nodiscard]] Error next_cell(const char* operation, OriginalTree& tree, std::string& last_key,
                                OriginalEntry& entry, bool& found) const;
  [[nodiscard]] Error find_expiry(const char* operation);

  std::shared_ptr<const Original> original_;
  OriginalTree entries_;
  std::optional<OriginalTree> expiries_;
  bool sealed_;
  std::string last_key_;
  std::string expiring_key_;
  std::int64_t expiring_at_ = 0;
  bool expiry_pending_ = false;  ///< the last two are those of a key that may come yet
  Bytes opened_;
};

}  // namespace snkv::core
