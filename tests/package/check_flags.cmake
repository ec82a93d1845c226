# What the library is compiled with where nobody says anything, and where somebody does:
#   cmake -DSNKV_ROOT=<repository> -DWORK=<dir> -P check_flags.cmake -- <further arguments for configuring>

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
foreach(variable IN ITEMS CMAKE_BUILD_TYPE CFLAGS CXXFLAGS)
  unset(ENV{${variable}})
endforeach()

# expect(<case> <project> <regex> <regex that must not match, or ""> [<argument>...]): both for the command of
# the engine and that of a file of the core.
function(expect case project wanted unwanted)
  set(build "${WORK}/${case}")
  file(REMOVE_RECURSE "${build}")
  execute_process(
    COMMAND "${CMAKE_COMMAND}" -S "${project}" -B "${build}" -G Ninja -DSNKV_BUILD_TESTS=OFF
      -DSNKV_BUILD_EXAMPLES=OFF -DSNKV_BUILD_TOOLS=OFF -DSNKV_BUILD_PYTHON=OFF
      -DCMAKE_EXPORT_COMPILE_COMMANDS=ON "-DSNKV_ROOT=${SNKV_ROOT}" ${arguments} ${ARGN}
    OUTPUT_QUIET
    COMMAND_ERROR_IS_FATAL ANY)
  file(STRINGS "${build}/compile_commands.json" commands REGEX "\"command\"")
  foreach(file IN ITEMS btree/engine.c core/open.cpp c_api/entries.cpp)
    set(command "${commands}")
    list(FILTER command INCLUDE REGEX "-c [^ ]*src/${file}")
    list(LENGTH command count)
    if(NOT count EQUAL 1)
      message(SEND_ERROR "${case}: ${count} commands compile ${file}")
    elseif(NOT command MATCHES "${wanted}")
      message(SEND_ERROR "${case}: ${file} is compiled without ${wanted}: ${command}")
    elseif(unwanted AND command MATCHES "${unwanted}")
      message(SEND_ERROR "${case}: ${file} is compiled with ${unwanted}: ${command}")
    endif()
  endforeach()
endfunction()

set(parent "${SNKV_ROOT}/tests/package/add_subdirectory")
expect(top_level "${SNKV_ROOT}" " -O3 .*-fPIC " "")
expect(top_level_debug "${SNKV_ROOT}" " -g .*-fPIC " " -O[23] " -DCMAKE_BUILD_TYPE=Debug)
expect(subproject "${parent}" "-fPIC .*-O2 " "")
expect(subproject_debug "${parent}" " -g .*-fPIC " " -O[23] " -DCMAKE_BUILD_TYPE=Debug)
expect(subproject_flags "${parent}" " -O1 .*-fPIC " " -O[23] " -DCMAKE_C_FLAGS=-O1 -DCMAKE_CXX_FLAGS=-O1)
expect(not_independent "${parent}" " -O2 " "-fPIC" -DCMAKE_POSITION_INDEPENDENT_CODE=OFF)
