# Installs the package for each of PYTHONS, included by the install script of the build, which sets
# CMAKE_INSTALL_PREFIX, PYTHONS, PACKAGE (the folder to install) and SOURCES.

set(destinations "")
foreach(python IN LISTS PYTHONS)
  execute_process(COMMAND "${python}" "${SOURCES}/find_site.py" "${CMAKE_INSTALL_PREFIX}"
    OUTPUT_VARIABLE site OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
  list(APPEND destinations "${site}")
endforeach()
# The tool, for the first of them, or the one that belongs to the prefix.
list(GET PYTHONS 0 python)
list(GET destinations 0 site)
if(EXISTS "${CMAKE_INSTALL_PREFIX}/bin/python3")
  set(python "${CMAKE_INSTALL_PREFIX}/bin/python3")
endif()
file(WRITE "${PACKAGE}/../snkvctl" "#!${python}
import sys

sys.path.append(\"${site}\")
from snkv.snkvctl import main

sys.exit(main())
")
file(INSTALL "${PACKAGE}/../snkvctl" DESTINATION "${CMAKE_INSTALL_PREFIX}/bin" PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)

list(REMOVE_DUPLICATES destinations)

file(GLOB files FOLLOW_SYMLINKS "${PACKAGE}/*.py" "${PACKAGE}/*.pyi" "${PACKAGE}/py.typed"
  "${PACKAGE}/_snkv*")
foreach(destination IN LISTS destinations)
  file(INSTALL ${files} DESTINATION "${destination}/snkv" FOLLOW_SYMLINK_CHAIN)
endforeach()
