/// \file
/// The names of an encrypted store are bound: who changes the file while it is closed cannot give a family,
/// and thereby a collection of vectors, the name or the id of another.
///
/// `snkv_meta` has a tag for each family, under `family_` and its id in decimal, and one for the id that the
/// next family gets, under `next_family_tag`:
///
///     1 byte   version: 1
///     32       BLAKE2b-256, keyed with the third key of the data key that is sealed with, of
///                "snkvname", store id 16 bytes, id u32, size of the name u32, name
///              or of
///                "snkvnext", store id 16 bytes, id u64
///
/// Numbers are big-endian. They are written in the transactions that make and drop the tables. That a store
/// has them is said by its header, which is authenticated, so that nobody can take them away; stores that an
/// older library made get them when they are opened for writing.
#pragma once

#include "btree/connection.hpp"
#include "core/catalog.hpp"
#include "core/cipher.hpp"

#include <snkv/bytes.hpp>
#include <snkv/error.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace snkv::core {

class WriteSession;

/// The tags in `snkv_meta`, as they are found.
class NameTags {
 public:
  /// Reads them through a raw cursor, in the transaction that is open on the connection.
  [[nodiscard]] Error read(const char* operation, snkv_bt* bt, std::uint32_t meta_root);
  /// What is wrong with the name of a family, or its id; empty if nothing is.
  [[nodiscard]] std::string forgery(const KeyRing& keys, const Family& family) const;
  /// The ids of families that are not among those of the catalog.
  [[nodiscard]] std::vector<std::uint32_t> without_family(const Catalog& catalog) const;

 private:
  std::map<std::uint32_t, Bytes> tags_;
};

/// Makes the table of a family, and its tag, in the open transaction.
[[nodiscard]] Error make_family(const char* operation, WriteSession& session, std::string_view name,
                                std::uint32_t id);
/// Removes the tag of a family that is dropped.
[[nodiscard]] Error forget_family(const char* operation, WriteSession& session, std::uint32_t id);

/// The id that the next family gets, in the transaction of the catalog: `tampered` if it is not what was written
/// there, 0 if there is none.
[[nodiscard]] Error read_next_family_id(const char* operation, snkv_bt* bt, const Catalog& catalog,
                                        std::int64_t& id);
/// The same in a transaction that writes: without reading the tags of all families.
[[nodiscard]] Error read_next_family_id(const char* operation, WriteSession& session, std::int64_t& id);
/// `keys` is null in a store that is not encrypted.
[[nodiscard]] Error write_next_family_id(const char* operation, btree::Connection& connection,
                                         const KeyRing* keys, std::int64_t id);

/// Writes the tag of a family.
[[nodiscard]] Error write_name_tag(const char* operation, btree::Connection& connection,
                                   const KeyRing& keys, const Family& family);
/// Writes all tags with other keys, and the format version that goes with them: `tampered` if one of those
/// that are there is wrong.
[[nodiscard]] Error rewrite_name_tags(const char* operation, btree::Connection& connection,
                                      const Catalog& catalog, const KeyRing& keys);

}  // namespace snkv::core
