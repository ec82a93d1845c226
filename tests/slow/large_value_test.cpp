// A value far larger than memory may be used for it streams in and out, and its neighbours do not
// notice it.
//
//     large_value_test [megabytes] [--lie memory|pieces]
//
// SNKV_LARGE_VALUE_MB in the environment counts instead of the argument. 2047 is the largest value
// there can be.
//
// Memory is the peak of the resident set. What a read costs is counted in read system calls of this
// process: the store's files are not mapped, each connection starts with an empty cache, and one
// that is as small as it can be, so that every get has to read its pages again.
//
// A lie is the proof that the test can fail: the value is written as a whole, or in small pieces
// beside its key, where neighbours meet them.
#include "slow/require.hpp"
#include "support/patterned.hpp"
#include "support/sanitizer.hpp"
#include "support/temp_dir.hpp"

#include <snkv/snkv.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace snkv;
using test::must;
using test::require;
using test::TempDir;

constexpr std::size_t piece = 1u << 20;
constexpr int neighbours = 2000;
const std::string big_key = "n1000-big";

/// Of this program alone: what `getrusage` tells includes the process that started it.
std::uint64_t peak_kilobytes() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word) {
    std::uint64_t kilobytes = 0;
    if (word == "VmHWM:" && status >> kilobytes) return kilobytes;
  }
  throw std::runtime_error("the system does not tell the peak of the resident set");
}

void require_small_memory(const char* when) {
  const std::uint64_t peak = peak_kilobytes();
  std::cout << "peak resident set " << when << ": " << peak << " kB\n";
  require(test::memory_is_sanitized || peak < 64 * 1024,
          "the peak of the resident set is " + std::to_string(peak) + " kB");
}

/// Read system calls of this process so far, and the bytes they got.
struct Reads {
  std::uint64_t calls = 0;
  std::uint64_t bytes = 0;

  static Reads so_far() {
    std::ifstream io("/proc/self/io");
    Reads reads;
    std::string name;
    for (std::uint64_t number = 0; io >> name >> number;) {
      if (name == "rchar:") reads.bytes = number;
      if (name == "syscr:") reads.calls = number;
    }
    return reads;
  }
  friend Reads operator-(Reads a, Reads b) { return {a.calls - b.calls, a.bytes - b.bytes}; }
  friend bool operator==(Reads, Reads) = default;
};

/// What reading /proc/self/io costs, subtracted from each measurement by making it twice.
template <class Body>
Reads reads_of(Body&& body) {
  const Reads before = Reads::so_far();
  const Reads idle = Reads::so_far();
  body();
  const Reads after = Reads::so_far();
  const Reads cost = idle - before;
  const Reads all = after - idle;
  return {all.calls - cost.calls, all.bytes > cost.bytes ? all.bytes - cost.bytes : 0};
}

class Timer {
 public:
  explicit Timer(const char* what) : what_(what) {}
  ~Timer() {
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start_;
    std::cout << what_ << ": " << passed.count() << " s\n";
  }

