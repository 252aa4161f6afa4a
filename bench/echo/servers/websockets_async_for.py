"""websockets, its asyncio server."""

from contextlib import asynccontextmanager

from websockets.asyncio.server import broadcast, serve

from .handlers import echo, fanout
from .running import HOST, MAX_SIZE, MESSAGE, main, port_of


@asynccontextmanager
async def listen(mode):
    handler = echo if mode == "echo" else fanout(broadcast, MESSAGE)
    async with serve(handler, HOST, 0, compression=None, max_size=MAX_SIZE) as server:
        yield port_of(server.sockets)


if __name__ == "__main__":
    main(listen)
