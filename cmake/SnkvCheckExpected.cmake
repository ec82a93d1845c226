# snkv_check_expected(): says early, and in words, what would otherwise be a missing
# <tl/expected.hpp> deep in a compiler's output. Only a notice: under C++23 the facade uses
# std::expected, and which standard a client's targets end up with is not known here. Installed
# beside snkvConfig.cmake.

function(snkv_check_expected)
  if(DEFINED CMAKE_CXX_STANDARD AND CMAKE_CXX_STANDARD GREATER_EQUAL 23)
    return()
  endif()
  find_path(SNKV_TL_EXPECTED_INCLUDE_DIR tl/expected.hpp)
  mark_as_advanced(SNKV_TL_EXPECTED_INCLUDE_DIR)
  if(NOT SNKV_TL_EXPECTED_INCLUDE_DIR)
    message(NOTICE
      "snkv: <tl/expected.hpp> was not found. Code that includes snkv as C++20 needs it (Debian "
      "and Ubuntu: apt-get install libexpected-dev); with C++23 snkv uses std::expected instead.")
  endif()
endfunction()
