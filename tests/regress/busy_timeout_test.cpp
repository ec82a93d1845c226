// Waiting for a lock lasts as long as the options say, however many signals the thread gets meanwhile.
#include "support/check.hpp"
#include "support/store_kind.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <thread>

namespace {

using namespace snkv;
using namespace snkv::test;
using std::chrono::milliseconds;

/// Sends signals to the thread that made it, about a thousand each second, which interrupt system calls.
class Signals {
 public:
  Signals() {
    struct ::sigaction action{};
    action.sa_handler = [](int) {};
    REQUIRE(::sigaction(SIGUSR1, &action, nullptr) == 0);
    thread_ = std::thread([this, target = ::pthread_self()] {
      while (!stop_.load()) {
        ::pthread_kill(target, SIGUSR1);
        ++sent_;
        std::this_thread::sleep_for(milliseconds{1});
      }
    });
  }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  ~Signals() {
    stop_ = true;
    thread_.join();
  }
  [[nodiscard]] int sent() const noexcept { return sent_.load(); }

 private:
  std::atomic<bool> stop_{false};
  std::atomic<int> sent_{0};
  std::thread thread_;
};

constexpr milliseconds timeout{400};

/// The call gives `busy`, and not before its time.
template <class Call>
void check_waits(Call&& call, milliseconds least = timeout) {
  const Signals signals;
  const auto begin = std::chrono::steady_clock::now();
  REQUIRE_ERRC(call(), Errc::busy);
  CHECK((std::chrono::steady_clock::now() - begin >= least));
  CHECK(signals.sent() > 10);
}

}  // namespace

TEST_CASE("signals do not make the wait for another handle's transaction shorter") {
  const auto kind = GENERATE(from_range(file_store_kinds));
  CAPTURE(kind);
  const TempDir dir;
  Store store = open_kind(kind, dir, {.busy_timeout = timeout});
  Store other = open_kind(kind, dir, {.busy_timeout = timeout});
  REQUIRE_OK(store.put("k", "v"));
  Transaction holder = must(other.begin());
  REQUIRE_OK(holder.put("k", "w"));
  check_waits([&] { return store.put("k", "x"); });
  check_waits([&] { return store.begin(); });
  check_waits([&] { return store.create_column_family("more"); });
}

TEST_CASE("signals do not make other waits shorter") {
  const TempDir dir;
  Store store = open_kind(StoreKind::wal, dir, {.busy_timeout = timeout});
  REQUIRE_OK(store.put("k", "v"));
  SECTION("a transaction of another thread") {
    std::optional<Transaction> holder;
    std::thread([&] { holder = must(store.begin()); }).join();
    check_waits([&] { return store.put("k", "x"); });
  }
  SECTION("a checkpoint and a snapshot") {
    Store other = open_kind(StoreKind::wal, dir, {.busy_timeout = timeout});
    const Snapshot snapshot = must(other.snapshot());
    REQUIRE_OK(store.put("k", "w"));
    // It gives up when the next look would come too late, and its pauses are 20 ms.
    check_waits([&] { return store.checkpoint(Checkpoint::truncate); }, timeout - milliseconds{25});
  }
  SECTION("opening with another journal") {
    check_waits([&] {
      return open_store(dir.file("test.db"), {.journal = Journal::rollback, .busy_timeout = timeout});
    });
  }
}
