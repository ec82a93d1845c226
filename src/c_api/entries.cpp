/// \file
/// Entries: reading, writing, expiry; for the default family and for others.
#include "c_api/session.hpp"

#include <chrono>
#include <cstdint>
#include <limits>

namespace snkv::c_api {
namespace {

using std::chrono::milliseconds;

/// The arguments of a write.
struct Given {
  const void* key;
  int key_size;
  const void* value = nullptr;
  int value_size = 0;
  std::int64_t expire_ms = 0;
};

/// Runs `body(Session&, const EntryReader&, BytesView key)`, which returns a code.
template <class Owner, class Body>
int read(const char* operation, Owner* owner, const void* key, int key_size, Body&& body) noexcept {
  return with_family(owner, Access::read, [&](Session& session, FamilyRef& family) {
    const auto bytes = buffer(key, key_size);
    if (!bytes || bytes->empty()) return session.refuse(operation, "the key is no buffer, or empty");
    auto reader = family.reader(session);
    if (!reader) return session.fail(reader.error());
    return body(session, **reader, *bytes);
  });
}

/// Runs `body(Session&, EntryWriter&, BytesView key, BytesView value, const PutOptions&)`, which
/// returns a code.
template <class Owner, class Body>
int write(const char* operation, Owner* owner, const Given& given, Body&& body) noexcept {
  return with_family(owner, Access::write, [&](Session& session, FamilyRef& family) {
    const auto key = buffer(given.key, given.key_size);
    const auto value = value_buffer(given.value, given.value_size);
    if (!key || key->empty()) return session.refuse(operation, "the key is no buffer, or empty");
    if (!value) return session.refuse(operation, "the value is no buffer, or larger than 10 MiB");
    if (given.expire_ms < 0) return session.refuse(operation, "the expiry is negative");
    auto writer = family.writer(session);
    if (!writer) return session.fail(writer.error());
    PutOptions options;
    if (given.expire_ms > 0) options.expires_at = TimePoint(milliseconds(given.expire_ms));
    const int code = body(session, **writer, *key, *value, options);
    if (code == KVSTORE_OK) session.wrote();
    return code;
  });
}

template <class Owner>
int put(Owner* owner, const Given& given) noexcept {
  return write("put", owner, given,
               [](Session& session, EntryWriter& writer, BytesView key, BytesView value,
                  const PutOptions& options) {
                 return session.done(writer.put(key, value, options));
               });
}

template <class Owner>
int put_if_absent(Owner* owner, const Given& given, int* inserted) noexcept {
  if (inserted != nullptr) *inserted = 0;
  return write("put_if_absent", owner, given,
               [&](Session& session, EntryWriter& writer, BytesView key, BytesView value,
                   const PutOptions& options) {
                 auto result = writer.put_if_absent(key, value, options);
                 if (result && inserted != nullptr) *inserted = *result ? 1 : 0;
                 return session.done(result);
               });
}

template <class Owner>
int erase(Owner* owner, const Given& given) noexcept {
  return write("delete", owner, given,
               [](Session& session, EntryWriter& writer, BytesView key, BytesView,
                  const PutOptions&) {
                 auto existed = writer.erase(key);
                 if (!existed) return session.fail(existed.error());
                 return *existed ? KVSTORE_OK : KVSTORE_NOTFOUND;
               });
}

/// Where a value goes.
struct ValueOut {
  void** value;
  int* size;

