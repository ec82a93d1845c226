"""Installs the build with CMake and imports the package with no tricks of the environment:

    check_install.py <build folder> <work folder> <find_site.py>

Into a virtual environment as the prefix, and, below DESTDIR, into the standard prefix, where the
place has to be one that the interpreter looks into."""

import os
import pathlib
import shutil
import subprocess
import sys

build, work, find_site = (pathlib.Path(argument).resolve() for argument in sys.argv[1:])
environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
environment["PYTHONDONTWRITEBYTECODE"] = "1"
shutil.rmtree(work, ignore_errors=True)
work.mkdir(parents=True)


def install(prefix, **more):
    subprocess.check_call(
        ["cmake", "--install", build, "--component", "snkv_python", "--prefix", prefix],
        env={**environment, **more}, stdout=subprocess.DEVNULL)


venv = work / "venv"
subprocess.check_call([sys.executable, "-m", "venv", "--without-pip", venv], env=environment)
install(venv)
subprocess.check_call([venv / "bin/python3", find_site.parent / "tests/smoke.py"],
                      env=environment, cwd=work)


def use_tool(tool):
    for command in (["put", "a", "1"], ["get", "a"]):
        subprocess.check_call([tool, "--db", work / "tool.db", *command], env=environment)


use_tool(venv / "bin/snkvctl")

stage = work / "stage"
install("/usr/local", DESTDIR=str(stage))
found = [path for path in stage.rglob("snkv/__init__.py")]
if not found:
    sys.exit("nothing was installed into the standard prefix")
looked_into = subprocess.check_output(
    [sys.executable, "-c", "import site, sys; print(*sys.path, *site.getsitepackages(), sep='\\n')"],
    env=environment, text=True).split("\n")
places = ["/" + str(path.parent.parent.relative_to(stage)) for path in found]
if not set(places) & set(looked_into):
    sys.exit(f"{sys.executable} does not look into any of {places}")
print("installed into", *places)

# A prefix of the user's own.
own = work / "own"
install(own)
if not list(own.glob("lib/python3.*/site-packages/snkv/__init__.py")):
    sys.exit(f"not where a prefix of one's own has packages: {list(own.rglob('__init__.py'))}")
use_tool(own / "bin/snkvctl")
