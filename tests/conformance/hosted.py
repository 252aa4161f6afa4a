"""Servers of others that echo by ASGI, with a drop-in of ours and without.

`python -m tests.conformance.hosted HOST with|without` prints its port and serves until its stdin is closed.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from typing import Any

HOST = "127.0.0.1"
MAX_SIZE = 1 << 25  # bytes; the suite's messages have up to 16 MiB


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Send back every message."""
    while True:
        match await receive():
            case {"type": "websocket.receive"} as message:
                await send(message | {"type": "websocket.send"})
            case {"type": "websocket.connect"}:
                await send({"type": "websocket.accept"})
            case {"type": "lifespan.startup"}:
                await send({"type": "lifespan.startup.complete"})
            case {"type": "websocket.disconnect" | "lifespan.shutdown"}:
                return


async def uvicorn(sock: socket.socket, ws: str) -> None:
    """Serve with Uvicorn, and as `ws` says."""
    from uvicorn import Config, Server

    config = Config(echo, ws=ws, ws_max_size=MAX_SIZE, ws_ping_interval=None, log_config=None, lifespan="off")
    await Server(config).serve([sock])


async def hypercorn(sock: socket.socket) -> None:
    """Serve with Hypercorn."""
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    config = Config()
    config.bind = [f"fd://{sock.fileno()}"]
    config.accesslog = config.errorlog = None
    config.websocket_max_message_size = MAX_SIZE
    await serve(echo, config, shutdown_trigger=asyncio.Event().wait)


async def run(host: str, drop_in: bool) -> None:
    """Listen, print the port, and serve until stdin is closed."""
    sock = socket.create_server((HOST, 0))
    print(sock.getsockname()[1], flush=True)
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), os._exit, 0)
    if host == "hypercorn":
        if drop_in:
            import wscodec.dropin.wsproto

            assert wscodec.dropin.wsproto.install()
        await hypercorn(sock)
    else:
        await uvicorn(sock, "wscodec.dropin.uvicorn:WebSocketProtocol" if drop_in else host.partition("-")[2])


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], sys.argv[2] == "with"))
