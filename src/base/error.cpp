/// \file
/// Names, messages and the category of `Errc`.
#include "base/printable.hpp"

#include <snkv/error.hpp>

#include <array>
#include <fmt/format.h>

namespace snkv {
namespace {

struct CodeText {
  std::string_view name;
  std::string_view text;
};

constexpr std::array<CodeText, 31> texts{{
    {"ok", "no error"},
    {"not_found", "not found"},
    {"busy", "another writer holds the lock"},
    {"locked", "this thread has a transaction open"},
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
}};

CodeText text_of(Errc code) noexcept {
  const auto index = static_cast<std::size_t>(code);
  return index < texts.size() ? texts[index] : CodeText{"unknown", "unknown error"};
}

class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "snkv"; }
  std::string message(int code) const override {
    return std::string(text_of(static_cast<Errc>(code)).text);
  }
};

}  // namespace

const std::error_category& error_category() noexcept {
  static const Category category;
  return category;
}

std::string_view to_string(Errc code) noexcept { return text_of(code).name; }

Error::Error(Errc code, const char* operation, const char* detail, int extended) noexcept
    : code_(code), extended_(extended), operation_(operation) {
  try {
    detail_ = detail;
  } catch (const std::bad_alloc&) {
    // The code says enough.
  }
}

std::string Error::message() const {
  std::string out = fmt::format("{}: {}", operation_, text_of(code_).text);
  if (!detail_.empty()) out += fmt::format(": {}", detail_);
  if (extended_ != 0) out += fmt::format(" (engine code {})", extended_);
  return out;
}

namespace base {

std::string printable(BytesView bytes) {
  constexpr std::size_t longest = 64;
  std::string out = "'";
  for (const char c : bytes.view().substr(0, longest)) {
    const auto code = static_cast<unsigned char>(c);
    if (code >= 0x20 && code < 0x7f && c != '\\' && c != '\'') {
      out += c;
    } else {
      out += fmt::format("\\x{:02x}", code);
    }
  }
  out += "'";
  if (bytes.size() > longest) out += fmt::format("... ({} bytes)", bytes.size());
  return out;
}

}  // namespace base
}  // namespace snkv
