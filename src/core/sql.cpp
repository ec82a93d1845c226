/// \file
/// The functions of core_abi.hpp for SQL that reads.
#include "core/pinned_reader.hpp"
#include "core/run.hpp"
#include "core/store_state.hpp"

#include <snkv/detail/core_abi.hpp>

#include <fmt/format.h>
#include <memory>
#include <new>
#include <optional>
#include <string>

namespace snkv::core {
namespace {

constexpr const char* operation = "sql";

/// Whether the tables are fit for SQL. The one place where stores that SQL must not see are
/// refused.
Error check_readable(const StoreState& store) { return store.check(operation); }

/// What the user's SQL did wrong has other codes than what our own would.
Error failure(const btree::Connection& connection, int rc) {
  Error error = connection.sql_error(operation, rc);
  switch (rc & 0xff) {
    case SNKV_BT_AUTH:
    case SNKV_BT_READONLY:
      return Error(Errc::read_only, operation,
                   fmt::format("only statements that read are allowed: {}", snkv_bt_errstr(rc)),
                   rc);
    case SNKV_BT_ERROR:
      if (rc == SNKV_BT_MANY) {
        return Error(Errc::invalid_argument, operation, "more than one statement", rc);
      }
      return Error(Errc::invalid_argument, operation, error.detail(), rc);
    default:
      return error.code() == Errc::internal
                 ? Error(Errc::invalid_argument, operation, error.detail(), rc)
                 : error;
  }
}

/// Whether the file can be read at this moment.
Error look(btree::Connection& connection) {
  const btree::Lock lock(connection);
  const btree::ReadTransaction transaction(lock);
  return transaction.rc() == SNKV_BT_OK ? Error()
                                        : btree::engine_error(operation, transaction.rc());
}

class QueryState final : public Query {
 public:
  ~QueryState();

  [[nodiscard]] Error open(const std::shared_ptr<StoreState>& store, std::string_view sql,
                           const SqlValue* parameters, std::size_t count);
  void advance() noexcept;
  [[nodiscard]] SqlValue value(std::size_t column) const noexcept;
  [[nodiscard]] std::string_view name(std::size_t column) const noexcept {
    return column < names_.size() ? std::string_view(names_[column]) : std::string_view();
  }
  [[nodiscard]] const Error& status() const noexcept { return status_; }

 private:
  [[nodiscard]] Error bind(const SqlValue* parameters, std::size_t count);
  [[nodiscard]] Error step();
  /// Lets the snapshot go.
  void end() noexcept { view_.reset(); }

