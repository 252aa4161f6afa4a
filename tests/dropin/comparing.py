"""What the tests of drop-ins share to compare a host with what it is on ours."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable
from typing import Any

from helpers import KEY
from implementations import COMPILED, PURE, using
from installing import installed
from reference.frames import RawFrame, frames_of

BACKENDS = (PURE, *COMPILED[:1])


def same(theirs: Callable[[], Any], ours: Callable[[], Any]) -> Any:
    """Return what comes of the host's own, and see that of ours, on each backend, comes the same."""
    expected = theirs()
    for implementation in BACKENDS:
        with using(implementation):
            assert ours() == expected
    return expected


def with_and_without(dropin: Any, test: Callable[[], Any]) -> Any:
    """Return what comes of a test without a drop-in, and see that with it, on each backend, it is the same."""

    def with_dropin() -> Any:
        # The copy of the package that is in use now has another one.
        with installed(importlib.import_module(dropin.__name__)):
            return test()

    return same(test, with_dropin)


def run(test: Callable[[], Awaitable[Any]]) -> Any:
    """Return what comes of an asynchronous test, which must not hang."""

    async def within_time() -> Any:
        async with asyncio.timeout(20):
            return await test()

    return asyncio.run(within_time())


def outcome(call: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a call returns, or what it raises, as its class and words."""
    try:
        return call(*arguments)
    except Exception as error:
        return type(error), str(error)


def sent_frames(wire: bytes) -> list[RawFrame]:
    """Return the frames of what was sent; all that are masked with the same key, since theirs are left to chance."""
    return [frame._replace(key=frame.key and KEY) for frame in frames_of(wire)]
