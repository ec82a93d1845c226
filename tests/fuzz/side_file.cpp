// The file beside a store in which a collection's graph is saved.
#include "fuzz/collections.hpp"

namespace snkv::fuzz {
namespace {

struct Files {
  std::string store;
  std::string side;
};

const Files& sound() {
  static const Files files = [] {
    const std::string path = folder().file("sound.db");
    remove_store(path);
    make_collection(path);
    return Files{test::read_file(path), test::read_file(path + "-vectors-1")};
  }();
  return files;
}

}  // namespace

std::vector<std::string> seeds() { return {sound().side}; }

void run(std::string_view input) {
  const std::string path = folder().file("case.db");
  remove_store(path);
  test::write_file(path, sound().store);
  test::write_file(path + "-vectors-1", input);
  poke_collection(path);
  remove_store(path);
}

}  // namespace snkv::fuzz
