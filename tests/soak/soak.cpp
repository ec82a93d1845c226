// Everything at once for a long time: threads that write, read, take from a queue, count through a
// write buffer with a journal, turn over columns and vectors, and copy the store. What a process
// holds must stay level: resident memory, descriptors, the log, and the recall of searches. In the
// end all sums must be right.
//
//     soak FOLDER SECONDS [CSV]       FOLDER is empty, or not there; `scripts/soak` draws the CSV
//
// Exits with 0 when all of that holds; what grows is judged from a minute on. Says what it sees ten
// times.
#include <snkv/column.hpp>
#include <snkv/snkv.hpp>
#include <snkv/typed.hpp>
#include <snkv/vector.hpp>
#include <snkv/write_buffer.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;
using Vectors = snkv::VectorStore<32, snkv::L2>;
using Queue = snkv::TypedFamily<std::uint64_t, std::uint64_t>;

constexpr std::uint64_t log_limit = 32u << 20;
constexpr std::size_t counters = 64;
constexpr std::size_t vectors = 2000;

std::atomic<bool> over{false};
std::atomic<bool> wrong{false};

void complain(const std::string& what) {
  std::fprintf(stderr, "soak: %s\n", what.c_str());
  wrong = true;
  over = true;
}

/// The value of a result; without one the soak is over.
template <class T>
T must(snkv::Result<T> result) {
  if (result) {
    if constexpr (std::is_void_v<T>) {
      return;
    } else {
      return *std::move(result);
    }
  }
  complain(result.error().message());
  throw snkv::Exception(std::move(result).error());
}

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t below(std::uint64_t end) { return engine_() % end; }
  std::vector<float> vector() {
    std::normal_distribution<float> normal;
    std::vector<float> out(32);
    for (float& x : out) x = normal(engine_);
    return out;
  }

 private:
  std::mt19937_64 engine_;
};

// ---- What the threads do, a step at a time ----

