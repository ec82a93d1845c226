// BytesView converts from everything that is bytes; Bytes owns; both order by memcmp.
#include "support/catch.hpp"
#include "support/sanitizer.hpp"

#include <snkv/bytes.hpp>

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

using snkv::Bytes;
using snkv::bytes_of;
using snkv::BytesView;

namespace {

// What an overloaded or templated caller sees: an implicit conversion.
std::string as_text(BytesView bytes) { return bytes.str(); }

}  // namespace

TEST_CASE("a view converts from text") {
  CHECK(as_text("abc") == "abc");
  CHECK(as_text(std::string("abc")) == "abc");
  CHECK(as_text(std::string_view("abc")) == "abc");
  CHECK(as_text("") == "");
  const char* pointer = "pointer";
  CHECK(as_text(pointer) == "pointer");
  CHECK(as_text(std::u8string(u8"\u00e4")) == "\xc3\xa4");
}

TEST_CASE("a character array ends at its NUL, a string does not") {
  const char array[8] = {'a', 'b', '\0', 'c', '\0', '\0', '\0', '\0'};
  CHECK(as_text(array) == "ab");
  CHECK(BytesView(std::string("a\0b", 3)).size() == 3);
  CHECK(BytesView(std::string_view("\0", 1)).size() == 1);
}

TEST_CASE("a view converts from containers of one-byte elements") {
  const std::array<std::byte, 2> bytes = {std::byte{'h'}, std::byte{'i'}};
  CHECK(as_text(bytes) == "hi");
  CHECK(as_text(std::vector<unsigned char>{'h', 'i'}) == "hi");
  CHECK(as_text(std::vector<signed char>{'h', 'i'}) == "hi");
  CHECK(as_text(std::vector<std::uint8_t>()) == "");
  CHECK(as_text(std::span<const std::byte>(bytes)) == "hi");
  CHECK(as_text(Bytes(BytesView("hi"))) == "hi");
  std::array<std::byte, 2> changeable = bytes;
  CHECK(as_text(std::span(changeable)) == "hi");
}

// A view does not convert from what is not bytes.
static_assert(!std::is_convertible_v<std::vector<int>, BytesView>);
static_assert(!std::is_convertible_v<std::wstring, BytesView>);
static_assert(!std::is_convertible_v<int, BytesView>);
static_assert(!std::is_convertible_v<std::nullptr_t, BytesView>);
static_assert(!std::is_constructible_v<BytesView, std::nullptr_t>);

TEST_CASE("views of the same bytes are equal, whatever they view") {
  CHECK(BytesView("abc") == BytesView(std::vector<char>{'a', 'b', 'c'}));
  CHECK(BytesView() == BytesView(""));
  CHECK_FALSE(BytesView("abc") == BytesView("abd"));
  CHECK_FALSE(BytesView("abc") == BytesView("ab"));
  CHECK(BytesView(std::string("\0", 1)) != BytesView());
}

TEST_CASE("order is memcmp, shorter first") {
  // Each smaller than all after it.
  const std::vector<std::string> sorted = {
      "",   std::string("\0", 1), std::string("\0\0", 2), std::string("\0\x01", 2),
      "A",  "B",                  "a",                    "aa",
      "ab", "b",                  "\x7f",                 "\x80",
      "\xfe\xff", "\xff",         std::string("\xff\0", 2), "\xff\xff"};
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    for (std::size_t j = 0; j < sorted.size(); ++j) {
      CAPTURE(i, j);
      CHECK((BytesView(sorted[i]) <=> BytesView(sorted[j])) == (i <=> j));
      CHECK((BytesView(sorted[i]) == BytesView(sorted[j])) == (i == j));
    }
  }
}

