"""The server that is soaked: it echoes with a handler on one port, with a callback on another.

It prints both ports, then what it has counted for each line on stdin, until stdin is closed.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import os
import sys

from wscodec.asyncio import serve

from ..echo.servers.handlers import echo
from ..echo.servers.running import HOST, factory, port_of
from ..echo.servers.wscodec_callback import echo as echo_many

# Seconds between two collections of garbage, on asyncio alone.
COLLECT = 5


class Errors(logging.Handler):
    """Counts what is logged as an error; it is shown as well."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.count = 0

    def emit(self, record):
        self.count += 1
        print(self.format(record), file=sys.stderr, flush=True)


class Counts:
    """What the connections have counted: those of `servers`, and all that were closed."""

    def __init__(self):
        self.servers = []
        self.errors = Errors()
        self._received = self._sent = 0

    def keep(self, ws):
        """Keep what a connection has counted that is closed."""
        self._received += ws.stats.messages_received
        self._sent += ws.stats.messages_sent

    def totals(self):
        """Return what has been counted so far."""
        connections = [ws for server in self.servers for ws in server.connections]
        stats = [ws.stats for ws in connections]
        return {
            "connections": len(connections),
            "received": self._received + sum(one.messages_received for one in stats),
            "sent": self._sent + sum(one.messages_sent for one in stats),
            "errors": self.errors.count,
        }


async def main(ping_interval, loop):
    """Serve until stdin is closed."""
    if loop == "asyncio":
        collect(asyncio.get_running_loop())
    counts = Counts()
    logging.getLogger().addHandler(counts.errors)
    options = {"ping_interval": ping_interval, "on_close": counts.keep}
    async with (
        serve(echo, HOST, 0, **options) as handler,
        serve(None, HOST, 0, on_messages=echo_many, **options) as callback,
    ):
        counts.servers = [handler, callback]
        print(port_of(handler.sockets), port_of(callback.sockets), flush=True)
        await answer(counts)
        os._exit(0)  # nobody waits here for the end of thousands of connections


def collect(loop):
    """Collect garbage now and again and again.

    Each transport of asyncio refers to itself, and with many connections the collector waits for thousands of closed
    ones. On uvloop nothing of a connection is left to the collector, and if something were, it should be seen.
    """
    gc.collect()
    loop.call_later(COLLECT, collect, loop)


async def answer(counts):
    """Say what has been counted whenever somebody asks, until stdin is closed."""
    closed = asyncio.Event()

    def on_line():
        if os.read(sys.stdin.fileno(), 100):
            print(json.dumps(counts.totals()), flush=True)
        else:
            closed.set()

    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), on_line)
    await closed.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--loop", choices=("uvloop", "asyncio"), required=True)
    parser.add_argument("--ping-interval", type=float, required=True)
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=factory(options.loop)) as runner:
        runner.run(main(options.ping_interval, options.loop))
