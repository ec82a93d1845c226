"""Tells the build about the interpreter that runs this: its path, the suffix of extension modules and the
folder of the headers, as a list of CMake's. Fails if there are no headers."""

import os
import sys
import sysconfig

include = sysconfig.get_path("include")
if not os.path.exists(os.path.join(include, "Python.h")):
    sys.exit(1)
if sys.implementation.name != "cpython" or sys.version_info < (3, 8):
    sys.exit(1)
print(sys.executable, sysconfig.get_config_var("EXT_SUFFIX"), include, sep=";")
