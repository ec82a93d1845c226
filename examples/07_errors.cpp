// How errors look. Nothing throws: a call returns a value or an error, and both must be looked at.
#include "expect.hpp"

#include <fstream>
#include <string>

namespace {

using snkv::Errc;

/// Shows the error of a call that has to fail with `code`.
template <class T>
void refused(const snkv::Result<T>& result, Errc code) {
  expect(!result, "the call should have failed");
  std::cout << snkv::to_string(result.error().code()) << " -- " << result.error().message() << '\n';
  expect(result.error() == code, snkv::to_string(code));
}

}  // namespace

int main() {
  auto store = must(snkv::Store::open("errors.db"));

  // A missing key is an error of `get`, and an answer of `contains` and `erase`.
  refused(store.get("nobody"), Errc::not_found);
  expect(!must(store.contains("nobody")), "contains");
  expect(!must(store.erase("nobody")), "erase");

  // Arguments are checked before anything happens.
  refused(store.put("", "value"), Errc::invalid_argument);
  refused(store.put(std::string(snkv::max_key_size + 1, 'k'), "value"), Errc::too_large);
  refused(store.create_column_family("snkv_mine"), Errc::invalid_argument);
  refused(store.open_column_family("no such family"), Errc::not_found);

  // Files that cannot be opened, or are no stores.
  std::ofstream("letter.txt") << "Dear Sir or Madam, this is no database.";
  refused(snkv::Store::open("."), Errc::cant_open);
  refused(snkv::Store::open("letter.txt"), Errc::not_a_store);
  refused(snkv::Store::open("nowhere.db", {.create_if_missing = false}), Errc::cant_open);

  // A transaction that another thread, or another process, does not end in time. One thread cannot
  // wait for itself: it is told so at once.
  {
    auto other = must(snkv::Store::open("errors.db", {.busy_timeout = std::chrono::seconds(0)}));
    auto transaction = must(store.begin());
    refused(other.put("k", "v"), Errc::busy);
    refused(store.begin(), Errc::locked);
    must(transaction.commit());
    refused(transaction.commit(), Errc::closed);
  }

  // An Errc is a std::error_code, for code that has one error type for everything.
  const std::error_code code = Errc::busy;
  expect(code.category().name() == std::string("snkv"), "category");
  std::cout << "std::error_code: " << code << ", " << code.message() << '\n';

  // After all this the store is as usable as before.
  must(store.put("key", "value"));
}
