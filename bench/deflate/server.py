"""The servers: `python -m bench.deflate.server RIVAL TASK COUNT`.

They print their port, and then a line for each connection: the CPU seconds that its task took.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
import zlib

from ..echo.servers.running import HOST, factory, port_of
from .texts import messages

TEXTS = [text.decode() for text in messages(200)]


def listen_websockets(handler):
    from websockets.asyncio.server import serve

    return serve(handler, HOST, 0)


def listen_wscodec(handler, engine=None):
    from wscodec import PerMessageDeflate
    from wscodec.asyncio import serve

    return serve(handler, HOST, 0, compression=PerMessageDeflate(engine=engine))


def listen_wscodec_ng(handler):
    from zlib_ng import zlib_ng

    return listen_wscodec(handler, zlib_ng)


RIVALS = {
    "websockets": listen_websockets,
    "wscodec": lambda handler: listen_wscodec(handler, zlib),
    "wscodec_ng": listen_wscodec_ng,
}


async def echo(ws, count):
    """Send back what comes."""
    async for message in ws:
        await ws.send(message)


async def burst(ws, count):
    """Send messages as fast as the peer reads them."""
    await ws.recv()
    start = time.process_time()
    for number in range(count):
        await ws.send(TEXTS[number % len(TEXTS)])
    await drained(ws, start)


async def ticks(ws, count):
    """Send one message in each round of the event loop."""
    await ws.recv()
    start = time.process_time()
    for number in range(count):
        await ws.send(TEXTS[number % len(TEXTS)])
        await asyncio.sleep(0)
    await drained(ws, start)


async def drained(ws, start):
    """Print the time that it took until the peer has answered a ping: then all is written."""
    await (await ws.ping())
    print(time.process_time() - start, flush=True)


async def receive(ws, count):
    """Receive messages."""
    await ws.recv()
    start = time.process_time()
    for _ in range(count):
        await ws.recv()
    print(time.process_time() - start, flush=True)


TASKS = {"echo": echo, "burst": burst, "ticks": ticks, "receive": receive}


async def serve(listen, task, count):
    """Serve until stdin is closed."""
    closed = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), closed.set)
    async with listen(lambda ws: task(ws, count)) as server:
        print(port_of(server.sockets), flush=True)
        await closed.wait()
        os._exit(0)  # nobody waits here for the end of connections


def main():
    """Serve one rival and one task."""
    parser = argparse.ArgumentParser()
    parser.add_argument("rival", choices=RIVALS)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("count", type=int)
    options = parser.parse_args()
    with asyncio.Runner(loop_factory=factory("uvloop")) as runner:
        runner.run(serve(RIVALS[options.rival], TASKS[options.task], options.count))


if __name__ == "__main__":
    main()
