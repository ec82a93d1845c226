// The data of the multi-process test, and what must hold in every state that anybody sees:
// - the balances of all accounts, in two families, add up to the same total;
// - "total" counts the transactions ever committed and equals the sum of the writers' own counters;
// - the note of each writer is the one that its counter says (a large value, rewritten each time).
#pragma once

#include "support/patterned.hpp"

#include <snkv/snkv.hpp>

#include <array>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

namespace snkv::test {

inline constexpr std::uint64_t accounts_per_family = 40;
inline constexpr std::int64_t opening_balance = 1000;
inline constexpr std::array<std::string_view, 2> account_families = {"checking", "savings"};

inline std::string account_key(std::uint64_t account) {
  return "account:" + std::to_string(account);
}
inline std::string writer_key(std::uint64_t writer) { return "writer:" + std::to_string(writer); }
inline std::string note_key(std::uint64_t writer) { return "note:" + std::to_string(writer); }

/// The note of transaction `number`; sometimes large enough for the side table.
inline std::string note(std::uint64_t writer, std::uint64_t number) {
  const std::size_t size = number % 5 == 0 ? 30'000 : number % 200;
  return patterned(size, writer * 1'000'000'007u + number);
}

template <class Number>
[[nodiscard]] Number parse_number(BytesView text) {
  Number number{};
  std::from_chars(text.view().data(), text.view().data() + text.size(), number);
  return number;
}

/// The number under `key`, 0 when there is none.
template <class Number, class Reader>
[[nodiscard]] Result<Number> read_number(const Reader& reader, const std::string& key) {
  auto value = reader.get(key);
  if (value) return parse_number<Number>(*value);
  if (value.error() == Errc::not_found) return Number{};
  return Unexpected(value.error());
}

inline Result<void> open_bank(Store& store) {
  return store.transact([&](Transaction& transaction) -> Result<void> {
    for (const std::string_view name : account_families) {
      auto family = transaction.create_column_family(name);
      if (!family) return Unexpected(family.error());
      for (std::uint64_t account = 0; account < accounts_per_family; ++account) {
        auto written = family->put(account_key(account), std::to_string(opening_balance));
        if (!written) return written;
      }
    }
    return {};
  });
}

/// Moves money between two accounts, perhaps of different families.
template <class Random>
Result<void> move_money(Transaction& transaction, Random& random) {
  const std::int64_t amount = static_cast<std::int64_t>(random.below(100));
  for (const std::int64_t delta : {amount, -amount}) {
    auto family = transaction.open_column_family(account_families[random.below(2)]);
    if (!family) return Unexpected(family.error());
    const std::string key = account_key(random.below(accounts_per_family));
    auto balance = read_number<std::int64_t>(*family, key);
    if (!balance) return Unexpected(balance.error());
    auto written = family->put(key, std::to_string(*balance + delta));
    if (!written) return written;
  }
  return {};
}

/// What one look at the bank showed.
struct Audit {
  std::string wrong;        ///< Empty: all invariants hold.
  std::uint64_t total = 0;  ///< Transactions ever committed.
  std::array<std::uint64_t, 16> writers{};
};

/// Checks all invariants through a snapshot (or a transaction, or a store that nobody writes to).
template <class Reader>
[[nodiscard]] Audit audit(const Reader& reader, std::uint64_t writers) {
  Audit result;
  const auto fail = [&](std::string what) {
    if (result.wrong.empty()) result.wrong = std::move(what);
  };
  std::int64_t sum = 0;
  std::uint64_t accounts = 0;
  for (const std::string_view name : account_families) {
    auto family = [&] {
      if constexpr (requires { reader.open_column_family(name); }) {
        return reader.open_column_family(name);
      } else {
        return reader.column_family(name);
      }
    }();
    if (!family) {
      fail(family.error().message());
      return result;
    }
    auto scan = family->all();
    for (auto [key, value] : scan) {
      sum += parse_number<std::int64_t>(value);
      ++accounts;
    }
    if (!scan.status()) fail(scan.status().error().message());
  }
  if (accounts != 2 * accounts_per_family) fail(std::to_string(accounts) + " accounts");
  const std::int64_t right = static_cast<std::int64_t>(2 * accounts_per_family) * opening_balance;
  if (sum != right) fail("the balances add up to " + std::to_string(sum));

  auto total = read_number<std::uint64_t>(reader, "total");
  if (!total) fail(total.error().message());
  std::uint64_t counted = 0;
  for (std::uint64_t writer = 0; writer < writers; ++writer) {
    auto number = read_number<std::uint64_t>(reader, writer_key(writer));
    if (!number) {
      fail(number.error().message());
      continue;
    }
    result.writers[writer] = *number;
    counted += *number;
    auto text = reader.get(note_key(writer));
    if (*number == 0 ? static_cast<bool>(text) : !text || text->view() != note(writer, *number)) {
      fail("the note of writer " + std::to_string(writer) + " is not number " +
           std::to_string(*number));
    }
  }
  result.total = total.value_or(0);
  if (result.total != counted) {
    fail("total is " + std::to_string(result.total) + ", the writers say " +
         std::to_string(counted));
  }
  return result;
}

}  // namespace snkv::test
