"""WebSocket servers and clients on asyncio, with the names that users of `websockets` know.

Floor 4.
"""

from __future__ import annotations

from ..handshake import Headers, Request, Response
from .client import connect, unix_connect
from .connection import ClientConnection, ServerConnection, WebSocket
from .server import Server, serve, unix_serve

__all__ = [
    "ClientConnection",
    "Headers",
    "Request",
    "Response",
    "Server",
    "ServerConnection",
    "WebSocket",
    "connect",
    "serve",
    "unix_connect",
    "unix_serve",
]
