"""The asyncio server of websockets, echoing; `wscodec` as an argument installs the drop-in."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager

from websockets.asyncio.server import serve

from ..echo.servers.handlers import echo
from ..echo.servers.running import HOST, MAX_SIZE, factory, port_of
from ..echo.servers.running import serve as run


@asynccontextmanager
async def listen():
    async with serve(echo, HOST, 0, compression=None, max_size=MAX_SIZE) as server:
        yield port_of(server.sockets)


if __name__ == "__main__":
    if "wscodec" in sys.argv[1:]:
        import wscodec.dropin.websockets

        assert wscodec.dropin.websockets.install()
    with asyncio.Runner(loop_factory=factory("uvloop")) as runner:
        runner.run(run(listen()))
