// Runs a target's seeds, small changes of them, and kept inputs.
//
//     fuzz_NAME [FILE or FOLDER...]     runs
//     fuzz_NAME --seeds FOLDER          writes the seeds
#include "fuzz/fuzz.hpp"

#include <algorithm>
#include <cinttypes>
#include <random>

namespace {

namespace fs = std::filesystem;
using namespace snkv;

std::size_t ran = 0;

void run(const std::string& name, std::string_view input) {
  // What is said before a crash is the only trace of it.
  std::fprintf(stderr, "%s\n", name.c_str());
  fuzz::run(input);
  ++ran;
}

void run_file(const fs::path& path) { run(path.string(), test::read_file(path.string())); }

int write_seeds(const fs::path& folder) {
  fs::create_directories(folder);
  std::size_t number = 0;
  for (const std::string& seed : fuzz::seeds()) {
    test::write_file((folder / ("seed-" + std::to_string(number++))).string(), seed);
  }
  return 0;
}

/// A few bytes changed, in a way that is the same each time.
void run_changed_seeds() {
  std::size_t number = 0;
  for (const std::string& seed : fuzz::seeds()) {
    run("seed " + std::to_string(number), seed);
    for (std::uint64_t change = 0; change < 20 && !seed.empty(); ++change) {
      std::mt19937_64 random(number * 1000 + change);
      std::string input = seed;
      for (int i = 0; i < 3; ++i) input[random() % input.size()] = static_cast<char>(random());
      if (change % 5 == 4) input.resize(random() % input.size());
      run("seed " + std::to_string(number) + ", change " + std::to_string(change), input);
    }
    ++number;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc == 3 && std::string_view(argv[1]) == "--seeds") return write_seeds(argv[2]);
  run_changed_seeds();
  for (int i = 1; i < argc; ++i) {
    const fs::path path = argv[i];
    if (!fs::is_directory(path)) {
      run_file(path);
      continue;
    }
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(path)) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    for (const fs::path& file : files) run_file(file);
  }
  std::printf("%zu inputs\n", ran);
  return ran == 0 ? 1 : 0;
}
