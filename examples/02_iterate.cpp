// Walks over entries: all of them, a prefix, a key range, backwards, and by hand.
#include "expect.hpp"

#include <string>

namespace {

/// The keys of a scan, joined. A scan ends at its end or at an error: `status` tells which.
std::string keys(snkv::Range scan) {
  std::string out;
  for (auto [key, value] : scan) out += key.str() + " ";
  must(scan.status());
  return out;
}

}  // namespace

int main() {
  auto store = must(snkv::Store::open("iterate.db"));
  for (const char* key : {"plum", "apple", "cherry", "pear", "fig"}) must(store.put(key, "1 kg"));

  // Keys are ordered as bytes, whatever the order they came in.
  expect(keys(store.all()) == "apple cherry fig pear plum ", "all");
  expect(keys(store.all().reversed()) == "plum pear fig cherry apple ", "all, backwards");
  expect(keys(store.prefix("p")) == "pear plum ", "prefix");

  // A range has its low end, and not its high end.
  expect(keys(store.range("cherry", "pear")) == "cherry fig ", "range");
  expect(keys(store.range("cherry", "pear").reversed()) == "fig cherry ", "range, backwards");

  // keys_only() saves reading the values, which matters when they are large.
  for (auto scan = store.all().keys_only(); auto [key, value] : scan) {
    expect(value.empty(), "no value was read");
  }

  // An iterator goes where it is told. Its views of key and value live until it moves.
  snkv::Iterator it = store.iterator();
  it.seek("d");  // the first key that is not smaller
  expect(it.valid() && it.key() == "fig", "seek");
  it.prev();
  expect(it.valid() && it.key() == "cherry" && it.value() == "1 kg", "prev");
  it.seek_for_prev("d");  // the last key that is not larger
  expect(it.valid() && it.key() == "cherry", "seek_for_prev");
  it.seek_last();
  it.next();
  expect(!it.valid(), "past the end");
  must(it.status());  // an end, not an error

  // An iterator of a prefix or a range never leaves it.
  it = store.prefix("p").manual();
  it.seek("a");
  expect(it.valid() && it.key() == "pear", "seek inside a prefix");

  // A scan sees the entries of the moment it began, so the loop may write.
  for (auto scan = store.all(); auto [key, value] : scan) {
    must(store.put("dried " + key.str(), "100 g"));
  }
  std::cout << must(store.count()) << " entries: " << keys(store.all()) << '\n';
  expect(must(store.count()) == 10, "each entry was seen once");
}
