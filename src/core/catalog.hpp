/// \file
/// The column families of a store and the roots of their trees, as of one schema cookie.
#pragma once

#include "btree/connection.hpp"
#include "core/cipher.hpp"

#include <snkv/error.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace snkv::core {

/// What a family handle remembers: the id decides, the name is for messages.
struct Family {
  std::string name;
  std::uint32_t id = 0;
};

/// One family as the schema has it.
struct FamilyEntry {
  std::shared_ptr<const Family> family;
  std::uint32_t root = 0;
  std::uint32_t large_root = 0;   ///< 0: no large value was ever stored
  std::uint32_t expiry_root = 0;  ///< 0: no entry that expires was ever stored
  bool is_readable = true;        ///< its rows are as the library has them, whatever else was changed
  std::string altered;            ///< what SQL did to its tables; empty if nothing [K8]
  std::string forged;             ///< what of it is not authentic, in an encrypted store; empty if nothing
};

/// `tampered` for a family whose name or id was changed from outside: nothing in it is to be read or written.
[[nodiscard]] Error check_name(const char* operation, const FamilyEntry& entry);

/// Immutable once loaded, and shared. A catalog is good for the transactions that have its cookie [S1]
/// and for no others; one loaded after a schema change inside a write transaction is good for that
/// transaction only, which may still be rolled back [S2].
class Catalog {
 public:
  /// Reads the schema through a raw cursor, in the transaction that is open on the connection; `cipher` is
  /// that of the store, null if it is not encrypted. `auth_failed` when somebody else has changed the keys.
  /// `tampered` families are a part of it, and marked.
  [[nodiscard]] static Error load(const char* operation, snkv_bt* bt, std::uint32_t cookie,
                                  const Cipher* cipher, std::shared_ptr<const Catalog>& out);

  [[nodiscard]] std::uint32_t cookie() const noexcept { return cookie_; }
  /// The tree of `snkv_meta`.
  [[nodiscard]] std::uint32_t meta_root() const noexcept { return meta_root_; }
  /// The family with this id; nullptr if it was dropped. O(log n). Who reads or writes it has to ask
  /// `check_name` first.
  [[nodiscard]] const FamilyEntry* find(std::uint32_t id) const noexcept;
  [[nodiscard]] const FamilyEntry* find(std::string_view name) const noexcept;
  /// What the values are sealed with; null in a store that is not encrypted. Whoever changes the keys
  /// changes the cookie too.
  [[nodiscard]] const KeyRing* keys() const noexcept { return keys_.get(); }
  /// Sorted by id. Of two that have the same one, which only a forged one can, it comes last.
  [[nodiscard]] const std::vector<FamilyEntry>& families() const noexcept { return families_; }

 private:
  std::uint32_t cookie_ = 0;
  std::uint32_t meta_root_ = 0;
  std::vector<FamilyEntry> families_;
  std::shared_ptr<const KeyRing> keys_;
};

}  // namespace snkv::core
