# snkv_target_warnings(<target>): the warnings every C++ file of this project compiles under.
# Never part of the target's interface, so clients keep their own taste.

function(snkv_target_warnings target)
  set(flags
    -Wall
    -Wextra
    -Wpedantic
    -Wcast-qual
    -Wformat=2
    -Wimplicit-fallthrough
    -Wnon-virtual-dtor
    -Wold-style-cast
    -Woverloaded-virtual
    -Wshadow)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    # GCC bug 105651: "literal" + std::string is reported to overlap itself at -O3.
    list(APPEND flags -Wno-restrict)
  endif()
  if(SNKV_WARNINGS_AS_ERRORS)
    list(APPEND flags -Werror)
  endif()
  target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:${flags}>")
endfunction()
