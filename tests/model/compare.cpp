// Whole-store comparisons: through the library, and through the stock sqlite3 in another process.
#include "operations.hpp"

#include "support/sqlite_cli.hpp"

#include <charconv>
#include <map>
#include <string>
#include <utility>

namespace snkv::model {

std::string sql_name(std::string_view name) {
  std::string text = "\"";
  for (const char byte : name) {
    if (byte == '"') text += '"';
    text += byte;
  }
  return text + '"';
}

namespace {

template <class Store>
void compare_families(World& world, Store& store, Place place) {
  const State& state = world.state_at(place);
  auto names = store.list_column_families();
  world.expect(names, {Errc::ok}, "list_column_families");
  world.require(names->size() == state.families().size(), "wrong number of families");
  for (const auto& [name, family] : state.families()) {
    auto opened = store.open_column_family(name);
    world.expect(opened, {Errc::ok}, "open_column_family " + name);
    compare_family(world, *opened, *family.entries, world.now_at(place));
  }
}

// ---- Through SQL ----

std::string hex(std::string_view bytes) {
  static constexpr std::string_view digits = "0123456789ABCDEF";
  std::string text(bytes.size() * 2, '0');
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    const auto code = static_cast<unsigned char>(bytes[i]);
    text[2 * i] = digits[code >> 4];
    text[2 * i + 1] = digits[code & 15];
  }
  return text;
}

class Lines {
 public:
  explicit Lines(std::string_view text) : rest_(text) {}
  /// The next line, cut at '|'; empty at the end.
  std::vector<std::string_view> next() {
    std::vector<std::string_view> fields;
    if (rest_.empty()) return fields;
    const std::size_t end = std::min(rest_.find('\n'), rest_.size());
    std::string_view line = rest_.substr(0, end);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    for (std::size_t bar = line.find('|'); bar != line.npos; bar = line.find('|')) {
      fields.push_back(line.substr(0, bar));
      line.remove_prefix(bar + 1);
    }
    fields.push_back(line);
    return fields;
  }

