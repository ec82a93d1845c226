"""Makes wheels and source distributions of the package (PEP 517), with CMake and the standard
library.

Settings, as in `pip wheel --config-settings=build-dir=DIR`:
    build-dir   build folder of CMake; one that is configured already is used as it is

The environment variable CMAKE_ARGS is handed on to CMake when it configures.
"""

import base64
import hashlib
import io
import os
import pathlib
import re
import shlex
import subprocess
import sys
import sysconfig
import tarfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[3]

#: What a source distribution has.
SOURCES = ("CMakeLists.txt", "LICENSE", "README.md", "bindings", "cmake", "include", "src")


def version():
    text = (ROOT / "include/snkv/version.hpp").read_text("ascii")
    numbers = [re.search(rf"#define SNKV_VERSION_{part} (\d+)", text).group(1)
               for part in ("MAJOR", "MINOR", "PATCH")]
    return ".".join(numbers)


def metadata():
    return "\n".join((
        "Metadata-Version: 2.1",
        "Name: snkv",
        f"Version: {version()}",
        "Summary: Embedded key-value and vector store in one file, on SQLite's B-tree",
        "License: Apache-2.0",
        "Requires-Python: >=3.8",
        "Provides-Extra: vector",
        'Requires-Dist: numpy>=1.21; extra == "vector"',
        "",
    ))


def tag():
    interpreter = "cp%d%d" % sys.version_info[:2]
    platform = re.sub(r"[-.]", "_", sysconfig.get_platform())
    return f"{interpreter}-{interpreter}-{platform}"


def build(settings):
    """Builds the package; the folder that it is in."""
    folder = settings.get("build-dir")
    folder = pathlib.Path(folder) if folder else ROOT / "build" / f"wheel-{tag()}"
    if not (folder / "CMakeCache.txt").exists():
        generator = ["-G", "Ninja"] if _has("ninja") else []
        subprocess.check_call([
            "cmake", "-S", str(ROOT), "-B", str(folder), *generator,
            "-DCMAKE_BUILD_TYPE=Release",
            "-DSNKV_BUILD_TESTS=OFF",
            "-DSNKV_BUILD_EXAMPLES=OFF",
            "-DSNKV_BUILD_TOOLS=OFF",
            "-DSNKV_BUILD_PYTHON=ON",
            f"-DSNKV_PYTHONS={sys.executable}",
            *shlex.split(os.environ.get("CMAKE_ARGS", "")),
        ])
    jobs = str(os.cpu_count() or 1)
    subprocess.check_call(
        ["cmake", "--build", str(folder), "--target", "snkv_python", "--parallel", jobs])
    package = folder / "bindings/python/package/snkv"
    module = package / ("_snkv" + sysconfig.get_config_var("EXT_SUFFIX"))
    if not module.exists():
        raise SystemExit(f"snkv_build: no {module}: are pybind11 and the headers of Python there?")
    return package


def _has(program):
    return any(os.access(os.path.join(folder, program), os.X_OK)
               for folder in os.environ.get("PATH", "").split(os.pathsep))


class Wheel:
    """A wheel that is being written: a zip file with a list of what is in it."""

    def __init__(self, path):
        self._zip = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED)
        self._record = []

    def add(self, name, data, mode=0o644):
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        self._record.append(f"{name},sha256={digest},{len(data)}")
        # A fixed time, so that the same sources make the same wheel.
        info = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
        info.external_attr = (0o100000 | mode) << 16
        info.compress_type = zipfile.ZIP_DEFLATED
        self._zip.writestr(info, data)

    def close(self, info_folder):
        name = f"{info_folder}/RECORD"
        self._zip.writestr(name, "\n".join([*self._record, f"{name},,", ""]))
        self._zip.close()


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    package = build(config_settings or {})
    name = f"snkv-{version()}-{tag()}.whl"
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    files = [path for path in sorted(package.iterdir())
             if path.suffix in (".py", ".pyi") or path.name in ("py.typed", "_snkv" + suffix)]
    wheel = Wheel(pathlib.Path(wheel_directory) / name)
    for path in files:
        wheel.add(f"snkv/{path.name}", path.read_bytes(), 0o755 if path.suffix == ".so" else 0o644)
    info = f"snkv-{version()}.dist-info"
    wheel.add(f"{info}/METADATA", metadata().encode())
    wheel.add(f"{info}/WHEEL", "\n".join((
        "Wheel-Version: 1.0", "Generator: snkv_build", "Root-Is-Purelib: false", f"Tag: {tag()}", "",
    )).encode())
    wheel.add(f"{info}/entry_points.txt", b"[console_scripts]\nsnkvctl = snkv.snkvctl:main\n")
    wheel.add(f"{info}/LICENSE", (ROOT / "LICENSE").read_bytes())
    wheel.close(info)
    return name


def build_sdist(sdist_directory, config_settings=None):
    top = f"snkv-{version()}"

    def wanted(entry):
        name = os.path.basename(entry.name)
        return None if name in ("__pycache__", "build") or name.endswith((".so", ".pyc")) else entry

    pyproject = (ROOT / "bindings/python/pyproject.toml").read_text("ascii")
    pyproject = pyproject.replace('["backend"]', '["bindings/python/backend"]')
    extra = {"pyproject.toml": pyproject, "PKG-INFO": metadata()}
    with tarfile.open(pathlib.Path(sdist_directory) / f"{top}.tar.gz", "w:gz") as archive:
        for source in SOURCES:
            if (ROOT / source).exists():
                archive.add(ROOT / source, f"{top}/{source}", filter=wanted)
        for name, text in extra.items():
            data = text.encode()
            entry = tarfile.TarInfo(f"{top}/{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return f"{top}.tar.gz"
