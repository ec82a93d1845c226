# Uses ccache where it is installed: the engine is one large file, compiled once per variant.
# A surrounding project decides about its compiler launcher itself.

if(PROJECT_IS_TOP_LEVEL)
  find_program(SNKV_CCACHE ccache)
  mark_as_advanced(SNKV_CCACHE)
  if(SNKV_CCACHE)
    foreach(language IN ITEMS C CXX)
      if(NOT DEFINED CMAKE_${language}_COMPILER_LAUNCHER)
        set(CMAKE_${language}_COMPILER_LAUNCHER "${SNKV_CCACHE}")
      endif()
    endforeach()
  endif()
endif()