TEST_CASE("starts_with") {
  CHECK(BytesView("user:1").starts_with("user:"));
  CHECK(BytesView("user:").starts_with("user:"));
  CHECK(BytesView("user:").starts_with(""));
  CHECK(BytesView().starts_with(BytesView()));
  CHECK_FALSE(BytesView("user").starts_with("user:"));
  CHECK_FALSE(BytesView("uses:").starts_with("user:"));
}

TEST_CASE("views of the same memory, as text and as bytes") {
  const std::string text = "text";
  const BytesView view = text;
  CHECK(view.view().data() == text.data());
  CHECK(view.span().size() == 4);
  CHECK(static_cast<const void*>(view.data()) == text.data());
  CHECK_FALSE(view.empty());
  CHECK(BytesView().empty());
  std::ostringstream out;
  out << view << Bytes(view);
  CHECK(out.str() == "texttext");
}

TEST_CASE("bytes_of views an object") {
  const std::uint32_t number = 0x01020304;
  CHECK(bytes_of(number).size() == 4);
  CHECK(static_cast<const void*>(bytes_of(number).data()) == &number);
  const double pi = 3.14;
  double back = 0;
  std::memcpy(&back, bytes_of(pi).data(), sizeof back);
  CHECK(back == pi);
}

TEST_CASE("Bytes owns a copy of its own") {
  std::string text = "abc";
  const Bytes bytes{BytesView(text)};
  text[0] = 'x';
  CHECK(bytes == "abc");
  CHECK(bytes.view() == "abc");
  CHECK(bytes.str() == "abc");
  CHECK(bytes.size() == 3);
  CHECK(std::string(bytes.view().begin(), bytes.view().end()) == "abc");
  CHECK(static_cast<std::size_t>(bytes.end() - bytes.begin()) == bytes.size());
  CHECK(bytes.span().data() == bytes.data());
}

TEST_CASE("copying Bytes copies, moving moves") {
  Bytes one{BytesView("one")};
  Bytes copy = one;
  copy.data()[0] = std::byte{'0'};
  CHECK(one == "one");
  CHECK(copy == "0ne");

  const std::byte* const memory = one.data();
  Bytes moved = std::move(one);
  CHECK(moved.data() == memory);
  CHECK(moved == "one");

  copy = moved;
  CHECK(copy == "one");
  CHECK(copy.data() != moved.data());
  Bytes& itself = copy;
  copy = itself;
  CHECK(copy == "one");

  Bytes other{BytesView("other")};
  other.swap(copy);
  CHECK(other == "one");
  CHECK(copy == "other");
  CHECK(other == moved);
}

TEST_CASE("empty Bytes") {
  const Bytes empty;
  CHECK(empty.empty());
  CHECK(empty == "");
  CHECK(empty == Bytes(BytesView("")));
  CHECK(empty.begin() == empty.end());
  Bytes copy = empty;
  CHECK(copy.empty());
}

TEST_CASE("resizing Bytes keeps what was there") {
  Bytes bytes{BytesView("abc")};
  bytes.resize_for_overwrite(5);
  REQUIRE(bytes.size() == 5);
  CHECK(bytes.view().substr(0, 3) == "abc");
  bytes.data()[3] = std::byte{'d'};
  bytes.data()[4] = std::byte{'e'};
  CHECK(bytes == "abcde");
  bytes.resize_for_overwrite(2);
  CHECK(bytes == "ab");
  bytes.resize_for_overwrite(4);
  CHECK(bytes.view().substr(0, 2) == "ab");
  bytes.resize_for_overwrite(0);
  CHECK(bytes.empty());
  REQUIRE(bytes.try_resize_for_overwrite(100'000));
  CHECK(bytes.size() == 100'000);
}

TEST_CASE("memory that cannot be had is reported, the bytes stay") {
  // Sanitizers end the program instead.
  if (snkv::test::memory_is_sanitized) return;
  Bytes bytes{BytesView("abc")};
  CHECK_FALSE(bytes.try_resize_for_overwrite(std::numeric_limits<std::size_t>::max() / 2));
  CHECK(bytes == "abc");
}
