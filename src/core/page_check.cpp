#include "core/page_check.hpp"

#include "core/format.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <string_view>

namespace snkv::core {
namespace {

/// Whether a finding of the engine is that it could not read: "... error code=266".
bool is_read_failure(std::string_view finding) {
  constexpr std::string_view mark = "error code=";
  const std::size_t at = finding.rfind(mark);
  if (at == std::string_view::npos) return false;
  int rc = 0;
  const std::string_view digits = finding.substr(at + mark.size());
  std::from_chars(digits.data(), digits.data() + digits.size(), rc);
  return btree::errc_of(rc) == Errc::io_error;
}

class Check {
 public:
  Check(const char* operation, btree::Connection& connection, const Schema& schema,
        std::vector<std::string>& findings)
      : operation_(operation), connection_(connection), schema_(schema), findings_(findings) {}

  [[nodiscard]] Error run() {
    findings_.clear();
    if (schema_.is_all_ours()) return pragma("PRAGMA integrity_check(20)");
    if (Error error = trees(); error.failed()) return error;
    for (const SchemaRow& row : schema_.rows()) {
      if (!row.is_ours || schema_.attached(row.name) != nullptr || findings_.size() >= most) continue;
      Error error = pragma(fmt::format("PRAGMA integrity_check({})", format::quoted(row.name)));
      if (error.failed()) return error;
    }
    return {};
  }

 private:
  static constexpr std::size_t most = 20;

  [[nodiscard]] Error take(std::string_view line) {
    if (line == "ok") return {};
    if (is_read_failure(line)) return Error(Errc::io_error, operation_, std::string(line));
    if (findings_.size() < most) findings_.emplace_back(line);
    return {};
  }

  [[nodiscard]] Error pragma(const std::string& sql) {
    btree::Statement statement;
    int rc = statement.prepare(connection_, sql.c_str());
    while (rc == SNKV_BT_OK || rc == SNKV_BT_ROW) {
      rc = statement.step();
      if (rc != SNKV_BT_ROW) break;
      if (Error error = take(statement.bytes(0).view()); error.failed()) return error;
    }
    return rc == SNKV_BT_DONE ? Error() : connection_.sql_error(operation_, rc);
  }

  [[nodiscard]] Error trees() {
    std::vector<std::uint32_t> roots{1};
    for (const SchemaRow& row : schema_.rows()) {
      if (row.root != 0) roots.push_back(row.root);
    }
    struct Free {
      void operator()(char* text) const noexcept { snkv_bt_free_findings(text); }
    };
    char* found = nullptr;
    const int rc = snkv_bt_check_trees(connection_.get(), roots.data(),
                                       static_cast<std::uint32_t>(roots.size()), most, &found);
    const std::unique_ptr<char, Free> text(found);
    if (rc != SNKV_BT_OK) return btree::engine_error(operation_, rc, "checking the pages");
    std::string_view left = found == nullptr ? std::string_view() : std::string_view(found);
    while (!left.empty()) {
      const std::string_view line = left.substr(0, left.find('\n'));
      left.remove_prefix(std::min(left.size(), line.size() + 1));
      if (Error error = take(line); error.failed()) return error;
    }
    return {};
  }

  const char* operation_;
  btree::Connection& connection_;
  const Schema& schema_;
  std::vector<std::string>& findings_;
};

/// The engine takes memory for each page that the file says it has, and a log can say anything.
Error check_page_count(const char* operation, btree::Connection& connection) {
  constexpr std::uint64_t pages_per_byte = 8;
  constexpr std::uint64_t always_there = 16u << 20;
  std::uint32_t pages = 0;
  std::uint32_t free_pages = 0;
  snkv_bt_pages(connection.get(), &pages, &free_pages);
  const auto bytes = static_cast<std::uint64_t>(snkv_bt_file_bytes(connection.get()) +
                                                snkv_bt_wal_bytes(connection.get()));
  if (pages / pages_per_byte <= always_there + bytes) return {};
  return Error(Errc::corrupt, operation, fmt::format("the file claims to have {} pages", pages));
}

}  // namespace

Error check_pages(const char* operation, btree::Connection& connection, const Schema& schema,
                  std::vector<std::string>& findings) {
  if (Error error = check_page_count(operation, connection); error.failed()) return error;
  Check check(operation, connection, schema, findings);
  Error error = check.run();
  // Again, because some findings do not tell whether the page was wrong or could not be read.
  if (!error.failed() && !findings.empty()) error = check.run();
  return error;
}

}  // namespace snkv::core
