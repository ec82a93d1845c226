# Runs a program in an empty directory: cmake -DDIR=<dir> -P SnkvRunInCleanDir.cmake -- <program>...
# The examples create their files in the working directory, and must not meet those of yesterday.

set(command "")
set(seen FALSE)
math(EXPR last "${CMAKE_ARGC} - 1")
foreach(i RANGE ${last})
  if(seen)
    list(APPEND command "${CMAKE_ARGV${i}}")
  elseif(CMAKE_ARGV${i} STREQUAL "--")
    set(seen TRUE)
  endif()
endforeach()
if(NOT DIR OR NOT command)
  message(FATAL_ERROR "usage: cmake -DDIR=<dir> -P SnkvRunInCleanDir.cmake -- <program>...")
endif()

file(REMOVE_RECURSE "${DIR}")
file(MAKE_DIRECTORY "${DIR}")
execute_process(COMMAND ${command} WORKING_DIRECTORY "${DIR}" RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "${command}: ${result}")
endif()
