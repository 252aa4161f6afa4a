"""wscodec with a handler for each connection."""

from contextlib import asynccontextmanager

import wscodec.asyncio
from wscodec.asyncio import serve

from .handlers import echo, fanout
from .running import HOST, MAX_SIZE, MESSAGE, main, port_of


def send_to_each(connections, message):
    """Send a message to many, where this wscodec has no `broadcast` yet."""
    for ws in connections:
        ws.send_nowait(message)


@asynccontextmanager
async def listen(mode):
    broadcast = getattr(wscodec.asyncio, "broadcast", send_to_each)
    handler = echo if mode == "echo" else fanout(broadcast, MESSAGE)
    async with serve(handler, HOST, 0, compression=None, max_size=MAX_SIZE) as server:
        yield port_of(server.sockets)


if __name__ == "__main__":
    main(listen)
