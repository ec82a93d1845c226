# Installs the package for each of PYTHONS, included by the install script of the build, which sets
# CMAKE_INSTALL_PREFIX, PYTHONS, PACKAGE (the folder to install) and SOURCES.

set(destinations "")
foreach(python IN LISTS PYTHONS)
  execute_process(COMMAND "${python}" "${SOURCES}/find_site.py" "${CMAKE_INSTALL_PREFIX}"
    OUTPUT_VARIABLE site OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  list(APPEND destinations "${site}")
endforeach()
list(REMOVE_DUPLICATES destinations)

file(GLOB files FOLLOW_SYMLINKS "${PACKAGE}/*.py" "${PACKAGE}/*.pyi" "${PACKAGE}/py.typed"
  "${PACKAGE}/_snkv*")
foreach(destination IN LISTS destinations)
  file(INSTALL ${files} DESTINATION "${destination}/snkv" FOLLOW_SYMLINK_CHAIN)
endforeach()
