/// \file
/// Vector search. Header-only.
#pragma once

#include <snkv/vector/index.hpp>
#include <snkv/vector/metric.hpp>
#include <snkv/vector/thread_pool.hpp>
