// Whatever a predicate, a progress function or a stream throws becomes an error of the call; and what
// such a function does with the collection that calls it is told `locked` at once.
#include "vector/collections.hpp"

#include <snkv/vector/async.hpp>

#include <atomic>
#include <functional>
#include <new>
#include <set>
#include <sstream>
#include <stdexcept>
#include <streambuf>
#include <string>
#include <vector>

using namespace snkv;
using namespace snkv::test;

namespace {

constexpr std::size_t many = 3000;

std::string key_of(std::size_t i) { return "k" + std::to_string(i); }

/// Something to be thrown, and what the error says of it.
struct Thrown {
  std::function<void()> raise;
  std::string says;
};

const std::vector<Thrown>& things_thrown() {
  static const std::vector<Thrown> all = {
      {[] { throw std::runtime_error("the caller's own trouble"); }, "the caller's own trouble"},
      {[] { throw std::bad_alloc(); }, "bad_alloc"},
      {[] { throw 7; }, "threw an exception"}};
  return all;
}

struct Batch {
  std::vector<std::string> keys;
  std::vector<std::vector<float>> vectors;
  std::vector<VectorItem> items;
  explicit Batch(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      keys.push_back(key_of(i));
      vectors.push_back(at(static_cast<float>(i % 61), static_cast<float>(i % 53)));
    }
    for (std::size_t i = 0; i < count; ++i) {
      items.push_back({.key = keys[i], .vector = vectors[i], .metadata = {{"n", i}}});
    }
  }
};

VectorStore<2, L2> filled(std::size_t count = 200) {
  auto docs = plane({.threads = 3});
  must(docs.put_batch(Batch(count).items));
  return docs;
}

/// The calls that take a predicate.
using Call = std::function<Errc(VectorStore<2, L2>&, VectorPredicate, std::string& message)>;

template <class R>
Errc code_of(const R& result, std::string& message) {
  if (result) return Errc::ok;
  message = result.error().message();
  return result.error().code();
}

std::vector<std::pair<std::string, Call>> calls_with_predicates() {
  const std::vector<float> queries(20, 1);
  std::vector<std::pair<std::string, Call>> all;
  const auto add = [&](std::string name, auto call) {
    all.emplace_back(std::move(name),
                     [call](VectorStore<2, L2>& docs, VectorPredicate predicate, std::string& text) {
                       return code_of(call(docs, std::move(predicate)), text);
                     });
  };
  add("search", [](auto& docs, auto p) { return docs.search(at(1, 1), 5, {.predicate = p}); });
  add("exact search", [](auto& docs, auto p) {
    return docs.search(at(1, 1), 5, {.predicate = p, .exact = true});
  });
  add("search_keys", [](auto& docs, auto p) {
    return docs.search_keys(at(1, 1), 5, {.predicate = p});
  });
  add("search_radius", [](auto& docs, auto p) {
    return docs.search_radius(at(1, 1), 50, {.predicate = p});
  });
  add("search_batch", [=](auto& docs, auto p) {
    return docs.search_batch(queries, 5, VectorSearch{.predicate = p});
  });
  add("search_keys_batch", [=](auto& docs, auto p) {
    return docs.search_keys_batch(queries, 5, VectorSearch{.predicate = p});
  });
  add("filtered search", [](auto& docs, auto p) {
    return docs.search(at(1, 1), 5, {.filter = field("n") < 100, .predicate = p});
  });
  add("cursor", [](auto& docs, auto p) {
    return must(docs.cursor(at(1, 1), {.predicate = p})).next(3);
  });
  add("items", [](auto& docs, auto p) { return docs.items({.predicate = p}); });
  add("erase_if", [](auto& docs, auto p) { return docs.erase_if(p); });
  return all;
}

/// A buffer that throws when it is asked for more.
class ThrowingBuffer : public std::stringbuf {
 public:
  explicit ThrowingBuffer(const std::string& text) : std::stringbuf(text) {}

