#include "vector.hpp"

#include "progress.hpp"
#include "session.hpp"
#include "vector_values.hpp"

#include <snkv/vector.hpp>

#include <pybind11/stl.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace snkv_python {

using snkv::Errc;
using snkv::Error;
using snkv::Result;
using snkv::Unexpected;

namespace {

using Collection = snkv::VectorStore<>;

/// What Python programs hold of a collection.
class CollectionState final : public Guest {
 public:
  explicit CollectionState(Collection collection) : collection_(std::move(collection)) {}

  /// A handle for one call.
  [[nodiscard]] Collection use() {
    const std::lock_guard lock(mutex_);
    return collection_;
  }
  void end() noexcept override {
    Collection last;
    {
      const std::lock_guard lock(mutex_);
      std::swap(last, collection_);
    }
    // It saves the graph when it goes away here.
  }

 private:
  std::mutex mutex_;
  Collection collection_;  // guarded by mutex_
};

class CollectionHandle {
 public:
  CollectionHandle(std::shared_ptr<Session> session, std::shared_ptr<CollectionState> state)
      : session_(std::move(session)), state_(std::move(state)) {}
  CollectionHandle(const CollectionHandle&) = delete;
  CollectionHandle& operator=(const CollectionHandle&) = delete;
  ~CollectionHandle() { close(); }

  void close() {
    const WithoutGil released;
    state_->end();
  }

  /// Runs `body(Collection&)` without the interpreter's lock.
  template <class Body>
  auto run(Body body) {
    auto result = [&] {
      const WithoutGil released;
      Collection collection = state_->use();
      return body(collection);
    }();
    return session_->value_of(std::move(result));
  }
  /// The same with what Python functions may have raised meanwhile.
  template <class Bridge, class Body>
  auto run_with(Bridge& bridge, Body body) {
    auto result = [&] {
      const WithoutGil released;
      Collection collection = state_->use();
      return body(collection);
    }();
    bridge.rethrow();
    return session_->value_of(std::move(result));
  }

  [[nodiscard]] Session& session() noexcept { return *session_; }

