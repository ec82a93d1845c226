# Installs the build tree and then moves the result, since packages are built in one place and
# used in another: cmake -DBUILD=<dir> -DPREFIX=<dir> [-DCONFIG=<config>] -P install.cmake

file(REMOVE_RECURSE "${PREFIX}" "${PREFIX}.first")
execute_process(
  COMMAND "${CMAKE_COMMAND}" --install "${BUILD}" --prefix "${PREFIX}.first"
  OUTPUT_QUIET
  COMMAND_ERROR_IS_FATAL ANY)
file(RENAME "${PREFIX}.first" "${PREFIX}")

# Nothing of the machine that built the package may be left in it.
file(GLOB_RECURSE files "${PREFIX}/*.cmake" "${PREFIX}/*.pc" "${PREFIX}/*.hpp")
foreach(file IN LISTS files)
  file(READ "${file}" text)
  foreach(path IN ITEMS "${BUILD}" "${PREFIX}")
    string(FIND "${text}" "${path}" at)
    if(NOT at EQUAL -1)
      message(FATAL_ERROR "${file} contains the path ${path}")
    endif()
  endforeach()
  if(text MATCHES "snkv_testing|fmt::")
    message(FATAL_ERROR "${file} mentions ${CMAKE_MATCH_0}, which is private to the build")
  endif()
endforeach()
