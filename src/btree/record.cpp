#include "btree/record.hpp"

#include <cstring>

namespace snkv::btree {
namespace {

unsigned varint_size(std::uint64_t value) noexcept {
  unsigned size = 1;
  while (value > 0x7f && size < 9) {
    value >>= 7;
    ++size;
  }
  return size;
}

/// Lengths in records fit 8 bytes of varint: the ninth, which takes 8 bits, is never needed.
std::byte* write_varint(std::byte* out, std::uint64_t value) noexcept {
  if (value < 0x80) {
    *out++ = static_cast<std::byte>(value);
    return out;
  }
  const unsigned size = varint_size(value);
  for (unsigned i = 0; i < size; ++i) {
    const unsigned shift = 7 * (size - 1 - i);
    const auto bits = static_cast<unsigned>((value >> shift) & 0x7f);
    *out++ = static_cast<std::byte>(i + 1 < size ? bits | 0x80 : bits);
  }
  return out;
}

/// Returns the number of bytes read, 0 when the input ends too early.
unsigned read_varint(BytesView in, std::uint32_t offset, std::uint64_t& value) noexcept {
  value = 0;
  for (unsigned i = 0; i < 9; ++i) {
    if (offset + i >= in.size()) return 0;
    const auto byte = static_cast<std::uint64_t>(in.data()[offset + i]);
    if (i == 8) {
      value = (value << 8) | byte;
      return 9;
    }
    value = (value << 7) | (byte & 0x7f);
    if ((byte & 0x80) == 0) return i + 1;
  }
  return 9;
}

std::uint64_t serial_type(const Column& column) noexcept {
  switch (column.type) {
    case Column::Type::integer: {
      const std::int64_t v = column.integer;
      if (v == 0 || v == 1) return static_cast<std::uint64_t>(8 + v);
      if (v >= -0x80 && v <= 0x7f) return 1;
      if (v >= -0x8000 && v <= 0x7fff) return 2;
      if (v >= -0x800000 && v <= 0x7fffff) return 3;
      if (v >= -0x80000000LL && v <= 0x7fffffffLL) return 4;
      if (v >= -0x800000000000LL && v <= 0x7fffffffffffLL) return 5;
      return 6;
    }
    case Column::Type::blob:
      return 12 + 2 * static_cast<std::uint64_t>(column.bytes.size());
    case Column::Type::text:
      return 13 + 2 * static_cast<std::uint64_t>(column.bytes.size());
    default:
      return 0;
  }
}

std::uint64_t content_size(std::uint64_t type) noexcept {
  static constexpr std::uint8_t sizes[] = {0, 1, 2, 3, 4, 6, 8, 8, 0, 0, 0, 0};
  return type >= 12 ? (type - 12) / 2 : sizes[type];
}

struct Sizes {
  std::uint64_t header = 0;
  std::uint64_t body = 0;
};

Sizes sizes_of(std::span<const Column> columns) noexcept {
  Sizes sizes;
  for (const Column& column : columns) {
    const std::uint64_t type = serial_type(column);
    sizes.header += varint_size(type);
    sizes.body += content_size(type);
  }
  // The header counts itself: a header of our few columns is far below the 127 bytes at which its
  // own length would take a second byte.
  sizes.header += 1;
  return sizes;
}

}  // namespace

std::uint64_t record_size(std::span<const Column> columns) noexcept {
  const Sizes sizes = sizes_of(columns);
  return sizes.header + sizes.body;
}

void encode_record(std::span<const Column> columns, std::byte* out) noexcept {
  std::byte* const header = out++;
  for (const Column& column : columns) out = write_varint(out, serial_type(column));
  *header = static_cast<std::byte>(out - header);  // one byte, see `sizes_of`
  for (const Column& column : columns) {
    if (column.type == Column::Type::integer) {
      const auto bits = static_cast<std::uint64_t>(column.integer);
      for (std::uint64_t left = content_size(serial_type(column)); left > 0; --left) {
        *out++ = static_cast<std::byte>(bits >> (8 * (left - 1)));
      }
    } else if (!column.bytes.empty()) {
      std::memcpy(out, column.bytes.data(), column.bytes.size());
      out += column.bytes.size();
    }
  }
}

bool parse_record(BytesView head, std::uint32_t total, std::span<ColumnExtent> extents) noexcept {
  std::uint64_t header_size = 0;
  std::uint32_t at = read_varint(head, 0, header_size);
  if (at == 0 || header_size < at || header_size > head.size() || header_size > total) return false;
  const BytesView header(head.data(), header_size);
  std::uint64_t content = header_size;
  for (ColumnExtent& extent : extents) {
    extent = {};
    if (at >= header_size) continue;  // a shorter record: the remaining columns are NULL
    const unsigned used = read_varint(header, at, extent.serial_type);
    if (used == 0) return false;
    at += used;
    const std::uint64_t size = content_size(extent.serial_type);
    if (content + size > total) return false;
    extent.offset = static_cast<std::uint32_t>(content);
    extent.size = static_cast<std::uint32_t>(size);
    content += size;
  }
  return true;
}

Column decode_column(const ColumnExtent& extent, const std::byte* record) noexcept {
  const std::byte* content = record + extent.offset;
  const std::uint64_t type = extent.serial_type;
  if (type == 0) return Column::null();
  if (type == 8 || type == 9) return Column::of(static_cast<std::int64_t>(type - 8));
  if (type <= 6) {
    // Sign-extended from its first byte.
    auto value = static_cast<std::uint64_t>(static_cast<std::int64_t>(static_cast<std::int8_t>(content[0])));
    for (std::uint32_t i = 1; i < extent.size; ++i) {
      value = (value << 8) | static_cast<std::uint64_t>(content[i]);
    }
    return Column::of(static_cast<std::int64_t>(value));
  }
  if (type >= 12) {
    return {type % 2 == 0 ? Column::Type::blob : Column::Type::text, 0, {content, extent.size}};
  }
  return {Column::Type::other, 0, {}};
}

}  // namespace snkv::btree
