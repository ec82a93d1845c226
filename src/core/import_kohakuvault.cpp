/// \file
/// Reading files of KohakuVault, which are databases with plain tables, and the function of
/// core_abi.hpp for it. Nothing of such a file is trusted, and nothing of it is guessed.
#include "base/printable.hpp"
#include "btree/connection.hpp"
#include "core/format.hpp"
#include "core/run.hpp"

#include <snkv/detail/core_abi.hpp>

#include <fmt/format.h>
#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace snkv::core {
namespace {

constexpr const char* operation = "import_kohakuvault";

/// Ten bytes before a value that was packed: 89 4B, version 1, encoding, flags, three zeros, 56 4B.
struct Header {
  static constexpr std::size_t size = 10;
  enum Encoding : unsigned {
    raw = 0,
    pickle = 1,
    packer = 2,
    json = 3,
    msgpack = 4,
    cbor = 5,
    text = 6
  };

  [[nodiscard]] static std::optional<unsigned> encoding_of(BytesView value) noexcept {
    constexpr std::array<unsigned, 10> pattern{0x89, 0x4b, 1, 0, 0, 0, 0, 0, 0x56, 0x4b};
    if (value.size() < size) return {};
    for (std::size_t i = 0; i < size; ++i) {
      // Flags say "compressed" and "encrypted", which no version writes: what has them is not this
      // header.
      if (i != 3 && std::to_integer<unsigned>(value.data()[i]) != pattern[i]) return {};
    }
    const unsigned encoding = std::to_integer<unsigned>(value.data()[3]);
    if (encoding > text) return {};
    return encoding;
  }
};

/// A data type of KohakuVault, and what its elements become.
struct Dtype {
  std::string type;                ///< of the column here
  std::uint32_t element_size = 0;  ///< here; 0: they differ in size
  std::uint32_t granule = 1;
  std::uint32_t stored_size = 0;  ///< there; 0: they differ in size
  std::uint32_t skip = 0;         ///< bytes before each element that say what is known
  unsigned skip_value = 0;
  enum class Text { none, utf8, latin1, utf16le, utf16be } text = Text::none;
  bool cut_nuls = false;
};

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> out;
  for (;;) {
    const std::size_t colon = text.find(':');
    out.push_back(text.substr(0, colon));
    if (colon == std::string_view::npos) return out;
    text.remove_prefix(colon + 1);
  }
}

std::optional<std::uint32_t> positive(std::string_view text) {
  std::uint32_t out = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (failure != std::errc() || end != text.data() + text.size() || out == 0) return {};
  return out;
}

/// False for what is none.
bool parse_dtype(std::string_view text, Dtype& out) {
  const auto words = split(text);
  const std::string_view kind = words[0];
  std::optional<std::uint32_t> size;
  if (words.size() > 1) size = positive(words[1]);
  if (kind == "i64" || kind == "f64") {
    out = {std::string(kind), 8, 8, 8, 0, 0, Dtype::Text::none, false};
    return words.size() == 1;
  }
  if (kind == "bytes" || kind == "msgpack" || kind == "cbor") {
    if (words.size() > 2 || (words.size() == 2 && !size)) return false;
    out.type = size ? fmt::format("bytes[{}]", *size) : "bytes";
    out.element_size = out.stored_size = size.value_or(0);
    return true;
  }
  if (kind == "str") {
    if (words.size() > 3 || (words.size() == 3 && !size)) return false;
    const std::string_view encoding =
        words.size() == 1 || (words.size() == 2 && size) ? "utf8" : words.back();
    out.type = "string";
    out.stored_size = size.value_or(0);
    out.cut_nuls = size.has_value();
    for (const auto& [name, value] :
         {std::pair<std::string_view, Dtype::Text>{"utf8", Dtype::Text::utf8},
          {"ascii", Dtype::Text::utf8},
          {"latin1", Dtype::Text::latin1},
          {"utf16le", Dtype::Text::utf16le},
          {"utf16be", Dtype::Text::utf16be}}) {
      if (name == encoding) out.text = value;
    }
    return out.text != Dtype::Text::none;
  }
  if (kind == "vec" && words.size() >= 2) {
    struct Element {
      std::string_view name;
      unsigned code;
      std::uint32_t size;
    };
    static constexpr std::array<Element, 10> elements{{{"f32", 1, 4},
                                                       {"f64", 2, 8},
                                                       {"i32", 3, 4},
                                                       {"i64", 4, 8},
                                                       {"u8", 5, 1},
                                                       {"u16", 6, 2},
                                                       {"u32", 7, 4},
                                                       {"u64", 8, 8},
                                                       {"i8", 9, 1},
                                                       {"i16", 10, 2}}};
    const auto found = std::find_if(elements.begin(), elements.end(), [&](const Element& element) {
      return element.name == words[1];
    });
    if (found == elements.end()) return false;
    if (words.size() == 2) {
      out.type = "bytes";  // shapes differ: each element says its own
      return true;
    }
    std::uint64_t count = 1;
    for (std::size_t i = 2; i < words.size(); ++i) {
      const auto dimension = positive(words[i]);
      if (!dimension || (count *= *dimension) > (1u << 28)) return false;
    }
    out.type = fmt::format("{}[{}]", found->name, count);
    out.granule = found->size;
    out.element_size = static_cast<std::uint32_t>(count) * found->size;
    out.skip = 1;
    out.skip_value = found->code;
    out.stored_size = out.element_size + 1;
    return true;
  }
  return false;
}

