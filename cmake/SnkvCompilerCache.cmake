# Uses ccache where it is installed: the engine is one large file, compiled once per variant.
# A surrounding project decides about its compiler launcher itself.

if(PROJECT_IS_TOP_LEVEL)
  find_program(SNKV_CCACHE ccache)
  mark_as_advanced(SNKV_CCACHE)
  if(SNKV_CCACHE)
    # Paths below the source folder count relative to it, so that another checkout finds what this
    # one has compiled.
    set(launcher "${CMAKE_COMMAND}" -E env
      "CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}" CCACHE_NOHASHDIR=1 "${SNKV_CCACHE}")
    foreach(language IN ITEMS C CXX)
      if(NOT DEFINED CMAKE_${language}_COMPILER_LAUNCHER)
        set(CMAKE_${language}_COMPILER_LAUNCHER "${launcher}")
      endif()
    endforeach()
  endif()
endif()