 protected:
  int_type underflow() override {
    const int_type next = std::stringbuf::underflow();
    if (next == traits_type::eof()) throw std::runtime_error("no more");
    return next;
  }
  int_type overflow(int_type) override { throw std::runtime_error("no room"); }
  std::streamsize xsputn(const char*, std::streamsize) override {
    throw std::runtime_error("no room");
  }
};

}  // namespace

TEST_CASE("what predicates throw becomes aborted") {
  auto docs = filled();
  for (const auto& [name, call] : calls_with_predicates()) {
    for (const Thrown& thrown : things_thrown()) {
      INFO(name << ", " << thrown.says);
      std::atomic<int> calls = 0;
      std::string message;
      CHECK(call(docs,
                 [&](std::string_view, const Json&) {
                   if (++calls > 2) thrown.raise();
                   return true;
                 },
                 message) == Errc::aborted);
      CHECK(message.find(thrown.says) != std::string::npos);
      // Nothing has changed, and nobody is kept waiting.
      CHECK(must(docs.size()) == 200);
      CHECK(must(docs.search(at(1, 1), 3)).size() == 3);
    }
  }
  must(docs.put("new", at(0, 0)));
}

TEST_CASE("what predicates throw inside a transaction leaves the transaction as it was") {
  auto docs = filled();
  auto txn = must(docs.store().begin());
  auto inside = must(docs.in(txn));
  must(inside.put("mine", at(5, 5)));
  CHECK(says(inside.erase_if([](std::string_view, const Json&) -> bool {
          throw std::runtime_error("not now");
        }),
             Errc::aborted, "not now"));
  must(txn.commit());
  CHECK(must(docs.size()) == 201);
}

TEST_CASE("what progress functions throw is as if they had asked to stop") {
  for (const Thrown& thrown : things_thrown()) {
    INFO(thrown.says);
    const TempDir dir;
    const Batch batch(many);
    const Progress raise = [&](std::uint64_t, std::uint64_t) {
      thrown.raise();
      return true;
    };
    {
      auto docs = must(VectorStore<2, L2>::open(dir.file("a.db"), {.threads = 3}));
      CHECK(says(docs.put_batch(batch.items, raise), Errc::aborted, thrown.says));
      CHECK(says(docs.add_batch(batch.items, raise), Errc::aborted, thrown.says));
      CHECK(must(docs.size()) == 0);
      // From the linking on it is committed, and stays.
      CHECK(docs.put_batch(batch.items, [&](std::uint64_t done, std::uint64_t) {
        if (done >= many) thrown.raise();
        return true;
      }));
      CHECK(must(docs.size()) == many);
      CHECK(must(docs.search(at(1, 1), 10, {.exact = true})).size() == 10);
      CHECK(says(docs.compact(raise), Errc::aborted, thrown.says));
      CHECK(says(docs.save(raise), Errc::aborted, thrown.says));
      std::ostringstream out;
      CHECK(says(docs.export_json(out, {.progress = raise}), Errc::aborted, thrown.says));
      CHECK(says(docs.export_jsonl(out, {.progress = raise}), Errc::aborted, thrown.says));
      std::stringstream text;
      must(docs.export_jsonl(text));
      CHECK(says(docs.import_jsonl(text, {.progress = raise}), Errc::aborted, thrown.says));
      CHECK(must(docs.size()) == many);
      CHECK(must(docs.search(at(1, 1), 10)).size() == 10);
      must(docs.compact());
    }
    std::filesystem::remove(dir.file("a.db-vectors-1"));
    CHECK(says(VectorStore<2, L2>::open(dir.file("a.db"), {.progress = raise}), Errc::aborted,
               thrown.says));
    auto docs = must(VectorStore<2, L2>::open(dir.file("a.db")));
    CHECK(must(docs.search(at(1, 1), 10)).size() == 10);
  }
}

