#include "kv/engine.hpp"

#include <snkv/snkv.hpp>
#include <snkv/write_buffer.hpp>

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

/// `Handle` is a store, or a buffer in front of one.
template <class Handle>
class SnkvSession final : public Session {
 public:
  SnkvSession(Handle store, snkv::Store snapshots) : store_(std::move(store)), snapshots_(std::move(snapshots)) {}

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
  void pin() override { snapshot_ = must(snapshots_.snapshot()); }
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
  std::invoke_result_t<Use, const Handle&> on(Use&& use) {
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

  Handle store_;
  snkv::Store snapshots_;
  std::optional<snkv::Snapshot> snapshot_;
  snkv::Bytes value_;
};

class SnkvEngine final : public Engine {
 public:
  explicit SnkvEngine(snkv::Store store) : store_(std::move(store)) {}
  std::unique_ptr<Session> session() override { return std::make_unique<SnkvSession<snkv::Store>>(store_, store_); }
  void settle() override { must(store_.checkpoint(snkv::Checkpoint::truncate)); }

 private:
  snkv::Store store_;
};

class SnkvBufferEngine final : public Engine {
 public:
  SnkvBufferEngine(snkv::Store store, const snkv::WriteBufferOptions& options)
      : store_(std::move(store)), buffer_(must(snkv::WriteBuffer::open(store_, options))) {}
  ~SnkvBufferEngine() override { static_cast<void>(buffer_.close()); }
  std::unique_ptr<Session> session() override {
    return std::make_unique<SnkvSession<snkv::WriteBuffer>>(buffer_, store_);
  }
  void settle() override {
    must(buffer_.flush());
    must(store_.checkpoint(snkv::Checkpoint::truncate));
  }

 private:
  snkv::Store store_;
  snkv::WriteBuffer buffer_;
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

EngineKind snkv_buffer_kind(bool journal, std::size_t bytes) {
  return {journal ? "snkv-journal" : "snkv-buffer",
          std::string("a WriteBuffer of 64 MB in front of the same, with max_age = 1 s") +
              (journal ? " and a journal" : ""),
          [journal, bytes](const EngineOptions& options) {
            return std::make_unique<SnkvBufferEngine>(
                must(snkv::Store::open(options.folder + "/store.db")),
                snkv::WriteBufferOptions{.flush_bytes = bytes, .journal = journal});
          }};
}

}  // namespace benchmark
