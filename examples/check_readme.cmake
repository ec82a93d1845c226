# The README quotes 01_hello.cpp literally, or this test fails:
#   cmake -DREADME=<README.md> -DEXAMPLE=<01_hello.cpp> -P check_readme.cmake
file(READ "${README}" readme)
file(READ "${EXAMPLE}" example)
string(FIND "${readme}" "```cpp\n${example}```" at)
if(at EQUAL -1)
  message(FATAL_ERROR "${README} does not quote ${EXAMPLE} as it is")
endif()
