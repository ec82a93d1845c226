/// \file
/// Vectors, metadata and filters on their way between Python and the library.
#pragma once

#include "errors.hpp"
#include "python.hpp"

#include <snkv/vector/store_types.hpp>

#include <pybind11/numpy.h>

#include <exception>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace snkv_python {

/// An array of float32 without gaps, as numpy.asarray has made it: used where it lies.
using FloatArray = py::array_t<float, py::array::c_style>;

[[nodiscard]] inline std::span<const float> span_of(const FloatArray& array) {
  return {array.data(), static_cast<std::size_t>(array.size())};
}

/// An array that takes over the memory of a vector.
[[nodiscard]] py::object to_array(std::vector<float> values);

/// A document of JSON as Python objects.
[[nodiscard]] py::object to_python(const snkv::Json& json);

/// JSON as text, None for none.
[[nodiscard]] snkv::Json json_argument(py::handle text);

[[nodiscard]] snkv::Filter filter_argument(const std::string& text);

[[nodiscard]] snkv::Metric metric_argument(py::handle name);
[[nodiscard]] snkv::ElementType dtype_argument(py::handle name);
[[nodiscard]] const char* name_of(snkv::Metric metric);
[[nodiscard]] const char* name_of(snkv::ElementType dtype);

/// A Python function of the metadata as a predicate of the library. What it raises ends the search.
class PredicateBridge {
 public:
  explicit PredicateBridge(py::object function) : function_(std::move(function)) {}

  explicit operator bool() const noexcept { return !function_.is_none(); }
  [[nodiscard]] snkv::VectorPredicate callback() {
    return [this](std::string_view, const snkv::Json& metadata) { return ask(metadata); };
  }
  void rethrow() {
    if (raised_) std::rethrow_exception(std::exchange(raised_, nullptr));
  }

 private:
  bool ask(const snkv::Json& metadata) {
    const py::gil_scoped_acquire acquired;
    if (raised_) return false;
    try {
      const py::object argument = metadata.is_null() ? py::dict() : to_python(metadata);
      return py::bool_(function_(argument));
    } catch (...) {
      raised_ = std::current_exception();
      return false;
    }
  }

  py::object function_;
  std::exception_ptr raised_;  // guarded by the interpreter's lock
};

}  // namespace snkv_python
