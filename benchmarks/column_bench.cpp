// Columns against what one would do without them: chunks of 1 MB as blobs of a table, written and
// read through libsqlite3's own interface; rows of a table; std::vector, for scale.
//
//     column_bench [folder] [rounds] [million elements]     (., 5, 10)
#include "measure.hpp"

#include <snkv/column.hpp>

#include <sqlite3.h>

#include <cstdint>
#include <cstring>
#include <numeric>
#include <span>

namespace {

using benchmark::must;

constexpr std::size_t blob_elements = (1u << 20) / sizeof(std::int64_t);

void check(int rc, sqlite3* db) {
  if (rc == SQLITE_OK || rc == SQLITE_DONE || rc == SQLITE_ROW) return;
  std::cerr << sqlite3_errmsg(db) << '\n';
  std::exit(1);
}

/// A database with the pragmas of the rival store.
class Database {
 public:
  explicit Database(const std::string& path) {
    check(sqlite3_open(path.c_str(), &db_), db_);
    run("PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
        "PRAGMA cache_size=-65536; PRAGMA mmap_size=4000000000");
  }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  ~Database() { sqlite3_close(db_); }
  void run(const char* sql) { check(sqlite3_exec(db_, sql, nullptr, nullptr, nullptr), db_); }
  [[nodiscard]] sqlite3* get() const noexcept { return db_; }
  [[nodiscard]] sqlite3_stmt* prepare(const char* sql) {
    sqlite3_stmt* out = nullptr;
    check(sqlite3_prepare_v2(db_, sql, -1, &out, nullptr), db_);
    return out;
  }