 private:
  const char* what_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

std::string neighbour(int number) {
  std::string digits = std::to_string(10'000 + number);
  return "n" + digits.substr(1);
}

/// One mebibyte that differs from all others of the value.
const std::string& piece_number(std::uint64_t number) {
  static std::string bytes = test::patterned(piece);
  std::memcpy(bytes.data(), &number, sizeof(number));
  std::memcpy(bytes.data() + piece / 2, &number, sizeof(number));
  return bytes;
}

void write_value(Store& store, std::uint64_t size) {
  const Timer timer("written");
  BlobWriter writer = must(store.blob_writer(big_key, {.size = size}));
  for (std::uint64_t at = 0; at < size; at += piece) {
    const std::size_t amount = static_cast<std::size_t>(std::min<std::uint64_t>(piece, size - at));
    must(writer.write(BytesView(piece_number(at / piece).data(), amount)));
  }
  must(writer.finish());
}

void read_value(Store& store, std::uint64_t size) {
  const Timer timer("read");
  BlobReader reader = must(store.blob_reader(big_key));
  require(reader.size() == size, "the size is wrong");
  std::string buffer(piece, '\0');
  for (std::uint64_t at = 0; at < size; at += piece) {
    const std::size_t got = must(reader.read(std::as_writable_bytes(std::span(buffer))));
    require(got == std::min<std::uint64_t>(piece, size - at), "a read came short");
    require(std::memcmp(buffer.data(), piece_number(at / piece).data(), got) == 0,
            "the bytes at " + std::to_string(at) + " are wrong");
  }
  require(must(reader.read(std::as_writable_bytes(std::span(buffer)))) == 0, "no end");
}

/// A part in the middle: the right bytes, and about as many pages as they lie on.
void read_range(Store& store, std::uint64_t offset) {
  std::string buffer(piece, '\0');
  const Reads reads = reads_of([&] {
    BlobReader reader = must(store.blob_reader(big_key));
    require(must(reader.read_at(offset, std::as_writable_bytes(std::span(buffer)))) == piece,
            "the range came short");
  });
  require(buffer == piece_number(offset / piece), "the bytes of the range are wrong");
  std::cout << "1 MiB at " << offset << ": " << reads.calls << " reads, " << reads.bytes
            << " bytes\n";
  require(reads.bytes < piece + piece / 4, "a range of 1 MiB read " + std::to_string(reads.bytes));
}

/// 1000 gets of one neighbour, and one get of each of 1000 around the large key.
struct Costs {
  Reads one;
  Reads around;
};

Costs cost_of_neighbours(const std::string& path) {
  Store store = must(Store::open(path, {.cache_size = 1024, .map_file = false}));
  must(store.get(neighbour(0)));  // opens the connection and reads the schema
  Costs costs;
  costs.one = reads_of([&] {
    for (int i = 0; i < 1000; ++i) must(store.get(neighbour(1000)));
  });
  costs.around = reads_of([&] {
    for (int i = 500; i < 1500; ++i) must(store.get(neighbour(i)));
  });
  std::cout << "1000 gets of one neighbour: " << costs.one.calls
            << " reads; of 1000 neighbours: " << costs.around.calls << "\n";
  return costs;
}

/// What programs do that know no large values.
void put_pieces(Store& store, std::uint64_t size) {
  constexpr std::uint64_t small = 1500;
  Transaction transaction = must(store.begin());
  for (std::uint64_t at = 0; at < size; at += small) {
    must(transaction.put(big_key + std::to_string(1'000'000'000 + at / small),
                         BytesView(piece_number(at / piece).data(), small)));
  }
  must(transaction.commit());
}

void run(std::uint64_t size, std::string_view lie) {
  const TempDir dir;
  const std::string path = dir.file("large.db");
  {
    Store store = must(Store::open(path, {.map_file = false}));
    Transaction transaction = must(store.begin());
    for (int i = 0; i < neighbours; ++i) must(transaction.put(neighbour(i), test::patterned(300)));
    // The row of a large value is a small one; here it is one from the start, so that the tree has
    // the same shape in both measurements.
    must(transaction.put(big_key, "12345678"));
    must(transaction.commit());
  }
  const Costs without = cost_of_neighbours(path);
  {
    Store store = must(Store::open(path, {.map_file = false}));
    require_small_memory("before");
    write_value(store, size);
    if (lie == "memory") must(store.put(big_key, must(store.get(big_key))));
    std::cout << "log after the commit: " << must(store.stats()).wal_bytes << " bytes\n";
    read_value(store, size);
    require_small_memory("after writing and reading");
    if (lie == "pieces") put_pieces(store, size);
  }
  std::cout << "file: " << std::filesystem::file_size(path) << " bytes\n";
  const Costs with = cost_of_neighbours(path);
  require(with.one == without.one, "a neighbour of the large value costs more to read");
  require(with.around == without.around, "the neighbours of the large value cost more to read");
  {
    Store store = must(Store::open(path, {.map_file = false}));
    read_range(store, size / 2 / piece * piece);
  }
  Store store = must(Store::open(path, {.map_file = false}));
  {
    const Timer timer("erased");
    require(must(store.erase(big_key)), "the value is gone");
  }
  require_small_memory("after erasing");
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const std::vector<std::string_view> arguments(argv + 1, argv + argc);
    std::uint64_t megabytes = 2047;
    std::string_view lie;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      if (arguments[i] == "--lie" && i + 1 < arguments.size()) {
        lie = arguments[++i];
      } else {
        megabytes = std::strtoull(arguments[i].data(), nullptr, 10);
      }
    }
    if (const char* wanted = std::getenv("SNKV_LARGE_VALUE_MB"); wanted != nullptr && lie.empty()) {
      megabytes = std::strtoull(wanted, nullptr, 10);
    }
    require(megabytes > 0, "usage: large_value_test [megabytes] [--lie memory|pieces]");
    const std::uint64_t most = max_value_size / piece * piece;
    run(std::min<std::uint64_t>(megabytes * piece, most), lie);
  } catch (const std::exception& caught) {
    std::cout << "FAILED: " << caught.what() << std::endl;
    return 1;
  }
}
