"""The choice of an event loop: uvloop where it is installed, else the one of asyncio.

Floor 6.
"""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable, Coroutine
from typing import Any

__all__ = ["has_uvloop", "name", "run"]


def has_uvloop() -> bool:
    """Tell whether uvloop is installed."""
    return importlib.util.find_spec("uvloop") is not None


def name() -> str:
    """Return the name of the library whose loop `run` uses."""
    return "uvloop" if has_uvloop() else "asyncio"


def run(main: Coroutine[Any, Any, int]) -> int:
    """Run `main` to its end in a new loop, and return what it returns."""
    with asyncio.Runner(loop_factory=_factory()) as runner:
        return runner.run(main)


def _factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes a loop, None for asyncio's own."""
    if not has_uvloop():
        return None
    import uvloop

    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
