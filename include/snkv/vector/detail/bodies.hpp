/// \file
/// The code behind collections: everything that operations.hpp declares.
#pragma once

#include <snkv/vector/detail/collection/hnswlib_import.hpp>
#include <snkv/vector/detail/collection/maintenance.hpp>
#include <snkv/vector/detail/collection/opening.hpp>
#include <snkv/vector/detail/collection/reading.hpp>
#include <snkv/vector/detail/collection/repair.hpp>
#include <snkv/vector/detail/collection/searching.hpp>
#include <snkv/vector/detail/collection/writing.hpp>
#include <snkv/vector/detail/text/exchange.hpp>
