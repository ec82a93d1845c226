#include "errors.hpp"
#include "python.hpp"

#include <cmath>

namespace snkv_python {
namespace {

std::string type_name(py::handle object) { return Py_TYPE(object.ptr())->tp_name; }

}  // namespace

BytesArgument::BytesArgument(py::handle object) {
  PyObject* const pointer = object.ptr();
  if (PyBytes_Check(pointer)) {
    view_ = snkv::BytesView(PyBytes_AS_STRING(pointer),
                            static_cast<std::size_t>(PyBytes_GET_SIZE(pointer)));
    return;
  }
  if (PyUnicode_Check(pointer)) {
    Py_ssize_t size = 0;
    const char* const text = PyUnicode_AsUTF8AndSize(pointer, &size);
    if (text == nullptr) throw py::error_already_set();
    view_ = snkv::BytesView(text, static_cast<std::size_t>(size));
    return;
  }
  if (!PyObject_CheckBuffer(pointer)) {
    throw py::type_error("keys and values are str, bytes, bytearray or memoryview, not " +
                         type_name(object));
  }
  Py_buffer buffer;
  if (PyObject_GetBuffer(pointer, &buffer, PyBUF_FULL_RO) != 0) throw py::error_already_set();
  copy_.resize(static_cast<std::size_t>(buffer.len));
  const int result = PyBuffer_ToContiguous(copy_.data(), &buffer, buffer.len, 'C');
  PyBuffer_Release(&buffer);
  if (result != 0) throw py::error_already_set();
  view_ = snkv::BytesView(copy_);
}

std::string path_argument(py::handle object) {
  PyObject* encoded = nullptr;
  if (PyUnicode_FSConverter(object.ptr(), &encoded) == 0) throw py::error_already_set();
  return py::reinterpret_steal<py::bytes>(encoded);
}

std::optional<std::chrono::milliseconds> ttl_argument(py::handle seconds) {
  if (seconds.is_none()) return std::nullopt;
  if (PyUnicode_Check(seconds.ptr()) || !PyNumber_Check(seconds.ptr())) {
    throw py::type_error("ttl is a number of seconds, not " + type_name(seconds));
  }
  const double value = PyFloat_AsDouble(seconds.ptr());
  if (value == -1 && PyErr_Occurred() != nullptr) throw py::error_already_set();
  const double milliseconds = std::ceil(value * 1000);
  // 2^62 is beyond every date, and far from the overflow of the sum with today's.
  if (!(std::abs(milliseconds) < 4611686018427387904.0)) {
    raise(snkv::Error(snkv::Errc::invalid_argument, "ttl", "not a finite number of seconds"));
  }
  return std::chrono::milliseconds(static_cast<std::int64_t>(milliseconds));
}

std::string text_argument(py::handle object, const char* what) {
  if (!PyUnicode_Check(object.ptr())) {
    throw py::type_error(std::string(what) + " is a str, not " + type_name(object));
  }
  return std::string(BytesArgument(object).view().view());
}

std::string family_argument(py::handle object, const char* operation) {
  std::string name = text_argument(object, "a name");
  if (is_reserved(name)) {
    raise(snkv::Error(snkv::Errc::invalid_argument, operation,
                      "names that begin with \"__\" or \"_snkv_\" are reserved"));
  }
  return name;
}

}  // namespace snkv_python
