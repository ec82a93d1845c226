/// \file
/// The functions of core_abi.hpp that make, find, name and drop columns. They stand on those for
/// families and entries: the names are entries of the family `snkv_columns`, each with the number N
/// of the family `snkv_column_N` that the column is.
#include "core/columns/column_access.hpp"
#include "core/families.hpp"
#include "core/format.hpp"

#include <snkv/detail/core_abi.hpp>

#include <memory>

namespace snkv::core {
namespace {

/// Not a name, which has no NUL: where the number of the next column stands.
const std::string_view next_key("\0next", 5);

Error check_column_name(const char* operation, std::string_view name) {
  const auto refuse = [&](const char* why) {
    return Error(Errc::invalid_argument, operation,
                 fmt::format("the column name {} {}", base::printable(name), why));
  };
  if (name.empty()) return refuse("is empty");
  if (name.size() > max_family_name_size) return refuse("is longer than 255 bytes");
  if (name.find('\0') != std::string_view::npos) return refuse("contains a NUL");
  return is_utf8(name) ? Error() : refuse("is not UTF-8");
}

Error no_column(const char* operation, std::string_view name) {
  return Error(Errc::not_found, operation, fmt::format("column {}", base::printable(name)));
}

std::string family_of(std::uint64_t number) {
  return std::string(column_family_prefix) + std::to_string(number);
}

Bytes encode_number(std::uint64_t number) {
  Bytes out;
  out.resize_for_overwrite(4);
  put_little_endian(out.data(), number, 4);
  return out;
}

Error decode_number(const char* operation, std::string_view what, BytesView bytes,
                    std::uint64_t& out) {
  if (bytes.size() != 4 || little_endian(bytes.data(), 4) == 0) {
    return Error(Errc::corrupt, operation,
                 fmt::format("the catalog of columns has no usable {}", what));
  }
  out = little_endian(bytes.data(), 4);
  return {};
}

/// The catalog; `out.family` stays null if no column was ever made.
Error find_catalog(const Target& target, Target& out) {
  out = target;
  out.family = nullptr;
  Error error = internal_family(target, columns_family, FamilyMode::open, out);
  return error == Errc::not_found ? Error() : error;
}

/// The family of a column; `not_found`, with its name.
Error find_column(const char* operation, const Target& target, std::string_view name, Target& out,
                  std::uint64_t& number) {
  Target catalog;
  if (Error error = find_catalog(target, catalog); error.failed()) return error;
  if (catalog.family == nullptr) return no_column(operation, name);
  Bytes value;
  Error error = get(catalog, BytesView(name), value);
  if (error == Errc::not_found) return no_column(operation, name);
  if (!error.failed())
    error =
        decode_number(operation, fmt::format("number of {}", base::printable(name)), value, number);
  if (error.failed()) return error;
  error = internal_family(target, family_of(number), FamilyMode::open, out);
  if (!(error == Errc::not_found)) return error;
  return Error(Errc::corrupt, operation,
               fmt::format("column {}: its table is missing", base::printable(name)));
}

bool is_snapshot(const Target& target) noexcept {
  return target.scope != nullptr && target.scope->kind() == Scope::Kind::snapshot;
}

/// Runs `work(Target in a transaction)`: in the target's, as a whole or not at all, or in one of
/// its own.
template <class Work>
Error in_one_piece(const char* operation, const Target& target, Work&& work) {
  if (is_snapshot(target)) return Error(Errc::read_only, operation, "a snapshot cannot be written");
  if (target.scope == nullptr) {
    Target transaction;
    if (Error error = begin(target, {}, transaction); error.failed()) return error;
    Error error = work(static_cast<const Target&>(transaction));
    if (!error.failed()) error = commit(transaction);
    if (error.failed()) abandon(transaction);
    return error;
  }
  std::uint64_t id = 0;
  if (Error error = savepoint(target, id); error.failed()) return error;
  Error error = work(target);
  if (!error.failed()) return savepoint_release(target, id);
  savepoint_abandon(target, id);
  return error;
}

Error check_type(const char* operation, std::string_view name, const ColumnType& wanted,
                 const ColumnState& state) {
  if (wanted.name == state.type && wanted.element_size == state.element_size) return {};
  return Error(Errc::schema_mismatch, operation,
               fmt::format("column {} has elements of type {}, not {}", base::printable(name),
                           base::printable(state.type), base::printable(wanted.name)));
}

/// Most bytes of a chunk: whole elements, unless so many of them do not fit that much of each page
/// were lost.
std::uint32_t capacity_for(const ColumnType& type, std::uint32_t row) {
  if (type.element_size == 0) return row;
  const std::uint32_t whole = row / type.element_size * type.element_size;
  return whole >= row - row / 50 ? whole : row / type.granule * type.granule;
}

Error make_column(const char* operation, const Target& target, std::string_view name,
                  const ColumnType& type, Target& out) {
  Target catalog;
  Error error = internal_family(target, columns_family, FamilyMode::open_or_create, catalog);
  if (error.failed()) return error;
  std::uint64_t number = 1;
  Bytes value;
  error = get(catalog, BytesView(next_key), value);
  if (error == Errc::not_found) {
    error = {};
  } else if (!error.failed()) {
    error = decode_number(operation, "next number", value, number);
  }
  if (error.failed()) return error;
  if (number >= 0xffffffff) return Error(Errc::full, operation, "no more columns can be made");
  error = put(catalog, BytesView(next_key), encode_number(number + 1), {});
  if (!error.failed()) error = internal_family(target, family_of(number), FamilyMode::create, out);
  if (!error.failed()) error = put(catalog, BytesView(name), encode_number(number), {});
  if (error.failed()) return error;
  return write_in_scope(operation, out, [&](WriteSession& session) -> Error {
    const btree::Lock lock(session.connection());
    const std::uint32_t id = out.family->id;
    return change(session, [&]() -> Error {
      Error failed = session.create_table(operation, format::large_table_sql(id), id);
      if (failed.failed()) return failed;
      ColumnState state;
      state.kind = type.element_size == 0 ? ColumnKind::variable : ColumnKind::fixed;
      state.element_size = type.element_size;
      state.granule = type.granule;
      state.capacity = capacity_for(type, largest_column_row(session.bt()));
      state.type = type.name;
      if (session.keys() != nullptr) randombytes_buf(state.tag.data(), state.tag.size());
      const WriteContext context{operation, session, *out.family};
      const Bytes description = state.encode();
      return put_entry(context, {BytesView(column_state_key), description, {}});
    });
  });
}

}  // namespace

Error open_column(const Target& target, std::string_view name, const ColumnType& type,
                  FamilyMode mode, ColumnTarget& out) {
  const char* const operation = mode == FamilyMode::open     ? "open_column"
                                : mode == FamilyMode::create ? "create_column"
                                                             : "column";
  return guarded(operation, target, [&]() -> Error {
    if (Error error = check_column_name(operation, name); error.failed()) return error;
    ColumnTarget found;
    found.name = std::string(name);
    const auto exists = [&]() {
      return Error(Errc::exists, operation, fmt::format("column {}", base::printable(name)));
    };
    const auto check = [&]() -> Error {
      return with_column(operation, found, [&](const ReadView&, const ColumnState& state) {
        return check_type(operation, name, type, state);
      });
    };
    std::uint64_t number = 0;
    Error error = find_column(operation, target, name, found.target, number);
    if (!error.failed()) {
      error = mode == FamilyMode::create ? exists() : check();
    } else if (error == Errc::not_found && mode != FamilyMode::open && !is_snapshot(target)) {
      error = in_one_piece(operation, target, [&](const Target& transaction) -> Error {
        // Looked up again: another writer may have made it meanwhile.
        Error failed = find_column(operation, transaction, name, found.target, number);
        if (failed == Errc::not_found)
          return make_column(operation, transaction, name, type, found.target);
        if (failed.failed()) return failed;
        return mode == FamilyMode::create ? exists() : check();
      });
      found.target.scope = target.scope;
    }
    if (!error.failed()) out = std::move(found);
    return error;
  });
}

Error list_columns(const Target& target, std::vector<ColumnInfo>& out) {
  constexpr const char* operation = "list columns";
  return guarded(operation, target, [&]() -> Error {
    // All as of one moment.
    Target view = target;
    if (view.scope == nullptr) {
      if (Error error = snapshot(target, view); error.failed()) return error;
    }
    Target catalog;
    if (Error error = find_catalog(view, catalog); error.failed()) return error;
    std::vector<ColumnInfo> found;
    std::vector<std::pair<std::string, std::uint64_t>> names;
    if (catalog.family != nullptr) {
      const std::unique_ptr<Cursor, void (*)(Cursor*)> cursor(open_cursor(catalog, {}, {}),
                                                              close_cursor);
      for (cursor_first(*cursor); cursor->valid; cursor_next(*cursor)) {
        if (cursor->key == BytesView(next_key)) continue;
        std::uint64_t number = 0;
        std::string name = cursor->key.str();
        Error error = decode_number(operation, fmt::format("number of {}", base::printable(name)),
                                    cursor->value, number);
        if (error.failed()) return error;
        names.emplace_back(std::move(name), number);
      }
      if (Error error = cursor_status(*cursor); error.failed()) return error;
    }
    for (auto& [name, number] : names) {
      ColumnTarget column{{}, name};
      Error error = internal_family(view, family_of(number), FamilyMode::open, column.target);
      if (error == Errc::not_found) {
        return Error(Errc::corrupt, operation,
                     fmt::format("column {}: its table is missing", base::printable(name)));
      }
      if (error.failed()) return error;
      error =
          with_column(operation, column, [&](const ReadView&, const ColumnState& state) -> Error {
            found.push_back({name, state.type, state.element_size, state.length, state.bytes});
            return {};
          });
      if (error.failed()) return error;
    }
    out = std::move(found);
    return {};
  });
}

Error drop_column(const Target& target, std::string_view name) {
  constexpr const char* operation = "drop column";
  return guarded(operation, target, [&]() -> Error {
    if (Error error = check_column_name(operation, name); error.failed()) return error;
    return in_one_piece(operation, target, [&](const Target& transaction) -> Error {
      Target family;
      Target catalog;
      std::uint64_t number = 0;
      Error error = find_column(operation, transaction, name, family, number);
      if (!error.failed()) error = find_catalog(transaction, catalog);
      if (error.failed()) return error;
      static_cast<TransactionState&>(*transaction.scope)
          .session()
          .drop_column_tails(family.family->id);
      bool existed = false;
      error = drop_internal_family(transaction, family_of(number));
      return error.failed() ? error : erase(catalog, BytesView(name), {}, existed);
    });
  });
}

Error rename_column(const Target& target, std::string_view from, std::string_view to) {
  constexpr const char* operation = "rename column";
  return guarded(operation, target, [&]() -> Error {
    for (const std::string_view name : {from, to}) {
      if (Error error = check_column_name(operation, name); error.failed()) return error;
    }
    return in_one_piece(operation, target, [&](const Target& transaction) -> Error {
      Target family;
      Target catalog;
      std::uint64_t number = 0;
      Error error = find_column(operation, transaction, from, family, number);
      if (!error.failed()) error = find_catalog(transaction, catalog);
      if (error.failed() || from == to) return error;
      bool taken = false;
      error = contains(catalog, BytesView(to), taken);
      if (!error.failed() && taken) {
        error = Error(Errc::exists, operation, fmt::format("column {}", base::printable(to)));
      }
      if (!error.failed()) error = put(catalog, BytesView(to), encode_number(number), {});
      if (error.failed()) return error;
      bool existed = false;
      return erase(catalog, BytesView(from), {}, existed);
    });
  });
}

}  // namespace snkv::core
