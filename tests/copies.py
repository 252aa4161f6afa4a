"""A second copy of the package, on pure Python, beside the compiled first one in the same process.

The modules above the twins bind the twins' functions by name and inherit from the twins' classes. A base class can't be
exchanged, so those modules are loaded once more, with WSCODEC_BACKEND=pure. Floors 0 and 1 are shared: errors, events
and enums are the same classes in both copies, so that what came out of one can be compared with what came out of the
other.

A copy is a dictionary of its modules by name.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

TESTS = str(Path(__file__).parent) + os.sep

Copy = dict[str, ModuleType]
# Equal ones may be one object, whoever made them: by their identity they can't be told from others.
PLAIN = (str, bytes, int, float, tuple, frozenset, type(None))


def is_shared(module: ModuleType) -> bool:
    """Whether a module stands on floor 0 or 1; its docstring says so, and test_layers.py sees that it does."""
    return re.search(r"^Floor [01]\.$", module.__doc__ or "", re.MULTILINE) is not None


def loaded() -> Copy:
    """Return the modules of the package that are in `sys.modules` now and are not shared."""
    ours = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "wscodec"}
    return {name: module for name, module in ours.items() if not is_shared(module)}


@cache
def modules() -> list[str]:
    """Return the names of the Python modules of the package, those of drop-ins only where the tests have any.

    They bring their hosts with them, which take seconds, and leak what a sanitizer would take for ours. The answer
    stays the same, though the command line loads the drop-ins' package.
    """
    package = Path(importlib.import_module("wscodec").__file__ or "").parent
    files = [path.relative_to(package.parent).with_suffix("").parts for path in sorted(package.rglob("*.py"))]
    names = [".".join(parts[:-1] if parts[-1] == "__init__" else parts) for parts in files]
    return [name for name in names if "wscodec.dropin" in sys.modules or not is_of_dropin(name)]


def is_of_dropin(name: str) -> bool:
    """Whether a module is of a drop-in."""
    return name.startswith("wscodec.dropin")


def load(names: list[str]) -> Copy:
    """Import the modules of these names: what is imported later would be missing in one of the copies."""
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if not is_of_dropin(name) or str(error.name).startswith("wscodec"):
                raise  # all that may be missing is the host of a drop-in
    return loaded()


def load_again(names: list[str]) -> Copy:
    """Load the pure copy, and leave `sys.modules` and the environment as they were."""
    first, wanted = load(names), os.environ.get("WSCODEC_BACKEND")
    for name in first:
        del sys.modules[name]
    os.environ["WSCODEC_BACKEND"] = "pure"
    try:
        second = load(names)
    finally:
        for name in loaded():
            del sys.modules[name]
        sys.modules.update(first)
        os.environ.pop("WSCODEC_BACKEND")
        if wanted is not None:
            os.environ["WSCODEC_BACKEND"] = wanted
    # An import makes a module an attribute of its package, but those that are shared were there already.
    for name, module in vars(first["wscodec"]).items():
        if isinstance(module, ModuleType) and is_shared(module):
            vars(second["wscodec"]).setdefault(name, module)
    return second


@cache
def copies() -> dict[str, Copy]:
    """Return the copies of the package by their backend. A process that is pure itself has only that one."""
    first = load(names := modules())
    backend = str(vars(first["wscodec"])["backend"])
    return {backend: first, "pure": first if backend == "pure" else load_again(names)}


@cache
def counterparts(backend: str) -> dict[int, tuple[object, object]]:
    """Return, by identity, each object of the other copy and what the copy of `backend` has under its name."""
    table: dict[int, tuple[object, object]] = {}
    wanted = copies()[backend]
    for copy in copies().values():
        for name, module in copy.items():
            table[id(module)] = module, wanted[name]
            for attribute, old in vars(module).items():
                new = vars(wanted[name]).get(attribute, old)
                if not attribute.startswith("__") and not isinstance(old, (*PLAIN, ModuleType)):
                    table[id(old)] = old, new
    return {number: (old, new) for number, (old, new) in table.items() if old is not new}


def modules_of_tests() -> list[ModuleType]:
    """Return the modules of the tests that are loaded, with their helpers."""
    return [
        module
        for module in list(sys.modules.values())
        if str(getattr(module, "__dict__", {}).get("__file__")).startswith(TESTS)
    ]


@contextlib.contextmanager
def visible(backend: str) -> Iterator[None]:
    """Let the tests see the copy of `backend` for a while, in their globals and in what they import meanwhile.

    Only globals are exchanged. What else holds on to a class or a function of the package, such as a table, a default
    argument or a parameter of a test, goes on holding what it has, and test_implementations.py finds and refuses it.
    """
    wanted = copies()[backend]
    if sys.modules["wscodec"] is wanted["wscodec"]:
        yield
        return
    table, before = counterparts(backend), loaded()
    places = [
        (vars(module), name, *table[id(value)])
        for module in modules_of_tests()
        for name, value in vars(module).items()
        if id(value) in table
    ]
    for names, name, _, new in places:
        names[name] = new
    sys.modules.update(wanted)
    try:
        yield
    finally:
        sys.modules.update(before)
        for names, name, old, _ in places:
            names[name] = old
