// The extension module snkv._snkv: what the Python files beside it stand on. Not for programs.
#include "entries.hpp"
#include "iterator.hpp"
#include "store.hpp"
#ifdef SNKV_PYTHON_VECTOR
#include "vector.hpp"
#endif

#include <snkv/version.hpp>

PYBIND11_MODULE(_snkv, module) {
  namespace py = pybind11;
  module.attr("VERSION") = SNKV_VERSION_STRING;
  snkv_python::define_iterators(module);
  snkv_python::define_entries(module);
  snkv_python::define_store(module);
#ifdef SNKV_PYTHON_VECTOR
  snkv_python::define_vector(module);
#endif
}
