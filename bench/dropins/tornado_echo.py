"""tornado with a handler that echoes, `sync` or `async`; `wscodec` as an argument installs the drop-in."""

from __future__ import annotations

import asyncio
import os
import sys

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application
from tornado.websocket import WebSocketHandler


class Echo(WebSocketHandler):
    """Sends back, and waits for nothing."""

    def on_message(self, message: str | bytes) -> None:
        """Echo a message."""
        self.write_message(message, isinstance(message, bytes))


class AsyncEcho(WebSocketHandler):
    """Sends back, and waits until the system has it."""

    async def on_message(self, message: str | bytes) -> None:
        """Echo a message."""
        await self.write_message(message, isinstance(message, bytes))


async def main() -> None:
    """Listen, print the port, and serve until stdin is closed."""
    handler = AsyncEcho if "async" in sys.argv[1:] else Echo
    sockets = bind_sockets(0, "127.0.0.1")
    HTTPServer(Application([("/.*", handler)])).add_sockets(sockets)
    print(sockets[0].getsockname()[1], flush=True)
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), os._exit, 0)
    await asyncio.Event().wait()


if __name__ == "__main__":
    if "wscodec" in sys.argv[1:]:
        import wscodec.dropin.tornado

        assert wscodec.dropin.tornado.install()
    asyncio.run(main())