/// Puts of many sizes, some of which expire; erasures.
void write_entries(snkv::Store& store, Random& random) {
  const std::string key = "entry" + std::to_string(random.below(20'000));
  switch (random.below(10)) {
    case 0:
    case 1:
      must(store.erase(key));
      break;
    case 2:
      must(store.put(key, std::string(random.below(500), 't'),
                     {.ttl = std::chrono::milliseconds(1 + random.below(2000))}));
      break;
    case 3:
      must(store.put(key, std::string(random.below(100'000), 'l')));
      break;
    default:
      must(store.put(key, std::string(random.below(1000), 's')));
  }
  if (random.below(500) == 0) must(store.purge_all_expired());
}

void read_entries(const snkv::Store& store, Random& random) {
  const std::string key = "entry" + std::to_string(random.below(20'000));
  if (const auto value = store.get(key); !value && !(value.error() == snkv::Errc::not_found))
    must(value);
  if (random.below(50) != 0) return;
  const snkv::Snapshot snapshot = must(store.snapshot());
  std::size_t seen = 0;
  auto entries = snapshot.prefix(key.substr(0, 7));
  for (const auto& [k, v] : entries) seen += k.size() + v.size();
  must(entries.status());
  if (seen == SIZE_MAX) std::abort();
  std::this_thread::sleep_for(std::chrono::milliseconds(random.below(20)));
}

/// What comes out of the queue is what went in: the sums tell.
struct QueueSums {
  std::atomic<std::uint64_t> in{0};
  std::atomic<std::uint64_t> out{0};
};
void use_queue(Queue& queue, QueueSums& sums, std::atomic<std::uint64_t>& next, Random& random) {
  if (random.below(2) == 0) {
    const std::uint64_t value = random.below(1000);
    must(queue.put(next.fetch_add(1), value));
    sums.in += value;
  } else if (const auto entry = must(queue.pop_first())) {
    sums.out += entry->value;
  }
}

void count(snkv::WriteBuffer& buffer, std::vector<std::atomic<std::int64_t>>& expected,
           Random& random) {
  const std::size_t which = random.below(counters);
  must(buffer.increment("counter" + std::to_string(which)));
  expected[which] += 1;
}

void turn_column(snkv::Column<std::int64_t>& column, Random& random) {
  must(column.extend(std::vector<std::int64_t>(1 + random.below(2000), 7)));
  const std::uint64_t size = must(column.size());
  if (size > 100'000) must(column.erase(0, static_cast<std::int64_t>(size - 50'000)));
  std::this_thread::sleep_for(2ms);
}

/// Replaces and erases vectors, whose number stays about the same.
class Turnover {
 public:
  explicit Turnover(Vectors docs) : docs_(std::move(docs)) {
    Random random(5);
    for (std::size_t i = 0; i < vectors; ++i) put(std::to_string(i), random.vector());
    next_ = vectors;
  }
  void step(Random& random) {
    const std::lock_guard lock(mutex_);
    if (random.below(2) == 0) {
      put(std::next(live_.begin(), static_cast<std::ptrdiff_t>(random.below(live_.size())))->first,
          random.vector());
      return;
    }
    const std::string gone =
        std::next(live_.begin(), static_cast<std::ptrdiff_t>(random.below(live_.size())))->first;
    must(docs_.erase(gone));
    live_.erase(gone);
    put(std::to_string(next_++), random.vector());
  }
  /// Of the ten nearest to some random vectors, how many are found.
  double recall(Random& random) {
    const std::lock_guard lock(mutex_);
    std::size_t found = 0;
    constexpr int queries = 50;
    for (int i = 0; i < queries; ++i) {
      const std::vector<float> query = random.vector();
      std::vector<std::pair<float, std::string>> all;
      for (const auto& [key, vector] : live_) {
        float distance = 0;
        for (std::size_t d = 0; d < query.size(); ++d)
          distance += (query[d] - vector[d]) * (query[d] - vector[d]);
        all.emplace_back(distance, key);
      }
      std::nth_element(all.begin(), all.begin() + 9, all.end());
      for (const auto& hit : must(docs_.search_keys(query, 10))) {
        found += std::any_of(all.begin(), all.begin() + 10,
                             [&](const auto& one) { return one.second == hit.key; });
      }
    }
    return static_cast<double>(found) / (10.0 * queries);
  }
  std::size_t size() const { return live_.size(); }

 private:
  void put(const std::string& key, std::vector<float> vector) {
    must(docs_.put(key, vector));
    live_[key] = std::move(vector);
  }

  Vectors docs_;
  std::mutex mutex_;
  std::map<std::string, std::vector<float>> live_;
  std::size_t next_ = 0;
};

void copy_store(const snkv::Store& store, const std::string& path) {
  must(store.backup(path));
  std::filesystem::remove(path);
  for (int i = 0; i < 20 && !over; ++i) std::this_thread::sleep_for(100ms);
}

// ---- What the process holds ----

struct Sample {
  double seconds = 0;
  std::uint64_t resident = 0;  // bytes
  std::uint64_t descriptors = 0;
  std::uint64_t log = 0;   // bytes
  std::uint64_t file = 0;  // bytes
  double recall = 0;
  std::uint64_t steps = 0;
};

/// Without pages of mapped files, which belong to the system, and count once for each connection.
std::uint64_t resident_bytes() {
  std::ifstream in("/proc/self/status");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("RssAnon:")) return std::strtoull(line.c_str() + 8, nullptr, 10) << 10;
  }
  return 0;
}
std::uint64_t open_descriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<std::uint64_t>(std::distance(begin(all), end(all)));
}

/// The largest of a value between two parts of the time.
template <class Field>
auto largest(const std::vector<Sample>& samples, double from, double to, Field Sample::*field) {
  Field out{};
  const auto count = static_cast<double>(samples.size());
  for (auto i = static_cast<std::size_t>(from * count); i < static_cast<std::size_t>(to * count);
       ++i) {
    out = std::max(out, samples[i].*field);
  }
  return out;
}

void judge(const std::vector<Sample>& samples) {
  const auto mib = [](std::uint64_t bytes) { return std::to_string(bytes >> 20) + " MiB"; };
  for (const Sample& sample : samples) {
    if (sample.recall < 0.95) complain("recall was " + std::to_string(sample.recall));
  }
  if (samples.empty() || samples.back().seconds < 60)
    return;  // too short to tell growing from beginning
  // Warm by then: caches are full, and every thread has its connection.
  const std::uint64_t before = largest(samples, 0.3, 0.6, &Sample::resident);
  const std::uint64_t after = largest(samples, 0.8, 1.0, &Sample::resident);
  if (after > before + before / 10 + (8u << 20))
    complain("memory grew from " + mib(before) + " to " + mib(after));
  const std::uint64_t had = largest(samples, 0.3, 0.6, &Sample::descriptors);
  const std::uint64_t has = largest(samples, 0.8, 1.0, &Sample::descriptors);
  if (has > had + 4)
    complain("descriptors grew from " + std::to_string(had) + " to " + std::to_string(has));
  const std::uint64_t log = largest(samples, 0.3, 1.0, &Sample::log);
  if (log > 2 * log_limit) complain("the log has " + mib(log));
}

int soak(const std::string& folder, double seconds, const char* csv) {
  std::filesystem::create_directories(folder);
  const std::string path = folder + "/soak.db";
  const snkv::Options options{.sync = snkv::Sync::off, .wal_size_limit = log_limit};
  std::vector<Sample> samples;
  QueueSums sums;
  std::atomic<std::uint64_t> next{0};
  std::vector<std::atomic<std::int64_t>> counted(counters);
  std::atomic<std::uint64_t> steps{0};
  std::size_t live_vectors = 0;
  {
    snkv::Store store = must(snkv::Store::open(path, options));
    Queue queue = must(Queue::open(store, "queue"));
    auto buffer = must(snkv::WriteBuffer::open(
        store, {.flush_bytes = 1u << 20, .max_age = 200ms, .journal = true}));
    auto column = must(snkv::Column<std::int64_t>::open(store, "column"));
    Turnover turnover(must(Vectors::open(store, {.dtype = snkv::ElementType::i8})));

    std::vector<std::thread> threads;
    const auto run = [&](std::function<void(Random&)> step) {
      threads.emplace_back([&, step = std::move(step), seed = threads.size()] {
        Random random(seed + 100);
        try {
          while (!over) {
            step(random);
            // Not as fast as it can: readers have to come to an end now and then, for the log to
            // begin anew.
            if (steps.fetch_add(1, std::memory_order_relaxed) % 16 == 0)
              std::this_thread::sleep_for(2ms);
          }
        } catch (const std::exception& exception) {
          complain(exception.what());
        }
      });
    };
    for (int i = 0; i < 2; ++i) {
      run([&](Random& random) { write_entries(store, random); });
      run([&](Random& random) { read_entries(store, random); });
      run([&](Random& random) { use_queue(queue, sums, next, random); });
    }
    run([&](Random& random) { count(buffer, counted, random); });
    run([&](Random& random) { turn_column(column, random); });
    run([&](Random& random) { turnover.step(random); });
    run([&](Random&) { copy_store(store, folder + "/copy.db"); });

    Random random(1);
    const Clock::time_point began = Clock::now();
    constexpr int samples_wanted = 60;
    try {
      for (int i = 1; i <= samples_wanted && !over; ++i) {
        const auto due = began + std::chrono::duration_cast<Clock::duration>(
                                     std::chrono::duration<double>(seconds * i / samples_wanted));
        while (!over && Clock::now() < due) std::this_thread::sleep_for(20ms);
        const snkv::Stats stats = must(store.stats());
        samples.push_back({std::chrono::duration<double>(Clock::now() - began).count(),
                           resident_bytes(), open_descriptors(), stats.wal_bytes,
                           stats.db_pages * stats.page_size, turnover.recall(random),
                           steps.load()});
        const Sample& now = samples.back();
        if (i % 6 == 0) {
          std::printf(
              "%8.1f s  %5.1f MiB resident  %3llu descriptors  %5.1f MiB log  %6.1f MiB file  "
              "recall %.3f  %llu steps\n",
              now.seconds, static_cast<double>(now.resident) / (1 << 20),
              static_cast<unsigned long long>(now.descriptors),
              static_cast<double>(now.log) / (1 << 20), static_cast<double>(now.file) / (1 << 20),
              now.recall, static_cast<unsigned long long>(now.steps));
          std::fflush(stdout);
        }
      }
    } catch (const std::exception&) {  // it was told
    }
    over = true;
    for (std::thread& thread : threads) thread.join();
    live_vectors = turnover.size();
    must(buffer.close());
  }

  snkv::Store store = must(snkv::Store::open(path, options));
  must(store.verify());
  Queue queue = must(Queue::open(store, "queue"));
  std::uint64_t left = 0;
  auto entries = queue.all();
  for (const auto& [number, value] : entries) left += value;
  must(entries.status());
  if (sums.in != sums.out + left) complain("the sums of the queue differ");
  for (std::size_t i = 0; i < counters; ++i) {
    const auto value = store.get_int("counter" + std::to_string(i));
    if ((value ? *value : 0) != counted[i]) complain("counter " + std::to_string(i) + " differs");
  }
  if (must(must(Vectors::open(store)).size()) != live_vectors)
    complain("the number of vectors differs");
  judge(samples);

  if (csv != nullptr) {
    std::ofstream out(csv);
    out << "seconds,resident_mib,descriptors,log_mib,file_mib,recall,steps\n";
    for (const Sample& s : samples) {
      out << s.seconds << ',' << static_cast<double>(s.resident) / (1 << 20) << ',' << s.descriptors
          << ',' << static_cast<double>(s.log) / (1 << 20) << ','
          << static_cast<double>(s.file) / (1 << 20) << ',' << s.recall << ',' << s.steps << '\n';
    }
    out.flush();
    if (!out) complain(std::string("cannot write ") + csv);
  }
  return wrong ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 2 ? std::atof(argv[2]) : 0;
  if (seconds <= 0) {
    std::fputs("usage: soak FOLDER SECONDS [CSV]\n", stderr);
    return 2;
  }
  try {
    return soak(argv[1], seconds, argc > 3 ? argv[3] : nullptr);
  } catch (const std::exception& exception) {
    std::fprintf(stderr, "soak: %s\n", exception.what());
    return 1;
  }
}
