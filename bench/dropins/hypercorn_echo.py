"""Hypercorn with an ASGI application that echoes; `wscodec` as an argument installs the drop-in for wsproto."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

from hypercorn.asyncio import serve
from hypercorn.config import Config

from ..echo.servers.running import factory


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Echo messages, and take part in the lifespan."""
    while True:
        message = await receive()
        kind = message["type"]
        if kind == "websocket.receive":
            await send(message | {"type": "websocket.send"})
        elif kind == "websocket.connect":
            await send({"type": "websocket.accept"})
        elif kind.startswith("lifespan"):
            await send({"type": kind + ".complete"})
        if kind in ("websocket.disconnect", "lifespan.shutdown"):
            return


async def main() -> None:
    """Listen, print the port, and serve until stdin is closed."""
    config = Config()
    config.bind = ["127.0.0.1:0"]
    config.accesslog = config.errorlog = None
    sockets = config.create_sockets()
    config.create_sockets = lambda: sockets  # type: ignore[method-assign]
    print(sockets.insecure_sockets[0].getsockname()[1], flush=True)
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), os._exit, 0)
    await serve(echo, config, shutdown_trigger=asyncio.Event().wait)  # type: ignore[arg-type]


if __name__ == "__main__":
    if "wscodec" in sys.argv[1:]:
        import wscodec.dropin.wsproto

        assert wscodec.dropin.wsproto.install()
    with asyncio.Runner(loop_factory=factory("uvloop")) as runner:
        runner.run(main())
