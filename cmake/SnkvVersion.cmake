# Reads the project version from include/snkv/version.hpp, so that the headers, the package and
# the shared library's name cannot disagree. Sets SNKV_VERSION.

set(_snkv_version_header "${CMAKE_CURRENT_LIST_DIR}/../include/snkv/version.hpp")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${_snkv_version_header}")

set(SNKV_VERSION "")
foreach(part IN ITEMS MAJOR MINOR PATCH)
  set(_snkv_number "^#define SNKV_VERSION_${part} ([0-9]+)$")
  file(STRINGS "${_snkv_version_header}" _snkv_line REGEX "${_snkv_number}")
  if(NOT _snkv_line MATCHES "${_snkv_number}")
    message(FATAL_ERROR "snkv: no SNKV_VERSION_${part} in ${_snkv_version_header}")
  endif()
  list(APPEND SNKV_VERSION "${CMAKE_MATCH_1}")
endforeach()
list(JOIN SNKV_VERSION "." SNKV_VERSION)
