# Finds the SQLite amalgamation that the engine compiles. Sets SNKV_SQLITE_SOURCE_DIR, the
# directory with sqlite3.c and sqlite3.h.

include(SnkvFetchNpm)

set(_snkv_sqlite_version_number 3054001)

if(SNKV_SQLITE_DIR)
  get_filename_component(SNKV_SQLITE_SOURCE_DIR "${SNKV_SQLITE_DIR}" ABSOLUTE
    BASE_DIR "${CMAKE_SOURCE_DIR}")
  foreach(file IN ITEMS sqlite3.c sqlite3.h)
    if(NOT EXISTS "${SNKV_SQLITE_SOURCE_DIR}/${file}")
      message(FATAL_ERROR "snkv: SNKV_SQLITE_DIR=${SNKV_SQLITE_DIR} has no ${file}.")
    endif()
  endforeach()

  set(_snkv_found "unknown")
  file(STRINGS "${SNKV_SQLITE_SOURCE_DIR}/sqlite3.c" _snkv_line
    REGEX "^#define SQLITE_VERSION_NUMBER[ ]+[0-9]+" LIMIT_COUNT 1)
  if(_snkv_line MATCHES "([0-9]+)$")
    set(_snkv_found "${CMAKE_MATCH_1}")
  endif()
  if(NOT _snkv_found STREQUAL _snkv_sqlite_version_number AND NOT SNKV_SQLITE_ANY_VERSION)
    message(FATAL_ERROR
      "snkv: ${SNKV_SQLITE_SOURCE_DIR}/sqlite3.c has SQLITE_VERSION_NUMBER ${_snkv_found}, but "
      "snkv is written for ${_snkv_sqlite_version_number}.\n"
      "snkv calls SQLite's internal B-tree functions, which may change in any release without "
      "notice. Use SQLite 3.54.1, or set -DSNKV_SQLITE_ANY_VERSION=ON and run all of snkv's "
      "tests before you trust the result.")
  endif()
else()
  # Taken from a package manager, so that no third-party source is copied into this repository.
  snkv_fetch_npm(
    SPEC better-sqlite3@13.2.0
    SHA256 40487589df3496f2ee0079d22b73c63fccebe7db0e8ee9a2c42421861e321e0b
    SUBDIR deps/sqlite3
    FILES
      sqlite3.c=75a4760a7b9727a4c4c877aec92eacf39e52a8f2921ce00bd33be6d3a8e8e254
      sqlite3.h=d6c84557261893439b341d2e6c35187ae3ea24fbfd843ad94616f72d89242b8c
    INSTEAD "-DSNKV_SQLITE_DIR=<directory with sqlite3.c and sqlite3.h of SQLite 3.54.1>"
    OUTPUT SNKV_SQLITE_SOURCE_DIR)
endif()
message(STATUS "snkv: SQLite amalgamation in ${SNKV_SQLITE_SOURCE_DIR}")
