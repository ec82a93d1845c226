# Builds one client project and runs it:
#
#   cmake -DCLIENT=<dir> -DWORK=<dir> -P run.cmake
#         -- <further arguments for the client's configure step>
#
# The client is configured from nothing each time, so that no stale cache entry helps it.

set(arguments "")
set(seen FALSE)
math(EXPR last "${CMAKE_ARGC} - 1")
foreach(i RANGE ${last})
  if(seen)
    list(APPEND arguments "${CMAKE_ARGV${i}}")
  elseif(CMAKE_ARGV${i} STREQUAL "--")
    set(seen TRUE)
  endif()
endforeach()

function(step)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    list(JOIN ARGV " " command)
    message(FATAL_ERROR "failed (${result}): ${command}")
  endif()
endfunction()

file(REMOVE_RECURSE "${WORK}")
file(MAKE_DIRECTORY "${WORK}/run")
step("${CMAKE_COMMAND}" -S "${CLIENT}" -B "${WORK}/build" -G Ninja ${arguments})
step("${CMAKE_COMMAND}" --build "${WORK}/build")
step("${CMAKE_COMMAND}" -E chdir "${WORK}/run" "${WORK}/build/client")
