/// \file
/// Stores, transactions, snapshots and savepoints.
#pragma once

#include "python.hpp"

namespace snkv_python {

void define_store(py::module_& module);

}  // namespace snkv_python
