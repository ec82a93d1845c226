/// \file
/// `OriginalStore`, a database that SNKV's C library wrote, for reading; and `import_original`, which
/// makes a store of it.
///
/// The file must not be in use: it is read without locks, and a log beside it (after a crash) is not
/// looked at but refused. It is never changed.
///
/// Threads: an `OriginalStore` serves any number; one `OriginalScan` belongs to one thread at a time.
#pragma once

#include <snkv/import_report.hpp>
#include <snkv/store.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace snkv {

inline namespace SNKV_EXPECTED_NAMESPACE {

/// The entries of one family of an `OriginalStore`, in order of their keys:
///
///     auto scan = original.scan("users");
///     while (scan && *scan->next()) use(scan->key(), scan->value());
class OriginalScan {
 public:
  /// Goes to the next entry, the first one to begin with; whether there is one. `corrupt`: the file is
  /// damaged; `tampered`: a value was not encrypted with the key of the file.
  [[nodiscard]] Result<bool> next() {
    Error error = core::original_next(*cursor_);
    return facade::as_result(std::move(error), bool{cursor_->valid});
  }
  /// Of the current entry; until the next move.
  [[nodiscard]] BytesView key() const noexcept { return cursor_->key; }
  [[nodiscard]] BytesView value() const noexcept { return cursor_->value; }
  /// When it expires; empty: never.
  [[nodiscard]] std::optional<TimePoint> expires_at() const noexcept {
    if (!cursor_->expires_at) return std::nullopt;
    return TimePoint(std::chrono::milliseconds(*cursor_->expires_at));
  }

  /// Made by `OriginalStore::scan`.
  explicit OriginalScan(core::OriginalCursor* cursor) noexcept : cursor_(cursor) {}

 private:
  struct Close {
    void operator()(core::OriginalCursor* cursor) const noexcept {
      core::close_original_cursor(cursor);
    }
  };
  std::unique_ptr<core::OriginalCursor, Close> cursor_;
};

using core::OriginalVectors;

class OriginalStore {
 public:
  /// Made by `open`.
  explicit OriginalStore(std::shared_ptr<const core::Original> original) noexcept
      : original_(std::move(original)) {}

  /// Opens the database in the file `path`. Errors: `auth_failed` (a wrong password, or none for an
  /// encrypted one), `not_a_store` (another kind of file), `corrupt`, `cant_open` (also when there is
  /// a log beside it), `io_error`. Making the key of a password takes 64 MiB of memory for a moment.
  [[nodiscard]] static Result<OriginalStore> open(std::string_view path, BytesView password = {}) {
    std::shared_ptr<const core::Original> original;
    Error error = core::open_original(path, password, original);
    return facade::as_result(std::move(error), OriginalStore(std::move(original)));
  }

  [[nodiscard]] bool is_encrypted() const noexcept { return core::original_is_encrypted(*original_); }
  /// The names of its families, "default" first. Those in which the library kept expiries, the key and
  /// vectors are not among them, but can be scanned.
  [[nodiscard]] std::vector<std::string> families() const {
    return core::original_families(*original_);
  }
  /// The families that belong to its vectors; none, if it has no vectors. Several, if programs of different
  /// versions of the library have put vectors into it, those of the youngest first.
  [[nodiscard]] std::vector<OriginalVectors> vectors() const {
    return core::original_vectors(*original_);
  }
  /// The entries of a family, expired ones included; `not_found`.
  [[nodiscard]] Result<OriginalScan> scan(std::string_view family) const {
    core::OriginalCursor* cursor = nullptr;
    Error error = core::open_original_cursor(original_, family, cursor);
    return facade::as_result(std::move(error), OriginalScan(cursor));
  }

 private:
  std::shared_ptr<const core::Original> original_;
};

/// How a database is taken over.
struct ImportOptions {
  /// Of the database, if it is encrypted.
  BytesView password{};
  /// Page size, clock and cache of the new store; the rest is not looked at.
  Options store{};
  /// Called when all families are in the new store, which nobody else can see yet: for what is to be in
  /// it besides. An error becomes that of the import.
  std::function<Result<void>(const OriginalStore&, Store&)> also{};
  /// What is to open the new store, which then is encrypted from its first byte on; null: it is not
  /// encrypted. The password of the database is none: its key was derived for another file.
  const Secret* secret = nullptr;
  EncryptionOptions encryption{};
  /// Without a secret an encrypted database is refused, unless this says that everybody who can read the
  /// file may read what was sealed.
  bool decrypt = false;
};

/// Makes a store in the new file `to` of the database in `from`: families, entries and expiries.
/// Entries that have expired are left out. Names that are none here get an underscore and a number
/// behind them, or in place of what they may not have. The file appears when it is complete, and on any
/// failure not at all; whoever may not use the database may not use it either, and an encrypted one is for
/// its owner only (0600). Errors: those of `OriginalStore::open` and `scan`; `invalid_argument` for an encrypted
/// database without a secret (`ImportOptions::decrypt`); `exists` and the others of `Store::backup` about `to`;
/// `too_large`; `aborted`; for a secret those of `Store::open_encrypted`.
/// `progress` counts pages, first those of the database, then those of the store. O(file size).
[[nodiscard]] inline Result<ImportReport> import_original(std::string_view from, std::string_view to,
                                                          const ImportOptions& options = {},
                                                          const Progress& progress = {}) {
  const auto also = [&](const std::shared_ptr<const core::Original>& original,
                        const core::Target& target) -> Error {
    if (!options.also) return {};
    Store store = facade::Door::store(target);
    auto result = options.also(OriginalStore(original), store);
    return result ? Error() : std::move(result).error();
  };
  ImportReport report;
  const core::ImportedStore wanted{options.store, options.secret, options.encryption, options.decrypt};
  Error error = core::import_original(from, to, options.password, wanted, also, progress, report);
  return facade::as_result(std::move(error), std::move(report));
}

}  // namespace SNKV_EXPECTED_NAMESPACE
}  // namespace snkv
