"""Autobahn on asyncio, as a server that echoes; `wscodec` as an argument installs the drop-in."""

from __future__ import annotations

import asyncio
import os
import sys

from autobahn.asyncio.websocket import WebSocketServerFactory, WebSocketServerProtocol


class Echo(WebSocketServerProtocol):
    """Sends back what it receives."""

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.sendMessage(payload, isBinary)


async def main() -> None:
    """Listen, print the port, and serve until stdin is closed."""
    factory = WebSocketServerFactory()
    factory.protocol = Echo
    loop = asyncio.get_running_loop()
    server = await loop.create_server(factory, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    loop.add_reader(sys.stdin.fileno(), os._exit, 0)
    await server.serve_forever()


if __name__ == "__main__":
    if "wscodec" in sys.argv[1:]:
        import wscodec.dropin.autobahn

        assert wscodec.dropin.autobahn.install()
    asyncio.run(main())
