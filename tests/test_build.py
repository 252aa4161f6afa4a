"""The distributions: an sdist that builds, wheels without sources, and a pure install where nothing can be compiled.

All is built from the sdist, as users build it, in folders of its own, and nothing is downloaded.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import h11
import pytest
from check_dist import faults_of

import wscodec

ROOT = Path(__file__).parents[1]
HAS_COMPILER = shutil.which(os.environ.get("CC", "cc").split()[0]) is not None

# What a compiled or a pure wscodec must be able to do once it is installed.
USE = """
import wscodec
from wscodec import Connection, Decoder, Role
client, server = Connection(Role.CLIENT), Connection(Role.SERVER)
client.send("häßlich")
client.send(b"bytes")
assert server.receive(client.data_to_send()) == ["häßlich", b"bytes"]
assert Decoder(Role.CLIENT).feed(wscodec.encode_many(["a", "b"])) == ["a", "b"]
print(wscodec.backend)
"""

slow = pytest.mark.slow


def run(*command: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command; its output is shown where it fails."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("WSCODEC_", "PYTHONPATH"))}
    parts = [str(part) for part in command]
    done = subprocess.run(parts, cwd=cwd, env={**clean, **environment}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist of the tree, made from a copy of it that has no traces of earlier builds."""
    folder = tmp_path_factory.mktemp("sdist")
    leftovers = shutil.ignore_patterns(".*", "build", "dist", "__pycache__", "*.egg-info", "*.so", "*.pyd")
    shutil.copytree(ROOT, folder / "tree", ignore=leftovers)
    run(sys.executable, "-m", "build", "--no-isolation", "--sdist", "--outdir", folder, folder / "tree")
    return next(folder.glob("*.tar.gz"))


@pytest.fixture(scope="module")
def build(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., SimpleNamespace]:
    """A function that builds a wheel from the sdist, in an environment with more variables."""

    def build_wheel(**environment: str) -> SimpleNamespace:
        folder = tmp_path_factory.mktemp("wheel")
        pip = (sys.executable, "-m", "pip", "wheel", "--verbose", "--no-deps", "--no-build-isolation", "--no-cache-dir")
        done = run(*pip, "--wheel-dir", folder, sdist, **environment)
        return SimpleNamespace(path=next(folder.glob("*.whl")), log=done.stdout + done.stderr)

    return build_wheel


@pytest.fixture(scope="module")
def install(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """A function that installs a wheel into an environment of its own, and returns that one's Python."""

    def install_wheel(wheel: Path) -> Path:
        folder = tmp_path_factory.mktemp("venv")
        run(sys.executable, "-m", "venv", "--without-pip", folder)
        python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
        run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel)
        site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip())
        (site / "h11").symlink_to(Path(h11.__file__).parent)
        return python

    return install_wheel


@slow
def test_sdist_has_the_sources_and_nothing_built(sdist: Path) -> None:
    assert faults_of(sdist) == []


@slow
@pytest.mark.skipif(not HAS_COMPILER, reason="no C compiler")
def test_wheel_from_the_sdist_is_compiled_and_works(
    build: Callable[..., SimpleNamespace], install: Callable[[Path], Path]
) -> None:
    wheel = build(WSCODEC_REQUIRE="1", CFLAGS="-Wall")
    assert faults_of(wheel.path) == []
    assert "-none-any" not in wheel.path.name
    # Cython has a warning of its own about module state; of the C compiler's there are none.
    assert [line for line in wheel.log.splitlines() if ": warning: " in line] == []
    python = install(wheel.path)
    assert run(python, "-c", USE).stdout == "compiled\n"
    assert run(python, "-c", USE, WSCODEC_BACKEND="pure").stdout == "pure\n"
    assert run(python, "-m", "wscodec", "--version").stdout.startswith(f"wscodec {wscodec.__version__}\n")


@pytest.fixture(scope="module")
def pure_wheel(build: Callable[..., SimpleNamespace]) -> Path:
    return build(WSCODEC_PURE="1").path


@slow
def test_pure_wheel_is_for_every_platform_and_works(pure_wheel: Path, install: Callable[[Path], Path]) -> None:
    assert pure_wheel.name == f"wscodec-{wscodec.__version__}-py3-none-any.whl"
    assert faults_of(pure_wheel) == []
    assert run(install(pure_wheel), "-c", USE).stdout == "pure\n"