  ValueOut(void** to, int* to_size) noexcept : value(to), size(to_size) {
    if (value != nullptr) *value = nullptr;
    if (size != nullptr) *size = 0;
  }
  [[nodiscard]] bool missing() const noexcept { return value == nullptr || size == nullptr; }
};

/// Copies the value of a key to where it shall go.
Result<void> get_value(const EntryReader& reader, BytesView key, ValueOut out) {
  auto found = reader.visit(key, [&](BytesView bytes) noexcept {
    *out.value = copy_out(bytes);
    if (*out.value != nullptr) *out.size = as_int(bytes.size());
  });
  if (found && *out.value == nullptr) return Unexpected(Error(Errc::no_memory, "get", ""));
  return found;
}

template <class Owner>
int get(Owner* owner, const void* key, int key_size, ValueOut out) noexcept {
  return read("get", owner, key, key_size,
              [&](Session& session, const EntryReader& reader, BytesView wanted) {
                if (out.missing()) return session.refuse("get", "no room for the value");
                return session.done(get_value(reader, wanted, out));
              });
}

template <class Owner>
int exists(Owner* owner, const void* key, int key_size, int* out) noexcept {
  if (out != nullptr) *out = 0;
  return read("exists", owner, key, key_size,
              [&](Session& session, const EntryReader& reader, BytesView wanted) {
                if (out == nullptr) return session.refuse("exists", "no room for the result");
                ++session.other_gets;
                auto found = reader.contains(wanted);
                if (found) *out = *found ? 1 : 0;
                return session.done(found);
              });
}

std::int64_t as_remaining(const std::optional<milliseconds>& ttl) noexcept {
  return ttl ? ttl->count() : KVSTORE_NO_TTL;
}

/// A value and its ttl, both as of one moment: that of the transaction, or of a snapshot.
template <class Owner>
int get_ttl(Owner* owner, const void* key, int key_size, ValueOut out,
            std::int64_t* remaining) noexcept {
  if (remaining != nullptr) *remaining = 0;
  return with_family(owner, Access::read, [&](Session& session, FamilyRef& family) {
    const auto wanted = buffer(key, key_size);
    if (!wanted || wanted->empty()) {
      return session.refuse("get_ttl", "the key is no buffer, or empty");
    }
    if (out.missing()) return session.refuse("get_ttl", "no room for the value");
    const auto from = [&](const EntryReader& reader) {
      ++session.other_gets;
      auto ttl = reader.ttl(*wanted);
      if (!ttl) return session.fail(ttl.error());
      if (remaining != nullptr) *remaining = as_remaining(*ttl);
      return session.done(get_value(reader, *wanted, out));
    };
    auto reader = family.reader(session);
    if (!reader) return session.fail(reader.error());
    if (session.in_transaction()) return from(**reader);
    auto snapshot = session.store.snapshot();
    if (!snapshot) return session.fail(snapshot.error());
    if (family.is_default()) return from(*snapshot);
    auto there = snapshot->column_family(family.name());
    return there ? from(*there) : session.fail(there.error());
  });
}

/// Whether there is a row of the key, expired or not.
Result<bool> has_row(const EntryReader& reader, BytesView key) {
  // No other key is between the two.
  std::string next = key.str();
  next.push_back('\0');
  auto count = reader.count_range(key, next);
  if (!count) return Unexpected(std::move(count).error());
  return *count > 0;
}

template <class Owner>
int ttl_remaining(Owner* owner, const void* key, int key_size, std::int64_t* remaining) noexcept {
  if (remaining != nullptr) *remaining = 0;
  return read("ttl_remaining", owner, key, key_size,
              [&](Session& session, const EntryReader& reader, BytesView wanted) {
                if (remaining == nullptr) {
                  return session.refuse("ttl_remaining", "no room for the result");
                }
                ++session.other_gets;
                auto ttl = reader.ttl(wanted);
                if (ttl) {
                  *remaining = as_remaining(*ttl);
                  return KVSTORE_OK;
                }
                if (!(ttl.error() == Errc::not_found)) return session.fail(ttl.error());
                auto expired = has_row(reader, wanted);
                if (!expired) return session.fail(expired.error());
                return *expired ? KVSTORE_OK : KVSTORE_NOTFOUND;
              });
}

template <class Owner>
int purge_expired(Owner* owner, int* deleted) noexcept {
  if (deleted != nullptr) *deleted = 0;
  return with_family(owner, Access::write, [&](Session& session, FamilyRef& family) {
    auto writer = family.writer(session);
    if (!writer) return session.fail(writer.error());
    auto purged = (*writer)->purge_expired();
    if (!purged) return session.fail(purged.error());
    if (deleted != nullptr) *deleted = as_int(*purged);
    session.wrote();
    return KVSTORE_OK;
  });
}

template <class Owner>
int clear(Owner* owner) noexcept {
  return with_family(owner, Access::write, [&](Session& session, FamilyRef& family) {
    auto writer = family.writer(session);
    if (!writer) return session.fail(writer.error());
    const int code = session.done((*writer)->clear());
    if (code == KVSTORE_OK) session.wrote();
    return code;
  });
}

template <class Owner>
int count(Owner* owner, std::int64_t* entries) noexcept {
  if (entries != nullptr) *entries = 0;
  return with_family(owner, Access::read, [&](Session& session, FamilyRef& family) {
    if (entries == nullptr) return session.refuse("count", "no room for the result");
    auto reader = family.reader(session);
    if (!reader) return session.fail(reader.error());
    auto found = (*reader)->count();
    if (found) *entries = static_cast<std::int64_t>(*found);
    return session.done(found);
  });
}

}  // namespace
}  // namespace snkv::c_api

