/// \file
/// The column families of a store and the roots of their trees, as of one schema cookie.
#pragma once

#include "btree/connection.hpp"
#include "core/cipher.hpp"

#include <snkv/error.hpp>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <mutex>
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

/// Families in the order of their ids. Catalogs that follow one another share the entries, so that a copy
/// costs a pointer for each.
class FamilyList {
 public:
  using Entries = std::vector<std::shared_ptr<const FamilyEntry>>;
  class Iterator {
   public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = FamilyEntry;
    using difference_type = std::ptrdiff_t;
    using pointer = const FamilyEntry*;
    using reference = const FamilyEntry&;
    Iterator() noexcept = default;
    explicit Iterator(Entries::const_iterator at) noexcept : at_(at) {}
    [[nodiscard]] reference operator*() const noexcept { return **at_; }
    [[nodiscard]] pointer operator->() const noexcept { return at_->get(); }
    Iterator& operator++() noexcept {
      ++at_;
      return *this;
    }
    Iterator operator++(int) noexcept { return Iterator(at_++); }
    [[nodiscard]] friend bool operator==(const Iterator&, const Iterator&) noexcept = default;

   private:
    Entries::const_iterator at_;
  };

  [[nodiscard]] Iterator begin() const noexcept { return Iterator(entries_.begin()); }
  [[nodiscard]] Iterator end() const noexcept { return Iterator(entries_.end()); }
  [[nodiscard]] bool empty() const noexcept { return entries_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  [[nodiscard]] const FamilyEntry& operator[](std::size_t i) const noexcept { return *entries_[i]; }
  [[nodiscard]] const FamilyEntry& back() const noexcept { return *entries_.back(); }

 private:
  friend class Catalog;
  Entries entries_;
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

  /// The catalog after `sql` has made a table in the transaction that is open on the connection: of the
  /// family `id`, or one beside it. Without reading the schema again: `out` stays null where that has to be
  /// done, because there is more to know.
  [[nodiscard]] static Error after_creation(const char* operation, snkv_bt* bt, const Catalog& before,
                                            std::string_view sql, std::uint32_t id,
                                            std::shared_ptr<const Catalog>& out);

  [[nodiscard]] std::uint32_t cookie() const noexcept { return cookie_; }
  /// The tree of `snkv_meta`.
  [[nodiscard]] std::uint32_t meta_root() const noexcept { return meta_root_; }
  /// The family with this id; nullptr if it was dropped. O(log n). Who reads or writes it has to ask
  /// `check_name` first.
  [[nodiscard]] const FamilyEntry* find(std::uint32_t id) const noexcept;
  [[nodiscard]] const FamilyEntry* find(std::string_view name) const noexcept;
  /// The family whose name differs from this one in the case of ASCII letters at most: one name to SQLite.
  [[nodiscard]] const FamilyEntry* find_similar(std::string_view name) const noexcept;
  /// What the schema has under such a name that is neither a family nor beside one: "view", for example.
  /// Empty if there is nothing.
  [[nodiscard]] std::string_view find_other(std::string_view name) const noexcept;
  /// What the values are sealed with; null in a store that is not encrypted. Whoever changes the keys
  /// changes the cookie too.
  [[nodiscard]] const KeyRing* keys() const noexcept { return keys_.get(); }
  /// Sorted by id. Of two that have the same one, which only a forged one can, it comes last.
  [[nodiscard]] const FamilyList& families() const noexcept { return families_; }

 private:
  struct Other {
    std::string name;
    std::string type;
  };
  void insert(FamilyEntry&& entry);

  std::uint32_t cookie_ = 0;
  std::uint32_t meta_root_ = 0;
  FamilyList families_;
  std::vector<const FamilyEntry*> by_name_;  // without regard to case
  std::shared_ptr<const std::vector<Other>> others_;  // by name, without regard to case
  std::shared_ptr<const KeyRing> keys_;
};

/// The latest committed catalog that any connection of a store knows, so that not each of them reads the
/// schema for itself.
class SharedCatalog {
 public:
  /// Null if it is of another cookie.
  [[nodiscard]] std::shared_ptr<const Catalog> find(std::uint32_t cookie) const {
    const std::lock_guard lock(mutex_);
    return latest_ != nullptr && latest_->cookie() == cookie ? latest_ : nullptr;
  }
  /// Of a transaction that is committed, or of one that only reads.
  void publish(std::shared_ptr<const Catalog> catalog) noexcept {
    const std::lock_guard lock(mutex_);
    latest_.swap(catalog);
  }

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const Catalog> latest_;
};

}  // namespace snkv::core
