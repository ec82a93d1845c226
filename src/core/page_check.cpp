#include "core/page_check.hpp"

#include <charconv>
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

Error check_once(const char* operation, btree::Connection& connection,
                 std::vector<std::string>& findings) {
  btree::Statement statement;
  int rc = statement.prepare(connection, "PRAGMA integrity_check(20)");
  findings.clear();
  while (rc == SNKV_BT_OK || rc == SNKV_BT_ROW) {
    rc = statement.step();
    if (rc != SNKV_BT_ROW) break;
    const std::string_view line = statement.bytes(0).view();
    if (line == "ok") continue;
    if (is_read_failure(line)) return Error(Errc::io_error, operation, std::string(line));
    findings.emplace_back(line);
  }
  return rc == SNKV_BT_DONE ? Error() : connection.sql_error(operation, rc);
}

}  // namespace

Error check_pages(const char* operation, btree::Connection& connection,
                  std::vector<std::string>& findings) {
  Error error = check_once(operation, connection, findings);
  // Again, because some findings do not tell whether the page was wrong or could not be read.
  if (!error.failed() && !findings.empty()) error = check_once(operation, connection, findings);
  return error;
}

}  // namespace snkv::core