  struct View {
    PinnedReader reader;
    btree::Statement statement;  // ends before the reader goes back
  };
  std::unique_ptr<View> view_;
  std::vector<std::string> names_;
  Error status_;
};

QueryState::~QueryState() {
  // In a forked child the statement's locks and memory are the parent's.
  if (view_ != nullptr && view_->reader.is_open() && view_->reader.store().fork_guard.forked()) {
    static_cast<void>(view_.release());
  }
}

Error QueryState::open(const std::shared_ptr<StoreState>& store, std::string_view sql,
                       const SqlValue* parameters, std::size_t count) {
  if (Error error = check_readable(*store); error.failed()) return error;
  if (sql.find('\0') != std::string_view::npos) {
    return Error(Errc::invalid_argument, operation, "the statement contains a NUL");
  }
  if (sql.size() > 0x7fffffff) return Error(Errc::too_large, operation, "the statement");
  view_ = std::make_unique<View>();
  if (Error error = view_->reader.open(operation, store); error.failed()) return error;
  btree::Connection& connection = view_->reader.connection();
  int rc = view_->statement.prepare_reading(connection, sql);
  if ((rc & 0xff) == SNKV_BT_ERROR) {
    // When the engine cannot look at the file it takes the schema that it remembers for the latest,
    // and knows no newer table: so it is looked at here, which tells why it could not.
    const Error unreadable = look(connection);
    if (unreadable.failed()) return unreadable;
    rc = view_->statement.prepare_reading(connection, sql);
  }
  if (rc != SNKV_BT_OK) return failure(connection, rc);
  if (view_->statement.get() == nullptr) {
    return Error(Errc::invalid_argument, operation, "there is no statement");
  }
  if (Error error = bind(parameters, count); error.failed()) return error;
  const int width = snkv_bt_column_count(view_->statement.get());
  for (int i = 0; i < width; ++i) {
    const char* text = snkv_bt_column_name(view_->statement.get(), i);
    if (text == nullptr) return Error(Errc::no_memory, operation, "");
    names_.emplace_back(text);
  }
  columns = names_.size();
  return step();
}

Error QueryState::bind(const SqlValue* parameters, std::size_t count) {
  snkv_bt_stmt* statement = view_->statement.get();
  const auto wanted = static_cast<std::size_t>(snkv_bt_parameter_count(statement));
  if (count != wanted) {
    return Error(Errc::invalid_argument, operation,
                 fmt::format("the statement has {} parameters, {} were given", wanted, count));
  }
  for (std::size_t i = 0; i < count; ++i) {
    const SqlValue& value = parameters[i];
    const int index = static_cast<int>(i) + 1;
    const BytesView bytes = value.blob();
    // Not a null pointer, which would be NULL.
    const void* data = bytes.empty() ? "" : static_cast<const void*>(bytes.data());
    if (bytes.size() > 0x7fffffff) {
      return Error(Errc::too_large, operation, fmt::format("parameter {}", index));
    }
    const auto size = static_cast<std::uint32_t>(bytes.size());
    int rc = SNKV_BT_OK;
    switch (value.type()) {
      case SqlType::null:
        break;
      case SqlType::integer:
        rc = snkv_bt_bind_int64(statement, index, value.int64());
        break;
      case SqlType::real:
        rc = snkv_bt_bind_double(statement, index, value.real());
        break;
      case SqlType::text:
        rc = snkv_bt_bind_text(statement, index, static_cast<const char*>(data), size);
        break;
      case SqlType::blob:
        rc = snkv_bt_bind_blob(statement, index, data, size);
        break;
    }
    if (rc != SNKV_BT_OK) {
      return btree::engine_error(operation, rc, fmt::format("parameter {}", index));
    }
  }
  return {};
}

Error QueryState::step() {
  const int rc = view_->statement.step();
  valid = rc == SNKV_BT_ROW;
  if (valid) return {};
  Error error = rc == SNKV_BT_DONE ? Error() : failure(view_->reader.connection(), rc);
  end();
  return error;
}

void QueryState::advance() noexcept {
  if (!valid) return;
  valid = false;
  StoreState& store = view_->reader.store();
  if (store.fork_guard.forked()) {
    status_ = Error(Errc::forked, operation, "");
    return;
  }
  try {
    status_ = step();
  } catch (const std::bad_alloc&) {
    valid = false;
    status_ = Error(Errc::no_memory, operation, "");
  }
  if (status_.failed()) store.counters.add(Counters::errors);
}

SqlValue QueryState::value(std::size_t column) const noexcept {
  if (!valid || column >= columns) return {};
  snkv_bt_stmt* statement = view_->statement.get();
  const int index = static_cast<int>(column);
  switch (snkv_bt_column_type(statement, index)) {
    case SNKV_BT_TYPE_INTEGER:
      return snkv_bt_column_int64(statement, index);
    case SNKV_BT_TYPE_REAL:
      return snkv_bt_column_double(statement, index);
    case SNKV_BT_TYPE_TEXT:
      return view_->statement.bytes(index).view();
    case SNKV_BT_TYPE_BLOB:
      return view_->statement.bytes(index);
    case SNKV_BT_TYPE_NULL:
      break;
  }
  return {};
}

QueryState& state(Query& query) noexcept { return static_cast<QueryState&>(query); }
const QueryState& state(const Query& query) noexcept {
  return static_cast<const QueryState&>(query);
}

}  // namespace

Error open_query(const Target& target, std::string_view sql, const SqlValue* parameters,
                 std::size_t count, Query*& out) {
  return guarded(operation, target, [&]() -> Error {
    auto query = std::make_unique<QueryState>();
    Error error = query->open(target.store, sql, parameters, count);
    if (!error.failed()) out = query.release();
    return error;
  });
}

void close_query(Query* query) noexcept { delete static_cast<QueryState*>(query); }
void query_next(Query& query) noexcept { state(query).advance(); }
SqlValue query_value(const Query& query, std::size_t column) noexcept {
  return state(query).value(column);
}
std::string_view query_column_name(const Query& query, std::size_t column) noexcept {
  return state(query).name(column);
}
Error query_status(const Query& query) { return state(query).status(); }

}  // namespace snkv::core
