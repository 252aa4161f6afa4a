"""A server that sends texts when it is told to, and reads whatever else comes."""

from __future__ import annotations

import asyncio
import os
import sys

from wscodec.asyncio import ServerConnection, serve


async def answer(ws: ServerConnection) -> None:
    """Send what comes behind a number and a space as often as the number says; 0 asks for nothing."""
    async for message in ws:
        count, _, text = message.partition(" ")
        for _ in range(int(count)):
            await ws.send(text)


async def main() -> None:
    """Listen, print the port, and serve until stdin is closed."""
    async with serve(answer, "127.0.0.1", 0, max_size=None, compression=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), os._exit, 0)
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(main())
