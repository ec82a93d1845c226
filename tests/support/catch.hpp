// Catch2 under one name: version 2 (Debian 12) and version 3 (later releases) differ in their
// headers, not in the macros we use.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif
