/// \file
/// `VectorAsync`: calls of a collection that are carried out by other threads, and give futures.
///
///     snkv::VectorAsync async(docs);
///     auto hits = async.search(query, 10, {.filter = snkv::field("year") >= 2020});
///     ...
///     for (const auto& hit : *hits.get()) use(hit);
///
/// Arguments are taken over, so nothing has to outlive the call. Each call takes a
/// `std::stop_token`: what is stopped before it has begun gives `aborted`, and so do those that
/// report their progress when they are stopped in between, with the same effect as if a progress
/// callback had stopped them.
///
/// Threads: any number. The futures do not wait when they are destroyed; the object does, for
/// everything that was asked of it: stop what is not wanted any more.
#pragma once

#include <snkv/vector/store.hpp>
#include <snkv/vector/thread_pool.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <new>
#include <optional>
#include <stop_token>
#include <string>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace snkv {
inline namespace SNKV_EXPECTED_NAMESPACE {

class VectorAsync {
 public:
  using Stop = std::stop_token;
  template <class T>
  using Future = std::future<Result<T>>;

  /// `threads` carry out the calls; 0: as many as the machine has.
  explicit VectorAsync(VectorOperations collection, std::size_t threads = 0)
      : collection_(std::move(collection)),
        pool_(std::make_unique<ThreadPool>(
            1 + (threads != 0 ? threads
                              : std::max<std::size_t>(1, std::thread::hardware_concurrency())))) {}

  /// `VectorStore<>::open`. This future waits when it is destroyed.
  [[nodiscard]] static Future<VectorAsync> open(std::string path, std::string name,
                                                VectorStoreOptions options = {},
                                                std::size_t threads = 0, Stop stop = {}) {
    return std::async([path = std::move(path), name = std::move(name), options = std::move(options),
                       threads, stop = std::move(stop)]() mutable -> Result<VectorAsync> {
      if (stop.stop_requested()) return Unexpected(Error(Errc::aborted, "open", ""));
      options.name = name;
      options.progress = until(stop, std::move(options.progress));
      auto opened = VectorStore<>::open(path, options);
      if (!opened) return Unexpected(std::move(opened).error());
      return VectorAsync(*std::move(opened), threads);
    });
  }

  /// The collection itself.
  [[nodiscard]] const VectorOperations& collection() const noexcept { return collection_; }

  /// Calls `work(collection)`, which gives a `Result`: for all that has no member of its own. What it
  /// throws becomes `aborted`.
  template <class Work>
  [[nodiscard]] std::future<std::invoke_result_t<Work&, VectorOperations&>> run(Work work,
                                                                                Stop stop = {}) {
    using R = std::invoke_result_t<Work&, VectorOperations&>;
    // Shared, because tasks of the pool have to be copied.
    auto task = std::make_shared<std::packaged_task<R()>>(
        [collection = collection_, work = std::move(work), stop = std::move(stop)]() mutable -> R {
          if (stop.stop_requested()) return Unexpected(Error(Errc::aborted, "run", ""));
          return carry_out(work, collection);
        });
    std::future<R> future = task->get_future();
    try {
      pool_->post([task] { (*task)(); });
    } catch (const std::system_error&) {
      (*task)();  // there are no threads
    }
    return future;
  }

  // ---- Writing ----

  [[nodiscard]] Future<void> put(VectorRecord record, Stop stop = {}) {
    return run(
        [record = std::move(record)](auto& collection) {
          return collection.put(record.key, record.vector, put_options(record));
        },
        std::move(stop));
  }
  [[nodiscard]] Future<void> add(VectorRecord record, Stop stop = {}) {
    return run(
        [record = std::move(record)](auto& collection) {
          return collection.add(record.key, record.vector, put_options(record));
        },
        std::move(stop));
  }
  [[nodiscard]] Future<void> upsert(VectorRecord record, Stop stop = {}) {
    return put(std::move(record), std::move(stop));
  }
  /// Changes what the record has: its vector, value, metadata and expiry, as far as there are any.
  [[nodiscard]] Future<void> update(VectorRecord record, Stop stop = {}) {
    return run(
        [record = std::move(record)](auto& collection) {
          VectorUpdate change;
          if (!record.vector.empty()) change.vector = record.vector;
          if (record.value) change.value = *record.value;
          change.metadata = record.metadata;
          change.expires_at = record.expires_at;
          return collection.update(record.key, change);
        },
        std::move(stop));
  }
  [[nodiscard]] Future<void> put_batch(std::vector<VectorRecord> records, Stop stop = {},
                                       Progress progress = {}) {
    return run([records = std::move(records), progress = until(stop, std::move(progress))](
                   auto& collection) { return collection.put_batch(items_of(records), progress); },
               stop);
  }
  [[nodiscard]] Future<void> add_batch(std::vector<VectorRecord> records, Stop stop = {},
                                       Progress progress = {}) {
    return run([records = std::move(records), progress = until(stop, std::move(progress))](
                   auto& collection) { return collection.add_batch(items_of(records), progress); },
               stop);
  }
  [[nodiscard]] Future<bool> erase(std::string key, Stop stop = {}) {
    return run([key = std::move(key)](auto& collection) { return collection.erase(key); },
               std::move(stop));
  }
  [[nodiscard]] Future<std::uint64_t> erase_many(std::vector<std::string> keys, Stop stop = {}) {
    return run(
        [keys = std::move(keys)](auto& collection) {
          return collection.erase_many(std::vector<BytesView>(keys.begin(), keys.end()));
        },
        std::move(stop));
  }
  [[nodiscard]] Future<std::uint64_t> erase_if(Filter filter, Stop stop = {}) {
    return run(
        [filter = std::move(filter)](auto& collection) { return collection.erase_if(filter); },
        std::move(stop));
  }

  // ---- Reading and searching ----

  [[nodiscard]] Future<VectorRecord> get_item(std::string key, Stop stop = {}) {
    return run([key = std::move(key)](auto& collection) { return collection.get_item(key); },
               std::move(stop));
  }
  [[nodiscard]] Future<std::uint64_t> count(Filter filter = {}, Stop stop = {}) {
    return run([filter = std::move(filter)](auto& collection) { return collection.count(filter); },
               std::move(stop));
  }
  [[nodiscard]] Future<std::vector<VectorHit>> search(std::vector<float> query, std::size_t k = 10,
                                                      VectorSearch options = {}, Stop stop = {}) {
    return run([query = std::move(query), k, options = std::move(options)](
                   auto& collection) { return collection.search(query, k, options); },
               std::move(stop));
  }
  [[nodiscard]] Future<std::vector<std::vector<VectorHit>>> search_batch(std::vector<float> queries,
                                                                         std::size_t k = 10,
                                                                         VectorSearch options = {},
                                                                         Stop stop = {}) {
    return run([queries = std::move(queries), k, options = std::move(options)](
                   auto& collection) { return collection.search_batch(queries, k, options); },
               std::move(stop));
  }

  // ---- Maintenance ----

  [[nodiscard]] Future<void> compact(Stop stop = {}, Progress progress = {}) {
    return run([progress = until(stop, std::move(progress))](
                   auto& collection) { return collection.compact(progress); },
               stop);
  }
  [[nodiscard]] Future<void> save(Stop stop = {}, Progress progress = {}) {
    return run([progress = until(stop, std::move(progress))](
                   auto& collection) { return collection.save(progress); },
               stop);
  }

 private:
  /// What the work throws becomes `aborted`, but for std::bad_alloc, which the library throws too.
  template <class Work>
  [[nodiscard]] static std::invoke_result_t<Work&, VectorOperations&> carry_out(
      Work& work, VectorOperations& collection) {
    try {
      return work(collection);
    } catch (const std::bad_alloc&) {
      throw;
    } catch (const std::exception& error) {
      return Unexpected(Error(Errc::aborted, "run",
                              std::string("the work threw an exception: ") + error.what()));
    } catch (...) {
      return Unexpected(Error(Errc::aborted, "run", "the work threw an exception"));
    }
  }
  /// A callback that stops when the token says so.
  [[nodiscard]] static Progress until(const Stop& stop, Progress progress) {
    return [stop, progress = std::move(progress)](std::uint64_t done, std::uint64_t total) {
      return !stop.stop_requested() && (!progress || progress(done, total));
    };
  }
  [[nodiscard]] static VectorPut put_options(const VectorRecord& record) {
    VectorPut options{.metadata = record.metadata, .expires_at = record.expires_at};
    if (record.value) options.value = *record.value;
    return options;
  }
  [[nodiscard]] static std::vector<VectorItem> items_of(const std::vector<VectorRecord>& records) {
    std::vector<VectorItem> items;
    items.reserve(records.size());
    for (const VectorRecord& record : records) {
      VectorItem& item = items.emplace_back();
      item.key = record.key;
      item.vector = record.vector;
      if (record.value) item.value = *record.value;
      item.metadata = record.metadata;
      item.expires_at = record.expires_at;
    }
    return items;
  }

  VectorOperations collection_;
  std::unique_ptr<ThreadPool> pool_;
};

}  // namespace SNKV_EXPECTED_NAMESPACE
}  // namespace snkv
