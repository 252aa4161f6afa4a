"""The implementations that this process can run, and the switch from one to another.

There are two copies of the package in a process whose backend is compiled: its own, and a pure one (see copies.py).
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType

from copies import visible

import wscodec

TWINS = ("mask", "utf8", "frames", "payload", "lanes", "inbox", "channel")
CHOICE = ("kernels", "use_kernel")  # each twin has its own; `_backend` has those for users

PURE_MODULES = tuple(importlib.import_module(f"wscodec._pure.{name}") for name in TWINS)
# In the order of the pure ones; empty where the backend is not compiled.
COMPILED_MODULES = tuple(
    importlib.import_module(f"wscodec._{name}") for name in (TWINS if wscodec.backend == "compiled" else ())
)
TWIN_NAMES = tuple(name for module in PURE_MODULES for name in module.__all__ if name not in CHOICE)


@dataclass(frozen=True)
class Implementation:
    """One twin of each function; of the compiled ones, with one kernel."""

    name: str
    kernel: str | None
    modules: tuple[ModuleType, ...]

    @property
    def backend(self) -> str:
        """What the copy of the package that runs on it calls its backend."""
        return "pure" if self.kernel is None else "compiled"

    def twin(self, name: str) -> object:
        """Return what this implementation calls `name`."""
        return next(getattr(module, name) for module in self.modules if hasattr(module, name))


PURE = Implementation("pure", None, PURE_MODULES)
COMPILED = tuple(
    Implementation(f"compiled-{kernel}", kernel, COMPILED_MODULES)
    for kernel in (wscodec.kernels() if COMPILED_MODULES else ())
)
IMPLEMENTATIONS = (PURE, *COMPILED)


@contextlib.contextmanager
def using(implementation: Implementation) -> Iterator[Implementation]:
    """Let the tests see the package run on `implementation` for a while."""
    with visible(implementation.backend):
        # The name `wscodec` is that of the copy in use here, as it is in every test.
        if implementation.kernel is not None:
            wscodec.use_kernel(implementation.kernel)
        try:
            yield implementation
        finally:
            wscodec.use_kernel(wscodec.kernels()[0])
