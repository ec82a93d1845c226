#include "kv/engine.hpp"

#include <cstdio>
#include <cstdlib>

namespace benchmark {

std::vector<EngineKind> engine_kinds() {
  return {
      snkv_kind(),    sqlite_kind(),
#ifdef BENCHMARK_LMDB
      lmdb_kind(),
#endif
#ifdef BENCHMARK_ROCKSDB
      rocksdb_kind(),
#endif
#ifdef BENCHMARK_LEVELDB
      leveldb_kind(),
#endif
  };
}

std::vector<EngineKind> buffer_kinds(bool journal, std::size_t bytes) {
  return {
      snkv_buffer_kind(journal, bytes),
#ifdef BENCHMARK_ROCKSDB
      rocksdb_buffer_kind(bytes),
#endif
#ifdef BENCHMARK_LEVELDB
      leveldb_buffer_kind(bytes),
#endif
  };
}

void fail(std::string_view engine, std::string_view what) {
  std::fprintf(stderr, "%.*s: %.*s\n", static_cast<int>(engine.size()), engine.data(),
               static_cast<int>(what.size()), what.data());
  std::exit(1);
}

}  // namespace benchmark
