"""aiohttp with a handler that echoes; `wscodec` as an argument installs the drop-in, `asyncio` takes its event loop."""

from __future__ import annotations

import asyncio
import os
import sys

from aiohttp import web

from ..echo.servers.running import factory


async def echo(request: web.Request) -> web.WebSocketResponse:
    """Echo messages."""
    ws = web.WebSocketResponse(compress=False)
    await ws.prepare(request)
    async for message in ws:
        await ws.send_str(message.data)
    return ws


async def main() -> None:
    """Listen, print the port, and serve until stdin is closed."""
    app = web.Application()
    app.router.add_get("/", echo)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), os._exit, 0)
    await asyncio.Event().wait()


if __name__ == "__main__":
    options = sys.argv[1:]
    if "wscodec" in options:
        import wscodec.dropin.aiohttp

        assert wscodec.dropin.aiohttp.install()
    with asyncio.Runner(loop_factory=factory("asyncio" if "asyncio" in options else "uvloop")) as made:
        made.run(main())
