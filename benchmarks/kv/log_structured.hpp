// RocksDB and LevelDB have one interface but for the namespace: this is the adapter of both,
// included with BENCHMARK_LOG_STRUCTURED defined as the namespace. Hence no include guard.
#include "kv/engine.hpp"

#include <filesystem>

#define BENCHMARK_JOIN_(a, b) a##b
#define BENCHMARK_JOIN(a, b) BENCHMARK_JOIN_(a, b)

namespace benchmark {
namespace BENCHMARK_JOIN(BENCHMARK_LOG_STRUCTURED, _adapter) {

  namespace db = ::BENCHMARK_LOG_STRUCTURED;

  inline db::Slice slice(std::string_view bytes) { return {bytes.data(), bytes.size()}; }
  inline std::string_view to_view(const db::Slice& bytes) { return {bytes.data(), bytes.size()}; }

  class LogSession final : public Session {
   public:
    LogSession(std::string name, db::DB& db, Durability durability)
        : name_(std::move(name)), db_(db) {
      write_.sync = durability == Durability::disk;
    }
    ~LogSession() override { unpin(); }

    void put(std::string_view key, std::string_view value) override {
      check(db_.Put(write_, slice(key), slice(value)));
    }
    void erase(std::string_view key) override { check(db_.Delete(write_, slice(key))); }
    void put_batch(std::span<const Entry> entries) override {
      db::WriteBatch batch;
      for (const Entry& entry : entries) batch.Put(slice(entry.key), slice(entry.value));
      check(db_.Write(write_, &batch));
    }

    std::optional<std::string_view> get(std::string_view key) override {
      const db::Status status = db_.Get(read_, slice(key), &value_);
      if (status.IsNotFound()) return {};
      check(status);
      return value_;
    }
    bool contains(std::string_view key) override { return get(key).has_value(); }
    std::size_t multi_get(std::span<const std::string> keys, std::uint64_t& sum) override {
      std::size_t found = 0;
      for (const std::string& key : keys) {
        const auto value = get(key);
        if (!value) continue;
        ++found;
        sum += touch(*value);
      }
      return found;
    }
    void pin() override { read_.snapshot = db_.GetSnapshot(); }
    void unpin() override {
      if (read_.snapshot != nullptr) db_.ReleaseSnapshot(read_.snapshot);
      read_.snapshot = nullptr;
    }

    std::size_t scan(Direction direction, std::uint64_t& sum) override {
      const std::unique_ptr<db::Iterator> at(db_.NewIterator(read_));
      std::size_t count = 0;
      if (direction == Direction::forward) {
        for (at->SeekToFirst(); at->Valid(); at->Next(), ++count) sum += both(*at);
      } else {
        for (at->SeekToLast(); at->Valid(); at->Prev(), ++count) sum += both(*at);
      }
      check(at->status());
      return count;
    }
    std::size_t scan_prefix(std::string_view prefix, std::uint64_t& sum) override {
      const std::unique_ptr<db::Iterator> at(db_.NewIterator(read_));
      std::size_t count = 0;
      for (at->Seek(slice(prefix)); at->Valid() && at->key().starts_with(slice(prefix));
           at->Next(), ++count) {
        sum += both(*at);
      }
      check(at->status());
      return count;
    }
    std::size_t scan_from(std::string_view key, std::size_t most, std::uint64_t& sum) override {
      const std::unique_ptr<db::Iterator> at(db_.NewIterator(read_));
      std::size_t count = 0;
      for (at->Seek(slice(key)); at->Valid() && count < most; at->Next(), ++count) sum += both(*at);
      check(at->status());
      return count;
    }

   private:
    void check(const db::Status& status) const {
      if (!status.ok()) fail(name_, status.ToString());
    }
    static std::uint64_t both(const db::Iterator& at) {
      return touch(to_view(at.key())) + touch(to_view(at.value()));
    }

    std::string name_;
    db::DB& db_;
    db::ReadOptions read_;
    db::WriteOptions write_;
    std::string value_;
  };

  class LogEngine final : public Engine {
   public:
    LogEngine(std::string name, const EngineOptions& options, const db::Options& settings)
        : name_(std::move(name)), durability_(options.durability) {
      db::DB* opened = nullptr;
      const db::Status status = db::DB::Open(settings, options.folder + "/db", &opened);
      if (!status.ok()) fail(name_, status.ToString());
      db_.reset(opened);
    }
    std::unique_ptr<Session> session() override {
      return std::make_unique<LogSession>(name_, *db_, durability_);
    }

   private:
    std::string name_;
    Durability durability_;
    std::unique_ptr<db::DB> db_;
  };

}  // namespace )
}  // namespace benchmark
