// Another version of snkv beside this one, out of a shared library whose only name is that of its
// engine.
#include "vector/engine.hpp"

#include <cstdio>
#include <cstdlib>

#include <dlfcn.h>

namespace benchmark {

VectorEngineKind other_snkv_engine(const std::string& library, const std::string& type) {
  void* const handle = ::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  void* const entry = handle != nullptr ? ::dlsym(handle, "snkv_benchmark_engine") : nullptr;
  if (entry == nullptr) {
    std::fprintf(stderr, "%s\n", ::dlerror());
    std::exit(2);
  }
  VectorEngineKind kind;
  reinterpret_cast<void (*)(const std::string&, VectorEngineKind&)>(entry)(type, kind);
  kind.name = "before " + kind.name;
  return kind;
}

}  // namespace benchmark
