#include "vector_values.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <string>

namespace snkv_python {
namespace {

template <class T>
struct Name {
  const char* text;
  T value;
};
constexpr std::array<Name<snkv::Metric>, 4> metrics{{{"l2", snkv::Metric::l2},
                                                     {"cosine", snkv::Metric::cosine},
                                                     {"ip", snkv::Metric::inner_product},
                                                     {"l1", snkv::Metric::l1}}};
constexpr std::array<Name<snkv::ElementType>, 3> dtypes{{{"f32", snkv::ElementType::f32},
                                                         {"f16", snkv::ElementType::f16},
                                                         {"i8", snkv::ElementType::i8}}};

template <class T, std::size_t n>
T find(const std::array<Name<T>, n>& names, py::handle name, const char* what) {
  const std::string text = text_argument(name, what);
  std::string known;
  for (const Name<T>& each : names) {
    if (text == each.text) return each.value;
    known += known.empty() ? "" : ", ";
    known += each.text;
  }
  raise(
      snkv::Error(snkv::Errc::invalid_argument, "open", std::string(what) + " is one of " + known));
}

template <class T, std::size_t n>
const char* find(const std::array<Name<T>, n>& names, T value) {
  for (const Name<T>& each : names) {
    if (each.value == value) return each.text;
  }
  return "";
}

/// An integer that JSON has no room for, spelled as snkv/vector.py does: `{"$int": "-123"}` with more digits.
/// Null if it is none.
py::object large_integer(const snkv::Json& json) {
  if (json.size() != 1 || json.begin().key() != "$int" || !json.begin()->is_string()) return {};
  const auto& text = json.begin()->get_ref<const std::string&>();
  const std::size_t sign = text.starts_with('-') ? 1 : 0;
  const bool is_number =
      text.size() - sign >= 19 && std::all_of(text.begin() + static_cast<std::ptrdiff_t>(sign), text.end(),
                                              [](char c) { return c >= '0' && c <= '9'; });
  if (!is_number) return {};
  PyObject* const number = PyLong_FromString(text.c_str(), nullptr, 10);
  // Python may have a limit for digits.
  if (number == nullptr) PyErr_Clear();
  return py::reinterpret_steal<py::object>(number);
}

}  // namespace

snkv::Metric metric_argument(py::handle name) { return find(metrics, name, "space"); }
snkv::ElementType dtype_argument(py::handle name) { return find(dtypes, name, "dtype"); }
const char* name_of(snkv::Metric metric) { return find(metrics, metric); }
const char* name_of(snkv::ElementType dtype) { return find(dtypes, dtype); }

py::object to_array(std::vector<float> values) {
  auto owned = std::make_unique<std::vector<float>>(std::move(values));
  const py::capsule owner(owned.get(),
                          [](void* vector) { delete static_cast<std::vector<float>*>(vector); });
  const std::vector<float>& kept = *owned.release();
  return py::array_t<float>(static_cast<py::ssize_t>(kept.size()), kept.data(), owner);
}

py::object to_python(const snkv::Json& json) {
  switch (json.type()) {
    case snkv::Json::value_t::object: {
      if (py::object number = large_integer(json)) return number;
      py::dict out;
      for (const auto& [key, value] : json.items()) out[py::str(key)] = to_python(value);
      return out;
    }
    case snkv::Json::value_t::array: {
      py::list out;
      for (const snkv::Json& value : json) out.append(to_python(value));
      return out;
    }
    case snkv::Json::value_t::string:
      return py::str(json.get_ref<const std::string&>());
    case snkv::Json::value_t::boolean:
      return py::bool_(json.get<bool>());
    case snkv::Json::value_t::number_integer:
      return py::int_(json.get<std::int64_t>());
    case snkv::Json::value_t::number_unsigned:
      return py::int_(json.get<std::uint64_t>());
    case snkv::Json::value_t::number_float:
      return py::float_(json.get<double>());
    default:
      return py::none();
  }
}

snkv::Json json_argument(py::handle text) {
  if (text.is_none()) return {};
  snkv::Json out = snkv::vector_detail::parse_json(py::cast<std::string>(text));
  if (out.is_discarded()) {
    raise(snkv::Error(snkv::Errc::invalid_argument, "put",
                      "metadata that are no JSON, or nested too deeply"));
  }
  return out;
}

snkv::Filter filter_argument(const std::string& text) {
  return value_of(snkv::Filter::parse(text));
}

}  // namespace snkv_python
