"""What is tested: an echo server with callbacks, and an echo client with `async for`, both with compression.

`python -m tests.conformance.testee server` prints its port and serves until its stdin is closed;
`python -m tests.conformance.testee client URI AGENT COUNT` plays all cases of a server of the suite.
WSCODEC_BACKEND says on which backend.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from typing import Any

from wscodec import ConnectionClosed
from wscodec.asyncio import connect, serve

HOST = "127.0.0.1"
# A message of the suite has up to 16 MiB and comes in up to 65,536 fragments. It counts pings as answers, so we send
# none. Everything else is what `serve` and `connect` have by default.
SETTINGS: dict[str, Any] = {"max_size": 1 << 25, "max_fragments": 1 << 17, "ping_interval": None}
START_TIMEOUT = 20
# The suite writes a thousand files before it answers.
REPORT_TIMEOUT = 300


async def run_server() -> None:
    """Send back every message, until there is no more stdin."""
    loop = asyncio.get_running_loop()
    async with serve(None, HOST, 0, on_messages=lambda ws, messages: ws.send_many(messages), **SETTINGS) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await loop.run_in_executor(None, sys.stdin.read)


async def run_client(uri: str, agent: str, count: int) -> None:
    """Play each case, and have the report written.

    Raises:
        ValueError: the suite has another number of cases than `count`.
    """
    found = await case_count(uri)
    if found != count:
        raise ValueError(f"the suite has {found} cases, and not {count}")
    for case in range(1, count + 1):
        async with connect(f"{uri}/runCase?case={case}&agent={agent}", **SETTINGS) as ws:
            with contextlib.suppress(ConnectionClosed):  # many cases break the rules, to see whether it is closed
                async for message in ws:
                    await ws.send(message)
    async with connect(f"{uri}/updateReports?agent={agent}", open_timeout=REPORT_TIMEOUT, ping_interval=None) as ws:
        await ws.wait_closed()


async def case_count(uri: str) -> int:
    """Return how many cases the suite has, as soon as it listens."""
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            async with connect(f"{uri}/getCaseCount") as ws:
                return int(json.loads(await ws.recv()))
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.1)


def main(arguments: list[str]) -> None:
    """Do what the command line says."""
    match arguments:
        case ["server"]:
            asyncio.run(run_server())
        case ["client", uri, agent, count]:
            asyncio.run(run_client(uri, agent, int(count)))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
