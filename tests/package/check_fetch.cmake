# The error messages of snkv_fetch_npm(), without a network:
#   cmake -DSNKV_ROOT=<repository> -DWORK=<dir> -P check_fetch.cmake
# It runs itself with -DCASE=<case> for each case that has to fail.

set(CMAKE_MODULE_PATH "${SNKV_ROOT}/cmake")
include(SnkvFetchNpm)

set(content "int answer = 42;\n")
string(SHA256 content_sum "${content}")

if(CASE)
  set(SNKV_CACHE_DIR "${WORK}/${CASE}")
  if(CASE STREQUAL "no_npm")
    set(SNKV_NPM "SNKV_NPM-NOTFOUND")
    set(ENV{PATH} "${WORK}/empty")
    set(CMAKE_FIND_USE_CMAKE_SYSTEM_PATH FALSE)
  endif()
  snkv_fetch_npm(
    SPEC snkv-no-such-package@1.0.0
    SHA256 "${TARBALL_SUM}"
    SUBDIR deps
    FILES "answer.c=${content_sum}"
    INSTEAD "-DSNKV_OTHER_WAY=<dir>"
    OUTPUT dir)
  file(READ "${dir}/answer.c" text)
  if(NOT text STREQUAL content)
    message(FATAL_ERROR "wrong file in ${dir}")
  endif()
  return()
endif()

file(REMOVE_RECURSE "${WORK}")
file(MAKE_DIRECTORY "${WORK}/empty")
file(WRITE "${WORK}/stage/package/deps/answer.c" "${content}")
execute_process(
  COMMAND "${CMAKE_COMMAND}" -E tar czf "${WORK}/good.tgz" package
  WORKING_DIRECTORY "${WORK}/stage"
  COMMAND_ERROR_IS_FATAL ANY)
file(SHA256 "${WORK}/good.tgz" tarball_sum)

# expect(<case> <regex in the error, or "" when it has to succeed> [<tarball sum>])
function(expect case pattern)
  execute_process(
    COMMAND "${CMAKE_COMMAND}" "-DSNKV_ROOT=${SNKV_ROOT}" "-DWORK=${WORK}" "-DCASE=${case}"
      "-DTARBALL_SUM=${tarball_sum}" -P "${CMAKE_CURRENT_FUNCTION_LIST_FILE}"
    RESULT_VARIABLE result
    OUTPUT_VARIABLE output
    ERROR_VARIABLE output)
  # CMake wraps messages.
  string(REGEX REPLACE "[ \n]+" " " output "${output}")
  if(pattern STREQUAL "")
    if(NOT result EQUAL 0)
      message(SEND_ERROR "${case}: ${output}")
    endif()
  elseif(result EQUAL 0 OR NOT output MATCHES "${pattern}")
    message(SEND_ERROR "${case}: no \"${pattern}\" in: ${output}")
  endif()
endfunction()

set(tarball snkv-no-such-package-1.0.0.tgz)

expect(no_npm "npm is needed once.*apt-get install npm.*-DSNKV_OTHER_WAY=<dir>")

file(WRITE "${WORK}/bad_tarball/${tarball}" "not what was published")
expect(bad_tarball "expected SHA-256 ${tarball_sum}.*Delete the file.*-DSNKV_OTHER_WAY=<dir>")

# A good tarball is unpacked, and a file that was changed afterwards is replaced.
file(MAKE_DIRECTORY "${WORK}/good")
file(COPY_FILE "${WORK}/good.tgz" "${WORK}/good/${tarball}")
expect(good "")
file(WRITE "${WORK}/good/snkv-no-such-package-1.0.0/deps/answer.c" "damaged")
expect(good "")
