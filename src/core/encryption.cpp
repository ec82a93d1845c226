/// \file
/// Secrets, and the functions of core_abi.hpp that change the keys of an open store.
#include "core/families.hpp"
#include "core/family_seal.hpp"
#include "core/key_change.hpp"
#include "core/key_header.hpp"
#include "core/progress.hpp"
#include "core/read_path.hpp"
#include "core/reseal.hpp"
#include "core/run.hpp"
#include "core/store_state.hpp"

#include <snkv/detail/core_abi.hpp>

#include <algorithm>
#include <cstring>
#include <fmt/format.h>
#include <memory>
#include <utility>
#include <vector>

namespace snkv {

void wipe(std::span<std::byte> bytes) noexcept { sodium_memzero(bytes.data(), bytes.size()); }

std::byte* Secret::copy(BytesView bytes) noexcept {
  if (bytes.empty() || !core::sodium_ready()) return nullptr;
  auto* const out = static_cast<std::byte*>(sodium_malloc(bytes.size()));
  if (out != nullptr) std::memcpy(out, bytes.data(), bytes.size());
  return out;
}

void Secret::release(std::byte* data) noexcept { sodium_free(data); }

namespace core {

bool is_encrypted(const Target& target) noexcept {
  return target.store != nullptr && target.store->cipher != nullptr;
}

Error file_is_encrypted(std::string_view path, bool& out) {
  try {
    Options options;
    options.read_only = true;
    options.allow_hard_links = true;  // nothing but the header is looked at
    StoreState store(std::string(path), false, std::move(options));
    Error error = store.open();
    if (error.failed() && !(error == Errc::auth_failed)) return error;
    out = error.failed();
    return {};
  } catch (const std::bad_alloc&) {
    return Error(Errc::no_memory, "is_encrypted", "");
  }
}

namespace {

Error check_encrypted(const char* operation, const StoreState& store) {
  if (Error error = store.check(operation); error.failed()) return error;
  if (store.cipher != nullptr) return {};
  return Error(Errc::invalid_argument, operation, "the store is not encrypted");
}

/// Ends the session's transaction on each way out that does not commit it.
class SessionTurn {
 public:
  explicit SessionTurn(WriteSession& session) noexcept : session_(session) {}
  SessionTurn(const SessionTurn&) = delete;
  SessionTurn& operator=(const SessionTurn&) = delete;
  ~SessionTurn() {
    if (open_) session_.rollback();
  }
  [[nodiscard]] Error begin(const char* operation, std::optional<Sync> sync = {}) {
    Error error = session_.begin(operation, sync);
    open_ = !error.failed();
    return error;
  }
  [[nodiscard]] Error commit(const char* operation) {
    Error error = session_.commit(operation);
    open_ = error == Errc::busy;
    return error;
  }

 private:
  WriteSession& session_;
  bool open_ = false;
};

Error read_header(const char* operation, StoreState& store, Bytes& out) {
  const btree::Lock lock(store.writer);
  return read_key_header(operation, store.writer, out);
}

/// Writes a header in a transaction of its own that survives a power cut. `current` is the one that it was
/// made from. One with `other_keys` binds the names.
Error replace_header(const char* operation, StoreState& store, BytesView current,
                     const KeyHeader& next, bool other_keys) {
  SessionTurn turn(store.session);
  if (Error error = turn.begin(operation, Sync::full); error.failed()) return error;
  {
    const btree::Lock lock(store.writer);
    Bytes found;
    Error error = read_key_header(operation, store.writer, found);
    if (error.failed()) return error;
    if (found != current) return Error(Errc::busy, operation, "somebody else changes the keys");
    store.session.close_cursors();
    error = write_key_header(operation, store.writer, next.encode());
    if (!error.failed() && other_keys) {
      error = rewrite_name_tags(operation, store.writer, store.session.catalog(), *next.ring());
    }
    if (error.failed()) return error;
    if (other_keys) {
      // Whoever has a catalog from before has to notice.
      const std::uint32_t cookie = snkv_bt_cookie(store.writer.get()) + 1;
      const int rc = store.writer.execute(
          fmt::format("PRAGMA schema_version={}", static_cast<std::int32_t>(cookie)));
      if (rc != SNKV_BT_OK) return store.writer.sql_error(operation, rc);
    }
  }
  if (!other_keys) return turn.commit(operation);
  // Known before it is in the file, the latest only afterwards.
  store.cipher->expect(next.ring());
  Error error = turn.commit(operation);
  if (error.failed()) return error;
  store.cipher->adopt();
  store.after_commit();
  return error;
}

/// The work of `rotate_key` between its two headers.
class Rotation {
 public:
  Rotation(const char* operation, const Target& target, const Progress& progress)
      : operation_(operation),
        target_(target),
        report_(progress, *target.store, UserCode::Kind::writes) {}

