// The demo: stores every regular file under a folder, path -> contents, and checks that all of it
// can be found and read back.
//
//   file_store [--store FILE] [--report FILE] [FOLDER]
//
// FOLDER is /usr/include by default, and FILE, which must not exist, is file_store.db. The report
// has one line for each column family, "<name> <rows>", and one with the bytes stored; scripts/demo
// compares it with what the sqlite3 command-line program finds in the file.
//
// Files go in by batches, each a transaction, which also keeps the family "extensions" right: the
// number of files and bytes for each extension, as text.
#include "folder.hpp"
#include "progress.hpp"

#include <snkv/snkv.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace demo;
using snkv::Bytes;
using snkv::BytesView;
using snkv::Result;
using snkv::Store;
using snkv::Transaction;

constexpr std::size_t batch_files = 500;
constexpr std::uint64_t batch_bytes = 16u << 20;
constexpr std::size_t most_point_reads = 20'000;
constexpr unsigned seed = 2024;

/// Ends the program: with a message, and never with success.
[[noreturn]] void fail(const std::string& why) {
  std::fflush(stdout);
  std::fprintf(stderr, "\nfile_store: %s\n", why.c_str());
  std::exit(1);
}

void expect(bool condition, const std::string& what) {
  if (!condition) fail(what);
}

