// The calls that give futures.
#include "vector/collections.hpp"

#include <snkv/vector/async.hpp>

#include <atomic>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

using namespace snkv;
using namespace snkv::test;

namespace {

std::vector<VectorRecord> many(std::size_t count) {
  std::vector<VectorRecord> records;
  for (std::size_t i = 0; i < count; ++i) {
    records.push_back({.key = "k" + std::to_string(i),
                       .vector = at(static_cast<float>(i), 0),
                       .metadata = {{"n", i}}});
  }
  return records;
}

/// A call that keeps the only thread busy until it is let go.
class Gate {
 public:
  explicit Gate(VectorAsync& async) {
    opened_ = async.run([wait = go_.get_future().share()](auto&) -> Result<void> {
      wait.wait();
      return {};
    });
  }
  void open() {
    go_.set_value();
    must(opened_.get());
  }

 private:
  std::promise<void> go_;
  std::future<Result<void>> opened_;
};

}  // namespace

TEST_CASE("every call gives what the collection gives") {
  VectorAsync async(plane(), 2);
  must(async.put({.key = "a", .vector = at(1, 1), .value = Bytes("v"), .metadata = {{"n", 1}}})
           .get());
  must(async.add({.key = "b", .vector = at(2, 2)}).get());
  CHECK(says(async.add({.key = "b", .vector = at(2, 2)}).get(), Errc::exists, "\"b\""));
  CHECK(says(async.upsert({.key = "c", .vector = {1}}).get(), Errc::dimension_mismatch, "\"c\""));
  must(async.update({.key = "b", .metadata = {{"n", 2}}}).get());
  CHECK(shown(must(async.get_item("b").get())) == "b (2.000000 2.000000 ) {\"n\":2} -");
  CHECK(shown(must(async.get_item("a").get())) == "a (1.000000 1.000000 ) {\"n\":1} =v");
  must(async.update({.key = "b", .vector = at(9, 9), .value = Bytes("w")}).get());
  CHECK(shown(must(async.get_item("b").get())) == "b (9.000000 9.000000 ) {\"n\":2} =w");
  must(async.put_batch(many(50)).get());
  CHECK(says(async.add_batch(many(51)).get(), Errc::exists, "\"k0\""));
  CHECK(must(async.count().get()) == 52);
  CHECK(must(async.count(field("n") < 10).get()) == 12);
  CHECK(keys_of(must(async.search(at(7.2f, 0), 2).get())) == "k7 k8");
  CHECK(keys_of(must(async.search(at(7.2f, 0), 2, {.filter = field("n") > 20}).get())) ==
        "k21 k22");
  const auto batch = must(async.search_batch({3, 0, 4, 0}, 1).get());
  CHECK(keys_of(batch[0]) + keys_of(batch[1]) == "k3k4");
  CHECK(must(async.erase("a").get()));
  CHECK_FALSE(must(async.erase("a").get()));
  CHECK(must(async.erase_many({"k1", "k2", "none"}).get()) == 2);
  CHECK(must(async.erase_if(field("n") >= 40).get()) == 10);
  must(async.compact().get());
  must(async.save().get());
  CHECK(must(async.run([](auto& collection) { return collection.size(); }).get()) == 39);
  CHECK(must(async.collection().size()) == 39);
}

TEST_CASE("a file is opened") {
  const TempDir dir;
  {
    auto async = must(VectorAsync::open(dir.file("a.db"), "docs", {.dim = 2}).get());
    must(async.put({.key = "a", .vector = at(1, 1)}).get());
  }
  auto async = must(VectorAsync::open(dir.file("a.db"), "docs").get());
  CHECK(must(async.count().get()) == 1);
  CHECK(says(VectorAsync::open(dir.file("a.db"), "docs", {.dim = 3}).get(),
             Errc::dimension_mismatch, "open"));
  std::stop_source stop;
  stop.request_stop();
  CHECK(says(VectorAsync::open(dir.file("a.db"), "docs", {}, 1, stop.get_token()).get(),
             Errc::aborted, "open"));
}

TEST_CASE("what is stopped before it begins is not done") {
  VectorAsync async(plane(), 1);
  Gate gate(async);
  std::stop_source stop;
  auto stopped = async.put({.key = "a", .vector = at(1, 1)}, stop.get_token());
  auto search = async.search(at(1, 1), 1, {}, stop.get_token());
  auto done = async.put({.key = "b", .vector = at(1, 1)});
  stop.request_stop();
  gate.open();
  CHECK(says(stopped.get(), Errc::aborted, "run"));
  CHECK(says(search.get(), Errc::aborted, "run"));
  must(done.get());
  CHECK(keys_of(everything(async.collection())) == "b");
}

TEST_CASE("a batch is stopped while it is written, and then nothing of it is there") {
  VectorAsync async(plane(), 1);
  std::stop_source stop;
  std::atomic<int> calls = 0;
  auto stopped = async.put_batch(many(2000), stop.get_token(), [&](auto, auto) {
    if (++calls == 3) stop.request_stop();
    return true;
  });
  CHECK(says(stopped.get(), Errc::aborted, "put_batch"));
  CHECK(calls == 3);
  CHECK(must(async.count().get()) == 0);
  must(async
           .add_batch(many(2000), {},
                      [&](std::uint64_t done, std::uint64_t total) { return done <= total; })
           .get());
  CHECK(must(async.count().get()) == 2000);
}

TEST_CASE("futures may be thrown away, and the end waits for what was asked for") {
  auto collection = plane();
  {
    VectorAsync async(collection, 2);
    for (const VectorRecord& record : many(200)) (void)async.put(record);
  }
  CHECK(must(collection.size()) == 200);
}

TEST_CASE("calls from many threads at a time") {
  VectorAsync async(plane(), 3);
  std::vector<std::thread> threads;
  std::atomic<int> failures = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        const std::string key = std::to_string(t) + "/" + std::to_string(i);
        const auto put =
            async.put({.key = key, .vector = at(static_cast<float>(t), 1.0f * i)}).get();
        const auto hits =
            async.search(at(static_cast<float>(t), 1.0f * i), 1, {.values = false}).get();
        if (!put || !hits || hits->size() != 1 || hits->front().key != key) ++failures;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(failures == 0);
  CHECK(must(async.count().get()) == 200);
}
