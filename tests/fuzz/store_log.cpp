// The log of a store and the index of the log, beside a sound file.
//
// An input is the size of the index in 512 bytes (1 byte), the index, and the log.
#include "fuzz/stores.hpp"
#include "support/child_process.hpp"

namespace snkv::fuzz {
namespace {

struct Files {
  std::string store;
  std::string log;
  std::string index;
};

/// As a killed process leaves them. In a child, because this process would drop its locks by reading them.
const Files& sound() {
  static const Files files = [] {
    const std::string path = folder().file("sound.db");
    remove_store(path);
    const std::string report = test::in_child([&]() -> std::string {
      Store store = must(Store::open(path, small_options()));
      fill(store);
      for (const char* suffix : {"", "-wal", "-shm"}) {
        std::filesystem::copy_file(path + suffix, folder().file("copy.db") + suffix,
                                   std::filesystem::copy_options::overwrite_existing);
      }
      return "";
    });
    if (!report.empty()) fail(report);
    const std::string copy = folder().file("copy.db");
    return Files{test::read_file(copy), test::read_file(copy + "-wal"), test::read_file(copy + "-shm")};
  }();
  return files;
}

}  // namespace

std::vector<std::string> seeds() {
  const Files& files = sound();
  const std::string index = files.index.substr(0, 8192);
  return {std::string(1, '\0') + files.log, std::string(1, '\x10') + index + files.log};
}

void run(std::string_view input) {
  const std::string path = folder().file("case.db");
  remove_store(path);
  std::filesystem::remove(path + ".compact");
  Reader reader(input);
  const std::size_t size = std::size_t{reader.byte()} * 512;
  test::write_file(path, sound().store);
  if (size > 0) test::write_file(path + "-shm", reader.text(size));
  test::write_file(path + "-wal", reader.rest());
  poke_files(path, false);
  remove_store(path);
}

}  // namespace snkv::fuzz
