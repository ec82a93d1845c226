/// \file
/// Error codes and the `Error` value that every fallible call carries.
///
/// Nothing in the library throws, except that `std::bad_alloc` may leave the inline facade when a
/// client-side copy (a `Bytes`, a message string) cannot be allocated. The compiled core itself
/// reports memory exhaustion as `Errc::no_memory`.
#pragma once

#include <snkv/detail/export.hpp>

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace snkv {

/// What went wrong. The numbers are stable: they may be stored and logged.
enum class Errc : int {
  ok = 0,                     ///< No error; never carried by a failed `Result`.
  not_found = 1,              ///< The key, or the column family, does not exist (or has expired).
  busy = 2,                   ///< Another writer kept the lock for longer than the busy timeout.
  locked = 3,                 ///< This thread already holds the write lock: a transaction is open, or an
                              ///< operation has called the function it is in (docs/callbacks.md).
  no_memory = 4,              ///< An allocation failed.
  read_only = 5,              ///< A write through a read-only store, a snapshot or a read-only file.
  corrupt = 6,                ///< The file is damaged.
  auth_failed = 7,            ///< Wrong or missing password or key.
  protocol = 8,               ///< The file locking protocol failed (a broken network file system).
  invalid_argument = 9,       ///< An argument is out of its documented range.
  io_error = 10,              ///< The operating system reported an error; see `extended()`.
  full = 11,                  ///< The disk, or the database, is full.
  exists = 12,                ///< What was to be created exists already.
  dropped = 13,               ///< The column family of this handle was dropped.
  forked = 14,                ///< The handle was opened in a parent process.
  dimension_mismatch = 15,    ///< Vector: wrong number of dimensions.
  metric_mismatch = 16,       ///< Vector: the collection has another metric.
  dtype_mismatch = 17,        ///< Vector: the collection has another element type.
  index_dropped = 18,         ///< Vector: the index of the collection was dropped.
  bad_vector = 19,            ///< Vector: NaN, infinity, or zero length where it has no meaning.
  tampered = 20,              ///< Encrypted data does not authenticate.
  unsupported_version = 21,   ///< The file was written by a newer format version.
  cant_open = 22,             ///< The file cannot be opened: a folder, no permission, no such path.
  not_a_store = 23,           ///< The file is no database, or a database that is not a store.
  schema_mismatch = 24,       ///< A family's table was altered through SQL; writing is refused.
  closed = 25,                ///< The handle is closed, or its transaction has ended.
  rollback_required = 26,     ///< A write of this transaction failed half-way; only rollback is left.
  aborted = 27,               ///< A callback of the caller asked to stop, or threw an exception.
  too_large = 28,             ///< A key, a value, or the definitions in a file are larger than allowed.
  expired = 30,               ///< The snapshot was ended to free the log, or a change is kept no longer.
  moved = 31,                 ///< The file, or its log, was renamed, replaced or removed while it was open.
  log_mismatch = 32,          ///< The log or journal beside the file is that of another file.
  internal = 29,              ///< A broken invariant of the library: please report it.
};

/// The error category of `Errc`, named "snkv".
[[nodiscard]] const std::error_category& error_category() noexcept;

/// Makes `Errc` usable as a `std::error_code`.
[[nodiscard]] inline std::error_code make_error_code(Errc code) noexcept {
  return {static_cast<int>(code), error_category()};
}

/// The short name of a code, as in the enumeration: `to_string(Errc::busy) == "busy"`.
[[nodiscard]] std::string_view to_string(Errc code) noexcept;

/// An error: a code, the operation, the thing it failed on, and the engine's own code.
///
/// Threads: a value like any other. A default-constructed `Error` means "no error"; a failed
/// `Result` never holds one.
class [[nodiscard]] Error {
 public:
  Error() noexcept = default;

  /// \param operation a string literal naming the operation ("put"); it is not copied.
  /// \param detail what it failed on, and why.
  /// \param extended the engine's extended result code, or 0.
  Error(Errc code, const char* operation, std::string detail, int extended = 0) noexcept
      : code_(code), extended_(extended), operation_(operation), detail_(std::move(detail)) {}
  /// The same; without the detail when there is no memory for it.
  SNKV_API Error(Errc code, const char* operation, const char* detail, int extended = 0) noexcept;

  [[nodiscard]] Errc code() const noexcept { return code_; }
  [[nodiscard]] bool failed() const noexcept { return code_ != Errc::ok; }

  /// The extended result code of the SQLite engine (see sqlite.org/rescode.html), 0 if none.
  [[nodiscard]] int extended() const noexcept { return extended_; }

  /// The operation that failed, e.g. "put". Lives as long as the program.
  [[nodiscard]] std::string_view operation() const noexcept { return operation_; }

  /// One line: operation, code, and what it was about. For people, not for parsing.
  [[nodiscard]] std::string message() const;

  /// The detail part of the message alone.
  [[nodiscard]] const std::string& detail() const noexcept { return detail_; }

  /// Compares the code only: `result.error() == snkv::Errc::not_found`.
  friend bool operator==(const Error& error, Errc code) noexcept { return error.code_ == code; }

  /// The code as a `std::error_code`.
  [[nodiscard]] std::error_code error_code() const noexcept { return make_error_code(code_); }

 private:
  Errc code_ = Errc::ok;
  int extended_ = 0;
  const char* operation_ = "";
  std::string detail_;
};

// Inline, so that an application that uses only the header-only index needs no library.
namespace error_detail {

struct CodeText {
  std::string_view name;
  std::string_view text;
};

inline constexpr std::array<CodeText, 33> texts{{
    {"ok", "no error"},
    {"not_found", "not found"},
    {"busy", "another writer holds the lock"},
    {"locked", "this thread holds the write lock"},
    {"no_memory", "out of memory"},
    {"read_only", "writing is not possible here"},
    {"corrupt", "the file is damaged"},
    {"auth_failed", "wrong or missing password"},
    {"protocol", "the file locking protocol failed"},
    {"invalid_argument", "invalid argument"},
    {"io_error", "input/output error"},
    {"full", "disk or database full"},
    {"exists", "exists already"},
    {"dropped", "the column family was dropped"},
    {"forked", "the handle belongs to the parent process"},
    {"dimension_mismatch", "wrong number of dimensions"},
    {"metric_mismatch", "another metric"},
    {"dtype_mismatch", "another element type"},
    {"index_dropped", "the vector index was dropped"},
    {"bad_vector", "not a usable vector"},
    {"tampered", "encrypted data does not authenticate"},
    {"unsupported_version", "unsupported format version"},
    {"cant_open", "cannot open"},
    {"not_a_store", "not a store"},
    {"schema_mismatch", "the table was altered"},
    {"closed", "closed"},
    {"rollback_required", "an earlier write of the transaction failed; roll back"},
    {"aborted", "stopped by the caller"},
    {"too_large", "too large"},
    {"internal", "internal error"},
    {"expired", "no longer kept"},
    {"moved", "the file was moved while it was open"},
    {"log_mismatch", "the log belongs to another file"},
}};

[[nodiscard]] constexpr CodeText text_of(Errc code) noexcept {
  const auto index = static_cast<std::size_t>(code);
  return index < texts.size() ? texts[index] : CodeText{"unknown", "unknown error"};
}

class Category final : public std::error_category {
 public:
  [[nodiscard]] const char* name() const noexcept override { return "snkv"; }
  [[nodiscard]] std::string message(int code) const override {
    return std::string(text_of(static_cast<Errc>(code)).text);
  }
};

}  // namespace error_detail

SNKV_API inline const std::error_category& error_category() noexcept {
  static const error_detail::Category category;
  return category;
}

inline std::string_view to_string(Errc code) noexcept { return error_detail::text_of(code).name; }

inline std::string Error::message() const {
  std::string out = operation_;
  out += ": ";
  out += error_detail::text_of(code_).text;
  if (!detail_.empty()) {
    out += ": ";
    out += detail_;
  }
  if (extended_ != 0) out += " (engine code " + std::to_string(extended_) + ")";
  return out;
}

}  // namespace snkv

template <>
struct std::is_error_code_enum<snkv::Errc> : std::true_type {};
