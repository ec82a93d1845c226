// Several columns of one length.
#include "support/catch.hpp"
#include "support/encrypted.hpp"
#include "support/store_kind.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>
#include <snkv/table.hpp>

#include <string>
#include <tuple>
#include <vector>

using namespace snkv;
using namespace snkv::test;

namespace {

using Trades = Table<std::int64_t, double, std::string>;
constexpr Trades::Names fields{"time", "price", "symbol"};

}  // namespace

TEST_CASE("a table is appended to and read by row", "[table]") {
  const TempDir dir;
  Store store = must(open_store(dir.file("a.db"), no_sync()));
  Trades trades = must(Trades::open(store, "trades", fields));
  REQUIRE(must(trades.size()) == 0);
  REQUIRE_OK(trades.append({1, 0.5, "A"}));
  std::vector<Trades::Row> rows;
  for (int i = 2; i < 5000; ++i) rows.emplace_back(i, i * 0.5, "symbol " + std::to_string(i));
  REQUIRE(must(trades.extend(rows)) == rows.size());
  REQUIRE(must(trades.size()) == 4999);
  REQUIRE(must(trades.row(-1)) == rows.back());
  REQUIRE(must(trades.rows(1)) == rows);
  REQUIRE(must(trades.rows(-2)) == std::vector<Trades::Row>(rows.end() - 2, rows.end()));
  REQUIRE_ERRC(trades.row(4999), Errc::invalid_argument);
  REQUIRE_OK(trades.erase(0, 1));
  REQUIRE(must(trades.rows()) == rows);
  REQUIRE(must(trades.column<1>().at(0)) == 1.0);
  {
    Transaction transaction = must(store.begin());
    Trades inside = trades.in(transaction);
    REQUIRE_OK(inside.append({7, 7, "7"}));
    REQUIRE(must(inside.size()) == 4999);
    REQUIRE(must(trades.size()) == 4998);
  }
  REQUIRE(must(trades.size()) == 4998);
  const Snapshot snapshot = must(store.snapshot());
  REQUIRE_OK(trades.append({8, 8, "8"}));
  REQUIRE(must(trades.in(snapshot).size()) == 4998);
  REQUIRE(must(must(Trades::open(store, "trades", fields)).size()) == 4999);
}

TEST_CASE("columns of different lengths are no table", "[table]") {
  Store store = must(Store::open_in_memory());
  Trades trades = must(Trades::open(store, "t", fields));
  REQUIRE_OK(trades.append({1, 1, "1"}));
  auto price = must(Column<double>::open_existing(store, "t.price"));
  REQUIRE_OK(price.append(3));
  const auto size = trades.size();
  REQUIRE_ERRC(size, Errc::schema_mismatch);
  REQUIRE(size.error().message().find("t.price has 2") != std::string::npos);
  REQUIRE_ERRC(trades.rows(), Errc::schema_mismatch);
  REQUIRE_ERRC(trades.append({2, 2, "2"}), Errc::schema_mismatch);
  REQUIRE(must(price.size()) == 2);
  REQUIRE_OK(price.erase(-1, from_end(0)));
  REQUIRE_OK(trades.append({2, 2, "2"}));
  using Other = Table<std::int64_t, float, std::string>;
  REQUIRE_ERRC(Other::open(store, "t", fields), Errc::schema_mismatch);
  REQUIRE_ERRC(Trades().size(), Errc::closed);
}