@slow
def test_wheel_names_its_licence_and_its_one_dependency(pure_wheel: Path) -> None:
    with zipfile.ZipFile(pure_wheel) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith("/METADATA"))
        metadata = wheel.read(name).decode().splitlines()
    assert "License-Expression: MIT" in metadata
    required = [line for line in metadata if line.startswith("Requires-Dist:") and "extra ==" not in line]
    assert required == ["Requires-Dist: h11>=0.16"]


PURE_SERVES = "wscodec: no compiled modules; the pure-Python backend will be used"
FORCE = """
import os
os.environ["WSCODEC_BACKEND"] = "compiled"
try:
    import wscodec
except ImportError as error:
    print(error)
"""
chosen_by_cc = pytest.mark.skipif(sys.platform == "win32", reason="the compiler is not chosen by CC there")


@slow
@chosen_by_cc
def test_without_a_compiler_the_install_is_pure_and_says_so(
    build: Callable[..., SimpleNamespace], install: Callable[[Path], Path]
) -> None:
    wheel = build(CC="no-such-compiler")
    assert PURE_SERVES in wheel.log
    assert wheel.path.name.endswith("-py3-none-any.whl")
    assert faults_of(wheel.path) == []
    python = install(wheel.path)
    assert run(python, "-c", USE).stdout == "pure\n"
    assert "can't be imported: No module named 'wscodec._" in run(python, "-c", FORCE).stdout


@pytest.fixture(scope="module")
def tree(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist, unpacked."""
    folder = tmp_path_factory.mktemp("tree")
    shutil.unpack_archive(sdist, folder, filter="data")
    return next(folder.iterdir())


@slow
@chosen_by_cc
def test_a_compiler_that_fails_leaves_no_module_of_an_earlier_build(tree: Path) -> None:
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    earlier = tree / "src" / "wscodec" / f"_mask{suffix}"
    earlier.touch()
    build_ext = (sys.executable, "setup.py", "--quiet", "build_ext", "--inplace")
    assert PURE_SERVES in run(*build_ext, cwd=tree, CC="false").stderr
    assert not earlier.exists()
    with pytest.raises(AssertionError, match="no-such-compiler"):
        run(*build_ext, cwd=tree, CC="no-such-compiler", WSCODEC_REQUIRE="1")


IN_A_SUBINTERPRETER = """
import wscodec
assert wscodec.backend == "compiled"
assert wscodec.Decoder(wscodec.Role.CLIENT).feed(wscodec.encode_many(["a", b"b", "ä€"])) == ["a", b"b", "ä€"]
assert wscodec.Utf8Validator().feed(b"\\xe2")
"""

SUBINTERPRETERS = """
import _interpreters, sys, threading
code = f"import sys; sys.path[:] = {sys.path!r}" + sys.argv[1]
failures = []
def use():
    interpreter = _interpreters.create("isolated")
    failures.append(_interpreters.exec(interpreter, code))
    _interpreters.destroy(interpreter)
for _ in range(3):
    use()
threads = [threading.Thread(target=use) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(*failures)
"""


@pytest.mark.usefixtures("compiled")
@pytest.mark.skipif(sys.version_info < (3, 13), reason="before 3.13, hashlib alone crashes isolated sub-interpreters")
def test_compiled_modules_work_in_isolated_subinterpreters_in_a_row_and_at_once() -> None:
    assert run(sys.executable, "-c", SUBINTERPRETERS, IN_A_SUBINTERPRETER).stdout.split() == ["None"] * 7


def test_python_versions_agree() -> None:
    """The versions that the classifiers name are those that `make test-all` tries."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    start = "Programming Language :: Python :: "
    named = [line.removeprefix(start) for line in project["classifiers"] if line.startswith(start)]
    assert f"TESTED_PYTHONS := {' '.join(named)}\n" in (ROOT / "Makefile").read_text()
    assert project["requires-python"] == f">={named[0]}"


def test_the_changelog_has_the_version() -> None:
    assert f"\n## {wscodec.__version__}" in (ROOT / "CHANGELOG.md").read_text()
