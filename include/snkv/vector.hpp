/// \file
/// Vector search. Header-only. Needs nlohmann/json 3; `vector/index.hpp` alone does not.
#pragma once

#include <snkv/vector/async.hpp>
#include <snkv/vector/filter.hpp>
#include <snkv/vector/index.hpp>
#include <snkv/vector/metric.hpp>
#include <snkv/vector/store.hpp>
#include <snkv/vector/thread_pool.hpp>
