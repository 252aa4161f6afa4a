"""gevent-websocket as a server that echoes; `wscodec` as an argument installs the drop-in."""

from __future__ import annotations

import os
import sys
from typing import Any

import gevent
from gevent.fileobject import FileObject
from gevent.pywsgi import WSGIServer
from geventwebsocket.handler import WebSocketHandler


def echo(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Send back what comes."""
    ws = environ["wsgi.websocket"]
    while (message := ws.receive()) is not None:
        ws.send(message)
    return []


def main() -> None:
    """Listen, print the port, and serve until stdin is closed."""
    server = WSGIServer(("127.0.0.1", 0), echo, handler_class=WebSocketHandler, log=None, error_log=None)
    server.start()
    print(server.server_port, flush=True)
    gevent.spawn(server.serve_forever)
    FileObject(sys.stdin).read()
    os._exit(0)


if __name__ == "__main__":
    if "wscodec" in sys.argv[1:]:
        import wscodec.dropin.gevent_websocket

        assert wscodec.dropin.gevent_websocket.install()
    main()
