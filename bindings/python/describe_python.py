"""Tells the build about the interpreter that runs this: its path, the suffix of extension modules,
the folder of the headers and whether there is pytest, as a list of CMake's. Fails if there are no
headers."""

import importlib.util
import os
import sys
import sysconfig

include = sysconfig.get_path("include")
if not os.path.exists(os.path.join(include, "Python.h")):
    sys.exit(1)
if sys.implementation.name != "cpython" or sys.version_info < (3, 8):
    sys.exit(1)
pytest = "OFF" if importlib.util.find_spec("pytest") is None else "ON"
print(sys.executable, sysconfig.get_config_var("EXT_SUFFIX"), include, pytest, sep=";")
