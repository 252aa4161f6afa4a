"""Opens and closes many connections and says what is left of them: `python soak.py [connections] [uvloop]`."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import resource
import sys
import time
from dataclasses import dataclass
from typing import Any

from wscodec.asyncio import WebSocket, connect, serve


@dataclass
class Report:
    """What came of it; sizes in KiB.

    `left` counts the connections, transports and timers that are still alive, `growth` the resident memory
    that the second half of the connections has added.
    """

    connections: int
    seconds: float
    left: int
    resident: int
    growth: int


async def _echo(ws: WebSocket) -> None:
    async for message in ws:
        await ws.send(message)


async def _one(uri: str, i: int) -> None:
    """Open a connection, use it, and end it in one of several ways."""
    ws = await connect(uri)
    await ws.send("x" * (i % 300))
    assert len(await ws.recv()) == i % 300
    if i % 5 == 0:
        ws.transport.abort()
        await ws.wait_closed()
    elif i % 5 == 1:
        ws.transport.write(b"\xff\xff")
        with contextlib.suppress(Exception):
            await ws.recv()
    await ws.close()


async def soak(connections: int, together: int = 100) -> Report:
    """Open and close so many connections, some of them at a time, and look for what is left."""
    start = time.perf_counter()
    before = _count()
    halfway = 0
    async with serve(_echo, "127.0.0.1", 0) as server:
        uri = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        for i in range(0, connections, together):
            await asyncio.gather(*(_one(uri, j) for j in range(i, min(i + together, connections))))
            if not halfway and i >= connections // 2:
                halfway = _resident()
    seconds = time.perf_counter() - start
    for _ in range(5):
        await asyncio.sleep(0)
    return Report(connections, seconds, _count() - before, _resident(), _resident() - halfway)


def _count() -> int:
    """Return how many connections, transports and timers there are."""
    gc.collect()
    return sum(1 for thing in gc.get_objects() if _is_counted(thing))


def _is_counted(thing: Any) -> bool:
    return isinstance(thing, WebSocket) or type(thing).__name__.endswith(("Transport", "TimerHandle"))


def _resident() -> int:
    """Return the resident memory, in KiB."""
    with contextlib.suppress(OSError), open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize() // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main(arguments: list[str]) -> None:
    """Run it on the event loop that was asked for and print the report."""
    factory = None
    if "uvloop" in arguments:
        import uvloop

        factory = uvloop.new_event_loop
    count = next((int(argument) for argument in arguments if argument.isdecimal()), 10_000)
    with asyncio.Runner(loop_factory=factory) as runner:
        print(runner.run(soak(count)))


if __name__ == "__main__":
    main(sys.argv[1:])
