// Errc as a std::error_code, and what an Error tells.
#include "support/check.hpp"

#include <snkv/error.hpp>
#include <snkv/expected.hpp>

#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

using snkv::Errc;
using snkv::Error;

namespace {

// The numbers are stable, hence written out here and not taken from the header.
const std::vector<std::pair<int, std::string>> published = {
    {0, "ok"},
    {1, "not_found"},
    {2, "busy"},
    {3, "locked"},
    {4, "no_memory"},
    {5, "read_only"},
    {6, "corrupt"},
    {7, "auth_failed"},
    {8, "protocol"},
    {9, "invalid_argument"},
    {10, "io_error"},
    {11, "full"},
    {12, "exists"},
    {13, "dropped"},
    {14, "forked"},
    {15, "dimension_mismatch"},
    {16, "metric_mismatch"},
    {17, "dtype_mismatch"},
    {18, "index_dropped"},
    {19, "bad_vector"},
    {20, "tampered"},
    {21, "unsupported_version"},
    {22, "cant_open"},
    {23, "not_a_store"},
    {24, "schema_mismatch"},
    {25, "closed"},
    {26, "rollback_required"},
    {27, "aborted"},
    {28, "too_large"},
    {29, "internal"},
    {30, "expired"},
    {31, "moved"},
    {32, "log_mismatch"},
};

snkv::Result<int> half(int number) {
  if (number % 2 != 0) {
    return snkv::Unexpected(Error(Errc::invalid_argument, "half", "odd number"));
  }
  return number / 2;
}

}  // namespace

TEST_CASE("codes keep their published numbers and names") {
  for (const auto& [number, name] : published) {
    CHECK(snkv::to_string(static_cast<Errc>(number)) == name);
  }
}

TEST_CASE("an unknown code still has a name") {
  // Code of a newer library, read from a log.
  CHECK_FALSE(snkv::to_string(static_cast<Errc>(9999)).empty());
  CHECK_FALSE(snkv::error_category().message(9999).empty());
}

TEST_CASE("a code is a std::error_code of the category snkv") {
  const std::error_code code = Errc::busy;
  CHECK(code.value() == 2);
  CHECK(code.category() == snkv::error_category());
  CHECK(std::string(code.category().name()) == "snkv");
  CHECK(code == Errc::busy);
  CHECK(code != Errc::locked);
  CHECK(code);
  CHECK_FALSE(std::error_code(Errc::ok));
}

TEST_CASE("each code has a description of its own") {
  std::set<std::string> descriptions;
  for (const auto& [number, name] : published) {
    const std::string description = std::error_code(static_cast<Errc>(number)).message();
    CHECK_FALSE(description.empty());
    descriptions.insert(description);
  }
  CHECK(descriptions.size() == published.size());
}

TEST_CASE("a default error is no error") {
  const Error none;
  CHECK_FALSE(none.failed());
  CHECK(none.code() == Errc::ok);
  CHECK(none.extended() == 0);
  CHECK(none.operation().empty());
  CHECK(none.detail().empty());
  CHECK_FALSE(none.error_code());
}

TEST_CASE("an error tells operation, code, detail and the engine's code") {
  const Error error(Errc::io_error, "put", "family 'users': disk I/O error", 778);
  CHECK(error.failed());
  CHECK(error.code() == Errc::io_error);
  CHECK(error == Errc::io_error);
  CHECK_FALSE(error == Errc::busy);
  CHECK(error.operation() == "put");
  CHECK(error.detail() == "family 'users': disk I/O error");
  CHECK(error.extended() == 778);
  CHECK(error.error_code() == Errc::io_error);

  const std::string message = error.message();
  CHECK(message.find("put") != std::string::npos);
  CHECK(message.find("family 'users': disk I/O error") != std::string::npos);
  CHECK(message.find('\n') == std::string::npos);
}

TEST_CASE("a message names the code when there is no detail") {
  const std::string message = Error(Errc::not_found, "get", "").message();
  CHECK(message.find("get") != std::string::npos);
  CHECK(message.size() > std::string("get").size());
}

TEST_CASE("copies and moves of an error are the same error") {
  Error error(Errc::full, "commit", "no space left", 13);
  const Error copy = error;
  const Error moved = std::move(error);
  for (const Error* same : {&copy, &moved}) {
    CHECK(same->code() == Errc::full);
    CHECK(same->operation() == "commit");
    CHECK(same->detail() == "no space left");
    CHECK(same->extended() == 13);
  }
}

TEST_CASE("a Result is a value or an error") {
  REQUIRE_OK(half(4));
  CHECK(*half(4) == 2);
  REQUIRE_ERROR(half(3), Errc::invalid_argument, "half");
  CHECK(half(3).error().detail() == "odd number");
}

TEST_CASE("the matchers of these tests can fail") {
  using snkv::test::error_complaint;
  CHECK(error_complaint(half(3), Errc::invalid_argument, "half").empty());
  CHECK_FALSE(error_complaint(half(4), Errc::invalid_argument, "").empty());
  CHECK_FALSE(error_complaint(half(3), Errc::busy, "").empty());
  CHECK_FALSE(error_complaint(half(3), Errc::invalid_argument, "put").empty());
  const snkv::Result<int> nameless = snkv::Unexpected(Error(Errc::busy, "", "who knows"));
  CHECK_FALSE(error_complaint(nameless, Errc::busy, "").empty());
}
