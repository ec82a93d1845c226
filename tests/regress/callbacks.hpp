// What tests of functions of the caller share: an end to hanging, and what such a function found out.
#pragma once

#include "support/check.hpp"

#include <snkv/snkv.hpp>

#include <unistd.h>

#include <mutex>
#include <string>

namespace snkv::test {

/// Ends the process when a test hangs.
class Watchdog {
 public:
  Watchdog() noexcept { ::alarm(60); }
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;
  ~Watchdog() { ::alarm(0); }
};

/// What was not as it has to be, for the main thread: assertions must not throw through the library.
class Complaints {
 public:
  void require(bool condition, const std::string& what) {
    if (condition) return;
    const std::lock_guard lock(mutex_);
    if (text_.size() < 2000) text_ += what + "\n";
  }
  template <class R>
  void ok(const std::string& what, const R& result) {
    if (!result) require(false, what + ": " + result.error().message());
  }
  template <class R>
  void fails(const std::string& what, const R& result, Errc code) {
    const std::string complaint = error_complaint(result, code, "");
    require(complaint.empty(), what + ": " + complaint);
  }
  template <class R>
  void locked(const std::string& what, const R& result) {
    fails(what, result, Errc::locked);
  }
  template <class R>
  void closed(const std::string& what, const R& result) {
    fails(what, result, Errc::closed);
  }

  /// A store with an entry "k" can be read in every way.
  void reads(Store& store) {
    ok("get", store.get("k"));
    ok("multi_get", store.multi_get({"k", "l"}));
    ok("count", store.count());
    ok("snapshot", store.snapshot());
    ok("stats", store.stats());
    ok("list", store.list_column_families());
    ok("sql", store.sql("SELECT 1"));
    auto scan = store.all();
    int entries = 0;
    for ([[maybe_unused]] auto entry : scan) ++entries;
    ok("scan", scan.status());
    require(entries > 0, "a scan found nothing");
  }

  /// Every way to write, or to close, gives `locked`.
  void writes_locked(Store& store) {
    locked("put", store.put("x", "y"));
    locked("erase", store.erase("x"));
    locked("clear", store.clear());
    locked("increment", store.increment("x"));
    locked("merge", store.merge("x", [](auto) -> Result<std::optional<Bytes>> { return Bytes("y"); }));
    locked("write", store.write(WriteBatch().put("x", "y")));
    locked("purge", store.purge_expired());
    locked("begin", store.begin());
    locked("transact", store.transact([](Transaction&) -> Result<void> { return {}; }));
    locked("blob_writer", store.blob_writer("x"));
    locked("checkpoint", store.checkpoint(Checkpoint::truncate));
    locked("vacuum", store.vacuum());
    locked("compact", store.compact());
    locked("create_column_family", store.create_column_family("more"));
    locked("close", store.close());
  }

  [[nodiscard]] std::string text() const {
    const std::lock_guard lock(mutex_);
    return text_;
  }

 private:
  mutable std::mutex mutex_;
  std::string text_;
};

}  // namespace snkv::test
