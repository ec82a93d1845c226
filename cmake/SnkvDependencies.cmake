# What the library is built from besides its own sources. Of this, clients of the installed package
# need threads, and libsodium if the library is a static one.

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

find_package(fmt QUIET)
if(NOT TARGET fmt::fmt-header-only)
  message(FATAL_ERROR
    "snkv: the fmt library is missing. On Debian and Ubuntu: apt-get install libfmt-dev, "
    "or run scripts/setup.")
endif()

# 1.0.12 is the first with all that encryption needs.
find_package(Sodium 1.0.12 QUIET)
if(NOT TARGET Sodium::Sodium)
  message(FATAL_ERROR
    "snkv: libsodium 1.0.12 or later is missing. On Debian and Ubuntu: apt-get install "
    "libsodium-dev, or run scripts/setup.")
endif()

include(SnkvSqlite)

# Of the vector headers only: without them, there are no targets snkv::vector and snkv::vector_index.
if(SNKV_BUILD_VECTOR)
  find_package(nlohmann_json 3 QUIET)
  if(NOT TARGET nlohmann_json::nlohmann_json)
    message(STATUS "snkv: no nlohmann_json, so no snkv::vector (Debian: nlohmann-json3-dev)")
  endif()
  include(SnkvHnswlib)
endif()

# Only a notice: the library itself compiles without it, the facade needs it below C++23.
include(SnkvCheckExpected)
snkv_check_expected()
