"""The server that is ill-treated: it echoes with a handler on one port, with a callback on another.

It prints both ports, then what is in it for each line on stdin, until stdin is closed.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import ctypes
import gc
import json
import logging
import os
import ssl
import sys
import warnings

from wscodec.asyncio import WebSocket, serve

from ..echo.running import resident
from ..echo.servers.running import HOST, factory, port_of

# What has the application fail.
BOOM = "boom"
MAX_SIZE = 1 << 20
# Objects whose classes have these names, or names that end so, belong to connections.
KINDS = ("Accepting", "Transport", "TimerHandle", "SSLProtocol")


class Boom(Exception):
    """The application's own fault: it is logged, once for each connection."""


class Errors(logging.Handler):
    """Counts what is logged, from a warning up: the application's faults apart, and all others are shown."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.booms = self.others = 0

    def emit(self, record):
        if record.exc_info and record.exc_info[0] is Boom:
            self.booms += 1
            return
        self.others += 1
        print(self.format(record), file=sys.stderr, flush=True)


async def echo(ws):
    """Send every message back, but for one."""
    async for message in ws:
        if message == BOOM:
            raise Boom
        await ws.send(message)


def echo_many(ws, messages):
    """Do the same with a burst."""
    if BOOM in messages:
        raise Boom
    ws.send_many(messages)


async def main(options):
    """Serve until stdin is closed."""
    errors = Errors()
    logging.getLogger().addHandler(errors)
    logging.captureWarnings(True)
    warnings.simplefilter("always", ResourceWarning)
    seconds = options.timeout
    settings = {
        "open_timeout": seconds,
        "ping_interval": seconds,
        "ping_timeout": seconds,
        "close_timeout": seconds,
        "max_size": MAX_SIZE,
        "ssl": context(options.certificate),
    }
    async with (
        serve(echo, HOST, 0, **settings) as handler,
        serve(None, HOST, 0, on_messages=echo_many, **settings) as callback,
    ):
        print(port_of(handler.sockets), port_of(callback.sockets), flush=True)
        await answer((handler, callback), errors)
        os._exit(0)


def context(path):
    """Return the TLS context with the key and the certificate in a file, if there is one."""
    if path is None:
        return None
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(path)
    return made


async def answer(servers, errors):
    """Say what is in the server whenever somebody asks, until stdin is closed."""
    closed = asyncio.Event()

    def on_line():
        if os.read(sys.stdin.fileno(), 100):
            print(json.dumps(contents(servers, errors)), flush=True)
        else:
            closed.set()

    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), on_line)
    await closed.wait()


def contents(servers, errors):
    """Return what there is now."""
    gc.collect()
    give_back()
    objects = collections.Counter(
        type(thing).__name__ for thing in gc.get_objects() if isinstance(thing, WebSocket) or is_counted(thing)
    )
    return {
        "connections": sum(len(server.connections) for server in servers),
        "tasks": len(asyncio.all_tasks()),
        "files": len(os.listdir("/proc/self/fd")),
        "objects": objects,
        "resident": resident("self"),
        "booms": errors.booms,
        "errors": errors.others,
    }


def give_back():
    """Have the C library give the memory back to the system that it keeps for later, where it can (glibc).

    TLS takes 256 KiB for each connection: what is kept of those depends on what lies between them.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)


def is_counted(thing):
    """Tell whether something is of a connection, by its name."""
    return type(thing).__name__.endswith(KINDS)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--loop", choices=("uvloop", "asyncio"), required=True)
    parser.add_argument("--timeout", type=float, required=True)
    parser.add_argument("--certificate")
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=factory(options.loop)) as runner:
        runner.run(main(options))
