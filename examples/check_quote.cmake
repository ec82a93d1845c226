# A document quotes an example literally, or this test fails:
#   cmake -DDOCUMENT=<.md> -DLANGUAGE=<of the quote> -DEXAMPLE=<source> -P check_quote.cmake
file(READ "${DOCUMENT}" document)
file(READ "${EXAMPLE}" example)
string(FIND "${document}" "```${LANGUAGE}\n${example}```" at)
if(at EQUAL -1)
  message(FATAL_ERROR "${DOCUMENT} does not quote ${EXAMPLE} as it is")
endif()
