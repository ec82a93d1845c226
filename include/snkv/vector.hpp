/// \file
/// Collections of vectors in a store: `VectorStore`, with filters and metrics. Link `snkv::vector`, in which
/// the code is compiled, or `snkv::vector_header_only`. Needs nlohmann/json 3.
///
/// To be included by themselves, because they cost the compiler time: `vector/async.hpp` (`VectorAsync`,
/// futures), `vector/import.hpp` (databases of SNKV), and `vector/index.hpp` (`VectorIndex`, the index in
/// memory alone, which needs neither the library nor nlohmann/json).
#pragma once

#include <snkv/vector/filter.hpp>
#include <snkv/vector/metric.hpp>
#include <snkv/vector/store.hpp>
