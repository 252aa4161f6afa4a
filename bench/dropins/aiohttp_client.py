"""Clients of aiohttp that send bursts to an echo server and receive them again; prints a message's CPU time in seconds.

The arguments are the server's port, the size of a message in bytes, how many make a burst, the seconds to run, and
`wscodec` for the drop-in.
"""

from __future__ import annotations

import asyncio
import sys
import time

from aiohttp import ClientSession

from ..echo.servers.running import factory

CONNECTIONS = 50


async def converse(session: ClientSession, port: int, text: str, burst: int, end: float) -> int:
    """Send bursts until the time is over, and return how many messages came back."""
    count = 0
    async with session.ws_connect(f"http://127.0.0.1:{port}/", max_msg_size=0) as ws:
        while time.monotonic() < end:
            for _ in range(burst):
                await ws.send_str(text)
            for _ in range(burst):
                await ws.receive_str()
            count += burst
    return count


async def main(port: int, size: int, burst: int, seconds: float) -> None:
    end = time.monotonic() + seconds
    async with ClientSession() as session:
        start = time.process_time()
        talks = [converse(session, port, "x" * size, burst, end) for _ in range(CONNECTIONS)]
        count = sum(await asyncio.gather(*talks))
        print((time.process_time() - start) / count, flush=True)


if __name__ == "__main__":
    if "wscodec" in sys.argv[5:]:
        import wscodec.dropin.aiohttp

        assert wscodec.dropin.aiohttp.install()
    with asyncio.Runner(loop_factory=factory("uvloop")) as made:
        made.run(main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