 private:
  std::shared_ptr<Session> session_;
  std::shared_ptr<CollectionState> state_;
};

/// The options refer to the name.
snkv::VectorStoreOptions options_of(const std::string& name, const py::dict& config) {
  snkv::VectorStoreOptions options;
  options.name = name;
  options.dim = config["dim"].cast<std::size_t>();
  options.metric = metric_argument(py::object(config["space"]));
  options.dtype = dtype_argument(py::object(config["dtype"]));
  options.m = config["m"].cast<std::uint32_t>();
  options.ef_construction = config["ef_construction"].cast<std::uint32_t>();
  if (const py::object ef = config["ef_search"]; !ef.is_none()) {
    options.ef_search = py::cast<std::uint32_t>(ef);
  }
  options.keep_vectors = config["keep_vectors"].cast<bool>();
  options.threads = config["threads"].cast<std::size_t>();
  options.memory_limit = config["memory_limit"].cast<std::uint64_t>();
  return options;
}

/// Before there is a file.
void check(py::handle name, const py::dict& config) {
  const std::string text = family_argument(name, "open");
  if (auto checked = Collection::check(options_of(text, config)); !checked) raise(checked.error());
}

std::unique_ptr<CollectionHandle> open(const std::shared_ptr<Session>& session, py::handle name,
                                       const py::dict& config, py::object progress) {
  const std::string text = family_argument(name, "open");
  snkv::VectorStoreOptions options = options_of(text, config);
  ProgressBridge bridge(std::move(progress));
  options.progress = bridge.callback();
  auto result = [&] {
    const WithoutGil released;
    return session->admit([&]() -> Result<std::shared_ptr<CollectionState>> {
      auto opened = Collection::open(session->store(), options);
      if (!opened) return Unexpected(std::move(opened).error());
      return std::make_shared<CollectionState>(*std::move(opened));
    });
  }();
  bridge.rethrow();
  return std::make_unique<CollectionHandle>(session, session->value_of(std::move(result)));
}

// ---- Writing ----

void put(CollectionHandle& self, py::handle key, const FloatArray& vector, py::handle value,
         py::handle metadata, py::handle ttl) {
  const BytesArgument key_argument(key);
  std::optional<BytesArgument> value_argument;
  if (!value.is_none()) value_argument.emplace(value);
  snkv::VectorPut options;
  if (value_argument) options.value = value_argument->view();
  options.metadata = json_argument(metadata);
  options.ttl = ttl_argument(ttl);
  self.run([&](Collection& collection) {
    return collection.put(key_argument.view(), span_of(vector), options);
  });
}

/// `items` are lists of key, vector, value or None, metadata as text or None.
void put_batch(CollectionHandle& self, const py::list& items, py::handle ttl, py::object progress) {
  const auto time = ttl_argument(ttl);
  std::vector<std::unique_ptr<BytesArgument>> bytes;
  std::vector<FloatArray> arrays;
  std::vector<snkv::VectorItem> batch;
  batch.reserve(items.size());
  for (const py::handle each : items) {
    const auto item = each.cast<py::tuple>();
    snkv::VectorItem& next = batch.emplace_back();
    bytes.push_back(std::make_unique<BytesArgument>(py::object(item[0])));
    next.key = bytes.back()->view();
    arrays.push_back(item[1].cast<FloatArray>());
    next.vector = span_of(arrays.back());
    if (const py::object value = item[2]; !value.is_none()) {
      bytes.push_back(std::make_unique<BytesArgument>(value));
      next.value = bytes.back()->view();
    }
    next.metadata = json_argument(py::object(item[3]));
    next.ttl = time;
  }
  ProgressBridge bridge(std::move(progress));
  self.run_with(bridge, [&](Collection& collection) {
    return collection.put_batch(batch, bridge.callback());
  });
}

bool erase(CollectionHandle& self, py::handle key) {
  const BytesArgument argument(key);
  return self.run([&](Collection& collection) { return collection.erase(argument.view()); });
}

std::uint64_t erase_if(CollectionHandle& self, const std::string& filter) {
  const snkv::Filter parsed = filter_argument(filter);
  return self.run([&](Collection& collection) { return collection.erase_if(parsed); });
}

// ---- Reading ----

py::object get_vector(CollectionHandle& self, py::handle key) {
  const BytesArgument argument(key);
  return to_array(
      self.run([&](Collection& collection) { return collection.get_vector(argument.view()); }));
}

py::object get_metadata(CollectionHandle& self, py::handle key) {
  const BytesArgument argument(key);
  return to_python(
      self.run([&](Collection& collection) { return collection.get_metadata(argument.view()); }));
}

std::uint64_t count(CollectionHandle& self, const std::optional<std::string>& filter) {
  if (!filter) return self.run([](Collection& collection) { return collection.count(); });
  const snkv::Filter parsed = filter_argument(*filter);
  return self.run([&](Collection& collection) { return collection.count(parsed); });
}

py::list ids(CollectionHandle& self, py::handle after, std::size_t limit) {
  std::optional<BytesArgument> argument;
  if (!after.is_none()) argument.emplace(after);
  const auto keys = self.run([&](Collection& collection) {
    return collection.ids(argument ? argument->view().view() : std::string_view(), limit);
  });
  py::list out;
  for (const std::string& key : keys) out.append(py::bytes(key));
  return out;
}

// ---- Searching ----

/// What a search asks for, with the Python predicate that it may have.
class Search {
 public:
  Search(const std::optional<std::string>& filter, py::object predicate, bool rerank,
         std::size_t oversample, std::optional<float> max_distance, std::size_t ef, bool exact,
         bool want_metadata)
      : bridge_(std::move(predicate)) {
    if (filter) options_.filter = filter_argument(*filter);
    if (bridge_) options_.predicate = bridge_.callback();
    options_.rerank = rerank;
    options_.oversample = oversample;
    options_.max_distance = max_distance;
    options_.ef = ef;
    options_.exact = exact;
    options_.metadata = want_metadata;
  }
  Search(const Search&) = delete;
  Search& operator=(const Search&) = delete;

