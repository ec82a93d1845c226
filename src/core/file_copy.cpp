#include "core/file_copy.hpp"

#include <sodium.h>

#include <cstdint>
#include <fmt/format.h>
#include <utility>

namespace snkv::core {
namespace {

/// A copy page by page. Ends by itself.
class PageCopy {
 public:
  PageCopy() = default;
  PageCopy(const PageCopy&) = delete;
  PageCopy& operator=(const PageCopy&) = delete;
  ~PageCopy() { static_cast<void>(finish()); }

  [[nodiscard]] int begin(snkv_bt* source, snkv_bt* target) noexcept {
    return snkv_bt_backup_begin(source, target, &backup_);
  }
  [[nodiscard]] int step(std::uint64_t& done, std::uint64_t& total) noexcept {
    constexpr std::uint32_t pages = 256;
    return snkv_bt_backup_step(backup_, pages, &done, &total);
  }
  [[nodiscard]] int finish() noexcept {
    snkv_bt_backup* backup = std::exchange(backup_, nullptr);
    return backup == nullptr ? SNKV_BT_OK : snkv_bt_backup_finish(backup);
  }

 private:
  snkv_bt_backup* backup_ = nullptr;
};

Error open_copy(const char* operation, const std::string& path, btree::Connection& copy) {
  const int rc = copy.open(path, SNKV_BT_OPEN_OWNED, 0);
  if (rc == SNKV_BT_OK) return {};
  return Error(btree::errc_of(rc), operation,
               fmt::format("{}: {}", path, copy.sql_error(operation, rc).detail()), rc);
}

}  // namespace

Error copy_pages(const char* operation, btree::Connection& source, const std::string& path,
                 ProgressReport& progress) {
  btree::Connection target;
  if (Error error = open_copy(operation, path, target); error.failed()) return error;
  const btree::Lock lock(source);
  const btree::ReadTransaction transaction(lock);
  if (transaction.rc() != SNKV_BT_OK) {
    return btree::engine_error(operation, transaction.rc(), "beginning a read transaction");
  }
  PageCopy copy;
  int rc = copy.begin(lock.get(), target.get());
  while (rc == SNKV_BT_OK) {
    std::uint64_t done = 0;
    std::uint64_t total = 0;
    rc = copy.step(done, total);
    if (rc != SNKV_BT_OK && rc != SNKV_BT_DONE) break;
    if (!progress.report(done, total)) return progress.error(operation);
  }
  if (rc == SNKV_BT_DONE) rc = copy.finish();
  return rc == SNKV_BT_OK ? Error() : btree::engine_error(operation, rc, path);
}

Error count_anew(const char* operation, const std::string& path) {
  btree::Connection copy;
  if (Error error = open_copy(operation, path, copy); error.failed()) return error;
  int rc = SNKV_BT_OK;
  // What fails makes the whole copy go away, and it is synced in the end.
  for (const char* sql : {"PRAGMA journal_mode=OFF", "PRAGMA synchronous=OFF", "BEGIN IMMEDIATE"}) {
    if (rc == SNKV_BT_OK) rc = copy.execute(sql);
  }
  if (rc == SNKV_BT_OK) rc = snkv_bt_new_counter(copy.get(), ::randombytes_random());
  if (rc == SNKV_BT_OK) rc = copy.execute("COMMIT");
  return rc == SNKV_BT_OK ? Error() : btree::engine_error(operation, rc, path);
}

}  // namespace snkv::core
