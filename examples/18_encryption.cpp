// Secrets in a file: what opens an encrypted store, what does not, and how that is changed.
#include "expect.hpp"

#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

namespace {

using snkv::Errc;
using snkv::Secret;
using snkv::Store;

/// Whether the text can be read in the file.
bool can_read(const char* path, std::string_view text) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  return bytes.find(text) != std::string::npos;
}

}  // namespace

int main() {
  // Made with a password, a store has no value in its file that anybody could read. Keys can be read.
  {
    auto store = must(Store::open_encrypted("notes.db", Secret::password("correct horse")));
    must(store.put("note:1", "the code of the safe is 1234"));
    auto drafts = must(store.column_family("drafts"));
    must(drafts.put("note:2", "all families are encrypted"));
  }
  expect(!can_read("notes.db", "1234"), "the value is in the file");
  expect(can_read("notes.db", "note:1"), "the key is not in the file");

  // Another password does not open it, nor does none. What is typed wrong never encrypts anything.
  expect(Store::open("notes.db").error() == Errc::auth_failed, "opened without a password");
  expect(Store::open_encrypted("notes.db", Secret::password("corect horse")).error() ==
             Errc::auth_failed,
         "opened with a wrong password");
  expect(must(Store::is_encrypted("notes.db")), "is_encrypted");

  // A change of the password writes one row. `password_from` also overwrites what was typed.
  std::string typed = "battery staple";
  const Secret next = Secret::password_from(typed);
  {
    auto store = must(Store::open_encrypted("notes.db", Secret::password("correct horse")));
    must(store.change_password(Secret::password("correct horse"), next));
    std::cout << must(store.get("note:1")) << '\n';
    // And a new key for what is stored: for when somebody knew the password and has a copy of the file.
    must(store.rotate_key(next));
    must(store.verify());
  }
  expect(Store::open_encrypted("notes.db", Secret::password("correct horse")).error() ==
             Errc::auth_failed,
         "the old password");
  std::cout << must(must(Store::open_encrypted("notes.db", next)).get("note:1")) << '\n';

  // A store that is there is encrypted by a call of its own, while nobody has it open. A raw key of 32
  // random bytes, from a key store of the platform, takes no time.
  {
    auto store = must(Store::open("plain.db"));
    must(store.put("note:3", "for everybody"));
  }
  expect(can_read("plain.db", "for everybody"), "not in the file");
  const Secret key = Secret::key(std::string(Secret::key_size, 'k'));
  expect(Store::open_encrypted("plain.db", key).error() == Errc::invalid_argument, "it was encrypted");
  must(Store::encrypt_existing("plain.db", key));
  expect(!can_read("plain.db", "for everybody"), "still in the file");
  std::cout << must(must(Store::open_encrypted("plain.db", key)).get("note:3")) << '\n';
  must(Store::remove_encryption("plain.db", key));
  std::cout << must(must(Store::open("plain.db")).get("note:3")) << '\n';
}
