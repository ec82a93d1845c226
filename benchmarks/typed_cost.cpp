// What types cost: a `TypedFamily` against the same entries with keys that the caller has encoded.
//
//     typed_cost [folder] [rounds]     (., 9)
#include "measure.hpp"

#include <snkv/typed.hpp>

#include <array>
#include <cstdint>
#include <cstdlib>

namespace {

using benchmark::must;
using Numbers = snkv::TypedFamily<std::uint64_t, std::string>;

constexpr std::size_t entries = 200'000;

const std::vector<std::uint64_t>& shuffled_numbers() {
  static const std::vector<std::uint64_t> numbers = [] {
    std::vector<std::uint64_t> out;
    for (std::uint64_t i = 0; i < entries; ++i) out.push_back(i * 1'000'003);
    std::shuffle(out.begin(), out.end(), std::mt19937(1));
    return out;
  }();
  return numbers;
}

/// As a program without codecs would.
std::array<unsigned char, 8> big_endian(std::uint64_t number) {
  std::array<unsigned char, 8> out{};
  for (std::size_t i = 8; i-- > 0; number >>= 8) out[i] = static_cast<unsigned char>(number & 0xff);
  return out;
}

std::string new_value() {
  static char letter = 'a';
  letter = letter == 'z' ? 'a' : static_cast<char>(letter + 1);
  return std::string(100, letter);
}

/// Puts all, `put(transaction's family, number, value)`, in transactions of 10 000.
template <class Put>
void put_all(snkv::Store& store, Put&& put) {
  const std::string value = new_value();
  for (std::size_t at = 0; at < entries;) {
    auto transaction = must(store.begin());
    const std::size_t end = at + 10'000;
    put(transaction, at, end, value);
    at = end;
    must(transaction.commit());
  }
}

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "typed_cost: %s\n", what);
  std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string place = argc > 1 ? argv[1] : ".";
  const int rounds = argc > 2 ? std::max(7, std::atoi(argv[2])) : 9;
  const benchmark::Folder folder(place);
  std::printf("%zu entries of 8 + 100 bytes in %s, %d rounds, medians\n", entries, place.c_str(),
              rounds);

  const snkv::Options options{.sync = snkv::Sync::off, .cache_size = 64u << 20};
  auto store = must(snkv::Store::open(folder.file("typed.db"), options));
  auto raw = must(store.column_family("raw"));
  auto typed = must(Numbers::open(store, "typed"));

  std::vector<benchmark::Candidate> puts = {
      {"put, raw", entries,
       [&] {
         put_all(store, [&](snkv::Transaction& transaction, std::size_t at, std::size_t end,
                            const std::string& value) {
           auto family = must(transaction.column_family(raw));
           for (; at < end; ++at) must(family.put(big_endian(shuffled_numbers()[at]), value));
         });
       }},
      {"put, typed", entries, [&] {
         put_all(store, [&](snkv::Transaction& transaction, std::size_t at, std::size_t end,
                            const std::string& value) {
           auto family = must(typed.in(transaction));
           for (; at < end; ++at) must(family.put(shuffled_numbers()[at], value));
         });
       }}};
  benchmark::take_turns(puts, rounds);
  benchmark::print(puts, puts.front());

  std::vector<benchmark::Candidate> gets = {
      {"get, raw", entries,
       [&] {
         for (const std::uint64_t number : shuffled_numbers()) {
           if (must(raw.get(big_endian(number))).str().size() != 100) fail("a value is not there");
         }
       }},
      {"get, typed", entries, [&] {
         for (const std::uint64_t number : shuffled_numbers()) {
           if (must(typed.get(number)).size() != 100) fail("a value is not there");
         }
       }}};
  benchmark::take_turns(gets, rounds);
  benchmark::print(gets, gets.front());

  // Both make a number and a string of each entry.
  std::uint64_t sums[2] = {};
  std::vector<benchmark::Candidate> scans = {{"scan, raw", entries,
                                              [&] {
                                                sums[0] = 0;
                                                for (auto [key, value] : raw.all()) {
                                                  std::uint64_t number = 0;
                                                  for (const std::byte byte : key)
                                                    number = number << 8 |
                                                             static_cast<std::uint64_t>(byte);
                                                  sums[0] += number + value.str().size();
                                                }
                                              }},
                                             {"scan, typed", entries, [&] {
                                                sums[1] = 0;
                                                for (const auto& [key, value] : typed.all())
                                                  sums[1] += key + value.size();
                                              }}};
  benchmark::take_turns(scans, rounds);
  benchmark::print(scans, scans.front());
  if (sums[0] != sums[1]) fail("the scans differ");
  return 0;
}
