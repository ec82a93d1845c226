/// \file
/// Collections of vectors.
#pragma once

#include "python.hpp"

namespace snkv_python {

void define_vector(py::module_& module);

}  // namespace snkv_python