  [[nodiscard]] const snkv::VectorSearch& options() const noexcept { return options_; }
  [[nodiscard]] PredicateBridge& bridge() noexcept { return bridge_; }

 private:
  PredicateBridge bridge_;
  snkv::VectorSearch options_;
};

/// (key, value, distance, metadata) of each.
py::list to_tuples(const std::vector<snkv::VectorHit>& hits) {
  py::list out(hits.size());
  for (std::size_t i = 0; i < hits.size(); ++i) {
    const snkv::VectorHit& hit = hits[i];
    out[i] = py::make_tuple(py::bytes(hit.key), hit.value ? to_bytes(*hit.value) : py::bytes(),
                            hit.distance, to_python(hit.metadata));
  }
  return out;
}

/// (key, distance) of each.
py::list to_pairs(const std::vector<snkv::VectorKey>& hits) {
  py::list out(hits.size());
  for (std::size_t i = 0; i < hits.size(); ++i) {
    out[i] = py::make_tuple(py::bytes(hits[i].key), hits[i].distance);
  }
  return out;
}

template <class Hits, class Convert>
py::list each(const std::vector<Hits>& results, Convert convert) {
  py::list out(results.size());
  for (std::size_t i = 0; i < results.size(); ++i) out[i] = convert(results[i]);
  return out;
}

py::list search(CollectionHandle& self, const FloatArray& query, std::size_t k, Search& search) {
  return to_tuples(self.run_with(search.bridge(), [&](Collection& collection) {
    return collection.search(span_of(query), k, search.options());
  }));
}

py::list search_keys(CollectionHandle& self, const FloatArray& query, std::size_t k,
                     Search& search) {
  return to_pairs(self.run_with(search.bridge(), [&](Collection& collection) {
    return collection.search_keys(span_of(query), k, search.options());
  }));
}

py::list search_batch(CollectionHandle& self, const FloatArray& queries, std::size_t k,
                      Search& search) {
  return each(self.run_with(search.bridge(),
                            [&](Collection& collection) {
                              return collection.search_batch(span_of(queries), k, search.options());
                            }),
              to_tuples);
}

py::list search_keys_batch(CollectionHandle& self, const FloatArray& queries, std::size_t k,
                           Search& search) {
  return each(self.run_with(search.bridge(),
                            [&](Collection& collection) {
                              return collection.search_keys_batch(span_of(queries), k,
                                                                  search.options());
                            }),
              to_pairs);
}

// ---- Maintenance ----

py::dict stats(CollectionHandle& self) {
  const auto now = self.run([](Collection& collection) { return collection.stats(); });
  py::dict out;
  out["dim"] = now.info.dim;
  out["space"] = name_of(now.info.metric);
  out["dtype"] = name_of(now.info.dtype);
  out["connectivity"] = now.info.m;
  out["expansion_add"] = now.info.ef_construction;
  out["expansion_search"] = now.info.ef_search;
  out["count"] = now.info.count;
  // Memory grows with the vectors; replaced and erased ones keep theirs for a while.
  const std::uint64_t capacity = std::max(now.slots, now.info.count);
  out["capacity"] = capacity;
  out["fill_ratio"] =
      capacity == 0 ? 0.0 : static_cast<double>(now.info.count) / static_cast<double>(capacity);
  out["vec_cf_count"] = now.entries;
  out["has_metadata"] = now.with_metadata > 0;
  out["sidecar_enabled"] = now.can_save;
  out["damaged"] = now.info.damaged;
  return out;
}

py::dict info(CollectionHandle& self) {
  const auto now = self.run([](Collection& collection) { return collection.info(); });
  py::dict out;
  out["dim"] = now.dim;
  out["space"] = name_of(now.metric);
  out["dtype"] = name_of(now.dtype);
  out["count"] = now.count;
  out["connectivity"] = now.m;
  out["expansion_add"] = now.ef_construction;
  out["expansion_search"] = now.ef_search;
  out["damaged"] = now.damaged;
  return out;
}

py::dict memory(CollectionHandle& self) {
  const auto now = self.run([](Collection& collection) { return collection.stats(); });
  py::dict out;
  out["code_bytes"] = now.code_bytes;
  out["link_bytes"] = now.link_bytes;
  out["vector_bytes"] = now.vector_bytes;
  out["name_bytes"] = now.name_bytes;
  out["metadata_bytes"] = now.metadata_bytes;
  out["memory_bytes"] = now.memory_bytes;
  return out;
}

template <class Call>
auto with_progress(CollectionHandle& self, py::object progress, Call call) {
  ProgressBridge bridge(std::move(progress));
  return self.run_with(bridge,
                       [&](Collection& collection) { return call(collection, bridge.callback()); });
}

/// Of `verify` and `repair`.
py::dict to_dict(const snkv::VectorCheckReport& report) {
  py::dict out;
  out["entries"] = report.entries;
  out["damaged"] = report.damaged;
  out["removed"] = report.removed;
  out["without_metadata"] = report.without_metadata;
  out["orphans"] = report.orphans;
  py::list rows;
  for (const snkv::VectorDamage& row : report.rows) {
    // What a damaged row says of itself need not be UTF-8.
    rows.append(py::make_tuple(py::bytes(row.key), py::bytes(row.what).attr("decode")("utf-8", "replace")));
  }
  out["rows"] = std::move(rows);
  return out;
}

}  // namespace

