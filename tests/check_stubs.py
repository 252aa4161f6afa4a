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
TWINS = ("mask", "utf8", "frames", "payload", "lanes", "inbox", "channel")

# What may differ: Cython gives every class an `__init__` that takes anything, as far as one can ask, and helpers for
# pickle; that no other base goes along with the class is said of the pure one by its slots; and
# what is an `async def` there is a function here that returns what can be awaited.
ALLOWED = r"""
wscodec\._(utf8|payload|lanes|inbox|channel)\.[A-Za-z0-9]+\.__(init|reduce_cython|setstate_cython)__
pure_utf8\.Utf8Validator
pure_payload\.Payload
pure_(lanes|inbox|channel)\.(DecoderLane|ConnectionLane|Inbox|ChannelLane|Outbox)
pure_inbox\.Inbox\.(__anext__|recv)
pure_channel\.ChannelLane\.send
"""


def main() -> int:
    """Check what is there of both twins; return the exit code."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "allowed").write_text(ALLOWED)
        compiled = [f"wscodec._{name}" for name in TWINS]
        if all(importlib.util.find_spec(name) for name in compiled):
            code = stubtest(compiled, folder)
        else:
            print("the compiled modules are not there: only their pure twins are checked")
            code = 0
        return code or stubtest([alias(name, folder) for name in TWINS], folder)


def alias(name: str, folder: Path) -> str:
    """Write a module that is a pure twin under the compiled one's stub, and return its name."""
    module = f"pure_{name}"
    twin = f"wscodec._pure.{name}"
    (folder / f"{module}.py").write_text(f"from {twin} import *\nfrom {twin} import __all__\n")
    stub = (PACKAGE / f"_{name}.pyi").read_text()
    (folder / f"{module}.pyi").write_text(stub.replace("from .", "from wscodec."))
    return module


def stubtest(modules: list[str], folder: Path) -> int:
    """Run stubtest on `modules`, which may stand in `folder`; return the exit code."""
    command = [sys.executable, "-m", "mypy.stubtest", *modules, "--mypy-config-file", str(ROOT / "pyproject.toml")]
    command += ["--allowlist", str(folder / "allowed"), "--ignore-unused-allowlist"]
    environment = {**os.environ, "PYTHONPATH": str(folder), "MYPYPATH": str(folder)}
    return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
