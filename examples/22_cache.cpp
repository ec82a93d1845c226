// A cache of at most so many bytes, in a file: what was not used for the longest time goes first.
#include "expect.hpp"

#include <snkv/typed.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>

class Cache {
 public:
  Cache(snkv::Store store, std::uint64_t limit)
      : store_(std::move(store)),
        limit_(limit),
        items_(must(Items::open(store_, "items"))),
        uses_(must(Uses::open(store_, "uses"))) {}

  snkv::Result<std::optional<std::string>> get(const std::string& key) {
    return store_.transact(
        [&](snkv::Transaction& transaction) -> snkv::Result<std::optional<std::string>> {
          SNKV_TRY(auto items, items_.in(transaction));
          auto item = items.get(key);
          if (!item) return std::optional<std::string>();
          SNKV_TRY_VOID(use(transaction, key, *item));
          return std::get<1>(*item);
        });
  }

  snkv::Result<void> put(const std::string& key, const std::string& value) {
    return store_.transact([&](snkv::Transaction& transaction) -> snkv::Result<void> {
      SNKV_TRY_VOID(forget(transaction, key));
      SNKV_TRY_VOID(use(transaction, key, {0, value}));
      SNKV_TRY(auto bytes, transaction.increment("bytes", static_cast<std::int64_t>(value.size())));
      SNKV_TRY(auto uses, uses_.in(transaction));
      while (bytes > static_cast<std::int64_t>(limit_)) {
        SNKV_TRY(auto oldest, uses.first());
        if (!oldest) break;
        SNKV_TRY_VOID(forget(transaction, oldest->value));
        SNKV_TRY(bytes, transaction.get_int("bytes"));
      }
      return {};
    });
  }

 private:
  using Items =
      snkv::TypedFamily<std::string,
                        std::tuple<std::int64_t, std::string>>;  // when it was used, value
  using Uses = snkv::TypedFamily<std::int64_t, std::string>;     // the same the other way round

  snkv::Result<void> use(snkv::Transaction& transaction, const std::string& key,
                         std::tuple<std::int64_t, std::string> item) {
    SNKV_TRY(auto uses, uses_.in(transaction));
    SNKV_TRY(auto items, items_.in(transaction));
    SNKV_TRY_VOID(uses.erase(std::get<0>(item)));
    SNKV_TRY(std::get<0>(item), transaction.increment("clock"));
    SNKV_TRY_VOID(uses.put(std::get<0>(item), key));
    return items.put(key, item);
  }
  snkv::Result<void> forget(snkv::Transaction& transaction, const std::string& key) {
    SNKV_TRY(auto items, items_.in(transaction));
    const auto item = items.get(key);
    if (!item) return {};
    SNKV_TRY(auto uses, uses_.in(transaction));
    SNKV_TRY_VOID(uses.erase(std::get<0>(*item)));
    SNKV_TRY_VOID(items.erase(key));
    SNKV_TRY_VOID(
        transaction.increment("bytes", -static_cast<std::int64_t>(std::get<1>(*item).size())));
    return {};
  }

  snkv::Store store_;
  std::uint64_t limit_;
  Items items_;
  Uses uses_;
};

int main() {
  Cache cache(must(snkv::Store::open("cache.db", {.sync = snkv::Sync::normal})), 3000);
  const std::string page(1000, 'x');
  for (const char* key : {"a", "b", "c"}) must(cache.put(key, page));
  expect(must(cache.get("a")).has_value(), "all three fit");
  must(cache.put("d", page));
  expect(!must(cache.get("b")).has_value(), "b was not used for the longest time");
  expect(must(cache.get("a")) == page && must(cache.get("c")) && must(cache.get("d")),
         "the others are there");
  must(cache.put("a", "short"));
  must(cache.put("e", page));
  must(cache.put("f", std::string(5000, 'y')));
  expect(!must(cache.get("f")).has_value() && !must(cache.get("a")).has_value(),
         "what is larger than all goes at once");
  std::cout << "a cache of 3000 bytes\n";
}