void define_vector(py::module_& module) {
  py::class_<Search>(module, "VectorSearch")
      .def(py::init<const std::optional<std::string>&, py::object, bool, std::size_t,
                    std::optional<float>, std::size_t, bool, bool>());
  py::class_<CollectionHandle>(module, "VectorCollection")
      .def_static("check", &check)
      .def_static("open", &open)
      .def("close", &CollectionHandle::close)
      .def("put", &put)
      .def("put_batch", &put_batch)
      .def("delete", &erase)
      .def("delete_if", &erase_if)
      .def("clear",
           [](CollectionHandle& self) {
             self.run([](Collection& collection) { return collection.clear(); });
           })
      .def("get_vector", &get_vector)
      .def("get_metadata", &get_metadata)
      .def("count", &count)
      .def("ids", &ids)
      .def("search", &search)
      .def("search_keys", &search_keys)
      .def("search_batch", &search_batch)
      .def("search_keys_batch", &search_keys_batch)
      .def("stats", &stats)
      .def("info", &info)
      .def("memory", &memory)
      .def("compact",
           [](CollectionHandle& self, py::object progress) {
             with_progress(self, std::move(progress), [](Collection& collection, const auto& tell) {
               return collection.compact(tell);
             });
           })
      .def("save",
           [](CollectionHandle& self, py::object progress) {
             with_progress(self, std::move(progress), [](Collection& collection, const auto& tell) {
               return collection.save(tell);
             });
           })
      .def("verify",
           [](CollectionHandle& self, py::object progress) {
             return to_dict(with_progress(
                 self, std::move(progress),
                 [](Collection& collection, const auto& tell) { return collection.verify(tell); }));
           })
      .def("repair",
           [](CollectionHandle& self, py::object progress) {
             return to_dict(with_progress(
                 self, std::move(progress),
                 [](Collection& collection, const auto& tell) { return collection.repair(tell); }));
           })
      .def("purge_expired",
           [](CollectionHandle& self, std::uint64_t limit) {
             return self.run(
                 [&](Collection& collection) { return collection.purge_expired(limit); });
           })
      .def("drop_index", [](CollectionHandle& self) {
        self.run([](Collection& collection) { return collection.drop_index(); });
      });
  module.def("list_collections", [](Session& session) {
    auto result = [&] {
      const WithoutGil released;
      return snkv::VectorCollections(session.store()).list();
    }();
    auto names = session.value_of(std::move(result));
    std::erase_if(names, [](const std::string& name) { return is_reserved(name); });
    return names;
  });
  module.def("drop_collection", [](Session& session, py::handle name) {
    const std::string text = family_argument(name, "drop_collection");
    auto result = [&] {
      const WithoutGil released;
      return snkv::VectorCollections(session.store()).drop(text);
    }();
    return session.value_of(std::move(result));
  });
}

}  // namespace snkv_python