/// The value of a result. This program has no use for a store that fails.
template <class T>
T must(Result<T> result) {
  if (!result) fail(result.error().message());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

double rate(double amount, double seconds) { return amount / std::max(seconds, 1e-9); }

/// Adds the time from its beginning to its end.
class Stopwatch {
 public:
  explicit Stopwatch(double& sum) : sum_(sum) {}
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;
  ~Stopwatch() {
    sum_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
  }

 private:
  double& sum_;
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

// ---- Totals for each extension ----

struct Total {
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;
  friend bool operator==(const Total&, const Total&) = default;
};

using Totals = std::map<std::string, Total>;

std::string encode(const Total& total) {
  return std::to_string(total.files) + " files, " + std::to_string(total.bytes) + " bytes";
}

Total decode(BytesView text) {
  Total total;
  const std::string_view view = text.view();
  const char* end = view.data() + view.size();
  const auto files = std::from_chars(view.data(), end, total.files);
  constexpr std::string_view between = " files, ";
  expect(files.ec == std::errc() && std::string_view(files.ptr, end).starts_with(between),
         "a total is malformed: " + text.str());
  expect(std::from_chars(files.ptr + between.size(), end, total.bytes).ec == std::errc(),
         "a total is malformed: " + text.str());
  return total;
}

// ---- Storing ----

struct Batch {
  struct Item {
    File file;
    Bytes contents;
  };
  std::vector<Item> items;
  std::uint64_t bytes = 0;

  [[nodiscard]] bool full() const { return items.size() >= batch_files || bytes >= batch_bytes; }
};

/// Puts the files of a batch and the totals they change: all of it, or nothing.
Result<void> put_batch(Transaction& transaction, const Batch& batch) {
  Totals changes;
  for (const auto& [file, contents] : batch.items) {
    auto put = transaction.put(file.path, contents);
    if (!put) return put;
    Total& total = changes[extension(file.path)];
    ++total.files;
    total.bytes += contents.size();
  }

  auto extensions = transaction.column_family("extensions");
  if (!extensions) return snkv::Unexpected(extensions.error());
  for (auto& [name, total] : changes) {
    auto before = extensions->get(name);
    if (before) {
      const Total old = decode(*before);
      total.files += old.files;
      total.bytes += old.bytes;
    } else if (!(before.error() == snkv::Errc::not_found)) {
      return snkv::Unexpected(before.error());
    }
    auto put = extensions->put(name, encode(total));
    if (!put) return put;
  }
  return {};
}

struct Stored {
  std::vector<File> files;  ///< sorted
  std::uint64_t bytes = 0;
  std::uint64_t unreadable = 0;
  std::uint64_t too_large = 0;
  std::uint64_t transactions = 0;
};

Stored store_files(Store& store, const Folder& folder) {
  Stored stored;
  double seconds = 0;
  {
    const Stopwatch watch(seconds);
    Progress progress("storing", folder.files.size(), folder.bytes);
    Batch batch;
    const auto commit = [&] {
      must(store.transact([&](Transaction& t) { return put_batch(t, batch); }));
      for (Batch::Item& item : batch.items) stored.files.push_back(std::move(item.file));
      stored.bytes += batch.bytes;
      ++stored.transactions;
      batch = Batch();
    };
    for (File file : folder.files) {
      const std::uint64_t expected = file.size;
      if (file.size > snkv::max_value_size) {
        ++stored.too_large;
      } else if (Bytes contents; !read_file(file, contents)) {
        ++stored.unreadable;
      } else {
        batch.bytes += contents.size();
        batch.items.push_back({std::move(file), std::move(contents)});
        if (batch.full()) commit();
      }
      progress.add(expected);
    }
    if (!batch.items.empty()) commit();
  }
  const auto count = static_cast<double>(stored.files.size());
  const auto bytes = static_cast<double>(stored.bytes);
  std::printf("stored        %s files, %s, in %s transactions: %.1f s, %s files/s, %s/s\n",
              human_count(stored.files.size()).c_str(), human_bytes(bytes).c_str(),
              human_count(stored.transactions).c_str(), seconds,
              human_count(static_cast<std::uint64_t>(rate(count, seconds))).c_str(),
              human_bytes(rate(bytes, seconds)).c_str());
  return stored;
}

// ---- Reading back ----

/// Gets files in random order and compares every byte with the file on the disk.
void point_reads(const Store& store, const Stored& stored) {
  std::vector<File> sample = stored.files;
  std::shuffle(sample.begin(), sample.end(), std::mt19937(seed));
  if (sample.size() > most_point_reads) sample.resize(most_point_reads);
  std::uint64_t all_bytes = 0;
  for (const File& file : sample) all_bytes += file.size;

  std::uint64_t compared = 0;
  std::uint64_t changed = 0;
  double seconds = 0;
  {
    Progress progress("reading", sample.size(), all_bytes);
    for (const File& file : sample) {
      Bytes value;
      {
        const Stopwatch watch(seconds);
        value = must(store.get(file.path));
      }
      progress.add(value.size());
      File now = file;
      Bytes contents;
      if (!read_file(now, contents) || now.changed != file.changed) {
        ++changed;  // by somebody else, since it was stored
        continue;
      }
      expect(value == contents, "the value of " + shown(file.path) + " differs from the file");
      ++compared;
    }
  }
  const Result<Bytes> absent = store.get("/no such file");
  expect(!absent && absent.error() == snkv::Errc::not_found, "found what is not there");

  std::printf(
      "point reads   %s of %s files, equal byte for byte: %s gets/s, %s/s\n",
      human_count(compared).c_str(), human_count(stored.files.size()).c_str(),
      human_count(static_cast<std::uint64_t>(rate(static_cast<double>(sample.size()), seconds)))
          .c_str(),
      human_bytes(rate(static_cast<double>(all_bytes), seconds)).c_str());
  if (changed > 0)
    std::printf("              %s files changed meanwhile\n", human_count(changed).c_str());
}

/// Runs a scan, which has to give exactly the files of `expected`, from its end if `reversed`.
void scan(const char* name, const std::string& about, snkv::Range range,
          std::span<const File> expected, bool reversed) {
  double seconds = 0;
  std::size_t count = 0;
  std::uint64_t bytes = 0;
  {
    const Stopwatch watch(seconds);
    for (auto [key, value] : range) {
      expect(count < expected.size(), std::string(name) + " gives too many entries");
      const File& file = expected[reversed ? expected.size() - 1 - count : count];
      expect(key == file.path,
             std::string(name) + " gives " + shown(key.view()) + ", not " + shown(file.path));
      expect(value.size() == file.size, "the value of " + shown(file.path) + " has another size");
      bytes += value.size();
      ++count;
    }
    must(range.status());
  }
  expect(count == expected.size(), std::string(name) + " gives too few entries");
  std::printf(
      "%-13s %s files %s: %s entries/s, %s/s\n", name, human_count(count).c_str(), about.c_str(),
      human_count(static_cast<std::uint64_t>(rate(static_cast<double>(count), seconds))).c_str(),
      human_bytes(rate(static_cast<double>(bytes), seconds)).c_str());
}

/// The folder directly below `root` that has the most files, or `root` itself.
std::string busiest_folder(const std::string& root, const std::vector<File>& files) {
  std::map<std::string, std::size_t> counts;
  for (const File& file : files) {
    const std::size_t slash = file.path.find('/', root.size());
    if (slash != std::string::npos) ++counts[file.path.substr(0, slash + 1)];
  }
  const auto most =
      std::max_element(counts.begin(), counts.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == counts.end() ? root : most->first;
}

void scans(const Store& store, const std::string& root, const Stored& stored) {
  const std::vector<File>& files = stored.files;
  const std::string prefix = busiest_folder(root, files);
  const auto has_prefix = [&](const File& file) { return file.path.starts_with(prefix); };
  const auto first = std::find_if(files.begin(), files.end(), has_prefix);
  const auto last = std::find_if_not(first, files.end(), has_prefix);
  scan("prefix scan", "below " + shown(prefix), store.prefix(prefix), std::span(first, last),
       false);

  // The middle half of all files, from its end to its beginning.
  const std::size_t quarter = files.size() / 4;
  const std::span<const File> middle(files.begin() + static_cast<std::ptrdiff_t>(quarter),
                                     files.size() - 2 * quarter);
  if (middle.empty()) return;
  const std::string low = middle.front().path;
  const std::string high =
      middle.back().path + '\0';  // the key right after it: the end is exclusive
  scan("reverse scan", "of the middle half, backwards", store.range(low, high).reversed(), middle,
       true);
}

/// The totals that the transactions kept must be what counting all files again gives.
std::size_t check_totals(Store& store, const Stored& stored) {
  Totals counted;
  for (const File& file : stored.files) {
    Total& total = counted[extension(file.path)];
    ++total.files;
    total.bytes += file.size;
  }
  Totals kept;
  auto extensions = must(store.column_family("extensions"));
  auto all = extensions.all();
  for (auto [key, value] : all) kept[key.str()] = decode(value);
  must(all.status());
  expect(kept == counted, "the totals differ from a recount");
  expect(must(store.count()) == stored.files.size(), "the number of entries is wrong");
  std::printf("totals        %s extensions, equal to a recount\n",
              human_count(kept.size()).c_str());
  return kept.size();
}

void report_file(const std::string& path, const Stored& stored, std::size_t extensions) {
  std::ofstream out(path);
  out << "default " << stored.files.size() << "\nextensions " << extensions << "\nbytes "
      << stored.bytes << '\n';
  out.close();
  expect(out.good(), "cannot write " + path);
}

// ---- The program ----

struct Arguments {
  std::string folder = "/usr/include";
  std::string store = "file_store.db";
  std::string report;
};

Arguments parse(int count, char** values) {
  Arguments out;
  bool have_folder = false;
  for (int i = 1; i < count; ++i) {
    const std::string_view word = values[i];
    if ((word == "--store" || word == "--report") && i + 1 < count) {
      (word == "--store" ? out.store : out.report) = values[++i];
    } else if (!word.starts_with("--") && !have_folder) {
      out.folder = word;
      have_folder = true;
    } else {
      std::fprintf(stderr, "usage: file_store [--store FILE] [--report FILE] [FOLDER]\n");
      std::exit(2);
    }
  }
  return out;
}

void skipped(const char* what, std::uint64_t count) {
  if (count > 0) std::printf("skipped       %s %s\n", human_count(count).c_str(), what);
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments = parse(argc, argv);
  std::error_code error;
  std::filesystem::path root = std::filesystem::canonical(arguments.folder, error);
  if (error || !std::filesystem::is_directory(root, error)) {
    fail(arguments.folder + " is no folder that can be read");
  }

  // All files are found before the store is made: it must not store itself.
  const Folder folder = list_files(root);
  std::printf("found         %s files below %s, %s\n", human_count(folder.files.size()).c_str(),
              shown(root.native()).c_str(), human_bytes(static_cast<double>(folder.bytes)).c_str());
  std::fflush(stdout);

  Store store = must(Store::open(arguments.store, {.error_if_exists = true}));
  must(store.column_family("extensions"));
  const Stored stored = store_files(store, folder);
  skipped("folders or names that cannot be read", folder.unreadable);
  skipped("files that cannot be read", stored.unreadable);
  skipped("files larger than 2 GiB", stored.too_large);
  skipped("files whose paths are longer than 64 KiB", folder.too_long);

  point_reads(store, stored);
  if (!stored.files.empty()) scans(store, root.native() + (root == "/" ? "" : "/"), stored);
  const std::size_t extensions = check_totals(store, stored);

  must(store.integrity_check());
  const snkv::Stats stats = must(store.stats());
  must(store.close());
  const auto size = static_cast<double>(std::filesystem::file_size(arguments.store));
  std::printf("store file    %s in %s; %s commits, %s checkpoints\n", human_bytes(size).c_str(),
              arguments.store.c_str(), human_count(stats.wal_commits).c_str(),
              human_count(stats.checkpoints).c_str());
  if (!arguments.report.empty()) report_file(arguments.report, stored, extensions);
}
