#include "errors.hpp"

namespace snkv_python {

void raise(const snkv::Error& error) {
  const py::object make = py::module_::import("snkv._errors").attr("from_code");
  const py::object exception =
      make(py::str(std::string(snkv::to_string(error.code()))), py::str(error.message()),
           py::str(std::string(error.operation())), error.extended());
  PyErr_SetObject(py::type::of(exception).ptr(), exception.ptr());
  throw py::error_already_set();
}

}  // namespace snkv_python
