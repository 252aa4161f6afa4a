"""The choice between the twins, and between kernels."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys

import pytest
from helpers import KEY
from reference.masking import mask

import wscodec
from wscodec import _backend

LADDER = ("avx512", "avx2", "ssse3", "sse2", "neon", "portable", "pure")


def run(code: str, backend: str | None) -> subprocess.CompletedProcess[str]:
    """Run `code` in a fresh interpreter with WSCODEC_BACKEND set so."""
    environment = {name: value for name, value in os.environ.items() if name != "WSCODEC_BACKEND"}
    if backend is not None:
        environment["WSCODEC_BACKEND"] = backend
    path = os.path.dirname(os.path.dirname(wscodec.__file__))
    environment["PYTHONPATH"] = path
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)


SAY = "import wscodec; print(wscodec.backend, *wscodec.kernels())"


def test_backend_pure_by_force() -> None:
    assert run(SAY, "pure").stdout.split() == ["pure", "pure"]


def test_backend_pure_imports_nothing_compiled() -> None:
    modules = ("_mask", "_utf8", "_frames", "_payload")
    code = f"import sys, wscodec; print([name for name in {modules} if 'wscodec.' + name in sys.modules])"
    assert run(code, "pure").stdout.strip() == "[]"


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("backend", ["compiled", None, ""])
def test_backend_compiled_by_force_and_by_default(backend: str | None) -> None:
    said = run(SAY, backend).stdout.split()
    assert said[0] == "compiled"
    assert tuple(said[1:]) == wscodec.kernels()


# A finder that has no compiled modules, put in before wscodec is imported.
MISSING = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name in ("wscodec._mask", "wscodec._utf8", "wscodec._frames", "wscodec._payload"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
"""


def test_backend_pure_where_nothing_is_compiled() -> None:
    done = run(MISSING + SAY + "; print(wscodec.encode('a'))", None)
    assert done.stdout.split() == ["pure", "pure", "b'\\x81\\x01a'"]
    assert done.stderr == ""


def test_backend_compiled_by_force_says_why_it_is_missing() -> None:
    done = run(MISSING + SAY, "compiled")
    assert done.returncode != 0
    assert "ImportError: WSCODEC_BACKEND=compiled, but the compiled modules can't be imported: " in done.stderr
    assert "No module named 'wscodec._frames'" in done.stderr


@pytest.mark.parametrize("backend", ["Pure", "c", "compiled "])
def test_backend_of_another_name(backend: str) -> None:
    done = run(SAY, backend)
    assert f"ImportError: WSCODEC_BACKEND is 'compiled' or 'pure', not {backend!r}" in done.stderr


def test_kernels_best_first_and_one_that_runs_everywhere_last() -> None:
    names = wscodec.kernels()
    assert isinstance(names, tuple)
    assert list(names) == [name for name in LADDER if name in names]
    assert names[-1] == ("portable" if wscodec.backend == "compiled" else "pure")


def test_use_kernel_unknown() -> None:
    with pytest.raises(ValueError, match=f"^no kernel 'none' here, only {', '.join(wscodec.kernels())}$"):
        wscodec.use_kernel("none")


def test_use_kernel_each() -> None:
    try:
        for name in wscodec.kernels():
            assert wscodec.use_kernel(name) is None
            assert wscodec.apply_mask(bytes(100), KEY) == mask(bytes(100), KEY)
    finally:
        wscodec.use_kernel(wscodec.kernels()[0])


@pytest.mark.usefixtures("compiled")
def test_use_kernel_takes_the_best_that_asks_for_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    class Operation:
        def __init__(self, *names: str) -> None:
            self.names = names

        def kernels(self) -> tuple[str, ...]:
            return self.names

        def use_kernel(self, name: str) -> None:
            self.used = name

    one, two = Operation("avx512", "sse2", "portable"), Operation("avx2", "portable")
    monkeypatch.setattr(_backend, "_OPERATIONS", (one, two))
    assert _backend.kernels() == ("avx512", "avx2", "sse2", "portable")
    for name, first, second in (
        ("avx512", "avx512", "avx2"),
        ("avx2", "sse2", "avx2"),
        ("sse2", "sse2", "portable"),
        ("portable", "portable", "portable"),
    ):
        _backend.use_kernel(name)
        assert (one.used, two.used) == (first, second)


def test_backend_module_is_imported_once() -> None:
    assert importlib.import_module("wscodec._backend") is _backend
    assert wscodec.backend == _backend.backend
