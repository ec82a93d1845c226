#include "kv/engine.hpp"

#include <rocksdb/db.h>
#include <rocksdb/version.h>
#include <rocksdb/write_batch.h>

#define BENCHMARK_LOG_STRUCTURED rocksdb
#include "kv/log_structured.hpp"

namespace benchmark {

EngineKind rocksdb_kind() {
  return {"rocksdb",
          "RocksDB " + std::to_string(ROCKSDB_MAJOR) + "." + std::to_string(ROCKSDB_MINOR) + "." +
              std::to_string(ROCKSDB_PATCH) +
              ", defaults without compression; WriteOptions::sync "
              "when synced",
          [](const EngineOptions& options) -> std::unique_ptr<Engine> {
            rocksdb::Options settings;
            settings.create_if_missing = true;
            settings.compression = rocksdb::kNoCompression;
            return std::make_unique<rocksdb_adapter::LogEngine>("rocksdb", options, settings);
          }};
}

EngineKind rocksdb_buffer_kind(std::size_t bytes) {
  return {"rocksdb-64m", "RocksDB, the same with write_buffer_size = 64 MB",
          [bytes](const EngineOptions& options) -> std::unique_ptr<Engine> {
            rocksdb::Options settings;
            settings.create_if_missing = true;
            settings.compression = rocksdb::kNoCompression;
            settings.write_buffer_size = bytes;
            return std::make_unique<rocksdb_adapter::LogEngine>("rocksdb", options, settings);
          }};
}

}  // namespace benchmark
