"""Runs each `async def` test here on asyncio's own event loop and on uvloop's, and sees that nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import inspect
from collections.abc import Callable
from typing import Any

import pytest

TIMEOUT = 30  # seconds: for a test that hangs; no test waits for it


def _uvloop() -> asyncio.AbstractEventLoop:
    import uvloop

    return uvloop.new_event_loop()


_LOOPS = [
    pytest.param(asyncio.new_event_loop, id="asyncio"),
    pytest.param(
        _uvloop,
        id="uvloop",
        marks=[
            pytest.mark.uvloop,
            pytest.mark.skipif(importlib.util.find_spec("uvloop") is None, reason="uvloop is not installed"),
        ],
    ),
]


@pytest.fixture(scope="session", autouse=True)
def _quick_collections() -> None:
    """Leave what pytest and the imports have made out of the collections that follow each test."""
    gc.freeze()


@pytest.fixture(params=_LOOPS, autouse=True)
def loop_factory(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    return request.param


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: value for name, value in pyfuncitem.funcargs.items() if name in names}
    problems: list[dict[str, Any]] = []
    with asyncio.Runner(loop_factory=pyfuncitem.funcargs["loop_factory"]) as runner:
        runner.run(_guard(pyfuncitem.obj(**arguments), problems))
    gc.collect()  # an unclosed transport, and a future whose exception nobody saw, speak up here
    assert not problems
    return True


async def _guard(test: Any, problems: list[dict[str, Any]]) -> None:
    def remember(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        # In debug mode, asyncio complains about TLS handshakes that fail.
        if not context["message"].startswith("Error on transport creation"):
            problems.append(context)

    asyncio.get_running_loop().set_exception_handler(remember)
    async with asyncio.timeout(TIMEOUT):
        await test
    for _ in range(20):
        await asyncio.sleep(0)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left
    gc.collect()
