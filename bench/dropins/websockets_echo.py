"""The asyncio server of websockets, echoing; `wscodec` as an argument installs the drop-in."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from websockets.asyncio.server import serve

from ..echo.servers import running
from ..echo.servers.handlers import echo


@asynccontextmanager
async def listen() -> AsyncIterator[int]:
    """Serve without compression, and yield the port."""
    async with serve(echo, running.HOST, 0, compression=None, max_size=running.MAX_SIZE) as server:
        yield running.port_of(server.sockets)


if __name__ == "__main__":
    if "wscodec" in sys.argv[1:]:
        import wscodec.dropin.websockets

        assert wscodec.dropin.websockets.install()
    with asyncio.Runner(loop_factory=running.factory("uvloop")) as runner:
        runner.run(running.serve(listen()))