namespace api = snkv::c_api;

extern "C" {

int kvstore_put(KVStore* store, const void* key, int key_size, const void* value, int value_size) {
  return api::put(store, {key, key_size, value, value_size});
}
int kvstore_cf_put(KVColumnFamily* family, const void* key, int key_size, const void* value,
                   int value_size) {
  return api::put(family, {key, key_size, value, value_size});
}
int kvstore_put_ttl(KVStore* store, const void* key, int key_size, const void* value,
                    int value_size, int64_t expire_ms) {
  return api::put(store, {key, key_size, value, value_size, expire_ms});
}
int kvstore_cf_put_ttl(KVColumnFamily* family, const void* key, int key_size, const void* value,
                       int value_size, int64_t expire_ms) {
  return api::put(family, {key, key_size, value, value_size, expire_ms});
}
int kvstore_put_if_absent(KVStore* store, const void* key, int key_size, const void* value,
                          int value_size, int64_t expire_ms, int* inserted) {
  return api::put_if_absent(store, {key, key_size, value, value_size, expire_ms}, inserted);
}
int kvstore_cf_put_if_absent(KVColumnFamily* family, const void* key, int key_size,
                             const void* value, int value_size, int64_t expire_ms, int* inserted) {
  return api::put_if_absent(family, {key, key_size, value, value_size, expire_ms}, inserted);
}
int kvstore_delete(KVStore* store, const void* key, int key_size) {
  return api::erase(store, {key, key_size});
}
int kvstore_cf_delete(KVColumnFamily* family, const void* key, int key_size) {
  return api::erase(family, {key, key_size});
}
int kvstore_clear(KVStore* store) { return api::clear(store); }
int kvstore_cf_clear(KVColumnFamily* family) { return api::clear(family); }
int kvstore_purge_expired(KVStore* store, int* deleted) {
  return api::purge_expired(store, deleted);
}
int kvstore_cf_purge_expired(KVColumnFamily* family, int* deleted) {
  return api::purge_expired(family, deleted);
}

int kvstore_get(KVStore* store, const void* key, int key_size, void** value, int* value_size) {
  return api::get(store, key, key_size, {value, value_size});
}
int kvstore_cf_get(KVColumnFamily* family, const void* key, int key_size, void** value,
                   int* value_size) {
  return api::get(family, key, key_size, {value, value_size});
}
int kvstore_exists(KVStore* store, const void* key, int key_size, int* exists) {
  return api::exists(store, key, key_size, exists);
}
int kvstore_cf_exists(KVColumnFamily* family, const void* key, int key_size, int* exists) {
  return api::exists(family, key, key_size, exists);
}
int kvstore_get_ttl(KVStore* store, const void* key, int key_size, void** value, int* value_size,
                    int64_t* remaining) {
  return api::get_ttl(store, key, key_size, {value, value_size}, remaining);
}
int kvstore_cf_get_ttl(KVColumnFamily* family, const void* key, int key_size, void** value,
                       int* value_size, int64_t* remaining) {
  return api::get_ttl(family, key, key_size, {value, value_size}, remaining);
}
int kvstore_ttl_remaining(KVStore* store, const void* key, int key_size, int64_t* remaining) {
  return api::ttl_remaining(store, key, key_size, remaining);
}
int kvstore_cf_ttl_remaining(KVColumnFamily* family, const void* key, int key_size,
                             int64_t* remaining) {
  return api::ttl_remaining(family, key, key_size, remaining);
}
int kvstore_count(KVStore* store, int64_t* count) { return api::count(store, count); }
int kvstore_cf_count(KVColumnFamily* family, int64_t* count) { return api::count(family, count); }

int64_t kvstore_now_ms(void) {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

}
