# What the Python package is built with. snkv_find_python(<found>) sets <found>, and if it is true
#   SNKV_PYTHON_INTERPRETERS     paths, without shims of version managers
#   SNKV_PYTHON_SUFFIXES         suffixes of extension modules, one for each binary interface
#   SNKV_PYTHON_INCLUDE_<suffix> the headers that belong to each
#   SNKV_PYTHON_PYTEST           the first interpreter that has pytest; empty if there is none
# and else SNKV_PYTHON_MISSING, what is not there.

find_path(SNKV_PYBIND11_INCLUDE_DIR pybind11/pybind11.h)
find_program(SNKV_PATH_PYTHON NAMES python3)
mark_as_advanced(SNKV_PYBIND11_INCLUDE_DIR SNKV_PATH_PYTHON)

macro(snkv_find_python found)
  set(${found} OFF)
  set(SNKV_PYTHON_INTERPRETERS "")
  set(SNKV_PYTHON_SUFFIXES "")
  set(SNKV_PYTHON_PYTEST "")
  if(SNKV_PYTHONS)
    set(_snkv_candidates ${SNKV_PYTHONS})
  else()
    set(_snkv_candidates "${SNKV_PATH_PYTHON}" /usr/bin/python3)
  endif()
  foreach(_snkv_candidate IN LISTS _snkv_candidates)
    if(EXISTS "${_snkv_candidate}")
      execute_process(
        COMMAND "${_snkv_candidate}" "${PROJECT_SOURCE_DIR}/bindings/python/describe_python.py"
        OUTPUT_VARIABLE _snkv_facts RESULT_VARIABLE _snkv_result OUTPUT_STRIP_TRAILING_WHITESPACE)
      if(_snkv_result EQUAL 0)
        snkv_note_python(${_snkv_facts})
      else()
        message(STATUS "snkv: no headers of ${_snkv_candidate}, so no Python package for it")
      endif()
    endif()
  endforeach()
  if(NOT SNKV_PYBIND11_INCLUDE_DIR)
    set(SNKV_PYTHON_MISSING "no pybind11 (Debian: pybind11-dev)")
  elseif(NOT SNKV_PYTHON_INTERPRETERS)
    set(SNKV_PYTHON_MISSING "no Python with headers (Debian: python3-dev)")
  elseif(BUILD_SHARED_LIBS)
    set(SNKV_PYTHON_MISSING "no static library, which the module has in it: BUILD_SHARED_LIBS is ON")
  else()
    set(${found} ON)
  endif()
endmacro()

# What describe_python.py has printed.
macro(snkv_note_python python suffix include_dir has_pytest)
  if(NOT "${python}" IN_LIST SNKV_PYTHON_INTERPRETERS)
    list(APPEND SNKV_PYTHON_INTERPRETERS "${python}")
    if(NOT "${suffix}" IN_LIST SNKV_PYTHON_SUFFIXES)
      list(APPEND SNKV_PYTHON_SUFFIXES "${suffix}")
      set(SNKV_PYTHON_INCLUDE_${suffix} "${include_dir}")
    endif()
    if(${has_pytest} AND NOT SNKV_PYTHON_PYTEST)
      set(SNKV_PYTHON_PYTEST "${python}")
    endif()
  endif()
endmacro()

# On by default where it can be built and tested, but not in a build that others asked for, nor with
# sanitizers: an interpreter without cannot load what has them.
if(NOT DEFINED SNKV_BUILD_PYTHON)
  set(_snkv_default OFF)
  if(PROJECT_IS_TOP_LEVEL AND SNKV_BUILD_TESTS AND NOT SNKV_SANITIZE)
    snkv_find_python(_snkv_default)
    if(_snkv_default AND NOT SNKV_PYTHON_PYTEST)
      set(_snkv_default OFF)
      set(SNKV_PYTHON_MISSING "no pytest (Debian: python3-pytest)")
    endif()
    if(NOT _snkv_default)
      message(STATUS "snkv: no Python package, because there is ${SNKV_PYTHON_MISSING}")
    endif()
  endif()
  option(SNKV_BUILD_PYTHON "Build the Python package" ${_snkv_default})
elseif(SNKV_BUILD_PYTHON)
  snkv_find_python(_snkv_found)
  if(NOT _snkv_found)
    message(FATAL_ERROR "snkv: SNKV_BUILD_PYTHON is ON, but there is ${SNKV_PYTHON_MISSING}.")
  endif()
endif()
