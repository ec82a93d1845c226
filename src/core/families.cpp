#include "core/families.hpp"

#include "base/ascii.hpp"
#include "base/printable.hpp"
#include "core/family_seal.hpp"
#include "core/format.hpp"
#include "core/read_path.hpp"
#include "core/run.hpp"
#include "core/store_state.hpp"
#include "core/write_session.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace snkv::core {
namespace {

/// Whether it begins with `prefix`, which has small letters only, without regard to the case of ASCII letters.
bool begins_like(std::string_view name, std::string_view prefix) noexcept {
  return name.size() >= prefix.size() &&
         std::equal(prefix.begin(), prefix.end(), name.begin(), [](char wanted, char c) {
           return wanted == base::lower_ascii(c);
         });
}

Target with_family(const Target& target, std::shared_ptr<const Family> family) {
  return {target.store, std::move(family), target.scope};
}

Error not_found(const char* operation, std::string_view name) {
  return Error(Errc::not_found, operation,
               fmt::format("column family {}", base::printable(name)));
}

/// Makes the table, in the open transaction.
Error create(const char* operation, WriteSession& session, std::string_view name,
             std::shared_ptr<const Family>& out) {
  btree::Connection& connection = session.connection();
  std::int64_t id = 0;
  Error error = read_next_family_id(operation, session, id);
  if (error.failed()) return error;
  // One that is in use, or was, would make what belonged to one family good for another.
  const auto& families = session.catalog().families();
  const std::int64_t last = families.empty() ? 0 : families.back().family->id;
  if (id <= format::default_family_id || id <= last || id > 0xffffffff) {
    return Error(Errc::corrupt, operation, "snkv_meta has no usable next_family_id");
  }
  // A transaction that is rolled back takes the counter back too, but not the handles that were made in
  // it: an id is never given out twice by one store.
  id = std::max<std::int64_t>(id, session.store().next_family_id);
  session.store().next_family_id = id + 1;
  session.close_cursors();
  // The table is known to be the library's own: the catalog of this transaction is.
  error = write_next_family_id(operation, connection, session.keys(), id + 1);
  if (error.failed()) return error;
  const auto family_id = static_cast<std::uint32_t>(id);
  error = make_family(operation, session, name, family_id);
  if (error.failed()) return error;
  const FamilyEntry* entry = session.catalog().find(family_id);
  if (entry == nullptr) return Error(Errc::internal, operation, "the new family is not there");
  out = entry->family;
  return {};
}

/// Why a table that is no family forbids a family of this name; ok if none does.
Error check_free(const char* operation, const WriteSession& session, std::string_view name) {
  if (const FamilyEntry* entry = session.catalog().find_similar(name)) {
    return Error(Errc::exists, operation,
                 fmt::format("column family {}, of which {} differs only in case",
                             base::printable(entry->family->name), base::printable(name)));
  }
  const std::string_view type = session.catalog().find_other(name);
  if (type.empty()) return {};
  return Error(Errc::exists, operation,
               fmt::format("the file has a {} {} that is no column family", type,
                           base::printable(name)));
}

const char* operation_of(FamilyMode mode) noexcept {
  return mode == FamilyMode::open     ? "open_column_family"
         : mode == FamilyMode::create ? "create_column_family"
                                      : "column_family";
}

Error check_internal(const char* operation, std::string_view name) {
  if (is_internal_family(name) && name.size() <= max_family_name_size) return {};
  return Error(Errc::invalid_argument, operation,
               fmt::format("{} is not the name of an internal family", base::printable(name)));
}

Error open_family(const char* operation, const Target& given, std::string_view name, FamilyMode mode,
                  Target& out) {
  const Target target = given;  // a function of the caller may end the handle that it belongs to
  if (mode == FamilyMode::create) {
    // Before looking, which may have to wait for this thread.
    if (Error error = UserCode::check_write(operation, *target.store); error.failed()) return error;
  }
  std::shared_ptr<const Family> found;
  const auto look = [&](snkv_bt*, const Catalog& catalog) -> Error {
    const FamilyEntry* entry = catalog.find(name);
    if (entry == nullptr) return {};
    found = entry->family;
    return check_name(operation, *entry);
  };
  if (Error error = with_catalog(operation, target, look); error.failed()) return error;
  if (found == nullptr && mode == FamilyMode::open) return not_found(operation, name);
  if (found != nullptr && mode != FamilyMode::create) {
    out = with_family(target, std::move(found));
    return {};
  }
  const auto make = [&](WriteSession& session) -> Error {
    const btree::Lock lock(session.connection());
    // Looked up again: another writer may have made it meanwhile.
    if (const FamilyEntry* entry = session.catalog().find(name)) {
      if (mode == FamilyMode::create) {
        return Error(Errc::exists, operation,
                     fmt::format("column family {}", base::printable(name)));
      }
      found = entry->family;
      return check_name(operation, *entry);
    }
    if (Error error = check_free(operation, session, name); error.failed()) return error;
    return change(session, [&] { return create(operation, session, name, found); });
  };
  if (Error error = write_in_scope(operation, target, make); error.failed()) return error;
  out = with_family(target, std::move(found));
  return {};
}

Error remove_family(const char* operation, const Target& target, std::string_view name) {
  const auto drop = [&](WriteSession& session) -> Error {
    const btree::Lock lock(session.connection());
    const FamilyEntry* entry = session.catalog().find(name);
    if (entry == nullptr) return not_found(operation, name);
    if (Error error = check_name(operation, *entry); error.failed()) return error;
    return change(session, [&]() -> Error {
      // Copied: the catalog that has the entry goes away with the first of the statements.
      const FamilyEntry doomed = *entry;
      const std::uint32_t id = doomed.family->id;
      session.note(Change::Kind::clear, *doomed.family, {});
      std::vector<std::string> statements;
      if (doomed.large_root != 0) statements.push_back("DROP TABLE " + format::large_table_name(id));
      if (doomed.expiry_root != 0) statements.push_back("DROP TABLE " + format::expiry_table_name(id));
      statements.push_back("DROP TABLE " + format::quoted(name));
      Error error = session.change_schema(operation, statements);
      return error.failed() ? error : forget_family(operation, session, id);
    });
  };
  return write_in_scope(operation, target, drop);
}

}  // namespace

