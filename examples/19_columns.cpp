// Arrays that grow in the file: numbers, texts, rows of a matrix, tables.
#include "expect.hpp"

#include <snkv/column.hpp>
#include <snkv/table.hpp>

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

int main() {
  auto store = must(snkv::Store::open("columns.db"));

  // Appending one by one belongs into a transaction; all of its elements appear with the commit.
  auto latency = must(snkv::Column<double>::open(store, "latency_ms"));
  auto transaction = must(store.begin());
  auto inside = latency.in(transaction);
  for (int i = 0; i < 100'000; ++i) must(inside.append(i % 50 * 0.5));
  expect(must(latency.size()) == 0, "nothing to be seen yet");
  must(transaction.commit());
  must(latency.extend(std::vector<double>{1000, 2000}));  // a transaction of its own

  // Elements by number, from either end; slices; and pieces where they lie in the file.
  expect(must(latency.at(3)) == 1.5 && must(latency.at(-1)) == 2000, "from both ends");
  for (const double slow : must(latency.slice(-2))) std::cout << "slow: " << slow << " ms\n";
  double sum = 0;
  auto pieces = latency.chunks();
  for (const std::span<const double> piece : pieces) {
    for (const double x : piece) sum += x;
  }
  must(pieces.status());
  std::cout << "mean of " << must(latency.size()) << ": " << sum / 100'002 << " ms\n";

  // Changes anywhere. An index out of range is an error that says so.
  must(latency.set(0, 7.0));
  must(latency.insert(50'000, 8.0));
  must(latency.erase(-3, snkv::from_end(0)));
  expect(must(latency.size()) == 100'000, "one more, three less");
  const auto missing = latency.at(100'000);
  expect(!missing && missing.error() == snkv::Errc::invalid_argument, "out of range");

  // Texts of any length; rows of numbers, of which a slice is one matrix.
  auto names = must(snkv::Column<std::string>::open(store, "names"));
  must(names.extend(std::vector<std::string>{"alice", "bob"}));
  auto loop = names.all();
  for (const std::string_view name : loop) std::cout << name << '\n';
  auto points = must(snkv::Column<std::array<float, 3>>::open(store, "points"));
  must(points.append({1, 2, 3}));

  // Another type under the same name is refused.
  const auto other = snkv::Column<float>::open(store, "latency_ms");
  expect(!other && other.error() == snkv::Errc::schema_mismatch, "it has doubles");
  std::cout << other.error().message() << '\n';

  // Several columns of one length.
  using Trades = snkv::Table<std::int64_t, double, std::string>;
  auto trades = must(Trades::open(store, "trades", {"time", "price", "symbol"}));
  must(trades.append({1'700'000'000, 12.5, "ABC"}));
  const auto [time, price, symbol] = must(trades.row(-1));
  std::cout << symbol << " at " << time << ": " << price << '\n';

  for (const snkv::ColumnInfo& column : must(snkv::Columns(store).list())) {
    std::cout << column.name << ": " << column.length << " of " << column.type << '\n';
  }
  must(store.verify());
}