void append_utf8(std::string& out, std::uint32_t code) {
  const auto byte = [&](std::uint32_t value) {
    out.push_back(static_cast<char>(static_cast<unsigned char>(value)));
  };
  if (code < 0x80) {
    byte(code);
  } else if (code < 0x800) {
    byte(0xc0 | code >> 6);
    byte(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    byte(0xe0 | code >> 12);
    byte(0x80 | (code >> 6 & 0x3f));
    byte(0x80 | (code & 0x3f));
  } else {
    byte(0xf0 | code >> 18);
    byte(0x80 | (code >> 12 & 0x3f));
    byte(0x80 | (code >> 6 & 0x3f));
    byte(0x80 | (code & 0x3f));
  }
}

/// The text as UTF-8; false if it is none in its encoding.
bool to_utf8(BytesView bytes, const Dtype& dtype, std::string& out) {
  out.clear();
  const auto byte = [&](std::size_t i) { return std::to_integer<std::uint32_t>(bytes.data()[i]); };
  const bool wide = dtype.text == Dtype::Text::utf16le || dtype.text == Dtype::Text::utf16be;
  if (!wide) {
    if (dtype.text == Dtype::Text::utf8) {
      out = bytes.str();
    } else {
      for (std::size_t i = 0; i < bytes.size(); ++i) append_utf8(out, byte(i));
    }
  } else {
    const std::size_t units = bytes.size() / 2;
    if (bytes.size() % 2 != 0 && !dtype.cut_nuls) return false;
    const auto unit = [&](std::size_t i) {
      const std::size_t high = dtype.text == Dtype::Text::utf16be ? 2 * i : 2 * i + 1;
      return byte(high) << 8 | byte(high ^ 1);
    };
    for (std::size_t i = 0; i < units; ++i) {
      std::uint32_t code = unit(i);
      if (code >= 0xd800 && code < 0xdc00 && i + 1 < units && unit(i + 1) >= 0xdc00 &&
          unit(i + 1) < 0xe000) {
        code = 0x10000 + ((code - 0xd800) << 10) + (unit(++i) - 0xdc00);
      } else if (code >= 0xd800 && code < 0xe000) {
        return false;
      }
      append_utf8(out, code);
    }
  }
  if (dtype.cut_nuls) out.resize(out.find_last_not_of('\0') + 1);
  return true;
}

/// The tables of a file of KohakuVault.
class Source {
 public:
  [[nodiscard]] Error open(std::string_view path) {
    path_ = std::string(path);
    const int rc = connection_.open(path_, SNKV_BT_OPEN_READONLY, 5000);
    if (rc != SNKV_BT_OK) return failed(rc, "opening it");
    // All of it as of one moment.
    return run("BEGIN");
  }

  [[nodiscard]] Error run(const char* sql) {
    const int rc = connection_.execute(sql);
    return rc == SNKV_BT_OK ? Error() : failed(rc, sql);
  }
  [[nodiscard]] Error prepare(btree::Statement& statement, const std::string& sql) {
    const int rc = statement.prepare(connection_, sql.c_str());
    return rc == SNKV_BT_OK ? Error() : failed(rc, sql);
  }
  /// Calls `use()` for each row.
  template <class Use>
  [[nodiscard]] Error each(btree::Statement& statement, Use&& use) {
    for (;;) {
      const int rc = statement.step();
      if (rc == SNKV_BT_DONE) return {};
      if (rc != SNKV_BT_ROW) return failed(rc, "reading rows");
      if (Error error = use(); error.failed()) return error;
    }
  }
  [[nodiscard]] Error corrupt(std::string_view what) const {
    return Error(Errc::corrupt, operation, fmt::format("{}: {}", path_, what));
  }
  [[nodiscard]] std::int64_t count(const std::string& sql) {
    std::int64_t out = 0;
    return connection_.query_int64(sql, out) == SNKV_BT_OK ? out : 0;
  }

 private:
  [[nodiscard]] Error failed(int rc, std::string_view what) const {
    return btree::engine_error(operation, rc, fmt::format("{}: {}", path_, what));
  }
  std::string path_;
  btree::Connection connection_;
};

struct ColumnMeta {
  std::int64_t id = 0;
  std::string name;
  std::string dtype;
  std::int64_t element_size = 0;
  std::uint64_t length = 0;
  std::uint64_t most_bytes = 0;  // of a chunk
};

class Import {
 public:
  Import(Source& source, const Target& target, KohakuVaultReport& report)
      : source_(source), target_(target), report_(report) {}

  [[nodiscard]] Error run() {
    std::vector<std::string> tables;
    btree::Statement list;
    Error error = source_.prepare(list,
                                  "SELECT name FROM sqlite_schema WHERE type='table' AND name NOT "
                                  "LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name");
    if (error.failed()) return error;
    error = source_.each(list, [&]() -> Error {
      tables.push_back(list.bytes(0).str());
      return {};
    });
    if (error.failed()) return error;
    bool known = false;
    for (const std::string& table : tables) {
      if (table == "col_meta") {
        known = true;
        if (error = columns(); error.failed()) return error;
      } else if (table == "col_chunks") {
        continue;
      } else if (is_key_value(table)) {
        known = true;
        if (error = entries(table); error.failed()) return error;
      } else {
        report_.skipped.push_back(table);
      }
    }
    if (known) return {};
    return Error(Errc::invalid_argument, operation,
                 "the file has no table of KohakuVault that can be imported");
  }

 private:
  /// A table with a key and a value that is not one of those behind an index of vectors or of text.
  [[nodiscard]] bool is_key_value(const std::string& table) {
    return source_.count("SELECT (SELECT count(*) FROM pragma_table_info(" + literal(table) +
                         ") WHERE name IN ('key', 'value')) = 2 AND typeof((SELECT value FROM " +
                         format::quoted(table) + " LIMIT 1)) IN ('blob', 'text', 'null')") != 0;
  }
  [[nodiscard]] static std::string literal(std::string_view text) {
    std::string out = "'";
    for (const char c : text) out += c == '\'' ? std::string("''") : std::string(1, c);
    return out + "'";
  }

  [[nodiscard]] Error entries(const std::string& table) {
    Target family;
    Error error = core::family(target_, table, FamilyMode::create, family);
    if (error.failed()) return error;
    btree::Statement rows;
    error =
        source_.prepare(rows, "SELECT key, value FROM " + format::quoted(table) + " ORDER BY key");
    if (error.failed()) return error;
    return source_.each(rows, [&]() -> Error {
      BytesView value = rows.bytes(1);
      if (const auto encoding = Header::encoding_of(value)) {
        value = {value.data() + Header::size, value.size() - Header::size};
        ++report_.encodings[*encoding];
      } else {
        ++report_.encodings[Header::raw];
      }
      ++report_.entries;
      return put(family, rows.bytes(0), value, {});
    });
  }

  [[nodiscard]] Error columns() {
    std::vector<ColumnMeta> all;
    btree::Statement list;
    const bool has_most =
        source_.count(
            "SELECT count(*) FROM pragma_table_info('col_meta') WHERE name='max_chunk_bytes'") != 0;
    Error error = source_.prepare(
        list, std::string("SELECT col_id, name, dtype, elem_size, length, ") +
                  (has_most ? "max_chunk_bytes" : "chunk_bytes") + " FROM col_meta ORDER BY name");
    if (error.failed()) return error;
    error = source_.each(list, [&]() -> Error {
      ColumnMeta column;
      column.id = list.int64(0);
      column.name = list.bytes(1).str();
      column.dtype = list.bytes(2).str();
      column.element_size = list.int64(3);
      const std::int64_t length = list.int64(4);
      const std::int64_t most = list.int64(5);
      if (length < 0 || most <= 0)
        return broken(column, "its length or the size of its chunks is negative");
      column.length = static_cast<std::uint64_t>(length);
      column.most_bytes = static_cast<std::uint64_t>(most);
      all.push_back(std::move(column));
      return {};
    });
    if (error.failed()) return error;
    const auto named = [&](const std::string& name) -> const ColumnMeta* {
      const auto found =
          std::find_if(all.begin(), all.end(), [&](const ColumnMeta& c) { return c.name == name; });
      return found == all.end() ? nullptr : &*found;
    };
    for (const ColumnMeta& column : all) {
      const std::string_view name = column.name;
      if (name.ends_with("_idx") &&
          named(std::string(name.substr(0, name.size() - 4)) + "_data") != nullptr)
        continue;
      const ColumnMeta* index = nullptr;
      std::string plain = column.name;
      if (name.ends_with("_data")) {
        plain = name.substr(0, name.size() - 5);
        index = named(plain + "_idx");
        if (index == nullptr) plain = column.name;
      }
      Dtype dtype;
      if (!parse_dtype(column.dtype, dtype)) {
        return broken(column,
                      fmt::format("its type {} is not known", base::printable(column.dtype)));
      }
      if (index == nullptr && dtype.stored_size == 0)
        return broken(column, "its elements differ in size, and it has no index");
      ColumnTarget out;
      error = open_column(target_, plain, {dtype.type, dtype.element_size, dtype.granule},
                          FamilyMode::create, out);
      if (!error.failed())
        error = index == nullptr ? fixed(column, dtype, out) : variable(column, *index, dtype, out);
      if (error.failed()) return error;
      ++report_.columns;
    }
    return {};
  }

  [[nodiscard]] Error broken(const ColumnMeta& column, std::string_view why) const {
    return source_.corrupt(fmt::format("column {}: {}", base::printable(column.name), why));
  }

  /// Calls `use(first element, bytes)` with the elements of each chunk of a column of fixed size.
  template <class Use>
  [[nodiscard]] Error each_chunk(const ColumnMeta& column, std::uint64_t size, Use&& use) {
    const std::uint64_t per_chunk = column.most_bytes / size;
    if (per_chunk == 0) return broken(column, "an element does not fit its chunks");
    btree::Statement chunks;
    Error error = source_.prepare(
        chunks,
        fmt::format("SELECT chunk_idx, data FROM col_chunks WHERE col_id={} ORDER BY chunk_idx",
                    column.id));
    if (error.failed()) return error;
    std::uint64_t done = 0;
    error = source_.each(chunks, [&]() -> Error {
      if (done >= column.length) return {};  // what was cleared stays in its file
      if (chunks.int64(0) < 0 || static_cast<std::uint64_t>(chunks.int64(0)) * per_chunk != done) {
        return broken(column, fmt::format("the chunk of element {} is missing", done));
      }
      const std::uint64_t wanted = std::min(per_chunk, column.length - done);
      const BytesView data = chunks.bytes(1);
      if (data.size() < wanted * size) {
        return broken(column, fmt::format("chunk {} has {} bytes, its elements take {}",
                                          chunks.int64(0), data.size(), wanted * size));
      }
      Error failed = use(done, BytesView(data.data(), wanted * size));
      done += wanted;
      return failed;
    });
    if (error.failed() || done == column.length) return error;
    return broken(column, fmt::format("the chunk of element {} is missing", done));
  }

  [[nodiscard]] Error fixed(const ColumnMeta& column, const Dtype& dtype, const ColumnTarget& out) {
    const std::uint64_t size = dtype.stored_size;
    if (column.element_size != static_cast<std::int64_t>(size)) {
      return broken(column, fmt::format("its elements have {} bytes, its type says {}",
                                        column.element_size, size));
    }
    return each_chunk(column, size, [&](std::uint64_t first, BytesView bytes) -> Error {
      const std::uint64_t count = bytes.size() / size;
      report_.elements += count;
      if (dtype.text == Dtype::Text::none && dtype.skip == 0) {
        return column_splice(operation, out, from_end(0), from_end(0), {bytes, nullptr, count}, {});
      }
      std::vector<std::string> elements;
      std::string together;
      for (std::uint64_t i = 0; i < count; ++i) {
        const BytesView element(bytes.data() + i * size, size);
        if (dtype.text != Dtype::Text::none) {
          std::string text;
          if (!to_utf8(element, dtype, text)) {
            return broken(column, fmt::format("element {} is no text of its encoding", first + i));
          }
          elements.push_back(std::move(text));
        } else {
          if (std::to_integer<unsigned>(element.data()[0]) != dtype.skip_value) {
            return broken(column, fmt::format("element {} is of another type", first + i));
          }
          together.append(element.view().substr(dtype.skip));
        }
      }
      if (dtype.text == Dtype::Text::none) {
        return column_splice(operation, out, from_end(0), from_end(0),
                             {BytesView(together), nullptr, count}, {});
      }
      return extend(out, elements);
    });
  }

  [[nodiscard]] static Error extend(const ColumnTarget& out,
                                    const std::vector<std::string>& elements) {
    std::vector<BytesView> items(elements.begin(), elements.end());
    return column_splice(operation, out, from_end(0), from_end(0), {{}, items.data(), items.size()},
                         {});
  }

  [[nodiscard]] Error variable(const ColumnMeta& column, const ColumnMeta& index,
                               const Dtype& dtype, const ColumnTarget& out) {
    struct Place {
      std::uint32_t chunk, begin, end;
    };
    static_assert(sizeof(Place) == 12);
    std::vector<std::string> batch;
    std::size_t batch_bytes = 0;
    std::int64_t loaded = -1;
    Bytes chunk;
    const auto flush = [&]() -> Error {
      Error error = extend(out, batch);
      batch.clear();
      batch_bytes = 0;
      return error;
    };
    Error error =
        each_chunk(index, sizeof(Place), [&](std::uint64_t first, BytesView bytes) -> Error {
          const Bytes places(bytes);  // the statement for the data goes on meanwhile
          for (std::uint64_t i = 0; i < places.size() / sizeof(Place); ++i) {
            Place place{};
            std::memcpy(&place, places.data() + i * sizeof(Place), sizeof place);
            if (loaded != static_cast<std::int64_t>(place.chunk)) {
              btree::Statement data;
              Error failed = source_.prepare(
                  data, fmt::format("SELECT data FROM col_chunks WHERE col_id={} AND chunk_idx={}",
                                    column.id, place.chunk));
              if (failed.failed()) return failed;
              loaded = -1;
              failed = source_.each(data, [&]() -> Error {
                chunk = Bytes(data.bytes(0));
                loaded = static_cast<std::int64_t>(place.chunk);
                return {};
              });
              if (failed.failed()) return failed;
              if (loaded < 0)
                return broken(column, fmt::format("the chunk of element {} is missing", first + i));
            }
            if (place.begin > place.end || place.end > chunk.size()) {
              return broken(column, fmt::format("element {} lies outside of its chunk", first + i));
            }
            const BytesView element(chunk.data() + place.begin, place.end - place.begin);
            if (dtype.text == Dtype::Text::none) {
              batch.push_back(element.str());
            } else {
              std::string text;
              if (!to_utf8(element, dtype, text)) {
                return broken(column,
                              fmt::format("element {} is no text of its encoding", first + i));
              }
              batch.push_back(std::move(text));
            }
            ++report_.elements;
            batch_bytes += batch.back().size() + 32;
            if (batch_bytes < (1u << 20)) continue;
            if (Error failed = flush(); failed.failed()) return failed;
          }
          return {};
        });
    return error.failed() ? error : flush();
  }

  Source& source_;
  const Target& target_;
  KohakuVaultReport& report_;
};

}  // namespace

Error import_kohakuvault(const Target& target, std::string_view path, KohakuVaultReport& report) {
  return guarded(operation, target, [&]() -> Error {
    if (target.scope != nullptr)
      return Error(Errc::invalid_argument, operation, "not inside a transaction or snapshot");
    Source source;
    if (Error error = source.open(path); error.failed()) return error;
    Target transaction;
    if (Error error = begin(target, {}, transaction); error.failed()) return error;
    KohakuVaultReport made;
    Error error = Import(source, transaction, made).run();
    if (!error.failed()) error = commit(transaction);
    if (error.failed()) {
      abandon(transaction);
      return error;
    }
    report = std::move(made);
    return {};
  });
}

}  // namespace snkv::core
