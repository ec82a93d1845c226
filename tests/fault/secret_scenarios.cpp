// Encrypted stores, and changing what opens a store: each time the old secret opens it or the new one does,
// and the handle that is open goes on with the keys that are in the file.
#include "fault/run.hpp"

#include "support/patterned.hpp"

namespace snkv::test {
namespace {

const std::string small(60, 's');
const std::string large = patterned(30'000, 9);

void put_after(Run& run) {
  run.wrote(run.store.put("after", small), [](Model& m) { m["default"]["after"] = {small}; });
}

void use_sealed(Run& run) {
  const auto put = run.store.put("large1", large);
  const bool known = run.wrote(put, [](Model& m) { m["default"]["large1"] = {large}; });
  const auto value = run.store.get("key003");
  if (run.ok(value)) {
    const BytesView view(*value);
    run.expect(run.plausible("default", "key003", &view), "get gave a wrong value");
  }
  // A put that failed may have been final all the same; what a scan finds is not known then.
  if (known) {
    Range all = run.store.all();
    run.scan(all, run.state().at("default"), false);
  }
  put_after(run);
}

void change_password(Run& run) {
  const auto result = run.store.change_password(test_key('a'), test_key('b'));
  run.changed_secret(result, 'b');
  put_after(run);
}

void change_password_wrong(Run& run) {
  const auto result = run.store.change_password(test_key('x'), test_key('b'));
  run.expect(!result, "a wrong secret changed it");
  run.ok(result, Errc::auth_failed);
  put_after(run);
}

void rotate_key(Run& run) {
  run.ok(run.store.rotate_key(test_key('a')));
  put_after(run);
  const auto value = run.store.get("large1");
  if (run.ok(value)) {
    const BytesView view(*value);
    run.expect(run.plausible("default", "large1", &view), "get gave a wrong value");
  }
}

void rotate_key_aborted(Run& run) {
  int calls = 0;
  const auto result = run.store.rotate_key(test_key('a'), [&](auto, auto) { return ++calls < 2; });
  run.ok(result, Errc::aborted);
  put_after(run);
}

void encrypt_existing(Run& run) {
  run.changed_secret(Store::encrypt_existing(run.path, test_key('a')), 'a');
}

void remove_encryption(Run& run) {
  run.changed_secret(Store::remove_encryption(run.path, test_key('a')), Run::no_secret);
}

void open_sealed(Run& run) {
  const auto asked = Store::is_encrypted(run.path);
  if (run.ok(asked)) run.expect(*asked, "it says that it is not encrypted");
  auto opened = Store::open_encrypted(run.path, test_key('a'), run.options);
  if (!run.ok(opened)) return;
  run.store = *opened;
  put_after(run);
}

/// Opening a store of an older version binds its names, or leaves it as it was.
void take_over(Run& run) {
  auto opened = Store::open_encrypted(run.path, test_key('k'), run.options);
  if (!run.ok(opened)) return;
  run.store = *opened;
  put_after(run);
}

void open_wrong(Run& run) {
  const auto opened = Store::open_encrypted(run.path, test_key('x'), run.options);
  run.expect(!opened, "a wrong secret opens it");
  run.ok(opened, Errc::auth_failed);
}

void create_sealed(Run& run) {
  auto opened = Store::open_encrypted(run.path, test_key('a'), run.options);
  run.changed_secret(opened, 'a');
  if (!opened) return;
  run.store = *opened;
  put_after(run);
}

}  // namespace

std::vector<Scenario> secret_scenarios() {
  return {
      {"sealed_use", "sealed", use_sealed},
      {"sealed_use_rollback", "sealed rollback", use_sealed},
      {"sealed_open", "sealed", open_sealed, true},
      {"sealed_open_wrong", "sealed", open_wrong, true},
      {"sealed_take_over", "sealed 2", take_over, true},
      {"sealed_take_over_rollback", "sealed 2 rollback", take_over, true},
      {"sealed_create", "nothing", create_sealed, true},
      {"change_password", "sealed", change_password},
      {"change_password_rollback", "sealed rollback", change_password},
      {"change_password_wrong", "sealed", change_password_wrong},
      {"rotate_key", "sealed", rotate_key},
      {"rotate_key_rollback", "sealed rollback", rotate_key},
      {"rotate_key_aborted", "sealed", rotate_key_aborted},
      {"encrypt_existing", "wal", encrypt_existing, true},
      {"encrypt_existing_rollback", "rollback", encrypt_existing, true},
      {"encrypt_existing_hot_log", "hot log", encrypt_existing, true},
      {"remove_encryption", "sealed", remove_encryption, true},
      {"remove_encryption_rollback", "sealed rollback", remove_encryption, true},
  };
}

}  // namespace snkv::test
