"""Prints the folder for packages that belongs to a prefix: find_site.py PREFIX

A prefix that has an interpreter of its own (a virtual environment, say) is asked about itself. Else
it is the folder for packages below the prefix that this interpreter looks into. If there is none,
the prefix decides: /usr/local and /usr are not this interpreter's, so the package goes to its own
folder; everywhere else the user has chosen the prefix, and gets lib/pythonX.Y/site-packages below
it."""

import os
import site
import subprocess
import sys
import sysconfig


def packages_below(prefix):
    prefix = os.path.realpath(prefix)
    for path in [sysconfig.get_path("platlib"), *site.getsitepackages()]:
        if os.path.realpath(path).startswith(prefix + os.sep) and path in sys.path + [path]:
            if not _belongs_to_inner_prefix(path, prefix):
                return path
    return None


def _belongs_to_inner_prefix(path, prefix):
    # /usr/local/lib/python3.11 is below /usr, but it is not where packages of /usr go.
    return prefix == "/usr" and os.path.realpath(path).startswith("/usr/local/")


def main():
    prefix = os.path.abspath(sys.argv[1])
    own = os.path.join(prefix, "bin", "python3")
    if os.path.exists(own) and os.path.realpath(prefix) != os.path.realpath(sys.prefix):
        if os.environ.get("SNKV_FIND_SITE") != "1" and prefix not in ("/usr", "/usr/local"):
            again = [own, __file__, prefix]
            environment = {**os.environ, "SNKV_FIND_SITE": "1"}
            print(subprocess.check_output(again, env=environment, text=True).strip())
            return
    found = packages_below(prefix)
    if found is None:
        if prefix in ("/usr", "/usr/local"):
            found = sysconfig.get_path("platlib")
        else:
            version = "python%d.%d" % sys.version_info[:2]
            found = os.path.join(prefix, "lib", version, "site-packages")
    print(found)


main()
