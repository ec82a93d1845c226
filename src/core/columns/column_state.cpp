#include "core/columns/column_state.hpp"

#include "base/printable.hpp"
#include "core/columns/little_endian.hpp"

#include <fmt/format.h>
#include <cstring>

namespace snkv::core {
namespace {

constexpr std::uint8_t state_version = 1;
constexpr std::size_t tag_size = std::tuple_size_v<LargeTag>;
constexpr std::size_t head_size = 4 + 3 * 4 + 5 * 8 + tag_size;

}  // namespace

Bytes ColumnState::encode() const {
  Bytes out;
  out.resize_for_overwrite(head_size + type.size());
  std::byte* at = out.data();
  *at++ = std::byte{state_version};
  *at++ = static_cast<std::byte>(kind);
  *at++ = static_cast<std::byte>(height);
  *at++ = std::byte{0};
  for (const std::uint32_t number : {element_size, granule, capacity}) {
    put_little_endian(at, number, 4);
    at += 4;
  }
  for (const std::uint64_t number : {length, bytes, next_id, root, chunks}) {
    put_little_endian(at, number, 8);
    at += 8;
  }
  std::memcpy(at, tag.data(), tag_size);
  if (!type.empty()) std::memcpy(at + tag_size, type.data(), type.size());
  return out;
}

Error ColumnState::decode(const char* operation, std::string_view column, BytesView bytes,
                          ColumnState& out) {
  const auto refuse = [&](Errc code, std::string_view why) {
    return Error(code, operation,
                 fmt::format("column {}: its description {}", base::printable(column), why));
  };
  if (bytes.empty()) return refuse(Errc::corrupt, "is empty");
  const std::byte* at = bytes.data();
  if (*at > std::byte{state_version})
    return refuse(Errc::unsupported_version, "is of a newer version");
  if (*at != std::byte{state_version} || bytes.size() < head_size) {
    return refuse(Errc::corrupt, "is malformed");
  }
  ColumnState state;
  state.kind = static_cast<ColumnKind>(at[1]);
  state.height = std::to_integer<std::uint8_t>(at[2]);
  at += 4;
  for (std::uint32_t* number : {&state.element_size, &state.granule, &state.capacity}) {
    *number = static_cast<std::uint32_t>(little_endian(at, 4));
    at += 4;
  }
  for (std::uint64_t* number :
       {&state.length, &state.bytes, &state.next_id, &state.root, &state.chunks}) {
    *number = little_endian(at, 8);
    at += 8;
  }
  std::memcpy(state.tag.data(), at, tag_size);
  at += tag_size;
  state.type.assign(reinterpret_cast<const char*>(at), bytes.size() - head_size);

  const bool fixed = state.kind == ColumnKind::fixed;
  if (!fixed && state.kind != ColumnKind::variable) return refuse(Errc::corrupt, "is malformed");
  if (state.capacity < 64 || state.capacity > 65536)
    return refuse(Errc::corrupt, "has no usable capacity");
  if (state.length > max_column_extent || state.bytes > max_column_extent || state.next_id == 0 ||
      state.next_id > max_column_extent || state.root >= state.next_id ||
      state.chunks >= state.next_id || state.height > 16) {
    return refuse(Errc::corrupt, "has numbers that are too large");
  }
  if (fixed) {
    if (state.element_size == 0 || state.granule == 0 || state.element_size % state.granule != 0 ||
        state.capacity % state.granule != 0 || state.bytes % state.element_size != 0 ||
        state.bytes / state.element_size != state.length) {
      return refuse(Errc::corrupt, "contradicts itself");
    }
    const std::uint64_t full = (state.bytes + state.capacity - 1) / state.capacity;
    if (state.height == 0 && (state.chunks != full || state.next_id != full + 1)) {
      return refuse(Errc::corrupt, "contradicts itself");
    }
  } else if (state.height == 0 && state.length != 0) {
    return refuse(Errc::corrupt, "contradicts itself");
  }
  if ((state.height == 0) != (state.root == 0)) return refuse(Errc::corrupt, "contradicts itself");
  out = std::move(state);
  return {};
}

}  // namespace snkv::core
