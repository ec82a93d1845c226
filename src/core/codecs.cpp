/// \file
/// The names of the codecs that a family's keys and values have.
///
/// They are in the internal family `snkv_codecs`, under the name of the family: its id (4 bytes,
/// big-endian), by which what is left of a family that was dropped is told from its successor's,
/// the name of the codec of the keys, a NUL, and that of the values.
#include "base/printable.hpp"
#include "core/run.hpp"
#include "core/store_state.hpp"

#include <snkv/detail/codec_abi.hpp>

#include <fmt/format.h>
#include <string>

namespace snkv::core {
namespace {

constexpr std::string_view record_family = "snkv_codecs";

/// What is recorded for a family.
struct Record {
  std::uint32_t id = 0;
  std::string_view key;
  std::string_view value;
};

bool read_record(BytesView bytes, Record& out) {
  if (bytes.size() < 4) return false;
  for (std::size_t i = 0; i < 4; ++i) out.id = out.id << 8 | static_cast<std::uint32_t>(bytes[i]);
  const std::string_view names = bytes.view().substr(4);
  const std::size_t end = names.find('\0');
  if (end == std::string_view::npos) return false;
  out.key = names.substr(0, end);
  out.value = names.substr(end + 1);
  return true;
}

std::string record_of(const Record& record) {
  std::string out;
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(record.id >> shift & 0xff);
  out += record.key;
  out += '\0';
  out += record.value;
  return out;
}

/// Says whether `bytes` are about the family that `asked` is; if so, whether they say the same.
Error compare(const std::string& family, BytesView bytes, const Record& asked, bool& known) {
  constexpr const char* operation = "open";
  Record found;
  if (!read_record(bytes, found)) {
    return Error(Errc::corrupt, operation,
                 fmt::format("what snkv_codecs has about the family {} is damaged",
                             base::printable(family)));
  }
  known = found.id == asked.id;
  if (!known || (found.key == asked.key && found.value == asked.value)) return {};
  return Error(
      Errc::schema_mismatch, operation,
      fmt::format("the family {} has keys {} and values {}, not {} and {}", base::printable(family),
                  found.key, found.value, asked.key, asked.value));
}

}  // namespace

Error bind_codecs(const Target& given, std::string_view key_codec, std::string_view value_codec) {
  constexpr const char* operation = "open";
  return guarded(operation, given, [&]() -> Error {
    Target family = given;
    if (overlay_of(family) != nullptr)
      family.scope = nullptr;  // it is no business of a write buffer
    if (family.family == nullptr) return Error(Errc::closed, operation, "");
    const std::string& name = family.family->name;
    const Record asked{family.family->id, key_codec, value_codec};
    Target records;
    Error error = internal_family(family, record_family, FamilyMode::open, records);
    if (!error.failed()) {
      Bytes bytes;
      error = get(records, name, bytes);
      if (!error.failed()) {
        bool known = false;
        if (error = compare(name, bytes, asked, known); error.failed() || known) return error;
      }
    }
    if (error.failed() && !(error == Errc::not_found)) return error;
    const bool is_fixed = family.scope != nullptr && family.scope->kind() == Scope::Kind::snapshot;
    if (is_fixed || is_read_only(family)) return {};
    error = internal_family(family, record_family, FamilyMode::open_or_create, records);
    if (error.failed()) return error;
    // Another one may have recorded its own meanwhile.
    struct Call {
      const std::string& name;
      const Record& asked;
    } call{name, asked};
    const auto record = [](void* context, const BytesView* current, Bytes& desired,
                           Update& decision) -> Error {
      const auto& [family_name, wanted] = *static_cast<const Call*>(context);
      bool known = false;
      if (current != nullptr) {
        if (Error bad = compare(family_name, *current, wanted, known); bad.failed()) return bad;
      }
      decision = known ? Update::keep : Update::put;
      desired = Bytes(BytesView(record_of(wanted)));
      return {};
    };
    return update(operation, records, name, {}, record, &call);
  });
}

std::string printable(BytesView bytes) { return base::printable(bytes); }

}  // namespace snkv::core
