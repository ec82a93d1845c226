// Sessions that expire: entries with a time to live.
#include "expect.hpp"

#include <chrono>
#include <cstdint>

int main() {
  using namespace std::chrono_literals;

  // A clock that the example can move. Without this line it is the system's.
  std::int64_t now = 1'700'000'000'000;
  auto store = must(snkv::Store::open("sessions.db", {.clock = [&now] { return now; }}));

  must(store.put("session:alice", "token-1", {.ttl = 30min}));
  must(store.put("session:bob", "token-2", {.ttl = 10min}));
  must(store.put("user:alice", "no session, stays"));

  // Time goes by; alice does something, which gives her half an hour again.
  now += std::chrono::milliseconds(9min).count();
  must(store.expire("session:alice", 30min));
  expect(must(store.ttl("session:bob")) == 1min, "bob has a minute left");
  expect(!must(store.ttl("user:alice")).has_value(), "a user does not expire");

  // Of two minutes later on bob's session is not there, whoever asks, and in whichever way.
  now += std::chrono::milliseconds(2min).count();
  const auto gone = store.get("session:bob");
  expect(!gone && gone.error() == snkv::Errc::not_found, "bob's session has expired");
  for (auto scan = store.prefix("session:"); auto [key, value] : scan) {
    std::cout << key << " has " << must(store.ttl(key))->count() / 60'000 << " minutes left\n";
    expect(key == "session:alice", "alice's session is the only one");
  }

  // An expired key is a free one.
  expect(must(store.put_if_absent("session:bob", "token-3", {.ttl = 10min})), "bob is back");
  must(store.persist("session:alice"));
  now += std::chrono::milliseconds(24h).count();
  expect(must(store.contains("session:alice")), "alice stays logged in");

  // Expired entries take space until they are purged, those first that expired first. With
  // Options::housekeeping_interval a thread of the store does that.
  expect(must(store.count()) == 3 && must(store.count_live()) == 2, "one is hidden");
  std::cout << must(store.purge_expired()) << " purged, " << must(store.count()) << " left\n";
  expect(must(store.count()) == 2, "alice, and her session");
}
