"""Checks what is in an sdist or a wheel: `python tests/check_dist.py dist/*`. `make dist` and test_build.py run it."""

from __future__ import annotations

import re
import sys
import tarfile
import zipfile
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "src" / "wscodec"
SOURCES = (".c", ".h", ".pyx", ".pxd")
COMPILED = (".so", ".pyd")
MODULES = ("_calls", "_channel", "_frames", "_inbox", "_lanes", "_mask", "_payload", "_utf8")


def faults_of(path: Path) -> list[str]:
    """Return what is wrong with a distribution, in words."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            return _faults_of_wheel(path.name, set(wheel.namelist()))
    with tarfile.open(path) as sdist:
        return _faults_of_sdist({name.partition("/")[2] for name in sdist.getnames()})


def _faults_of_wheel(file_name: str, names: set[str]) -> list[str]:
    """A wheel has the Python modules, the stubs and the page; compiled modules where its name says so; no source."""
    expected = {f"wscodec/{file}" for file in _package_files() if not file.endswith(SOURCES)}
    found = {name for name in names if ".dist-info/" not in name}
    compiled = {name for name in found if name.endswith(COMPILED)}
    faults = _difference(expected, found - compiled)
    modules = {re.sub(r"wscodec/(\w+)\..*", r"\1", name) for name in compiled}
    wanted = set() if file_name.endswith("-py3-none-any.whl") else set(MODULES)
    if modules != wanted:
        faults.append(f"compiled modules: {sorted(modules)}, not {sorted(wanted)}")
    if not any(name.endswith(".dist-info/licenses/LICENSE") for name in names):
        faults.append("no licence")
    return faults


def _faults_of_sdist(names: set[str]) -> list[str]:
    """An sdist has all sources and what the tests need; nothing that was built."""
    expected = {f"src/wscodec/{file}" for file in _package_files()}
    expected |= {"LICENSE", "Makefile", "README.md", "pyproject.toml", "setup.py", "tests/test_build.py"}
    faults = [f"missing: {name}" for name in sorted(expected - names)]
    built = [name for name in names if name.startswith("build/") or name.endswith((*COMPILED, ".pyc"))]
    return faults + [f"built: {name}" for name in sorted(built)]


def _package_files() -> set[str]:
    files = (file for file in PACKAGE.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    return {file.relative_to(PACKAGE).as_posix() for file in files if not file.name.endswith(COMPILED)}


def _difference(expected: set[str], found: set[str]) -> list[str]:
    missing = [f"missing: {name}" for name in sorted(expected - found)]
    return missing + [f"not wanted: {name}" for name in sorted(found - expected)]


def main(paths: list[str]) -> int:
    """Print what is wrong with each distribution; return 1 if anything is."""
    failed = False
    for path in map(Path, paths):
        faults = faults_of(path)
        failed |= bool(faults)
        print(f"{path}: {'; '.join(faults) or 'as it should be'}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
