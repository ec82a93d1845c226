// What expiry costs those who do not use it, which should be nothing, and those who do: puts and
// gets of a store where no entry expires against one where every entry does.
//
//     ttl_cost [folder] [rounds]     (., 9)
#include "measure.hpp"

namespace {

using benchmark::must;

constexpr std::size_t entries = 100'000;

const std::vector<std::string>& shuffled_keys() {
  static const std::vector<std::string> keys = benchmark::shuffled_keys(entries);
  return keys;
}

void put_all(snkv::Store& store, const snkv::PutOptions& options) {
  static char letter = 'a';
  letter = letter == 'z' ? 'a' : static_cast<char>(letter + 1);
  const std::string value(100, letter);
  std::size_t at = 0;
  while (at < entries) {
    auto transaction = must(store.begin());
    for (int i = 0; i < 10'000; ++i) must(transaction.put(shuffled_keys()[at++], value, options));
    must(transaction.commit());
  }
}

void get_all(snkv::Store& store) {
  for (const std::string& key : shuffled_keys()) {
    if (must(store.get(key)).size() != 100) std::exit(1);
  }
}

/// How many indexes of expiries the file has.
std::int64_t expiry_indexes(const snkv::Store& store) {
  auto rows = must(
      store.sql("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'snkv!_expiry!_%' ESCAPE '!'"));
  for (const auto& row : rows) return row[0].int64();
  std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace std::chrono_literals;
  const std::string place = argc > 1 ? argv[1] : ".";
  const int rounds = argc > 2 ? std::max(7, std::atoi(argv[2])) : 9;
  const benchmark::Folder folder(place);
  std::printf("%zu entries of 100 bytes in %s, %d rounds, medians\n", entries, place.c_str(),
              rounds);

  const snkv::Options options{.sync = snkv::Sync::off, .cache_size = 64u << 20};
  auto without = must(snkv::Store::open(folder.file("without.db"), options));
  auto with = must(snkv::Store::open(folder.file("with.db"), options));
  std::vector<benchmark::Candidate> puts = {
      {"put, no expiry", entries, [&] { put_all(without, {}); }},
      {"put, each expires", entries, [&] { put_all(with, {.ttl = 24h}); }}};
  benchmark::take_turns(puts, rounds);
  benchmark::print(puts, puts.front());
  std::vector<benchmark::Candidate> gets = {{"get, no expiry", entries, [&] { get_all(without); }},
                                            {"get, each expires", entries, [&] { get_all(with); }}};
  benchmark::take_turns(gets, rounds);
  benchmark::print(gets, gets.front());

  std::printf("indexes of expiries in sqlite_schema: %lld without, %lld with\n",
              static_cast<long long>(expiry_indexes(without)),
              static_cast<long long>(expiry_indexes(with)));
  for (const auto* store : {&without, &with}) {
    std::printf("%s: %.1f MiB in use\n", store == &without ? "without" : "with",
                static_cast<double>(must(store->space()).live_bytes) / (1 << 20));
  }
  return expiry_indexes(without) == 0 && expiry_indexes(with) == 1 ? 0 : 1;
}
