#include "kv/engine.hpp"

#include <snkv/snkv.hpp>

#include <optional>
#include <type_traits>
#include <utility>

namespace benchmark {
namespace {

template <class T>
T must(snkv::Result<T> result) {
  if (!result) fail("snkv", result.error().message());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

class SnkvSession final : public Session {
 public:
  explicit SnkvSession(snkv::Store store) : store_(std::move(store)) {}

  void put(std::string_view key, std::string_view value) override { must(store_.put(key, value)); }
  void erase(std::string_view key) override { must(store_.erase(key)); }
  void put_batch(std::span<const Entry> entries) override {
    snkv::WriteBatch batch;
    for (const Entry& entry : entries) batch.put(entry.key, entry.value);
    must(store_.write(batch));
  }

  std::optional<std::string_view> get(std::string_view key) override {
    return on([&](const auto& reader) -> std::optional<std::string_view> {
      auto found = reader.get(key);
      if (!found) {
        if (found.error() != snkv::Errc::not_found) fail("snkv", found.error().message());
        return {};
      }
      value_ = std::move(*found);
      return value_.view();
    });
  }
  bool contains(std::string_view key) override {
    return on([&](const auto& reader) { return must(reader.contains(key)); });
  }
  std::size_t multi_get(std::span<const std::string> keys, std::uint64_t& sum) override {
    std::vector<snkv::BytesView> views(keys.begin(), keys.end());
    const auto values = must(store_.multi_get(views));
    std::size_t found = 0;
    for (const auto& value : values) {
      if (!value) continue;
      ++found;
      sum += touch(value->view());
    }
    return found;
  }
  void pin() override { snapshot_ = must(store_.snapshot()); }
  void unpin() override { snapshot_.reset(); }

  std::size_t scan(Direction direction, std::uint64_t& sum) override {
    return direction == Direction::forward ? add_up(store_.all(), sum)
                                           : add_up(store_.all().reversed(), sum);
  }
  std::size_t scan_prefix(std::string_view prefix, std::uint64_t& sum) override {
    return add_up(store_.prefix(prefix), sum);
  }
  std::size_t scan_from(std::string_view key, std::size_t most, std::uint64_t& sum) override {
    auto at = store_.iterator();
    std::size_t count = 0;
    for (at.seek(key); at.valid() && count < most; at.next(), ++count) {
      sum += touch(at.key().view()) + touch(at.value().view());
    }
    must(at.status());
    return count;
  }

 private:
  template <class Use>
  std::invoke_result_t<Use, const snkv::Store&> on(Use&& use) {
    return snapshot_ ? use(*snapshot_) : use(store_);
  }
  template <class Range>
  std::size_t add_up(Range range, std::uint64_t& sum) {
    std::size_t count = 0;
    for (auto [key, value] : range) {
      sum += touch(key.view()) + touch(value.view());
      ++count;
    }
    must(range.status());
    return count;
  }

  snkv::Store store_;
  std::optional<snkv::Snapshot> snapshot_;
  snkv::Bytes value_;
};

class SnkvEngine final : public Engine {
 public:
  explicit SnkvEngine(snkv::Store store) : store_(std::move(store)) {}
  std::unique_ptr<Session> session() override { return std::make_unique<SnkvSession>(store_); }
  void settle() override { must(store_.checkpoint(snkv::Checkpoint::truncate)); }

 private:
  snkv::Store store_;
};

}  // namespace

EngineKind snkv_kind() {
  return {"snkv",
          "defaults: 8 KB pages, 8 MB cache, write-ahead log; Sync::normal, full when synced, off when "
          "nothing is",
          [](const EngineOptions& options) {
            const snkv::Sync sync = options.durability == Durability::disk   ? snkv::Sync::full
                                    : options.durability == Durability::none ? snkv::Sync::off
                                                                             : snkv::Sync::normal;
            return std::make_unique<SnkvEngine>(
                must(snkv::Store::open(options.folder + "/store.db", {.sync = sync})));
          },
          Durability::none};
}

}  // namespace benchmark
