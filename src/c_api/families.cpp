/// \file
/// Column families: making, finding, dropping and listing them.
#include "c_api/iterator.hpp"
#include "c_api/session.hpp"

#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

namespace snkv::c_api {
namespace {

constexpr std::string_view default_name = "default";

int give_out(KVStore* store, Session& session, FamilyRef family, KVColumnFamily** out) {
  KVColumnFamily* handle = handles<KVColumnFamily>().take();
  try {
    const std::lock_guard lock(session.children_mutex);
    session.families.insert(handle);
  } catch (...) {
    handles<KVColumnFamily>().give_back(handle);
    throw;
  }
  handle->store = store;
  handle->store_generation = store->generation;
  handle->family = std::move(family);
  handle->kind.store(Kind::family, std::memory_order_release);
  *out = handle;
  return KVSTORE_OK;
}

/// Names that SNKV keeps for itself, and refuses.
bool is_reserved(std::string_view name) noexcept {
  return name.starts_with("__") || name.starts_with("_snkv_");
}

/// The families that programs have made.
Result<std::vector<std::string>> list(Session& session) {
  auto names = session.transaction ? session.transaction->list_column_families()
               : session.snapshot  ? session.snapshot->list_column_families()
                                   : session.store.list_column_families();
  if (names) {
    std::erase_if(*names, [](const std::string& name) { return name == default_name || is_reserved(name); });
  }
  return names;
}

/// Why a name is none; null if it is one.
const char* fault_of(const char* name) noexcept {
  if (name == nullptr || *name == '\0') return "there is no name";
  return is_reserved(name) ? "names that begin with \"__\" or \"_snkv_\" are reserved" : nullptr;
}

int create(KVStore* store, Session& session, const char* name, KVColumnFamily** out) {
  if (session.snapshot) {
    return session.fail(Error(Errc::read_only, "cf_create", "a transaction for reading is open"));
  }
  auto names = list(session);
  if (!names) return session.fail(names.error());
  if (names->size() >= KVSTORE_MAX_COLUMN_FAMILIES) {
    return session.refuse("cf_create", "there are as many column families as there may be");
  }
  auto made = session.transaction ? session.transaction->create_column_family(name)
                                  : session.store.create_column_family(name);
  if (!made) return session.fail(made.error());
  // In a transaction it gets a handle of its own when that is committed.
  FamilyRef family = session.transaction ? FamilyRef(name) : FamilyRef(name, *std::move(made));
  const int code = give_out(store, session, std::move(family), out);
  session.wrote();
  return code;
}

int open(KVStore* store, Session& session, const char* name, KVColumnFamily** out) {
  if (name == default_name) return give_out(store, session, FamilyRef(), out);
  if (session.in_transaction()) {
    auto there = session.transaction ? session.transaction->open_column_family(name)
                                     : session.snapshot->column_family(name);
    if (!there) return session.fail(there.error());
    return give_out(store, session, FamilyRef(name), out);
  }
  auto family = session.store.open_column_family(name);
  if (!family) return session.fail(family.error());
  return give_out(store, session, FamilyRef(name, *std::move(family)), out);
}

int drop(Session& session, const char* name) {
  if (session.snapshot) {
    return session.fail(Error(Errc::read_only, "cf_drop", "a transaction for reading is open"));
  }
  const auto result = session.transaction ? session.transaction->drop_column_family(name)
                                          : session.store.drop_column_family(name);
  if (!result) return session.fail(result.error());
  // Handles must not end up in a younger family of the same name.
  const std::lock_guard lock(session.children_mutex);
  const auto mark = [&](FamilyRef& family) {
    if (family.dropped || family.is_default() || family.name() != name) return;
    family.dropped = true;
    family.dropped_in_transaction = session.in_transaction();
  };
  for (KVColumnFamily* family : session.families) mark(family->family);
  for (KVIterator* iterator : session.iterators) mark(iterator->cursor.family());
  return KVSTORE_OK;
}

void free_names(char** names, std::size_t count) noexcept {
  for (std::size_t i = 0; i < count; ++i) std::free(names[i]);
  std::free(names);
}

int copy_names(const std::vector<std::string>& found, char*** names, int* count) {
  auto* const copies = static_cast<char**>(std::calloc(found.size() + 1, sizeof(char*)));
  if (copies == nullptr) return KVSTORE_NOMEM;
  for (std::size_t i = 0; i < found.size(); ++i) {
    copies[i] = static_cast<char*>(copy_out(found[i]));
    if (copies[i] == nullptr) {
      free_names(copies, i);
      return KVSTORE_NOMEM;
    }
  }
  *names = copies;
  *count = as_int(found.size());
  return KVSTORE_OK;
}

}  // namespace
}  // namespace snkv::c_api

using namespace snkv::c_api;

extern "C" {

int kvstore_cf_create(KVStore* store, const char* name, KVColumnFamily** family) {
  if (family == nullptr) return KVSTORE_ERROR;
  *family = nullptr;
  return with_session(store, Access::write, [&](Session& session) {
    if (const char* why = fault_of(name)) return session.refuse("cf_create", why);
    return create(store, session, name, family);
  });
}

int kvstore_cf_open(KVStore* store, const char* name, KVColumnFamily** family) {
  if (family == nullptr) return KVSTORE_ERROR;
  *family = nullptr;
  return with_session(store, Access::read, [&](Session& session) {
    if (const char* why = fault_of(name)) return session.refuse("cf_open", why);
    return open(store, session, name, family);
  });
}

int kvstore_cf_get_default(KVStore* store, KVColumnFamily** family) {
  if (family == nullptr) return KVSTORE_ERROR;
  *family = nullptr;
  return with_session(store, Access::read, [&](Session& session) {
    return give_out(store, session, FamilyRef(), family);
  });
}

int kvstore_cf_drop(KVStore* store, const char* name) {
  // Alone, because it marks the handles of the family.
  return with_session(store, Access::alone, [&](Session& session) {
    if (const char* why = fault_of(name)) return session.refuse("cf_drop", why);
    if (session.rollback_journal) session.suspend_iterators(true);
    const int code = drop(session, name);
    if (code == KVSTORE_OK) session.wrote();
    return code;
  });
}

int kvstore_cf_list(KVStore* store, char*** names, int* count) {
  if (names != nullptr) *names = nullptr;
  if (count != nullptr) *count = 0;
  return with_session(store, Access::read, [&](Session& session) {
    if (names == nullptr || count == nullptr) return session.refuse("cf_list", "no room for the result");
    auto found = list(session);
    if (!found) return session.fail(found.error());
    return copy_names(*found, names, count);
  });
}

void kvstore_cf_close(KVColumnFamily* family) {
  if (!is_open(family)) return;
  // Alone, because other threads may be using the family.
  (void)with_session(family->store, family->store_generation, Access::alone, [&](Session& session) {
    const std::lock_guard lock(session.children_mutex);
    session.families.erase(family);
    family->family = FamilyRef();
    return KVSTORE_OK;
  });
  handles<KVColumnFamily>().give_back(family);
}

}