 private:
  sqlite3* db_ = nullptr;
};

/// All elements in one transaction, as blobs of 1 MB.
void extend_blobs(Database& db, std::span<const std::int64_t> elements) {
  db.run("DROP TABLE IF EXISTS b; CREATE TABLE b(id INTEGER PRIMARY KEY, data BLOB); BEGIN");
  sqlite3_stmt* insert = db.prepare("INSERT INTO b VALUES(?, ?)");
  for (std::size_t at = 0; at < elements.size(); at += blob_elements) {
    const std::size_t amount = std::min(blob_elements, elements.size() - at);
    sqlite3_bind_int64(insert, 1, static_cast<sqlite3_int64>(at / blob_elements));
    sqlite3_bind_blob64(insert, 2, elements.data() + at, amount * sizeof(std::int64_t),
                        SQLITE_STATIC);
    check(sqlite3_step(insert), db.get());
    sqlite3_reset(insert);
  }
  sqlite3_finalize(insert);
  db.run("COMMIT");
}

template <class T>
void extend_column(snkv::Store& store, const char* name, std::span<const T> elements,
                   std::size_t batch) {
  auto column = must(snkv::Column<T>::open(store, name));
  must(column.clear());
  for (std::size_t at = 0; at < elements.size(); at += batch) {
    must(column.extend(elements.subspan(at, std::min(batch, elements.size() - at))));
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string place = argc > 1 ? argv[1] : ".";
  const int rounds = argc > 2 ? std::max(3, std::atoi(argv[2])) : 5;
  const auto count = static_cast<std::size_t>(argc > 3 ? std::atoi(argv[3]) : 10) * 1'000'000;
  const benchmark::Folder folder(place);
  const snkv::Options options{.cache_size = 64u << 20};
  auto store = must(snkv::Store::open(folder.file("snkv.db"), options));
  Database db(folder.file("sqlite.db"));
  std::vector<std::int64_t> numbers(count);
  std::mt19937_64 random(1);
  for (auto& number : numbers) number = static_cast<std::int64_t>(random() >> 20);
  std::vector<double> doubles(numbers.begin(), numbers.end());
  std::printf("%zu elements in %s, %d rounds, medians\n", count, place.c_str(), rounds);

  std::vector<benchmark::Candidate> extends = {
      {"extend, blobs of 1 MB in one transaction", count, [&] { extend_blobs(db, numbers); }},
      {"extend, Column<int64>, batches of a million", count,
       [&] { extend_column<std::int64_t>(store, "n", numbers, 1'000'000); }},
      {"extend, Column<double>, batches of a million", count,
       [&] { extend_column<double>(store, "d", doubles, 1'000'000); }},
      {"extend, std::vector", count, [&] {
         std::vector<std::int64_t> copy;
         for (std::size_t at = 0; at < count; at += 1'000'000) {
           copy.insert(
               copy.end(), numbers.begin() + static_cast<std::ptrdiff_t>(at),
               numbers.begin() + static_cast<std::ptrdiff_t>(std::min(count, at + 1'000'000)));
         }
         if (copy.back() != numbers.back()) std::exit(1);
       }}};
  benchmark::take_turns(extends, rounds);
  benchmark::print(extends, extends.front());

  auto column = must(snkv::Column<std::int64_t>::open(store, "n"));
  must(store.checkpoint(snkv::Checkpoint::truncate));
  db.run("PRAGMA wal_checkpoint(TRUNCATE)");
  const auto space = must(store.space());
  std::printf("file: %.4f of the payload (two columns)\n",
              static_cast<double>(space.file_bytes) / (2.0 * 8 * static_cast<double>(count)));

  std::vector<benchmark::Candidate> appends = {
      {"append one by one in a transaction", count, [&] {
         auto fresh = must(snkv::Column<std::int64_t>::open(store, "appended"));
         must(fresh.clear());
         auto transaction = must(store.begin());
         auto inside = fresh.in(transaction);
         for (const std::int64_t number : numbers) must(inside.append(number));
         must(transaction.commit());
       }}};
  benchmark::take_turns(appends, rounds);
  benchmark::print(appends, appends.front());

  constexpr std::size_t slices = 100'000;
  constexpr std::size_t slice = 100;
  std::vector<std::uint64_t> places(slices);
  for (auto& at : places) at = random() % (count - slice);
  std::int64_t sums[3] = {};
  sqlite3_stmt* select = db.prepare("SELECT data FROM b WHERE id = ?");
  std::vector<benchmark::Candidate> reads = {
      {"slices of 100, from blobs by SELECT", slices / 100,
       [&] {
         sums[0] = 0;
         std::int64_t buffer[slice];
         for (std::size_t i = 0; i < slices / 100; ++i) {
           for (std::size_t done = 0; done < slice;) {
             const std::uint64_t at = places[i] + done;
             sqlite3_bind_int64(select, 1, static_cast<sqlite3_int64>(at / blob_elements));
             check(sqlite3_step(select), db.get());
             const std::size_t within = at % blob_elements;
             const std::size_t amount = std::min(slice - done, blob_elements - within);
             const auto* data = static_cast<const std::byte*>(sqlite3_column_blob(select, 0));
             std::memcpy(buffer + done, data + within * 8, amount * 8);
             sqlite3_reset(select);
             done += amount;
           }
           sums[0] += buffer[0] + buffer[slice - 1];
         }
       }},
      {"slices of 100, from blobs by sqlite3_blob_read", slices,
       [&] {
         sums[1] = 0;
         std::int64_t buffer[slice];
         db.run("BEGIN");
         sqlite3_blob* blob = nullptr;
         check(sqlite3_blob_open(db.get(), "main", "b", "data", 0, 0, &blob), db.get());
         for (const std::uint64_t place_of : places) {
           for (std::size_t done = 0; done < slice;) {
             const std::uint64_t at = place_of + done;
             check(sqlite3_blob_reopen(blob, static_cast<sqlite3_int64>(at / blob_elements)),
                   db.get());
             const std::size_t within = at % blob_elements;
             const std::size_t amount = std::min(slice - done, blob_elements - within);
             check(sqlite3_blob_read(blob, buffer + done, static_cast<int>(amount * 8),
                                     static_cast<int>(within * 8)),
                   db.get());
             done += amount;
           }
           sums[1] += buffer[0] + buffer[slice - 1];
         }
         sqlite3_blob_close(blob);
         db.run("COMMIT");
       }},
      {"slices of 100, Column::read", slices, [&] {
         sums[2] = 0;
         std::int64_t buffer[slice];
         for (const std::uint64_t at : places) {
           if (must(column.read(at, std::span(buffer))) != slice) std::exit(1);
           sums[2] += buffer[0] + buffer[slice - 1];
         }
       }}};
  benchmark::take_turns(reads, rounds);
  benchmark::print(reads, reads.front());
  sqlite3_finalize(select);
  if (sums[1] != sums[2]) std::exit(1);

  std::int64_t totals[3] = {};
  std::vector<benchmark::Candidate> sum = {
      {"sum, std::vector", count,
       [&] { totals[0] = std::accumulate(numbers.begin(), numbers.end(), std::int64_t{0}); }},
      {"sum, Column::chunks", count,
       [&] {
         totals[1] = 0;
         auto pieces = column.chunks();
         for (const std::span<const std::int64_t> piece : pieces) {
           totals[1] = std::accumulate(piece.begin(), piece.end(), totals[1]);
         }
         must(pieces.status());
       }},
      {"sum, Column::all", count, [&] {
         totals[2] = 0;
         auto loop = column.all();
         for (const std::int64_t number : loop) totals[2] += number;
         must(loop.status());
       }}};
  benchmark::take_turns(sum, rounds);
  benchmark::print(sum, sum.front());
  if (totals[0] != totals[1] || totals[0] != totals[2]) std::exit(1);

  const std::size_t texts_count = count / 10;
  std::vector<std::string> texts(texts_count);
  for (std::size_t i = 0; i < texts_count; ++i) {
    texts[i] = std::to_string(numbers[i]);
    texts[i].resize(30, '.');
  }
  auto strings = must(snkv::Column<std::string>::open(store, "s"));
  std::vector<benchmark::Candidate> write_texts = {
      {"strings of 30 bytes, rows of an SQLite table", texts_count,
       [&] {
         db.run("DROP TABLE IF EXISTS t; CREATE TABLE t(id INTEGER PRIMARY KEY, s TEXT); BEGIN");
         sqlite3_stmt* insert = db.prepare("INSERT INTO t VALUES(?, ?)");
         for (std::size_t i = 0; i < texts_count; ++i) {
           sqlite3_bind_int64(insert, 1, static_cast<sqlite3_int64>(i));
           sqlite3_bind_text(insert, 2, texts[i].data(), 30, SQLITE_STATIC);
           check(sqlite3_step(insert), db.get());
           sqlite3_reset(insert);
         }
         sqlite3_finalize(insert);
         db.run("COMMIT");
       }},
      {"strings of 30 bytes, Column<std::string>::extend", texts_count, [&] {
         must(strings.clear());
         must(strings.extend(texts));
       }}};
  benchmark::take_turns(write_texts, rounds);
  benchmark::print(write_texts, write_texts.front());
  std::size_t bytes[2] = {};
  std::vector<benchmark::Candidate> read_texts = {
      {"read them all, SQLite table", texts_count,
       [&] {
         bytes[0] = 0;
         sqlite3_stmt* all = db.prepare("SELECT s FROM t ORDER BY id");
         while (sqlite3_step(all) == SQLITE_ROW) {
           bytes[0] += static_cast<std::size_t>(sqlite3_column_text(all, 0)[0]) +
                       static_cast<std::size_t>(sqlite3_column_bytes(all, 0));
         }
         sqlite3_finalize(all);
       }},
      {"read them all, Column<std::string>::all", texts_count, [&] {
         bytes[1] = 0;
         auto loop = strings.all();
         for (const std::string_view text : loop)
           bytes[1] += static_cast<unsigned char>(text[0]) + text.size();
         must(loop.status());
       }}};
  benchmark::take_turns(read_texts, rounds);
  benchmark::print(read_texts, read_texts.front());
  if (bytes[0] != bytes[1]) std::exit(1);
}
