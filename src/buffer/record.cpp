#include "buffer/record.hpp"

#include <cstring>

namespace snkv::buffer {
namespace {

template <class Number>
void append_number(std::string& out, Number value) {
  char bytes[sizeof value];
  for (std::size_t i = 0; i < sizeof value; ++i) {
    bytes[i] = static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i));
  }
  out.append(bytes, sizeof bytes);
}

template <class Number>
void write_number(char* at, Number value) noexcept {
  for (std::size_t i = 0; i < sizeof value; ++i) at[i] = static_cast<char>(value >> (8 * i));
}

void append_string(std::string& out, BytesView bytes) {
  append_number(out, static_cast<std::uint32_t>(bytes.size()));
  out += bytes.view();
}

BytesView behind(BytesView bytes, std::size_t size) noexcept {
  return {bytes.data() + size, bytes.size() - size};
}

std::uint64_t number_at(const std::byte* at, std::size_t size) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < size; ++i) value |= std::to_integer<std::uint64_t>(at[i]) << (8 * i);
  return value;
}

template <class Number>
bool take_number(BytesView& rest, Number& out) noexcept {
  if (rest.size() < sizeof out) return false;
  out = static_cast<Number>(number_at(rest.data(), sizeof out));
  rest = behind(rest, sizeof out);
  return true;
}

bool take_string(BytesView& rest, BytesView& out) noexcept {
  std::uint32_t size = 0;
  if (!take_number(rest, size) || size > rest.size()) return false;
  out = {rest.data(), size};
  rest = behind(rest, size);
  return true;
}

constexpr std::size_t covered_from = 16;  // behind size and checks

std::uint32_t check_of_size(std::size_t size, std::uint64_t seed) noexcept {
  return static_cast<std::uint32_t>(checksum(BytesView(&seed, sizeof seed), size) >> 32);
}

}  // namespace

std::uint64_t checksum(BytesView bytes, std::uint64_t seed) noexcept {
  // Each step maps different states to different ones, so that a change of one word is always seen.
  constexpr std::uint64_t odd = 0x9e3779b97f4a7c15;
  std::uint64_t state = seed ^ (bytes.size() * odd);
  const auto mix = [&](std::uint64_t word) {
    state = (state ^ word) * odd;
    state ^= state >> 29;
  };
  std::size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + i, 8);
    if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
    mix(word);
  }
  if (i < bytes.size()) mix(number_at(bytes.data() + i, bytes.size() - i));
  mix(odd);
  return state;
}

std::size_t begin_record(std::string& out) {
  const std::size_t begin = out.size();
  out.append(record_header, '\0');
  return begin;
}

void append_operation(std::string& out, const Operation& operation) {
  out += operation.tag;
  append_number(out, operation.family);
  append_string(out, operation.first);
  if (operation.tag == 'P' || operation.tag == 'X' || operation.tag == 'R')
    append_string(out, operation.second);
  if (operation.tag == 'X') append_number(out, operation.expires_at);
}

void end_record(std::string& out, std::size_t begin, Sequence last) {
  char* const at = out.data() + begin;
  write_number(at, static_cast<std::uint32_t>(out.size() - begin - covered_from));
  write_number(at + covered_from, last);
}

void check_records(std::string& records, std::uint64_t seed) {
  for (std::size_t i = 0; i < records.size();) {
    char* const at = records.data() + i;
    const auto size =
        static_cast<std::size_t>(number_at(reinterpret_cast<const std::byte*>(at), 4));
    write_number(at + 4, check_of_size(size, seed));
    write_number(at + 8, checksum(BytesView(at + covered_from, size), seed));
    i += covered_from + size;
  }
}

Take take_record(BytesView& rest, std::uint64_t seed, Record& out) {
  if (rest.size() < record_header) return Take::incomplete;
  const auto size = static_cast<std::size_t>(number_at(rest.data(), 4));
  if (size < record_header - covered_from ||
      number_at(rest.data() + 4, 4) != check_of_size(size, seed)) {
    return Take::damaged;
  }
  if (size > rest.size() - covered_from) return Take::incomplete;
  const BytesView covered(rest.data() + covered_from, size);
  if (number_at(rest.data() + 8, 8) != checksum(covered, seed)) return Take::damaged;
  out.last = number_at(covered.data(), 8);
  out.operations = behind(covered, 8);
  out.all = {rest.data(), covered_from + size};
  rest = behind(rest, covered_from + size);
  return Take::ok;
}

bool take_operation(BytesView& rest, Operation& out) {
  out = {};
  if (rest.empty()) return false;
  out.tag = rest.view()[0];
  rest = behind(rest, 1);
  if (!take_number(rest, out.family) || !take_string(rest, out.first)) return false;
  switch (out.tag) {
    case 'P':
    case 'R':
      return take_string(rest, out.second);
    case 'X':
      return take_string(rest, out.second) && take_number(rest, out.expires_at);
    case 'D':
    case 'U':
      return true;
    default:
      return false;
  }
}

}  // namespace snkv::buffer
