"""What all server programs share: their command line, their event loop and their end."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys

HOST = "127.0.0.1"
MAX_SIZE = 16 * 1024 * 1024
# The load compares every fan-out with these 128 digits.
MESSAGE = ("0123456789" * 13)[:128]


def main(listen):
    """Listen, print the port, and serve until stdin is closed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("mode", choices=("echo", "fanout"))
    parser.add_argument("--loop", choices=("uvloop", "asyncio"), default="uvloop")
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=factory(options.loop)) as runner:
        runner.run(serve(listen(options.mode)))


def factory(name):
    """Return what makes the event loop."""
    if name == "asyncio":
        return asyncio.new_event_loop
    import uvloop

    return uvloop.new_event_loop


async def serve(listening):
    """Serve until stdin is closed."""
    closed = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), closed.set)
    async with listening as port:
        print(port, flush=True)
        await closed.wait()
        os._exit(0)  # nobody waits here for the end of thousands of connections


def port_of(sockets):
    """Return the port of the first listening socket."""
    return sockets[0].getsockname()[1]
