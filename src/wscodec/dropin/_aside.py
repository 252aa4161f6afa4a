"""An event loop for the self-tests that need one.

Floor 5.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

__all__ = ["run_aside"]


def run_aside(test: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end and return what it returns: in a thread, since a loop may be running in this one."""
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(_run, test).result()


def _run(test: Coroutine[Any, Any, Any]) -> Any:
    # Not the program's loop: that of a window system, for one, may be made in the main thread only.
    # In debug mode it would warn of how long a self-test takes.
    with asyncio.Runner(debug=False, loop_factory=asyncio.SelectorEventLoop) as runner:
        return runner.run(test)
