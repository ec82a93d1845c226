// Columns: elements, slices, changes, views, errors.
#include "support/catch.hpp"
#include "support/encrypted.hpp"
#include "support/sqlite_cli.hpp"
#include "support/store_kind.hpp"
#include "support/temp_dir.hpp"

#include <snkv/column.hpp>
#include <snkv/snkv.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <numeric>
#include <ranges>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace snkv;
using namespace snkv::test;

namespace {

template <class T>
std::vector<T> contents(const Column<T>& column) {
  std::vector<T> out;
  auto loop = column.all();
  for (const auto& element : loop) out.push_back(T(element));
  REQUIRE_OK(loop.status());
  return out;
}

std::vector<std::int64_t> numbers(std::size_t count, std::int64_t from = 0) {
  std::vector<std::int64_t> out(count);
  std::iota(out.begin(), out.end(), from);
  return out;
}

std::string text_of(std::size_t i) {
  return "element " + std::to_string(i) + std::string(i % 37, 'x');
}

}  // namespace

TEST_CASE("a column is an array that grows", "[column]") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  auto column = must(Column<std::int64_t>::open(store, "n"));
  REQUIRE(must(column.size()) == 0);
  REQUIRE(contents(column).empty());
  REQUIRE_OK(column.append(7));
  REQUIRE(must(column.extend(numbers(5000))) == 5000);
  REQUIRE(must(column.size()) == 5001);
  REQUIRE(must(column.at(0)) == 7);
  REQUIRE(must(column.at(1)) == 0);
  REQUIRE(must(column.at(-1)) == 4999);
  REQUIRE(must(column.at(from_end(5001))) == 7);
  std::vector<std::int64_t> expected{7};
  std::ranges::copy(numbers(5000), std::back_inserter(expected));
  REQUIRE(contents(column) == expected);
  REQUIRE_OK(store.verify());

  std::vector<std::int64_t> buffer(100);
  REQUIRE(must(column.read(4000, buffer)) == 100);
  REQUIRE(buffer == numbers(100, 3999));
  REQUIRE(must(column.read(-30, buffer)) == 30);
  REQUIRE(must(column.read(5001, buffer)) == 0);
  REQUIRE_ERRC(column.read(5002, buffer), Errc::invalid_argument);
  REQUIRE(must(column.extend(std::vector<std::int64_t>())) == 0);
  // Of a range that is made while it is read, and whose elements have another type.
  REQUIRE(must(column.extend(std::views::iota(0, 300'000))) == 300'000);
  REQUIRE(must(column.at(-1)) == 299'999);
  REQUIRE(must(column.size()) == 305'001);
  REQUIRE_OK(store.verify());
}

TEST_CASE("slices of a column are those of a list", "[column]") {
  Store store = must(Store::open_in_memory());
  auto column = must(Column<std::int64_t>::open(store, "n"));
  auto texts = must(Column<std::string>::open(store, "t"));
  const std::vector<std::int64_t> all = numbers(3000);
  REQUIRE_OK(column.extend(all));
  for (const std::int64_t n : all) REQUIRE_OK(texts.append(std::to_string(n)));
  const auto wanted = [&](std::size_t first, std::size_t last, std::int64_t step) {
    std::vector<std::int64_t> out;
    if (step > 0) {
      for (std::size_t i = first; i < last; i += static_cast<std::size_t>(step))
        out.push_back(all[i]);
    } else {
      for (std::size_t i = last; i-- > first;) {
        if ((last - 1 - i) % static_cast<std::size_t>(-step) == 0) out.push_back(all[i]);
      }
    }
    return out;
  };
  for (const auto& [first, last] :
       {std::pair<std::size_t, std::size_t>{0, 3000}, {17, 2500}, {1015, 1021}, {5, 5}}) {
    for (const std::int64_t step : {1, 2, 7, 1013, 5000, -1, -3, -2000}) {
      CAPTURE(first, last, step);
      const auto expected = wanted(first, last, step);
      REQUIRE(must(column.slice(first, last, step)) == expected);
      std::vector<std::string> expected_texts;
      for (const std::int64_t n : expected) expected_texts.push_back(std::to_string(n));
      REQUIRE(must(texts.slice(first, last, step)) == expected_texts);
    }
  }
  REQUIRE(must(column.slice(-3)) == numbers(3, 2997));
  REQUIRE(must(column.slice(-3, -1)) == numbers(2, 2997));
  REQUIRE(must(column.slice(2990, 99'999)) == numbers(10, 2990));
  REQUIRE(must(column.slice(-99'999, 2)) == numbers(2));
  REQUIRE(must(column.slice(9000)).empty());
  REQUIRE(must(column.slice(20, 10)).empty());
  REQUIRE_ERRC(column.slice(0, 10, 0), Errc::invalid_argument);
  REQUIRE_OK(column.slice(0, 10, std::numeric_limits<std::int64_t>::min()));
}

TEST_CASE("every kind of element comes back as it was", "[column]") {
  const TempDir dir;
  Store store = must(open_store(dir.file("a.db")));
  const auto round_trip = [&]<class T>(const std::vector<T>& elements, const char* type) {
    const std::string name = std::string("c ") + type;
    auto column = must(Column<T>::create(store, name));
    REQUIRE_OK(column.extend(elements));
    for (const T& element : elements) REQUIRE_OK(column.append(element));
    std::vector<T> twice = elements;
    twice.insert(twice.end(), elements.begin(), elements.end());
    REQUIRE(must(column.slice(0)) == twice);
    REQUIRE(contents(column) == twice);
    const auto list = must(Columns(store).list());
    const auto info = std::ranges::find(list, name, &ColumnInfo::name);
    REQUIRE(info != list.end());
    REQUIRE(info->type == type);
    REQUIRE(info->length == twice.size());
  };
  enum class Colour : std::uint16_t { red = 1, green = 0xffff };
  round_trip(std::vector<std::int8_t>{-128, 0, 127}, "i8");
  round_trip(std::vector<std::uint8_t>{0, 255}, "u8");
  round_trip(std::vector<std::int16_t>{-32768, 5}, "i16");
  round_trip(std::vector<std::uint32_t>{0xffffffff, 0}, "u32");
  round_trip(std::vector<std::int64_t>{std::numeric_limits<std::int64_t>::min(), -1}, "i64");
  round_trip(std::vector<std::uint64_t>{~std::uint64_t{0}}, "u64");
  round_trip(std::vector<float>{1.5F, -0.0F, std::numeric_limits<float>::infinity()}, "f32");
  round_trip(std::vector<double>{1.0 / 3, std::numeric_limits<double>::denorm_min()}, "f64");
  round_trip(std::vector<Colour>{Colour::red, Colour::green}, "u16");
  round_trip(std::vector<std::array<float, 3>>{{1, 2, 3}, {4, 5, 6}}, "f32[3]");
  round_trip(std::vector<Fixed<5>>{Fixed<5>{}, Fixed<5>{{std::byte{1}, std::byte{2}}}}, "bytes[5]");
  round_trip(std::vector<std::string>{"", "a", std::string("n\0l", 3), std::string(2026, 'b'),
                                      std::string(2027, 'c'), std::string(8109, 'd'),
                                      std::string(100'000, 'e'), ""},
             "string");
  round_trip(std::vector<Bytes>{Bytes("x"), Bytes(), Bytes(BytesView(std::string(9000, '\xff')))},
             "bytes");
  round_trip(std::vector<std::vector<double>>{{}, {1, 2}, std::vector<double>(5000, 0.25)},
             "f64[]");
  // std::vector<bool> has no spans.
  auto flags = must(Column<bool>::open(store, "flags"));
  for (int i = 0; i < 10; ++i) REQUIRE_OK(flags.append(i % 3 == 0));
  REQUIRE(must(flags.slice(0, 4)) == std::vector<bool>{true, false, false, true});
  REQUIRE(must(flags.at(9)));
  REQUIRE(contents(flags)[6]);
  // A NaN keeps its bits.
  auto doubles = must(Column<double>::open(store, "c f64"));
  REQUIRE_OK(doubles.append(std::nan("7")));
  REQUIRE(std::isnan(must(doubles.at(-1))));
  REQUIRE_OK(store.verify());
}

TEMPLATE_TEST_CASE_SIG("arrays fill pages whatever their size is", "[column]", ((std::size_t N), N),
                       2, 384, 768, 1536, 2500, 5000) {
  using Row = std::array<float, N>;
  const TempDir dir;
  Store store = must(Store::open(dir.file("a.db"), no_sync()));
  auto column = must(Column<Row>::open(store, "rows"));
  constexpr std::size_t count = 8'000'000 / sizeof(Row);
  std::vector<Row> rows(count);
  for (std::size_t i = 0; i < count; ++i) {
    for (std::size_t k = 0; k < N; ++k) rows[i][k] = static_cast<float>(i * 7 + k);
  }
  REQUIRE_OK(column.extend(rows));
  REQUIRE(must(column.slice(0)) == rows);
  std::size_t seen = 0;
  {
    auto chunks = column.chunks();
    for (const std::span<const Row> piece : chunks) {
      REQUIRE(reinterpret_cast<std::uintptr_t>(piece.data()) % alignof(Row) == 0);
      REQUIRE(
          std::equal(piece.begin(), piece.end(), rows.begin() + static_cast<std::ptrdiff_t>(seen)));
      seen += piece.size();
    }
    REQUIRE_OK(chunks.status());
  }
  REQUIRE(seen == count);
  REQUIRE(must(column.at(count / 2)) == rows[count / 2]);
  REQUIRE_OK(column.set(count / 2, rows[0]));
  REQUIRE_OK(column.insert(count / 3, std::span<const Row>(rows.data(), 3)));
  REQUIRE_OK(column.erase(count / 3, count / 3 + 3));
  rows[count / 2] = rows[0];
  REQUIRE(must(column.slice(0)) == rows);
  REQUIRE_OK(store.checkpoint(Checkpoint::truncate));
  REQUIRE_OK(store.vacuum());
  const auto space = must(store.space());
  const auto payload = static_cast<double>(count * sizeof(Row));
  REQUIRE(static_cast<double>(space.file_bytes) < 1.05 * payload);
  REQUIRE_OK(store.verify());
}

TEST_CASE("what is inserted and erased anywhere leaves the rest as it was", "[column]") {
  const TempDir dir;
  Store store = must(open_store(dir.file("a.db"), no_sync()));
  auto column = must(Column<std::int64_t>::open(store, "n"));
  auto texts = must(Column<std::string>::open(store, "t"));
  std::vector<std::int64_t> model = numbers(20'000);
  std::vector<std::string> text_model;
  for (std::size_t i = 0; i < 5000; ++i) text_model.push_back(text_of(i));
  REQUIRE_OK(column.extend(model));
  REQUIRE_OK(texts.extend(text_model));
  const auto same = [&] {
    REQUIRE(must(column.slice(0)) == model);
    REQUIRE(must(texts.slice(0)) == text_model);
    REQUIRE(must(column.size()) == model.size());
    REQUIRE_OK(store.verify());
  };
  same();
  REQUIRE(must(column.stats()).tree_height == 0);
  REQUIRE_OK(column.insert(5, -1));
  model.insert(model.begin() + 5, -1);
  REQUIRE_OK(texts.insert(3000, "new"));
  text_model.insert(text_model.begin() + 3000, "new");
  same();
  REQUIRE(must(column.stats()).tree_height == 1);
  REQUIRE_OK(column.erase(100, 15'000));
  model.erase(model.begin() + 100, model.begin() + 15'000);
  REQUIRE_OK(texts.erase(0, 4000));
  text_model.erase(text_model.begin(), text_model.begin() + 4000);
  same();
  REQUIRE_OK(column.insert(50, numbers(30'000)));
  const auto more = numbers(30'000);
  model.insert(model.begin() + 50, more.begin(), more.end());
  REQUIRE_OK(texts.splice(1, 3, std::vector<std::string>(2000, std::string(50, 'q'))));
  text_model.erase(text_model.begin() + 1, text_model.begin() + 3);
  text_model.insert(text_model.begin() + 1, 2000, std::string(50, 'q'));
  same();
  REQUIRE_OK(column.replace(10, numbers(5000, 77)));
  std::ranges::copy(numbers(5000, 77), model.begin() + 10);
  REQUIRE_OK(texts.replace(1000, std::vector<std::string>(300, std::string(3000, 'z'))));
  std::fill_n(text_model.begin() + 1000, 300, std::string(3000, 'z'));
  same();
  REQUIRE_OK(column.extend(numbers(3000)));
  std::ranges::copy(numbers(3000), std::back_inserter(model));
  REQUIRE_OK(column.resize(model.size() + 9000, 5));
  model.resize(model.size() + 9000, 5);
  REQUIRE_OK(texts.resize(100));
  text_model.resize(100);
  same();
  REQUIRE_OK(texts.resize(50'000, "fill"));
  text_model.resize(50'000, "fill");
  same();
  REQUIRE_OK(column.clear());
  REQUIRE_OK(texts.clear());
  model.clear();
  text_model.clear();
  same();
  REQUIRE_OK(column.append(1));
  REQUIRE_OK(texts.append("1"));
  model.push_back(1);
  text_model.push_back("1");
  same();
}

TEST_CASE("a handle sees the length of its view", "[column]") {
  const auto kind = GENERATE(from_range(all_store_kinds));
  const TempDir dir;
  Store store = open_kind(kind, dir, no_sync());
  auto column = must(Column<double>::open(store, "x"));
  REQUIRE_OK(column.extend(std::vector<double>(1000, 1)));
  auto second = must(Column<double>::open(store, "x"));
  if (kind != StoreKind::rollback) {
    const Snapshot snapshot = must(store.snapshot());
    REQUIRE_OK(second.append(2));
    REQUIRE(must(column.size()) == 1001);
    REQUIRE(must(column.in(snapshot).size()) == 1000);
    REQUIRE(must(column.in(snapshot).at(-1)) == 1);
    REQUIRE_ERRC(column.in(snapshot).at(1000), Errc::invalid_argument);
    REQUIRE_ERRC(column.in(snapshot).append(3), Errc::read_only);
    REQUIRE(contents(column.in(snapshot)).size() == 1000);
  } else {
    REQUIRE_OK(second.append(2));
  }
  {
    Transaction transaction = must(store.begin());
    auto inside = column.in(transaction);
    for (int i = 0; i < 30'000; ++i) REQUIRE_OK(inside.append(i));
    REQUIRE(must(inside.size()) == 31'001);
    REQUIRE(must(inside.at(-1)) == 29'999);
    REQUIRE_OK(inside.append(-5));
    REQUIRE(contents(inside).back() == -5);
    REQUIRE(must(column.size()) == 1001);
    REQUIRE(must(inside.at(1001)) == 0);
  }
  REQUIRE(must(column.size()) == 1001);
  Transaction transaction = must(store.begin());
  auto inside = column.in(transaction);
  REQUIRE_OK(inside.append(10));
  {
    Savepoint savepoint = must(transaction.savepoint());
    REQUIRE_OK(inside.append(11));
    REQUIRE_OK(inside.append(12));
    REQUIRE_OK(savepoint.rollback());
    REQUIRE(must(inside.size()) == 1002);
    REQUIRE_OK(inside.append(13));
    REQUIRE_OK(savepoint.release());
  }
  REQUIRE_OK(inside.append(14));
  REQUIRE_OK(transaction.commit());
  REQUIRE_ERRC(inside.append(15), Errc::closed);
  REQUIRE_ERRC(inside.size(), Errc::closed);
  REQUIRE(must(column.slice(-4)) == std::vector<double>{2, 10, 13, 14});
}

TEST_CASE("a range that fails leaves nothing", "[column]") {
  Store store = must(Store::open_in_memory());
  auto column = must(Column<int>::open(store, "n"));
  auto failing = std::views::iota(0) | std::views::transform([](int i) {
                   if (i == 1'000'000) throw std::runtime_error("enough");
                   return i;
                 });
  REQUIRE_THROWS_AS(column.extend(failing | std::views::take(2'000'000)), std::runtime_error);
  REQUIRE(must(column.size()) == 0);
  Transaction transaction = must(store.begin());
  auto inside = column.in(transaction);
  REQUIRE_OK(inside.append(1));
  REQUIRE_THROWS_AS(inside.extend(failing | std::views::take(2'000'000)), std::runtime_error);
  REQUIRE(must(inside.size()) == 1);
  REQUIRE_OK(inside.append(2));
  REQUIRE_OK(transaction.commit());
  REQUIRE(must(column.slice(0)) == std::vector<int>{1, 2});
}

TEST_CASE("columns are listed, renamed and dropped", "[column]") {
  const TempDir dir;
  Store store = must(open_store(dir.file("a.db")));
  REQUIRE(must(Columns(store).list()).empty());
  REQUIRE_ERRC(Columns(store).drop("x"), Errc::not_found);
  REQUIRE_ERRC(Column<int>::open_existing(store, "x"), Errc::not_found);
  auto x = must(Column<int>::create(store, "x"));
  REQUIRE_ERRC(Column<int>::create(store, "x"), Errc::exists);
  auto y = must(Column<std::string>::create(store, "y"));
  REQUIRE_OK(x.extend(std::vector<int>{1, 2, 3}));
  REQUIRE_OK(y.append("abc"));
  auto list = must(Columns(store).list());
  REQUIRE(list.size() == 2);
  REQUIRE(list[0].name == "x");
  REQUIRE(list[0].bytes == 12);
  REQUIRE(list[1].type == "string");
  REQUIRE(list[1].bytes == 3);
  REQUIRE(must(store.list_column_families()) == std::vector<std::string>{"default"});
  REQUIRE_ERRC(Columns(store).rename("x", "y"), Errc::exists);
  REQUIRE_ERRC(Columns(store).rename("q", "z"), Errc::not_found);
  REQUIRE_OK(Columns(store).rename("x", "z"));
  REQUIRE_OK(x.append(4));
  REQUIRE(must(must(Column<int>::open_existing(store, "z")).size()) == 4);
  REQUIRE_OK(Columns(store).drop("z"));
  REQUIRE_ERRC(x.append(5), Errc::dropped);
  REQUIRE_ERRC(x.size(), Errc::dropped);
  auto again = must(Column<int>::create(store, "z"));
  REQUIRE_ERRC(x.at(0), Errc::dropped);
  REQUIRE(must(again.size()) == 0);
  {
    Transaction transaction = must(store.begin());
    auto made = must(Column<float>::create(transaction, "made"));
    REQUIRE_OK(made.append(1));
    REQUIRE_OK(Columns(transaction).drop("y"));
    REQUIRE(must(Columns(transaction).list()).size() == 2);
    REQUIRE(must(Columns(store).list()).size() == 2);
    REQUIRE_ERRC(y.in(transaction).append("z"), Errc::dropped);
  }
  REQUIRE_ERRC(Column<float>::open_existing(store, "made"), Errc::not_found);
  REQUIRE(must(y.at(0)) == "abc");
  for (const std::string& bad :
       {std::string(), std::string("a\0b", 3), std::string("\xff"), std::string(256, 'a')}) {
    REQUIRE_ERRC(Column<int>::open(store, bad), Errc::invalid_argument);
    REQUIRE_ERRC(Columns(store).drop(bad), Errc::invalid_argument);
    REQUIRE_ERRC(Columns(store).rename("y", bad), Errc::invalid_argument);
  }
  REQUIRE_OK(store.verify());
}

TEST_CASE("errors name the column, and change nothing", "[column]") {
  Store store = must(Store::open_in_memory());
  auto column = must(Column<std::int32_t>::open(store, "latency"));
  REQUIRE_OK(column.extend(std::vector<std::int32_t>{1, 2, 3}));
  const auto names = [](const auto& result, std::string_view what) {
    REQUIRE(!result);
    CAPTURE(result.error().message());
    REQUIRE(result.error() == Errc::invalid_argument);
    REQUIRE(result.error().message().find("'latency'") != std::string::npos);
    REQUIRE(result.error().message().find(what) != std::string::npos);
  };
  names(column.at(3), "3");
  names(column.at(-4), "-4");
  names(column.set(3, 0), "3");
  names(column.replace(2, std::vector<std::int32_t>{1, 2}), "2 to 3");
  names(column.insert(4, 0), "4");
  names(column.erase(1, 4), "4");
  names(column.erase(2, 1), "behind");
  const auto other = Column<std::uint32_t>::open(store, "latency");
  REQUIRE_ERRC(other, Errc::schema_mismatch);
  REQUIRE(other.error().message().find("'i32'") != std::string::npos);
  REQUIRE(other.error().message().find("'u32'") != std::string::npos);
  REQUIRE_ERRC(Column<std::string>::open(store, "latency"), Errc::schema_mismatch);
  REQUIRE_ERRC(column.resize(std::uint64_t{1} << 62), Errc::too_large);
  Column<std::int32_t> nothing;
  REQUIRE_ERRC(nothing.size(), Errc::closed);
  REQUIRE_ERRC(nothing.append(1), Errc::closed);
  REQUIRE_ERRC(nothing.extend(std::vector<std::int32_t>{1}), Errc::closed);
  REQUIRE(contents(column) == std::vector<std::int32_t>{1, 2, 3});
  auto empty = nothing.all();
  REQUIRE(empty.begin() == empty.end());
  REQUIRE_ERRC(empty.status(), Errc::closed);
}

TEST_CASE("columns are sealed, and what was moved or changed is noticed", "[column]") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  const Secret secret = test_secret();
  const EncryptionOptions cheap;
  std::vector<std::int64_t> model = numbers(50'000);
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < 3000; ++i) texts.push_back(text_of(i));
  texts[7] = std::string(30'000, 'L');
  const auto same = [&](Store& store) {
    auto n = must(Column<std::int64_t>::open_existing(store, "n"));
    auto t = must(Column<std::string>::open_existing(store, "t"));
    REQUIRE(must(n.slice(0)) == model);
    REQUIRE(contents(t) == texts);
    REQUIRE_OK(store.verify());
  };
  {
    Store store = must(Store::open(path, no_sync()));
    auto n = must(Column<std::int64_t>::open(store, "n"));
    auto t = must(Column<std::string>::open(store, "t"));
    REQUIRE_OK(n.extend(model));
    REQUIRE_OK(t.extend(texts));
    REQUIRE_OK(n.insert(3, 9));
    model.insert(model.begin() + 3, 9);
  }
  REQUIRE_OK(Store::encrypt_existing(path, secret, {}, cheap));
  {
    Store store = must(Store::open_encrypted(path, secret, no_sync(), cheap));
    same(store);
    REQUIRE_OK(store.rotate_key(secret, {}, cheap));
    same(store);
    auto n = must(Column<std::int64_t>::open_existing(store, "n"));
    REQUIRE_OK(n.append(1));
    model.push_back(1);
    REQUIRE_OK(store.backup(dir.file("b.db")));
    REQUIRE_OK(store.compact());
    same(store);
  }
  {
    Store copy = must(Store::open_encrypted(dir.file("b.db"), secret, no_sync(), cheap));
    same(copy);
  }
  // Two rows change places.
  const std::string table =
      sqlite_cli(dir.file("b.db"),
                 "SELECT name FROM sqlite_schema WHERE name LIKE 'snkv_large%' ORDER BY 1 LIMIT 1");
  sqlite_cli(dir.file("b.db"), "UPDATE " + table + " SET data = (SELECT data FROM " + table +
                                   " AS other WHERE other.id = CASE " + table +
                                   ".id WHEN 4 THEN 5 ELSE 4 END) WHERE id IN (4, 5)");
  {
    Store copy = must(Store::open_encrypted(dir.file("b.db"), secret, no_sync(), cheap));
    auto n = must(Column<std::int64_t>::open_existing(copy, "n"));
    REQUIRE_ERRC(n.slice(0), Errc::tampered);
    REQUIRE_ERRC(copy.verify(), Errc::tampered);
  }
  REQUIRE_OK(Store::remove_encryption(path, secret, {}, cheap));
  Store store = must(Store::open(path, no_sync()));
  same(store);
}

TEST_CASE("a damaged chunk is told with its column and its elements", "[column]") {
  const TempDir dir;
  const std::string path = dir.file("a.db");
  {
    Store store = must(Store::open(path, no_sync()));
    auto n = must(Column<std::int64_t>::open(store, "numbers"));
    auto t = must(Column<std::string>::open(store, "texts"));
    REQUIRE_OK(n.extend(numbers(20'000)));
    std::vector<std::string> texts(3000, std::string(40, 't'));
    texts[100] = std::string(20'000, 'L');
    REQUIRE_OK(t.extend(texts));
    REQUIRE_OK(t.insert(5, "five"));
  }
  const std::string numbers_table = sqlite_cli(
      path, "SELECT name FROM sqlite_schema WHERE name LIKE 'snkv_large%' ORDER BY rowid LIMIT 1");
  const std::string texts_table = sqlite_cli(
      path,
      "SELECT name FROM sqlite_schema WHERE name LIKE 'snkv_large%' ORDER BY rowid DESC LIMIT 1");
  const auto damaged = [&](const std::string& sql, std::string_view column) {
    CAPTURE(sql);
    const std::string copy = dir.file("copy.db");
    std::filesystem::remove(copy);
    std::filesystem::copy_file(path, copy);
    sqlite_cli(copy, sql);
    Store store = must(Store::open(copy, no_sync()));
    const auto verified = store.verify();
    REQUIRE_ERRC(verified, Errc::corrupt);
    CAPTURE(verified.error().message());
    REQUIRE(verified.error().message().find(column) != std::string::npos);
    auto n = must(Column<std::int64_t>::open_existing(store, "numbers"));
    auto t = must(Column<std::string>::open_existing(store, "texts"));
    // Reading fails, or gives something: it must not do anything else.
    const auto all = n.slice(0);
    const auto all_texts = t.slice(0);
    auto loop = t.all();
    std::size_t bytes = 0;
    for (const std::string_view text : loop) bytes += text.size();
    static_cast<void>(bytes);
    static_cast<void>(loop.status());
    static_cast<void>(n.insert(9000, 1));
    static_cast<void>(t.erase(0, 2000));
    static_cast<void>(n.erase(10, 19'000));
  };
  for (const char* what :
       {"DELETE FROM {} WHERE id = 3", "UPDATE {} SET data = x'00' WHERE id = 3",
        "UPDATE {} SET data = zeroblob(8109) WHERE id = 5", "DELETE FROM {}",
        "UPDATE {} SET data = randomblob(8109) WHERE id = 5",
        "UPDATE {} SET data = randomblob(4096)", "INSERT INTO {} VALUES(999999, x'01')",
        "UPDATE {} SET data = zeroblob(20000) WHERE id = 3",
        "UPDATE {} SET data = x'ffffffff' WHERE id > 0",
        "UPDATE {} SET data = (SELECT max(data) FROM {})"}) {
    const auto with = [&](const std::string& table) {
      std::string sql = what;
      for (std::size_t at; (at = sql.find("{}")) != std::string::npos;) sql.replace(at, 2, table);
      return sql;
    };
    const std::string sql = what;
    if (sql.find("zeroblob(8109) WHERE id = 5") == std::string::npos &&
        sql.find("randomblob(8109)") == std::string::npos &&
        sql.find("max(data)") == std::string::npos) {
      damaged(with(numbers_table), "'numbers'");
    }
    damaged(with(texts_table), "'texts'");
  }
}

TEST_CASE("readers and a writer of a column at once", "[column]") {
  const TempDir dir;
  Store store = must(open_store(dir.file("a.db"), no_sync()));
  auto column = must(Column<std::int64_t>::open(store, "n"));
  std::vector<std::string> complaints(3);
  std::atomic<bool> done{false};
  std::vector<std::thread> readers;
  for (std::string& complaint : complaints) {
    readers.emplace_back([&] {
      while (!done) {
        // Batches of 700 that count up: whatever is seen is whole.
        std::int64_t expected = 0;
        auto loop = column.all();
        for (const std::int64_t n : loop) {
          if (n != expected++) complaint = "a torn batch";
        }
        if (expected % 700 != 0) complaint = "a part of a batch";
        if (!loop.status()) complaint = loop.status().error().message();
      }
    });
  }
  for (std::int64_t batch = 0; batch < 60; ++batch) {
    const auto added = column.extend(numbers(700, batch * 700));
    if (!added) complaints[0] = added.error().message();
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  for (const std::string& complaint : complaints) REQUIRE(complaint == "");
}
