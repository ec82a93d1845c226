// Questions to the entries in SQL: a window for reading, on the same file and at the same time.
#include "expect.hpp"

#include <string>

int main() {
  auto store = must(snkv::Store::open("sql.db"));
  auto orders = must(store.column_family("orders"));
  must(orders.put("berlin:1", "30"));
  must(orders.put("berlin:2", "12"));
  must(orders.put("paris:1", "5"));

  // A family is a table of its name. Keys and values are blobs.
  auto rows = must(store.sql(R"(
      SELECT substr(CAST(key AS TEXT), 1, instr(CAST(key AS TEXT), ':') - 1) AS city,
             count(*) AS orders, sum(CAST(CAST(value AS TEXT) AS INTEGER)) AS total
      FROM orders GROUP BY city ORDER BY total DESC)"));
  for (std::size_t i = 0; i < rows.column_count(); ++i) std::cout << rows.column_name(i) << ' ';
  std::cout << '\n';
  std::string result;
  for (const auto& row : rows) {
    std::cout << row[0].text() << ' ' << row[1].int64() << ' ' << row[2].int64() << '\n';
    result += std::string(row[0].text()) + "=" + std::to_string(row[2].int64()) + " ";
  }
  must(rows.status());  // an end, not an error
  expect(result == "berlin=42 paris=5 ", "the sums");

  // Parameters come after the statement; a BytesView is a blob.
  auto count = must(store.sql("SELECT count(*) FROM orders WHERE key >= ? AND value <> ?",
                              snkv::BytesView("berlin:2"), snkv::BytesView("5")));
  for (const auto& row : count) expect(row[0].int64() == 1, "berlin:2");

  // The rows are those of one moment, and a query cannot change anything.
  auto before = must(store.sql("SELECT count(*) FROM orders"));
  must(orders.clear());
  for (const auto& row : before) expect(row[0].int64() == 3, "as it was when asked");
  const auto refused = store.sql("DELETE FROM orders");
  expect(!refused && refused.error() == snkv::Errc::read_only, "not through this window");
  const auto wrong = store.sql("SELECT nonsense");
  expect(!wrong && wrong.error() == snkv::Errc::invalid_argument, "wrong SQL is told");
  std::cout << wrong.error().message() << '\n';
}
