#include "entries.hpp"

#include "iterator.hpp"

#include <pybind11/stl.h>

#include <chrono>
#include <string>

namespace snkv_python {

using snkv::ColumnFamily;
using snkv::Errc;
using snkv::Error;
using snkv::PutOptions;
using snkv::Result;
using snkv::Unexpected;

namespace {

/// Keeps Python objects alive, and their bytes in place, while a call works on many of them.
class BytesArguments {
 public:
  void add(py::handle object) {
    kept_.append(object);
    arguments_.push_back(std::make_unique<BytesArgument>(object));
  }
  [[nodiscard]] std::size_t size() const noexcept { return arguments_.size(); }
  [[nodiscard]] snkv::BytesView operator[](std::size_t i) const noexcept {
    return arguments_[i]->view();
  }

 private:
  py::list kept_;
  std::vector<std::unique_ptr<BytesArgument>> arguments_;
};

py::object to_optional_bytes(const std::optional<snkv::Bytes>& value) {
  if (!value) return py::none();
  return to_bytes(*value);
}

Result<snkv::Bytes> absent_is_no_failure(Result<snkv::Bytes> result, bool& found) {
  found = result.has_value();
  if (!result && result.error() == Errc::not_found) return snkv::Bytes();
  return result;
}

}  // namespace

py::object Entries::get(py::handle key, py::object fallback) {
  const BytesArgument argument(key);
  bool found = false;
  const snkv::Bytes value = run([&](ColumnFamily& family) {
    return absent_is_no_failure(family.get(argument.view()), found);
  });
  if (!found) return fallback;
  return to_bytes(value);
}

py::bytes Entries::get_or_raise(py::handle key) {
  const BytesArgument argument(key);
  return to_bytes(run([&](ColumnFamily& family) { return family.get(argument.view()); }));
}

bool Entries::contains(py::handle key) {
  const BytesArgument argument(key);
  ++session_->other_gets;
  return run([&](ColumnFamily& family) { return family.contains(argument.view()); });
}

void Entries::put(py::handle key, py::handle value, py::handle ttl) {
  const BytesArgument key_argument(key);
  const BytesArgument value_argument(value);
  const PutOptions options{.ttl = ttl_argument(ttl)};
  run([&](ColumnFamily& family) {
    return family.put(key_argument.view(), value_argument.view(), options);
  });
}

void Entries::erase(py::handle key) {
  const BytesArgument argument(key);
  const bool existed = run([&](ColumnFamily& family) { return family.erase(argument.view()); });
  if (!existed) session_->fail(Error(Errc::not_found, "delete", "no such key"));
}

std::unique_ptr<IteratorHandle> Entries::iterator(py::handle prefix, py::handle low,
                                                  py::handle high, bool reverse, bool keys_only) {
  std::optional<BytesArgument> prefix_argument, low_argument, high_argument;
  if (!prefix.is_none()) prefix_argument.emplace(prefix);
  if (!low.is_none() || !high.is_none()) {
    low_argument.emplace(low);
    high_argument.emplace(high);
  }
  const auto open = [&](ColumnFamily& family) -> Result<std::shared_ptr<IteratorState>> {
    snkv::Range range = prefix_argument ? family.prefix(prefix_argument->view())
                        : low_argument  ? family.range(low_argument->view(), high_argument->view())
                                        : family.all();
    if (keys_only) range = range.keys_only();
    snkv::Iterator opened = range.manual();
    if (auto status = opened.status(); !status) return Unexpected(std::move(status).error());
    return std::make_shared<IteratorState>(std::move(opened), reverse,
                                           scope_ ? scope_ : session_->of_this_thread());
  };
  auto result = [&] {
    const WithoutGil released;
    return session_->admit([&] { return dispatch(open); });
  }();
  return std::make_unique<IteratorHandle>(session_, session_->value_of(std::move(result)));
}

namespace {

py::list get_many(Entries& self, const py::iterable& keys) {
  BytesArguments arguments;
  for (const py::handle key : keys) arguments.add(key);
  std::vector<snkv::BytesView> views;
  views.reserve(arguments.size());
  for (std::size_t i = 0; i < arguments.size(); ++i) views.push_back(arguments[i]);
  const auto values = self.run([&](ColumnFamily& family) {
    return family.multi_get(std::span<const snkv::BytesView>(views));
  });
  py::list out;
  for (const auto& value : values) out.append(to_optional_bytes(value));
  return out;
}

void write(Entries& self, const snkv::WriteBatch& batch) {
  const snkv::WriteBatch copy = batch;  // another thread may go on filling it
  self.run([&](ColumnFamily& family) { return family.write(copy); });
}

/// The time that is left; none of an entry that has expired but was not purged yet, as SNKV has it.
Result<std::optional<std::chrono::milliseconds>> ttl_or_zero(ColumnFamily& family,
                                                             snkv::BytesView key) {
  auto left = family.ttl(key);
  if (left || !(left.error() == Errc::not_found)) return left;
  // No other key is between the two. Rows count, expired or not.
  std::string next = key.str();
  next.push_back('\0');
  auto rows = family.count_range(key, next);
  if (!rows) return Unexpected(std::move(rows).error());
  if (*rows == 0) return left;
  return std::chrono::milliseconds(0);
}

std::optional<double> ttl(Entries& self, py::handle key) {
  const BytesArgument argument(key);
  const auto left =
      self.run([&](ColumnFamily& family) { return ttl_or_zero(family, argument.view()); });
  if (!left) return std::nullopt;
  return static_cast<double>(left->count()) / 1000;
}

void expire(Entries& self, py::handle key, py::handle seconds) {
  const BytesArgument argument(key);
  const auto ttl = ttl_argument(seconds);
  if (!ttl) throw py::type_error("ttl is a number of seconds, not None");
  self.run([&](ColumnFamily& family) { return family.expire(argument.view(), *ttl); });
}

bool put_if_absent(Entries& self, py::handle key, py::handle value, py::handle ttl) {
  const BytesArgument key_argument(key);
  const BytesArgument value_argument(value);
  const PutOptions options{.ttl = ttl_argument(ttl)};
  return self.run([&](ColumnFamily& family) {
    return family.put_if_absent(key_argument.view(), value_argument.view(), options);
  });
}

bool compare_and_swap(Entries& self, py::handle key, py::handle expected, py::handle desired,
                      py::handle ttl) {
  const BytesArgument key_argument(key);
  std::optional<BytesArgument> expected_argument;
  if (!expected.is_none()) expected_argument.emplace(expected);
  const BytesArgument desired_argument(desired);
  const PutOptions options{.ttl = ttl_argument(ttl)};
  std::optional<snkv::BytesView> expected_view;
  if (expected_argument) expected_view = expected_argument->view();
  return self.run([&](ColumnFamily& family) {
    return family.compare_and_swap(key_argument.view(), expected_view, desired_argument.view(),
                                   options);
  });
}

std::int64_t increment(Entries& self, py::handle key, std::int64_t delta, py::handle ttl) {
  const BytesArgument argument(key);
  const PutOptions options{.ttl = ttl_argument(ttl)};
  return self.run(
      [&](ColumnFamily& family) { return family.increment(argument.view(), delta, options); });
}

py::object get_and_put(Entries& self, py::handle key, py::handle value, py::handle ttl) {
  const BytesArgument key_argument(key);
  const BytesArgument value_argument(value);
  const PutOptions options{.ttl = ttl_argument(ttl)};
  return to_optional_bytes(self.run([&](ColumnFamily& family) {
    return family.get_and_put(key_argument.view(), value_argument.view(), options);
  }));
}

py::object get_and_erase(Entries& self, py::handle key) {
  const BytesArgument argument(key);
  return to_optional_bytes(
      self.run([&](ColumnFamily& family) { return family.get_and_erase(argument.view()); }));
}

/// A count, or another call that takes a prefix or a range.
template <class Prefix, class Whole>
std::uint64_t with_prefix(Entries& self, py::handle prefix, Prefix with, Whole without) {
  if (prefix.is_none()) return self.run(without);
  const BytesArgument argument(prefix);
  return self.run([&](ColumnFamily& family) { return with(family, argument.view()); });
}

std::uint64_t count(Entries& self, py::handle prefix) {
  return with_prefix(
      self, prefix,
      [](ColumnFamily& family, snkv::BytesView view) { return family.count_prefix(view); },
      [](ColumnFamily& family) { return family.count(); });
}

std::uint64_t erase_range(Entries& self, py::handle low, py::handle high) {
  const BytesArgument low_argument(low);
  const BytesArgument high_argument(high);
  return self.run([&](ColumnFamily& family) {
    return family.erase_range(low_argument.view(), high_argument.view());
  });
}

std::uint64_t erase_prefix(Entries& self, py::handle prefix) {
  const BytesArgument argument(prefix);
  return self.run([&](ColumnFamily& family) { return family.erase_prefix(argument.view()); });
}

void put_many(Entries& self, const py::iterable& items, py::handle ttl) {
  const PutOptions options{.ttl = ttl_argument(ttl)};
  snkv::WriteBatch batch;
  for (const py::handle item : items) {
    const auto pair = py::cast<py::sequence>(item);
    if (pair.size() != 2) throw py::value_error("each item is a key and a value");
    batch.put(BytesArgument(pair[0]).view(), BytesArgument(pair[1]).view(), options);
  }
  self.run([&](ColumnFamily& family) { return family.write(batch); });
}

std::string name(Entries& self) {
  return self.run([](ColumnFamily& family) { return Result<std::string>(family.name()); });
}

void define_batch(py::module_& module) {
  using snkv::WriteBatch;
  py::class_<WriteBatch>(module, "WriteBatch")
      .def(py::init<>())
      .def(py::init([](const py::bytes& data) { return WriteBatch(BytesArgument(data).view()); }))
      .def("put",
           [](WriteBatch& self, py::handle key, py::handle value, py::handle ttl) {
             const BytesArgument key_argument(key);
             const BytesArgument value_argument(value);
             self.put(key_argument.view(), value_argument.view(), {.ttl = ttl_argument(ttl)});
           })
      .def("delete",
           [](WriteBatch& self, py::handle key) { self.erase(BytesArgument(key).view()); })
      .def("delete_range",
           [](WriteBatch& self, py::handle low, py::handle high) {
             const BytesArgument low_argument(low);
             const BytesArgument high_argument(high);
             self.erase_range(low_argument.view(), high_argument.view());
           })
      .def("clear_family", [](WriteBatch& self) { self.clear_family(); })
      .def("in_family",
           [](WriteBatch& self, py::handle family) {
             self.in_family(family_argument(family, "in_family"));
           })
      .def("reset", &WriteBatch::reset)
      .def("empty", &WriteBatch::empty)
      .def("data", [](const WriteBatch& self) { return to_bytes(self.data()); });
}

}  // namespace

void define_entries(py::module_& module) {
  define_batch(module);
  py::class_<Entries>(module, "Entries")
      // Those of nothing.
      .def_static(
          "closed",
          [] { return std::make_unique<Entries>(Session::make(snkv::Store()), ColumnFamily()); })
      .def("get", &Entries::get)
      .def("get_or_raise", &Entries::get_or_raise)
      .def("exists", &Entries::contains)
      .def("put", &Entries::put)
      .def("delete", &Entries::erase)
      .def("get_many", &get_many)
      .def("put_many", &put_many)
      .def("write", &write)
      .def("ttl", &ttl)
      .def("expire", &expire)
      .def("persist",
           [](Entries& self, py::handle key) {
             const BytesArgument argument(key);
             self.run([&](ColumnFamily& family) { return family.persist(argument.view()); });
           })
      .def("put_if_absent", &put_if_absent)
      .def("compare_and_swap", &compare_and_swap)
      .def("increment", &increment)
      .def("get_and_put", &get_and_put)
      .def("get_and_delete", &get_and_erase)
      .def("delete_range", &erase_range)
      .def("delete_prefix", &erase_prefix)
      .def("count", &count)
      .def("count_live",
           [](Entries& self) {
             return self.run([](ColumnFamily& family) { return family.count_live(); });
           })
      .def("clear",
           [](Entries& self) { self.run([](ColumnFamily& family) { return family.clear(); }); })
      .def("purge_expired",
           [](Entries& self, std::uint64_t limit) {
             return self.run([&](ColumnFamily& family) { return family.purge_expired(limit); });
           })
      .def("name", &name)
      .def("iterator", &Entries::iterator);
}

}  // namespace snkv_python
