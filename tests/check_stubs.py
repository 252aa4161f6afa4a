"""Checks the stubs of the compiled modules against both twins, by mypy's stubtest. `make lint` runs it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "wscodec"
TWINS = ("mask", "utf8", "frames")


def main() -> int:
    """Check what is there of both twins; return the exit code."""
    compiled = [f"wscodec._{name}" for name in TWINS]
    if all(importlib.util.find_spec(name) for name in compiled):
        compiled_code = stubtest(compiled)
    else:
        print("the compiled modules are not there: only their pure twins are checked")
        compiled_code = 0
    with tempfile.TemporaryDirectory() as folder:
        return compiled_code or stubtest([alias(name, Path(folder)) for name in TWINS], folder)


def alias(name: str, folder: Path) -> str:
    """Write a module that is a pure twin under the compiled one's stub, and return its name."""
    module = f"pure_{name}"
    twin = f"wscodec._pure.{name}"
    (folder / f"{module}.py").write_text(f"from {twin} import *\nfrom {twin} import __all__\n")
    stub = (PACKAGE / f"_{name}.pyi").read_text()
    (folder / f"{module}.pyi").write_text(stub.replace("from .", "from wscodec."))
    return module


def stubtest(modules: list[str], *paths: str) -> int:
    """Run stubtest on `modules`, which may stand in `paths`; return the exit code."""
    path = os.pathsep.join(paths)
    command = [sys.executable, "-m", "mypy.stubtest", *modules]
    command += ["--mypy-config-file", str(ROOT / "pyproject.toml")]
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": path, "MYPYPATH": path}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
