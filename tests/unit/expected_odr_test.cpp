// One program with a half compiled as C++20 (this file: tl::expected) and a half compiled as C++23
// (expected_odr_cxx23.cpp: std::expected), over one compiled core. The same inline class in both
// halves would be two definitions of one thing; the inline namespace keeps them apart.
#include "support/check.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <string>
#include <tl/expected.hpp>
#include <type_traits>
#include <typeinfo>

#if defined(__cpp_lib_expected)
#error "this half must be compiled as C++20"
#endif
static_assert(std::is_same_v<snkv::Result<int>, tl::expected<int, snkv::Error>>);

/// The C++23 half. Nothing of the facade crosses between the two: only plain types do.
namespace cxx23 {
std::string store_type_name();
std::string increment_entry(const std::string& path);
std::string read_entry(const std::string& path);
}  // namespace cxx23

namespace {

std::string read_entry(const std::string& path) {
  auto store = snkv::Store::open(path);
  if (!store) return store.error().message();
  auto value = store->get("shared");
  return value ? value->str() : std::string(snkv::to_string(value.error().code()));
}

}  // namespace

TEST_CASE("the two halves have different facade classes") {
  CHECK(cxx23::store_type_name() != typeid(snkv::Store).name());
}

TEST_CASE("a C++20 and a C++23 half share one core and one file") {
  const snkv::test::TempDir dir;
  const std::string path = dir.file("shared.db");
  {
    auto store = snkv::test::must(snkv::Store::open(path));
    REQUIRE_OK(store.put("shared", "1"));
    // Both halves have the file open.
    CHECK(cxx23::read_entry(path) == "1");
    CHECK(cxx23::increment_entry(path) == "");
    CHECK(snkv::test::must(store.get("shared")) == "11");
  }
  CHECK(cxx23::increment_entry(path) == "");
  CHECK(read_entry(path) == "111");
}

TEST_CASE("errors cross the core into both halves") {
  const snkv::test::TempDir dir;
  CHECK(read_entry(dir.file("none.db")) == "not_found");
  CHECK(cxx23::read_entry(dir.file("none.db")) == "not_found");
}
