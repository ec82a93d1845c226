// Everything that the library can be asked to do with a file that somebody else has made: each call gives an
// error that makes sense, or works.
#pragma once

#include <snkv/snkv.hpp>

#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>

namespace snkv::test {

inline constexpr EncryptionOptions poke_encryption{.opslimit = 2, .memlimit = 19u << 20};

/// What is wrong with the outcome of a call; empty if nothing is. No file is to blame for the codes of a
/// program's own mistakes.
inline std::string judge(std::string_view call, const Error& error) {
  switch (error.code()) {
    case Errc::internal:
    case Errc::no_memory:
    case Errc::busy:
    case Errc::locked:
      return std::string(call) + ": " + error.message() + "\n";
    default:
      return {};
  }
}
template <class R>
std::string judge(std::string_view call, const R& result) {
  return result ? std::string() : judge(call, result.error());
}

inline std::string poke_family(const ColumnFamily& family) {
  std::string complaint = judge("count", family.count());
  Range scan = family.all();
  std::size_t entries = 0;
  for (auto [key, value] : scan) entries += 1 + 0 * (key.size() + value.size());
  complaint += judge("scan", scan.status());
  complaint += judge("get", family.get("key1"));
  complaint += judge("ttl", family.ttl("key1"));
  return complaint;
}

inline std::string poke_reads(const Store& store) {
  std::string complaint;
  auto names = store.list_column_families();
  complaint += judge("list_column_families", names);
  if (names) {
    for (const std::string& name : *names) {
      auto family = store.open_column_family(name);
      complaint += family ? poke_family(*family) : judge("open_column_family", family);
    }
  }
  complaint += judge("stats", store.stats());
  complaint += judge("integrity_check", store.integrity_check());
  complaint += judge("verify", store.verify());
  return complaint;
}

inline std::string poke_writes(Store& store, const std::string& path) {
  std::string complaint = judge("put", store.put("key1", std::string(50, 'n')));
  complaint += judge("put large", store.put("large", std::string(30'000, 'n')));
  complaint += judge("put ttl", store.put("brief", "1", {.ttl = std::chrono::hours(1)}));
  complaint += judge("erase", store.erase("key2"));
  complaint += judge("create", store.create_column_family("made"));
  complaint += judge("drop", store.drop_column_family("made"));
  complaint += judge("backup", store.backup(path + ".copy"));
  complaint += judge("compact backup", store.backup(path + ".compact", {.compact = true}));
  complaint += judge("compact", store.compact());
  complaint += judge("vacuum", store.vacuum());
  return complaint;
}

/// The secret is that of stores of `make_encrypted`.
inline Secret poke_secret() { return Secret::key(std::string(Secret::key_size, 'k')); }

inline Result<Store> poke_open(const std::string& path, bool encrypted, const Options& options) {
  return encrypted ? Store::open_encrypted(path, poke_secret(), options, poke_encryption)
                   : Store::open(path, options);
}

/// Reads and writes.
inline std::string poke_entries(const std::string& path, bool encrypted) {
  std::string complaint = judge("is_encrypted", Store::is_encrypted(path));
  if (auto store = poke_open(path, encrypted, {.read_only = true}); store) {
    complaint += poke_reads(*store);
  } else {
    complaint += judge("open read-only", store);
  }
  auto store = poke_open(path, encrypted, {});
  if (!store) return complaint + judge("open", store);
  complaint += poke_reads(*store);
  complaint += poke_writes(*store, path);
  complaint += poke_reads(*store);
  return complaint + judge("close", store->close());
}

/// And what changes the keys.
inline std::string poke(const std::string& path, bool encrypted) {
  std::string complaint = poke_entries(path, encrypted);
  if (auto store = Store::open_encrypted(path, Secret::password("wrong"), {}, poke_encryption); !store) {
    complaint += judge("open_encrypted", store);
  }
  complaint += encrypted ? judge("remove_encryption", Store::remove_encryption(path, poke_secret()))
                         : judge("encrypt_existing", Store::encrypt_existing(path, poke_secret()));
  return complaint;
}

}  // namespace snkv::test
