/// \file
/// Encryption: opening with a password, and changing what opens a store.
#include "c_api/options.hpp"
#include "c_api/session.hpp"

#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

namespace snkv::c_api {

Result<Store> open_encrypted(const char* filename, const Secret& secret, const Options& options) {
  if (in_memory(filename)) {
    return Unexpected(Error(Errc::invalid_argument, "open",
                            "a store in memory is not encrypted: it is in no file"));
  }
  // For `remove_encryption`: the program may go to another folder.
  std::string path = filename;
  std::error_code unknown;
  if (!path.empty()) path = std::filesystem::absolute(path, unknown).string();
  if (unknown) return Unexpected(Error(Errc::cant_open, "open", filename));
  // What cannot be told about the file is told by opening it. A secret that is none changes no
  // file.
  const auto encrypted = Store::is_encrypted(path);
  if (encrypted && !*encrypted && !options.read_only) {
    if (auto made = Store::encrypt_existing(path, secret); !made) {
      return Unexpected(std::move(made).error());
    }
  }
  return Store::open_encrypted(path, secret, options);
}

namespace {

/// The documented meaning: all values are encrypted anew, so that who has the old password and an
/// old copy of the file cannot read what is written from now on.
int reencrypt(Session& session, BytesView password) {
  constexpr const char* operation = "reencrypt";
  if (session.in_transaction()) {
    return session.fail(Error(Errc::locked, operation, "a transaction is open"));
  }
  if (!session.secret) return session.refuse(operation, "the store is not encrypted");
  Secret next = Secret::password(password);
  if (next.size() == 0) return session.refuse(operation, "the password is empty");
  // First the values: if that fails the old password still opens the store, and the new one does
  // not.
  auto result = session.store.rotate_key(*session.secret);
  if (result) result = session.store.change_password(*session.secret, next);
  if (!result) return session.fail(result.error());
  session.secret = std::move(next);
  return KVSTORE_OK;
}

int remove_encryption(Session& session) {
  constexpr const char* operation = "remove_encryption";
  if (session.in_transaction()) {
    return session.fail(Error(Errc::locked, operation, "a transaction is open"));
  }
  if (!session.secret) return session.refuse(operation, "the store is not encrypted");
  if (session.options.read_only) {
    return session.fail(Error(Errc::read_only, operation, "the store was opened for reading"));
  }
  // Nobody may have the file open, not even this handle.
  if (session.rollback_journal) session.suspend_iterators(true);
  const std::string path(session.store.file());
  if (auto closed = session.store.close(); !closed) return session.fail(closed.error());
  const auto removed = Store::remove_encryption(path, *session.secret);
  auto opened = removed ? Store::open(path, session.options)
                        : Store::open_encrypted(path, *session.secret, session.options);
  if (removed) session.secret.reset();
  if (!opened) return session.fail(opened.error());
  session.replace_store(*std::move(opened));
  return session.done(removed);
}

}  // namespace
}  // namespace snkv::c_api

namespace api = snkv::c_api;
using api::Access;
using api::Session;

extern "C" {

int kvstore_is_encrypted(KVStore* store) {
  bool encrypted = false;
  (void)api::with_session(store, Access::read, [&](Session& session) {
    encrypted = session.store.is_encrypted();
    return KVSTORE_OK;
  });
  return encrypted ? 1 : 0;
}

int kvstore_reencrypt(KVStore* store, const void* password, int password_size) {
  return api::with_session(store, Access::alone, [&](Session& session) {
    const auto bytes = api::buffer(password, password_size);
    if (!bytes) return session.refuse("reencrypt", "the password is no buffer");
    return api::reencrypt(session, *bytes);
  });
}

int kvstore_remove_encryption(KVStore* store) {
  return api::with_session(store, Access::alone, api::remove_encryption);
}
}
