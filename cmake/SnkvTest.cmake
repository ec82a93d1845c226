# snkv_add_test(): one executable and one ctest test.
#
#   snkv_add_test(NAME <name> SOURCES <file>... [LIBS <target>...] [LABELS <label>...]
#                 [TIMEOUT <seconds>] [ARGS <argument>...] [OWN_MAIN] [NO_LIBRARY]
#                 [LAUNCHER <command>...])
#
# The test links snkv::snkv, or snkv_testing where LIBS names it: that variant has the fault
# injection hooks and opens src/. The folder's name is always one of the labels. OWN_MAIN is for
# tests that are not Catch2 programs, NO_LIBRARY for those of headers that need no library. A LAUNCHER
# is a command that runs the test, which it gets as its arguments; with exit code 77 it says that the
# test cannot run here, which ctest reports as skipped.
# scripts/test selects tests by label, see CMakePresets.json. For each label there is a target
# tests_<label> that builds its tests.

# Instrumented code is several times slower; the limit is there to stop a hang.
set(SNKV_TEST_TIMEOUT_FACTOR 1)
if(SNKV_SANITIZE OR SNKV_SQLITE_DEBUG OR SNKV_COVERAGE)
  set(SNKV_TEST_TIMEOUT_FACTOR 5)
endif()

# The programs of a label's tests.
function(_snkv_add_to_label_targets target labels)
  foreach(label IN LISTS labels)
    if(NOT TARGET tests_${label})
      add_custom_target(tests_${label})
    endif()
    add_dependencies(tests_${label} ${target})
  endforeach()
endfunction()

function(snkv_add_test)
  cmake_parse_arguments(PARSE_ARGV 0 arg
    "OWN_MAIN;NO_LIBRARY" "NAME;TIMEOUT" "SOURCES;LIBS;LABELS;ARGS;LAUNCHER")
  if(arg_UNPARSED_ARGUMENTS OR NOT arg_NAME OR NOT arg_SOURCES)
    message(FATAL_ERROR "snkv_add_test: NAME and SOURCES needed; bad: ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  math(EXPR timeout "${arg_TIMEOUT} * ${SNKV_TEST_TIMEOUT_FACTOR}")
  get_filename_component(folder "${CMAKE_CURRENT_SOURCE_DIR}" NAME)
  list(APPEND arg_LABELS "${folder}")
  list(REMOVE_DUPLICATES arg_LABELS)
  if(NOT arg_NO_LIBRARY AND NOT "snkv_testing" IN_LIST arg_LIBS)
    list(PREPEND arg_LIBS snkv::snkv)
  endif()
  if(NOT arg_OWN_MAIN)
    list(PREPEND arg_LIBS snkv_test_main)
  endif()

  set(target test_${arg_NAME})
  add_executable(${target} ${arg_SOURCES})
  target_link_libraries(${target} PRIVATE snkv_test_support ${arg_LIBS})
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  snkv_target_warnings(${target})
  _snkv_add_to_label_targets(${target} "${arg_LABELS}")

  add_test(NAME ${arg_NAME} COMMAND ${arg_LAUNCHER} $<TARGET_FILE:${target}> ${arg_ARGS})
  set_tests_properties(${arg_NAME} PROPERTIES
    LABELS "${arg_LABELS}"
    TIMEOUT ${timeout}
    ENVIRONMENT "${SNKV_TEST_ENVIRONMENT}")
  if(arg_LAUNCHER)
    set_tests_properties(${arg_NAME} PROPERTIES SKIP_RETURN_CODE 77)
  endif()
endfunction()

# snkv_add_script_test(NAME <name> COMMAND <command>... [LABELS <label>...] [TIMEOUT <seconds>]):
# a test that runs a script, not a program of ours.
function(snkv_add_script_test)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "NAME;TIMEOUT" "COMMAND;LABELS")
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  get_filename_component(folder "${CMAKE_CURRENT_SOURCE_DIR}" NAME)
  list(APPEND arg_LABELS "${folder}")
  list(REMOVE_DUPLICATES arg_LABELS)
  add_test(NAME ${arg_NAME} COMMAND ${arg_COMMAND})
  set_tests_properties(${arg_NAME} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT})
endfunction()

# snkv_add_encrypted_runs(<name>...): tests of snkv_add_test that run a second time, on encrypted stores
# (tests/support/encrypted.hpp). In the release build only; QUICK are those that every build runs.
function(snkv_add_encrypted_runs)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "" "QUICK")
  set(names ${arg_QUICK})
  if(CMAKE_BUILD_TYPE STREQUAL "Release" AND
      NOT (SNKV_SANITIZE OR SNKV_SQLITE_DEBUG OR SNKV_COVERAGE))
    list(APPEND names ${arg_UNPARSED_ARGUMENTS})
  endif()
  foreach(name IN LISTS names)
    get_test_property(${name} LABELS labels)
    get_test_property(${name} TIMEOUT timeout)
    add_test(NAME ${name}_encrypted COMMAND $<TARGET_FILE:test_${name}>)
    set_tests_properties(${name}_encrypted PROPERTIES
      LABELS "${labels};encrypted"
      TIMEOUT ${timeout}
      ENVIRONMENT "${SNKV_TEST_ENVIRONMENT};SNKV_TEST_ENCRYPTED=1")
  endforeach()
endfunction()
