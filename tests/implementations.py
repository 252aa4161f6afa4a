"""The implementations that this process can run, and the switch from one to another.

The modules above the twins bind the twins' functions by name, so a switch rebinds every such name, in every module of
the package that has it.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType

import wscodec
from wscodec import _backend
from wscodec._pure import frames as pure_frames
from wscodec._pure import mask as pure_mask
from wscodec._pure import payload as pure_payload
from wscodec._pure import utf8 as pure_utf8

PURE_MODULES = (pure_mask, pure_utf8, pure_frames, pure_payload)
CHOICE = ("kernels", "use_kernel")  # each twin has its own; `_backend` has those for users
TWIN_NAMES = tuple(name for module in PURE_MODULES for name in module.__all__ if name not in CHOICE)


def compiled_modules() -> tuple[ModuleType, ...]:
    """Return the compiled twins, in the order of the pure ones; empty where the backend is not compiled."""
    if _backend.backend != "compiled":
        return ()
    return _backend._mask, _backend._utf8, _backend._frames, _backend._payload


COMPILED_MODULES = compiled_modules()
_FLOOR_1 = {module.__name__ for module in PURE_MODULES + COMPILED_MODULES}


@dataclass(frozen=True)
class Implementation:
    """One twin of each function; of the compiled ones, with one kernel."""

    name: str
    kernel: str | None
    modules: tuple[ModuleType, ...]

    def twin(self, name: str) -> object:
        """Return what this implementation calls `name`."""
        return next(getattr(module, name) for module in self.modules if hasattr(module, name))


PURE = Implementation("pure", None, PURE_MODULES)
COMPILED = tuple(
    Implementation(f"compiled-{kernel}", kernel, COMPILED_MODULES)
    for kernel in (wscodec.kernels() if COMPILED_MODULES else ())
)
IMPLEMENTATIONS = (PURE, *COMPILED)


def switched_modules() -> list[ModuleType]:
    """Return the modules of the package that use a twin's functions."""
    return [
        module
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] == "wscodec" and name not in _FLOOR_1 and set(TWIN_NAMES) & vars(module).keys()
    ]


@contextlib.contextmanager
def using(implementation: Implementation) -> Iterator[Implementation]:
    """Make the whole package run on `implementation` for a while."""
    before = [
        (module, name, getattr(module, name))
        for module in switched_modules()
        for name in TWIN_NAMES
        if hasattr(module, name)
    ]
    for module, name, _ in before:
        setattr(module, name, implementation.twin(name))
    if implementation.kernel is not None:
        wscodec.use_kernel(implementation.kernel)
    try:
        yield implementation
    finally:
        for module, name, value in before:
            setattr(module, name, value)
        wscodec.use_kernel(wscodec.kernels()[0])