bool is_utf8(std::string_view text) noexcept {
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
    const unsigned first = byte(i);
    const std::size_t length = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2
                               : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
    if (length == 0 || i + length > text.size()) return false;
    for (std::size_t k = 1; k < length; ++k) {
      if ((byte(i + k) & 0xc0) != 0x80) return false;
    }
    // Overlong forms, surrogates and code points beyond U+10FFFF (Unicode 15, table 3-7).
    if (length > 2 || first == 0xed) {
      const unsigned second = byte(i + 1);
      if (first == 0xe0 && second < 0xa0) return false;
      if (first == 0xed && second > 0x9f) return false;
      if (first == 0xf0 && second < 0x90) return false;
      if (first == 0xf4 && second > 0x8f) return false;
    }
    i += length;
  }
  return true;
}

bool is_internal_family(std::string_view name) noexcept {
  for (const std::string_view prefix : {"snkv_vector", "snkv_column", "snkv_journal", "snkv_codecs"}) {
    if (name.starts_with(prefix)) return true;
  }
  return false;
}

Error check_family_name(const char* operation, std::string_view name) {
  const auto refuse = [&](const char* why) {
    return Error(Errc::invalid_argument, operation,
                 fmt::format("the family name {} {}", base::printable(name), why));
  };
  if (name.empty()) return refuse("is empty");
  if (name.size() > max_family_name_size) return refuse("is longer than 255 bytes");
  if (name.find('\0') != std::string_view::npos) return refuse("contains a NUL");
  if (!is_utf8(name)) return refuse("is not UTF-8");
  for (const std::string_view reserved : {"snkv_", "sqlite_"}) {
    if (begins_like(name, reserved)) {
      return refuse("has a reserved prefix (snkv_, sqlite_)");
    }
  }
  return {};
}

Error family(const Target& target, std::string_view name, FamilyMode mode, Target& out) {
  const char* operation = operation_of(mode);
  return guarded(operation, target, [&]() -> Error {
    if (Error error = check_family_name(operation, name); error.failed()) return error;
    return open_family(operation, target, name, mode, out);
  });
}

Error drop_family(const Target& target, std::string_view name) {
  constexpr const char* operation = "drop_column_family";
  return guarded(operation, target, [&]() -> Error {
    if (Error error = check_family_name(operation, name); error.failed()) return error;
    if (name == format::default_family) {
      return Error(Errc::invalid_argument, operation, "the default family cannot be dropped");
    }
    return remove_family(operation, target, name);
  });
}

Error internal_family(const Target& target, std::string_view name, FamilyMode mode, Target& out) {
  const char* operation = operation_of(mode);
  return guarded(operation, target, [&]() -> Error {
    if (Error error = check_internal(operation, name); error.failed()) return error;
    return open_family(operation, target, name, mode, out);
  });
}

Error drop_internal_family(const Target& target, std::string_view name) {
  constexpr const char* operation = "drop_column_family";
  return guarded(operation, target, [&]() -> Error {
    if (Error error = check_internal(operation, name); error.failed()) return error;
    return remove_family(operation, target, name);
  });
}

Error list_families(const Target& target, std::vector<std::string>& out) {
  constexpr const char* operation = "list_column_families";
  return guarded(operation, target, [&]() -> Error {
    return with_catalog(operation, target, [&](snkv_bt*, const Catalog& catalog) -> Error {
      out.clear();
      for (const FamilyEntry& entry : catalog.families()) {
        if (!is_internal_family(entry.family->name)) out.push_back(entry.family->name);
      }
      std::sort(out.begin(), out.end());
      return {};
    });
  });
}

std::string_view family_name(const Target& target) noexcept {
  return target.family == nullptr ? std::string_view() : std::string_view(target.family->name);
}

}  // namespace snkv::core
