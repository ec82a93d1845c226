#include "kv/engine.hpp"

#include <leveldb/db.h>
#include <leveldb/write_batch.h>

#define BENCHMARK_LOG_STRUCTURED leveldb
#include "kv/log_structured.hpp"

namespace benchmark {

EngineKind leveldb_kind() {
  return {"leveldb",
          "LevelDB " + std::to_string(leveldb::kMajorVersion) + "." +
              std::to_string(leveldb::kMinorVersion) +
              ", defaults without compression; "
              "WriteOptions::sync when synced",
          [](const EngineOptions& options) -> std::unique_ptr<Engine> {
            leveldb::Options settings;
            settings.create_if_missing = true;
            settings.compression = leveldb::kNoCompression;
            return std::make_unique<leveldb_adapter::LogEngine>("leveldb", options, settings);
          }};
}

EngineKind leveldb_buffer_kind(std::size_t bytes) {
  return {"leveldb-64m", "LevelDB, the same with write_buffer_size = 64 MB",
          [bytes](const EngineOptions& options) -> std::unique_ptr<Engine> {
            leveldb::Options settings;
            settings.create_if_missing = true;
            settings.compression = leveldb::kNoCompression;
            settings.write_buffer_size = bytes;
            return std::make_unique<leveldb_adapter::LogEngine>("leveldb", options, settings);
          }};
}

}  // namespace benchmark