 private:
  std::string_view rest_;
};

std::int64_t number(std::string_view text) {
  std::int64_t value = -1;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

struct Table {
  std::string family;
  std::string id;
};

/// The families' tables, from the schema alone. Fails when a table is not what the format says.
std::vector<Table> tables_in(World& world) {
  const std::string schema = test::sqlite_cli(
      world.path,
      "PRAGMA integrity_check;"
      "SELECT hex(name), substr(sql, instr(sql, '/* snkv:') + 8) FROM sqlite_schema"
      " WHERE type = 'table' AND sql LIKE '%/* snkv:%' ORDER BY name;");
  Lines lines(schema);
  const auto verdict = lines.next();
  world.require(!verdict.empty() && verdict[0] == "ok", "sqlite3: integrity_check: " + schema);
  std::vector<Table> tables;
  for (const auto& [name, family] : world.oracle.committed.families()) {
    const auto fields = lines.next();
    world.require(fields.size() == 2 && fields[0] == hex(name),
                  "sqlite3: no table for the family " + name);
    const std::size_t digits = fields[1].find_first_not_of("0123456789");
    tables.push_back({name, std::string(fields[1].substr(0, digits))});
  }
  world.require(lines.next().empty(), "sqlite3: a table of a family that is not there");
  return tables;
}

using LargeValues = std::map<std::int64_t, std::string>;

LargeValues large_values(World& world, Lines& lines) {
  LargeValues values;
  for (auto fields = lines.next(); !fields.empty() && fields[0] != "@entries";
       fields = lines.next()) {
    world.require(fields.size() == 2, "sqlite3: strange output");
    world.require(fields[1].size() >= 2 * world.seal_size(), "sqlite3: a chunk that is not sealed");
    values[number(fields[0])] += fields[1].substr(2 * world.seal_size());
  }
  return values;
}

/// Whether it is the value, in hexadecimal digits. Of what is encrypted only the length can be told.
bool is_stored(const World& world, std::string_view found, const std::string& expected) {
  return world.seal_size() == 0 ? found == expected : found.size() == expected.size();
}

void compare_rows(World& world, Lines& lines, const Table& table, LargeValues& large) {
  for (const auto& [key, entry] : *world.oracle.committed.at(table.family).entries) {
    const auto fields = lines.next();
    const std::string where = "sqlite3: " + table.family + " " + printable(key) + ": ";
    world.require(fields.size() == 5, where + "no row");
    world.require(fields[0] == hex(key), where + "another key: " + std::string(fields[0]));
    const bool forever = entry.expires_at == never;
    world.require(forever ? fields[1] == "NULL" : number(fields[1]) == entry.expires_at,
                  where + "expires_at is " + std::string(fields[1]));
    const std::string expected = hex(*entry.value);
    if (fields[3] == "NULL") {
      world.require(fields[2].size() >= 2 * world.seal_size(), where + "a value that is not sealed");
      world.require(is_stored(world, fields[2].substr(2 * world.seal_size()), expected) &&
                        fields[4] == "NULL",
                    where + "wrong value");
      continue;
    }
    world.require((fields[2] == "NULL") == (world.seal_size() == 0),
                  where + "both a value and a large value, or nothing that describes it");
    world.require(number(fields[4]) == static_cast<std::int64_t>(entry.value->size()),
                  where + "wrong large_size");
    const auto found = large.find(number(fields[3]));
    world.require(found != large.end(), where + "its large value is not there");
    world.require(is_stored(world, found->second, expected), where + "wrong large value");
    large.erase(found);
  }
  world.require(large.empty(), "sqlite3: " + table.family + ": large values of no entry");
}

}  // namespace

void compare_family(World& world, const EntryReader& reader, const Entries& entries,
                    std::int64_t now) {
  const Bounds everything;
  const ScanView view{&entries, &everything, now};
  const std::size_t no_limit = entries.size() + 1;
  compare_scan(world, reader.all(), view, false, false, no_limit);
  compare_scan(world, reader.all().reversed(), view, true, false, no_limit);
  auto counted = reader.count();
  world.expect(counted, {Errc::ok}, "count");
  world.require(*counted == entries.size(), "count: other than the number of entries");
}

void compare_place(World& world, Place place) {
  if (place == Place::transaction) {
    compare_families(world, world.transaction, place);
  } else {
    compare_families(world, *world.stores[place == Place::second_store ? 1 : 0], place);
  }
}

void compare_with_cli(World& world) {
  if (world.config.memory || world.commit_pending) return;
  world.trace("compare with sqlite3");
  const std::vector<Table> tables = tables_in(world);
  // The large tables come with the first large value.
  const std::string present = "," +
                              test::sqlite_cli(world.path,
                                               "SELECT coalesce(group_concat(name), '') FROM "
                                               "sqlite_schema WHERE name GLOB 'snkv_large_*';") +
                              ",";
  std::string sql;
  for (const Table& table : tables) {
    const std::string large = "snkv_large_" + table.id;
    if (present.find("," + large + ",") != present.npos) {
      sql += "SELECT id >> 20, hex(data) FROM " + sql_name(large) + " ORDER BY id;";
    }
    sql +=
        "SELECT '@entries';"
        "SELECT hex(key), expires_at, iif(value IS NULL, 'NULL', hex(value)), large_id,"
        " large_size FROM " +
        sql_name(table.family) +
        " ORDER BY key;"
        "SELECT '@end';";
  }
  const std::string output = test::sqlite_cli(world.path, sql, {"-nullvalue", "NULL"});
  Lines lines(output);
  for (const Table& table : tables) {
    LargeValues large = large_values(world, lines);
    compare_rows(world, lines, table, large);
    const auto end = lines.next();
    world.require(!end.empty() && end[0] == "@end", "sqlite3: " + table.family + ": more rows");
  }
}

}  // namespace snkv::model
