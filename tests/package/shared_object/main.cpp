// Loads the plugins and lets each of them use a store.
#include <dlfcn.h>

#include <cstdio>

namespace {

bool works(const char* path) {
  void* const plugin = ::dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (plugin == nullptr) {
    std::fprintf(stderr, "%s\n", ::dlerror());
    return false;
  }
  const auto run = reinterpret_cast<int (*)()>(::dlsym(plugin, "run"));
  const bool ok = run != nullptr && run() == 0;
  if (!ok) std::fprintf(stderr, "%s does not work\n", path);
  return ok;
}

}  // namespace

int main() { return works(PLUGIN) && works(C_PLUGIN) ? 0 : 1; }