TEST_CASE("a function of the caller that comes back to the collection is told locked at once") {
  const TempDir dir;
  auto docs = must(VectorStore<2, L2>::open(dir.file("a.db"), {.threads = 2}));
  const Batch batch(many);
  int calls = 0;
  std::set<Errc> codes;
  const auto use = [&] {
    const auto note = [&](const auto& result) {
      codes.insert(result ? Errc::ok : result.error().code());
    };
    if (++calls > 10'000) throw std::runtime_error("it does not end");
    note(docs.put("again" + std::to_string(calls), at(1, 2)));
    note(docs.erase("k1"));
    note(docs.put_batch(batch.items));
    note(docs.compact());
    note(docs.save());
    note(docs.drop_index());
    // What reads rows only is free to.
    CHECK((docs.get_metadata("k1") || true));
    return true;
  };
  const Progress progress = [&](std::uint64_t, std::uint64_t) { return use(); };
  const auto only_locked = [&](const char* what) {
    INFO(what);
    CHECK(codes == std::set<Errc>{Errc::locked});
    CHECK(calls > 0);
    codes.clear();
    calls = 0;
  };
  must(docs.put_batch(batch.items, progress));
  only_locked("put_batch");
  must(docs.compact(progress));
  only_locked("compact");
  must(docs.save(progress));
  only_locked("save");
  std::stringstream text;
  must(docs.export_json(text, {.progress = progress}));
  only_locked("export");
  must(docs.import_json(text, {.progress = progress}));
  only_locked("import");
  const VectorPredicate predicate = [&](std::string_view, const Json&) { return use(); };
  must(docs.search(at(1, 1), 3, {.predicate = predicate}));
  only_locked("search");
  const std::vector<float> queries(20, 1);
  std::atomic<int> locked = 0;
  must(docs.search_batch(queries, 3, VectorSearch{.predicate = [&](std::string_view, const Json&) {
                           if (says(docs.put("x", at(1, 1)), Errc::locked, "put")) ++locked;
                           return true;
                         }}));
  CHECK(locked > 0);
  CHECK(must(docs.size()) == many);
  must(docs.put("after", at(1, 1)));
}

TEST_CASE("streams that throw give io_error, and keep their mask") {
  using Stream = std::ios_base;
  auto docs = filled(20);
  for (const bool lines : {false, true}) {
    for (const auto mask : {Stream::eofbit, Stream::failbit, Stream::badbit,
                            Stream::eofbit | Stream::failbit | Stream::badbit}) {
      INFO(lines << ' ' << mask);
      std::stringstream text;
      text.exceptions(mask);
      REQUIRE(must(lines ? docs.export_jsonl(text) : docs.export_json(text)) == 20);
      CHECK(text.exceptions() == mask);
      auto other = plane();
      REQUIRE(must(lines ? other.import_jsonl(text) : other.import_json(text)) == 20);
      CHECK(text.exceptions() == mask);

      std::stringstream again(text.str());
      again.exceptions(mask);
      VectorCollections collections(other.store());
      CHECK(must((lines ? must(collections.import_jsonl("b", again))
                        : must(collections.import_json("b", again)))
                     .size()) == 20);
      CHECK(again.exceptions() == mask);

      std::string half = text.str();
      half.resize(half.size() / 2);
      ThrowingBuffer broken(half);
      std::iostream throwing(&broken);
      throwing.exceptions(mask);
      CHECK(says(lines ? other.import_jsonl(throwing) : other.import_json(throwing), Errc::io_error,
                 "the stream failed"));
      CHECK(throwing.exceptions() == mask);
      ThrowingBuffer full("");
      std::ostream out(&full);
      out.exceptions(mask);
      CHECK(says(lines ? docs.export_jsonl(out) : docs.export_json(out), Errc::io_error,
                 "the stream failed"));
      CHECK(out.exceptions() == mask);
    }
  }
}

TEST_CASE("what work of VectorAsync throws becomes aborted") {
  VectorAsync async(filled(10), 1);
  auto future = async.run([](VectorOperations&) -> Result<void> { throw std::runtime_error("no"); });
  CHECK(says(future.get(), Errc::aborted, "no"));
}
