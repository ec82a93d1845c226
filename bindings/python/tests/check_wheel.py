"""Makes a wheel with pip and the tools of the system, installs it into a virtual environment, and
uses it:

    check_wheel.py <source folder> <build folder> <work folder>

Nothing is fetched: pip is told not to look at any index."""

import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

source, build, work = (pathlib.Path(argument).resolve() for argument in sys.argv[1:])
environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
environment["PIP_NO_INDEX"] = "1"
environment["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"


def run(*command, cwd=None):
    print("+", *command, flush=True)
    subprocess.check_call([str(part) for part in command], env=environment, cwd=cwd)


shutil.rmtree(work, ignore_errors=True)
work.mkdir(parents=True)
run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps",
    f"--config-settings=build-dir={build}", "--wheel-dir", work, source)
wheel, = work.glob("*.whl")
names = zipfile.ZipFile(wheel).namelist()
for name in ("snkv/__init__.py", "snkv/py.typed", "snkv/_snkv.pyi"):
    if name not in names:
        sys.exit(f"no {name} in {wheel.name}")

run(sys.executable, "-m", "venv", "--without-pip", work / "venv")
python = work / "venv/bin/python3"
run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", wheel)
run(python, source / "tests/smoke.py", cwd=work)
run(work / "venv/bin/snkvctl", "--db", work / "tool.db", "put", "a", "1")
run(work / "venv/bin/snkvctl", "--db", work / "tool.db", "get", "a")
