// The C++23 half of expected_odr_test.cpp.
#include <snkv/snkv.hpp>

#include <expected>
#include <string>
#include <type_traits>
#include <typeinfo>

static_assert(std::is_same_v<snkv::Result<int>, std::expected<int, snkv::Error>>,
              "this half must be compiled as C++23");

namespace cxx23 {

std::string store_type_name();
std::string increment_entry(const std::string& path);
std::string read_entry(const std::string& path);

std::string store_type_name() { return typeid(snkv::Store).name(); }

/// Appends a "1" to the entry, through every kind of handle.
std::string increment_entry(const std::string& path) {
  auto store = snkv::Store::open(path);
  if (!store) return store.error().message();
  const snkv::Result<void> done =
      store->transact([](snkv::Transaction& transaction) -> snkv::Result<void> {
        auto savepoint = transaction.savepoint();
        if (!savepoint) return snkv::Unexpected(savepoint.error());
        std::string value;
        for (auto [key, old] : transaction.prefix("shared")) value = old.str() + "1";
        if (auto put = transaction.put("shared", value); !put) return put;
        return savepoint->release();
      });
  return done ? "" : done.error().message();
}

std::string read_entry(const std::string& path) {
  auto store = snkv::Store::open(path);
  if (!store) return store.error().message();
  auto snapshot = store->snapshot();
  if (!snapshot) return snapshot.error().message();
  auto value = snapshot->get("shared");
  return value ? value->str() : std::string(snkv::to_string(value.error().code()));
}

}  // namespace cxx23
