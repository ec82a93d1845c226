// Column families: several key spaces in one file, changed together or apart.
#include "expect.hpp"

int main() {
  auto store = must(snkv::Store::open("families.db"));

  // column_family opens a family, and creates it if need be.
  auto users = must(store.column_family("users"));
  auto sessions = must(store.column_family("sessions"));

  // Each family has its own keys; the store's own operations go to the one named "default".
  must(users.put("1", "alice"));
  must(sessions.put("1", "token-of-alice"));
  must(store.put("1", "something else"));
  expect(must(users.get("1")) == "alice", "users");
  expect(must(sessions.get("1")) == "token-of-alice", "sessions");
  expect(must(store.default_column_family().get("1")) == "something else", "default");

  for (const auto& name : must(store.list_column_families())) std::cout << name << '\n';
  expect(must(store.list_column_families()).size() == 3, "three families");

  // Emptying a family costs little, however many entries it has, and leaves the others alone.
  must(sessions.clear());
  expect(must(sessions.count()) == 0 && must(users.count()) == 1, "clear");

  // A handle means one family for ever. It does not end up in a new one of the same name.
  must(store.drop_column_family("sessions"));
  auto reborn = must(store.create_column_family("sessions"));
  must(reborn.put("2", "token-of-bob"));
  const auto lost = sessions.get("2");
  expect(!lost && lost.error() == snkv::Errc::dropped, "the old handle is of a dropped family");
  expect(must(reborn.get("2")) == "token-of-bob", "the new family");
}
