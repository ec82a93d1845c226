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

}  // namespace benchmark