  [[nodiscard]] Error run() {
    if (Error error = plan(); error.failed()) return error;
    if (!report_.report(0, total_)) return report_.error(operation_);
    for (const auto& family : families_) {
      ResealPosition position;
      while (!position.finished) {
        Error error = step(*family, position);
        if (error == Errc::dropped) break;
        if (error.failed()) return error;
        const std::uint64_t done = std::min(done_ + position.entries, total_);
        if (!report_.report(done, total_)) return report_.error(operation_);
      }
      done_ += position.entries;
    }
    static_cast<void>(report_.report(total_, total_));
    return report_.stopped() ? report_.error(operation_) : Error();
  }

 private:
  [[nodiscard]] Error plan() {
    const Target latest{target_.store, nullptr, nullptr};
    return with_catalog(operation_, latest, [&](snkv_bt* bt, const Catalog& catalog) -> Error {
      for (const FamilyEntry& entry : catalog.families()) {
        families_.push_back(entry.family);
        btree::Cursor cursor;
        std::uint64_t entries = 0;
        int rc = cursor.open(bt, entry.root, SNKV_BT_ROWS, false);
        if (rc == SNKV_BT_OK) rc = snkv_bt_count(cursor.get(), &entries);
        if (rc != SNKV_BT_OK) return btree::engine_error(operation_, rc);
        total_ += entries;
      }
      return {};
    });
  }

  [[nodiscard]] Error step(const Family& family, ResealPosition& position) {
    return exclusively(operation_, target_, [&](StoreState& store) -> Error {
      SessionTurn turn(store.session);
      if (Error error = turn.begin(operation_); error.failed()) return error;
      ResealPosition next = position;
      Error error = reseal_some({operation_, store.session, family}, next);
      if (!error.failed()) error = turn.commit(operation_);
      if (error.failed()) return error;
      position = std::move(next);
      store.after_commit();
      return {};
    });
  }

  const char* operation_;
  const Target target_;  // its own: `progress` may end the handle
  ProgressReport report_;
  std::vector<std::shared_ptr<const Family>> families_;
  std::uint64_t done_ = 0;
  std::uint64_t total_ = 0;
};

}  // namespace

Error bind_names(const char* operation, StoreState& store, BytesView stored, KeyHeader& opened) {
  opened.bind_names();
  Error error = replace_header(operation, store, stored, opened, true);
  if (!(error == Errc::busy || error == Errc::full)) return error;
  store.log(LogLevel::warning, "the names of the store are not bound yet: the file could not be written");
  return {};
}

Error change_password(const Target& target, const Secret& current, const Secret& next,
                      const EncryptionOptions& options) {
  constexpr const char* operation = "change_password";
  return guarded(operation, target, [&]() -> Error {
    if (Error error = check_encrypted(operation, *target.store); error.failed()) return error;
    return exclusively(operation, target, [&](StoreState& store) -> Error {
      Bytes stored;
      KeyHeader header;
      Error error = read_header(operation, store, stored);
      if (!error.failed()) error = header.open(operation, stored, current, options);
      if (!error.failed()) error = header.set_secret(operation, next, options);
      return error.failed() ? error : replace_header(operation, store, stored, header, false);
    });
  });
}

Error rotate_key(const Target& given, const Secret& secret, const EncryptionOptions& options,
                 const Progress& progress) {
  constexpr const char* operation = "rotate_key";
  return guarded(operation, given, [&]() -> Error {
    const Target target = given;
    if (Error error = check_encrypted(operation, *target.store); error.failed()) return error;
    KeyHeader header;
    Bytes stored;
    Error error = exclusively(operation, target, [&](StoreState& store) -> Error {
      Error refused = read_header(operation, store, stored);
      if (!refused.failed()) refused = header.open(operation, stored, secret, options);
      if (refused.failed()) return refused;
      // Two keys: an earlier rotation has not come to its end.
      if (header.key_count() == 1) {
        header.add_key();
        header.bind_names();
        return replace_header(operation, store, stored, header, true);
      }
      return {};
    });
    if (!error.failed()) error = Rotation(operation, target, progress).run();
    if (error.failed()) return error;
    return exclusively(operation, target, [&](StoreState& store) -> Error {
      // As it is now: the secret may have been changed meanwhile.
      Error refused = read_header(operation, store, stored);
      if (!refused.failed()) refused = header.open(operation, stored, secret, options);
      if (refused.failed()) return refused;
      header.drop_old_keys();
      header.bind_names();
      return replace_header(operation, store, stored, header, true);
    });
  });
}

}  // namespace core
}  // namespace snkv
