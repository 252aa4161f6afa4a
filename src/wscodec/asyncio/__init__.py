"""WebSocket servers and clients on asyncio, with the names that users of `websockets` know.

Floor 4.
"""

from __future__ import annotations

from ..encoder import PreparedMessage
from ..handshake import Headers, Request, Response
from .adopter import Adopter
from .broadcast import Broadcast, broadcast
from .client import connect, unix_connect
from .connection import ClientConnection, ConnectionStats, ServerConnection, WebSocket
from .server import Server, serve, unix_serve

__all__ = [
    "Adopter",
    "Broadcast",
    "ClientConnection",
    "ConnectionStats",
    "Headers",
    "PreparedMessage",
    "Request",
    "Response",
    "Server",
    "ServerConnection",
    "WebSocket",
    "broadcast",
    "connect",
    "serve",
    "unix_connect",
    "unix_serve",
]
