// Values that are too large to hold in memory: in pieces, in part, and from file to file.
#include "expect.hpp"

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <span>
#include <string>

int main() {
  auto store = must(snkv::Store::open("blobs.db"));
  constexpr std::uint64_t megabyte = 1 << 20;

  // A writer takes the value piece by piece. Until finish() there is nothing to be seen of it, and
  // without finish() there never will be.
  auto writer = must(store.blob_writer("video", {.size = 8 * megabyte}));
  for (char scene = 'a'; scene < 'i'; ++scene) must(writer.write(std::string(megabyte, scene)));
  must(writer.write_at(0, "TITLE"));  // anywhere, also over what is there
  expect(!must(store.contains("video")), "not yet");
  must(writer.finish());
  {
    auto abandoned = must(store.blob_writer("video"));
    must(abandoned.write("half a"));
  }
  expect(must(store.get("video")).size() == 8 * megabyte, "the abandoned one has left no trace");

  // A reader reads what it is asked for and nothing else, from the value as it was when it began.
  auto reader = must(store.blob_reader("video"));
  must(store.erase("video"));
  std::string scene(16, '\0');
  must(reader.read_at(3 * megabyte - 8, std::as_writable_bytes(std::span(scene))));
  std::cout << "in the middle of " << reader.size() << " bytes: " << scene << '\n';
  expect(scene == "ccccccccdddddddd", "a cut from c to d");
  must(reader.seek(0));
  std::string title(5, '\0');
  must(reader.read(std::as_writable_bytes(std::span(title))));
  expect(title == "TITLE" && reader.tell() == 5, "read from the beginning");

  // Files in and out, with a report of what is done and the possibility to stop.
  std::ofstream("in.bin", std::ios::binary) << std::string(3 * megabyte, 'x');
  must(store.put_file("file", "in.bin"));
  std::uint64_t reported = 0;
  must(store.get_to_file("file", "out.bin", [&](std::uint64_t done, std::uint64_t) {
    reported = done;
    return true;
  }));
  std::cout << reported << " bytes written to out.bin\n";
  expect(reported == 3 * megabyte, "all of it");
  const auto stopped = store.get_to_file("file", "no.bin", [](auto, auto) { return false; });
  expect(!stopped && stopped.error() == snkv::Errc::aborted, "stopped");
  expect(!std::ifstream("no.bin").good(), "and no file is left behind");
}
